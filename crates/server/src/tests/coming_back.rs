//! What becomes of sessions and trails when clients come back in ways that nobody planned for.

use std::time::Duration;

use super::world::World;
use crate::arrival::Manner;
use crate::config::{Config, HttpService, Listener, Service};

fn pid(connected: &str) -> String {
    let at = connected.find("\"pid\":\"").unwrap_or_else(|| panic!("no pid in {connected}")) + 7;
    connected[at..].split('"').next().unwrap().to_owned()
}

fn said(frames: &str) -> Vec<String> {
    frames.split("\"text\":\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

fn framed(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    madang_wire::websocket::masked_text_frame(&mut bytes, text);
    bytes
}

fn in_two_rooms(world: &mut World) -> String {
    world.people(["jun"]);
    let pid = pid(&sio(world, "a", ""));
    world.frame("a", r#"42["join",{"room":"plaza"}]"#);
    world.run("jun: /join garden");
    world.frame("a", r#"42["join",{"room":"garden"}]"#);
    world.frames("a");
    pid
}

/// Opens a Socket.IO connection and connects; gives what was answered.
fn sio(world: &mut World, name: &str, auth: &str) -> String {
    world.open_socketio(name);
    world.frames(name);
    world.frame(name, &format!("40{auth}"));
    world.frames(name).concat()
}

#[test]
fn a_session_that_is_forgotten_has_one_connection_too() {
    let mut world = World::new();
    let pid0 = pid(&sio(&mut world, "a", ""));
    world.frame("a", r#"42["join",{"room":"plaza"}]"#);
    world.reset("a");
    // The name is kept for 30 s, the trail for two minutes.
    world.advance(Duration::from_secs(40));
    for name in ["b", "c"] {
        world.open_socketio(name);
        world.frames(name);
    }
    for name in ["b", "c"] {
        world.type_ahead(name, &framed(&format!(r#"40{{"pid":"{pid0}"}}"#)));
    }
    world.settle();
    let (b, c) = (world.frames("b").concat(), world.frames("c").concat());
    let session =
        |text: &str| text.split("\"sid\":\"").nth(1).map(|sid| sid.split('-').next().unwrap().to_owned());
    if session(&b) == session(&c) {
        assert!(b.contains("replaced") || c.contains("replaced"), "two live connections of one session");
    }
}

#[test]
fn two_tabs_that_come_back_late_are_one_session() {
    let mut world = World::new();
    world.people(["jun"]);
    world.connect_json("old");
    world.run(r#"old: {"op":"hello","nick":"mina","id":1}"#);
    let hello = world.received("old");
    let token = hello.split("\"resume\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    world.reset("old");
    world.advance(Duration::from_secs(40));
    ["one", "two"].iter().for_each(|tab| world.arrive(tab, Manner::WebSocket));
    for tab in ["one", "two"] {
        world.type_ahead(
            tab,
            &framed(&format!(r#"{{"op":"hello","resume":"{token}","nick":"mina","id":1}}"#)),
        );
    }
    world.settle();
    for tab in ["one", "two"] {
        world.frame(tab, r#"{"op":"join","room":"plaza","id":2}"#);
        world.frames(tab);
    }
    world.received("jun");
    world.run("jun: hi");
    world.frame("one", r#"{"op":"say","room":"plaza","text":"x","id":3}"#);
    let one = world.frames("one").concat();
    // One of them was replaced; or, at the least, its home and the room agree on who is a member.
    assert!(
        !(one.contains("\"hi\"") && one.contains("not_a_member")),
        "it hears a room that says that it is not there: {one}"
    );
}

#[test]
fn a_replaced_client_takes_the_offsets_from_nobody() {
    let mut world = World::new();
    let pid0 = in_two_rooms(&mut world);
    let pid_x = pid(&sio(&mut world, "x", ""));
    world.frame("x", r#"42["join",{"room":"garden"}]"#);
    world.run("jun: first");
    let seen = world.frames("x").concat();
    let offset = seen.rsplit('"').nth(1).unwrap().to_owned();
    assert!(offset.starts_with("garden:"), "{seen}");
    // In one wake: `a` comes back by another connection, and somebody says something.
    world.open_socketio("b");
    world.type_ahead("b", &framed(&format!(r#"40{{"pid":"{pid0}"}}"#)));
    world.type_ahead("jun", b"second\n");
    world.settle();
    let seen = world.frames("x").concat();
    assert_eq!(said(&seen), ["second"]);
    assert!(seen.contains("\"garden:3\""), "{seen}");
    let offset = "garden:3";
    world.reset("x");
    let back = sio(&mut world, "y", &format!(r#"{{"pid":"{pid_x}","offset":"{offset}"}}"#));
    assert_eq!(pid(&back), pid_x);
    assert_eq!(said(&back), [""; 0], "it has that already: {back}");
}

#[test]
fn two_listeners_each_with_its_own_recovery() {
    let http = |recovery| Listener {
        service: Service::Http(HttpService { recovery, ..HttpService::default() }),
        ..Config::default().listeners.into_iter().find(|at| matches!(at.service, Service::Http(_))).unwrap()
    };
    let mut config = Config { shards: 1, ..Config::default() };
    config.listeners.retain(|at| !matches!(at.service, Service::Http(_)));
    let first = config.listeners.len() as u16;
    config.listeners.extend([http(false), http(true)]);
    let mut world = World::with(config);
    world.people(["jun"]);
    for (name, listener) in [("without", first), ("with", first + 1)] {
        world.arrive_at(name, listener);
        world.frame(name, "40");
        world.frame(name, r#"42["join",{"room":"plaza"}]"#);
        world.frames(name);
    }
    world.run("jun: hi");
    let frames = world.frames("with").concat();
    assert!(frames.ends_with("\"plaza:2\"]"), "no offset: {frames}");
}

#[test]
fn steps_from_before_a_room_was_left_do_not_count() {
    let mut world = World::new();
    let pid = in_two_rooms(&mut world);
    world.run("jun: /join plaza");
    world.run("jun: p1");
    world.frame("a", r#"42["leave",{"room":"garden"}]"#);
    world.run("jun: p2");
    world.frame("a", r#"42["join",{"room":"garden"}]"#);
    world.run("jun: /join garden");
    world.run("jun: g1");
    let seen = world.frames("a").concat();
    assert_eq!(said(&seen), ["p1", "p2", "g1"]);
    let offset = seen.rsplit('"').nth(1).unwrap().to_owned();
    assert!(offset.starts_with("garden:"));
    world.reset("a");
    let back = sio(&mut world, "b", &format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#));
    assert_eq!(said(&back), [""; 0], "nothing was missed: {back}");
}

#[test]
fn a_room_that_is_joined_again_still_says_where_its_client_was_elsewhere() {
    let mut world = World::new();
    let pid = in_two_rooms(&mut world);
    world.run("jun: g1");
    world.run("jun: /join plaza");
    world.run("jun: p1");
    let seen = world.frames("a").concat();
    assert_eq!(said(&seen), ["g1", "p1"]);
    let offset = seen.rsplit('"').nth(1).unwrap().to_owned();
    world.frame("a", r#"42["join",{"room":"plaza"}]"#);
    world.frames("a");
    world.reset("a");
    let back = sio(&mut world, "b", &format!(r#"{{"pid":"{pid}","offset":"{offset}"}}"#));
    assert_eq!(said(&back), [""; 0], "nothing was missed: {back}");
}

#[test]
fn what_was_lost_before_a_room_was_joined_again_is_not_called_recovered() {
    let mut world = World::new();
    world.people(["jun"]);
    let pid1 = pid(&sio(&mut world, "a", ""));
    world.frame("a", r#"42["join",{"room":"plaza"}]"#);
    world.frames("a");
    // On its way, and never there.
    world.run("jun: lost");
    world.frame("a", r#"42["join",{"room":"plaza"}]"#);
    world.reset("a");
    let back = sio(&mut world, "b", &format!(r#"{{"pid":"{pid1}"}}"#));
    assert!(pid(&back) != pid1 || said(&back) == ["lost"], "recovered without it: {back}");
}

#[test]
fn a_failed_result_is_no_wish_to_hear_everything_again() {
    let settings = crate::config::RoomSettings { capacity: 1, ..Default::default() };
    let rooms = vec![crate::config::RoomRule::new("solo", settings).unwrap()];
    let mut world = World::with(Config { shards: 1, rooms, ..Config::default() });
    world.people(["jun", "kim"]);
    world.run("kim: /join solo");
    let pid0 = pid(&sio(&mut world, "a", ""));
    world.frame("a", r#"42["join",{"room":"plaza"}]"#);
    world.run("jun: one");
    world.frame("a", r#"42["join",{"room":"garden"}]"#);
    world.frame("a", r#"42["room","solo"]"#);
    world.frame("a", r#"42["leave",{"room":"garden"}]"#);
    let seen = world.frames("a").concat();
    assert_eq!(said(&seen), ["one"]);
    let offset = seen.rsplit('"').nth(1).unwrap().to_owned();
    assert_eq!(offset, "", "the last argument of result, which the client keeps as its offset");
    world.reset("a");
    let back = sio(&mut world, "b", &format!(r#"{{"pid":"{pid0}","offset":"{offset}"}}"#));
    assert_eq!(said(&back), [""; 0], "nothing was missed: {back}");
}

#[test]
fn who_is_not_recovered_because_it_was_too_much_is_in_no_room() {
    let sync = crate::config::RoomSettings { durability: madang_log::Durability::Sync, ..Default::default() };
    let mut config = Config { shards: 1, ..Config::default() };
    config.rooms = vec![crate::config::RoomRule::new("garden", sync).unwrap()];
    config.limits.backlog_bytes = 2_048;
    let mut world = World::with(config);
    world.people(["jun", "kim"]);
    world.run("kim: /join garden");
    let pid0 = pid(&sio(&mut world, "a", ""));
    for room in ["plaza", "garden"] {
        world.frame("a", &format!(r#"42["join",{{"room":"{room}"}}]"#));
    }
    world.frames("a");
    world.reset("a");
    world.run("jun: missed");
    // The disk is slow for a moment.
    world.log[0].hold();
    world.run("kim: slow");
    world.open_socketio("b");
    world.frames("b");
    world.frame("b", &format!(r#"40{{"pid":"{pid0}"}}"#));
    (0..50).for_each(|nr| world.run(&format!("jun: live {nr}")));
    world.log[0].release();
    world.settle();
    let back = world.frames("b").concat();
    assert_ne!(pid(&back), pid0);
    world.run("jun: later");
    assert_eq!(world.frames("b"), [""; 0], "a new client is in no room");
}

#[test]
fn a_heartbeat_asked_during_a_recovery_that_fails_is_still_asked() {
    let sync = crate::config::RoomSettings { durability: madang_log::Durability::Sync, ..Default::default() };
    let mut config = Config { shards: 1, ..Config::default() };
    config.rooms = vec![crate::config::RoomRule::new("garden", sync).unwrap()];
    config.write_timeout = Duration::from_secs(60);
    let mut world = World::with(config);
    world.people(["kim"]);
    world.run("kim: /join garden");
    let pid0 = pid(&sio(&mut world, "a", ""));
    world.frame("a", r#"42["join",{"room":"garden"}]"#);
    world.frames("a");
    world.reset("a");
    world.open_socketio("b");
    world.frames("b");
    world.advance(Duration::from_secs(24));
    world.log[0].fail_next_append(madang_log::AppendError::Unavailable { why: "full".into() });
    world.log[0].hold();
    world.run("kim: slow");
    world.frame("b", &format!(r#"40{{"pid":"{pid0}"}}"#));
    world.advance(Duration::from_secs(2));
    world.log[0].release();
    world.settle();
    let frames = world.frames("b");
    // A client answers each ping at once.
    for frame in frames.iter().filter(|frame| *frame == "2") {
        let _ = frame;
        world.frame("b", "3");
    }
    world.advance(Duration::from_secs(22));
    let frames = world.frames("b");
    assert!(!frames.iter().any(|frame| frame.contains("close")), "it was never asked: {frames:?}");
}

#[test]
fn a_refused_return_does_not_come_back_later_by_itself() {
    let mut world = World::new();
    world.people(["jun"]);
    let pid0 = pid(&sio(&mut world, "a", ""));
    world.frame("a", r#"42["join",{"room":"plaza"}]"#);
    world.reset("a");
    world.run("jun: missed");
    let refused = sio(&mut world, "b", &format!(r#"{{"pid":"{pid0}","nick":"jun"}}"#));
    assert!(refused.starts_with("44"), "{refused}");
    world.frame("b", r#"40{"nick":"other"}"#);
    let anew = world.frames("b").concat();
    assert!(pid(&anew) != pid0 && said(&anew).is_empty(), "nobody asked for this: {anew}");
}

#[test]
fn a_connect_error_forgets_no_session() {
    let mut world = World::new();
    world.people(["jun"]);
    world.connect_json("old");
    world.run(r#"old: {"op":"hello","nick":"mina","id":1}"#);
    let hello = world.received("old");
    let token = hello.split("\"resume\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    world.reset("old");
    let refused = sio(&mut world, "a", &format!(r#"{{"resume":"{token}","nick":"jun"}}"#));
    assert!(refused.starts_with("44"), "{refused}");
    world.finish("a");
    world.connect_json("b");
    world.run(&format!(r#"b: {{"op":"hello","resume":"{token}","id":1}}"#));
    let back = world.received("b");
    assert!(back.contains("\"nick\":\"mina\""), "its name is kept for 30 s, and it came after 0: {back}");
}

#[test]
fn a_simple_client_that_goes_elsewhere_loses_nothing_said_before() {
    let mut world = World::new();
    for name in ["a", "b"] {
        sio(&mut world, name, "");
        world.frame(name, r#"42["room","old"]"#);
    }
    // The other room is open already.
    sio(&mut world, "c", "");
    world.frame("c", r#"42["room","new"]"#);
    world.type_ahead("b", &framed(r#"42["chat message","hi"]"#));
    world.type_ahead("a", &framed(r#"42["room","new"]"#));
    world.settle();
    let frames = world.frames("a");
    assert!(
        frames.iter().all(|frame| frame.starts_with(r#"42["chat message""#)),
        "simple clients get two events and no others: {frames:?}"
    );
}

#[test]
fn two_at_once_with_one_pid_leave_one_with_its_name() {
    let mut bad = Vec::new();
    for round in 0..400 {
        let shards = 2 + round % 3;
        let mut world = World::with(Config { shards, ..Config::default() });
        world.people(["jun"]);
        let pid0 = pid(&sio(&mut world, "a", r#"{"nick":"mina"}"#));
        for _ in 0..round % 4 {
            world.connect("filler");
        }
        for name in ["b", "c"] {
            world.open_socketio(name);
            world.frames(name);
            for _ in 0..round % 5 {
                world.connect("filler");
            }
        }
        for name in ["b", "c"] {
            world.type_ahead(name, &framed(&format!(r#"40{{"pid":"{pid0}"}}"#)));
            if round % 7 > 3 {
                world.turn_once();
            }
        }
        world.settle();
        let (b, c) = (world.frames("b").concat(), world.frames("c").concat());
        let is_gone = |text: &str| text.contains("(close");
        if is_gone(&b) == is_gone(&c) {
            bad.push(format!("{round}: both the same: {b} | {c}"));
            continue;
        }
        world.received("jun");
        world.run("jun: /msg mina hi");
        let told = world.received("jun");
        world.advance(Duration::from_secs(20));
        let alive = if is_gone(&b) { "c" } else { "b" };
        let heard = world.frames(alive).concat();
        world.frame(alive, "3");
        world.advance(Duration::from_secs(20));
        world.frame(alive, "3");
        world.advance(Duration::from_secs(5));
        world.run("jun: /nick mina");
        let stolen = world.received("jun");
        world.frame(alive, r#"429["hello",{}]"#);
        let hello = world.frames(alive).concat();
        let nick = hello.split("\"nick\":\"").nth(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        let name = nick.clone().unwrap_or(hello.clone());
        if nick.as_deref() == Some("mina") && !heard.contains("told")
            || stolen.contains("you are now mina")
            || stolen.contains("mina\n") && !stolen.contains("taken")
        {
            bad.push(format!(
                "{round} ({shards} shards): told {told:?} heard {heard:?}, then {stolen:?}, alive as {name}"
            ));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn rooms_per_session_counts_simple_rooms_too() {
    let mut config = Config { shards: 1, ..Config::default() };
    config.limits.rooms_per_session = 3;
    config.limits.messages_per_second = 0;
    let mut world = World::with(config);
    world.arrive_from(
        "a",
        "192.0.2.1:50000",
        Manner::SocketIo { sid: "sid-a".into(), upgrades: true, app: crate::arrival::App::Rooms },
    );
    world.frame("a", "40");
    world.frames("a");
    for nr in 0..20 {
        world.frame("a", &format!(r#"42["room","r{nr}"]"#));
        // A full member now, so that the next `room` does not leave it.
        world.frame("a", &format!(r#"42["join",{{"room":"r{nr}"}}]"#));
    }
    world.frames("a");
    world.frame("a", r#"427["rooms",{}]"#);
    let rooms = world.frames("a").concat();
    assert!(rooms.matches("\"room\":").count() <= 3, "in too many: {rooms}");
}

#[test]
fn nothing_follows_a_close_frame() {
    let mut world = World::new();
    world.people(["jun"]);
    world.arrive("mina", Manner::WebSocket);
    world.frame("mina", r#"{"op":"join","room":"plaza"}"#);
    world.forget();
    world.type_ahead("jun", b"hi\n");
    let mut close = Vec::new();
    close.extend_from_slice(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]);
    world.type_ahead("mina", &close);
    world.settle();
    let frames = world.frames("mina");
    assert_eq!(frames.last().map(String::as_str), Some("(close 1000)"), "{frames:?}");
}

#[test]
fn a_disconnect_that_comes_too_fast_is_a_disconnect() {
    let mut config = Config { shards: 1, ..Config::default() };
    config.limits.messages_per_second = 1;
    let mut world = World::with(config);
    world.people(["jun"]);
    world.arrive_from(
        "a",
        "192.0.2.1:50000",
        Manner::SocketIo { sid: "sid-a".into(), upgrades: true, app: crate::arrival::App::Rooms },
    );
    world.frame("a", "40");
    world.frame("a", r#"42["join",{"room":"plaza"}]"#);
    world.frames("a");
    let mut burst: Vec<u8> = (0..30).flat_map(|_| framed(r#"42["ping"]"#)).collect();
    burst.extend(framed("41"));
    world.send("a", &burst);
    world.frames("a");
    world.run("jun: /who");
    world.run("jun: still there?");
    world.advance(Duration::from_secs(60));
    let frames = world.frames("a");
    assert!(said(&frames.concat()).is_empty(), "out of the namespace, in the room: {frames:?}");
}

#[test]
fn every_event_that_asks_for_an_acknowledgment_gets_one() {
    let mut config = Config { shards: 1, ..Config::default() };
    config.limits.messages_per_second = 1;
    let mut world = World::with(config);
    world.arrive_from(
        "a",
        "192.0.2.1:50000",
        Manner::SocketIo { sid: "sid-a".into(), upgrades: true, app: crate::arrival::App::Rooms },
    );
    world.frame("a", "40");
    world.frame("a", r#"42["room","plaza"]"#);
    world.frames("a");
    let burst: Vec<u8> = (0..30).flat_map(|nr| framed(&format!(r#"42{nr}["chat message","x"]"#))).collect();
    world.send("a", &burst);
    let frames = world.frames("a");
    let acks = frames.iter().filter(|frame| frame.starts_with("43")).count();
    assert_eq!(acks, 30, "{frames:?}");
}

#[test]
fn pongs_that_nobody_asked_for_set_no_timers() {
    let mut world = World::new();
    world.open_socketio("a");
    world.frame("a", "40");
    let before = world.timers();
    let mut pong = Vec::new();
    madang_wire::websocket::masked_text_frame(&mut pong, "3");
    world.send("a", &pong.repeat(100_000));
    assert!(world.timers() < before + 10, "{} timers for one connection", world.timers());
}
