//! How many events a second an `Async` room takes: 64-byte messages, in records of 1 and 64, to 1 and to 1,000 rooms.
//!
//! `cargo run --release -p madang-log --example append_speed`; time runs until the last event is committed.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use madang_log::{Completion, Durability, Health, Range, Record, Store, Ticket};
use madang_room::{Entry, Event, Nick, RoomName, Seq, Text, Timestamp};

const EVENTS: u64 = 1_000_000;

fn main() {
    for (rooms, events_each) in [(1, 1), (1, 64), (1000, 1), (1000, 64)] {
        run(rooms, events_each);
    }
}

fn run(rooms: u64, events_each: u64) {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = Store::open(dir.path()).expect("it opens");
    let (sender, inbox) = mpsc::channel();
    let mut log =
        store.handle(Arc::new(move |completion| sender.send(completion).expect("the inbox is open")));
    let names: Vec<_> = (0..rooms).map(|nr| RoomName::parse(&format!("room{nr}")).expect("a name")).collect();
    names.iter().for_each(|name| log.load(name, Durability::Async));
    names.iter().for_each(|_| drop(inbox.recv().expect("it is loaded")));

    let from = Nick::parse("mina").expect("a name");
    let text = Text::parse(&"x".repeat(64)).expect("a text");
    let record = |first: u64| {
        let entry = |seq| Entry {
            seq: Seq(seq),
            at: Timestamp(1_795_168_800_123),
            event: Event::Said { from: from.clone(), text: text.clone(), once: None },
        };
        Arc::new(Record::new((first..first + events_each).map(entry).collect::<Vec<_>>()))
    };
    let rounds = EVENTS / rooms / events_each;
    let (mut calls, mut called) = (Duration::ZERO, 0u32);
    let began = Instant::now();
    for round in 0..rounds {
        let last = round * events_each;
        for name in &names {
            let record = record(last + 1);
            while log.health() != Health::Well {
                inbox.recv().expect("its health changes");
            }
            let call = Instant::now();
            log.append(name, Seq(last), record);
            (calls, called) = (calls + call.elapsed(), called + 1);
        }
    }
    log.read(Ticket(1), &names[0], Range::Before(Seq(u64::MAX)), 1);
    while !matches!(inbox.recv().expect("an answer comes"), Completion::Read { .. }) {}
    let took = began.elapsed();
    let events = rounds * rooms * events_each;
    let stats = store.watch().stats().relaxed;
    println!(
        "{rooms} rooms, records of {events_each}: {:.0} k events/s; a call takes {:?}; {} commits, {:.2} µs each event",
        events as f64 / took.as_secs_f64() / 1e3,
        calls / called,
        stats.commits,
        stats.commit_times.sum.as_secs_f64() * 1e6 / events as f64,
    );
    store.close().expect("it is closed");
}
