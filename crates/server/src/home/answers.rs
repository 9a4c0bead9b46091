//! What comes back for a connection: answers to its commands, and what others do to it.

use std::sync::Arc;

use madang_room::{Nick, Refusal, RoomName, SessionId, WhyLeft};
use madang_wire::{Answer, Bye, Notice, RequestId, RoomRow};

use super::conn::{Pending, Phase};
use super::recovery::Trail;
use super::shows::watching;
use super::{Home, Surroundings};
use crate::message::{
    Ask, CameIn, ConnAnswer, ConnMessage, DirectoryMessage, Heir, Holder, Message, Person, RoomMessage,
};
use crate::net::Net;

impl<N: Net> Home<N> {
    /// Takes a message for one of this shard's connections.
    pub(crate) fn handle(&mut self, message: ConnMessage, around: &mut Surroundings<'_, N>) {
        let Some(slot) = self.find(message.to) else { return self.give_back(message, around) };
        match message.what {
            ConnAnswer::Done { re, result, log_is_busy } => {
                self.answered(slot);
                if let Some(chat) = self.conns[slot as usize].chat()
                    && (chat.under_way == 0 || matches!(result, Ok(Answer::History(_) | Answer::Told { .. })))
                {
                    chat.pending.take_if(|pending| matches!(**pending, Pending::Answer));
                }
                self.reply(slot, re.as_ref(), &result);
                if log_is_busy {
                    self.wait_for_log(slot);
                }
            }
            ConnAnswer::Joined { re, result } => self.joined(slot, re, result, around),
            ConnAnswer::Left { re, room, until, result } => self.left(slot, re, &room, until, result),
            ConnAnswer::NickClaimed { person, result } => self.nick_claimed(slot, person, result, around),
            ConnAnswer::SessionResumed { nick, trail, .. } => self.session_resumed(slot, nick, trail, around),
            ConnAnswer::Shows { free } => self.shows_listed(slot, free),
            ConnAnswer::CheckedIn { re, result } => self.checked_in(slot, re, result, around),
            ConnAnswer::CheckedOut { re, result } => self.checked_out(slot, re, result, around),
            ConnAnswer::Displaced { room, why } => self.displaced(slot, room, *why, around),
            ConnAnswer::Rooms { rooms } => self.rooms_listed(slot, rooms),
            ConnAnswer::Told { from, text } => self.notify(slot, &Notice::Told { from, text }),
            ConnAnswer::Replaced { heir } => {
                if let Some(heir) = heir {
                    self.hand_over(slot, heir, around);
                }
                let bye = Bye { why: "replaced", resume: false, retry_ms: None };
                self.part(slot, bye, WhyLeft::Replaced, around);
            }
        }
        if self.conns.contains(slot as usize) {
            self.wake_parked(slot);
            self.settle(slot, around);
            let conn = &self.conns[slot as usize];
            if conn.takes_commands() && (!conn.input.is_empty() || conn.readable || conn.peer_done) {
                self.enqueue(slot);
            }
        }
    }

    /// A connection that has gone needs no answer, but what it was given must not stay its own.
    fn give_back(&mut self, message: ConnMessage, around: &mut Surroundings<'_, N>) {
        let conn = message.to;
        match message.what {
            ConnAnswer::Joined { result: Ok(came_in), .. } => {
                let room = came_in.joined.room;
                let shard = self.placement.of_room(&room);
                let ask = Ask::Leave { why: Some(WhyLeft::Lost) };
                let leave = RoomMessage { room, from: conn, re: None, ask };
                around.out.send(shard, Message::Room(leave));
            }
            ConnAnswer::NickClaimed { person, result: Ok(()) } => {
                let owner = self.placement.of_nick(&person.nick);
                let release = DirectoryMessage::ReleaseNick { person, conn, keep: false };
                self.ask_directory(owner, release, around);
            }
            ConnAnswer::SessionResumed { session, trail, .. } => {
                let owner = self.placement.of_session(session);
                let holder = Holder { session, conn };
                self.ask_directory(
                    owner,
                    DirectoryMessage::CloseSession { holder, keep: true, trail },
                    around,
                );
            }
            // It had gone before it was asked: what it was sent is not known any more.
            ConnAnswer::Replaced { heir: Some(Heir { conn, session, nick }) } => {
                around
                    .out
                    .tell_conn(conn, ConnAnswer::SessionResumed { session, nick: Some(nick), trail: None });
            }
            _ => {}
        }
    }

