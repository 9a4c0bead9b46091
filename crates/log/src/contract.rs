//! What every log keeps: plain checks over the trait, called for each engine by its own tests.

use std::sync::Arc;

use madang_room::{Entry, Event, Key, Nick, Once, RoomName, Seq, SessionId, Text, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

pub(crate) use self::bench::{Bench, PATIENCE};
use crate::{
    AppendError, Completion, Durability, Health, LoadError, Loaded, RECENT_EVENTS, Range, Record, Trim,
};

mod bench;

pub(crate) fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("a name")
}

/// Event number `seq`, which happens at the time `at`: each is different from the others.
pub(crate) fn entry_at(seq: u64, at: i64) -> Entry {
    let from = Nick::parse("Mina").expect("a name");
    let by = SessionId(u128::from(seq).to_be_bytes());
    let key = Key::parse(&format!("k{seq}")).expect("a key");
    let text = Text::parse(&format!("안녕 \"number\" {seq}")).expect("a text");
    let event = match seq % 5 {
        1 => Event::Created { from, by },
        2 => Event::Topic { from, text },
        3 => Event::Capacity { from, capacity: seq as u32 },
        4 => Event::Said { from, text, once: Some(Box::new(Once { session: by, key })) },
        _ => Event::Said { from, text, once: None },
    };
    Entry { seq: Seq(seq), at: Timestamp(at), event }
}

/// `count` events from `first` on; event `n` happens at the time 10 `n`.
pub(crate) fn record(first: u64, count: u64) -> Arc<Record> {
    Arc::new(Record::new(
        (first..first + count).map(|seq| entry_at(seq, 10 * seq as i64)).collect::<Vec<_>>(),
    ))
}

pub(crate) fn entries(records: &[Arc<Record>]) -> Vec<Entry> {
    records.iter().flat_map(|record| record.entries().to_vec()).collect()
}

pub(crate) const ALL: Range = Range::After(Seq::ZERO);
const NONE: [u64; 0] = [];

/// For rooms of every durability.
pub(crate) fn of_every_room(new: impl Fn() -> Bench) {
    a_new_room_is_empty(new());
    what_is_appended_is_read(new());
    an_append_names_the_version_it_expects(new());
    answers_come_in_the_order_of_the_calls(new());
    rooms_are_apart_and_names_are_folded(new());
    loading_brings_what_is_recent(new());
    loading_starts_at_the_snapshot(new());
    trimming_forgets_whole_records_and_hides_the_rest(new());
    trimming_by_age_forgets_what_is_old(new());
    nothing_after_the_snapshot_is_trimmed(new());
    a_snapshot_of_what_never_was_is_ignored(new());
    what_was_not_loaded_is_unavailable(new());
    a_load_equals_what_was_appended(new);
}

/// For rooms that are kept when they are unloaded.
pub(crate) fn of_lasting_rooms(new: impl Fn() -> Bench) {
    an_unloaded_room_is_kept(new());
}

/// For rooms that are not.
pub(crate) fn of_memory_rooms(new: impl Fn() -> Bench) {
    an_unloaded_memory_room_is_forgotten(new());
}

fn a_new_room_is_empty(mut bench: Bench) {
    let loaded = bench.load("plaza");
    assert_eq!((loaded.last, loaded.first, loaded.snapshot), (Seq(0), Seq(1), None));
    assert!(loaded.tail.is_empty());
    assert!(loaded.epochs.vouches(loaded.epochs.current(), Seq(0)));
    assert_eq!(bench.read("plaza", ALL, 10), []);
    assert_eq!(bench.log.health(), Health::Well);
}

fn what_is_appended_is_read(mut bench: Bench) {
    bench.load("plaza");
    for (first, count) in [(1, 1), (2, 3), (5, 1), (6, 4)] {
        bench.append("plaza", Seq(first - 1), record(first, count));
    }
    let all: Vec<Entry> = (1..=9).map(|seq| entry_at(seq, 10 * seq as i64)).collect();
    assert_eq!(bench.read("plaza", ALL, 100), all);
    assert_eq!(bench.seqs("plaza", Range::After(Seq(2)), 4), [3, 4, 5, 6]);
    assert_eq!(bench.seqs("plaza", Range::After(Seq(8)), 4), [9]);
    assert_eq!(bench.seqs("plaza", Range::After(Seq(9)), 4), NONE);
    assert_eq!(bench.seqs("plaza", Range::After(Seq(u64::MAX)), 4), NONE);
    assert_eq!(bench.seqs("plaza", Range::After(Seq(0)), 0), NONE);
    assert_eq!(bench.seqs("plaza", Range::Before(Seq(8)), 4), [4, 5, 6, 7]);
    assert_eq!(bench.seqs("plaza", Range::Before(Seq(3)), 4), [1, 2]);
    assert_eq!(bench.seqs("plaza", Range::Before(Seq(1)), 4), NONE);
    assert_eq!(bench.seqs("plaza", Range::Before(Seq(0)), 4), NONE);
    assert_eq!(bench.seqs("plaza", Range::Before(Seq(u64::MAX)), 2), [8, 9]);
    assert_eq!(bench.seqs("plaza", Range::Before(Seq(10)), usize::MAX).len(), 9);
    assert_eq!(bench.seqs("plaza", Range::Before(Seq(5)), 0), NONE);
}

