//! From the text of a `madang.toml` to a [`Config`].
//!
//! An empty file is valid: every key has a default. A file that is wrong anywhere is refused whole, with all that is
//! wrong in it; nothing of it is used. Keys of parts that this version doesn't have are checked and warned of (`later`).

use std::path::PathBuf;
use std::time::Duration;

use madang_log::{Durability, Retention};
use madang_room::RoomName;
use toml::de::DeTable;

use super::report::Report;
use super::section::Section;
use super::{
    ADDRESS_TAKES, Config, ConfigError, Framing, HTTP_DEFAULT, HttpService, Limits, Listener, LobbyRule,
    Origin, Origins, RoomRule, RoomSettings, SHARDS_MAX, Service, TCP_DEFAULT, Warning, keys, kinds, later,
    plaza, units,
};

/// A timeout that is longer is as good as none, and adding it to a clock must not overflow.
const TIMEOUT_MAX: Duration = Duration::from_secs(31_557_600);
/// Linux takes whole seconds up to 32,767 for its probes.
const KEEPALIVE_MAX: Duration = Duration::from_secs(9 * 3600);
/// The system cuts it to `somaxconn` by itself; more than this can't be meant.
const BACKLOG_MAX: u64 = 65_535;
/// What a member may be behind: at least a message or two, and never a whole machine's memory.
const BACKLOG_BYTES: std::ops::RangeInclusive<u64> = 1 << 10..=1 << 30;
/// A reply is written for each read: it must be a reply, not a download.
const REPLY_BYTES_MAX: usize = 64 << 10;
/// A room that keeps more is an archive, and positions must fit what databases count with.
const KEEP_MAX: u64 = 1_000_000_000_000;
/// Shortest age that makes sense beside clocks in milliseconds, and the longest that can still be subtracted from one.
const KEEP_FOR: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3_155_760_000);

impl Config {
    /// Reads the text of a configuration file. `file` is only used to name it in mistakes and warnings.
    pub fn from_toml(text: &str, file: &str) -> Result<(Config, Vec<Warning>), ConfigError> {
        let report = Report::new(file, text);
        let config = match DeTable::parse(text) {
            Ok(table) => read(&Section::top(table.get_ref(), &report)),
            Err(error) => {
                let line = report.line(error.span().map_or(0, |span| span.start));
                report.mistake(line, format!("this is not TOML: {}", error.message()));
                Config::default()
            }
        };
        report.finish(config)
    }
}

fn read(top: &Section<'_>) -> Config {
    let default = Config::default();
    let data =
        top.text("data", "the path of a folder", |path| (!path.is_empty()).then(|| PathBuf::from(path)));
    let host_token_file =
        top.text("host_token_file", "the path of a file, or \"\" for none", |path| Some(PathBuf::from(path)));
    let lobbies = kinds::lobbies(top);
    let timeout = |key| top.duration(key, Duration::ZERO..=TIMEOUT_MAX);
    let write_timeout = top.duration("write_timeout", Duration::from_millis(1)..=TIMEOUT_MAX);
    Config {
        data: data.unwrap_or(default.data),
        shards: top.integer("shards", 0..=SHARDS_MAX as u64).map_or(default.shards, narrow),
        presence_limit: top
            .integer("presence_limit", 0..=u64::from(u32::MAX))
            .map_or(default.presence_limit, narrow),
        write_timeout: write_timeout.unwrap_or(default.write_timeout),
        drain_timeout: timeout("drain_timeout").unwrap_or(default.drain_timeout),
        session_grace: timeout("session_grace").unwrap_or(default.session_grace),
        origins: origins(top),
        limits: top.section("limits", &keys::LIMITS).map_or(default.limits, |section| limits(&section)),
        listeners: top
            .sections("listen", &keys::LISTEN)
            .map_or(default.listeners, |all| listeners(&all, &lobbies)),
        rooms: top
            .sections("room", &keys::ROOM)
            .map_or(default.rooms, |all| all.iter().filter_map(room).collect()),
        shows: kinds::shows(top, &lobbies),
        lobbies,
        host_token_file: host_token_file.filter(|path| !path.as_os_str().is_empty()),
    }
}

