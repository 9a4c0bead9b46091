//! What a client can ask for, whatever it is written in.

use std::fmt;

use madang_room::{Code, Key, Nick, RoomName, SeatId, Seq, Text, Wanted};
use serde::Serialize;
use smol_str::SmolStr;

/// Bytes in the `id` of a request, where that is a string.
pub const ID_BYTES_MAX: usize = 64;
/// Events in one answer to `history`. A larger `limit` counts as this.
pub const HISTORY_EVENTS_MAX: usize = 1_000;
/// Rooms in one answer to `rooms`. A larger `limit` counts as this.
pub const ROOMS_MAX: usize = 1_000;

/// One thing asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The client's name for it, which comes back in the reply. Without one, only a refusal is answered.
    pub id: Option<RequestId>,
    /// What.
    pub op: Op,
}

/// The `id` of a request, as the client wrote it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RequestId {
    /// A number.
    Number(serde_json::Number),
    /// A string of at most [`ID_BYTES_MAX`] bytes.
    Text(SmolStr),
}

/// A secret that a client presents. `Debug` hides it.
#[derive(Clone, PartialEq)]
pub struct Secret(SmolStr);

impl Secret {
    /// A secret, as it was sent.
    pub fn new(secret: &str) -> Secret {
        Secret(secret.into())
    }

    /// The secret.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What can be asked. `room: None` is the connection's current room, `lobby: None` its lobby, `performance: None` its
/// current performance (text doors only).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "docs/protocol.md describes each op and its fields; this is the same list")]
pub enum Op {
    Hello {
        nick: Option<Nick>,
        resume: Option<SmolStr>,
    },
    Nick {
        nick: Nick,
    },
    Join {
        room: RoomName,
        after: Option<Seq>,
        epoch: Option<SmolStr>,
        capacity: Option<u32>,
        echo: Option<bool>,
    },
    Leave {
        room: Option<RoomName>,
    },
    Say {
        room: Option<RoomName>,
        text: Text,
        key: Option<Key>,
    },
    /// Says something in a room without being there, under a name that nobody has at the moment (HTTP only).
    Post {
        room: RoomName,
        from: Nick,
        text: Text,
        key: Option<Key>,
    },
    /// `text: None` asks for the topic.
    Topic {
        room: Option<RoomName>,
        text: Option<Text>,
    },
    Capacity {
        room: Option<RoomName>,
        capacity: u32,
    },
    Tell {
        to: Nick,
        text: Text,
    },
    Rooms {
        prefix: Option<SmolStr>,
        limit: usize,
    },
    Who {
        room: Option<RoomName>,
    },
    /// At most one of `after` and `before`; neither asks for the newest. `said_only` leaves out all but messages.
    History {
        room: Option<RoomName>,
        after: Option<Seq>,
        before: Option<Seq>,
        limit: usize,
        said_only: bool,
    },
    /// Become a host.
    Host {
        secret: Secret,
    },
    /// `participant` as it was typed: which ids there are, the lobby says.
    Checkin {
        lobby: Option<RoomName>,
        participant: SmolStr,
    },
    Checkout {
        lobby: Option<RoomName>,
    },
    Groups {
        lobby: Option<RoomName>,
    },
    Clap {
        lobby: Option<RoomName>,
    },
    Broadcast {
        lobby: Option<RoomName>,
        text: Text,
    },
    Shows,
    Watch {
        performance: RoomName,
        after: Option<Seq>,
        epoch: Option<SmolStr>,
    },
    /// The seats as they are, without watching them (text doors and HTTP).
    Seats {
        performance: Option<RoomName>,
    },
    Hold {
        performance: Option<RoomName>,
        wanted: Wanted,
    },
    /// `seats: None` is all that one holds.
    Release {
        performance: Option<RoomName>,
        seats: Option<Vec<SeatId>>,
    },
    /// `seats: None` is all that one holds.
    Reserve {
        performance: Option<RoomName>,
        seats: Option<Vec<SeatId>>,
        key: Option<Key>,
    },
    Cancel {
        performance: Option<RoomName>,
        reservation: Code,
    },
    /// One's own messages too, for the whole connection.
    Echo {
        on: bool,
    },
    /// The rest of this connection is JSON.
    Json,
    /// `None` asks for the list.
    Help {
        command: Option<SmolStr>,
    },
    Ping,
    Bye,
}
