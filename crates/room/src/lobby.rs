//! Lobbies: who has checked in, and in which group.
//!
//! Invariants: a group has at most `group_size` places taken; an id and a session have at most one place; a newcomer
//! gets the lowest-numbered group with a free place, so no number means two groups as long as it has members.
//! Elsewhere: whose connection is alive and for how long a lost one keeps its place (callers say when that is over),
//! what is said in the groups (each is a chat room of its own), wording (`madang-wire`).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::smallvec;
use smol_str::SmolStr;

use crate::{
    Actor, Decided, Entry, Event, Events, IdPattern, NameError, Participant, ROOM_BYTES_MAX, Refusal,
    RoomName, SessionId, Text, Timestamp,
};

/// Bytes in the name of a lobby: its groups' names have `/` and up to ten digits more.
pub const LOBBY_BYTES_MAX: usize = ROOM_BYTES_MAX - 11;

/// How a lobby sorts people. It is configuration, not history: another group size holds for whoever checks in next,
/// and puts nobody out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LobbySettings {
    /// Places in a group, at least 1.
    pub group_size: u32,
    /// Which ids there are.
    pub pattern: IdPattern,
    /// What a check-in with an id that somebody else holds gets.
    pub duplicate: Duplicate,
}

/// What happens when an id checks in that another session holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicate {
    /// The newer one is refused.
    #[default]
    Refuse,
    /// The newer one takes the place over, in the same group.
    Replace,
}

/// Something asked of a lobby.
#[derive(Clone, Debug, PartialEq)]
pub enum LobbyCommand {
    /// Get a place in a group.
    Checkin {
        /// The id as it was typed: what it is, the lobby's pattern says.
        participant: SmolStr,
    },
    /// Give one's place back.
    Checkout,
    /// The server's own: a session did not come back in time. Of one whose place is somebody else's by now, or that
    /// has none, it takes nothing. Who asks makes no difference.
    Lapse {
        /// Which session.
        session: SessionId,
    },
    /// Clap once, for the whole lobby to see. Only who is checked in may.
    Clap,
    /// Speak to all groups. Only a host may.
    Announce {
        /// What.
        text: Text,
    },
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LobbyOutcome {
    /// The session has a place; it has had it already where there are no events.
    CheckedIn {
        /// The id, in its one spelling.
        participant: Participant,
        /// The group's number.
        group: u32,
        /// The session that had the place until now, and has to be told.
        replaced: Option<SessionId>,
    },
    /// The place is free.
    CheckedOut {
        /// Whose it was.
        participant: Participant,
        /// The group's number.
        group: u32,
        /// How long they had it.
        stayed: Duration,
    },
    /// There was no place to take.
    NothingLapsed,
    /// It has been counted.
    Clapped {
        /// How often that has happened now.
        claps: u64,
    },
    /// It is said.
    Announced,
}

/// One participant's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The group's number, from 1.
    pub group: u32,
    /// Whose it is.
    pub session: SessionId,
    /// Since when.
    pub since: Timestamp,
}

/// The state of one lobby: a fold over its log, and its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Lobby {
    name: RoomName,
    settings: LobbySettings,
    places: BTreeMap<Participant, Place>,
    by_session: HashMap<SessionId, Participant>,
    /// The members of each group that has any, in the order in which they came.
    groups: BTreeMap<u32, Vec<Participant>>,
    /// The lowest-numbered group with a free place.
    next_group: u32,
    claps: u64,
}

impl Lobby {
    /// A lobby in which nothing has happened yet. Its name has passed [`Lobby::check_name`].
    pub fn new(name: RoomName, settings: LobbySettings) -> Lobby {
        Lobby {
            name,
            settings,
            places: BTreeMap::new(),
            by_session: HashMap::new(),
            groups: BTreeMap::new(),
            next_group: 1,
            claps: 0,
        }
    }

