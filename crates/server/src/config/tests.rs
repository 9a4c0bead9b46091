//! Scenes with files: what is read from them, and what is said of those that are wrong.

use expect_test::{Expect, expect};

use super::keys::{self, SECTIONS};
use super::*;

const EXAMPLE: &str = include_str!("../../../../madang.example.toml");
const MANUAL: &str = include_str!("../../../../docs/configuration.md");

/// What is said of a file: its mistakes, or its warnings.
fn said_of(text: &str) -> String {
    let lines: Vec<String> = match Config::from_toml(text, "m.toml") {
        Ok((_, warnings)) => warnings.iter().map(Warning::to_string).collect(),
        Err(error) => error.mistakes.iter().map(Mistake::to_string).collect(),
    };
    lines.join("\n") + "\n"
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&said_of(text));
}

fn right(text: &str) -> Config {
    let (config, warnings) = Config::from_toml(text, "m.toml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(warnings, []);
    config
}

fn name(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(right(""), Config::default());
    let one = right("[limits]\n[[listen]]");
    assert_eq!(one, Config { listeners: vec![Listener::chat(TCP_DEFAULT)], ..Config::default() });
    let http = right("[[listen]]\nprotocol = 'http'");
    assert_eq!(http, Config { listeners: vec![Listener::http(HTTP_DEFAULT)], ..Config::default() });
}

#[test]
fn the_example_is_the_defaults() {
    assert_eq!(right(EXAMPLE), Config::default());
}

#[test]
fn the_examples_of_the_example_are_right() {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(example) if !example.is_empty() && !example.starts_with(' ') => format!("{example}\n"),
        _ => format!("{line}\n"),
    };
    let text: String = EXAMPLE.lines().map(uncomment).collect();
    let config = right(&text);
    let services: Vec<&str> = config.listeners.iter().map(|listener| listener.service.name()).collect();
    assert_eq!(services, ["chat", "http", "lobby", "echo", "relay"]);
    assert_eq!(config.room_settings(&name("duo-1")).capacity, 2);
    for keys in SECTIONS {
        for key in keys.now {
            let is_there = text.lines().any(|line| {
                let line = line.trim_start_matches('[');
                line.strip_prefix(key).is_some_and(|rest| {
                    rest.starts_with(" =") || rest.starts_with(']') || rest.starts_with('.')
                })
            });
            // `{ id = "1", at = ... }`
            let is_within = text.contains(&format!(" {key} = "));
            assert!(is_there || is_within, "{key} of {} is in no example", keys.header);
        }
    }
}

#[test]
fn the_manual_has_every_key() {
    for keys in SECTIONS {
        for key in keys.all() {
            assert!(
                MANUAL.contains(&format!("`{key}`")),
                "docs/configuration.md lacks `{key}` of {}",
                keys.header
            );
        }
    }
}

#[test]
fn every_key_is_read() {
    // No key takes a date, so one that is read is also complained of.
    for (keys, around) in [
        (&keys::TOP, ""),
        (&keys::LIMITS, "[limits]"),
        (&keys::ROOM, "[[room]]"),
        (&keys::LOBBY, "[lobby.day19]"),
        (&keys::SHOW, "[[show]]"),
        (&keys::PERFORMANCE, "[[show]]\n[[show.performances]]"),
        (&keys::SEATS, "[[show]]\n[[show.seats]]"),
    ] {
        for key in keys.all() {
            let said = said_of(&format!("{around}\n{key} = 2026-12-24"));
            assert!(said.contains(&format!("{key} is 2026-12-24, it takes ")), "{around} {key}: {said}");
        }
    }
    for key in keys::LISTEN.now {
        let service = match *key {
            "reply" | "once" => "service = 'echo'",
            "to_sender" => "service = 'relay'",
            "recovery" => "protocol = 'http'",
            _ => "",
        };
        let said = said_of(&format!("[[listen]]\n{service}\n{key} = 2026-12-24"));
        assert!(said.contains(&format!("listen.{key} is 2026-12-24, it takes ")), "{key}: {said}");
    }
}

