//! What a client is told, whatever it is written in.

use std::sync::Arc;
use std::time::Duration;

use madang_room::{
    Code, Entry, Nick, Participant, Presence, Refusal, RoomName, SeatId, SeatMap, SeatStatus, Seq, SessionId,
    Text, Timestamp,
};
use smol_str::SmolStr;

/// The yes to a request.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "docs/protocol.md describes each reply and its fields; this is the same list")]
pub enum Answer {
    Welcome(Box<Welcome>),
    /// `from` is the name until now.
    Nick {
        from: Nick,
        nick: Nick,
    },
    Joined(Box<Joined>),
    Left {
        room: RoomName,
    },
    /// A message, topic or capacity that is event `seq` now.
    Recorded {
        seq: Seq,
    },
    Topic {
        room: RoomName,
        topic: Option<Text>,
    },
    Told {
        to: Nick,
        text: Text,
    },
    Rooms {
        rooms: Vec<RoomRow>,
    },
    /// `members`: none where there are more than the presence limit.
    Who {
        room: RoomName,
        count: usize,
        members: Option<Vec<Nick>>,
    },
    History(Box<History>),
    /// Of `host`.
    Host,
    /// `room` is the group's.
    CheckedIn {
        group: u32,
        room: RoomName,
    },
    CheckedOut {
        group: u32,
        stayed: Duration,
    },
    Groups {
        groups: Vec<GroupRow>,
    },
    Clapped {
        claps: u64,
    },
    Shows {
        shows: Vec<ShowRow>,
    },
    Watching(Box<Watching>),
    /// Of `/seats` and of a GET.
    Seats(Box<Seating>),
    /// `until`: when the first of these holds ends.
    Held {
        seats: Vec<SeatId>,
        until: Timestamp,
    },
    Released {
        seats: Vec<SeatId>,
    },
    Reserved {
        seats: Vec<SeatId>,
        reservation: Code,
    },
    Cancelled {
        seats: Vec<SeatId>,
    },
    /// Of `echo`.
    Echo {
        on: bool,
    },
    /// Lines of help (text doors only).
    Help {
        lines: Vec<String>,
    },
    /// Of `ping`.
    Pong,
    /// Of `bye`.
    Bye,
}

/// The answer to `hello`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "docs/protocol.md describes the fields")]
pub struct Welcome {
    pub session: SessionId,
    pub resume: SmolStr,
    pub resumed: bool,
    pub nick: Nick,
    /// `madang/` and the version.
    pub server: &'static str,
}

/// The answer to `join`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "docs/protocol.md describes the fields")]
pub struct Joined {
    pub room: RoomName,
    /// `chat`, `lobby`, `show`.
    pub kind: &'static str,
    pub epoch: SmolStr,
    /// The newest event when the client came in.
    pub seq: Seq,
    pub count: usize,
    /// None where there are more than the presence limit.
    pub members: Option<Vec<Nick>>,
    pub capacity: u32,
    pub topic: Option<Text>,
    /// What the client has seen is not this room's past: nothing is replayed.
    pub reset: bool,
}

/// The answer to `history`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "docs/protocol.md describes the fields")]
pub struct History {
    pub room: RoomName,
    pub events: Vec<Entry>,
    /// The oldest that is still kept.
    pub first: Seq,
    /// The newest.
    pub seq: Seq,
    pub epoch: SmolStr,
}

/// One row of the answer to `rooms`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "docs/protocol.md describes the fields")]
pub struct RoomRow {
    pub room: RoomName,
    pub kind: &'static str,
    pub count: usize,
    pub capacity: u32,
}

/// One row of the answer to `groups`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "docs/protocol.md describes the fields")]
pub struct GroupRow {
    pub group: u32,
    pub participants: Vec<Participant>,
}

/// One row of the answer to `shows`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "docs/protocol.md describes the fields")]
pub struct ShowRow {
    pub show: SmolStr,
    pub title: Text,
    pub place: Option<Text>,
    pub performances: Vec<PerformanceRow>,
}

/// One performance of a [`ShowRow`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "docs/protocol.md describes the fields")]
pub struct PerformanceRow {
    pub performance: RoomName,
    /// RFC 3339, with the offset of the place: as the show's definition has it.
    pub at: SmolStr,
    pub free: usize,
}

/// The answer to `watch`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "docs/protocol.md describes the fields")]
pub struct Watching {
    pub joined: Joined,
    pub map: Arc<SeatMap>,
    /// Of each seat, in the order of the map, at `joined.seq`.
    pub status: Vec<SeatStatus>,
    /// What the session holds, and until when.
    pub mine: Vec<(SeatId, Timestamp)>,
}

/// A performance's seats at one moment.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "docs/protocol.md describes the fields")]
pub struct Seating {
    pub performance: RoomName,
    pub epoch: SmolStr,
    pub seq: Seq,
    pub map: Arc<SeatMap>,
    /// Of each seat, in the order of the map.
    pub status: Vec<SeatStatus>,
    /// What the reader holds: `/seats` marks it, nothing else tells it.
    pub mine: Vec<SeatId>,
}

/// Something that happened in a room.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// An event of its log.
    Logged(&'a Entry),
    /// Who is here.
    Presence(&'a Presence),
}

/// Something that one client alone is told without having asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Text doors only: the first line.
    Greeting {
        /// The newcomer's name.
        nick: Nick,
        /// The room it landed in and how many are there, where it could.
        room: Option<(RoomName, usize)>,
    },
    /// A message to this client alone.
    Told {
        /// From whom.
        from: Nick,
        /// What.
        text: Text,
    },
    /// Events that were not sent: ask for them.
    Gap {
        /// Of which room.
        room: RoomName,
        /// The first.
        from_seq: Seq,
        /// The last; before `from_seq` where only presence is missing.
        to_seq: Seq,
    },
    /// A refusal of something that had no `id` or could not be read.
    Error(Refusal),
    /// The connection is about to be closed.
    Bye(Bye),
}

/// Why a connection is closed, and whether to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bye {
    /// `shutdown`, `kicked`, `idle`, `stuck`, `replaced`.
    pub why: &'static str,
    /// Does coming back make sense?
    pub resume: bool,
    /// When, where it does: different for each client, so that they don't all come at once.
    pub retry_ms: Option<u32>,
}
