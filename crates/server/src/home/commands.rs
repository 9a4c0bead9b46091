//! What a connection's commands set going: a question to a room, to the owner of a name, or to all shards. The answers
//! come back in `answers`.

use std::sync::Arc;

use madang_room::{Key, Nick, Refusal, RoomName, SessionId, ShowCommand, Text};
use madang_wire::{Answer, Op, Request, RequestId, text};
use smol_str::SmolStr;

use super::conn::{Chat, Goodbye, Pending, is_limited};
use super::recovery::Seen;
use super::tongue::Tongue;
use super::{Home, Surroundings};
use crate::message::{
    Ask, DirectoryMessage, ListRooms, LobbyAsk, Message, Person, Post, ResumeFrom, RoomMessage, ShowAsk,
};
use crate::net::Net;
use crate::placement::ShardId;
use crate::token::new_code;

impl<N: Net> Home<N> {
    pub(super) fn carry_out(&mut self, slot: u32, request: Request, around: &mut Surroundings<'_, N>) {
        let is_answered_elsewhere = matches!(
            request.op,
            Op::Json
                | Op::Echo { .. }
                | Op::Help { .. }
                | Op::Host { .. }
                | Op::Ping
                | Op::Bye
                | Op::Tell { .. }
        );
        if let Some(chat) = self.conns[slot as usize].chat()
            && is_answered_elsewhere
            && chat.under_way > 0
        {
            chat.pending = Some(Box::new(Pending::Parked(request)));
            return;
        }
        self.metrics.commands.inc();
        let Request { id: re, op } = request;
        match op {
            Op::Say { room, text, key } => self.say(slot, re, room, text, key, around),
            Op::Post { room, from, text, key } => self.post(slot, re, room, from, text, key, around),
            Op::Join { room, after, epoch, capacity, echo } => {
                let resume = after.map(|after| ResumeFrom { after, epoch });
                self.join(slot, re, room, resume, capacity, echo, around);
            }
            Op::Leave { room } => self.leave(slot, re, room, around),
            Op::Topic { room, text } => self.ask_room(slot, re, room, Ask::Topic { text }, around),
            Op::Capacity { room, capacity } => {
                self.ask_room(slot, re, room, Ask::Capacity { capacity }, around)
            }
            Op::Who { room } => self.ask_room(slot, re, room, Ask::Who, around),
            Op::History { room, after, before, limit, said_only } => {
                let Some(room) = self.or_current(slot, &re, room) else { return };
                self.with_chat(slot, |chat| chat.pending = Some(Box::new(Pending::Answer)));
                self.send_to_room(slot, re, room, Ask::History { after, before, limit, said_only }, around);
            }
            Op::Tell { to, text } => self.tell(slot, re, to, text, around),
            Op::Rooms { prefix, limit } => self.list_rooms(slot, re, prefix, limit, around),
            Op::Nick { nick } => self.change_nick(slot, re, nick, around),
            Op::Hello { nick, resume } => self.hello(slot, re, nick, resume.as_deref(), None, around),
            Op::Echo { on } => {
                if let Some(Chat { tongue: Tongue::Lines(lines), .. }) = self.conns[slot as usize].chat() {
                    lines.echo = on;
                }
                self.set_echo(slot, on);
                self.reply(slot, re.as_ref(), &Ok(Answer::Echo { on }));
            }
            Op::Json => self.speak_json(slot),
            Op::Help { command } => {
                let result = text::help(command.as_deref()).map(|lines| Answer::Help { lines });
                self.reply(slot, re.as_ref(), &result);
            }
            Op::Host { secret } => self.become_host(slot, re, &secret),
            Op::Checkin { lobby, participant } => self.check_in(slot, re, lobby, participant, around),
            Op::Checkout { lobby } => self.check_out(slot, re, lobby, around),
            Op::Groups { lobby } => self.ask_lobby(slot, re, lobby, LobbyAsk::Groups, around),
            Op::Clap { lobby } => self.ask_lobby(slot, re, lobby, LobbyAsk::Clap, around),
            Op::Broadcast { lobby, text } => {
                self.ask_lobby(slot, re, lobby, LobbyAsk::Announce { text }, around);
            }
            Op::Shows => self.list_shows(slot, re, around),
            Op::Watch { performance, after, epoch } => {
                let resume = after.map(|after| ResumeFrom { after, epoch });
                self.watch(slot, re, performance, resume, around);
            }
            Op::Seats { performance } => self.ask_show(slot, re, performance, ShowAsk::Seats, around),
            Op::Hold { performance, wanted } => {
                self.on_seats(slot, re, performance, ShowCommand::Hold { wanted }, around);
            }
            Op::Release { performance, seats } => {
                self.on_seats(slot, re, performance, ShowCommand::Release { seats }, around);
            }
            Op::Reserve { performance, seats, key } => {
                let command = ShowCommand::Reserve { seats, key, code: new_code() };
                self.on_seats(slot, re, performance, command, around);
            }
            Op::Cancel { performance, reservation } => {
                let command = ShowCommand::Cancel { code: reservation };
                self.on_seats(slot, re, performance, command, around);
            }
            Op::Ping => self.reply(slot, re.as_ref(), &Ok(Answer::Pong)),
            Op::Bye => {
                self.give_up_places(slot, around);
                self.with_chat(slot, |chat| chat.goodbye = Some(Box::new(Goodbye { re })));
                self.leave_all(slot, None, around);
            }
        }
    }

