//! The configuration, resolved and valid: what the server runs on.
//!
//! A configuration is read from a file (`file`), overridden by environment and flags in the binary, and arrives here
//! whole: whoever holds a [`Config`] need not check it again.
//!
//! Elsewhere: the names of all keys (`keys`), how a value is read and a mistake is told (`section`, `report`), how
//! durations, sizes and addresses are written (`units`), which room a rule is for (`pattern`).

mod file;
mod keys;
mod kinds;
mod later;
mod origins;
mod pattern;
mod report;
mod section;
#[cfg(test)]
mod tests;
mod units;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use madang_log::{Durability, Retention};
use madang_room::{LobbySettings, NameError, RoomName, SeatMap, Text};
use smol_str::SmolStr;

pub use crate::arrival::App;
pub(crate) use origins::Host;
pub use origins::{Origin, Origins};
pub use report::{ConfigError, Mistake, Warning};
pub use units::{ADDRESS_TAKES, address, duration, size};

/// More threads than this are a slip: a shard is for a core.
pub const SHARDS_MAX: usize = 256;
/// Where lines are spoken unless something else is said.
const TCP_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 2022);

/// Where HTTP is spoken unless something else is said.
const HTTP_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 3000);

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
    /// Pages that may connect by HTTP, beside the server's own.
    pub origins: Origins,
    /// Bounds on what one peer may use.
    pub limits: Limits,
    /// The doors, in the order in which they are announced.
    pub listeners: Vec<Listener>,
    /// Settings of rooms by name; the first match wins.
    pub rooms: Vec<RoomRule>,
    /// The lobbies. No two have one name.
    pub lobbies: Vec<LobbyRule>,
    /// The shows. No two have one id, and none that of a lobby.
    pub shows: Vec<ShowRule>,
    /// The file with the secret that makes a host; without one there are no hosts.
    pub host_token_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data: PathBuf::from("madang-data"),
            shards: 0,
            presence_limit: 100,
            write_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(5),
            session_grace: Duration::from_secs(30),
            origins: Origins::default(),
            limits: Limits::default(),
            listeners: vec![Listener::chat(TCP_DEFAULT), Listener::http(HTTP_DEFAULT)],
            rooms: Vec::new(),
            lobbies: Vec::new(),
            shows: Vec::new(),
            host_token_file: None,
        }
    }
}

impl Config {
    /// The settings of a room: those of the first rule that its name matches, or the defaults.
    pub fn room_settings(&self, room: &RoomName) -> &RoomSettings {
        let rule = self.rooms.iter().find(|rule| rule.matches(room));
        rule.map_or(&RoomSettings::DEFAULT, |rule| &rule.settings)
    }

    /// The lobby that a room is, or is a group of.
    pub(crate) fn lobby_of(&self, room: &RoomName) -> Option<&LobbyRule> {
        self.lobbies.iter().find(|lobby| lobby.name.key() == room.family())
    }

    /// The show that a room is a performance of.
    pub(crate) fn show_of(&self, room: &RoomName) -> Option<&ShowRule> {
        let show = self.shows.iter().find(|show| room.is_inner() && show.id.key() == room.family())?;
        show.performances.iter().any(|performance| performance.room == *room).then_some(show)
    }

    /// An address that two listeners want, where there is one. Port 0 is another port each time.
    pub fn contested_bind(&self) -> Option<SocketAddr> {
        let binds = self.listeners.iter().map(|listener| listener.bind).enumerate();
        let mut contested = binds.filter(|(at, bind)| {
            bind.port() != 0 && self.listeners[..*at].iter().any(|earlier| earlier.bind == *bind)
        });
        contested.next().map(|(_, bind)| bind)
    }
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
    /// Seats that one session may hold at once in one performance; 0 is no limit. Also on loopback.
    pub seats_held: u32,
    /// Shared bytes that a member may be behind before events are dropped for it and announced as a gap.
    pub backlog_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_per_ip: 50,
            messages_per_second: 20,
            rooms_per_session: 50,
            seats_held: 10,
            backlog_bytes: 1 << 20,
        }
    }
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

impl Listener {
    /// A listener for rooms with the defaults of all its other settings.
    pub fn chat(bind: SocketAddr) -> Listener {
        Listener::new(bind, Service::Chat { room: plaza(), framing: Framing::Line })
    }

    /// A listener for HTTP with the defaults of all its other settings.
    pub fn http(bind: SocketAddr) -> Listener {
        Listener::new(bind, Service::Http(HttpService::default()))
    }

