//! WebSockets, streams and calls: what comes in by HTTP meets the same rooms.

use std::time::Duration;

use expect_test::expect;
use madang_room::{Nick, Refusal, RoomName, Seq, Text};
use madang_wire::{Answer, Op};
use tokio::sync::oneshot::{self, Receiver};

use super::world::World;
use crate::arrival::Manner;
use crate::config::{Config, RoomRule, RoomSettings};
use crate::message::ResumeFrom;

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn call(world: &mut World, op: Op) -> Result<Answer, Refusal> {
    let (reply, mut answer) = oneshot::channel();
    world.arrive("api", Manner::Call { op: Box::new(op), reply });
    answer.try_recv().expect("a call is answered")
}

fn post(from: &str, text: &str, key: Option<&str>) -> Op {
    Op::Post {
        room: room("plaza"),
        from: Nick::parse(from).unwrap(),
        text: Text::parse(text).unwrap(),
        key: key.and_then(madang_room::Key::parse),
    }
}

fn follow(world: &mut World, name: &str, of: &str, after: Option<u64>) -> Receiver<Result<(), Refusal>> {
    let (begun, heard) = oneshot::channel();
    let resume = after.map(|after| ResumeFrom { after: Seq(after), epoch: None });
    world.arrive(name, Manner::Stream { room: room(of), resume, begun });
    heard
}

/// The epoch is another one each time.
fn without_epoch(text: &str) -> String {
    let cut = |line: &str| match line.find("\"epoch\":\"") {
        Some(at) => {
            let end = line[at + 9..].find('"').map_or(line.len(), |end| at + 9 + end);
            format!("{}…{}", &line[..at + 9], &line[end..])
        }
        None => line.to_owned(),
    };
    text.lines().map(|line| cut(line) + "\n").collect()
}

