//! A log that has bad days, for tests: whatever it wraps, but late, out of order, failing or busy on demand.
//!
//! It keeps what every log promises: completions of one room stay in order, reads aside, and after a failed append
//! the room takes no other until it is loaded again.

use std::sync::{Arc, Mutex};

use madang_room::{RoomName, Seq};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::board::lock;
use crate::{AppendError, Completion, Durability, Health, LoadError, Log, Range, Record, Sink, Ticket, Trim};

/// Wraps a log. What goes wrong, and when, is said by its [`Control`].
pub struct FaultyLog<L> {
    inner: L,
    control: Control,
}

/// What goes wrong in a [`FaultyLog`]. Clones control the same log.
#[derive(Clone)]
pub struct Control {
    sink: Sink,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    holding: bool,
    held: Vec<Completion>,
    next_append: Option<Fault>,
    /// Appends that are kept, and whose answers say that nobody knows.
    lost: FxHashSet<(RoomName, Seq)>,
    failed: FxHashSet<RoomName>,
    fail_load: bool,
    health: Option<Health>,
}

enum Fault {
    NotKept(AppendError),
    AnswerLost,
}

impl<L: Log> FaultyLog<L> {
    /// Makes the inner log with `make`, so that its completions pass through here on their way to `sink`.
    pub fn new(sink: Sink, make: impl FnOnce(Sink) -> L) -> (FaultyLog<L>, Control) {
        let control = Control { sink, script: Arc::default() };
        let inner = make(Arc::new({
            let control = control.clone();
            move |completion| control.pass(completion)
        }));
        (FaultyLog { inner, control: control.clone() }, control)
    }
}

impl Control {
    /// Keeps all completions back from now on.
    pub fn hold(&self) {
        lock(&self.script).holding = true;
    }

    /// Delivers what was kept back, in order, and holds no longer.
    pub fn release(&self) {
        let mut script = lock(&self.script);
        script.holding = false;
        let held = std::mem::take(&mut script.held);
        drop(script);
        held.into_iter().for_each(|completion| (self.sink)(completion));
    }

    /// As [`Control::release`], but mixes rooms and reads in an order that `seed` decides.
    pub fn release_shuffled(&self, seed: u64) {
        let mut script = lock(&self.script);
        let mut lanes: Vec<Vec<Completion>> = Vec::new();
        let mut lane_of: FxHashMap<RoomName, usize> = FxHashMap::default();
        for completion in std::mem::take(&mut script.held).into_iter().rev() {
            let lane = match &completion {
                Completion::Loaded { room, .. } | Completion::Appended { room, .. } => {
                    *lane_of.entry(room.clone()).or_insert(lanes.len())
                }
                Completion::Read { .. } | Completion::Health(_) => lanes.len(),
            };
            if lane == lanes.len() {
                lanes.push(Vec::new());
            }
            lanes[lane].push(completion);
        }
        let mut random = seed;
        while !lanes.is_empty() {
            // Knuth's linear congruential generator: any order will do, as long as the seed brings it back.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let lane = (random >> 33) as usize % lanes.len();
            script.held.extend(lanes[lane].pop());
            lanes.retain(|lane| !lane.is_empty());
        }
        drop(script);
        self.release();
    }

    /// The next append is not kept, and answered with `error`.
    pub fn fail_next_append(&self, error: AppendError) {
        lock(&self.script).next_append = Some(Fault::NotKept(error));
    }

    /// The next load fails, as if the engine could not read.
    pub fn fail_next_load(&self) {
        lock(&self.script).fail_load = true;
    }

    /// The next append is kept, and answered with [`AppendError::Unknown`].
    pub fn lose_next_answer(&self) {
        lock(&self.script).next_append = Some(Fault::AnswerLost);
    }

    /// What [`Log::health`] says from now on, which is told as well.
    pub fn set_health(&self, health: Health) {
        lock(&self.script).health = Some(health);
        self.deliver(Completion::Health(health));
    }

    /// What the inner log says.
    fn pass(&self, completion: Completion) {
        if let Completion::Appended { room, last, .. } = &completion
            && lock(&self.script).lost.contains(&(room.clone(), *last))
        {
            return;
        }
        self.deliver(completion);
    }

    fn deliver(&self, completion: Completion) {
        let mut script = lock(&self.script);
        if script.holding {
            script.held.push(completion);
            return;
        }
        drop(script);
        (self.sink)(completion);
    }

    fn fail(&self, room: &RoomName, last: Seq, error: AppendError) {
        lock(&self.script).failed.insert(room.clone());
        self.deliver(Completion::Appended { room: room.clone(), last, result: Err(error) });
    }
}