    /// Can a lobby have this name, so that its groups can have theirs?
    ///
    /// # Errors
    /// Where it has a `/`, or more than [`LOBBY_BYTES_MAX`] bytes.
    pub fn check_name(name: &RoomName) -> Result<(), NameError> {
        let bytes = name.as_str().len();
        match bytes {
            _ if name.is_inner() => Err(NameError::Slash),
            _ if bytes > LOBBY_BYTES_MAX => Err(NameError::TooLong { bytes, max: LOBBY_BYTES_MAX }),
            _ => Ok(()),
        }
    }

    /// The lobby's name.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// How it sorts people.
    pub fn settings(&self) -> &LobbySettings {
        &self.settings
    }

    /// The chat room of a group: `day19/3`.
    pub fn group_room(&self, group: u32) -> RoomName {
        self.name.numbered(group)
    }

    /// The groups that have members, by number, with the members in the order in which they came.
    pub fn groups(&self) -> impl Iterator<Item = (u32, &[Participant])> {
        self.groups.iter().map(|(group, members)| (*group, members.as_slice()))
    }

    /// The members of a group.
    pub fn members(&self, group: u32) -> &[Participant] {
        self.groups.get(&group).map_or(&[], Vec::as_slice)
    }

    /// Everybody who is checked in.
    pub fn places(&self) -> impl Iterator<Item = (&Participant, &Place)> {
        self.places.iter()
    }

    /// The place of a session.
    pub fn place_of(&self, session: SessionId) -> Option<(&Participant, &Place)> {
        let participant = self.by_session.get(&session)?;
        self.places.get_key_value(participant)
    }

    /// The place of whoever is checked in under the id that somebody typed.
    pub fn find(&self, raw: &str) -> Option<(&Participant, &Place)> {
        let participant = self.settings.pattern.participant(raw).ok()?;
        self.places.get_key_value(&participant)
    }

    /// How often somebody has clapped.
    pub fn claps(&self) -> u64 {
        self.claps
    }

    /// Works out what `command` would change. Changes nothing.
    pub fn decide(
        &self,
        command: &LobbyCommand,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Decided<LobbyOutcome>, Refusal> {
        match command {
            LobbyCommand::Checkin { participant } => self.decide_checkin(participant, actor.session),
            LobbyCommand::Checkout => {
                self.decide_checkout(actor.session, now).ok_or_else(|| self.not_checked_in())
            }
            LobbyCommand::Lapse { session } => {
                let nothing = Decided::unchanged(LobbyOutcome::NothingLapsed);
                Ok(self.decide_checkout(*session, now).unwrap_or(nothing))
            }
            LobbyCommand::Clap if !self.by_session.contains_key(&actor.session) => Err(self.not_checked_in()),
            LobbyCommand::Clap => {
                let claps = self.claps.saturating_add(1);
                let events = smallvec![Event::Clapped { claps }];
                Ok(Decided { events, outcome: LobbyOutcome::Clapped { claps } })
            }
            LobbyCommand::Announce { .. } if !actor.is_host => Err(Refusal::NotAHost),
            LobbyCommand::Announce { text } => {
                let events = smallvec![Event::Announced { from: actor.nick.clone(), text: text.clone() }];
                Ok(Decided { events, outcome: LobbyOutcome::Announced })
            }
        }
    }

    fn decide_checkin(&self, typed: &str, session: SessionId) -> Result<Decided<LobbyOutcome>, Refusal> {
        let participant = self.settings.pattern.participant(typed)?;
        if let Some((own, place)) = self.place_of(session) {
            let group = place.group;
            return match *own == participant {
                true => {
                    Ok(Decided::unchanged(LobbyOutcome::CheckedIn { participant, group, replaced: None }))
                }
                false => Err(Refusal::AlreadyCheckedIn { participant: own.clone(), group }),
            };
        }
        let held = self.places.get(&participant);
        let group = held.map_or(self.next_group, |place| place.group);
        let mut events = Events::new();
        if held.is_some() {
            if self.settings.duplicate == Duplicate::Refuse {
                return Err(Refusal::IdInUse { participant, group });
            }
            events.push(Event::Ungrouped { participant: participant.clone(), group });
        }
        events.push(Event::Grouped { participant: participant.clone(), group, by: session });
        let replaced = held.map(|place| place.session);
        Ok(Decided { events, outcome: LobbyOutcome::CheckedIn { participant, group, replaced } })
    }

    fn decide_checkout(&self, session: SessionId, now: Timestamp) -> Option<Decided<LobbyOutcome>> {
        let (participant, place) = self.place_of(session)?;
        let (participant, group, stayed) = (participant.clone(), place.group, now.since(place.since));
        let events = smallvec![Event::Ungrouped { participant: participant.clone(), group }];
        Some(Decided { events, outcome: LobbyOutcome::CheckedOut { participant, group, stayed } })
    }

    /// What somebody without a place is told, also when they just say something: how to get one.
    pub fn not_checked_in(&self) -> Refusal {
        Refusal::NotCheckedIn { lobby: self.name.clone(), pattern: Box::new(self.settings.pattern.clone()) }
    }

    /// Records what happened. Cannot fail: an event is history, and history is not refused.
    pub fn apply(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Grouped { participant, group, by } => {
                let place = Place { group: *group, session: *by, since: entry.at };
                self.insert(participant.clone(), place);
            }
            Event::Ungrouped { participant, .. } => self.remove(participant),
            Event::Clapped { claps } => self.claps = *claps,
            // Told and kept, but nothing follows from it; or another kind of room's, which no `decide` here makes.
            _ => {}
        }
    }

