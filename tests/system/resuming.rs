//! Coming back with `after` while others talk: without a hole and without a repeat.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Json, Site};

const RECONNECTS: u64 = 50;

/// The talker waits for the listener when it is so far ahead: beyond what a replay or a backlog holds is a gap, told.
const AHEAD_MAX: u64 = 1_000;

#[test]
fn fifty_reconnects_miss_nothing_and_repeat_nothing() {
    // In the room where newcomers land, and in one that they join.
    for room in ["plaza", "garden"] {
        let server = Site::new().start();
        let address = server.address();
        let is_over = AtomicBool::new(false);
        let heard = AtomicU64::new(0);
        thread::scope(|scope| {
            let talker = scope.spawn(|| {
                let mut bob = Json::connect(address);
                bob.join(room);
                let mut last = 0;
                while !is_over.load(Ordering::Relaxed) {
                    if last > heard.load(Ordering::Relaxed) + AHEAD_MAX {
                        thread::yield_now();
                        continue;
                    }
                    last = bob.say(room, "and on it goes");
                    bob.forget();
                }
                last
            });

            // Also where what follows fails, or the talker would talk for ever.
            let over = Over(&is_over);
            let (mut ann, welcome) = Json::hello(address, json!({"nick": "ann"}));
            let joined = ann.join(room);
            let (mut after, epoch) = (joined["seq"].as_u64().unwrap(), joined["epoch"].clone());
            ann.forget();
            let mut left_open = Vec::new();
            for round in 0..RECONNECTS {
                for _ in 0..=round % 7 {
                    after = hears_next(&mut ann, after);
                }
                heard.store(after, Ordering::Relaxed);
                match round % 3 {
                    0 => ann.client.reset(),
                    1 => drop(ann),
                    // Still there when it comes back: the new connection replaces the old one.
                    _ => left_open.push(ann),
                }
                let back;
                (ann, back) = Json::resume(address, &welcome["resume"]);
                assert_eq!((&back["resumed"], &back["nick"]), (&json!(true), &json!("ann")), "round {round}");
                let joined = ann.ask(json!({"op": "join", "room": room, "after": after, "epoch": epoch}));
                assert_eq!(joined.get("reset"), None, "{joined}");
                assert!(joined["seq"].as_u64() >= Some(after), "{joined}");
                // What came before the reply was told to the newcomer that it was until then.
                ann.forget();
            }
            drop(over);
            let last = talker.join().unwrap();
            while after < last {
                after = hears_next(&mut ann, after);
            }
            assert!(last > RECONNECTS, "somebody must have talked");
        });
    }
}

/// Ends the talk when dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The next thing said must be the one right after `after`.
fn hears_next(ann: &mut Json, after: u64) -> u64 {
    loop {
        let event = ann.event();
        match event["ev"].as_str() {
            Some("said") => {
                assert_eq!(event["seq"].as_u64(), Some(after + 1), "no hole, no repeat: {event}");
                return after + 1;
            }
            Some("gap") => panic!("nothing of this may be missed: {event}"),
            _ => assert_eq!(event["seq"], Value::Null, "presence has no position: {event}"),
        }
    }
}
