//! What happened in a room: events, which are its history, and presence, which is not.

use crate::{Nick, Once, Seq, SessionId, Text, Timestamp};

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