fn an_append_names_the_version_it_expects(mut bench: Bench) {
    bench.load("plaza");
    bench.append("plaza", Seq(0), record(1, 2));
    for wrong in [record(1, 1), record(2, 1), record(4, 1)] {
        let expected = wrong.first().minus(1);
        let result = bench.try_append("plaza", expected, wrong);
        assert_eq!(result, Err(AppendError::Refused { actual: Seq(2) }));
    }
    bench.append("plaza", Seq(2), record(3, 1));
    assert_eq!(bench.seqs("plaza", ALL, 10), [1, 2, 3]);
}

fn answers_come_in_the_order_of_the_calls(mut bench: Bench) {
    bench.load("plaza");
    let plaza = room("plaza");
    bench.log.append(&plaza, Seq(0), record(1, 1));
    bench.log.append(&plaza, Seq(7), record(8, 1));
    bench.log.append(&plaza, Seq(1), record(2, 1));
    bench.log.append(&plaza, Seq(9), record(10, 1));
    bench.log.load(&plaza, bench.durability());
    let mut answered = Vec::new();
    let last = loop {
        match bench.next() {
            Completion::Appended { last, result, .. } => answered.push((last.0, result.is_ok())),
            Completion::Loaded { result, .. } => break result.expect("it is loaded").last,
            other => panic!("nobody asked for {other:?}"),
        }
    };
    let successes_are_told = bench.durability() == Durability::Sync;
    answered.retain(|(_, kept)| !kept || successes_are_told);
    let expected = [(1, true), (8, false), (2, true), (10, false)];
    assert_eq!(
        answered,
        expected.into_iter().filter(|(_, kept)| !kept || successes_are_told).collect::<Vec<_>>()
    );
    assert_eq!(last, Seq(2), "a load sees what was asked before");
}

fn rooms_are_apart_and_names_are_folded(mut bench: Bench) {
    bench.load("Plaza");
    bench.load("quay");
    bench.append("PLAZA", Seq(0), record(1, 2));
    bench.append("quay", Seq(0), record(1, 1));
    assert_eq!(bench.seqs("plaza", ALL, 10), [1, 2]);
    assert_eq!(bench.seqs("quay", ALL, 10), [1]);
    assert_ne!(bench.reload("plaza").epochs, bench.reload("quay").epochs);
}

fn loading_brings_what_is_recent(mut bench: Bench) {
    bench.load("plaza");
    for nth in 0..10 {
        bench.append("plaza", Seq(50 * nth), record(50 * nth + 1, 50));
    }
    let loaded = bench.reload("plaza");
    assert_eq!(entries(&loaded.tail).len(), 500, "without a snapshot all of it");
    bench.log.snapshot(&room("plaza"), Seq(480), "state".into(), Trim::default());
    let loaded = bench.reload("plaza");
    let tail = entries(&loaded.tail);
    assert!((RECENT_EVENTS..RECENT_EVENTS + 50).contains(&tail.len()), "{}", tail.len());
    assert_eq!(tail.last(), Some(&entry_at(500, 5000)));
    assert_eq!((loaded.first, loaded.last, loaded.last_at), (Seq(1), Seq(500), Timestamp(5000)));
}

fn loading_starts_at_the_snapshot(mut bench: Bench) {
    bench.load("plaza");
    bench.append("plaza", Seq(0), record(1, 400));
    bench.log.snapshot(&room("plaza"), Seq(20), "twenty".into(), Trim::default());
    for nth in 0..30 {
        bench.append("plaza", Seq(400 + 10 * nth), record(401 + 10 * nth, 10));
    }
    let loaded = bench.reload("plaza");
    assert_eq!(loaded.snapshot, Some((Seq(20), "twenty".into())));
    assert_eq!(
        entries(&loaded.tail).first(),
        Some(&entry_at(1, 10)),
        "all after the snapshot, in whole records"
    );
    bench.log.snapshot(&room("plaza"), Seq(700), "all".into(), Trim::default());
    bench.log.snapshot(&room("plaza"), Seq(500), "older".into(), Trim::default());
    let loaded = bench.reload("plaza");
    assert_eq!(loaded.snapshot, Some((Seq(700), "all".into())), "the newest state stays");
}