    pub(super) fn with_chat(&mut self, slot: u32, change: impl FnOnce(&mut Chat)) {
        if let Some(chat) = self.conns[slot as usize].chat() {
            change(chat);
        }
    }

    /// A newcomer comes into its listener's room.
    pub(super) fn land(&mut self, slot: u32, room: &RoomName, around: &mut Surroundings<'_, N>) {
        let conn = self.reference(slot);
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let person = chat.person.clone();
        chat.pending = Some(Box::new(Pending::Landing { room: room.clone() }));
        let owner = self.placement.of_nick(&person.nick);
        self.ask_directory(owner, DirectoryMessage::Guest { person: person.clone(), conn }, around);
        let ask = Ask::Join { person, capacity: None, resume: None };
        self.send_to_room(slot, None, room.clone(), ask, around);
    }

    fn say(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        room: Option<RoomName>,
        text: Text,
        key: Option<Key>,
        around: &mut Surroundings<'_, N>,
    ) {
        self.ask_room(slot, re, room, Ask::Say { text, key }, around);
    }

    /// Asks for the name first: who says something under it must be nobody who is here.
    fn post(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        room: RoomName,
        from: Nick,
        text: Text,
        key: Option<Key>,
        around: &mut Surroundings<'_, N>,
    ) {
        let post = Box::new(Post { nick: from.clone(), text, key });
        self.claim_nick(slot, from, Pending::Post { re, room, post }, around);
    }

    fn join(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        room: RoomName,
        resume: Option<ResumeFrom>,
        capacity: Option<u32>,
        echo: Option<bool>,
        around: &mut Surroundings<'_, N>,
    ) {
        if self.has_too_many_rooms(slot, &re, &room) {
            return;
        }
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let person = chat.person.clone();
        chat.pending = Some(Box::new(Pending::Join { room: room.clone(), echo }));
        self.send_to_room(slot, re, room, Ask::Join { person, capacity, resume }, around);
    }

    /// Refuses a room that is one too many.
    pub(super) fn has_too_many_rooms(&mut self, slot: u32, re: &Option<RequestId>, room: &RoomName) -> bool {
        let max = self.config.limits.rooms_per_session;
        let is_limited = is_limited(self.conns[slot as usize].peer.ip());
        let Some(chat) = self.conns[slot as usize].chat() else { return true };
        let is_new = chat.rooms.iter().all(|membership| membership.room != *room);
        let is_too_many = is_new && max > 0 && chat.rooms.len() >= max as usize && is_limited;
        if is_too_many {
            self.refuse(slot, re.clone(), Refusal::TooManyRooms { max });
        }
        is_too_many
    }

    fn leave(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        room: Option<RoomName>,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(room) = self.or_current(slot, &re, room) else { return };
        self.with_chat(slot, |chat| chat.pending = Some(Box::new(Pending::Leave)));
        self.send_to_room(slot, re, room, Ask::Leave { why: None }, around);
    }

    /// Asks a room something whose answer changes nothing here, so the next command need not wait.
    fn ask_room(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        room: Option<RoomName>,
        ask: Ask,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(room) = self.or_current(slot, &re, room) else { return };
        self.send_to_room(slot, re, room, ask, around);
    }

    /// The room that is meant; where none was named and the connection is in none, it is told so.
    fn or_current(&mut self, slot: u32, re: &Option<RequestId>, room: Option<RoomName>) -> Option<RoomName> {
        let current = self.conns[slot as usize].chat()?.current_room().cloned();
        let room = room.or(current);
        if room.is_none() {
            self.refuse(slot, re.clone(), Refusal::InNoRoom);
        }
        room
    }

