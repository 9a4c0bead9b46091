//! What happens: in the rooms, to this client, and to its connection.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::{Closing, Joined, Lost, Refusal};

/// One thing that happened, as [`Events::next_event`](crate::Events::next_event) tells it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// There is a connection and a session. The first event of all, and again after each loss.
    Connected {
        /// The nickname now.
        nick: String,
        /// Whether the server knows the session of before.
        resumed: bool,
    },
    /// The connection is lost, or coming back failed; the client tries again by itself.
    Disconnected {
        /// How.
        why: Lost,
        /// When it tries again.
        retry_in: Duration,
    },
    /// The last event: there will be no other connection.
    Closed {
        /// Why.
        why: Closing,
    },
    /// After a reconnect: in this room again. What was missed follows as [`Event::Logged`], in order.
    Rejoined {
        /// The room as it is now.
        joined: Joined,
        /// How many events were missed. 0 with [`Joined::reset`], where nobody knows.
        missed: u64,
    },
    /// After a reconnect: this room can't be joined again, and the client is no longer in it.
    RejoinRefused {
        /// Which.
        room: String,
        /// Why.
        refusal: Refusal,
    },
    /// After coming back with a new session: the nickname of before is this client's again.
    NickAgain {
        /// Which.
        nick: String,
    },
    /// An event of a room's log.
    Logged(Logged),
    /// Who is here. Has no `seq` and is not history.
    Presence(Presence),
    /// A message to this client alone.
    Told {
        /// From whom.
        from: String,
        /// What.
        text: String,
    },
    /// The server left out `from_seq` to `to_seq`, or nothing but presence where `to_seq` is smaller (ask `who`).
    /// Unless [`Options::fetch_gaps`](crate::Options::fetch_gaps) is off, those that are still kept follow at once.
    Gap {
        /// In which room.
        room: String,
        /// The first one missing.
        from_seq: u64,
        /// The last one missing.
        to_seq: u64,
    },
    /// A refusal that answers no command of this client.
    Refused(Refusal),
    /// The server is about to close the connection.
    Bye(Bye),
}

/// An event of a room's log.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Logged {
    /// Which room; empty only while a history is being read.
    #[serde(default)]
    pub room: String,
    /// Its place in the log, from 1.
    pub seq: u64,
    /// When, in UTC: `2026-11-20T10:00:00.123Z`.
    #[serde(default)]
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What an event of a log is about.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "ev", rename_all = "snake_case")]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the protocol's table of events describes each and its fields; this is the same list"
)]
pub enum What {
    Created {
        from: String,
    },
    Said {
        from: String,
        text: String,
    },
    Topic {
        from: String,
        text: String,
    },
    Capacity {
        from: String,
        capacity: u32,
    },
    Grouped {
        participant: String,
        group: u32,
    },
    Ungrouped {
        participant: String,
        group: u32,
    },
    Clapped {
        claps: u64,
    },
    Announced {
        from: String,
        text: String,
    },
    Seats {
        changes: BTreeMap<String, String>,
    },
    /// A kind that this client does not know. It counts, so that no hole appears.
    #[serde(other)]
    Unknown,
}

/// A change in who is in a room.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Presence {
    /// Which room.
    pub room: String,
    /// What changed.
    #[serde(flatten)]
    pub change: Change,
}

/// What changed in who is here.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "ev", rename_all = "snake_case")]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the protocol's table of events describes each and its fields; this is the same list"
)]
pub enum Change {
    Joined {
        nick: String,
    },
    Left {
        nick: String,
        why: Option<String>,
    },
    Renamed {
        from: String,
        to: String,
    },
    /// In a large room: how many are here, instead of who came and went.
    Count {
        count: u64,
    },
}

/// The server's farewell.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Bye {
    /// `shutdown`, `kicked`, `idle`, `stuck`, `replaced`.
    #[serde(default)]
    pub why: String,
    /// Whether coming back makes sense.
    #[serde(default)]
    pub resume: bool,
    /// When.
    #[serde(default)]
    pub retry_ms: Option<u64>,
}