impl<L: Log> Log for FaultyLog<L> {
    fn load(&mut self, room: &RoomName, durability: Durability) {
        let mut script = lock(&self.control.script);
        script.failed.remove(room);
        let is_failing = std::mem::take(&mut script.fail_load);
        drop(script);
        if is_failing {
            let error = LoadError::Unavailable { room: room.clone(), why: "the test says so".to_owned() };
            self.control.pass(Completion::Loaded { room: room.clone(), result: Err(error) });
        } else {
            self.inner.load(room, durability);
        }
    }

    fn append(&mut self, room: &RoomName, expected: Seq, record: Arc<Record>) {
        let last = record.last();
        let mut script = lock(&self.control.script);
        let failed = script.failed.contains(room);
        let fault = script.next_append.take();
        // A room that takes nothing keeps nothing whose answer could be lost: a later append has that position.
        if matches!(fault, Some(Fault::AnswerLost)) && !failed {
            script.lost.insert((room.clone(), last));
        }
        drop(script);
        match fault {
            _ if failed => {
                let why = format!("what {room} decided before could not be kept");
                self.control.fail(room, last, AppendError::Unavailable { why });
            }
            None => self.inner.append(room, expected, record),
            Some(Fault::NotKept(error)) => self.control.fail(room, last, error),
            Some(Fault::AnswerLost) => {
                self.inner.append(room, expected, record);
                self.control.fail(room, last, AppendError::Unknown { why: "the answer was lost".into() });
            }
        }
    }

    fn read(&mut self, ticket: Ticket, room: &RoomName, range: Range, limit: usize) {
        self.inner.read(ticket, room, range, limit);
    }

    fn snapshot(&mut self, room: &RoomName, seq: Seq, state: String, trim: Trim) {
        if !lock(&self.control.script).failed.contains(room) {
            self.inner.snapshot(room, seq, state, trim);
        }
    }

    fn unload(&mut self, room: &RoomName) {
        self.inner.unload(room);
    }

    fn remember(&mut self, key: String, value: Option<String>) {
        self.inner.remember(key, value);
    }

    fn health(&self) -> Health {
        let health = lock(&self.control.script).health;
        health.unwrap_or_else(|| self.inner.health())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryLog;
    use crate::contract::{self, Bench, record, room};

    fn bench() -> (Bench, Control) {
        let mut control = None;
        let bench = Bench::new(Durability::Sync, |sink| {
            let (log, its_control) = FaultyLog::new(sink, MemoryLog::new);
            control = Some(its_control);
            log
        });
        (bench, control.expect("it was made"))
    }

    #[test]
    fn a_faulty_log_without_faults_keeps_the_contract() {
        contract::of_every_room(|| bench().0);
        contract::of_lasting_rooms(|| bench().0);
    }

    #[test]
    fn completions_are_held_and_released_in_order() {
        let (mut bench, control) = bench();
        bench.load("a");
        bench.load("b");
        control.hold();
        for seq in 1..=3 {
            bench.log.append(&room("a"), Seq(seq - 1), record(seq, 1));
            bench.log.append(&room("b"), Seq(seq - 1), record(seq, 1));
        }
        assert!(bench.is_quiet());
        control.release_shuffled(7);
        let answers: Vec<_> = (0..6).map(|_| bench.next_appended()).collect();
        for name in ["a", "b"] {
            let of_one: Vec<u64> = answers.iter().filter(|it| it.0 == room(name)).map(|it| it.1.0).collect();
            assert_eq!(of_one, [1, 2, 3]);
        }
        let order: Vec<_> = answers.iter().map(|it| it.0.as_str().to_owned()).collect();
        assert_ne!(order, ["a", "b", "a", "b", "a", "b"], "the seed mixes the rooms");
    }

    #[test]
    fn an_append_that_fails_is_not_kept_and_closes_the_room_until_it_is_loaded() {
        let (mut bench, control) = bench();
        bench.load("a");
        let error = AppendError::Unavailable { why: "bad day".into() };
        control.fail_next_append(error.clone());
        assert_eq!(bench.try_append("a", Seq(0), record(1, 1)), Err(error));
        assert!(matches!(bench.try_append("a", Seq(1), record(2, 1)), Err(AppendError::Unavailable { .. })));
        assert_eq!(bench.load("a").last, Seq(0));
        bench.append("a", Seq(0), record(1, 1));
    }

    #[test]
    fn a_lost_answer_leaves_the_append_in_the_log() {
        let (mut bench, control) = bench();
        bench.load("a");
        control.lose_next_answer();
        assert!(matches!(bench.try_append("a", Seq(0), record(1, 1)), Err(AppendError::Unknown { .. })));
        assert_eq!(bench.load("a").last, Seq(1));
    }

    #[test]
    fn health_is_what_the_script_says() {
        let (mut bench, control) = bench();
        control.set_health(Health::Failing);
        assert_eq!((bench.log.health(), bench.next_health()), (Health::Failing, Health::Failing));
    }
}
