//! Lobbies: checking in, groups, claps and hosts; connections that are lost, and places that lapse.

use std::time::Duration;

use expect_test::expect;
use madang_log::{AppendError, Health};

use super::world::World;
use crate::config::Config;

/// A server whose first door is the lobby's own, and whose second is for everybody.
pub(super) fn world(shards: usize, lobby: &str) -> World {
    let text = format!(
        "[[listen]]\nservice = 'lobby'\nbind = '127.0.0.1:0'\n[[listen]]\nbind = '127.0.0.1:0'\n\
         [[listen]]\nprotocol = 'http'\n[lobby.day19]\ngroup_size = 2\n{lobby}"
    );
    let (config, _) = Config::from_toml(&text, "scene").unwrap();
    World::with(Config { shards, ..config })
}

/// People who have come in by the lobby's door and have checked in as they are called.
fn checked_in<const N: usize>(shards: usize, lobby: &str, names: [&str; N]) -> World {
    let mut world = world(shards, lobby);
    for name in names {
        world.connect(name);
        world.run(&format!("{name}: /nick n{name}"));
        world.run(&format!("{name}: checkin {name}"));
    }
    world.forget();
    world
}

pub(super) fn field(text: &str, name: &str) -> String {
    let start = text.rfind(&format!("\"{name}\":\"")).expect("the field is there") + name.len() + 4;
    text[start..].split('"').next().unwrap().to_owned()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn people_are_sorted_into_groups() {
    for shards in [1, 2] {
        let mut world = world(shards, "");
        for name in ["ann", "bob", "cho"] {
            world.connect(name);
        }
        world.check(expect![[r#"
            ann < * you are Guest1 in day19 (1 here), /help lists the commands
            bob < * you are Guest2 in day19 (2 here), /help lists the commands
            cho < * you are Guest3 in day19 (3 here), /help lists the commands
        "#]]);
        world.run("ann: checkin j001");
        world.run("bob: CHECKIN J002");
        world.run("cho: /checkin J003");
        world.check(expect![[r#"
            ann < * group 1
            ann < * J002 joined group 1
            bob < * group 1
            cho < * group 2
        "#]]);
        world.run("ann: hello, who is here?");
        world.run("bob: /who");
        world.run("cho: groups");
        world.run("ann: clap");
        world.check(expect![[r#"
            ann < * claps 1
            bob < <Guest1> hello, who is here?
            bob < * here: Guest1, Guest2
            bob < [day19] * claps 1
            cho < * group 1: J001, J002
            cho < * group 2: J003
            cho < [day19] * claps 1
        "#]]);
        world.advance(seconds(4_320));
        world.run("ann: checkout");
        world.run("ann: hello?");
        world.run("cho: /checkout");
        world.run("cho: checkin J004");
        world.check(expect![[r#"
            ann < * checked out of group 1 after 1h 12m
            ann < ! not_checked_in: you are not checked in at day19; write checkin and your id, such as checkin J001
            bob < * J001 left group 1
            bob < * J004 joined group 1
            cho < * checked out of group 2 after 1h 12m
            cho < * group 1
        "#]]);
    }
}

#[test]
fn what_is_wrong_with_a_check_in_is_told() {
    let mut world = checked_in(2, "", ["J001"]);
    world.connect("dan");
    world.forget();
    for line in [
        "hello?",
        "checkin",
        "checkin X1",
        "checkin J385",
        "checkin J001",
        "checkout",
        "clap",
        "/broadcast hi",
        "/host nobody",
        "/join day19/1",
        "/join day19/7",
        "/join day19/07",
        "/checkin J002",
        "/checkin J002",
        "/checkin J003",
        "/topic mine",
    ] {
        world.run(&format!("dan: {line}"));
    }
    world.check(expect![[r#"
        J001 < * J002 joined group 1
        dan < ! not_checked_in: you are not checked in at day19; write checkin and your id, such as checkin J001
        dan < ! bad_command: write /checkin ID to get a place in a group of the lobby
        dan < ! bad_participant: "X1" is no id here; ids go from J001 to J384
        dan < ! bad_participant: "J385" is no id here; ids go from J001 to J384
        dan < ! already_checked_in: J001 is checked in by somebody else, in group 1
        dan < ! not_checked_in: you are not checked in at day19; write checkin and your id, such as checkin J001
        dan < ! not_checked_in: you are not checked in at day19; write checkin and your id, such as checkin J001
        dan < ! forbidden: only a host may do this; /host and the secret make you one
        dan < ! forbidden: that is not the secret that makes a host
        dan < ! not_checked_in: you are not checked in at day19; write checkin and your id, such as checkin J001
        dan < ! not_checked_in: you are not checked in at day19; write checkin and your id, such as checkin J001
        dan < ! bad_name: day19/07 can't be made: only lobbies and shows have rooms with a '/' in their name
        dan < * group 1
        dan < * group 1
        dan < ! already_checked_in: you are checked in as J002, in group 1; check out first
        dan < ! forbidden: only who made day19/1 may change its topic and capacity
    "#]]);
}

#[test]
fn another_door_names_the_lobby() {
    let mut world = checked_in(2, "", ["J001"]);
    world.connect_from("dan", "127.0.0.1:50000", 1);
    world.run("dan: /checkin J002");
    world.run("dan: /join day19");
    world.run("dan: hello?");
    world.run("dan: checkin J002");
    world.run("dan: /checkin J002");
    world.run("dan: hello");
    world.run("dan: /leave");
    world.check(expect![[r#"
        J001 < * J002 joined group 1
        J001 < <Guest2> hello
        dan < * you are Guest2 in plaza (1 here), /help lists the commands
        dan < ! no_such_room: there is no lobby here; a lobby has a door of its own, or is named in JSON
        dan < * in day19 (2 here)
        dan < ! not_checked_in: you are not checked in at day19; write checkin and your id, such as checkin J001
        dan < ! not_checked_in: you are not checked in at day19; write checkin and your id, such as checkin J001
        dan < * group 1
        dan < * left day19/1
    "#]]);
    world.connect_from("eve", "127.0.0.1:50000", 1);
    world.run("eve: /json");
    world.forget();
    for line in [
        r#"{"op":"checkin","lobby":"day20","participant":"J003","id":1}"#,
        r#"{"op":"checkin","lobby":"plaza","participant":"J003","id":2}"#,
        r#"{"op":"checkin","lobby":"day19","participant":"J003","id":3}"#,
        r#"{"op":"say","room":"day19/2","text":"hi","id":4}"#,
        r#"{"op":"say","room":"day19","text":"hi","id":5}"#,
        r#"{"op":"groups","lobby":"day19","id":6}"#,
        r#"{"op":"clap","lobby":"day19","id":7}"#,
        r#"{"op":"clap","lobby":"plaza","id":8}"#,
        r#"{"op":"leave","room":"day19","id":9}"#,
        r#"{"op":"checkout","lobby":"day19","id":10}"#,
        r#"{"op":"checkout","lobby":"day19","id":11}"#,
    ] {
        world.run(&format!("eve: {line}"));
    }
    let told: String = world.received("eve").replace(&world.now_text(), "…");
    expect![[r#"
        {"re":1,"error":{"code":"no_such_room","message":"there is no lobby day20"}}
        {"re":2,"error":{"code":"no_such_room","message":"there is no lobby plaza"}}
        {"re":3,"group":2,"room":"day19/2"}
        {"re":4,"seq":2}
        {"ev":"said","room":"day19/2","seq":2,"at":"…","from":"Guest3","text":"hi"}
        {"re":5,"error":{"code":"forbidden","message":"day19 is no chat room, so this can't be done there; it is a lobby"}}
        {"re":6,"groups":[{"group":1,"participants":["J001","J002"]},{"group":2,"participants":["J003"]}]}
        {"re":7,"claps":1}
        {"ev":"clapped","room":"day19","seq":5,"at":"…","claps":1}
        {"re":8,"error":{"code":"no_such_room","message":"there is no lobby plaza"}}
        {"re":9,"room":"day19"}
        {"re":10,"group":2,"seconds":0}
        {"re":11,"error":{"code":"not_checked_in","message":"you are not checked in at day19; write checkin and your id, such as checkin J001"}}
    "#]].assert_eq(&told);
}

#[test]
fn a_lost_connection_keeps_its_place_for_a_while() {
    for shards in [1, 2] {
        let mut world = checked_in(shards, "grace = '10s'", ["J001", "J002"]);
        world.reset("J001");
        world.connect("cho");
        world.run("cho: checkin J003");
        world.run("cho: checkin J001");
        world.advance(seconds(9));
        world.check(expect![[r#"
            J001 < (reset)
            cho < * you are Guest3 in day19 (2 here), /help lists the commands
            cho < * group 2
            cho < ! already_checked_in: you are checked in as J003, in group 2; check out first
        "#]]);
        world.advance(seconds(1));
        world.connect("dan");
        world.run("dan: checkin J001");
        world.check(expect![[r#"
            J002 < * J001 left group 1
            J002 < * J001 joined group 1
            dan < * you are Guest4 in day19 (3 here), /help lists the commands
            dan < * group 1
        "#]]);
    }
}

#[test]
fn who_says_goodbye_gives_the_place_back_at_once() {
    let mut world = checked_in(2, "", ["J001", "J002"]);
    world.run("J001: /quit");
    world.check(expect![[r#"
        J001 < * bye
        J001 < (end)
        J002 < * J001 left group 1
    "#]]);
    world.finish("J002");
    world.connect("cho");
    world.run("cho: groups");
    world.advance(seconds(10));
    world.run("cho: groups");
    world.check(expect![[r#"
        J002 < (end)
        cho < * you are Guest3 in day19 (1 here), /help lists the commands
        cho < * group 1: J002
        cho < * nobody has checked in
    "#]]);
}

#[test]
fn who_comes_back_with_the_session_has_the_place_still() {
    for shards in [1, 2] {
        let mut world = checked_in(shards, "", ["J001"]);
        world.connect_json("eve");
        world.run(r#"eve: {"op":"hello","nick":"eve","id":1}"#);
        let resume = field(&world.received("eve"), "resume");
        world.run(r#"eve: {"op":"checkin","lobby":"day19","participant":"J002","id":2}"#);
        world.forget();
        world.reset("eve");
        world.advance(seconds(9));
        world.connect_json("eve2");
        world.run(&format!(r#"eve2: {{"op":"hello","resume":"{resume}","id":1}}"#));
        world.received("eve2");
        world.run(r#"eve2: {"op":"checkin","lobby":"day19","participant":"J002","id":2}"#);
        world.advance(seconds(60));
        world.run("J001: are you there?");
        world.run(r#"eve2: {"op":"say","room":"day19/1","text":"yes","id":3}"#);
        let now = world.now_text();
        let told = world.received("eve2");
        expect![[r#"
            {"re":2,"group":1,"room":"day19/1"}
            {"ev":"said","room":"day19/1","seq":2,"at":"…","from":"nJ001","text":"are you there?"}
            {"re":3,"seq":3}
            {"ev":"said","room":"day19/1","seq":3,"at":"…","from":"eve","text":"yes"}
        "#]]
        .assert_eq(&told.replace(&now, "…"));
        world.check(expect![[r#"
            J001 < <eve> yes
            eve < (reset)
        "#]]);

        // Joining the group's room again is coming back, too; by a second connection, the first one goes.
        world.connect_json("eve3");
        world.run(&format!(r#"eve3: {{"op":"hello","resume":"{resume}","id":1}}"#));
        world.received("eve3");
        world.run(r#"eve3: {"op":"join","room":"day19/1","after":1,"id":2}"#);
        world.advance(seconds(60));
        assert!(world.received("eve3").contains(r#""seq":3"#));
        world.run("J001: groups");
        world.check(expect![[r#"
            J001 < * group 1: J001, J002
            eve2 < {"ev":"bye","why":"replaced","resume":false}
            eve2 < (reset)
        "#]]);
    }
}

#[test]
fn the_newer_one_may_take_a_place_over() {
    for shards in [1, 2] {
        let mut world = checked_in(shards, "duplicate = 'replace'", ["J001", "J002"]);
        world.connect("dan");
        world.run("dan: checkin J001");
        world.run("dan: hello");
        world.run("J001: hello?");
        world.advance(seconds(60));
        world.run("J002: groups");
        // Whether it hears of its own place depends on which shards are asked first.
        let told = world.received("J001");
        for line in
            ["! already_checked_in: J001 is checked in by somebody else, in group 1", "* left day19/1"]
        {
            assert!(told.contains(line), "{told}");
        }
        let last = told.lines().last().unwrap();
        assert!(last.starts_with("! not_checked_in: ") && !told.contains("<Guest3>"), "{told}");
        world.check(expect![[r#"
            J002 < * J001 left group 1
            J002 < * J001 joined group 1
            J002 < <Guest3> hello
            J002 < * group 1: J002, J001
            dan < * you are Guest3 in day19 (3 here), /help lists the commands
            dan < * group 1
        "#]]);
    }
}

#[test]
fn a_host_speaks_to_all_groups() {
    let mut world = checked_in(2, "", ["J001", "J002", "J003"]);
    world.connect_from("eve", "127.0.0.1:50000", 1);
    world.run("eve: /nick eve");
    world.run("eve: /json");
    world.forget();
    world.run(r#"eve: {"op":"broadcast","lobby":"day19","text":"no","id":1}"#);
    world.run(r#"eve: {"op":"host","secret":"open","id":2}"#);
    world.run(r#"eve: {"op":"host","secret":"open sesame","id":3}"#);
    world.run(r#"eve: {"op":"broadcast","lobby":"day19","text":"five minutes","id":4}"#);
    world.run("J001: /host open sesame");
    world.run("J001: /broadcast ready");
    world.check(expect![[r#"
        J001 < [day19] * eve to all groups: five minutes
        J001 < * you are a host
        J001 < [day19] * nJ001 to all groups: ready
        J002 < [day19] * eve to all groups: five minutes
        J002 < [day19] * nJ001 to all groups: ready
        J003 < [day19] * eve to all groups: five minutes
        J003 < [day19] * nJ001 to all groups: ready
        eve < {"re":1,"error":{"code":"forbidden","message":"only a host may do this; /host and the secret make you one"}}
        eve < {"re":2,"error":{"code":"forbidden","message":"that is not the secret that makes a host"}}
        eve < {"re":3}
        eve < {"re":4,"seq":5}
    "#]]);
}

#[test]
fn participants_are_reached_by_their_ids() {
    for shards in [1, 2] {
        let mut world = checked_in(shards, "", ["J001", "J003"]);
        // Nobody can take what is meant for somebody else by a nickname.
        world.connect_from("eve", "127.0.0.1:50000", 1);
        world.run("eve: /nick J002");
        world.forget();
        world.run("J001: /msg j003 psst");
        world.run("J001: /msg J002 psst");
        world.run("J001: /msg nJ003 psst");
        world.run("eve: /msg J001 who are you?");
        world.check(expect![[r#"
            J001 < -> j003: psst
            J001 < ! no_such_nick: nobody here is called J002
            J001 < -> nJ003: psst
            J003 < -nJ001- psst
            J003 < -nJ001- psst
            eve < ! no_such_nick: nobody here is called J001
        "#]]);
    }
}

#[test]
fn nobody_is_told_before_the_disk() {
    let mut world = checked_in(1, "", ["J001", "J002"]);
    world.connect("cho");
    world.forget();
    world.log[0].hold();
    world.run("J002: checkout");
    world.run("cho: checkin J003");
    world.run("J001: hello");
    world.check(expect![[r#"
        J002 < <nJ001> hello
    "#]]);
    world.log[0].release();
    world.settle();
    world.check(expect![[r#"
        J001 < * J002 left group 1
        J001 < * J003 joined group 1
        J002 < * checked out of group 1 after 0s
        J002 < * J003 joined group 1
        cho < * group 1
    "#]]);
}

#[test]
fn what_is_not_kept_has_not_happened() {
    for shards in [1, 2] {
        let mut world = checked_in(shards, "duplicate = 'replace'", ["J001", "J002"]);
        world.connect("cho");
        world.forget();
        for line in ["J001: checkout", "cho: checkin J003", "cho: checkin J002", "J001: clap"] {
            world.log_of("day19").fail_next_append(unavailable());
            world.run(line);
        }
        world.check(expect![[r#"
            J001 < ! unavailable: day19 can't be kept right now, nothing happened; try again soon
            J001 < ! unavailable: day19 can't be kept right now, nothing happened; try again soon
            cho < ! unavailable: day19 can't be kept right now, nothing happened; try again soon
            cho < ! unavailable: day19 can't be kept right now, nothing happened; try again soon
        "#]]);
        // Those who are there keep their places, however often the lobby was read again.
        world.advance(seconds(60));
        world.run("cho: groups");
        world.run("J001: still here");
        world.check(expect![[r#"
            J002 < <nJ001> still here
            cho < * group 1: J001, J002
        "#]]);
    }
}

#[test]
fn a_place_lapses_when_the_log_is_well_again() {
    let mut world = checked_in(1, "", ["J001", "J002"]);
    world.log[0].set_health(Health::Failing);
    world.reset("J001");
    world.advance(seconds(60));
    world.run("J002: groups");
    world.check(expect![[r#"
        J001 < (reset)
        J002 < * group 1: J001, J002
    "#]]);
    world.log[0].set_health(Health::Well);
    world.advance(seconds(1));
    world.run("J002: groups");
    world.check(expect![[r#"
        J002 < * J001 left group 1
        J002 < * group 1: J002
    "#]]);
}

#[test]
fn a_connection_that_is_lost_on_its_way_in_holds_no_place_for_ever() {
    for shards in [1, 2] {
        let mut world = checked_in(shards, "", ["J001"]);
        world.connect("cho");
        world.type_ahead("cho", b"checkin J002\n");
        world.turn_once();
        world.reset_unseen("cho");
        world.settle();
        world.forget();
        world.run("J001: groups");
        world.advance(seconds(20));
        world.run("J001: groups");
        world.check(expect![[r#"
            J001 < * group 1: J001, J002
            J001 < * J002 left group 1
            J001 < * group 1: J001
            cho < (reset)
        "#]]);
    }
}

#[test]
fn socketio_clients_are_sorted_too() {
    for shards in [1, 2] {
        let mut world = checked_in(shards, "", ["J001"]);
        world.connect_socketio("eve", r#"{"nick":"eve"}"#);
        let answer = world.ask("eve", "checkin", r#"{"lobby":"day19","participant":"J002"}"#);
        assert_eq!(answer, r#"[{"group":1,"room":"day19/1"}]"#);
        world.run("J001: hello");
        world.run("J001: clap");
        let heard = world.frames("eve").concat();
        assert!(heard.contains(r#"42["said",{"ev":"said","room":"day19/1""#), "{heard}");
        assert!(heard.contains(r#"42["clapped",{"ev":"clapped","room":"day19""#), "{heard}");
        // Out of the namespace is out of the group: the place is kept for a while.
        world.frame("eve", "41");
        world.advance(seconds(10));
        assert!(world.received("J001").ends_with("* J002 left group 1\n"));
    }
}

pub(super) fn unavailable() -> AppendError {
    AppendError::Unavailable { why: "full".into() }
}
