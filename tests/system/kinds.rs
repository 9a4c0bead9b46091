//! Lobbies and shows with the programs that people have, and over `kill -9`.

use std::collections::{BTreeMap, HashMap};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, Http, Json, NC_OPENBSD, Program, Site, TELNET, eventually};

const CONFIG: &str = "\
[[listen]]
service = 'lobby'
bind = '127.0.0.1:0'
[[listen]]
bind = '127.0.0.1:0'
[[listen]]
protocol = 'http'
bind = '127.0.0.1:0'
[lobby.day19]
group_size = 4
grace = '2s'
[[show]]
id = 'hamlet'
performances = [{ id = '1', at = '2026-12-24T19:30:00+09:00' }]
seats = [{ section = 'A', rows = '1-10', seats = '1-20' }]
";

/// Kills while people reserve.
const ROUNDS: usize = 10;
const BUYERS: usize = 4;

#[test]
fn a_class_with_telnet_is_sorted_into_fours() {
    let server = Site::with(CONFIG).start();
    let mut people: Vec<Program> = Vec::new();
    for number in 1..=9 {
        let tool = if number % 2 == 0 { NC_OPENBSD } else { TELNET };
        let mut person = tool.connect(server.address());
        person.out.wait_for("* you are ");
        person.type_in(&format!("checkin J{number:03}\n"));
        person.out.wait_for(&format!("* group {}", (number - 1) / 4 + 1));
        people.push(person);
    }
    for at in 0..8 {
        people[at].type_in(&format!("hello from {}\n", at + 1));
        for other in (0..8).filter(|other| *other != at && other / 4 == at / 4) {
            people[other].out.wait_for(&format!("> hello from {}", at + 1));
        }
    }
    people[8].type_in("groups\n/quit\n");
    people[8].out.wait_for("* group 1: J001, J002, J003, J004");
    people[8].out.wait_for("* group 2: J005, J006, J007, J008");
    people[8].out.wait_for("* group 3: J009");
    let heard = people[0].out.so_far();
    assert!(!heard.contains("hello from 5"), "another group is not heard: {heard}");
    people[3].type_in("checkout\n");
    people[3].out.wait_for("* checked out of group 1 after ");
    people[0].out.wait_for("* J004 left group 1");
    let mut http = Http::connect(server.door(2));
    let response = http.post_json("/api/rooms/day19%2F1/messages", &json!({ "from": "eve", "text": "hi" }));
    assert_eq!(response.refusal(), (409, "not_a_member".to_owned()));
}

#[test]
fn places_outlive_the_server_for_those_who_come_back() {
    let site = Site::with(CONFIG);
    let server = site.start();
    let (mut eve, welcome) = Json::hello(server.door(1), json!({ "nick": "eve" }));
    let mut dan = Json::connect(server.door(1));
    for (who, id) in [(&mut eve, "J001"), (&mut dan, "J002")] {
        let reply = who.ask(json!({ "op": "checkin", "lobby": "day19", "participant": id }));
        assert_eq!(reply["room"], "day19/1", "{reply}");
    }
    server.kill9();
    let server = site.start();
    let (mut eve, _) = Json::resume(server.door(1), &welcome["resume"]);
    let reply = eve.ask(json!({ "op": "groups", "lobby": "day19" }));
    assert_eq!(reply["groups"], json!([{ "group": 1, "participants": ["J001", "J002"] }]));
    let reply = eve.ask(json!({ "op": "checkin", "lobby": "day19", "participant": "J001" }));
    assert_eq!(reply["group"], 1, "{reply}");
    eventually("who stays away is out, and who came back is not", || {
        let reply = eve.ask(json!({ "op": "groups", "lobby": "day19" }));
        reply["groups"] == json!([{ "group": 1, "participants": ["J001"] }])
    });
}