    fn answered(&mut self, slot: u32) {
        if let Some(chat) = self.conns[slot as usize].chat() {
            chat.under_way = chat.under_way.saturating_sub(1);
        }
    }

    /// When everything before a parked command is answered, it is its turn: in the next turn, so that the batches of
    /// this one are written before.
    fn wake_parked(&mut self, slot: u32) {
        let is_open = self.conns[slot as usize].phase == Phase::Open;
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        if chat.under_way > 0 || !matches!(chat.pending.as_deref(), Some(Pending::Parked(_))) {
            return;
        }
        if is_open {
            self.enqueue(slot);
        } else {
            chat.pending = None;
        }
    }

    pub(super) fn carry_out_parked(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        if chat.under_way > 0 {
            return;
        }
        let parked = chat.pending.take_if(|pending| matches!(**pending, Pending::Parked(_)));
        if let Some(Pending::Parked(request)) = parked.map(|pending| *pending) {
            self.carry_out(slot, request, around);
        }
    }

    /// Takes the command that was waited for; `None` where the connection waits for something else.
    pub(super) fn take_pending(&mut self, slot: u32) -> Option<Pending> {
        self.answered(slot);
        self.conns[slot as usize].chat()?.pending.take().map(|pending| *pending)
    }

    fn joined(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        result: Result<Box<CameIn>, Refusal>,
        around: &mut Surroundings<'_, N>,
    ) {
        let pending = match self.take_pending(slot) {
            Some(Pending::Recover(recovering)) => {
                return self.returned(slot, *recovering, result, around);
            }
            Some(Pending::SimpleJoin { .. }) => return self.simply_joined(slot, re, result, around),
            Some(Pending::Follow) => return self.following(slot, result, around),
            Some(Pending::Enter { re, placed, .. }) => {
                return self.entered(slot, re, placed, result, around);
            }
            pending => pending,
        };
        let is_landing = matches!(pending, Some(Pending::Landing { .. }));
        let is_watching = matches!(pending, Some(Pending::Watch { .. }));
        let asked_echo = match pending {
            Some(Pending::Join { echo, .. }) => echo,
            _ => None,
        };
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let echo = asked_echo.unwrap_or(chat.tongue.echoes());
        let nick = chat.person.nick.clone();
        let came_in = match result {
            Ok(came_in) => *came_in,
            Err(refusal) => {
                if is_landing {
                    self.notify(slot, &Notice::Greeting { nick, room: None });
                }
                self.refuse(slot, re, refusal);
                return;
            }
        };
        let CameIn { joined, gap, replay, from, sight, .. } = came_in;
        let room = joined.room.clone();
        let seen_up_to = replay.as_ref().map_or(joined.seq, |replay| replay.before());
        self.leave_simple_room(slot, &room);
        self.enter_trail(slot, room.clone(), joined.epoch.clone(), seen_up_to, false);
        self.add_membership(slot, room.clone(), echo, from);
        if is_landing {
            let notice = Notice::Greeting { nick, room: Some((room.clone(), joined.count)) };
            self.notify(slot, &notice);
        } else {
            let answer = match sight.filter(|_| is_watching) {
                Some(sight) => watching(joined, *sight),
                None => Answer::Joined(Box::new(joined)),
            };
            self.reply(slot, re.as_ref(), &Ok(answer));
        }
        if let Some((from_seq, to_seq)) = gap {
            self.notify(slot, &Notice::Gap { room: room.clone(), from_seq, to_seq });
        }
        if let Some(replay) = replay {
            self.replay(slot, &replay, &room, around);
        }
        self.leave_again_if_ending(slot, room, around);
    }

    /// Lets a connection that was told to go while it was coming in leave again.
    pub(super) fn leave_again_if_ending(
        &mut self,
        slot: u32,
        room: RoomName,
        around: &mut Surroundings<'_, N>,
    ) {
        if self.conns.get(slot as usize).is_some_and(|conn| conn.phase != Phase::Open) {
            self.send_to_room(slot, None, room, Ask::Leave { why: None }, around);
        }
    }

