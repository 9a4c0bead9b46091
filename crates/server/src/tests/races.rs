//! Sequences that once went wrong: answers and batches that cross, commits that fail beside other things, and
//! connections that end in between.

use std::time::Duration;

use madang_log::{AppendError, Durability, Health};

use super::world::{Wire, World};
use crate::config::{Config, RoomRule, RoomSettings, Service};

fn vault(durability: Durability, shards: usize) -> World {
    let settings = RoomSettings { durability, ..RoomSettings::DEFAULT };
    let rooms = vec![RoomRule::new("vault", settings).unwrap()];
    World::with(Config { shards, rooms, ..Config::default() })
}

#[test]
fn what_is_said_right_before_quit_is_told_and_the_connection_ends() {
    let mut world = World::new();
    world.people(["bob"]);
    world.connect("nc");
    world.send("nc", b"hello\n/quit\n");
    world.finish("nc");
    world.advance(Duration::from_secs(60));
    assert!(world.wire("nc", Wire::is_closed), "{}", world.received("nc"));
}

#[test]
fn who_comes_in_beside_a_failing_commit_hears_what_follows() {
    let mut world = vault(Durability::Sync, 1);
    world.people(["ann", "bob"]);
    world.run("ann: /join vault");
    world.run("ann: first");
    world.forget();
    world.log[0].fail_next_append(AppendError::Unavailable { why: "full".into() });
    world.type_ahead("bob", b"/join vault\n");
    world.type_ahead("ann", b"lost\n");
    world.settle();
    world.run("ann: three");
    world.run("ann: four");
    let bob = world.received("bob");
    assert!(
        bob.contains("<ann> three") || !bob.contains("in vault (2"),
        "{bob} --- {}",
        world.received("ann")
    );
}

