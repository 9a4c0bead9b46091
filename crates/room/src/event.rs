//! What happened in a room: events, which are its history, and presence, which is not.

use crate::{Code, Nick, Once, Participant, SeatId, SeatStatus, Seq, SessionId, Text, Timestamp};

/// Something that happened in a room and lasts: it has a place in the room's log.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The room was made. Always the first event.
    Created {
        /// The name of who made it.
        from: Nick,
        /// The session that made it, and so may set its topic and capacity. Told to nobody.
        by: SessionId,
    },
    /// Somebody said something.
    Said {
        /// Who.
        from: Nick,
        /// What.
        text: Text,
        /// The command's own name, where the client gave it one. Told to nobody.
        once: Option<Box<Once>>,
    },
    /// The topic was set.
    Topic {
        /// By whom.
        from: Nick,
        /// To what.
        text: Text,
    },
    /// The capacity was set.
    Capacity {
        /// By whom.
        from: Nick,
        /// To how many members; 0 is no limit.
        capacity: u32,
    },
    /// Somebody checked in at a lobby and has a place in a group.
    Grouped {
        /// Who.
        participant: Participant,
        /// The group's number, from 1.
        group: u32,
        /// The session whose place it is. Told to nobody.
        by: SessionId,
    },
    /// A place in a group is free again.
    Ungrouped {
        /// Whose it was.
        participant: Participant,
        /// The group's number.
        group: u32,
    },
    /// Somebody in a lobby clapped.
    Clapped {
        /// How often that has happened now.
        claps: u64,
    },
    /// A host spoke to all groups of a lobby.
    Announced {
        /// Who.
        from: Nick,
        /// What.
        text: Text,
    },
    /// Seats of a performance changed hands.
    Seats(Box<Seats>),
}

impl Event {
    /// The first event of a room that the server makes: a lobby, a group, a performance. Nobody rules it.
    pub fn created_by_server() -> Event {
        Event::Created { from: Nick::server(), by: SessionId::SERVER }
    }

    /// Bytes of what has no small bound in it: what is said, and the seats that are named.
    pub fn content_bytes(&self) -> usize {
        match self {
            Event::Said { text, .. } | Event::Topic { text, .. } | Event::Announced { text, .. } => {
                text.as_str().len()
            }
            Event::Seats(seats) => seats.seats.iter().map(|seat| seat.as_str().len() + SEAT_BYTES).sum(),
            Event::Created { .. }
            | Event::Capacity { .. }
            | Event::Grouped { .. }
            | Event::Ungrouped { .. }
            | Event::Clapped { .. } => 0,
        }
    }
}

/// What a seat in an event takes beside its id: a status and what separates them on the wire.
const SEAT_BYTES: usize = 16;

/// What one command did to seats: all of them, or it would not be an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Seats {
    /// Which, in the order of the seat map.
    pub seats: Vec<SeatId>,
    /// What they are from now on.
    pub now: SeatsNow,
}

/// What seats are from an event on. Only [`SeatsNow::status`] is told to others.
#[derive(Clone, Debug, PartialEq)]
pub enum SeatsNow {
    /// Anybody's: given back, cancelled, or their hold has ended.
    Free,
    /// Kept for one session until a moment.
    Held {
        /// Whose.
        by: SessionId,
        /// From then on they count as free.
        until: Timestamp,
    },
    /// Sold.
    Reserved {
        /// What cancels the reservation: a secret between it and the server.
        code: Code,
        /// The command's own name, where the client gave it one.
        asked: Option<Box<Asked>>,
    },
}

impl SeatsNow {
    /// What everybody may know of it.
    pub fn status(&self) -> SeatStatus {
        match self {
            SeatsNow::Free => SeatStatus::Free,
            SeatsNow::Held { .. } => SeatStatus::Held,
            SeatsNow::Reserved { .. } => SeatStatus::Reserved,
        }
    }
}

/// A command that may be asked again, and what tells it from another one with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub once: Once,
    /// Of what it asked for, which the event need not say.
    pub fingerprint: u64,
}

/// An event and its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its position, one more than the entry's before it.
    pub seq: Seq,
    /// When the room decided it.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// Who is here right now: told to members in order with everything else, but no history.
#[derive(Clone, Debug, PartialEq)]
pub enum Presence {
    /// Somebody came in.
    Joined {
        /// Who.
        nick: Nick,
    },
    /// Somebody left.
    Left {
        /// Who.
        nick: Nick,
        /// Why, where it was not their own wish.
        why: Option<WhyLeft>,
    },
    /// Somebody has another name.
    Renamed {
        /// Until now.
        from: Nick,
        /// From now on.
        to: Nick,
    },
    /// In a lobby's group: somebody checked in.
    Grouped {
        /// Who.
        nick: Nick,
        /// Under which id.
        participant: Participant,
        /// The group's number.
        group: u32,
    },
    /// In a lobby's group: somebody's place is free again.
    Ungrouped {
        /// Who.
        nick: Nick,
        /// Under which id.
        participant: Participant,
        /// The group's number.
        group: u32,
        /// Why, where it was not their own wish.
        why: Option<WhyLeft>,
    },
    /// In a large room, once a second instead of the others: how many are here.
    Count {
        /// Members now.
        count: usize,
    },
}

/// Why somebody left who had not asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyLeft {
    /// The connection ended without a word.
    Lost,
    /// The client did not read what it was sent.
    Stuck,
    /// The client said nothing for the listener's idle timeout.
    Idle,
    /// The same session came in by another connection.
    Replaced,
}

impl WhyLeft {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            WhyLeft::Lost => "lost",
            WhyLeft::Stuck => "stuck",
            WhyLeft::Idle => "idle",
            WhyLeft::Replaced => "replaced",
        }
    }
}