/// Pages that may connect. Each is looked at, so that one run finds all that are wrong.
fn origins(top: &Section<'_>) -> Origins {
    let mut origins = Origins::default();
    for text in top.texts("origins").unwrap_or_default() {
        match Origin::parse(text) {
            Some(origin) => origins.listed.push(origin),
            None if text == "*" => origins.any = true,
            None => {
                let what = format!(
                    "has {text:?}, it takes origins such as \"https://example.org\" or \"http://127.0.0.1:8080\", without \
                     a path, or \"*\" for any page"
                );
                top.mistake("origins", &what);
            }
        }
    }
    origins
}

fn limits(section: &Section<'_>) -> Limits {
    let default = Limits::default();
    let count = |key| section.integer(key, 0..=u64::from(u32::MAX)).map(narrow);
    Limits {
        connections_per_ip: count("connections_per_ip").unwrap_or(default.connections_per_ip),
        messages_per_second: count("messages_per_second").unwrap_or(default.messages_per_second),
        rooms_per_session: count("rooms_per_session").unwrap_or(default.rooms_per_session),
        seats_held: count("seats_held").unwrap_or(default.seats_held),
        backlog_bytes: section.size("backlog_bytes", BACKLOG_BYTES).map_or(default.backlog_bytes, narrow),
    }
}

fn listeners(sections: &[Section<'_>], lobbies: &[LobbyRule]) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for section in sections {
        let Some(listener) = listener(section, lobbies) else { continue };
        let is_taken =
            listener.bind.port() != 0 && listeners.iter().any(|earlier| earlier.bind == listener.bind);
        if is_taken {
            section.mistake(
                "bind",
                &format!("is {} for a second time, each listener needs its own", listener.bind),
            );
        }
        listeners.push(listener);
    }
    listeners
}

/// The listener of one section; none where it is for datagrams, or wrong.
fn listener(section: &Section<'_>, lobbies: &[LobbyRule]) -> Option<Listener> {
    let bind = section.text("bind", ADDRESS_TAKES, units::address);
    let protocol = section.choice("protocol", &[("tcp", "tcp"), ("http", "http"), ("udp", "udp")]);
    // Everything is read before anything is decided: each key has its chance to be reported.
    let (service, otherwise) = match protocol {
        Some("udp") => {
            later::udp_listener(section, bind);
            return None;
        }
        Some("http") => (Some(Service::Http(http_service(section))), HTTP_DEFAULT),
        _ => (tcp_service(section, lobbies), TCP_DEFAULT),
    };
    let backlog = section.integer("backlog", 1..=BACKLOG_MAX);
    let keepalive = section.duration("keepalive", Duration::ZERO..=KEEPALIVE_MAX);
    if keepalive.is_some_and(|time| !time.is_zero() && time < Duration::from_secs(1)) {
        section.mistake("keepalive", "is less than a second, it takes \"0s\" (never) or \"1s\" and more");
    }
    let idle_timeout = section.duration("idle_timeout", Duration::ZERO..=TIMEOUT_MAX);
    let default = Listener::new(bind.unwrap_or(otherwise), service?);
    Some(Listener {
        backlog: backlog.map_or(default.backlog, narrow),
        keepalive: keepalive.unwrap_or(default.keepalive),
        idle_timeout: idle_timeout.unwrap_or(default.idle_timeout),
        ..default
    })
}

/// What an HTTP listener serves: everything that there is by HTTP.
fn http_service(section: &Section<'_>) -> HttpService {
    for key in ["service", "room", "framing", "reply", "once", "to_sender"] {
        if section.has(key) {
            section.mistake(key, "is only for protocol = \"tcp\", this one is \"http\"");
        }
    }
    let default = HttpService::default();
    HttpService { recovery: section.flag("recovery").unwrap_or(default.recovery), ..default }
}