    /// A log that this `decide` has not made may give an id or a session a second place: the later one counts.
    fn insert(&mut self, participant: Participant, place: Place) {
        if let Some(other) = self.by_session.get(&place.session).cloned() {
            self.remove(&other);
        }
        self.remove(&participant);
        self.groups.entry(place.group).or_default().push(participant.clone());
        self.by_session.insert(place.session, participant.clone());
        self.places.insert(participant, place);
        while self.members(self.next_group).len() >= self.settings.group_size.max(1) as usize {
            self.next_group = self.next_group.saturating_add(1);
        }
    }

    fn remove(&mut self, participant: &Participant) {
        let Some(place) = self.places.remove(participant) else { return };
        self.by_session.remove(&place.session);
        if let Some(members) = self.groups.get_mut(&place.group) {
            members.retain(|member| member != participant);
            if members.is_empty() {
                self.groups.remove(&place.group);
            }
        }
        let has_room = self.members(place.group).len() < self.settings.group_size.max(1) as usize;
        if has_room && place.group > 0 {
            self.next_group = self.next_group.min(place.group);
        }
    }

    /// The state in its stored form.
    pub fn save(&self) -> SavedLobby {
        let member = |participant: &Participant| {
            let place = &self.places[participant];
            (participant.to_string(), place.session.to_string(), place.since)
        };
        let group = |(group, members): (u32, &[Participant])| (group, members.iter().map(member).collect());
        SavedLobby { groups: self.groups().map(group).collect(), claps: self.claps }
    }

    /// The state that [`Lobby::save`] stored; `None` where it can't have been written by it.
    pub fn load(name: RoomName, settings: LobbySettings, saved: &SavedLobby) -> Option<Lobby> {
        let mut lobby = Lobby { claps: saved.claps, ..Lobby::new(name, settings) };
        for (group, members) in &saved.groups {
            for (participant, session, since) in members {
                let session = SessionId::parse(session)?;
                let place = Place { group: *group, session, since: *since };
                lobby.insert(Participant::parse(participant)?, place);
            }
        }
        Some(lobby)
    }
}

/// A lobby's state as it is stored beside its log. Fields are only ever added, with a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedLobby {
    /// Each group's number and members, oldest first.
    groups: Vec<(u32, Vec<SavedPlace>)>,
    claps: u64,
}

/// `(participant, session, since)`.
type SavedPlace = (String, String, Timestamp);

#[cfg(test)]
mod tests;
