//! What may be asked of a room, and the two ways in which a room says yes.

use smallvec::SmallVec;

use crate::{Event, Key, Nick, Seq, SessionId, Text};

/// Something asked of a room.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Come in; the first to do so makes the room.
    Join {
        /// The capacity of the room, where this makes it.
        capacity: Option<u32>,
    },
    /// Say something to everybody here.
    Say {
        /// What.
        text: Text,
        /// The client's own name for this command, to ask again with.
        key: Option<Key>,
    },
    /// Set the topic.
    Topic {
        /// To what.
        text: Text,
    },
    /// Set the capacity.
    Capacity {
        /// To how many members; 0 is no limit.
        capacity: u32,
    },
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Their name.
    pub nick: Nick,
    /// Their session: what keys and a room's making belong to.
    pub session: SessionId,
    /// Are they in the room?
    pub is_member: bool,
    /// Have they presented the configured secret?
    pub is_host: bool,
}

/// The events that one command became: one, for nearly every command.
pub type Events = SmallVec<[Event; 1]>;

/// A room's yes.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// These events happen now, in this order, all of them. None, where nothing changes.
    Record(Events),
    /// The command has taken effect before, at this position: its key was seen.
    Already(Seq),
}

/// A lobby's or a show's yes: what happens now, and what the one who asked is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided<Outcome> {
    /// These events happen now, in this order, all of them. None, where nothing changes.
    pub events: Events,
    /// What became of the command, whether or not it changed anything.
    pub outcome: Outcome,
}

impl<Outcome> Decided<Outcome> {
    pub(crate) fn unchanged(outcome: Outcome) -> Decided<Outcome> {
        Decided { events: Events::new(), outcome }
    }
}