#[test]
fn a_websocket_speaks_json_in_frames() {
    let mut world = World::new();
    world.people(["jun"]);
    world.arrive("mina", Manner::WebSocket);
    world.frame("mina", r#"{"op":"hello","nick":"mina","id":1}"#);
    world.frames("mina");
    world.frame("mina", r#"{"op":"join","room":"plaza","id":2}"#);
    let joined = world.frames("mina").concat();
    assert!(joined.starts_with(r#"{"re":2,"room":"plaza","kind":"chat""#), "{joined}");
    world.frame("mina", r#"{"op":"say","room":"plaza","text":"hi","id":3}"#);
    world.run("jun: hello");
    expect![[r#"
        jun < * mina joined
        jun < <mina> hi
    "#]]
    .assert_eq(&world.received("jun").lines().map(|line| format!("jun < {line}\n")).collect::<String>());
    expect![[r#"
        {"re":3,"seq":2}
        {"ev":"said","room":"plaza","seq":2,"at":"2026-11-20T10:00:00.000Z","from":"mina","text":"hi"}
        {"ev":"said","room":"plaza","seq":3,"at":"2026-11-20T10:00:00.000Z","from":"jun","text":"hello"}"#]]
    .assert_eq(&world.frames("mina").join("\n"));
}

#[test]
fn frames_are_encoded_once_for_a_whole_room_also_on_two_shards() {
    for shards in [1, 2] {
        let mut world = World::with(Config { shards, ..Config::default() });
        for nr in 0..20 {
            let name = format!("ws{nr}");
            world.arrive(&name, Manner::WebSocket);
            world.frame(&name, r#"{"op":"join","room":"hall"}"#);
        }
        let encodings = |world: &World| world.metrics.iter().map(|it| it.encodings.get()).sum::<u64>();
        let before = encodings(&world);
        world.frame("ws0", r#"{"op":"say","room":"hall","text":"hi"}"#);
        assert_eq!(encodings(&world) - before, 1, "one batch, one form, twenty members");
        for nr in 0..20 {
            let frames = world.frames(&format!("ws{nr}"));
            assert!(frames.last().unwrap().contains("\"hi\""), "{frames:?}");
        }
    }
}

#[test]
fn a_websocket_is_closed_with_a_code_that_means_something() {
    let unmasked = b"\x81\x02hi".as_slice();
    let binary = {
        let mut bytes = Vec::new();
        madang_wire::websocket::masked_binary_frame(&mut bytes, b"hi");
        bytes
    };
    let huge = b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0".as_slice();
    for (bytes, code) in [(unmasked, 1002), (&binary, 1003), (huge, 1009)] {
        let mut world = World::new();
        world.arrive("mina", Manner::WebSocket);
        world.send("mina", bytes);
        assert_eq!(world.frames("mina"), [format!("(close {code})")]);
        world.finish("mina");
        assert!(world.wire("mina", super::world::Wire::is_closed));
    }
}

#[test]
fn the_end_of_the_server_is_said_and_closed_1012() {
    let mut world = World::new();
    world.arrive("mina", Manner::WebSocket);
    world.shut_down();
    let frames = world.frames("mina");
    assert!(frames[0].starts_with(r#"{"ev":"bye","why":"shutdown","resume":true,"retry_ms":"#), "{frames:?}");
    assert_eq!(frames[1], "(close 1012)");
}

#[test]
fn a_call_says_something_and_is_gone() {
    let mut world = World::new();
    world.people(["jun"]);
    assert_eq!(call(&mut world, post("board", "lunch", None)), Ok(Answer::Recorded { seq: Seq(2) }));
    expect![[r#"
        api < (end)
        jun < <board> lunch
    "#]]
    .assert_eq(&{
        let seen = world.received("jun");
        format!("api < (end)\n{}", seen.lines().map(|line| format!("jun < {line}\n")).collect::<String>())
    });
    let taken = call(&mut world, post("jun", "it's me", None)).unwrap_err();
    assert_eq!(taken.code(), "nick_taken");
    let again = call(&mut world, post("board", "lunch", None));
    assert_eq!(again, Ok(Answer::Recorded { seq: Seq(3) }), "the name is nobody's");
}

#[test]
fn two_calls_at_once_may_have_the_same_name() {
    let settings = RoomSettings { durability: madang_log::Durability::Sync, ..Default::default() };
    let rooms = vec![RoomRule::new("plaza", settings).unwrap()];
    let mut world = World::with(Config { shards: 1, rooms, ..Config::default() });
    // Both wait for their commit, so neither is gone when the other comes.
    world.log[0].hold();
    let mut answers = ["first", "second"].map(|text| {
        let (reply, answer) = oneshot::channel();
        world.arrive(text, Manner::Call { op: Box::new(post("board", text, None)), reply });
        answer
    });
    world.log[0].release();
    world.settle();
    let answers = answers.each_mut().map(|answer| answer.try_recv().unwrap());
    assert_eq!(answers, [2, 3].map(|seq| Ok(Answer::Recorded { seq: Seq(seq) })));
}

#[test]
fn a_key_is_good_for_all_who_call() {
    let mut world = World::new();
    let first = call(&mut world, post("board", "lunch", Some("k"))).unwrap();
    assert_eq!(first, Answer::Recorded { seq: Seq(2) }, "the room was made by it");
    assert_eq!(call(&mut world, post("board", "lunch", Some("k"))), Ok(first));
    let other = call(&mut world, post("board", "dinner", Some("k"))).unwrap_err();
    assert_eq!(other.code(), "key_reused");
}

#[test]
fn a_call_lists_rooms_and_reads_history() {
    let mut world = World::with(Config { shards: 2, ..Default::default() });
    world.people(["jun"]);
    world.run("jun: hello");
    let rooms = call(&mut world, Op::Rooms { prefix: None, limit: 10 }).unwrap();
    assert!(
        matches!(&rooms, Answer::Rooms { rooms } if rooms.len() == 1 && rooms[0].count == 1),
        "{rooms:?}"
    );
    let history =
        |name| Op::History { room: Some(room(name)), after: None, before: None, limit: 10, said_only: false };
    let found = call(&mut world, history("plaza")).unwrap();
    assert!(matches!(&found, Answer::History(found) if found.events.len() == 2), "{found:?}");
    assert_eq!(call(&mut world, history("nowhere")).unwrap_err().code(), "no_such_room");
}

#[test]
fn a_stream_follows_a_room_without_being_there() {
    let mut world = World::new();
    world.people(["jun"]);
    world.run("jun: one");
    assert_eq!(follow(&mut world, "stream", "plaza", Some(1)).try_recv().unwrap(), Ok(()));
    world.run("jun: two");
    world.run("jun: /who");
    expect![[r#"
        data: {"epoch":"…"}

        id: 2
        data: {"ev":"said","room":"plaza","seq":2,"at":"2026-11-20T10:00:00.000Z","from":"jun","text":"one"}

        id: 3
        data: {"ev":"said","room":"plaza","seq":3,"at":"2026-11-20T10:00:00.000Z","from":"jun","text":"two"}

    "#]]
    .assert_eq(&without_epoch(&world.received("stream")));
    assert_eq!(world.received("jun"), "* here: jun\n", "nobody saw it come");
    world.finish("stream");
    world.run("jun: three");
    assert!(world.wire("stream", super::world::Wire::is_closed));
}

#[test]
fn a_stream_of_no_room_is_refused() {
    let mut world = World::new();
    let refusal = follow(&mut world, "stream", "nowhere", None).try_recv().unwrap().unwrap_err();
    assert_eq!(refusal.code(), "no_such_room");
    world.finish("stream");
    assert!(world.wire("stream", super::world::Wire::is_closed));
}

#[test]
fn a_room_that_is_only_followed_stays_loaded() {
    let mut world = World::new();
    world.people(["jun"]);
    follow(&mut world, "stream", "plaza", None);
    world.run("jun: /quit");
    world.finish("jun");
    world.advance(Duration::from_secs(300));
    world.received("stream");
    world.people(["mina"]);
    world.run("mina: hello");
    assert!(world.received("stream").contains("hello"));
}