    /// Sends a question to a room; the answer is counted as owed.
    pub(super) fn send_to_room(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        room: RoomName,
        ask: Ask,
        around: &mut Surroundings<'_, N>,
    ) {
        let from = self.reference(slot);
        if ask.is_answered() {
            self.with_chat(slot, |chat| chat.under_way += 1);
        }
        let shard = self.placement.of_room(&room);
        around.out.send(shard, Message::Room(RoomMessage { room, from, re, ask }));
    }

    fn tell(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        to: Nick,
        text: Text,
        around: &mut Surroundings<'_, N>,
    ) {
        if let Some(lobby) = self.lobby_with(slot, &to) {
            self.with_chat(slot, |chat| chat.pending = Some(Box::new(Pending::Answer)));
            return self.ask_lobby(slot, re, Some(lobby), LobbyAsk::Tell { to, text }, around);
        }
        let reply_to = self.reference(slot);
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        chat.under_way += 1;
        chat.pending = Some(Box::new(Pending::Answer));
        let from = chat.person.nick.clone();
        let owner = self.placement.of_nick(&to);
        self.ask_directory(owner, DirectoryMessage::Tell { to, from, text, reply_to, re }, around);
    }

    fn list_rooms(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        prefix: Option<SmolStr>,
        limit: usize,
        around: &mut Surroundings<'_, N>,
    ) {
        let to = self.reference(slot);
        let shards: Vec<ShardId> = self.placement.shards().collect();
        let pending = Pending::Rooms { re, shards_left: shards.len(), limit, rooms: Vec::new() };
        self.with_chat(slot, |chat| {
            chat.pending = Some(Box::new(pending));
            chat.under_way += 1;
        });
        for shard in shards {
            let list = ListRooms { to, prefix: prefix.clone(), limit };
            around.out.send(shard, Message::ListRooms(Box::new(list)));
        }
    }

    fn change_nick(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        nick: Nick,
        around: &mut Surroundings<'_, N>,
    ) {
        self.claim_nick(slot, nick, Pending::Nick { re }, around);
    }

    pub(super) fn claim_nick(
        &mut self,
        slot: u32,
        nick: Nick,
        pending: Pending,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(holder) = self.holder(slot) else { return };
        let holds = !matches!(pending, Pending::Post { .. });
        self.with_chat(slot, |chat| {
            chat.pending = Some(Box::new(pending));
            chat.under_way += 1;
        });
        let owner = self.placement.of_nick(&nick);
        let person = Arc::new(Person { nick, session: holder.session });
        let claim = DirectoryMessage::ClaimNick { person, conn: holder.conn, holds };
        self.ask_directory(owner, claim, around);
    }

    pub(super) fn hello(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        nick: Option<Nick>,
        resume: Option<&str>,
        seen: Option<Seen>,
        around: &mut Surroundings<'_, N>,
    ) {
        let session = resume.and_then(|token| self.tokens.verify(token));
        let Some(holder) = self.holder(slot) else { return };
        let is_other = session.filter(|session| *session != holder.session);
        if let Some(session) = is_other {
            self.resume(slot, re, nick, session, seen, around);
        } else if let Some(nick) = nick {
            let resumed = session.is_some();
            self.claim_nick(slot, nick, Pending::HelloNick { re, resumed, is_wanted: true }, around);
        } else {
            self.welcome(slot, re.as_ref(), session.is_some(), around);
        }
    }

    /// Asks the owner of the presented session for what is remembered of it.
    fn resume(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        nick: Option<Nick>,
        session: SessionId,
        seen: Option<Seen>,
        around: &mut Surroundings<'_, N>,
    ) {
        let wants_trail = seen.is_some();
        let Some(mut holder) = self.holder(slot) else { return };
        holder.session = session;
        self.with_chat(slot, |chat| {
            chat.pending = Some(Box::new(Pending::Resume { re, nick, session, seen: seen.map(Box::new) }));
            chat.under_way += 1;
        });
        let owner = self.placement.of_session(session);
        self.ask_directory(owner, DirectoryMessage::ResumeSession { holder, wants_trail }, around);
    }

    /// The rest of the connection is JSON, in which one's own messages come back where nothing else is said.
    fn speak_json(&mut self, slot: u32) {
        if let Some(Chat { tongue: Tongue::Lines(lines), .. }) = self.conns[slot as usize].chat() {
            let decoder = std::mem::replace(&mut lines.decoder, madang_wire::LineDecoder::json());
            lines.decoder = decoder.into_json();
            lines.is_json = true;
        }
        self.set_echo(slot, true);
        self.reform(slot);
    }
}
