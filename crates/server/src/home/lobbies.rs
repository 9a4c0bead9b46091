//! The way into a lobby's groups and out again, as a connection goes it: the lobby gives a place, then the lobby's room
//! and the group's are entered, then the client is answered.
//!
//! Elsewhere: who gets which place, and what becomes of it when the connection is lost (`rooms`).

use madang_room::{Nick, Refusal, RoomName, WhyLeft};
use madang_wire::{Answer, RequestId, Secret};
use smol_str::SmolStr;

use super::conn::{Pending, Phase};
use super::{Home, Surroundings};
use crate::config::Service;
use crate::message::{Ask, AskLobby, CameIn, Freed, LobbyAsk, Placed};
use crate::net::Net;

impl<N: Net> Home<N> {
    pub(super) fn become_host(&mut self, slot: u32, re: Option<RequestId>, secret: &Secret) {
        if !self.host.is(secret.as_str()) {
            return self.refuse(slot, re, Refusal::WrongSecret);
        }
        self.with_chat(slot, |chat| chat.is_host = true);
        self.reply(slot, re.as_ref(), &Ok(Answer::Host));
    }

    pub(super) fn check_in(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        lobby: Option<RoomName>,
        participant: SmolStr,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(lobby) = self.or_lobby(slot, &re, lobby) else { return };
        self.with_chat(slot, |chat| chat.pending = Some(Box::new(Pending::Checkin)));
        self.ask_lobby(slot, re, Some(lobby), LobbyAsk::Checkin { participant }, around);
    }

    pub(super) fn check_out(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        lobby: Option<RoomName>,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(lobby) = self.or_lobby(slot, &re, lobby) else { return };
        self.with_chat(slot, |chat| chat.pending = Some(Box::new(Pending::Checkout)));
        self.ask_lobby(slot, re, Some(lobby), LobbyAsk::Checkout, around);
    }

    pub(super) fn ask_lobby(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        lobby: Option<RoomName>,
        what: LobbyAsk,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(lobby) = self.or_lobby(slot, &re, lobby) else { return };
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let ask = AskLobby { person: chat.person.clone(), is_host: chat.is_host, what };
        self.send_to_room(slot, re, lobby, Ask::Lobby(Box::new(ask)), around);
    }

    /// The lobby that is meant: the one that is named, the listener's, or that of the room joined last that is one.
    fn or_lobby(&mut self, slot: u32, re: &Option<RequestId>, lobby: Option<RoomName>) -> Option<RoomName> {
        let lobby = lobby.or_else(|| self.lobby(slot));
        if lobby.is_none() {
            self.refuse(slot, re.clone(), Refusal::NoLobbyHere);
        }
        lobby
    }

    fn lobby(&mut self, slot: u32) -> Option<RoomName> {
        let config = self.config.clone();
        let conn = &mut self.conns[slot as usize];
        if let Service::Lobby { lobby } = &config.listeners[usize::from(conn.listener)].service {
            return Some(lobby.clone());
        }
        let mut rooms = conn.chat()?.rooms.iter().rev();
        rooms.find_map(|membership| Some(config.lobby_of(&membership.room)?.name.clone()))
    }

    /// The lobby in which this is how somebody may be called. An id belongs to whoever has checked in with it, whatever
    /// nicknames there are.
    pub(super) fn lobby_with(&mut self, slot: u32, name: &Nick) -> Option<RoomName> {
        let lobby = self.lobby(slot)?;
        let rule = self.config.lobby_of(&lobby)?;
        rule.settings.pattern.participant(name.as_str()).is_ok().then_some(lobby)
    }

    /// The lobby has answered: whoever has a place goes into its rooms.
    pub(super) fn checked_in(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        result: Result<Box<Placed>, Refusal>,
        around: &mut Surroundings<'_, N>,
    ) {
        self.take_pending(slot);
        match result {
            Err(refusal) => self.refuse(slot, re, refusal),
            // Who is going does not come in; the place lapses.
            Ok(_) if self.conns[slot as usize].phase != Phase::Open => {}
            Ok(placed) => self.enter(slot, re, placed, around),
        }
    }

