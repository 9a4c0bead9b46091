//! What Socket.IO clients say beside the protocol's ops: in and out of the namespace, and the two events of simple
//! clients; and how those who were away go on where they were.

use madang_room::{Refusal, RoomName, Seq, Text};
use madang_wire::socketio::{Auth, Offset};
use madang_wire::{Answer, Op, RequestId};
use smol_str::SmolStr;

use super::audience::Membership;
use super::conn::{Pending, Phase, is_limited};
use super::recovery::{Recovering, Seen, Trail};
use super::socketio::SocketIo;
use super::{Home, Surroundings};
use crate::message::{Ask, CameIn, ConnAnswer, Heir, ResumeFrom};
use crate::net::Net;

impl<N: Net> Home<N> {
    /// `CONNECT`: a `hello`, and maybe the wish to go on with an earlier connection.
    pub(super) fn connect(&mut self, slot: u32, auth: Auth, around: &mut Surroundings<'_, N>) {
        let Auth { hello: Op::Hello { nick, resume }, pid, offset } = auth else { return };
        let has_recovery = self.socketio(slot).is_some_and(|socketio| socketio.trail.is_some());
        let pid = pid.filter(|_| has_recovery);
        let earlier = pid.as_deref().and_then(|pid| {
            let (token, nonce) = pid.rsplit_once('.')?;
            let nonce = u32::from_str_radix(nonce, 16).ok()?;
            let seen = match offset.as_deref().map(Offset::parse) {
                // Something was seen, but what? The session is the same, and what it missed its own affair.
                Some(None) => None,
                Some(Some(offset)) => Some(Seen { nonce, offset: Some(offset) }),
                None => Some(Seen { nonce, offset: None }),
            };
            Some((token, seen))
        });
        match earlier {
            Some((token, seen)) => self.hello(slot, None, nick, Some(token), seen, around),
            None => self.hello(slot, None, nick, resume.as_deref(), None, around),
        }
    }

    /// Out of the namespace: out of all rooms. The connection may stay.
    pub(super) fn leave_rooms(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let Some(socketio) = self.socketio(slot) else { return };
        socketio.simple_room = None;
        if let Some(trail) = &mut socketio.trail {
            // Who goes on purpose does not come back for the rest.
            *trail = Trail::new();
        }
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let rooms: Vec<RoomName> = chat.rooms.iter().map(|membership| membership.room.clone()).collect();
        if !rooms.is_empty() {
            chat.pending = Some(Box::new(Pending::Leave));
        }
        for room in rooms {
            self.send_to_room(slot, None, room, Ask::Leave { why: None }, around);
        }
    }

    /// `room`: into the one room of a simple client.
    pub(super) fn simple_join(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        room: RoomName,
        around: &mut Surroundings<'_, N>,
    ) {
        let max = self.config.limits.rooms_per_session;
        let is_limited = is_limited(self.conns[slot as usize].peer.ip());
        let simple_room = self.socketio(slot).and_then(|socketio| socketio.simple_room.clone());
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        // The one that it leaves for this doesn't count.
        let stays = |membership: &&Membership| {
            membership.room != room && Some(&membership.room) != simple_room.as_ref()
        };
        if is_limited && max > 0 && chat.rooms.iter().filter(stays).count() >= max as usize {
            return self.simply_joined(slot, re, Err(Refusal::TooManyRooms { max }), around);
        }
        let person = chat.person.clone();
        chat.pending = Some(Box::new(Pending::SimpleJoin { room: room.clone() }));
        let ask = Ask::Join { person, capacity: None, resume: None };
        self.send_to_room(slot, re, room, ask, around);
    }

    pub(super) fn simply_joined(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        result: Result<Box<CameIn>, Refusal>,
        around: &mut Surroundings<'_, N>,
    ) {
        let CameIn { joined, from, .. } = match result {
            Ok(came_in) => *came_in,
            Err(refusal) => {
                let super::conn::Conn { speaks, outbox, .. } = &mut self.conns[slot as usize];
                if let super::conn::Speaks::Chat(chat) = speaks
                    && let Some(socketio) = chat.tongue.socketio()
                {
                    outbox.append(|out| socketio.encode_failed(out));
                }
                self.mark_dirty(slot);
                self.metrics.refused(&refusal);
                if re.is_some() {
                    self.reply(slot, re.as_ref(), &Err(refusal));
                }
                return;
            }
        };
        let room = joined.room.clone();
        let before = self.socketio(slot).and_then(|socketio| {
            let before = socketio.simple_room.replace(room.clone()).filter(|before| *before != room);
            socketio.simple_room_before.clone_from(&before);
            before
        });
        self.enter_trail(slot, room.clone(), joined.epoch.clone(), joined.seq, true);
        self.add_membership(slot, room.clone(), true, from);
        self.reply(slot, re.as_ref(), &Ok(Answer::Joined(Box::new(joined))));
        if let Some(before) = before {
            // One such room at a time, the newest.
            self.send_to_room(slot, None, before, Ask::Leave { why: None }, around);
        }
        self.leave_again_if_ending(slot, room, around);
    }

    /// `chat message`: into the room that the client came in to by `room`.
    pub(super) fn simple_say(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        text: Text,
        around: &mut Surroundings<'_, N>,
    ) {
        match self.socketio(slot).and_then(|socketio| socketio.simple_room.clone()) {
            Some(room) => self.send_to_room(slot, re, room, Ask::Say { text, key: None }, around),
            None => self.refuse(slot, re, Refusal::InNoRoom),
        }
    }