fn trimming_forgets_whole_records_and_hides_the_rest(mut bench: Bench) {
    bench.load("plaza");
    for first in [1, 4, 7, 10] {
        bench.append("plaza", Seq(first - 1), record(first, 3));
    }
    bench.log.snapshot(&room("plaza"), Seq(12), "state".into(), Trim { first: Seq(5), before: None });
    assert_eq!(bench.seqs("plaza", ALL, 3), [5, 6, 7]);
    assert_eq!(bench.seqs("plaza", Range::Before(Seq(7)), 9), [5, 6]);
    let loaded = bench.reload("plaza");
    assert_eq!((loaded.first, loaded.last), (Seq(5), Seq(12)));
    assert_eq!(entries(&loaded.tail).first(), Some(&entry_at(5, 50)));
    bench.log.snapshot(&room("plaza"), Seq(12), "state".into(), Trim { first: Seq(13), before: None });
    let loaded = bench.reload("plaza");
    assert_eq!((loaded.first, loaded.last, loaded.last_at), (Seq(13), Seq(12), Timestamp(120)));
    assert_eq!(bench.seqs("plaza", ALL, 3), NONE);
    assert_eq!(bench.seqs("plaza", Range::Before(Seq(13)), 3), NONE);
    bench.append("plaza", Seq(12), record(13, 1));
    assert_eq!(bench.seqs("plaza", ALL, 3), [13]);
    assert_eq!(bench.reload("plaza").first, Seq(13));
}

fn trimming_by_age_forgets_what_is_old(mut bench: Bench) {
    bench.load("plaza");
    for first in [1, 4, 7, 10] {
        bench.append("plaza", Seq(first - 1), record(first, 3));
    }
    let before = |at| Trim { first: Seq::ZERO, before: Some(Timestamp(at)) };
    bench.log.snapshot(&room("plaza"), Seq(12), "state".into(), before(60));
    assert_eq!(bench.seqs("plaza", ALL, 3), [4, 5, 6], "a record ends when its last event does");
    bench.log.snapshot(&room("plaza"), Seq(12), "state".into(), before(61));
    assert_eq!(bench.seqs("plaza", ALL, 3), [7, 8, 9]);
    bench.log.snapshot(&room("plaza"), Seq(12), "state".into(), before(1_000_000));
    let loaded = bench.reload("plaza");
    assert_eq!((loaded.first, loaded.tail.len()), (Seq(13), 0));
}

fn nothing_after_the_snapshot_is_trimmed(mut bench: Bench) {
    bench.load("plaza");
    for first in [1, 4, 7] {
        bench.append("plaza", Seq(first - 1), record(first, 3));
    }
    let all = Trim { first: Seq(100), before: Some(Timestamp(1_000_000)) };
    bench.log.snapshot(&room("plaza"), Seq(5), "state".into(), all);
    assert_eq!(bench.seqs("plaza", ALL, 100), [6, 7, 8, 9]);
    let loaded = bench.reload("plaza");
    assert_eq!((loaded.first, entries(&loaded.tail).len()), (Seq(6), 4));
}

fn a_snapshot_of_what_never_was_is_ignored(mut bench: Bench) {
    bench.load("plaza");
    bench.append("plaza", Seq(0), record(1, 3));
    let trim = Trim { first: Seq(4), before: None };
    bench.log.snapshot(&room("plaza"), Seq(4), "state".into(), trim);
    let loaded = bench.reload("plaza");
    assert_eq!((loaded.snapshot, loaded.first), (None, Seq(1)));
}

fn what_was_not_loaded_is_unavailable(mut bench: Bench) {
    let result = bench.try_append("plaza", Seq(0), record(1, 1));
    assert!(matches!(result, Err(AppendError::Unavailable { .. })));
    assert!(matches!(bench.try_read("plaza", ALL, 1), Err(LoadError::Unavailable { .. })));
    bench.log.snapshot(&room("plaza"), Seq(1), "state".into(), Trim::default());
    bench.log.unload(&room("plaza"));
    assert_eq!(bench.load("plaza").last, Seq(0));
}

fn an_unloaded_room_is_kept(mut bench: Bench) {
    let epochs = bench.load("plaza").epochs;
    bench.append("plaza", Seq(0), record(1, 3));
    bench.log.unload(&room("plaza"));
    let loaded = bench.load("plaza");
    assert_eq!(entries(&loaded.tail), record(1, 3).entries());
    assert_eq!(loaded.epochs, epochs, "nothing was lost");
    bench.append("plaza", Seq(3), record(4, 1));
    assert_eq!(bench.seqs("plaza", ALL, 10), [1, 2, 3, 4]);
}

