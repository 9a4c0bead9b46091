//! Random scenes: many people, a log that is late, fails or forgets to answer, and a checker that knows nothing but what
//! people were told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::world::World;
use super::{lobby, show};

/// What one client knows: the seats as it sees them, and what it was told of its own commands.
#[derive(Default)]
struct Knowledge {
    seats: BTreeMap<String, String>,
    watched: bool,
}

/// Random commands of several people on two shards, beside a log that is late, fails or forgets to answer: what they
/// were told must fit together, whatever the server itself believes.
#[test]
fn whatever_goes_wrong_no_seat_is_two_peoples_and_every_watcher_sees_the_same() {
    const PEOPLE: [&str; 4] = ["ann", "bob", "cho", "dan"];
    for seed in 0..100u64 {
        let mut random = seed;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut world = show::world(2, []);
        let mut known: BTreeMap<&str, Knowledge> = BTreeMap::new();
        // Of reservations that were acknowledged and nobody has tried to cancel: the seat and its code.
        let mut sold: BTreeMap<String, String> = BTreeMap::new();
        for name in PEOPLE {
            world.connect_json(name);
            known.insert(name, Knowledge::default());
        }
        for step in 0..120 {
            let name = PEOPLE[next(4) as usize];
            let seat = format!("A-{}-{}", 1 + next(2), 1 + next(6));
            let op = match next(16) {
                0..4 => format!(r#""hold","seats":["{seat}"]"#),
                4..8 => format!(r#""reserve","seats":["{seat}"],"key":"{step}""#),
                8 => r#""reserve""#.to_owned(),
                9 => r#""release""#.to_owned(),
                10 => r#""watch""#.to_owned(),
                11 => {
                    let Some((seat, code)) = sold.iter().nth(next(4) as usize) else { continue };
                    let (seat, op) = (seat.clone(), format!(r#""cancel","reservation":"{code}""#));
                    let code = sold.remove(&seat);
                    sold.retain(|_, other| Some(&*other) != code.as_ref());
                    op
                }
                12 => {
                    world.log_of("hamlet/1").hold();
                    continue;
                }
                13 => {
                    world.log_of("hamlet/1").fail_next_append(lobby::unavailable());
                    continue;
                }
                14 => {
                    world.log_of("hamlet/1").lose_next_answer();
                    continue;
                }
                _ => {
                    world.log_of("hamlet/1").release();
                    world.advance(Duration::from_secs(next(400)));
                    continue;
                }
            };
            world.run(&format!(r#"{name}: {{"op":{op},"performance":"hamlet/1","id":{step}}}"#));
            PEOPLE.iter().for_each(|name| learn(&world.received(name), &mut known, name, &mut sold, seed));
        }
        world.log_of("hamlet/1").release();
        world.settle();
        // A fault that is still to come has met somebody else by then.
        world.run(r#"ann: {"op":"hold","performance":"hamlet/1","seats":["A-1-1"]}"#);
        world.advance(Duration::from_secs(360));
        for name in PEOPLE {
            learn(&world.received(name), &mut known, name, &mut sold, seed);
        }
        world.connect_json("eve");
        world.run(r#"eve: {"op":"watch","performance":"hamlet/1","id":1}"#);
        let mut truth = BTreeMap::from([("eve", Knowledge::default())]);
        let told = world.received("eve");
        learn(&told, &mut truth, "eve", &mut BTreeMap::new(), seed);
        let truth = &truth["eve"].seats;
        assert!(!truth.values().any(|status| status == "held"), "seed {seed}: every hold has ended");
        for (name, Knowledge { seats, watched }) in &known {
            assert!(!watched || seats == truth, "seed {seed}: {name} sees {seats:?}, it is {truth:?}");
        }
        for (seat, code) in &sold {
            assert_eq!(truth[seat], "reserved", "seed {seed}: {code}");
        }
    }
}

/// Takes in what one client was told.
fn learn(
    told: &str,
    known: &mut BTreeMap<&str, Knowledge>,
    name: &str,
    sold: &mut BTreeMap<String, String>,
    seed: u64,
) {
    let knowledge = known.get_mut(name).unwrap();
    for line in told.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["ev"] == "seats" {
            for (seat, status) in line["changes"].as_object().unwrap() {
                knowledge.seats.insert(seat.clone(), status.as_str().unwrap().to_owned());
            }
        } else if line["kind"] == "show" {
            let seats = line["seats"].as_object().unwrap().iter();
            knowledge.seats =
                seats.map(|(seat, is)| (seat.clone(), is.as_str().unwrap().to_owned())).collect();
            knowledge.watched = true;
        } else if let Some(code) = line["reservation"].as_str() {
            for seat in line["seats"].as_array().unwrap() {
                let before = sold.insert(seat.as_str().unwrap().to_owned(), code.to_owned());
                assert!(before.is_none_or(|before| before == code), "seed {seed}: {seat} is sold twice");
            }
        }
    }
}

/// What one client knows of its place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    Out,
    In(u64),
    /// Nobody has said.
    Unsure,
}

/// People come, go, are lost and come back on two shards, beside a log that is late, fails or forgets to answer. Whoever
/// was told of a place has it, and when all have gone nobody has one.
#[test]
fn whatever_goes_wrong_places_are_those_that_people_were_told_of() {
    for seed in 0..100u64 {
        let mut random = seed;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut world = lobby::world(2, "");
        let mut people: Vec<(String, String, Standing)> = Vec::new();
        for at in 0..6 {
            let name = format!("p{at}-0");
            let resume = come(&mut world, &name, None);
            people.push((name, resume, Standing::Out));
        }
        for step in 0..100 {
            let at = next(6) as usize;
            let id = format!("J{:03}", at + 1);
            match next(14) {
                0..5 => ask(&mut world, &mut people[at], "checkin", &id, seed),
                5..7 => ask(&mut world, &mut people[at], "checkout", &id, seed),
                7 => {
                    world.reset(&people[at].0);
                    let name = format!("p{at}-{}", step + 1);
                    let resume = people[at].1.clone();
                    come(&mut world, &name, Some(&resume));
                    people[at].0 = name;
                    if let Standing::In(before) = people[at].2 {
                        // If the answer is no, it is not back in the group yet, and the place may lapse.
                        people[at].2 = Standing::Unsure;
                        ask(&mut world, &mut people[at], "checkin", &id, seed);
                        let now = people[at].2;
                        assert!(
                            [Standing::In(before), Standing::Unsure].contains(&now),
                            "seed {seed}: {now:?}"
                        );
                    }
                }
                8 => {
                    // Another session now: the place is not its own.
                    world.reset(&people[at].0);
                    let name = format!("p{at}-{}", step + 1);
                    let resume = come(&mut world, &name, None);
                    people[at] = (name, resume, Standing::Out);
                }
                9 => world.log_of("day19").fail_next_append(lobby::unavailable()),
                10 => world.log_of("day19").lose_next_answer(),
                11 => {
                    world.log_of("day19").hold();
                    let lost = next(6) as usize;
                    let line = format!(r#"{{"op":"clap","lobby":"day19","id":{step}}}"#);
                    world.run(&format!("{}: {line}", people[lost].0));
                    world.log_of("day19").release();
                    world.settle();
                }
                _ => world.advance(Duration::from_secs(next(4))),
            }
        }
        world.connect("nc");
        world.forget();
        // Holds whatever fault is still to come.
        world.run("nc: /host open sesame");
        world.run("nc: /broadcast the end");
        world.advance(Duration::from_secs(60));
        world.received("nc");
        world.run("nc: groups");
        let groups = world.received("nc");
        for (at, (_, _, standing)) in people.iter().enumerate() {
            let id = format!("J{:03}", at + 1);
            let places = groups.matches(&id).count();
            let group = groups.lines().find(|line| line.contains(&id));
            match standing {
                Standing::Out => assert_eq!(places, 0, "seed {seed}: {id} in {groups}"),
                Standing::Unsure => assert!(places <= 1, "seed {seed}: {id} in {groups}"),
                Standing::In(group_told) => {
                    let is_told =
                        group.is_some_and(|line| line.starts_with(&format!("* group {group_told}: ")));
                    assert!(is_told && places == 1, "seed {seed}: {id} in {group_told}: {groups}");
                }
            }
        }
        assert!(groups.lines().all(|line| line.matches('J').count() <= 2), "seed {seed}: {groups}");
        for (name, ..) in &people {
            world.reset(name);
        }
        world.advance(Duration::from_secs(30));
        world.run("nc: groups");
        assert_eq!(world.received("nc"), "* nobody has checked in\n", "seed {seed}");
    }
}

/// Connects, as a new session or as the one whose token is given, and returns the token.
fn come(world: &mut World, name: &str, resume: Option<&str>) -> String {
    world.connect_json(name);
    let resume = resume.map_or(String::new(), |resume| format!(r#","resume":"{resume}""#));
    world.run(&format!(r#"{name}: {{"op":"hello","id":1{resume}}}"#));
    lobby::field(&world.received(name), "resume")
}

fn ask(world: &mut World, person: &mut (String, String, Standing), op: &str, id: &str, seed: u64) {
    let (name, _, standing) = person;
    world.received(name);
    world.run(&format!(r#"{name}: {{"op":"{op}","lobby":"day19","participant":"{id}","id":"q"}}"#));
    let told = world.received(name);
    let reply = told.lines().find(|line| line.contains(r#""re":"q""#));
    let reply = reply.unwrap_or_else(|| panic!("seed {seed}: {op} is not answered: {told}"));
    let reply: Value = serde_json::from_str(reply).unwrap();
    let group = reply["group"].as_u64();
    *standing = match (op, group, reply["error"]["code"].as_str()) {
        ("checkin", Some(group), _) => {
            let is_kept = !matches!(*standing, Standing::In(before) if before != group);
            assert!(is_kept, "seed {seed}: {id} was in {standing:?}, and is in {group}");
            Standing::In(group)
        }
        ("checkout", Some(_), _) => Standing::Out,
        (_, _, Some("unknown")) => Standing::Unsure,
        (_, _, Some("not_checked_in")) => {
            assert!(!matches!(standing, Standing::In(_)), "seed {seed}: {id} is out: {reply}");
            Standing::Out
        }
        (_, _, Some("already_checked_in")) => Standing::Out,
        _ => *standing,
    };
}
