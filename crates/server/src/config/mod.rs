//! The configuration, resolved and valid: what the server runs on.
//!
//! A configuration is read from a file (`file`), overridden by environment and flags in the binary, and arrives here
//! whole: whoever holds a [`Config`] need not check it again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use madang_log::{Durability, Retention};
use madang_room::RoomName;

/// All of the server's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The folder of the logs and of the key that sessions are resumed with.
    pub data: PathBuf,
    /// Threads that own rooms and connections; 0 is one for each core.
    pub shards: usize,
    /// In a room of more members than this, presence is summed up once a second.
    pub presence_limit: usize,
    /// A client that takes nothing of what it is sent for this long is disconnected.
    pub write_timeout: Duration,
    /// How long an orderly end may take.
    pub drain_timeout: Duration,
    /// How long the nickname of a lost connection is kept for its session.
    pub session_grace: Duration,
    /// Bounds on what one peer may use.
    pub limits: Limits,
    /// The doors, in the order in which they are announced.
    pub listeners: Vec<Listener>,
    /// Settings of rooms by name; the first match wins.
    pub rooms: Vec<RoomRule>,
}

/// Bounds on what one peer may use. Those that say so don't count for peers on loopback.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Connections from one address at once; 0 is no limit. Not on loopback.
    pub connections_per_ip: u32,
    /// Lines a second that are read from one connection, after a burst of three seconds' worth; 0 is no limit. Not on
    /// loopback.
    pub messages_per_second: u32,
    /// Rooms that one session may be in; 0 is no limit. Not on loopback.
    pub rooms_per_session: u32,
    /// Shared bytes that a member may be behind before events are dropped for it and announced as a gap.
    pub backlog_bytes: usize,
}

/// One way in.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Where. Port 0 lets the system choose.
    pub bind: SocketAddr,
    /// What is served there.
    pub service: Service,
    /// Connections that may wait to be accepted.
    pub backlog: i32,
    /// How long a connection is silent before the system probes whether its peer is there; zero is never.
    pub keepalive: Duration,
    /// How long a client may say nothing before it is disconnected; zero is for ever.
    pub idle_timeout: Duration,
}

/// What a TCP listener serves.
#[derive(Clone, Debug, PartialEq)]
pub enum Service {
    /// Rooms, in text lines or JSON.
    Chat {
        /// Where a newcomer lands.
        room: RoomName,
        /// What one message is.
        framing: Framing,
    },
    /// What is read is sent back.
    Echo {
        /// Sent instead, once for each read.
        reply: Option<Vec<u8>>,
        /// Answer once, then close.
        once: bool,
    },
    /// What is read is sent to everybody else on this listener.
    Relay {
        /// And to its sender.
        to_sender: bool,
    },
}

/// What one message of a `chat` connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A line.
    Line,
    /// What one read brought, for clients that end nothing with a newline.
    Chunk,
}

/// Settings of the rooms whose name matches.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomRule {
    /// A name in which `*` stands for any characters and `?` for one; compared as names are, without case.
    pub pattern: String,
    /// Theirs.
    pub settings: RoomSettings,
}

/// Settings of one room.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomSettings {
    /// Members it holds, until its maker says otherwise; 0 is no limit.
    pub capacity: u32,
    /// What an acknowledgment means in it.
    pub durability: Durability,
    /// How much of its past it keeps.
    pub retention: Retention,
}