    fn left(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        room: &RoomName,
        until: u32,
        result: Result<(), Refusal>,
    ) {
        let is_leaving = self.conns[slot as usize].phase != Phase::Open;
        self.answered(slot);
        let mut freed = None;
        if let Some(chat) = self.conns[slot as usize].chat() {
            // Of the answers to all the leaves of a connection that is going, the first stands for the one waited for.
            let is_awaited = |pending: &mut Box<Pending>| match &**pending {
                Pending::Leave => true,
                Pending::LeaveGroup { freed, .. } => freed.room == *room,
                _ => false,
            };
            if let Some(Pending::LeaveGroup { re, freed: place }) =
                chat.pending.take_if(is_awaited).map(|pending| *pending)
            {
                freed = Some((re, place));
            }
        }
        if let Some((re, freed)) = freed {
            self.end_membership(slot, room, until);
            self.tell_freed(slot, re, &freed);
            return;
        }
        match result {
            Ok(()) => {
                self.end_membership(slot, room, until);
                if !is_leaving {
                    self.reply(slot, re.as_ref(), &Ok(Answer::Left { room: room.clone() }));
                }
            }
            Err(_) if is_leaving => self.forget_membership(slot, room),
            Err(refusal) => self.refuse(slot, re, refusal),
        }
    }

    fn nick_claimed(
        &mut self,
        slot: u32,
        person: Arc<Person>,
        result: Result<(), Refusal>,
        around: &mut Surroundings<'_, N>,
    ) {
        let pending = self.take_pending(slot);
        let Some(from) = self.conns[slot as usize].chat().map(|chat| chat.person.nick.clone()) else {
            return;
        };
        let nick = person.nick.clone();
        let is_claimed = result.is_ok() && !matches!(pending, Some(Pending::Post { .. }));
        if is_claimed {
            self.take_name(slot, person, around);
        } else if matches!(pending, Some(Pending::HelloNick { resumed: true, .. })) {
            // The session is another one all the same.
            self.rename_in_rooms(slot, around);
        }
        match (pending, result) {
            (Some(Pending::Nick { re }), Ok(())) => {
                self.reply(slot, re.as_ref(), &Ok(Answer::Nick { from, nick }));
            }
            (
                Some(
                    Pending::HelloNick { re, is_wanted: true, .. }
                    | Pending::Nick { re }
                    | Pending::Post { re, .. },
                ),
                Err(refusal),
            ) => self.refuse(slot, re, refusal),
            (Some(Pending::Post { re, room, post }), Ok(())) => {
                self.send_to_room(slot, re, room, Ask::Post(post), around);
            }
            // Without its remembered name the session goes on under the newcomer's.
            (Some(Pending::HelloNick { re, resumed, .. }), _) => {
                self.welcome(slot, re.as_ref(), resumed, around)
            }
            _ => {}
        }
    }

    /// The connection has a name now that is different: the old one is free, and its rooms hear of it.
    fn take_name(&mut self, slot: u32, person: Arc<Person>, around: &mut Surroundings<'_, N>) {
        let conn = self.reference(slot);
        let peer = self.conns[slot as usize].peer;
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        tracing::debug!(%peer, session = %person.session, from = %chat.person.nick, to = %person.nick, "renamed");
        let from = std::mem::replace(&mut chat.person, person.clone());
        let is_resumable = chat.is_resumable;
        if from.nick != person.nick {
            let owner = self.placement.of_nick(&from.nick);
            let release = DirectoryMessage::ReleaseNick { person: from, conn, keep: false };
            self.ask_directory(owner, release, around);
        }
        if is_resumable {
            let owner = self.placement.of_session(person.session);
            self.ask_directory(owner, DirectoryMessage::OpenSession { person, conn }, around);
        }
        self.rename_in_rooms(slot, around);
    }

    /// Tells the connection's rooms its name and session.
    fn rename_in_rooms(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let person = chat.person.clone();
        let rooms: Vec<RoomName> = chat.rooms.iter().map(|membership| membership.room.clone()).collect();
        for room in rooms {
            self.send_to_room(slot, None, room, Ask::Rename { person: person.clone() }, around);
        }
    }

