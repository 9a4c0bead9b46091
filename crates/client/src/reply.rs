//! What the server answers. The fields are the protocol's; unknown ones are ignored.

use serde::Deserialize;

use crate::Logged;

/// Who this client is to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The session's public name.
    pub id: String,
    /// The secret that resumes it, also from another process: see [`Options::resume`](crate::Options::resume).
    pub resume: String,
    /// The nickname now.
    pub nick: String,
    /// The room that this connection landed in as a guest, if any. [`join`](crate::Client::join) it to hear it, or
    /// [`leave`](crate::Client::leave) it. After a reconnect the client leaves it by itself unless it had joined it.
    pub landing: Option<String>,
}

/// The answer to `hello`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) session: String,
    pub(crate) resume: String,
    #[serde(default)]
    pub(crate) resumed: bool,
    pub(crate) nick: String,
}

/// A room, as it was when this client came in.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Joined {
    /// Its name, spelt as the server shows it.
    pub room: String,
    /// `chat`, `lobby` or `show`.
    #[serde(default)]
    pub kind: String,
    /// Changes when the room's past can't be vouched for.
    pub epoch: String,
    /// The newest event.
    pub seq: u64,
    /// How many are here.
    #[serde(default)]
    pub count: u64,
    /// Who; none where they are too many to list.
    #[serde(default)]
    pub members: Option<Vec<String>>,
    /// At most so many; 0 for no limit.
    #[serde(default)]
    pub capacity: u32,
    /// What the room is about; may be empty.
    #[serde(default)]
    pub topic: String,
    /// What this client had seen is not this room's past: nothing is replayed, start anew.
    #[serde(default)]
    pub reset: bool,
}

/// Who is in a room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Who {
    /// How many.
    #[serde(default)]
    pub count: u64,
    /// Who; none where they are too many to list.
    #[serde(default)]
    pub members: Option<Vec<String>>,
}

/// One room in a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "as in `Joined`")]
pub struct RoomRow {
    pub room: String,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub count: u64,
    #[serde(default)]
    pub capacity: u32,
}

/// A piece of a room's past.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct History {
    /// In order of `seq`.
    pub events: Vec<Logged>,
    /// The oldest `seq` that is still kept.
    #[serde(default)]
    pub first: u64,
    /// The newest.
    #[serde(default)]
    pub seq: u64,
    /// The log's epoch.
    #[serde(default)]
    pub epoch: String,
}

/// The answer to `rooms`.
#[derive(Deserialize)]
pub(crate) struct Rooms {
    pub(crate) rooms: Vec<RoomRow>,
}

/// The answer to what becomes an event.
#[derive(Deserialize)]
pub(crate) struct Recorded {
    pub(crate) seq: u64,
}

/// The answer to `nick`.
#[derive(Deserialize)]
pub(crate) struct Renamed {
    pub(crate) nick: String,
}
