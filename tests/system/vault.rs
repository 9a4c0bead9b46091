//! Rooms with `durability = "sync"`: what was acknowledged, or told to anybody, is there after `kill -9`.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Json, Site};

const ROUNDS: usize = 20;
const TALKERS: usize = 4;

const CONFIG: &str = "\
[[room]]
match = 'vault'
durability = 'sync'
keep = 1000000
";

#[test]
fn twenty_times_kill_9_lose_nothing_that_was_acknowledged() {
    let site = Site::with(CONFIG);
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    let mut told: BTreeMap<u64, String> = BTreeMap::new();
    let mut unanswered: Vec<Unanswered> = Vec::new();
    let mut epoch = Value::Null;
    for round in 0..ROUNDS {
        let server = site.start();
        let address = server.address();
        let mut witness = Json::connect(address);
        let joined = witness.join("vault");
        if round > 0 {
            assert_eq!(joined["epoch"], epoch, "nothing is lost, so the epoch goes on");
        }
        epoch = joined["epoch"].clone();
        check(&mut witness, &acknowledged, &told);
        // Whoever got no answer asks again with the same key, and learns whether it had happened.
        for Unanswered { resume, text } in unanswered.drain(..) {
            let (mut again, _) = Json::resume(address, &resume);
            again.join("vault");
            let reply = again.ask(say(&text));
            acknowledged.insert(reply["seq"].as_u64().unwrap_or_else(|| panic!("{reply}")), text);
        }
        witness.forget();

        let answered = AtomicUsize::new(0);
        thread::scope(|scope| {
            let talkers: Vec<_> = (0..TALKERS)
                .map(|talker| {
                    let (mut json, welcome) = Json::hello(address, json!({}));
                    json.join("vault");
                    let (name, answered) = (format!("{round}-{talker}"), &answered);
                    scope.spawn(move || talk(json, &welcome["resume"], &name, answered))
                })
                .collect();
            // In the middle of it, and somewhere else each time.
            while answered.load(Ordering::Relaxed) < 10 + round * 7 {
                thread::yield_now();
            }
            server.kill9();
            for talker in talkers {
                let talked = talker.join().unwrap();
                acknowledged.extend(talked.acknowledged);
                unanswered.extend(talked.unanswered);
            }
        });
        while let Ok(event) = witness.read() {
            if event["ev"] == "said" {
                told.insert(event["seq"].as_u64().unwrap(), event["text"].as_str().unwrap().to_owned());
            }
        }
    }
    let server = site.start();
    let mut witness = Json::connect(server.address());
    witness.join("vault");
    check(&mut witness, &acknowledged, &told);
    assert!(acknowledged.len() > ROUNDS * 10, "{}", acknowledged.len());
}

/// Somebody who was cut off while waiting for an answer.
struct Unanswered {
    resume: Value,
    text: String,
}

struct Talked {
    acknowledged: Vec<(u64, String)>,
    unanswered: Option<Unanswered>,
}

fn say(text: &str) -> Value {
    json!({"op": "say", "room": "vault", "text": text, "key": text})
}

/// Says one thing after the other until the server is gone.
fn talk(mut json: Json, resume: &Value, name: &str, answered: &AtomicUsize) -> Talked {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let text = format!("{name}-{n}");
        let Ok(reply) = json.try_ask(say(&text)) else {
            let unanswered = Unanswered { resume: resume.clone(), text };
            return Talked { acknowledged, unanswered: Some(unanswered) };
        };
        json.forget();
        acknowledged.push((reply["seq"].as_u64().unwrap_or_else(|| panic!("{reply}")), text));
        answered.fetch_add(1, Ordering::Relaxed);
    }
    unreachable!("the server is killed some time")
}

/// Everything promised is there, and nothing is there twice.
fn check(witness: &mut Json, acknowledged: &BTreeMap<u64, String>, told: &BTreeMap<u64, String>) {
    let history: BTreeMap<u64, String> = witness.said("vault").into_iter().collect();
    for (seq, text) in acknowledged.iter().chain(told) {
        assert_eq!(history.get(seq), Some(text), "promised as {seq}");
    }
    let mut times: HashMap<&str, u32> = HashMap::new();
    history.values().for_each(|text| *times.entry(text).or_default() += 1);
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "said again with the same key, and there twice: {twice:?}");
}
