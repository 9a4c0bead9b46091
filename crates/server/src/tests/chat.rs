//! People in rooms, on text lines.

use std::time::Duration;

use expect_test::expect;

use super::world::World;
use crate::config::{Config, Framing, RoomRule, RoomSettings, Service};

#[test]
fn newcomers_are_greeted_and_told_of_each_other() {
    let mut world = World::new();
    world.connect("ann");
    world.connect("bob");
    world.check(expect![[r#"
        ann < * you are Guest1 in plaza (1 here), /help lists the commands
        ann < * Guest2 joined
        bob < * you are Guest2 in plaza (2 here), /help lists the commands
    "#]]);
    world.run("ann: hello");
    world.run("bob: /nick bob");
    world.run("bob: hi ann");
    world.check(expect![[r#"
        ann < * Guest2 is now bob
        ann < <bob> hi ann
        bob < <Guest1> hello
        bob < * Guest2 is now bob
    "#]]);
}

#[test]
fn ones_own_messages_come_back_only_when_asked_for() {
    let mut world = World::new();
    world.people(["ann", "bob"]);
    world.run("ann: one");
    world.run("ann: /echo on");
    world.run("ann: two");
    world.run("ann: /echo off");
    world.run("ann: three");
    world.check(expect![[r#"
        ann < * echo is on
        ann < <ann> two
        ann < * echo is off
        bob < <ann> one
        bob < <ann> two
        bob < <ann> three
    "#]]);
}

#[test]
fn what_one_wake_brings_is_one_write_and_keeps_its_order() {
    let mut world = World::new();
    world.people(["ann", "bob", "eve"]);
    let writes = |world: &World| world.wire("eve", |wire| wire.writes);
    let (before, encodings) = (writes(&world), world.metrics[0].encodings.get());
    world.type_ahead("ann", b"a1\na2\n");
    world.type_ahead("bob", b"b1\n");
    world.settle();
    assert_eq!(writes(&world) - before, 1);
    assert_eq!(world.metrics[0].encodings.get() - encodings, 1, "once for the form that all three read");
    world.check(expect![[r#"
        ann < <bob> b1
        bob < <ann> a1
        bob < <ann> a2
        eve < <ann> a1
        eve < <ann> a2
        eve < <bob> b1
    "#]]);
}

#[test]
fn rooms_are_joined_left_and_listed() {
    let mut world = World::new();
    world.people(["ann", "bob"]);
    world.run("ann: /join garden");
    world.run("bob: /join garden");
    world.run("bob: in the garden");
    world.run("ann: /leave");
    world.run("ann: back in the plaza");
    world.run("ann: /rooms");
    world.run("ann: /who garden");
    world.run("ann: /who");
    world.run("bob: /leave garden");
    world.run("bob: /leave garden");
    world.check(expect![[r#"
        ann < * in garden (1 here)
        ann < * bob joined
        ann < <bob> in the garden
        ann < * left garden
        ann < * rooms: garden 1, plaza 2
        ann < * here: bob
        ann < * here: ann, bob
        bob < * in garden (2 here)
        bob < * ann left
        bob < [plaza] <ann> back in the plaza
        bob < * left garden
        bob < ! not_a_member: you are not in garden, join it first
    "#]]);
}

#[test]
fn a_line_after_a_join_goes_to_the_joined_room_even_in_one_read() {
    let mut world = World::new();
    world.people(["ann", "bob"]);
    world.run("bob: /join garden");
    world.forget();
    world.send("ann", b"/join garden\nhere\n/leave\nthere\n/nick annie\nrenamed\n");
    world.check(expect![[r#"
        ann < * in garden (2 here)
        ann < * left garden
        ann < * ann is now annie
        bob < * ann joined
        bob < <ann> here
        bob < * ann left
        bob < [plaza] <ann> there
        bob < [plaza] * ann is now annie
        bob < [plaza] <annie> renamed
    "#]]);
}

#[test]
fn whispers_reach_one_person_alone() {
    let mut world = World::new();
    world.people(["ann", "bob", "eve"]);
    world.run("ann: /msg bob psst");
    world.run("bob: /w ANN yes?");
    world.run("ann: /to nobody hello?");
    world.check(expect![[r#"
        ann < -> bob: psst
        ann < -bob- yes?
        ann < ! no_such_nick: nobody here is called nobody
        bob < -ann- psst
        bob < -> ann: yes?
    "#]]);
}

#[test]
fn a_name_has_one_holder_however_it_is_written() {
    let mut world = World::new();
    world.people(["mina", "bob"]);
    for name in ["Mina", "ｍｉｎａ", "mіna", "Guest7", "admin", "two words", "mi\u{200b}na"] {
        world.run(&format!("bob: /nick {name}"));
    }
    world.run("mina: /nick MINA");
    world.run("mina: /nick other");
    world.run("bob: /nick Mina");
    world.check(expect![[r#"
        bob < ! nick_taken: Mina is taken, try another name
        bob < ! nick_taken: ｍｉｎａ is taken, try another name
        bob < ! nick_taken: mіna is taken, try another name
        bob < ! forbidden: Guest7 can't be taken: it is kept for the server and for newcomers
        bob < ! forbidden: admin can't be taken: it is kept for the server and for newcomers
        bob < ! bad_name: "two words" is no name: a name has letters, digits, '-', '_' and '.', not ' '
        bob < ! bad_name: "mi\u{200b}na" is no name: a name has letters, digits, '-', '_' and '.', not '\u{200b}'
        bob < * mina is now MINA
        bob < * MINA is now other
        bob < * bob is now Mina
        mina < * mina is now MINA
        mina < * MINA is now other
        mina < * bob is now Mina
    "#]]);
}

#[test]
fn the_maker_of_a_room_sets_its_topic_and_capacity() {
    let mut world = World::new();
    world.people(["ann", "bob", "eve"]);
    world.run("ann: /join garden");
    world.run("bob: /join garden");
    world.run("ann: /topic roses");
    world.run("bob: /topic");
    world.run("bob: /topic tulips");
    world.run("ann: /capacity 2");
    world.run("eve: /join garden");
    world.run("bob: /leave");
    world.run("eve: /join garden");
    world.check(expect![[r#"
        ann < * in garden (1 here)
        ann < * bob joined
        ann < * ann set the topic: roses
        ann < * ann set the capacity to 2
        ann < * bob left
        ann < * eve joined
        bob < * in garden (2 here)
        bob < * ann set the topic: roses
        bob < * topic of garden: roses
        bob < ! forbidden: only who made garden may change its topic and capacity
        bob < * ann set the capacity to 2
        bob < * left garden
        eve < ! room_full: garden holds 2 and is full
        eve < * in garden (2 here)
    "#]]);
}

#[test]
fn a_configured_capacity_is_never_exceeded() {
    let settings = RoomSettings { capacity: 2, ..RoomSettings::DEFAULT };
    let rooms = vec![RoomRule::new("duo-*", settings).unwrap()];
    let mut world = World::with(Config { shards: 1, rooms, ..Config::default() });
    world.people(["ann", "bob", "eve"]);
    world.type_ahead("ann", b"/join duo-7\n");
    world.type_ahead("bob", b"/join duo-7\n");
    world.type_ahead("eve", b"/join duo-7\n");
    world.settle();
    world.run("bob: /leave");
    world.run("eve: /join duo-7");
    world.check(expect![[r#"
        ann < * in duo-7 (1 here)
        ann < * bob joined
        ann < * bob left
        ann < * eve joined
        bob < * in duo-7 (2 here)
        bob < * left duo-7
        eve < ! room_full: duo-7 holds 2 and is full
        eve < * in duo-7 (2 here)
    "#]]);
}

#[test]
fn history_shows_what_was_said() {
    let mut world = World::new();
    world.people(["ann", "bob"]);
    world.run("ann: one");
    world.run("ann: /history");
    world.advance(Duration::from_secs(61));
    world.send("bob", b"two\n/topic x\n/history\n");
    world.run("bob: /history 1");
    world.run("bob: /join empty");
    world.run("bob: /history");
    world.check(expect![[r#"
        ann < * 10:00 <ann> one
        ann < <bob> two
        bob < <ann> one
        bob < ! forbidden: only who made plaza may change its topic and capacity
        bob < * 10:00 <ann> one
        bob < * 10:01 <bob> two
        bob < * 10:01 <bob> two
        bob < * in empty (1 here)
        bob < * no messages in empty
    "#]]);
}

#[test]
fn in_a_large_room_presence_is_summed_up_once_a_second() {
    let mut world = World::with(Config { shards: 1, presence_limit: 3, ..Config::default() });
    world.people(["a", "b", "c"]);
    world.connect("d");
    world.connect("e");
    world.reset("e");
    world.connect("f");
    world.run("a: /who");
    world.check(expect![[r#"
        a < * 5 here
        d < * you are Guest4 in plaza (4 here), /help lists the commands
        e < * you are Guest5 in plaza (5 here), /help lists the commands
        e < (reset)
        f < * you are Guest6 in plaza (5 here), /help lists the commands
    "#]]);
    world.advance(Duration::from_secs(1));
    world.check(expect![[r#"
        a < * 5 here
        b < * 5 here
        c < * 5 here
        d < * 5 here
        f < * 5 here
    "#]]);
    world.advance(Duration::from_secs(5));
    world.check(expect![[r#""#]]);
}

#[test]
fn a_telnet_client_gets_cr_lf_and_its_options_refused_once() {
    let mut world = World::new();
    world.people(["bob"]);
    world.connect("tel");
    world.received("tel");
    world.send("tel", b"\xff\xfd\x01hel\xff");
    world.send("tel", b"\xfd\x01lo\r\n");
    assert_eq!(world.received_bytes("tel"), b"\xff\xfc\x01");
    world.run("bob: hi");
    world.check(expect![[r#"
        bob < * Guest2 joined
        bob < <Guest2> hello
        tel < <bob> hi (CR LF)
    "#]]);
}

#[test]
fn a_chunk_is_a_line() {
    let mut config = Config { shards: 1, ..Config::default() };
    let plaza = madang_room::RoomName::parse("plaza").unwrap();
    config.listeners[0].service = Service::Chat { room: plaza, framing: Framing::Chunk };
    let mut world = World::with(config);
    world.people(["ann", "bob"]);
    world.send("ann", b"no newline");
    world.send("ann", b"one\r\n");
    world.check(expect![[r#"
        bob < <ann> no newline
        bob < <ann> one
    "#]]);
}

#[test]
fn two_shards_keep_one_order() {
    let mut world = World::with(Config { shards: 2, ..Config::default() });
    world.people(["ann", "bob", "eve", "jun"]);
    world.type_ahead("ann", b"a1\n/join garden\ng1\n");
    world.type_ahead("bob", b"b1\nb2\n");
    world.settle();
    let plaza =
        |text: String| text.lines().filter(|line| line.starts_with('<')).collect::<Vec<_>>().join(" ");
    let eve = plaza(world.received("eve"));
    assert_eq!(eve, plaza(world.received("jun")));
    assert_eq!(eve.matches('<').count(), 3);
    assert!(eve.find("b1") < eve.find("b2"));
    world.forget();
    world.run("eve: /msg ann psst");
    world.run("jun: /rooms");
    world.check(expect![[r#"
        ann < -eve- psst
        eve < -> ann: psst
        jun < * rooms: garden 1, plaza 4
    "#]]);
}