#[test]
fn two_people_with_nc_see_each_other_take_seats() {
    let server = Site::with(CONFIG).start();
    let mut ann = NC_OPENBSD.connect(server.door(1));
    let mut bob = NC_OPENBSD.connect(server.door(1));
    ann.type_in("/watch hamlet/1\n");
    ann.out.wait_for("* watching hamlet/1: 200 of 200 free");
    bob.type_in("/watch hamlet/1\n/hold A-1-4 A-1-5\n");
    bob.out.wait_for("* you hold A-1-4, A-1-5 until ");
    ann.out.wait_for("* seat A-1-4 held\n* seat A-1-5 held");
    ann.type_in("/hold A-1-5\n");
    ann.out.wait_for("! seat_taken: A-1-5 is taken");
    bob.type_in("/reserve\n");
    bob.out.wait_for("* reserved A-1-4, A-1-5: code ");
    ann.out.wait_for("* seat A-1-4 reserved\n* seat A-1-5 reserved");
    let mut http = Http::connect(server.door(2));
    let seats = http.get("/api/shows/hamlet/1").json();
    assert_eq!((&seats["seats"]["A-1-4"], &seats["seats"]["A-1-6"]), (&json!("reserved"), &json!("free")));
    let shows = http.get("/api/shows").json();
    assert_eq!(shows["shows"][0]["performances"][0]["free"], 198, "{shows}");
    assert_eq!(http.get("/api/shows/hamlet/2").refusal(), (404, "no_such_show".to_owned()));
    assert_eq!(http.get("/api/shows/h%20m/2").refusal(), (404, "no_such_show".to_owned()));
}

#[test]
fn no_acknowledged_reservation_is_lost_by_kill_9_and_no_seat_is_sold_twice() {
    let site = Site::with(CONFIG);
    let mut sold: BTreeMap<String, String> = BTreeMap::new();
    for round in 0..ROUNDS {
        let server = site.start();
        check(&mut Json::connect(server.door(1)), &sold);
        let address = server.door(1);
        let answers: Vec<HashMap<String, String>> = thread::scope(|scope| {
            let buyers: Vec<_> = (0..BUYERS)
                .map(|buyer| scope.spawn(move || buy(Json::connect(address), round, buyer)))
                .collect();
            thread::sleep(Duration::from_millis(40 + 15 * round as u64));
            server.kill9();
            buyers.into_iter().map(|buyer| buyer.join().unwrap()).collect()
        });
        for (seat, code) in answers.into_iter().flatten() {
            assert_eq!(sold.insert(seat.clone(), code), None, "{seat} is sold twice");
        }
    }
    let server = site.start();
    let mut last = Json::connect(server.door(1));
    check(&mut last, &sold);
    assert!(!sold.is_empty());
    // Whoever has the code can give it back, also now.
    for (seat, code) in &sold {
        let reply = last.ask(json!({ "op": "cancel", "performance": "hamlet/1", "reservation": code }));
        assert_eq!(reply["seats"], json!([seat]), "{reply}");
    }
}

/// Goes for one seat after the other until the server is gone; those that were sold, with their codes.
fn buy(mut json: Json, round: usize, buyer: usize) -> HashMap<String, String> {
    let mut sold = HashMap::new();
    for at in 0.. {
        // Some of what others go for, too.
        let number = (at * (1 + buyer) + round * 7) % 200;
        let seat = format!("A-{}-{}", number / 20 + 1, number % 20 + 1);
        let reply = json.try_ask(json!({ "op": "reserve", "performance": "hamlet/1", "seats": [&seat] }));
        let Ok(reply) = reply else { break };
        match reply["reservation"].as_str() {
            Some(code) => drop(sold.insert(seat, code.to_owned())),
            None => assert_eq!(reply["error"]["code"], "seat_taken", "{reply}"),
        }
    }
    sold
}

fn check(json: &mut Json, sold: &BTreeMap<String, String>) {
    let watching = json.ask(json!({ "op": "watch", "performance": "hamlet/1" }));
    for seat in sold.keys() {
        assert_eq!(watching["seats"][seat], Value::from("reserved"), "{seat}: {watching}");
    }
}

#[test]
fn a_secret_that_can_not_be_read_is_told_at_once() {
    let site = Site::with("host_token_file = '/nowhere/secret'\n[lobby.day19]\n");
    let finished = Program::run(site.command(), "");
    assert!(!finished.status.success());
    assert!(finished.err.contains("host_token_file"), "{}", finished.err);
}

#[test]
fn a_host_speaks_to_all_groups() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "open sesame\n").unwrap();
    let server = Site::with(&format!("host_token_file = '{}'\n{CONFIG}", secret.display())).start();
    let mut ann = Client::connect(server.address());
    ann.send("checkin J001");
    ann.wait_for("* group 1");
    let mut host = Client::connect(server.address());
    host.send("/broadcast hello");
    host.wait_for("! forbidden: ");
    host.send("/host open sesame");
    host.wait_for("* you are a host");
    host.send("/broadcast hello");
    assert!(ann.wait_for("hello").ends_with(" to all groups: hello"));
}
