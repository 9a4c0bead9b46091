//! Shows: seats that are watched, held, reserved and given back; holds that end, and commits that fail.

use std::time::Duration;

use expect_test::expect;
use madang_log::{AppendError, Health};

use super::world::World;
use crate::config::Config;

const SHOW: &str = r#"
[[listen]]
bind = "127.0.0.1:0"
[[listen]]
protocol = "http"
[limits]
seats_held = 4
[[show]]
id = "hamlet"
title = "Hamlet"
place = "Small stage"
performances = [{ id = "1", at = "2026-12-24T19:30:00+09:00" }, { id = "2", at = "2026-12-25T19:30:00+09:00" }]
hold_for = "5m"
seats = [{ section = "A", rows = "1-2", seats = "1-6", price = 50000 }]
"#;

pub(super) fn world<const N: usize>(shards: usize, names: [&str; N]) -> World {
    let (config, _) = Config::from_toml(SHOW, "scene").unwrap();
    let mut world = World::with(Config { shards, ..config });
    world.people(names);
    world
}

/// A reservation's code in what somebody was told.
fn code(text: &str) -> String {
    text.split("code ").nth(1).expect("there is a code").trim_end().to_owned()
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

#[test]
fn seats_are_watched_held_reserved_and_given_back() {
    for shards in [1, 2] {
        let mut world = world(shards, ["ann", "bob"]);
        world.run("ann: /shows");
        world.run("ann: /seats");
        world.run("ann: /watch hamlet/1");
        world.run("bob: /watch Hamlet/1");
        world.check(expect![[r#"
            ann < * hamlet/1: Hamlet, Small stage, 2026-12-24 19:30, 12 free
            ann < * hamlet/2: Hamlet, Small stage, 2026-12-25 19:30, 12 free
            ann < ! no_such_show: you watch no performance; /shows lists them, /watch SHOW/PERFORMANCE follows one
            ann < * watching hamlet/1: 12 of 12 free, /seats shows them
            bob < * watching hamlet/1: 12 of 12 free, /seats shows them
        "#]]);
        world.run("ann: /hold A-1-3 a-1-4");
        world.run("bob: /hold A-1-4 A-1-5");
        world.run("bob: /hold best 2");
        world.run("bob: /release A-1-3");
        world.run("bob: /release");
        world.run("ann: still said where people speak");
        world.check(expect![[r#"
            ann < * you hold A-1-3, A-1-4 until 10:05:00
            ann < * seat A-1-1 held
            ann < * seat A-1-2 held
            ann < * seat A-1-1 free
            ann < * seat A-1-2 free
            bob < * seat A-1-3 held
            bob < * seat A-1-4 held
            bob < ! seat_taken: A-1-4 is taken
            bob < * you hold A-1-1, A-1-2 until 10:05:00
            bob < ! not_yours: A-1-3 is not held by you
            bob < * you gave back A-1-1, A-1-2
            bob < <ann> still said where people speak
        "#]]);
        world.run("ann: /seats");
        world.run("ann: /reserve");
        let told = world.received("ann");
        let code = code(&told);
        expect![[r#"
            * hamlet/1: 10 of 12 free (. free, o held, x reserved, @ yours)
            * section A, seats 1 to 6
            *    1 ..@@..
            *    2 ......
            * reserved A-1-3, A-1-4: code …
        "#]]
        .assert_eq(&told.replace(&code, "…"));
        world.run("bob: /cancel 00000000");
        world.run(&format!("bob: /cancel {code}"));
        world.run("ann: /leave hamlet/1");
        world.run("bob: /hold A-2-1");
        world.run("ann: /shows");
        world.run("ann: /hold A-2-2");
        world.check(expect![[r#"
            ann < * seat A-1-3 free
            ann < * seat A-1-4 free
            ann < * left hamlet/1
            ann < * hamlet/1: Hamlet, Small stage, 2026-12-24 19:30, 11 free
            ann < * hamlet/2: Hamlet, Small stage, 2026-12-25 19:30, 12 free
            ann < ! no_such_show: you watch no performance; /shows lists them, /watch SHOW/PERFORMANCE follows one
            bob < * seat A-1-3 reserved
            bob < * seat A-1-4 reserved
            bob < ! not_yours: there is no reservation with that code
            bob < * cancelled A-1-3, A-1-4
            bob < * you hold A-2-1 until 10:05:00
        "#]]);
    }
}

#[test]
fn what_is_wrong_is_told_and_changes_nothing() {
    let mut world = world(2, ["ann", "bob"]);
    world.run("bob: /watch hamlet/1");
    world.run("bob: /hold A-1-1");
    world.forget();
    for line in [
        "/watch othello/1",
        "/watch hamlet/9",
        "/watch plaza",
        "/join hamlet/9",
        "/hold A-1-2",
        "/watch hamlet/1",
        "/hold",
        "/hold A1",
        "/hold A-9-9",
        "/hold A-1-2 A-1-2",
        "/hold A-1-2 A-1-1",
        "/hold best 0",
        "/hold best 101",
        "/hold best 7",
        "/hold best 5",
        "/release A-1-1",
        "/release",
        "/reserve",
        "/reserve A-1-1",
        "/cancel 7KQ2MXP4",
        "/join hamlet",
    ] {
        world.run(&format!("ann: {line}"));
    }
    world.check(expect![[r#"
        ann < ! no_such_show: there is no show or performance "othello/1"; /shows lists them
        ann < ! no_such_show: there is no show or performance "hamlet/9"; /shows lists them
        ann < ! no_such_show: there is no show or performance "plaza"; /shows lists them
        ann < ! no_such_show: there is no show or performance "hamlet/9"; /shows lists them
        ann < ! no_such_show: you watch no performance; /shows lists them, /watch SHOW/PERFORMANCE follows one
        ann < * watching hamlet/1: 11 of 12 free, /seats shows them
        ann < ! bad_command: write /hold SEAT... to keep seats for yourself for a while, all of them or none
        ann < ! no_such_seat: "A1" is no seat: section, row and number name one, as A-1-4 does
        ann < ! no_such_seat: hamlet/1 has no seat A-9-9; /seats shows those it has
        ann < ! bad_command: A-1-2 is named twice; name each seat once
        ann < ! seat_taken: A-1-1 is taken
        ann < ! bad_command: "0" is no number from 1 to 4294967295; write /hold SEAT...
        ann < ! too_many: one command may be about 100 seats, not 101; ask in parts
        ann < ! seat_taken: hamlet/1 has no 7 free seats side by side; ask for fewer, or name them
        ann < ! too_many: you may hold 4 seats at once; you hold 0, and 5 more are too many
        ann < ! not_yours: A-1-1 is not held by you
        ann < * you hold no seats
        ann < ! not_yours: you hold no seats of hamlet/1; hold some first, or name those to reserve
        ann < ! seat_taken: A-1-1 is taken
        ann < ! not_yours: there is no reservation with that code
        ann < * in hamlet (1 here)
    "#]]);
}

#[test]
fn the_answer_to_watch_and_the_events_after_it_leave_no_hole() {
    for shards in [1, 2] {
        let mut world = world(shards, ["bob"]);
        world.run("bob: /watch hamlet/1");
        world.connect_json("ann");
        world.run(r#"ann: {"op":"hold","performance":"hamlet/1","seats":["A-1-1"],"id":1}"#);
        world.run(r#"ann: {"op":"hello","id":2}"#);
        world.forget();
        world.log.iter().for_each(|log| log.hold());
        world.run("bob: /hold A-1-2");
        world.run(r#"ann: {"op":"watch","performance":"hamlet/1","id":3}"#);
        world.run("bob: /hold A-1-3");
        world.check(expect![[r#""#]]);
        world.log.iter().for_each(|log| log.release());
        world.settle();
        let told = world.received("ann");
        let at = world.now_text();
        let epoch = told.split("\"epoch\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        expect![[r#"
            {"re":3,"room":"hamlet/1","kind":"show","epoch":"…","seq":3,"count":2,"capacity":0,"topic":"","seats":{"A-1-1":"held","A-1-2":"held","A-1-3":"free","A-1-4":"free","A-1-5":"free","A-1-6":"free","A-2-1":"free","A-2-2":"free","A-2-3":"free","A-2-4":"free","A-2-5":"free","A-2-6":"free"},"mine":{"A-1-1":"2026-11-20T10:05:00.000Z"}}
            {"ev":"seats","room":"hamlet/1","seq":4,"at":"…","changes":{"A-1-3":"held"}}
        "#]].assert_eq(&told.replace(&at, "…").replace(&epoch, "…"));
        // Again, by one who watches already: what is in the answer is not heard once more.
        world.type_ahead("bob", b"/hold A-1-4\n");
        world.type_ahead("ann", b"{\"op\":\"watch\",\"performance\":\"hamlet/1\",\"id\":4}\n");
        world.settle();
        world.run("bob: /release A-1-4");
        let told = world.received("ann");
        let (_, told) = told.split_once("{\"re\":4").unwrap();
        let heard = told.matches(r#""changes":{"A-1-4":"held"}"#).count();
        let seen = told.matches(r#""A-1-4":"held","A-1-5""#).count();
        let freed = told.matches(r#""changes":{"A-1-4":"free"}"#).count();
        assert_eq!((heard + seen, freed), (1, 1), "{told}");
    }
}

#[test]
fn nobody_is_told_of_a_reservation_before_it_is_on_the_disk() {
    for shards in [1, 2] {
        let mut world = world(shards, ["ann", "bob"]);
        world.run("ann: /watch hamlet/1");
        world.run("bob: /watch hamlet/1");
        world.forget();
        world.log.iter().for_each(|log| log.hold());
        world.run("ann: /reserve A-1-1");
        world.run("bob: /hold A-1-1");
        world.run("bob: /seats");
        world.connect("nc");
        world.received("nc");
        world.check(expect![[r#"
            ann < * Guest3 joined
            bob < * Guest3 joined
        "#]]);
        world.log.iter().for_each(|log| log.release());
        world.settle();
        assert!(world.received("ann").starts_with("* reserved A-1-1: code "));
        world.check(expect![[r#"
            bob < * seat A-1-1 reserved
            bob < ! seat_taken: A-1-1 is taken
            bob < * hamlet/1: 11 of 12 free (. free, o held, x reserved, @ yours)
            bob < * section A, seats 1 to 6
            bob < *    1 x.....
            bob < *    2 ......
        "#]]);
    }
}

#[test]
fn a_commit_that_fails_took_no_seat() {
    for shards in [1, 2] {
        let mut world = world(shards, ["bob"]);
        world.run("bob: /watch hamlet/1");
        world.connect_json("ann");
        world.run(r#"ann: {"op":"hold","performance":"hamlet/1","seats":["A-1-1"],"id":1}"#);
        world.forget();
        world.log_of("hamlet/1").fail_next_append(unavailable());
        world.run(r#"ann: {"op":"reserve","performance":"hamlet/1","key":"k","id":2}"#);
        world.check(expect![[r#"
            ann < {"re":2,"error":{"code":"unavailable","message":"hamlet/1 can't be kept right now, nothing happened; try again soon"}}
        "#]]);
        world.run("bob: /hold A-1-1");
        world.run(r#"ann: {"op":"reserve","performance":"hamlet/1","key":"k","id":3}"#);
        let first = world.received("ann");
        world.run(r#"ann: {"op":"reserve","performance":"hamlet/1","key":"k","id":3}"#);
        assert_eq!(world.received("ann"), first, "asked again, and the same answer");
        assert!(first.contains(r#""seats":["A-1-1"],"reservation":""#), "{first}");
        world.run("bob: /seats");
        world.check(expect![[r#"
            bob < ! seat_taken: A-1-1 is taken
            bob < * seat A-1-1 reserved
            bob < * hamlet/1: 11 of 12 free (. free, o held, x reserved, @ yours)
            bob < * section A, seats 1 to 6
            bob < *    1 x.....
            bob < *    2 ......
        "#]]);

        // Nobody knows whether it was kept: it was, and asking again says so.
        world.log_of("hamlet/1").lose_next_answer();
        world.run(r#"ann: {"op":"reserve","performance":"hamlet/1","seats":["A-1-2"],"key":"l","id":4}"#);
        world.run(r#"ann: {"op":"reserve","performance":"hamlet/1","seats":["A-1-2"],"key":"l","id":5}"#);
        let told = world.received("ann");
        assert!(told.contains(r#"{"re":4,"error":{"code":"unknown""#), "{told}");
        assert!(told.contains(r#"{"re":5,"seats":["A-1-2"],"reservation":""#), "{told}");
        world.check(expect![[r#"
            bob < * seat A-1-2 reserved
        "#]]);
    }
}

#[test]
fn holds_end_by_themselves_and_on_time() {
    for shards in [1, 2] {
        let mut world = world(shards, ["ann", "bob"]);
        world.run("ann: /watch hamlet/1");
        world.run("ann: /hold A-1-1 A-1-2");
        world.advance(minutes(2));
        world.run("ann: /hold A-1-3");
        world.run("bob: /watch hamlet/1");
        world.forget();
        world.advance(minutes(3));
        world.run("ann: /reserve A-1-1");
        world.run("bob: /hold A-1-1");
        world.run("ann: /reserve A-1-1");
        world.advance(minutes(2));
        world.check(expect![[r#"
            ann < * seat A-1-1 free
            ann < * seat A-1-2 free
            ann < ! hold_expired: your hold of A-1-1 has ended; it is still free, so hold it again
            ann < * seat A-1-1 held
            ann < ! seat_taken: A-1-1 is taken
            ann < * seat A-1-3 free
            bob < * seat A-1-1 free
            bob < * seat A-1-2 free
            bob < * you hold A-1-1 until 10:10:00
            bob < * seat A-1-3 free
        "#]]);
    }
}

#[test]
fn a_hold_that_has_ended_is_free_although_the_log_can_not_say_so() {
    let mut world = world(1, ["ann", "bob"]);
    world.run("ann: /watch hamlet/1");
    world.run("bob: /watch hamlet/1");
    world.run("ann: /hold A-1-1");
    world.forget();
    world.log[0].set_health(Health::Failing);
    world.advance(minutes(6));
    world.run("bob: /hold A-1-1");
    world.check(expect![[r#"
        bob < ! unavailable: hamlet/1 can't be kept right now, nothing happened; try again soon
    "#]]);
    world.log[0].set_health(Health::Well);
    world.run("bob: /hold A-1-1");
    world.advance(Duration::from_secs(2));
    world.check(expect![[r#"
        ann < * seat A-1-1 held
        bob < * you hold A-1-1 until 10:11:00
    "#]]);
}

#[test]
fn a_hold_is_the_sessions_and_nobody_elses_business() {
    for shards in [1, 2] {
        let mut world = world(shards, []);
        world.connect_json("ann");
        world.run(r#"ann: {"op":"hello","nick":"ann","id":1}"#);
        let told = world.received("ann");
        let resume = told.split("\"resume\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        world.run(r#"ann: {"op":"hold","performance":"hamlet/1","best":2,"id":2}"#);
        world.reset("ann");
        world.connect_json("bob");
        world.run(r#"bob: {"op":"watch","performance":"hamlet/1","id":1}"#);
        let watched = world.received("bob");
        assert!(watched.contains(r#""A-1-3":"held""#) && watched.contains(r#""mine":{}"#), "{watched}");
        world.run(r#"bob: {"op":"release","performance":"hamlet/1","seats":["A-1-3"],"id":2}"#);
        world.run(r#"bob: {"op":"history","room":"hamlet/1","id":3}"#);
        let told = world.received("bob");
        assert!(told.contains("not_yours") && !told.contains("s_"), "{told}");
        world.connect_json("ann2");
        world.run(&format!(r#"ann2: {{"op":"hello","resume":"{resume}","id":1}}"#));
        world.run(r#"ann2: {"op":"watch","performance":"hamlet/1","id":2}"#);
        assert!(world.received("ann2").contains(r#""mine":{"A-1-3":"2026-"#));
        world.run(r#"ann2: {"op":"reserve","performance":"hamlet/1","id":3}"#);
        assert!(world.received("ann2").contains(r#""seats":["A-1-3","A-1-4"],"reservation":""#));
        let told = world.received("bob");
        assert!(told.contains(r#""changes":{"A-1-3":"reserved","A-1-4":"reserved"}"#), "{told}");
        assert!(!told.contains("reservation"), "{told}");
    }
}

#[test]
fn socketio_clients_take_seats_too() {
    for shards in [1, 2] {
        let mut world = world(shards, ["bob"]);
        world.run("bob: /watch hamlet/1");
        world.connect_socketio("eve", r#"{"nick":"eve"}"#);
        assert!(world.ask("eve", "shows", "{}").contains(r#""performance":"hamlet/1""#));
        let watched = world.ask("eve", "watch", r#"{"performance":"hamlet/1"}"#);
        assert!(watched.starts_with(r#"[{"room":"hamlet/1","kind":"show""#), "{watched}");
        world.ask("eve", "hold", r#"{"performance":"hamlet/1","best":1}"#);
        world.frames("eve");
        let reserved = world.ask("eve", "reserve", r#"{"performance":"hamlet/1","key":"k"}"#);
        assert!(reserved.starts_with(r#"[{"seats":["A-1-3"],"reservation":""#), "{reserved}");
        world.run("bob: /hold A-1-1");
        let heard = world.frames("eve").concat();
        assert!(heard.contains(r#"42["seats",{"ev":"seats","room":"hamlet/1","#), "{heard}");
        assert!(world.received("bob").contains("* seat A-1-3 held\n* seat A-1-3 reserved\n"));
    }
}

fn unavailable() -> AppendError {
    AppendError::Unavailable { why: "full".into() }
}