#[test]
fn values_arrive() {
    let config = right(
        r#"
        data = "/var/lib/madang"
        shards = 3
        presence_limit = 7
        write_timeout = "500ms"
        drain_timeout = "0s"
        session_grace = "1h 30m"
        origins = ["https://Example.org", "http://127.0.0.1:8080"]
        host_token_file = "/etc/madang/host"
        [limits]
        connections_per_ip = 0
        messages_per_second = 1_000
        rooms_per_session = 0x10
        seats_held = 4
        backlog_bytes = "64 KiB"
        [[listen]]
        bind = "localhost:0"
        room = "garden"
        framing = "chunk"
        [[listen]]
        bind = "[::1]:0"
        service = "echo"
        reply = "test"
        once = true
        [[listen]]
        bind = "0.0.0.0:0"
        service = "relay"
        to_sender = true
        backlog = 1
        keepalive = "0s"
        idle_timeout = "10m"
        [[listen]]
        protocol = "http"
        bind = "0.0.0.0:0"
        recovery = false
        keepalive = "5s"
        "#,
    );
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let expected = Config {
        data: "/var/lib/madang".into(),
        shards: 3,
        origins: Origins {
            any: false,
            listed: ["https://example.org", "http://127.0.0.1:8080"]
                .map(|origin| Origin::parse(origin).unwrap())
                .into(),
        },
        presence_limit: 7,
        write_timeout: Duration::from_millis(500),
        drain_timeout: Duration::ZERO,
        session_grace: minutes(90),
        limits: Limits {
            connections_per_ip: 0,
            messages_per_second: 1000,
            rooms_per_session: 16,
            seats_held: 4,
            backlog_bytes: 65_536,
        },
        listeners: vec![
            Listener::new(
                "127.0.0.1:0".parse().unwrap(),
                Service::Chat { room: name("garden"), framing: Framing::Chunk },
            ),
            Listener::new(
                "[::1]:0".parse().unwrap(),
                Service::Echo { reply: Some(b"test".to_vec()), once: true },
            ),
            Listener {
                bind: "0.0.0.0:0".parse().unwrap(),
                service: Service::Relay { to_sender: true },
                backlog: 1,
                keepalive: Duration::ZERO,
                idle_timeout: minutes(10),
            },
            Listener {
                bind: "0.0.0.0:0".parse().unwrap(),
                service: Service::Http(HttpService { recovery: false, ..HttpService::default() }),
                backlog: 4096,
                keepalive: Duration::from_secs(5),
                idle_timeout: Duration::ZERO,
            },
        ],
        rooms: Vec::new(),
        lobbies: Vec::new(),
        shows: Vec::new(),
        host_token_file: Some("/etc/madang/host".into()),
    };
    assert_eq!(config, expected);
}

#[test]
fn lobbies_and_shows_arrive() {
    let config = right(
        r#"
        [lobby.day19]
        [lobby.Day20]
        group_size = 3
        id_pattern = "x1-x9"
        duplicate = "replace"
        grace = "0s"
        [[show]]
        id = "hamlet"
        performances = [{ id = "1", at = "2026-12-24T19:30:00+09:00" }, { id = "2", at = "2026-12-25T10:30:00Z" }]
        seats = [{ section = "A", rows = "1-10", seats = "1-20", price = 50000 }, { section = "B", rows = "1", seats = "1,3" }]
        [[show]]
        id = "ubu"
        title = "King Ubu"
        place = "Small stage"
        hold_for = "1m"
        performances = [{ id = "x", at = "2026-12-24T19:30:00+09:00" }]
        seats = [{ section = "A", rows = "1", seats = "1" }]
        "#,
    );
    let [day20, day19] = &config.lobbies[..] else { panic!("two lobbies") };
    assert_eq!(day19.name, name("day19"));
    assert_eq!((day19.settings.group_size, day19.grace), (4, Duration::from_secs(10)));
    assert_eq!(day19.settings.pattern.last().as_str(), "J384");
    assert_eq!((day20.settings.group_size, day20.grace), (3, Duration::ZERO));
    assert_eq!(day20.settings.duplicate, madang_room::Duplicate::Replace);
    let [hamlet, ubu] = &config.shows[..] else { panic!("two shows") };
    assert_eq!((hamlet.title.as_str(), hamlet.map.len(), hamlet.place.is_none()), ("hamlet", 202, true));
    assert_eq!(hamlet.performances[1].room, name("hamlet/2"));
    assert_eq!((ubu.title.as_str(), ubu.hold_for), ("King Ubu", Duration::from_secs(60)));
    assert_eq!(config.lobby_of(&name("DAY19/3")).map(|lobby| &lobby.name), Some(&name("day19")));
    assert!(config.show_of(&name("hamlet/3")).is_none() && config.show_of(&name("hamlet/2")).is_some());
}

