//! The ways that most of a server's work goes, for `cargo xtask bench`: it runs each under callgrind and compares how
//! many instructions it takes with what it took before. They are no tests, so they are ignored.

use std::hint::black_box;

use madang_room::{
    Actor, Chat, Command, Decision, Entry, Event, Nick, RoomName, Seq, SessionId, Text, Timestamp,
};
use madang_wire::{Happening, Line, LineDecoder, json, text};

use super::world::World;

/// How often each is carried out while it is counted; `cargo xtask bench` divides by it.
const ROUNDS: u64 = 100;

const SAID: &str = "The quick brown fox jumps over the lazy dog and then goes home, 64";

/// Callgrind counts in here alone, by its name.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    for _ in 0..ROUNDS {
        work();
    }
}

fn measure(mut work: impl FnMut()) {
    // Tables grow and names are interned before it is counted.
    work();
    measured(&mut work);
}

fn entry() -> (RoomName, Entry) {
    let event = Event::Said { from: Nick::guest(12), text: Text::parse(SAID).unwrap(), once: None };
    (RoomName::parse("plaza").unwrap(), Entry { seq: Seq(812), at: Timestamp(1_795_168_800_000), event })
}

#[test]
#[ignore = "run by `cargo xtask bench`"]
fn decode_a_text_line() {
    let line = format!("{SAID}\n");
    let mut decoder = LineDecoder::text();
    measure(|| {
        let Some(Line::Bytes(line)) = decoder.next(&mut black_box(line.as_bytes())) else { panic!("a line") };
        black_box(text::parse(line).unwrap());
    });
}

#[test]
#[ignore = "run by `cargo xtask bench`"]
fn decode_a_json_line() {
    let line = format!(r#"{{"op":"say","id":7,"room":"plaza","text":"{SAID}","key":"k7"}}"#) + "\n";
    let mut decoder = LineDecoder::json();
    measure(|| {
        let Some(Line::Bytes(line)) = decoder.next(&mut black_box(line.as_bytes())) else { panic!("a line") };
        black_box(json::parse(line).unwrap());
    });
}

#[test]
#[ignore = "run by `cargo xtask bench`"]
fn decide_and_apply() {
    let mut chat = Chat::new(RoomName::parse("plaza").unwrap());
    let actor = Actor { nick: Nick::guest(12), session: SessionId([7; 16]), is_member: true, is_host: false };
    let command = Command::Say { text: Text::parse(SAID).unwrap(), key: None };
    let mut seq = Seq(1);
    measure(|| {
        let Decision::Record(events) = chat.decide(black_box(&command), &actor, 4, 0).unwrap() else {
            panic!("nobody said it before")
        };
        for event in &events {
            seq = seq.next();
            chat.apply(seq, event);
        }
    });
}

#[test]
#[ignore = "run by `cargo xtask bench`"]
fn encode_as_text() {
    let (room, entry) = entry();
    let mut out = Vec::new();
    measure(|| {
        out.clear();
        let form = text::Form { is_current: true, crlf: false };
        text::encode_happening(&mut out, black_box(&room), Happening::Logged(&entry), form);
    });
}

#[test]
#[ignore = "run by `cargo xtask bench`"]
fn encode_as_json() {
    let (room, entry) = entry();
    let mut out = Vec::new();
    measure(|| {
        out.clear();
        json::encode_happening(&mut out, black_box(&room), Happening::Logged(&entry));
    });
}

/// From the read to the writes; the log is in memory.
#[test]
#[ignore = "run by `cargo xtask bench`"]
fn a_line_to_a_room_of_100() {
    let mut world = World::new();
    (0..100).for_each(|nr| world.connect(&nr.to_string()));
    measure(|| {
        world.send("7", black_box("hello, everybody\n").as_bytes());
        world.forget();
    });
}

#[test]
#[ignore = "run by `cargo xtask bench`"]
fn a_line_to_each_of_100_rooms_of_4() {
    let mut world = World::new();
    for nr in 0..400 {
        world.connect(&nr.to_string());
        world.run(&format!("{nr}: /leave"));
        world.run(&format!("{nr}: /join room{}", nr / 4));
    }
    let speakers: Vec<String> = (0..100).map(|room| (4 * room).to_string()).collect();
    measure(|| {
        speakers.iter().for_each(|name| world.type_ahead(name, black_box(b"hello, everybody\n")));
        world.settle();
        world.forget();
    });
}
