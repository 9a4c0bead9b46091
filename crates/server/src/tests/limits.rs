//! What hostile, slow and greedy clients get.

use std::time::Duration;

use expect_test::expect;

use super::world::{Wire, World};
use crate::config::Config;

#[test]
fn bad_input_is_refused_and_the_connection_stays() {
    let mut world = World::new();
    world.people(["ann", "bob"]);
    world.send("ann", b"\xc3\x28 broken\n");
    world.send("ann", b"caf\xe9\n");
    world.send("ann", &[b"x".repeat(5_000).as_slice(), b"\nafter the long line\n"].concat());
    world.run("ann: /dance");
    world.run("ann: /nick");
    world.run("ann: \u{1b}]0;title\u{7}\u{202e}red\u{9b}31m 👩‍👧");
    world.run("ann: \u{200b}");
    world.check(expect![[r#"
        ann < ! bad_text: a line must be UTF-8: byte 1 is not
        ann < ! bad_text: a line must be UTF-8: byte 4 is not
        ann < ! too_long: a line may have 4096 bytes; the rest was skipped
        ann < ! bad_command: there is no command /dance; /help lists the commands
        ann < ! bad_command: write /nick NAME to change your nickname
        ann < ! bad_text: a text needs at least one visible character
        bob < <ann> after the long line
        bob < <ann> ]0;titlered31m 👩‍👧
    "#]]);
}

#[test]
fn a_json_bomb_is_an_error_like_any_other() {
    let mut world = World::new();
    world.connect_json("ann");
    world.run(&format!("ann: {}", "[".repeat(30_000)));
    world.run(&format!(r#"ann: {{"op":"ping","id":1,"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000)));
    world.run(r#"ann: {"op":"ping","id":2}"#);
    let text = world.received("ann");
    assert_eq!(text.matches("bad_json").count(), 2, "{text}");
    assert!(text.ends_with("{\"re\":2}\n"), "{text}");
}

#[test]
fn a_line_that_never_ends_keeps_no_more_than_a_line() {
    let mut world = World::new();
    world.connect("ann");
    world.received("ann");
    (0..20_000).for_each(|_| world.send("ann", b"x"));
    world.send("ann", b"\nhello\n/who\n");
    world.check(expect![[r#"
        ann < ! too_long: a line may have 4096 bytes; the rest was skipped
        ann < * here: Guest1
    "#]]);
}

#[test]
fn a_reader_that_stops_misses_events_is_told_which_and_is_gone_in_the_end() {
    let mut config = Config { shards: 1, ..Config::default() };
    config.limits.backlog_bytes = 2_000;
    let mut world = World::with(config);
    world.people(["ann", "bob", "eve"]);
    world.set_window("bob", Some(10));
    let text = "x".repeat(100);
    (0..50).for_each(|_| world.run(&format!("ann: {text}")));
    assert_eq!(world.metrics[0].gaps.get(), 1);
    world.advance(Duration::from_secs(5));
    // A reply is owed even then.
    world.run("bob: /msg ann I read slowly");
    world.set_window("bob", None);
    world.run("ann: and on it goes");
    let bob = world.received("bob");
    let lines: Vec<&str> = bob.lines().collect();
    assert_eq!(lines[0], format!("<ann> {text}"), "what had begun is finished");
    expect![[r#"
        -> ann: I read slowly
        * you missed 3 to 51 of plaza, /history shows them
        <ann> and on it goes"#]]
    .assert_eq(&lines[1..].join("\n"));
    world.set_window("eve", Some(0));
    world.run("ann: more");
    world.advance(Duration::from_secs(9));
    assert!(!world.wire("eve", Wire::is_closed));
    world.advance(Duration::from_secs(2));
    assert!(world.wire("eve", Wire::is_closed));
    assert_eq!(world.metrics[0].stuck.get(), 1);
    world.received("eve");
    world.check(expect![[r#"
        ann < -bob- I read slowly
        ann < * eve left
        bob < <ann> more
        bob < * eve left
        eve < (reset)
    "#]]);
}

#[test]
fn who_is_owed_too_many_answers_is_read_no_further() {
    let mut world = World::new();
    world.people(["ann"]);
    (0..50).for_each(|_| world.run(&format!("ann: {}", "x".repeat(1_000))));
    world.set_window("ann", Some(0));
    (0..20).for_each(|_| world.run("ann: /history 50"));
    let commands = world.metrics[0].commands.get();
    (0..20).for_each(|_| world.run("ann: /history 50"));
    assert_eq!(world.metrics[0].commands.get(), commands, "nothing is read");
    world.set_window("ann", None);
    let lines = world.received("ann").lines().count();
    assert_eq!(lines, 40 * 50, "and nothing is lost");
}

#[test]
fn a_stranger_that_floods_is_read_slowly_and_refused_in_the_end() {
    let mut world = World::new();
    world.people(["bob"]);
    world.connect_from("far", "203.0.113.9:4000", 0);
    world.forget();
    world.send("far", "hi\n".repeat(1_000).as_bytes());
    let heard = world.received("bob").matches("<Guest2> hi").count();
    assert_eq!(heard, 260, "a burst of 60, and what came with it up to ten seconds' worth");
    assert_eq!(world.received("far").matches("! too_fast").count(), 1);
    world.run("far: still there?");
    assert_eq!(world.received("bob"), "", "it is not read until the ten seconds are over");
    world.advance(Duration::from_secs(11));
    assert_eq!(world.received("bob"), "<Guest2> still there?\n");
}

#[test]
fn a_stranger_can_be_in_so_many_rooms() {
    let mut world = World::new();
    world.connect_from("far", "203.0.113.9:4000", 0);
    for n in 1..50 {
        world.run(&format!("far: /join room{n}"));
        world.advance(Duration::from_secs(1));
    }
    world.forget();
    world.run("far: /join room50");
    world.check(expect![[r#"
        far < ! too_many: you can be in 50 rooms at once; leave one first
    "#]]);
}