#[test]
fn what_is_wrong_with_a_lobby_or_a_show_is_told() {
    check(
        r#"
[[listen]]
service = "lobby"
bind = "127.0.0.1:1"
[[listen]]
service = "lobby"
bind = "127.0.0.1:2"
room = "day21"
framing = "line"
[lobby.day19]
group_size = 0
id_pattern = "J1-J384"
duplicate = "maybe"
[lobby.DAY19]
[lobby."day 20"]
[[show]]
id = "a/b"
title = ""
[[show]]
id = "day19"
performances = []
seats = [{ section = "A", rows = "1-0", seats = "1" }]
[[show]]
id = "hamlet"
performances = [{ id = "1", at = "tomorrow" }, { at = "2026-12-24T19:30:00Z" }]
seats = [{ section = "A", rows = "1", seats = "1-3" }, { section = "a", rows = "1", seats = "3" }]
[[show]]
id = "lear"
performances = [{ id = "1", at = "2026-12-24T19:30:00Z" }, { id = "1", at = "2026-12-24T19:30:00Z" }]
seats = [{ section = "A", seats = "1-3", price = -1 }]
"#,
        expect![[r#"
            m.toml:2: listen.room is missing, it takes the name of a lobby, which has a section [lobby.NAME] of its own
            m.toml:8: listen.room is "day21", it takes the name of a lobby, which has a section [lobby.NAME] of its own
            m.toml:9: listen.framing is only for service = "chat", this one is "lobby"
            m.toml:10: lobby.day19 is a second lobby of that name: case and width of a name make no difference
            m.toml:11: lobby.day19.group_size is 0, it takes a whole number from 1 to 1000
            m.toml:12: lobby.day19.id_pattern is "J1-J384", it takes the first and the last of the ids with a '-' between them, such as "J001-J384"
            m.toml:13: lobby.day19.duplicate is "maybe", it takes "refuse" or "replace"
            m.toml:15: lobby.day 20 is no name of a lobby: 1 to 53 bytes of letters, digits, '-', '_' and '.'
            m.toml:16: show.performances is missing, such as [{ id = "1", at = "2026-12-24T19:30:00+09:00" }]
            m.toml:16: show.seats is missing, such as [{ section = "A", rows = "1-10", seats = "1-20", price = 50000 }]
            m.toml:17: show.id is "a/b", it takes a name: letters, digits, '-', '_' and '.'
            m.toml:18: show.title is "", it takes text of 1 to 4096 bytes
            m.toml:22: show.seats[0].rows: "1-0" is no list of numbers from 1 to 9999, as "1-10,12-20"
            m.toml:25: show.performances.at is "tomorrow", it takes a date with time and zone, such as "2026-12-24T19:30:00+09:00"
            m.toml:25: show.performances.id is missing, each performance has an id and a time
            m.toml:26: show.seats[1].seats: A-1-3 is in seats[0], too
            m.toml:30: show.seats.price is -1, it takes a whole number from 0 to 9223372036854775807
            m.toml:30: show.seats.rows is missing, such as section = "A", rows = "1-10", seats = "1-20"
        "#]],
    );
}

#[test]
fn the_first_rule_that_matches_a_room_wins() {
    let config = right(
        r#"
        [[room]]
        match = "Duo-*"
        capacity = 2
        durability = "sync"
        keep = 5
        keep_for = "30d"
        [[room]]
        match = "*"
        durability = "memory"
        "#,
    );
    let duo = RoomSettings {
        capacity: 2,
        durability: Durability::Sync,
        retention: Retention { keep: 5, keep_for: Some(Duration::from_secs(30 * 86_400)) },
    };
    assert_eq!(config.room_settings(&name("duo-1")), &duo);
    assert_eq!(config.room_settings(&name("ＤＵＯ-2")), &duo);
    let others = RoomSettings { durability: Durability::Memory, ..RoomSettings::DEFAULT };
    assert_eq!(config.room_settings(&name("plaza")), &others);
    assert_eq!(Config::default().room_settings(&name("duo-1")), &RoomSettings::DEFAULT);
}

#[test]
fn an_unknown_key_is_told_which_was_meant() {
    check(
        "presense_limit = 7\nport = 2022\nbind = '127.0.0.1:1'\n[limits]\nbacklog = 1\nshards = 2\n[[room]]\nmatch = 'a'\nkep = 3\n[[listen]]\nlabel = 'front'",
        expect![[r#"
            m.toml:1: presense_limit is not a key: did you mean presence_limit?
            m.toml:2: port is not a key: the top of the file has data, shards, presence_limit, write_timeout, drain_timeout, session_grace, origins, host_token_file, limits, listen, room, lobby, show
            m.toml:3: bind is not a key: it belongs to [[listen]], not to the top of the file
            m.toml:5: limits.backlog is not a key: it belongs to [[listen]], not to [limits]
            m.toml:6: limits.shards is not a key: it belongs to the top of the file, not to [limits]
            m.toml:9: room.kep is not a key: did you mean keep?
            m.toml:11: listen.label is not a key: [[listen]] has protocol, bind, service, room, framing, reply, once, to_sender, recovery, backlog, keepalive, idle_timeout
        "#]],
    );
}

#[test]
fn a_wrong_value_is_told_with_what_is_allowed() {
    check(
        r#"
data = ""
shards = -1
presence_limit = "many"
write_timeout = 10
drain_timeout = "5"
session_grace = "1000years"
limits = 3
room = [1]
listen = { bind = "127.0.0.1:1" }
"#,
        expect![[r#"
            m.toml:2: data is "", it takes the path of a folder
            m.toml:3: shards is -1, it takes a whole number from 0 to 256
            m.toml:4: presence_limit is "many", it takes a whole number from 0 to 4294967295
            m.toml:5: write_timeout is 10, it takes a duration from "1ms" to "1year"
            m.toml:6: drain_timeout is "5", it takes a duration from "0s" to "1year"
            m.toml:7: session_grace is "1000years", it takes a duration from "0s" to "1year"
            m.toml:8: limits is 3, it takes a section, [limits]
            m.toml:9: room is 1, it takes a list of sections, [[room]]
            m.toml:10: listen is a section, it takes a list of sections, [[listen]]
        "#]],
    );
    check(
        r#"
[limits]
connections_per_ip = 4294967296
messages_per_second = 0.5
backlog_bytes = "1 MB"
[[listen]]
bind = "example.org:2022"
service = "caht"
[[listen]]
bind = "127.0.0.1:1"
backlog = 0
keepalive = "10ms"
framing = "word"
room = "two words"
[[listen]]
bind = "127.0.0.1:2"
room = "day19/3"
[[room]]
capacity = 3
[[room]]
match = "[a-z]"
durability = "disk"
keep = 0
keep_for = "0s"
"#,
        expect![[r#"
            m.toml:3: limits.connections_per_ip is 4294967296, it takes a whole number from 0 to 4294967295
            m.toml:4: limits.messages_per_second is 0.5, it takes a whole number from 0 to 4294967295
            m.toml:5: limits.backlog_bytes is "1 MB", it takes a size from "1 KiB" to "1 GiB", or a number of bytes
            m.toml:7: listen.bind is "example.org:2022", it takes an address and a port, such as 127.0.0.1:2022, [::1]:2022 or localhost:2022
            m.toml:8: listen.service is "caht", it takes "chat", "lobby", "echo" or "relay"
            m.toml:11: listen.backlog is 0, it takes a whole number from 1 to 65535
            m.toml:12: listen.keepalive is less than a second, it takes "0s" (never) or "1s" and more
            m.toml:13: listen.framing is "word", it takes "line" or "chunk"
            m.toml:14: listen.room is "two words", it takes the name of a room: 1 to 64 bytes of letters, digits, '-', '_' and '.'
            m.toml:17: listen.room is "day19/3", it takes the name of a room: 1 to 64 bytes of letters, digits, '-', '_' and '.'
            m.toml:18: room.match is missing, it says which rooms these are settings of, such as "duo-*"
            m.toml:21: room.match is "[a-z]", it takes the name of a room, in which * stands for any characters and ? for one
            m.toml:22: room.durability is "disk", it takes "memory", "async" or "sync"
            m.toml:23: room.keep is 0, it takes a whole number from 1 to 1000000000000
            m.toml:24: room.keep_for is "0s", it takes a duration from "1s" to "100years"
        "#]],
    );
}

#[test]
fn keys_that_contradict_each_other_are_a_mistake() {
    check(
        r#"
[[listen]]
bind = "127.0.0.1:2022"
once = true
to_sender = true
[[listen]]
bind = "localhost:2022"
service = "echo"
room = "plaza"
framing = "line"
[[listen]]
bind = "127.0.0.1:3"
service = "relay"
reply = "test"
[[listen]]
bind = "127.0.0.1:4"
service = "lobby"
room = "day19"
[[listen]]
bind = "127.0.0.1:5"
recovery = false
[[listen]]
protocol = "http"
bind = "127.0.0.1:5"
room = "plaza"
"#,
        expect![[r#"
            m.toml:4: listen.once is only for service = "echo", this one is "chat"
            m.toml:5: listen.to_sender is only for service = "relay", this one is "chat"
            m.toml:7: listen.bind is 127.0.0.1:2022 for a second time, each listener needs its own
            m.toml:9: listen.room is only for service = "chat", this one is "echo"
            m.toml:10: listen.framing is only for service = "chat", this one is "echo"
            m.toml:14: listen.reply is only for service = "echo", this one is "relay"
            m.toml:18: listen.room is "day19", it takes the name of a lobby, which has a section [lobby.NAME] of its own
            m.toml:21: listen.recovery is only for protocol = "http", this one is "tcp"
            m.toml:24: listen.bind is 127.0.0.1:5 for a second time, each listener needs its own
            m.toml:25: listen.room is only for protocol = "tcp", this one is "http"
        "#]],
    );
    assert_eq!(
        right("[[listen]]\nbind = '127.0.0.1:0'\n[[listen]]\nbind = '127.0.0.1:0'").listeners.len(),
        2
    );
}

#[test]
fn an_origin_that_is_none_is_told() {
    check(
        "origins = ['https://example.org/', 'null', '*', 'https://*.example.org']\n",
        expect![[r#"
        m.toml:1: origins has "https://example.org/", it takes origins such as "https://example.org" or "http://127.0.0.1:8080", without a path, or "*" for any page
        m.toml:1: origins has "null", it takes origins such as "https://example.org" or "http://127.0.0.1:8080", without a path, or "*" for any page
        m.toml:1: origins has "https://*.example.org", it takes origins such as "https://example.org" or "http://127.0.0.1:8080", without a path, or "*" for any page
    "#]],
    );
    check(
        "origins = 'https://example.org'\n",
        expect![[r#"
        m.toml:1: origins is "https://example.org", it takes a list of strings
    "#]],
    );
    assert!(right("origins = ['*']").origins.any);
}

#[test]
fn what_is_no_toml_is_told_where() {
    check(
        "shards = 1\nshards = 2\n",
        expect![[r#"
        m.toml:2: this is not TOML: duplicate key
    "#]],
    );
    check(
        "shards = 1\n[limits\n",
        expect![[r#"
        m.toml:2: this is not TOML: unclosed table, expected `]`
    "#]],
    );
    check(
        "data = \"open",
        expect![[r#"
        m.toml:1: this is not TOML: invalid basic string, expected `"`
    "#]],
    );
}

#[test]
fn a_long_value_is_quoted_in_part() {
    check(
        &format!("data = 1\nwrite_timeout = \"{}\"", "x\\u001b".repeat(100)),
        expect![[r#"
        m.toml:1: data is 1, it takes the path of a folder
        m.toml:2: write_timeout is "x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}x\u{1b}" and more, it takes a duration from "1ms" to "1year"
    "#]],
    );
}

#[test]
fn what_other_versions_have_is_warned_of() {
    let text = r#"
[[listen]]
protocol = "udp"
bind = "127.0.0.1:2022"
[[listen]]
protocol = "tcp"
bind = "127.0.0.1:2022"
[[room]]
match = "duo-*"
strangers_say = false
multicast = "239.255.7.1:2023"
multicast_interface = "127.0.0.1"
multicast_ttl = 1
"#;
    check(
        text,
        expect![[r#"
        m.toml:3: udp listeners are not part of this version; 127.0.0.1:2022 is not opened
        m.toml:10: room.strangers_say has no effect: it is not part of this version
        m.toml:11: room.multicast has no effect: it is not part of this version
        m.toml:12: room.multicast_interface has no effect: it is not part of this version
        m.toml:13: room.multicast_ttl has no effect: it is not part of this version
    "#]],
    );
    let (config, _) = Config::from_toml(text, "m.toml").unwrap();
    assert_eq!(config.listeners, [Listener::chat(TCP_DEFAULT)]);
    check(
        "[[listen]]\nprotocol = 'quic'",
        expect![[r#"
        m.toml:2: listen.protocol is "quic", it takes "tcp", "http" or "udp"
    "#]],
    );
}
