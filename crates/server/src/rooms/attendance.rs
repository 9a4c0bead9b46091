//! Who of those with a place in a lobby is there, and until when the others may come back.
//!
//! Invariant: whoever has a place either has a connection in the group's room or a moment at which the place lapses.
//! Elsewhere: the places themselves (`madang-room`), the rooms of the groups (`groups`).

use std::collections::{BTreeSet, HashMap};

use madang_room::{Nick, RoomName, SessionId, Timestamp};

use crate::placement::ConnRef;

/// A session's place in a lobby.
type Key = (RoomName, SessionId);

#[derive(Default)]
pub(super) struct Attendance {
    attendees: HashMap<Key, Attendee>,
    /// Who is in a group's room by which connection.
    by_conn: HashMap<(RoomName, ConnRef), (SessionId, RoomName)>,
    due: BTreeSet<(Timestamp, RoomName, SessionId)>,
}

struct Attendee {
    nick: Option<Nick>,
    whereabouts: Whereabouts,
}

#[derive(Clone, Copy)]
enum Whereabouts {
    Here(ConnRef),
    /// The place lapses then.
    Away(Timestamp),
    /// That moment has come.
    Lapsing,
}

impl Attendance {
    /// Somebody got a place and is on the way into the group's room.
    pub(super) fn expect(&mut self, lobby: &RoomName, session: SessionId, nick: &Nick, until: Timestamp) {
        let key = (lobby.clone(), session);
        if !matches!(self.whereabouts(&key), Some(Whereabouts::Here(_))) {
            self.set(key, Some(nick), Whereabouts::Away(until));
        }
    }

    /// Somebody with a place is in the group's room.
    pub(super) fn came(
        &mut self,
        lobby: &RoomName,
        room: &RoomName,
        session: SessionId,
        nick: &Nick,
        conn: ConnRef,
    ) {
        self.set((lobby.clone(), session), Some(nick), Whereabouts::Here(conn));
        self.by_conn.insert((lobby.clone(), conn), (session, room.clone()));
    }

    /// A connection has left a group's room. It may be in another one by now.
    pub(super) fn went(&mut self, lobby: &RoomName, room: &RoomName, conn: ConnRef, until: Timestamp) {
        if let Some((session, _)) =
            self.by_conn.get(&(lobby.clone(), conn)).filter(|(_, here)| here == room).cloned()
        {
            self.set((lobby.clone(), session), None, Whereabouts::Away(until));
        }
    }

    /// Of those who have a place: who isn't there may come back until then.
    pub(super) fn reconcile(
        &mut self,
        lobby: &RoomName,
        places: impl Iterator<Item = SessionId>,
        until: Timestamp,
    ) {
        for session in places {
            let key = (lobby.clone(), session);
            if matches!(self.whereabouts(&key), None | Some(Whereabouts::Lapsing)) {
                self.set(key, None, Whereabouts::Away(until));
            }
        }
    }

    /// Tries again later.
    pub(super) fn postpone(&mut self, lobby: &RoomName, session: SessionId, until: Timestamp) {
        let key = (lobby.clone(), session);
        if matches!(self.whereabouts(&key), Some(Whereabouts::Lapsing)) {
            self.set(key, None, Whereabouts::Away(until));
        }
    }

    /// The place has lapsed.
    pub(super) fn forget(&mut self, lobby: &RoomName, session: SessionId) {
        let key = (lobby.clone(), session);
        if matches!(self.whereabouts(&key), Some(Whereabouts::Lapsing)) {
            self.attendees.remove(&key);
        }
    }

    /// The next place whose moment has come.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(RoomName, SessionId)> {
        self.due.first().filter(|(due, ..)| *due <= now)?;
        let (_, lobby, session) = self.due.pop_first()?;
        self.set((lobby.clone(), session), None, Whereabouts::Lapsing);
        Some((lobby, session))
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, ..)| *due)
    }

    /// The connection by which a session is in its group's room.
    pub(super) fn conn(&self, lobby: &RoomName, session: SessionId) -> Option<ConnRef> {
        match self.whereabouts(&(lobby.clone(), session)) {
            Some(Whereabouts::Here(conn)) => Some(conn),
            _ => None,
        }
    }

    /// The session that is in the lobby's groups by this connection.
    pub(super) fn session(&self, lobby: &RoomName, conn: ConnRef) -> Option<SessionId> {
        self.by_conn.get(&(lobby.clone(), conn)).map(|(session, _)| *session)
    }

    /// The last name of a session, where it has been seen since the start.
    pub(super) fn nick(&self, lobby: &RoomName, session: SessionId) -> Option<&Nick> {
        self.attendees.get(&(lobby.clone(), session))?.nick.as_ref()
    }

    fn whereabouts(&self, key: &Key) -> Option<Whereabouts> {
        self.attendees.get(key).map(|attendee| attendee.whereabouts)
    }

    fn set(&mut self, key: Key, nick: Option<&Nick>, whereabouts: Whereabouts) {
        let (lobby, session) = key.clone();
        match self.whereabouts(&key) {
            Some(Whereabouts::Here(conn)) => drop(self.by_conn.remove(&(lobby.clone(), conn))),
            Some(Whereabouts::Away(until)) => drop(self.due.remove(&(until, lobby.clone(), session))),
            Some(Whereabouts::Lapsing) | None => {}
        }
        match whereabouts {
            Whereabouts::Away(until) => drop(self.due.insert((until, lobby, session))),
            Whereabouts::Here(_) | Whereabouts::Lapsing => {}
        }
        let attendee = self.attendees.entry(key).or_insert(Attendee { nick: None, whereabouts });
        attendee.whereabouts = whereabouts;
        if let Some(nick) = nick {
            attendee.nick = Some(nick.clone());
        }
    }
}
