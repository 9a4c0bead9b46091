//! JSON clients: replies, coming back without a hole or a repeat, keys, and sessions.

use std::time::Duration;

use expect_test::expect;

use super::world::World;
use crate::config::{Config, RoomRule, RoomSettings};

/// The value of a string field in the last line that has it.
fn field(text: &str, name: &str) -> String {
    let start = text.rfind(&format!("\"{name}\":\"")).expect("the field is there") + name.len() + 4;
    text[start..].split('"').next().unwrap().to_owned()
}

fn hello(world: &mut World, name: &str, fields: &str) -> (String, String) {
    world.run(&format!(r#"{name}: {{"op":"hello","id":"h"{fields}}}"#));
    let text = world.received(name);
    (field(&text, "resume"), text)
}

fn epoch(world: &mut World, name: &str, room: &str) -> String {
    world.run(&format!(r#"{name}: {{"op":"history","room":"{room}","id":"e","limit":1}}"#));
    field(&world.received(name), "epoch")
}

/// A line with what differs from run to run taken out.
fn steady(text: &str) -> String {
    let mut out = text.to_owned();
    for name in ["epoch", "session", "resume"] {
        if text.contains(&format!("\"{name}\":\"")) {
            out = out.replace(&field(text, name), "…");
        }
    }
    out
}

#[test]
fn every_op_with_an_id_gets_one_reply() {
    let mut world = World::new();
    world.connect_json("ann");
    for line in [
        r#"{"op":"nick","nick":"ann","id":1}"#,
        r#"{"op":"join","room":"garden","id":"two","capacity":5}"#,
        r#"{"op":"say","room":"garden","text":"hi","id":3}"#,
        r#"{"op":"say","room":"garden","text":"no id"}"#,
        r#"{"op":"topic","room":"garden","text":"roses","id":4}"#,
        r#"{"op":"capacity","room":"garden","capacity":9,"id":5}"#,
        r#"{"op":"who","room":"garden","id":6}"#,
        r#"{"op":"rooms","id":7}"#,
        r#"{"op":"rooms","prefix":"g","limit":1,"id":8}"#,
        r#"{"op":"history","room":"garden","after":2,"limit":2,"id":9}"#,
        r#"{"op":"tell","to":"ann","text":"me","id":10}"#,
        r#"{"op":"leave","room":"garden","id":11}"#,
        r#"{"op":"say","room":"garden","text":"?","id":12}"#,
        r#"{"op":"history","room":"nowhere","id":13}"#,
        r#"{"op":"who","room":"nowhere","id":14}"#,
        r#"{"op":"ping","id":15}"#,
        r#"{"op":"dance","id":16}"#,
        "{",
        r#"{"op":"bye","id":17}"#,
    ] {
        world.run(&format!("ann: {line}"));
    }
    let text = steady(&world.received("ann"));
    expect![[r#"
        {"re":1,"nick":"ann"}
        {"re":"two","room":"garden","kind":"chat","epoch":"…","seq":2,"count":1,"members":["ann"],"capacity":5,"topic":""}
        {"re":3,"seq":3}
        {"ev":"said","room":"garden","seq":3,"at":"2026-11-20T10:00:00.000Z","from":"ann","text":"hi"}
        {"ev":"said","room":"garden","seq":4,"at":"2026-11-20T10:00:00.000Z","from":"ann","text":"no id"}
        {"re":4,"seq":5}
        {"ev":"topic","room":"garden","seq":5,"at":"2026-11-20T10:00:00.000Z","from":"ann","text":"roses"}
        {"re":5,"seq":6}
        {"ev":"capacity","room":"garden","seq":6,"at":"2026-11-20T10:00:00.000Z","from":"ann","capacity":9}
        {"re":6,"count":1,"members":["ann"]}
        {"re":7,"rooms":[{"room":"garden","kind":"chat","count":1,"capacity":9},{"room":"plaza","kind":"chat","count":1,"capacity":0}]}
        {"re":8,"rooms":[{"room":"garden","kind":"chat","count":1,"capacity":9}]}
        {"re":9,"events":[{"ev":"said","room":"garden","seq":3,"at":"2026-11-20T10:00:00.000Z","from":"ann","text":"hi"},{"ev":"said","room":"garden","seq":4,"at":"2026-11-20T10:00:00.000Z","from":"ann","text":"no id"}],"first":1,"seq":6,"epoch":"…"}
        {"re":10}
        {"ev":"told","from":"ann","text":"me"}
        {"re":11,"room":"garden"}
        {"re":12,"error":{"code":"not_a_member","message":"you are not in garden, join it first"}}
        {"re":13,"error":{"code":"no_such_room","message":"there is no room nowhere; /rooms lists those in use"}}
        {"re":14,"error":{"code":"no_such_room","message":"there is no room nowhere; /rooms lists those in use"}}
        {"re":15}
        {"re":16,"error":{"code":"bad_command","message":"there is no op \"dance\"; there are hello, nick, join, leave, say, topic, capacity, tell, rooms, who, history, host, checkin, checkout, groups, clap, broadcast, shows, watch, hold, release, reserve, cancel, ping, bye"}}
        {"ev":"error","code":"bad_json","message":"that is not a JSON object as this door reads it: EOF while parsing an object at line 1 column 1"}
        {"re":17}
    "#]].assert_eq(&text);
    assert!(world.wire("ann", |wire| wire.writes > 0));
}

#[test]
fn who_comes_back_with_after_misses_nothing_and_sees_nothing_twice() {
    let mut world = World::new();
    world.people(["bob"]);
    world.run("bob: one");
    world.run("bob: two");
    world.connect_json("ann");
    let epoch = epoch(&mut world, "ann", "plaza");
    world.type_ahead("bob", b"three\n");
    let join = format!(r#"{{"op":"join","room":"plaza","after":2,"epoch":"{epoch}","id":1}}"#);
    world.type_ahead("ann", format!("{join}\n").as_bytes());
    world.type_ahead("bob", b"four\n");
    world.settle();
    world.run("bob: five");
    let text = steady(&world.received("ann"));
    expect![[r#"
        {"re":1,"room":"plaza","kind":"chat","epoch":"…","seq":5,"count":2,"members":["Guest2","bob"],"capacity":0,"topic":""}
        {"ev":"said","room":"plaza","seq":3,"at":"2026-11-20T10:00:00.000Z","from":"bob","text":"two"}
        {"ev":"said","room":"plaza","seq":4,"at":"2026-11-20T10:00:00.000Z","from":"bob","text":"three"}
        {"ev":"said","room":"plaza","seq":5,"at":"2026-11-20T10:00:00.000Z","from":"bob","text":"four"}
        {"ev":"said","room":"plaza","seq":6,"at":"2026-11-20T10:00:00.000Z","from":"bob","text":"five"}
    "#]].assert_eq(&text);
}

#[test]
fn what_is_gone_is_said_to_be_gone() {
    let settings = RoomSettings {
        retention: madang_log::Retention { keep: 3, keep_for: None },
        ..RoomSettings::DEFAULT
    };
    let rooms = vec![RoomRule::new("*", settings).unwrap()];
    let mut world = World::with(Config { shards: 1, rooms, ..Config::default() });
    world.people(["bob"]);
    (1..=6).for_each(|n| world.run(&format!("bob: {n}")));
    world.connect_json("ann");
    world.run(r#"ann: {"op":"join","room":"plaza","after":1,"id":1}"#);
    world.run(r#"ann: {"op":"history","room":"plaza","after":0,"id":2}"#);
    world.run(r#"ann: {"op":"join","room":"plaza","after":99,"id":3}"#);
    world.run(r#"ann: {"op":"join","room":"plaza","after":1,"epoch":"e0","id":4}"#);
    let text = steady(&world.received("ann"));
    expect![[r#"
        {"re":1,"room":"plaza","kind":"chat","epoch":"…","seq":7,"count":2,"members":["Guest2","bob"],"capacity":0,"topic":""}
        {"ev":"gap","room":"plaza","from_seq":2,"to_seq":4}
        {"ev":"said","room":"plaza","seq":5,"at":"2026-11-20T10:00:00.000Z","from":"bob","text":"4"}
        {"ev":"said","room":"plaza","seq":6,"at":"2026-11-20T10:00:00.000Z","from":"bob","text":"5"}
        {"ev":"said","room":"plaza","seq":7,"at":"2026-11-20T10:00:00.000Z","from":"bob","text":"6"}
        {"re":2,"events":[{"ev":"said","room":"plaza","seq":5,"at":"2026-11-20T10:00:00.000Z","from":"bob","text":"4"},{"ev":"said","room":"plaza","seq":6,"at":"2026-11-20T10:00:00.000Z","from":"bob","text":"5"},{"ev":"said","room":"plaza","seq":7,"at":"2026-11-20T10:00:00.000Z","from":"bob","text":"6"}],"first":5,"seq":7,"epoch":"…"}
        {"re":3,"room":"plaza","kind":"chat","epoch":"…","seq":7,"count":2,"members":["Guest2","bob"],"capacity":0,"topic":"","reset":true}
        {"re":4,"room":"plaza","kind":"chat","epoch":"…","seq":7,"count":2,"members":["Guest2","bob"],"capacity":0,"topic":"","reset":true}
    "#]].assert_eq(&text);
}

#[test]
fn more_than_memory_holds_is_read_from_the_log() {
    let mut world = World::new();
    world.people(["bob"]);
    (1..=1_500).for_each(|n| world.run(&format!("bob: {n}")));
    world.connect_json("ann");
    world.log[0].hold();
    world.run(r#"ann: {"op":"join","room":"plaza","after":1,"id":1}"#);
    world.run("bob: while the log is read");
    assert_eq!(world.received("ann").matches("\"re\"").count(), 0);
    world.log[0].release();
    world.settle();
    world.run("bob: afterwards");
    let text = world.received("ann");
    let seqs: Vec<u64> = text
        .lines()
        .filter_map(|line| {
            line.split_once("\"ev\":\"said\"")?.1.split_once("\"seq\":")?.1.split(',').next()?.parse().ok()
        })
        .filter(|seq| *seq > 1)
        .collect();
    let live_before = seqs.iter().position(|seq| *seq == 2).expect("the replay begins");
    assert_eq!(seqs[live_before..], (2..=1_503).collect::<Vec<u64>>(), "each once, in order");
}

#[test]
fn joining_again_tells_the_position_from_which_on_everything_is_heard() {
    let mut world = World::with(Config { shards: 1, ..Config::default() });
    world.people(["bob"]);
    world.connect_json("ann");
    world.run("bob: first");
    world.forget();
    // In one wake: the answer comes before the event, so it must not count it as heard.
    world.type_ahead("bob", b"second\n");
    world.type_ahead("ann", b"{\"op\":\"join\",\"room\":\"plaza\",\"id\":1}\n");
    world.settle();
    let text = world.received("ann");
    let (reply, event) = text.split_once('\n').unwrap();
    assert!(reply.contains(r#""re":1"#) && reply.contains(r#""seq":2,"#), "{text}");
    assert!(event.contains(r#""seq":3,"#) && event.contains("second"), "{text}");
}

#[test]
fn a_key_takes_effect_once_also_for_a_resumed_session() {
    let mut world = World::new();
    world.connect_json("ann");
    let (token, _) = hello(&mut world, "ann", r#","nick":"ann""#);
    world.run(r#"ann: {"op":"say","room":"plaza","text":"once","key":"k1","id":1}"#);
    world.run(r#"ann: {"op":"say","room":"plaza","text":"once","key":"k1","id":2}"#);
    world.run(r#"ann: {"op":"say","room":"plaza","text":"twice","key":"k1","id":3}"#);
    world.reset("ann");
    world.connect_json("ann2");
    let (_, welcome) = hello(&mut world, "ann2", &format!(r#","resume":"{token}""#));
    assert!(welcome.contains(r#""resumed":true,"nick":"ann""#), "{welcome}");
    world.run(r#"ann2: {"op":"say","room":"plaza","text":"once","key":"k1","id":4}"#);
    world.check(expect![[r#"
        ann < {"re":1,"seq":2}
        ann < {"ev":"said","room":"plaza","seq":2,"at":"2026-11-20T10:00:00.000Z","from":"ann","text":"once"}
        ann < {"re":2,"seq":2}
        ann < {"re":3,"error":{"code":"key_reused","message":"the key \"k1\" was used for something else; use a new one for each command"}}
        ann < (reset)
        ann2 < {"re":4,"seq":2}
    "#]]);
}

#[test]
fn a_lost_connections_name_is_kept_for_its_session() {
    let mut world = World::new();
    world.connect_json("ann");
    let (token, _) = hello(&mut world, "ann", r#","nick":"mina""#);
    world.reset("ann");
    world.people(["bob"]);
    world.run("bob: /nick mina");
    world.advance(Duration::from_secs(29));
    world.connect_json("ann");
    let (_, welcome) = hello(&mut world, "ann", &format!(r#","resume":"{token}""#));
    assert!(welcome.contains(r#""resumed":true,"nick":"mina""#), "{welcome}");
    world.reset("ann");
    world.advance(Duration::from_secs(31));
    world.run("bob: /nick mina");
    world.check(expect![[r#"
        ann < (reset)
        bob < ! nick_taken: mina is taken, try another name
        bob < * Guest3 joined
        bob < * Guest3 is now mina
        bob < * mina left
        bob < * bob is now mina
    "#]]);
}

#[test]
fn who_says_goodbye_gives_the_name_back_at_once() {
    let mut world = World::new();
    world.connect_json("ann");
    hello(&mut world, "ann", r#","nick":"mina""#);
    world.run(r#"ann: {"op":"bye","id":1}"#);
    world.people(["bob"]);
    world.run("bob: /nick mina");
    world.check(expect![[r#"
        ann < (end)
        bob < * bob is now mina
    "#]]);
}

#[test]
fn a_second_connection_of_a_session_replaces_the_first() {
    for shards in [1, 2] {
        let mut world = World::with(Config { shards, ..Config::default() });
        world.people(["bob"]);
        world.connect_json("one");
        let (token, _) = hello(&mut world, "one", r#","nick":"mina""#);
        world.run(r#"one: {"op":"join","room":"duo","capacity":1,"id":1}"#);
        world.connect_json("two");
        hello(&mut world, "two", &format!(r#","resume":"{token}""#));
        world.run(r#"two: {"op":"join","room":"duo","id":1}"#);
        let joined = world.received("two");
        assert!(joined.contains(r#""count":1,"members":["mina"]"#), "{joined}");
        let bye = world.received("one");
        assert!(bye.contains(r#"{"ev":"bye","why":"replaced","resume":false}"#), "{bye}");
        assert!(world.wire("one", |wire| !wire.is_closed()), "it is owed time to send its FIN");
        world.finish("one");
        assert!(world.wire("one", super::world::Wire::is_closed));
        world.run("bob: /msg mina which one?");
        assert!(world.received("two").contains("which one?"));
    }
}

#[test]
fn a_forged_or_foreign_token_is_a_new_session() {
    let mut world = World::new();
    world.connect_json("ann");
    let (_, welcome) = hello(&mut world, "ann", r#","resume":"s_00000000000000000000000000000000.00""#);
    assert!(welcome.contains(r#""resumed":false"#), "{welcome}");
}