    /// A listener with the defaults of all its other settings.
    pub fn new(bind: SocketAddr, service: Service) -> Listener {
        Listener {
            bind,
            service,
            backlog: 4096,
            keepalive: Duration::from_secs(60),
            idle_timeout: Duration::ZERO,
        }
    }
}

/// Where a newcomer lands unless something else is said.
fn plaza() -> RoomName {
    RoomName::parse("plaza").expect("a name of letters is valid")
}

/// What a listener serves.
#[derive(Clone, Debug, PartialEq)]
pub enum Service {
    /// Rooms, in text lines or JSON.
    Chat {
        /// Where a newcomer lands.
        room: RoomName,
        /// What one message is.
        framing: Framing,
    },
    /// Rooms, in text lines or JSON, for those who come to one lobby.
    Lobby {
        /// Which: a newcomer lands there.
        lobby: RoomName,
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
    /// The page, WebSocket, Socket.IO and the API.
    Http(HttpService),
}

/// How Engine.IO and Socket.IO are spoken on an HTTP listener.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpService {
    /// How long a session is quiet before the server asks whether it is still there.
    pub ping_interval: Duration,
    /// How long the answer to that may take.
    pub ping_timeout: Duration,
    /// Bytes in one message or one request body.
    pub max_payload: usize,
    /// Socket.IO's connection state recovery.
    pub recovery: bool,
    /// What is on the other end. Only [`App::Rooms`] can be configured in a file; the others are for tests of clients.
    pub app: App,
}

impl Default for HttpService {
    fn default() -> HttpService {
        HttpService {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            max_payload: 1_000_000,
            recovery: true,
            app: App::Rooms,
        }
    }
}

impl Service {
    /// The listener in words, as it is announced: `tcp 127.0.0.1:2022 chat` or `http 127.0.0.1:3000`.
    pub fn announced(&self, address: SocketAddr) -> String {
        match self {
            Service::Http(_) => format!("http {address}"),
            _ => format!("tcp {address} {}", self.name()),
        }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Service::Chat { .. } => "chat",
            Service::Lobby { .. } => "lobby",
            Service::Echo { .. } => "echo",
            Service::Relay { .. } => "relay",
            Service::Http(_) => "http",
        }
    }
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
    /// A name in which `*` stands for any characters and `?` for one, folded as names are for comparing: see
    /// [`RoomRule::new`].
    pub pattern: String,
    /// Theirs.
    pub settings: RoomSettings,
}

impl RoomRule {
    /// A rule for the rooms that match `pattern`, as it was written. It must be a name but for its `*` and `?`.
    pub fn new(pattern: &str, settings: RoomSettings) -> Result<RoomRule, NameError> {
        Ok(RoomRule { pattern: pattern::folded(pattern)?, settings })
    }

    /// Is it for this room?
    pub fn matches(&self, room: &RoomName) -> bool {
        pattern::matches(&self.pattern, room.key())
    }
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

impl RoomSettings {
    /// Those of a room that no rule is for.
    pub const DEFAULT: RoomSettings = RoomSettings {
        capacity: 0,
        durability: Durability::Async,
        retention: Retention { keep: 10_000, keep_for: None },
    };
}

impl Default for RoomSettings {
    fn default() -> RoomSettings {
        RoomSettings::DEFAULT
    }
}

/// A lobby.
#[derive(Clone, Debug, PartialEq)]
pub struct LobbyRule {
    /// Its name; it has passed [`madang_room::Lobby::check_name`].
    pub name: RoomName,
    /// How it sorts people.
    pub settings: LobbySettings,
    /// How long a lost connection keeps its place.
    pub grace: Duration,
}

/// A show.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowRule {
    /// Its id: a name without `/`.
    pub id: RoomName,
    /// What it is called.
    pub title: Text,
    /// Where it is.
    pub place: Option<Text>,
    /// How long a hold lasts.
    pub hold_for: Duration,
    /// The seats, the same for all its performances.
    pub map: Arc<SeatMap>,
    /// When it is performed.
    pub performances: Vec<PerformanceRule>,
}

impl ShowRule {
    /// The id as people read it.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// One performance of a show.
#[derive(Clone, Debug, PartialEq)]
pub struct PerformanceRule {
    /// Its room: `hamlet/1`.
    pub room: RoomName,
    /// RFC 3339, with the offset of the place, as it was written.
    pub at: SmolStr,
}
