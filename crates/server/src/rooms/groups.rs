//! The rooms of a lobby's groups: who may come in, and what becomes of places whose holder is gone. And the list of
//! performances.
//!
//! A lobby and its groups live on one shard, so the lobby's state is at hand when somebody knocks.

use std::sync::Arc;
use std::time::Duration;

use madang_room::{Nick, Refusal, RoomName, SessionId, Timestamp};

use super::kinds::Kind;
use super::state::State;
use super::{Rooms, Slot, WAITING_MAX, refuse};
use crate::message::{Ask, AskLobby, ConnAnswer, LobbyAsk, Outgoing, Person, RoomMessage};
use crate::placement::ConnRef;

impl Rooms {
    /// Lets a message through to its room, if it may. Into a group's room comes who has a place there; who knocks while
    /// the lobby is being loaded waits for it.
    pub(super) fn admit(
        &mut self,
        message: RoomMessage,
        now: Timestamp,
        out: &mut Outgoing,
    ) -> Option<RoomMessage> {
        if !message.room.is_inner() {
            return Some(message);
        }
        let (lobby, number, grace) = match self.kinds.of(&message.room) {
            Kind::Group { lobby, number } => (lobby.name.clone(), number, lobby.grace),
            Kind::Nothing => {
                let show = message.room.to_string();
                refuse(message, Refusal::NoSuchShow { show }, out);
                return None;
            }
            Kind::Chat | Kind::Lobby(_) | Kind::Performance(_) => return Some(message),
        };
        match &message.ask {
            Ask::Leave { .. } => self.attendance.went(&lobby, &message.room, message.from, now.plus(grace)),
            Ask::Rename { person } => {
                let before = self.attendance.session(&lobby, message.from);
                if before.is_some_and(|before| before != person.session) {
                    self.attendance.went(&lobby, &message.room, message.from, now.plus(grace));
                }
            }
            Ask::Join { person, .. } => {
                let refusal = match self.rooms.get_mut(&lobby) {
                    Some(Slot::Open(room)) => room.check_place(person.session, number).err(),
                    Some(Slot::Loading(loading)) if loading.waiting.len() < WAITING_MAX => {
                        loading.waiting.push(message);
                        return None;
                    }
                    _ => Some(Refusal::Unavailable { room: lobby }),
                };
                if let Some(refusal) = refusal {
                    refuse(message, refusal, out);
                    return None;
                }
            }
            // Who is not there has no place there.
            Ask::Post(_) => {
                let room = message.room.clone();
                refuse(message, Refusal::NotAMember { room }, out);
                return None;
            }
            _ => {}
        }
        Some(message)
    }

    /// How long a place in a lobby is kept for a lost connection.
    pub(super) fn grace(&self, lobby: &RoomName) -> Duration {
        match self.kinds.of(lobby) {
            Kind::Lobby(rule) => rule.grace,
            _ => Duration::ZERO,
        }
    }

    pub(super) fn is_lasting(&self, room: &RoomName) -> bool {
        matches!(self.kinds.of(room), Kind::Lobby(_) | Kind::Performance(_))
    }

    /// A lobby was loaded: who has a place and isn't there may come back for it.
    pub(super) fn look_around(&mut self, name: &RoomName, now: Timestamp) {
        let until = now.plus(self.grace(name));
        if let Some(Slot::Open(room)) = self.rooms.get(name)
            && let State::Lobby(lobby) = &room.state
        {
            self.attendance.reconcile(name, lobby.places().map(|(_, place)| place.session), until);
        }
    }

    /// Frees the places whose holders have not come back in time.
    pub(super) fn lapse(&mut self, now: Timestamp, out: &mut Outgoing) {
        while let Some((lobby, session)) = self.attendance.pop_due(now) {
            let message = lapse_of(lobby, session);
            self.handle(message, now, out);
        }
    }

    /// How many seats of this shard's performances are free.
    pub(crate) fn list_shows(&self, to: ConnRef, out: &mut Outgoing) {
        let free = self.rooms.iter().filter_map(|(name, slot)| match slot {
            Slot::Open(room) => Some((name.clone(), room.free_seats()?)),
            Slot::Loading(_) => None,
        });
        out.tell_conn(to, ConnAnswer::Shows { free: free.collect() });
    }
}

fn lapse_of(lobby: RoomName, session: SessionId) -> RoomMessage {
    let person = Arc::new(Person { nick: Nick::server(), session });
    let ask = Ask::Lobby(Box::new(AskLobby { person, is_host: false, what: LobbyAsk::Lapse }));
    RoomMessage { room: lobby, from: ConnRef::NOBODY, re: None, ask }
}