fn an_unloaded_memory_room_is_forgotten(mut bench: Bench) {
    let epoch = bench.load("plaza").epochs.current().clone();
    bench.append("plaza", Seq(0), record(1, 3));
    bench.log.unload(&room("plaza"));
    let loaded = bench.load("plaza");
    assert_eq!((loaded.last, loaded.tail.len()), (Seq(0), 0));
    assert!(!loaded.epochs.vouches(&epoch, Seq(0)));
}

#[derive(Clone, Debug)]
enum Step {
    Append {
        events: u64,
        later: i64,
    },
    Refused,
    /// All of it counted back from the newest event.
    Snapshot {
        back: u64,
        keep: u64,
        young: Option<i64>,
    },
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u64..80, 0i64..50).prop_map(|(events, later)| Step::Append { events, later }),
        1 => Just(Step::Refused),
        2 => (0u64..100, 0u64..200, prop::option::of(0i64..300))
            .prop_map(|(back, keep, young)| Step::Snapshot { back, keep, young }),
        1 => Just(Step::Reload),
    ]
}

/// Whatever was appended, snapshotted, trimmed and loaded: the log says what happened, and all that it must keep.
fn a_load_equals_what_was_appended(new: impl Fn() -> Bench) {
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 1..40);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let mut bench = new();
        let mut epochs = bench.load("plaza").epochs;
        let mut all: Vec<Entry> = Vec::new();
        let (mut snapshot, mut keeps_from): (Option<(Seq, String)>, u64) = (None, 1);
        for step in steps {
            let last = all.len() as u64;
            let last_at = all.last().map_or(0, |entry| entry.at.0);
            match step {
                Step::Append { events, later } => {
                    let new: Vec<Entry> =
                        (last + 1..=last + events).map(|seq| entry_at(seq, last_at + later)).collect();
                    all.extend_from_slice(&new);
                    bench.append("plaza", Seq(last), Arc::new(Record::new(new)));
                }
                Step::Refused => {
                    let result = bench.try_append("plaza", Seq(last + 1), record(last + 2, 1));
                    prop_assert_eq!(result, Err(AppendError::Refused { actual: Seq(last) }));
                }
                Step::Snapshot { back, keep, young } => {
                    let at = last.saturating_sub(back);
                    let trim = Trim {
                        first: Seq(last.saturating_sub(keep)),
                        before: young.map(|young| Timestamp(last_at - young)),
                    };
                    bench.log.snapshot(&room("plaza"), Seq(at), format!("after {at}"), trim);
                    if snapshot.as_ref().is_none_or(|(newest, _)| newest.0 <= at) {
                        snapshot = Some((Seq(at), format!("after {at}")));
                    }
                    // The least that must still be there: later than the snapshot, or not asked to be forgotten.
                    let old =
                        all.iter().take_while(|it| trim.before.is_some_and(|before| it.at < before)).count();
                    keeps_from = keeps_from.max(trim.first.0.max(old as u64 + 1).min(at + 1));
                }
                Step::Reload => {
                    let loaded = bench.reload("plaza");
                    check_loaded(&loaded, &all, &snapshot, keeps_from)?;
                    // A room in which nothing has happened is not stored: it may be another one each time.
                    if all.is_empty() {
                        epochs = loaded.epochs;
                    }
                }
            }
        }
        let loaded = bench.reload("plaza");
        prop_assert!(loaded.epochs == epochs || all.is_empty());
        check_loaded(&loaded, &all, &snapshot, keeps_from)?;
        let kept = &all[loaded.first.0 as usize - 1..];
        prop_assert_eq!(bench.read("plaza", ALL, usize::MAX), kept);
        prop_assert_eq!(bench.read("plaza", Range::Before(Seq(u64::MAX)), usize::MAX), kept);
        Ok(())
    });
    outcome.unwrap_or_else(|why| panic!("{why}"));
}

fn check_loaded(
    loaded: &Loaded,
    all: &[Entry],
    snapshot: &Option<(Seq, String)>,
    keeps_from: u64,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(&loaded.snapshot, snapshot);
    prop_assert_eq!(loaded.last.0, all.len() as u64);
    prop_assert_eq!(loaded.last_at, all.last().map_or(Timestamp(0), |entry| entry.at));
    prop_assert!(loaded.first.0 <= keeps_from, "{} was to be kept, first is {}", keeps_from, loaded.first);
    let tail = entries(&loaded.tail);
    prop_assert_eq!(&tail[..], &all[all.len() - tail.len()..], "the tail is the newest of what was appended");
    let starts_at = loaded.last.next().minus(tail.len() as u64);
    let after = snapshot.as_ref().map_or(Seq::ZERO, |(seq, _)| *seq);
    prop_assert!(starts_at <= after.next(), "all after the snapshot");
    prop_assert!(tail.len() >= RECENT_EVENTS || starts_at == loaded.first, "all that is recent");
    Ok(())
}
