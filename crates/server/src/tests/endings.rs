//! How connections end: FIN both ways, goodbyes, breaks, and the server's own end.

use std::time::Duration;

use expect_test::expect;

use super::world::{Wire, World};
use crate::config::{Config, RoomRule, RoomSettings};

#[test]
fn fin_is_answered_by_what_is_owed_and_then_by_fin() {
    for shards in [1, 2] {
        let mut world = World::with(Config { shards, ..Config::default() });
        world.people(["bob"]);
        world.connect("nc");
        world.received("nc");
        world.type_ahead("nc", b"/echo on\nhello\n/msg bob psst\n/who\nlast, without an ending");
        world.finish("nc");
        let text = world.received("nc");
        for owed in ["<Guest2> hello\n", "-> bob: psst\n", "* here: ", "<Guest2> last, without an ending\n"] {
            assert!(text.contains(owed), "{owed:?} in {text}");
        }
        assert!(world.wire("nc", Wire::is_closed));
        let bob = world.received("bob");
        let at = |text: &str| bob.find(text).unwrap_or_else(|| panic!("{text:?} in {bob}"));
        assert!(at("<Guest2> hello") < at("last, without"));
        assert!(at("last, without") < at("* Guest2 left"), "it leaves after its last command: {bob}");
    }
}

#[test]
fn ten_thousand_lines_and_fin_are_all_answered() {
    let mut world = World::new();
    world.connect("nc");
    world.received("nc");
    let lines: String = (0..10_000).map(|n| format!("line {n}\n")).collect();
    world.type_ahead("nc", b"/echo on\n");
    world.type_ahead("nc", lines.as_bytes());
    world.set_window("nc", Some(100_000));
    world.finish("nc");
    let mut text = world.received("nc");
    while !world.wire("nc", Wire::is_closed) {
        world.set_window("nc", Some(100_000));
        text.push_str(&world.received("nc"));
    }
    let expected: Vec<String> = (0..10_000).map(|n| format!("<Guest1> line {n}")).collect();
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), expected);
}

#[test]
fn quit_ends_in_order_and_a_peer_that_never_finishes_is_reset() {
    let mut world = World::new();
    world.people(["ann", "bob"]);
    world.run("ann: /quit");
    world.advance(Duration::from_secs(9));
    assert!(!world.wire("ann", Wire::is_closed));
    world.advance(Duration::from_secs(2));
    world.check(expect![[r#"
        ann < * bye
        ann < (reset)
        bob < * ann left
    "#]]);
}

#[test]
fn a_broken_connection_leaves_its_rooms() {
    let mut world = World::new();
    world.people(["ann", "bob"]);
    world.run("ann: /join garden");
    world.run("bob: /join garden");
    world.forget();
    world.reset("ann");
    world.check(expect![[r#"
        ann < (reset)
        bob < [plaza] * ann left
        bob < * ann left
    "#]]);
}

#[test]
fn who_says_nothing_for_the_idle_timeout_is_let_go() {
    let mut config = Config { shards: 1, ..Config::default() };
    config.listeners[0].idle_timeout = Duration::from_secs(60);
    let mut world = World::with(config);
    world.people(["ann", "bob"]);
    world.advance(Duration::from_secs(40));
    world.run("bob: still here");
    world.advance(Duration::from_secs(30));
    world.check(expect![[r#"
        ann < <bob> still here
        ann < * bye: idle
        ann < (reset)
        bob < * ann left
    "#]]);
}

#[test]
fn at_the_servers_end_everybody_is_told_and_drained() {
    let mut world = World::with(Config { shards: 2, ..Config::default() });
    world.connect("ann");
    world.connect_json("bob");
    world.connect("idle");
    world.forget();
    world.shut_down();
    for name in ["ann", "idle"] {
        let text = world.received(name);
        assert!(text.starts_with("* bye: shutdown, come back in "), "{text}");
    }
    let text = world.received("bob");
    assert!(text.starts_with(r#"{"ev":"bye","why":"shutdown","resume":true,"retry_ms":"#), "{text}");
    world.finish("ann");
    assert!(world.wire("ann", Wire::is_closed));
    assert!(!world.is_drained());
    world.advance(Duration::from_secs(2));
    assert!(world.is_drained(), "idle peers are not waited for");
    world.check(expect![[r#"
        ann < (end)
        bob < (end)
        idle < (end)
    "#]]);
}

#[test]
fn a_client_that_takes_nothing_delays_the_servers_end_no_longer_than_allowed() {
    let mut world = World::new();
    world.connect("ann");
    world.set_window("ann", Some(0));
    world.shut_down();
    world.advance(Duration::from_secs(4));
    assert!(!world.is_drained());
    world.advance(Duration::from_secs(2));
    assert!(world.is_drained());
}

#[test]
fn an_http_request_gets_one_refusal_and_the_end() {
    let mut world = World::new();
    world.connect("web");
    world.received("web");
    world.send("web", b"POST /say HTTP/1.1\r\nHost: x\r\n\r\n/nick evil\r\n");
    world.check(expect![[r#"
        web < ! bad_command: this door speaks lines of text, not HTTP
        web < (end)
    "#]]);
}

/// A connection that breaks while others are deciding something for it must not hold it for ever.
#[test]
fn what_a_gone_connection_was_given_is_given_back() {
    let settings = RoomSettings { capacity: 1, ..RoomSettings::DEFAULT };
    let rooms = vec![RoomRule::new("solo", settings).unwrap()];
    // With several shards, names and rooms are elsewhere for some of these.
    let mut world = World::with(Config { shards: 4, rooms, ..Config::default() });
    world.people(["bob"]);
    for n in 0..8 {
        let name = format!("gone{n}");
        world.connect(&name);
        world.log.iter().for_each(madang_log::Control::hold);
        world.type_ahead(&name, b"/nick mina\n/join solo\n");
        world.turn_once();
        world.reset_unseen(&name);
        world.turn_once();
        world.log.iter().for_each(madang_log::Control::release);
        world.settle();
    }
    world.run("bob: /nick mina");
    world.run("bob: /join solo");
    let bob = world.received("bob");
    assert!(bob.contains("* bob is now mina\n") && bob.contains("* in solo (1 here)\n"), "{bob}");
}

#[test]
fn who_is_replaced_while_leaving_a_room_still_ends() {
    let mut world = World::with(Config { shards: 4, ..Config::default() });
    world.connect_json("one");
    world.run(r#"one: {"op":"hello","id":1}"#);
    let welcome = world.received("one");
    let token = welcome.split(r#""resume":""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    world.connect_json("two");
    for room in ["plaza", "garden", "yard", "hall", "roof"] {
        world.run(&format!(r#"one: {{"op":"join","room":"{room}"}}"#));
    }
    world.type_ahead("two", format!("{{\"op\":\"hello\",\"resume\":\"{token}\"}}\n").as_bytes());
    world.type_ahead("one", b"{\"op\":\"leave\",\"room\":\"yard\"}\n");
    world.settle();
    world.finish("one");
    assert!(world.wire("one", Wire::is_closed));
}