    pub(super) fn socketio(&mut self, slot: u32) -> Option<&mut SocketIo> {
        self.conns[slot as usize].chat()?.tongue.socketio()
    }

    /// A room that was joined in full is not the simple one any more.
    pub(super) fn leave_simple_room(&mut self, slot: u32, room: &RoomName) {
        if let Some(socketio) = self.socketio(slot) {
            socketio.simple_room.take_if(|simple| simple == room);
        }
    }

    pub(super) fn enter_trail(
        &mut self,
        slot: u32,
        room: RoomName,
        epoch: SmolStr,
        at: Seq,
        is_simple: bool,
    ) {
        if let Some(trail) = self.socketio(slot).and_then(|socketio| socketio.trail.as_mut()) {
            trail.enter(room, epoch, at, is_simple);
        }
    }

    /// Another connection of the session goes on from here.
    pub(super) fn hand_over(&mut self, slot: u32, heir: Heir, around: &mut Surroundings<'_, N>) {
        let trail = self.socketio(slot).and_then(|socketio| socketio.trail.take()).map(Box::new);
        let Heir { conn, session, nick } = heir;
        around.out.tell_conn(conn, ConnAnswer::SessionResumed { session, nick: Some(nick), trail });
    }

    /// Remembers which rooms have to be joined again, and from where, if what the client has seen says so for sure.
    pub(super) fn note_way_back(&mut self, slot: u32, seen: Option<Seen>, trail: Option<Box<Trail>>) {
        let (Some(Seen { nonce, offset }), Some(trail)) = (seen, trail) else { return };
        let Some(socketio) = self.socketio(slot) else { return };
        if trail.nonce == nonce
            && let Some(mut todo) = trail.resolve(offset.as_ref())
        {
            todo.reverse();
            socketio.way_back = Some(Box::new(Recovering { todo, nonce }));
        }
    }

    /// Begins to join again the rooms that a client was in. False where there is nothing to wait for.
    pub(super) fn begin_recovery(&mut self, slot: u32, around: &mut Surroundings<'_, N>) -> bool {
        let Some(recovering) = self.socketio(slot).and_then(|socketio| socketio.way_back.take()) else {
            return false;
        };
        self.conns[slot as usize].outbox.cork(around.now);
        self.recover(slot, *recovering, around)
    }

    /// Joins the next room again, or ends the recovery well. True while there is something to wait for.
    fn recover(&mut self, slot: u32, recovering: Recovering, around: &mut Surroundings<'_, N>) -> bool {
        let Some(chat) = self.conns[slot as usize].chat() else { return false };
        let Some(next) = recovering.todo.last().cloned() else {
            if !self.conns[slot as usize].outbox.is_whole() {
                // So much came meanwhile that some of it was dropped.
                self.begin_anew(slot, around);
                return true;
            }
            self.conns[slot as usize].outbox.uncork();
            if let Some(trail) = self.socketio(slot).and_then(|socketio| socketio.trail.as_mut()) {
                trail.nonce = recovering.nonce;
            }
            self.mark_dirty(slot);
            return false;
        };
        let person = chat.person.clone();
        chat.pending = Some(Box::new(Pending::Recover(Box::new(recovering))));
        let resume = Some(ResumeFrom { after: next.after, epoch: Some(next.epoch) });
        self.send_to_room(slot, None, next.room, Ask::Join { person, capacity: None, resume }, around);
        true
    }

    /// A room that a client was in has answered: what it missed is sent, or the whole attempt is given up.
    pub(super) fn returned(
        &mut self,
        slot: u32,
        mut recovering: Recovering,
        result: Result<Box<CameIn>, Refusal>,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(back) = recovering.todo.pop() else { return };
        if self.conns[slot as usize].phase != Phase::Open {
            self.conns[slot as usize].outbox.discard();
            if result.is_ok() {
                self.send_to_room(slot, None, back.room, Ask::Leave { why: None }, around);
            }
            return;
        }
        match result {
            Ok(came_in) if came_in.gap.is_none() && !came_in.joined.reset => {
                let CameIn { joined, replay, from, .. } = *came_in;
                if let Some(socketio) = self.socketio(slot).filter(|_| back.is_simple) {
                    socketio.simple_room = Some(back.room.clone());
                }
                self.enter_trail(slot, back.room.clone(), joined.epoch, back.after, back.is_simple);
                self.add_membership(slot, back.room.clone(), true, from);
                if let Some(replay) = replay {
                    self.replay(slot, &replay, &back.room, around);
                }
                if self.conns.contains(slot as usize) && !self.recover(slot, recovering, around) {
                    self.welcome(slot, None, true, around);
                }
            }
            Ok(_) => {
                self.send_to_room(slot, None, back.room, Ask::Leave { why: None }, around);
                self.begin_anew(slot, around);
            }
            Err(_) => self.begin_anew(slot, around),
        }
    }

    /// Not everything could be sent: nothing of it is, and the client is a new one, which is told so.
    fn begin_anew(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        self.conns[slot as usize].outbox.discard();
        self.leave_rooms(slot, around);
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        chat.pending = None;
        let rooms: Vec<RoomName> = chat.rooms.iter().map(|membership| membership.room.clone()).collect();
        for room in rooms {
            self.forget_membership(slot, &room);
        }
        self.welcome(slot, None, true, around);
    }
}