#[test]
fn a_read_outlives_the_loading_of_its_room() {
    let mut world = vault(Durability::Sync, 1);
    world.people(["ann", "bob"]);
    world.run("ann: /join vault");
    (0..1500).for_each(|n| world.run(&format!("ann: {n}")));
    world.connect_json("eve");
    world.forget();
    world.log[0].hold();
    world.log[0].fail_next_append(AppendError::Unavailable { why: "full".into() });
    world.run("ann: lost");
    world.run(r#"eve: {"op":"history","room":"vault","after":1,"limit":5,"id":1}"#);
    world.log[0].release();
    world.settle();
    world.run(r#"eve: {"op":"bye","id":2}"#);
    world.finish("eve");
    let eve = world.received("eve");
    assert!(eve.contains(r#"{"re":1"#) && world.wire("eve", Wire::is_closed), "{eve}");
}

#[test]
fn joining_again_beside_a_failing_commit_keeps_the_place() {
    let mut world = vault(Durability::Sync, 1);
    world.people(["bob"]);
    world.connect_json("ann");
    world.run(r#"ann: {"op":"join","room":"vault","id":1}"#);
    world.run("bob: /join vault");
    world.log[0].hold();
    world.log[0].fail_next_append(AppendError::Unavailable { why: "full".into() });
    world.run("bob: lost");
    world.run(r#"ann: {"op":"join","room":"vault","id":2}"#);
    world.log[0].release();
    world.settle();
    world.forget();
    world.run("bob: /who");
    world.run(r#"ann: {"op":"say","room":"vault","text":"hi","id":3}"#);
    let (a, b) = (world.received("ann"), world.received("bob"));
    assert!(a.contains(r#"{"re":3,"seq""#), "{a} {b}");
}

#[test]
fn what_turns_out_to_be_kept_is_told_after_all() {
    let mut world = vault(Durability::Sync, 1);
    world.people(["ann"]);
    world.connect_json("bob");
    world.run("ann: /join vault");
    world.run(r#"bob: {"op":"join","room":"vault"}"#);
    world.run("ann: two");
    world.log[0].lose_next_answer();
    world.run("ann: perhaps");
    world.run("ann: after");
    let b = world.received("bob");
    assert!(b.contains(r#""seq":3"#), "{b}");
}

#[test]
fn who_left_beside_a_failing_commit_is_told_to_have_left() {
    let mut world = vault(Durability::Sync, 1);
    world.people(["ann", "bob"]);
    world.run("ann: /join vault");
    world.run("bob: /join vault");
    world.log[0].hold();
    world.log[0].fail_next_append(AppendError::Unavailable { why: "full".into() });
    world.run("ann: lost");
    world.run("bob: /leave");
    world.forget();
    world.log[0].release();
    world.settle();
    let a = world.received("ann");
    assert!(a.contains("bob left"), "{a}");
}

#[test]
fn one_reset_at_the_end_resets_nobody_else() {
    let mut world = World::new();
    world.people(["ann", "bob", "eve"]);
    world.shut_down();
    world.reset("eve"); // panics on write after FIN
    assert!(world.wire("ann", |w| !w.is_closed()));
}

#[test]
fn an_idle_relay_peer_is_written_nothing_after_fin() {
    let mut config = Config { shards: 1, ..Config::default() };
    config.listeners[0].service = Service::Relay { to_sender: false };
    config.listeners[0].idle_timeout = Duration::from_secs(60);
    let mut world = World::with(config);
    ["a", "b"].into_iter().for_each(|name| world.connect(name));
    world.advance(Duration::from_secs(40));
    world.send("a", b"x");
    world.advance(Duration::from_secs(21));
    world.send("a", b"y");
    assert!(world.wire("b", |w| !w.is_closed()));
}

#[test]
fn the_log_is_well_again_before_a_busy_answer_arrives() {
    let mut world = World::with(Config { shards: 2, ..Config::default() });
    world.people(["ann", "bob"]);
    // Which of the two lives on another shard than the plaza?
    world.log.iter().for_each(|log| log.set_health(Health::Busy));
    world.settle();
    world.type_ahead("ann", b"one\n");
    world.type_ahead("bob", b"one\n");
    world.turn_once(); // commands go out
    world.deliver_mail(); // the room's shard takes them
    world.turn_once(); // answers go out
    world.log.iter().for_each(|log| log.set_health(Health::Well));
    world.settle();
    world.forget();
    world.run("ann: two");
    world.run("bob: two");
    let (a, b) = (world.received("ann"), world.received("bob"));
    assert!(a.contains("<bob> two") && b.contains("<ann> two"), "ann: {a:?} bob: {b:?}");
}

#[test]
fn every_op_with_an_id_gets_a_reply_also_too_fast_ones() {
    let mut world = World::new();
    world.connect_from("far", "203.0.113.9:4000", 0);
    world.run("far: /json");
    world.forget();
    let lines: String = (0..280).map(|n| format!("{{\"op\":\"ping\",\"id\":{n}}}\n")).collect();
    assert!(lines.len() > 4096);
    let many: String = (0..1200).map(|n| format!("{{\"id\":{n}}}\n")).collect();
    world.send("far", many.as_bytes());
    for _ in 0..200 {
        world.advance(Duration::from_secs(1));
    }
    let text = world.received("far");
    assert_eq!(text.matches("\"re\":").count(), 1200, "{} errors", text.matches("\"ev\":\"error\"").count());
}

#[test]
fn the_limit_of_rooms_needs_no_limit_of_lines() {
    let mut config = Config { shards: 1, ..Config::default() };
    config.limits.messages_per_second = 0;
    config.limits.rooms_per_session = 2;
    let mut world = World::with(config);
    world.connect_from("far", "203.0.113.9:4000", 0);
    for n in 0..5 {
        world.run(&format!("far: /join r{n}"));
    }
    let t = world.received("far");
    assert!(t.contains("too_many"), "{t}");
}

#[test]
fn answers_owed_to_one_connection_are_bounded() {
    let mut world = World::new();
    world.people(["ann"]);
    (0..60).for_each(|_| world.run(&format!("ann: {}", "x".repeat(4_000))));
    world.forget();
    world.set_window("ann", Some(0));
    world.send("ann", "/history 60\n".repeat(1000).as_bytes());
    let commands = world.metrics[0].commands.get() - 61;
    assert!(commands <= 2, "{commands} histories of 240 kB are owed to one connection");
}

#[test]
fn a_gap_covers_a_dropped_replay() {
    let mut config = Config { shards: 1, ..Config::default() };
    config.limits.backlog_bytes = 2_000;
    let mut world = World::with(config);
    world.people(["ann"]);
    world.connect_json("bob");
    (0..20).for_each(|n| world.run(&format!("ann: early {n}")));
    world.received("bob");
    world.set_window("bob", Some(10));
    (0..50).for_each(|_| world.run(&format!("ann: {}", "x".repeat(100))));
    world.run(r#"bob: {"op":"join","room":"plaza","after":5,"id":1}"#);
    world.set_window("bob", None);
    world.run("ann: end");
    let b = world.received("bob");
    let gap = b.lines().find(|l| l.contains("\"gap\"")).unwrap();
    assert!(gap.contains(r#""from_seq":6"#), "{gap}\n{b}");
}

#[test]
fn a_memory_room_outlives_its_last_member_by_a_minute() {
    let mut world = vault(Durability::Memory, 1);
    world.people(["ann", "bob"]);
    world.run("ann: /join vault");
    world.run("ann: /leave");
    world.advance(Duration::from_secs(50));
    world.run("ann: /join vault");
    world.run("ann: remember me");
    world.advance(Duration::from_secs(9));
    world.run("ann: /leave");
    world.advance(Duration::from_secs(5));
    world.run("bob: /join vault");
    world.forget();
    world.run("bob: /history");
    let b = world.received("bob");
    assert!(b.contains("remember me"), "{b}");
}

fn token(text: &str) -> String {
    text.split(r#""resume":""#).nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn a_refused_name_does_not_unmake_a_resumed_session() {
    let mut world = World::new();
    world.connect_json("one");
    world.run(r#"one: {"op":"hello","id":1}"#);
    let t = token(&world.received("one"));
    world.run(r#"one: {"op":"say","room":"plaza","text":"pay","key":"k","id":2}"#);
    world.reset("one");
    world.people(["bob"]);
    world.connect_json("two");
    world.run(&format!(r#"two: {{"op":"hello","id":1,"resume":"{t}","nick":"bob"}}"#));
    world.run(r#"two: {"op":"hello","id":2}"#);
    world.run(r#"two: {"op":"say","room":"plaza","text":"pay","key":"k","id":3}"#);
    let w = world.received("two");
    assert_eq!(w.matches("\"pay\"").count(), 0, "{w}");
}

#[test]
fn a_resume_that_breaks_midway_leaves_the_name() {
    let mut out = String::new();
    for steps in 0..6 {
        for shards in [1, 4] {
            for _ in 0..6 {
                let mut world = World::with(Config { shards, ..Config::default() });
                world.people(["bob"]);
                world.connect_json("one");
                world.run(r#"one: {"op":"hello","id":1,"nick":"mina"}"#);
                let t = token(&world.received("one"));
                world.reset("one");
                world.connect_json("flaky");
                world.type_ahead("flaky", format!("{{\"op\":\"hello\",\"resume\":\"{t}\"}}\n").as_bytes());
                for step in 0..steps {
                    if step % 2 == 0 { world.turn_once() } else { world.deliver_mail() }
                }
                world.reset_unseen("flaky");
                world.run("bob: hi");
                world.connect_json("two");
                world.run(&format!(r#"two: {{"op":"hello","id":1,"resume":"{t}"}}"#));
                let w = world.received("two");
                if !w.contains(r#""nick":"mina""#) {
                    out += &format!("steps {steps} shards {shards}: {}\n", &w[..30.min(w.len())]);
                }
            }
        }
    }
    assert_eq!(out, "");
}

#[test]
fn who_goes_is_let_go_however_much_waits_for_the_room() {
    let mut world = World::new();
    world.people(["bob"]);
    world.connect("ann");
    world.forget();
    world.log[0].hold();
    world.run("ann: /join vault");
    for n in 0..20 {
        let name = format!("w{n}");
        world.connect(&name);
        world.send(&name, "/who vault\n".repeat(1024).as_bytes());
    }
    world.reset_unseen("ann");
    world.run("bob: hi");
    assert!(world.wire("ann", Wire::is_closed));
    world.log[0].release();
    world.settle();
    world.forget();
    world.run("bob: /who vault");
    let b = world.received("bob");
    assert!(!b.contains("Guest"), "{b}");
}

#[test]
fn a_room_that_can_not_be_loaded_again_keeps_its_members() {
    let mut world = vault(Durability::Sync, 1);
    world.people(["ann", "bob"]);
    world.run("ann: /join vault");
    world.run("bob: /join vault");
    world.log[0].fail_next_append(AppendError::Unavailable { why: "full".into() });
    world.log[0].fail_next_load();
    world.run("ann: lost");
    world.forget();
    world.advance(Duration::from_secs(5));
    world.run("ann: still here?");
    world.run("bob: /leave");
    let (a, b) = (world.received("ann"), world.received("bob"));
    assert!(b.contains("still here?") && b.contains("left vault"), "ann: {a} bob: {b}");
}

#[test]
fn a_room_that_shrank_and_grew_is_counted_again() {
    let mut world = World::with(Config { shards: 1, presence_limit: 2, ..Config::default() });
    world.connect_json("a");
    for n in ["b", "c"] {
        world.connect(n);
        world.advance(Duration::from_secs(2));
    }
    let first = world.received("a");
    world.run("b: /quit");
    world.run("c: /quit");
    world.connect("d");
    world.connect("e");
    world.advance(Duration::from_secs(5));
    let a = world.received("a");
    assert!(a.contains("\"count\":3"), "{first}\n----\n{a}");
}

#[test]
fn a_session_taken_over_while_it_claims_a_name_is_the_newer_ones() {
    // `one` claims a name while `two` takes its session over: whose session is it afterwards?
    let mut out = String::new();
    for steps in 0..8 {
        for _ in 0..6 {
            let mut world = World::with(Config { shards: 4, ..Config::default() });
            world.connect_json("one");
            world.run(r#"one: {"op":"hello","id":1,"nick":"mina"}"#);
            let t = token(&world.received("one"));
            world.connect_json("two");
            world.type_ahead("one", b"{\"op\":\"nick\",\"nick\":\"jun\"}\n");
            for step in 0..steps {
                if step % 2 == 0 { world.turn_once() } else { world.deliver_mail() }
            }
            world.type_ahead("two", format!("{{\"op\":\"hello\",\"resume\":\"{t}\"}}\n").as_bytes());
            world.settle();
            world.finish("one");
            // The session is two's now: who comes next must replace it.
            world.connect_json("three");
            world.run(&format!(r#"three: {{"op":"hello","id":1,"resume":"{t}"}}"#));
            let two = world.received("two");
            if !two.contains("replaced") {
                out += &format!("steps {steps}: two is not replaced\n");
            }
        }
    }
    assert_eq!(out, "");
}

#[test]
fn a_burst_of_everything_before_fin_ends() {
    let mut world = World::new();
    world.connect("a");
    world.set_window("a", Some(0));
    world.send("a", b"\xff\xfd\x01hello\n/leave\n/leave\nx\n/join a\n/join a\n/leave a\n");
    world.finish("a");
    world.set_window("a", None);
    assert!(world.wire("a", Wire::is_closed));
}

#[test]
fn answers_come_in_the_order_of_their_commands() {
    let mut world = World::with(Config { shards: 4, ..Config::default() });
    world.people(["ann"]);
    world.send(
        "ann",
        b"/echo on\nhello\n/echo off\n/who\n/help who\n/who\n/json\n{\"op\":\"ping\",\"id\":1}\n",
    );
    let text = world.received("ann");
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part:?} in {text}"));
    let order = ["echo is on", "<ann> hello", "echo is off", "* here: ann", "/who [ROOM]", "{\"re\":1}"];
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{text}");
    assert_eq!(text.matches("* here: ann").count(), 2, "what is owed in text comes before JSON: {text}");
}

#[test]
fn an_async_append_that_is_refused_begins_another_epoch() {
    let mut world = vault(Durability::Async, 1);
    world.connect_json("bob");
    world.run(r#"bob: {"op":"join","room":"vault","id":1}"#);
    world.log[0].fail_next_append(AppendError::Unavailable { why: "full".into() });
    world.run(r#"bob: {"op":"say","room":"vault","text":"lost","id":2}"#);
    world.run(r#"bob: {"op":"join","room":"vault","id":3}"#);
    let bob = world.received("bob");
    let epochs: Vec<&str> =
        bob.split(r#""epoch":""#).skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_ne!(epochs[0], epochs[1], "{bob}");
}

/// The room and the nickname have different owners, and still one hears what one says in the order in which it was said.
#[test]
fn what_is_said_and_what_is_told_come_in_the_order_of_the_commands() {
    for _ in 0..8 {
        let mut world = World::with(Config { shards: 4, ..Config::default() });
        world.people(["ann", "bob"]);
        world.send("ann", b"/echo on\nfirst\n/msg bob psst\nlast\n");
        let (ann, bob) = (world.received("ann"), world.received("bob"));
        assert_eq!(ann, "* echo is on\n<ann> first\n-> bob: psst\n<ann> last\n");
        assert_eq!(bob, "<ann> first\n-ann- psst\n<ann> last\n");
    }
}