    /// The owner of the presented session has answered: the connection speaks for it from now on.
    fn session_resumed(
        &mut self,
        slot: u32,
        remembered: Option<Nick>,
        trail: Option<Box<Trail>>,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(Pending::Resume { re, nick: wanted, session, seen }) = self.take_pending(slot) else {
            return;
        };
        if self.conns[slot as usize].phase != Phase::Open {
            // Replaced, or gone, while it waited: the session is not its own to go on with.
            let Some(Holder { conn, .. }) = self.holder(slot) else { return };
            let owner = self.placement.of_session(session);
            let holder = Holder { session, conn };
            self.ask_directory(owner, DirectoryMessage::CloseSession { holder, keep: true, trail }, around);
            return;
        }
        self.note_way_back(slot, seen.map(|seen| *seen), trail);
        let conn = &self.conns[slot as usize];
        tracing::debug!(peer = %conn.peer, session = %session, instead_of = conn.session(), "session resumed");
        self.become_session(slot, session, remembered.is_none(), around);
        let is_wanted = wanted.is_some();
        match wanted.or(remembered) {
            // A guest's name is the server's to give, also back.
            Some(nick) if !nick.is_reserved() || is_wanted => {
                self.claim_nick(slot, nick, Pending::HelloNick { re, resumed: true, is_wanted }, around);
            }
            _ => {
                self.rename_in_rooms(slot, around);
                self.welcome(slot, re.as_ref(), true, around);
            }
        }
    }

    fn become_session(
        &mut self,
        slot: u32,
        session: SessionId,
        is_forgotten: bool,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(old) = self.holder(slot) else { return };
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let was_resumable = std::mem::replace(&mut chat.is_resumable, true);
        let person = Arc::new(Person { nick: chat.person.nick.clone(), session });
        chat.person = person.clone();
        if was_resumable {
            let owner = self.placement.of_session(old.session);
            self.ask_directory(
                owner,
                DirectoryMessage::CloseSession { holder: old, keep: false, trail: None },
                around,
            );
        }
        if is_forgotten {
            let owner = self.placement.of_session(session);
            self.ask_directory(owner, DirectoryMessage::OpenSession { person, conn: old.conn }, around);
        }
    }

    /// Answers `hello`. From now on the session can be resumed.
    pub(super) fn welcome(
        &mut self,
        slot: u32,
        re: Option<&RequestId>,
        resumed: bool,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(holder) = self.holder(slot) else { return };
        if self.begin_recovery(slot, around) {
            // Answered when all rooms have been joined again.
            return;
        }
        let token = self.tokens.token(holder.session);
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let is_new = !std::mem::replace(&mut chat.is_resumable, true);
        let person = chat.person.clone();
        let welcome = Answer::Welcome(Box::new(chat.welcome(token, resumed)));
        if is_new {
            let owner = self.placement.of_session(holder.session);
            self.ask_directory(owner, DirectoryMessage::OpenSession { person, conn: holder.conn }, around);
        }
        self.reply(slot, re, &Ok(welcome));
    }

    fn rooms_listed(&mut self, slot: u32, listed: Vec<RoomRow>) {
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let Some(Pending::Rooms { shards_left, rooms, .. }) = chat.pending.as_deref_mut() else { return };
        rooms.extend(listed);
        *shards_left -= 1;
        if *shards_left > 0 {
            return;
        }
        let Some(Pending::Rooms { re, limit, mut rooms, .. }) = self.take_pending(slot) else { return };
        rooms.sort_by(|a, b| a.room.as_str().cmp(b.room.as_str()));
        rooms.truncate(limit);
        self.reply(slot, re.as_ref(), &Ok(Answer::Rooms { rooms }));
    }

    fn wait_for_log(&mut self, slot: u32) {
        if let Some(chat) = self.conns[slot as usize].chat()
            && !std::mem::replace(&mut chat.waits_for_log, true)
        {
            self.log_waiters.push(slot);
        }
    }

    /// The log has less to do: publishers are read again.
    pub(crate) fn log_is_well(&mut self) {
        for slot in std::mem::take(&mut self.log_waiters) {
            if let Some(chat) = self.conns.get_mut(slot as usize).and_then(super::conn::Conn::chat) {
                chat.waits_for_log = false;
                self.enqueue(slot);
            }
        }
    }
}
