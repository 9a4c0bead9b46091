//! The names of all keys, section by section: the one list that the reader, its advice and the documents share.
//!
//! A key that isn't here is a mistake. Tests hold the reader, `madang.example.toml` and `docs/configuration.md` to it.

/// The keys of one section.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// How the section is written, as advice names it.
    pub(super) header: &'static str,
    /// What this version reads.
    pub(super) now: &'static [&'static str],
    /// What belongs to parts that this version doesn't have: checked, warned of, and without effect.
    pub(super) later: &'static [&'static str],
}

impl Keys {
    /// Every key that may stand here.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.now.iter().chain(self.later).copied()
    }
}

pub(super) const TOP: Keys = Keys {
    header: "the top of the file",
    now: &[
        "data",
        "shards",
        "presence_limit",
        "write_timeout",
        "drain_timeout",
        "session_grace",
        "origins",
        "host_token_file",
        "limits",
        "listen",
        "room",
        "lobby",
        "show",
    ],
    later: &[],
};

pub(super) const LIMITS: Keys = Keys {
    header: "[limits]",
    now: &["connections_per_ip", "messages_per_second", "rooms_per_session", "seats_held", "backlog_bytes"],
    later: &[],
};

pub(super) const LISTEN: Keys = Keys {
    header: "[[listen]]",
    now: &[
        "protocol",
        "bind",
        "service",
        "room",
        "framing",
        "reply",
        "once",
        "to_sender",
        "recovery",
        "backlog",
        "keepalive",
        "idle_timeout",
    ],
    later: &[],
};

pub(super) const ROOM: Keys = Keys {
    header: "[[room]]",
    now: &["match", "capacity", "durability", "keep", "keep_for"],
    later: &["strangers_say", "multicast", "multicast_interface", "multicast_ttl"],
};

pub(super) const LOBBY: Keys =
    Keys { header: "[lobby.NAME]", now: &["group_size", "id_pattern", "duplicate", "grace"], later: &[] };

pub(super) const SHOW: Keys = Keys {
    header: "[[show]]",
    now: &["id", "title", "place", "performances", "hold_for", "seats"],
    later: &[],
};

pub(super) const PERFORMANCE: Keys = Keys { header: "performances", now: &["id", "at"], later: &[] };

pub(super) const SEATS: Keys =
    Keys { header: "seats", now: &["section", "rows", "seats", "price"], later: &[] };

/// Every section.
pub(super) const SECTIONS: [&Keys; 8] = [&TOP, &LIMITS, &LISTEN, &ROOM, &LOBBY, &SHOW, &PERFORMANCE, &SEATS];