    /// Into the lobby's room, which tells of claps and hosts, and then the group's, also where one seems to be there
    /// already: only the room knows.
    fn enter(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        placed: Box<Placed>,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let is_in_lobby = chat.rooms.iter().any(|membership| membership.room == placed.lobby);
        let room = if is_in_lobby { &placed.room } else { &placed.lobby }.clone();
        self.leave_groups(slot, &placed.lobby, Some(&placed.room), around);
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let person = chat.person.clone();
        chat.pending = Some(Box::new(Pending::Enter { re, placed, room: room.clone() }));
        let ask = Ask::Join { person, capacity: None, resume: None };
        self.send_to_room(slot, None, room, ask, around);
    }

    /// Out of the rooms of all groups in which one has no place, so far as it turns out only now.
    fn leave_groups(
        &mut self,
        slot: u32,
        lobby: &RoomName,
        but: Option<&RoomName>,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let is_other =
            |room: &&RoomName| room.is_inner() && room.family() == lobby.key() && Some(*room) != but;
        let rooms = chat.rooms.iter().map(|membership| &membership.room).filter(is_other);
        for room in rooms.cloned().collect::<Vec<RoomName>>() {
            self.send_to_room(slot, None, room, Ask::Leave { why: None }, around);
        }
    }

    pub(super) fn entered(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        placed: Box<Placed>,
        result: Result<Box<CameIn>, Refusal>,
        around: &mut Surroundings<'_, N>,
    ) {
        let CameIn { joined, from, .. } = match result {
            Ok(came_in) => *came_in,
            Err(refusal) => return self.refuse(slot, re, refusal),
        };
        let room = joined.room.clone();
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let echo = chat.tongue.echoes();
        self.enter_trail(slot, room.clone(), joined.epoch, joined.seq, false);
        self.add_membership(slot, room.clone(), echo, from);
        match self.conns[slot as usize].phase {
            Phase::Open if room == placed.room => {
                let Placed { group, room, .. } = *placed;
                self.reply(slot, re.as_ref(), &Ok(Answer::CheckedIn { group, room }));
            }
            Phase::Open => self.enter(slot, re, placed, around),
            _ => self.leave_again_if_ending(slot, room, around),
        }
    }

    /// The place is free: out of the group's room, and then the client is answered.
    pub(super) fn checked_out(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        result: Result<Box<Freed>, Refusal>,
        around: &mut Surroundings<'_, N>,
    ) {
        self.take_pending(slot);
        let freed = match result {
            Ok(freed) => freed,
            Err(refusal) => {
                // Nobody may have known so far that the place was free.
                if let Refusal::NotCheckedIn { lobby, .. } = &refusal {
                    self.leave_groups(slot, lobby, None, around);
                }
                return self.refuse(slot, re, refusal);
            }
        };
        let is_open = self.conns[slot as usize].phase == Phase::Open;
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        if !is_open || chat.rooms.iter().all(|membership| membership.room != freed.room) {
            return self.tell_freed(slot, re, &freed);
        }
        let room = freed.room.clone();
        chat.pending = Some(Box::new(Pending::LeaveGroup { re, freed }));
        self.send_to_room(slot, None, room, Ask::Leave { why: None }, around);
    }

    pub(super) fn tell_freed(&mut self, slot: u32, re: Option<RequestId>, freed: &Freed) {
        let Freed { group, stayed, .. } = *freed;
        self.reply(slot, re.as_ref(), &Ok(Answer::CheckedOut { group, stayed }));
    }

    /// Somebody else has the place: out of the group's room.
    pub(super) fn displaced(
        &mut self,
        slot: u32,
        room: RoomName,
        why: Refusal,
        around: &mut Surroundings<'_, N>,
    ) {
        self.refuse(slot, None, why);
        let is_open = self.conns[slot as usize].phase == Phase::Open;
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        if is_open && chat.rooms.iter().any(|membership| membership.room == room) {
            self.send_to_room(slot, None, room, Ask::Leave { why: Some(WhyLeft::Replaced) }, around);
        }
    }

    /// Who says goodbye does not come back: the places need not be kept.
    pub(super) fn give_up_places(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let config = self.config.clone();
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let groups = chat.rooms.iter().filter(|membership| membership.room.is_inner());
        let lobbies = groups.filter_map(|membership| config.lobby_of(&membership.room));
        let lobbies: Vec<RoomName> = lobbies.map(|lobby| lobby.name.clone()).collect();
        for lobby in lobbies {
            self.ask_lobby(slot, None, Some(lobby), LobbyAsk::Lapse, around);
        }
    }
}
