//! What is still there when the server was killed, or ended, and started again.

use serde_json::json;

use crate::harness::{Client, Json, Site};

#[test]
fn history_survives_kill_9() {
    let site = Site::new();
    let server = site.start();
    let mut ann = Client::named(server.address(), "ann");
    (0..50).for_each(|n| ann.send(&format!("message {n}")));
    ann.send("/who");
    ann.wait_for("* here: ");
    site.wait_until_on_disk("message 49");
    // A later commit: then the one before is whole.
    ann.send("the end");
    site.wait_until_on_disk("the end");
    server.kill9();

    let server = site.start();
    let mut bob = Client::connect(server.address());
    bob.send("/history 100");
    for n in 0..50 {
        let line = bob.line();
        assert!(line.ends_with(&format!(" <ann> message {n}")), "{line} for message {n}");
    }
}

#[test]
fn a_session_is_resumed_after_a_restart() {
    let site = Site::new();
    let mut server = site.start();
    let (mut ann, welcome) = Json::hello(server.address(), json!({"nick": "mina"}));
    assert_eq!((&welcome["resumed"], &welcome["nick"]), (&json!(false), &json!("mina")), "{welcome}");
    let session = welcome["session"].as_str().unwrap();
    ann.say("plaza", "before the crash");
    site.wait_until_on_disk(session);
    site.wait_until_on_disk("before the crash");
    ann.say("plaza", "a later commit");
    site.wait_until_on_disk("a later commit");
    for is_orderly in [false, true] {
        match is_orderly {
            true => server.stop(),
            false => server.kill9(),
        }
        server = site.start();
        let mut thief = Client::connect(server.address());
        thief.send("/nick mina");
        thief.hears("! nick_taken: mina is taken, try another name");
        let (mut again, welcome_back) = Json::resume(server.address(), &welcome["resume"]);
        assert_eq!(welcome_back["resumed"], json!(true), "{welcome_back}");
        for what in ["nick", "session", "resume"] {
            assert_eq!(welcome_back[what], welcome[what], "{what}, orderly: {is_orderly}");
        }
        let seq = again.say("plaza", "here again");
        let event = loop {
            let event = again.event();
            if event["seq"] == json!(seq) {
                break event;
            }
        };
        assert_eq!(event["from"], "mina");
        // Ended like this, the session is one that is lost, not one that said goodbye.
        site.wait_until_on_disk("here again");
    }
}

#[test]
fn a_token_of_another_servers_key_is_a_new_session() {
    let (site, other_site) = (Site::new(), Site::new());
    let (server, other_server) = (site.start(), other_site.start());
    let (_ann, welcome) = Json::hello(server.address(), json!({"nick": "mina"}));
    let (_eve, foreign) = Json::resume(other_server.address(), &welcome["resume"]);
    assert_eq!(foreign["resumed"], json!(false), "{foreign}");
    assert_ne!(foreign["session"], welcome["session"]);
}

#[test]
fn a_key_takes_effect_once_also_over_a_restart() {
    let site = Site::new();
    let mut server = site.start();
    let (mut ann, welcome) = Json::hello(server.address(), json!({"nick": "ann"}));
    let say = json!({"op": "say", "room": "plaza", "text": "only once", "key": "k1"});
    let first = ann.ask(say.clone())["seq"].clone();
    assert!(first.is_u64());
    site.wait_until_on_disk("only once");
    ann.say("plaza", "a later commit");
    site.wait_until_on_disk("a later commit");
    for is_orderly in [false, true] {
        match is_orderly {
            true => server.stop(),
            false => server.kill9(),
        }
        server = site.start();
        let (mut ann, _) = Json::resume(server.address(), &welcome["resume"]);
        assert_eq!(ann.ask(say.clone())["seq"], first, "the same answer, orderly: {is_orderly}");
        let other = ann.ask(json!({"op": "say", "room": "plaza", "text": "something else", "key": "k1"}));
        assert_eq!(other["error"]["code"], "key_reused", "{other}");
        let said: Vec<String> = ann.said("plaza").into_iter().map(|(_, text)| text).collect();
        assert_eq!(said, ["only once", "a later commit"]);
    }
}

#[test]
fn an_epoch_ends_with_a_crash_and_its_beginning_is_still_vouched_for() {
    let site = Site::new();
    let server = site.start();
    let mut ann = Json::connect(server.address());
    let epoch = ann.join("plaza")["epoch"].clone();
    let first = ann.say("plaza", "first");
    ann.say("plaza", "second");
    drop(ann);
    server.stop();

    let server = site.start();
    let mut ann = Json::connect(server.address());
    assert_eq!(ann.join("plaza")["epoch"], epoch, "an orderly end loses nothing");
    ann.say("plaza", "third");
    site.wait_until_on_disk("third");
    ann.say("plaza", "fourth");
    site.wait_until_on_disk("fourth");
    server.kill9();

    let server = site.start();
    let mut ann = Json::connect(server.address());
    let back = ann.ask(json!({"op": "join", "room": "plaza", "after": first, "epoch": epoch}));
    assert_ne!(back["epoch"], epoch, "after a crash the log may be shorter than what was told");
    assert_eq!(back.get("reset"), None, "{back}");
    let texts: Vec<String> = (0..2).map(|_| ann.event()["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, ["second", "third"], "what comes after it is told");

    let mut bob = Json::connect(server.address());
    let beyond = bob.ask(json!({"op": "join", "room": "plaza", "after": first + 1_000, "epoch": epoch}));
    assert_eq!(beyond["reset"], json!(true), "what the crash may have taken is not vouched for: {beyond}");
}