/// What a TCP listener serves, and the keys that only this service has.
fn tcp_service(section: &Section<'_>, lobbies: &[LobbyRule]) -> Option<Service> {
    if section.has("recovery") {
        section.mistake("recovery", "is only for protocol = \"http\", this one is \"tcp\"");
    }
    let takes = "\"chat\", \"lobby\", \"echo\" or \"relay\"";
    let known = |name: &str| ["chat", "echo", "relay", "lobby"].into_iter().find(|known| *known == name);
    // A word that is no service is reported by now, and the other keys can't be judged without one.
    let service = if section.has("service") { section.text("service", takes, known)? } else { "chat" };
    let owners =
        [("room", "chat"), ("framing", "chat"), ("reply", "echo"), ("once", "echo"), ("to_sender", "relay")];
    for (key, owner) in owners {
        let is_its_own = owner == service || (key == "room" && service == "lobby");
        if !is_its_own && section.has(key) {
            section.mistake(key, &format!("is only for service = \"{owner}\", this one is \"{service}\""));
        }
    }
    Some(match service {
        "echo" => Service::Echo {
            reply: section.text("reply", "text of at most 65536 bytes", |text| {
                (text.len() <= REPLY_BYTES_MAX).then(|| text.as_bytes().to_vec())
            }),
            once: section.flag("once").unwrap_or(false),
        },
        "relay" => Service::Relay { to_sender: section.flag("to_sender").unwrap_or(false) },
        "lobby" => Service::Lobby { lobby: lobby(section, lobbies)? },
        _ => Service::Chat {
            room: landing(section).unwrap_or_else(plaza),
            framing: section
                .choice("framing", &[("line", Framing::Line), ("chunk", Framing::Chunk)])
                .unwrap_or(Framing::Line),
        },
    })
}

/// Where a newcomer lands.
fn landing(section: &Section<'_>) -> Option<RoomName> {
    let takes = "the name of a room: 1 to 64 bytes of letters, digits, '-', '_' and '.'";
    section.text("room", takes, |name| RoomName::parse(name).ok().filter(|room| !room.is_inner()))
}

/// The lobby that a door is for: where there is but one, it need not be said which.
fn lobby(section: &Section<'_>, lobbies: &[LobbyRule]) -> Option<RoomName> {
    let takes = "the name of a lobby, which has a section [lobby.NAME] of its own";
    let is_lobby = |name: &RoomName| lobbies.iter().any(|lobby| lobby.name == *name);
    let named = section.text("room", takes, |name| RoomName::parse(name).ok().filter(is_lobby));
    match lobbies {
        _ if section.has("room") => named,
        [only] => Some(only.name.clone()),
        _ => {
            section.mistake("room", &format!("is missing, it takes {takes}"));
            None
        }
    }
}

/// The rule of one section; none where it has no pattern, or a wrong one.
fn room(section: &Section<'_>) -> Option<RoomRule> {
    let default = RoomSettings::DEFAULT;
    later::room(section);
    let durabilities =
        [("memory", Durability::Memory), ("async", Durability::Async), ("sync", Durability::Sync)];
    let settings = RoomSettings {
        capacity: section.integer("capacity", 0..=u64::from(u32::MAX)).map_or(default.capacity, narrow),
        durability: section.choice("durability", &durabilities).unwrap_or(default.durability),
        retention: Retention {
            keep: section.integer("keep", 1..=KEEP_MAX).unwrap_or(default.retention.keep),
            keep_for: section.duration("keep_for", KEEP_FOR),
        },
    };
    if !section.has("match") {
        section.mistake("match", "is missing, it says which rooms these are settings of, such as \"duo-*\"");
    }
    let takes = "the name of a room, in which * stands for any characters and ? for one";
    section.text("match", takes, |pattern| RoomRule::new(pattern, settings).ok())
}

/// A number that was read within bounds that fit.
fn narrow<T: TryFrom<u64>>(number: u64) -> T {
    T::try_from(number).unwrap_or_else(|_| panic!("{number} was read within its bounds"))
}
