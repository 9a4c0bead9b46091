//! What bad input gets over a real socket, and that others hear nothing of it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Client, End, Json, PATIENCE, Site, connect_narrow, connect_raw};

#[test]
fn what_is_no_text_is_refused_and_the_connection_stays() {
    let server = Site::new().start();
    let mut bob = Client::connect(server.address());
    let mut eve = Client::connect(server.address());
    bob.hears("* Guest2 joined");
    eve.send_bytes(b"\xc3\x28\n");
    eve.hears("! bad_text: a line must be UTF-8: byte 1 is not");
    eve.send_bytes(&[b"x".repeat(100_000).as_slice(), b"\n"].concat());
    eve.hears("! too_long: a line may have 4096 bytes; the rest was skipped");
    eve.send_bytes(b"hi\0 \x1b]0;owned\x07\x1b[31mred\x7f \xc2\x9b31m \xe2\x80\xaeabc \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7\n");
    bob.hears("<Guest2> hi ]0;owned[31mred 31m abc 👩\u{200d}👧");
    eve.send_bytes(b"\0\x1b\x07\n");
    eve.hears("! bad_text: a text needs at least one visible character");
    eve.send_bytes(b"/nick \x1b[31meve\n/join ro\xe2\x80\xaeom\n/dance\n");
    for _ in 0..2 {
        let refusal = eve.line();
        assert!(refusal.starts_with("! bad_name: "), "{refusal}");
        assert!(!refusal.contains(['\u{1b}', '\u{202e}']), "{refusal:?}");
    }
    eve.hears("! bad_command: there is no command /dance; /help lists the commands");
    eve.send("still here");
    bob.hears("<Guest2> still here");
}

#[test]
fn a_nickname_that_only_looks_different_is_taken() {
    let server = Site::new().start();
    let _mina = Client::named(server.address(), "Mina");
    let mut eve = Client::connect(server.address());
    for alike in ["mina", "MINA", "Ｍｉｎａ", "Mіna"] {
        eve.send(&format!("/nick {alike}"));
        let refusal = eve.wait_for("! ");
        assert_eq!(refusal, format!("! nick_taken: {alike} is taken, try another name"));
    }
}

#[test]
fn a_line_that_never_ends_holds_up_nobody() {
    let server = Site::new().start();
    let mut eve = Client::connect(server.address());
    let mut ann = Client::connect(server.address());
    let mut bob = Client::connect(server.address());
    ann.hears("* Guest3 joined");
    for n in 0..100 {
        eve.send_bytes(b"x");
        ann.send(&format!("{n}"));
        bob.hears(&format!("<Guest2> {n}"));
    }
    eve.send_bytes(b"\n");
    bob.hears(&format!("<Guest1> {}", "x".repeat(100)));
}

#[test]
fn telnet_negotiation_is_taken_out_and_refused_once_for_each_option() {
    let server = Site::new().start();
    let mut bob = Client::connect(server.address());
    let mut stream = connect_raw(server.address());
    bob.hears("* Guest2 joined");
    // DO ECHO, twice; WILL NAWS, twice; a subnegotiation that never ends; all of it cut in two.
    for half in [
        &b"h\xff\xfd"[..],
        b"\x01i\xff\xfd\x01\xff\xfb\x1f\xff",
        b"\xfb\x1f \xff\xfa\x18\0",
        b"xterm\xff",
        b"\xf0!\r\0",
    ] {
        stream.write_all(half).unwrap();
        stream.flush().unwrap();
    }
    bob.hears("<Guest2> hi !");
    stream.write_all(b"\xff\xfa").unwrap();
    stream.write_all(&b"a".repeat(1_000_000)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let (greeting, negotiation) = answer.split_at(answer.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    assert!(greeting.starts_with(b"* you are Guest2"));
    assert!(negotiation.starts_with(b"\xff\xfc\x01\xff\xfe\x1f"), "WONT ECHO, DONT NAWS: {negotiation:?}");
    assert_eq!(
        negotiation.iter().filter(|byte| **byte == 0xff).count(),
        2,
        "and nothing twice: {negotiation:?}"
    );
    bob.hears("* Guest2 left");
}

#[test]
fn a_web_browser_is_told_so_and_its_body_is_no_command() {
    let server = Site::new().start();
    let mut bob = Client::connect(server.address());
    for request in
        ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /say HTTP/1.1\r\nHost: x\r\n\r\n/nick evil\r\nspam\r\n"]
    {
        let mut web = Client::connect(server.address());
        web.send_bytes(request.as_bytes());
        web.hears("! bad_command: this door speaks lines of text, not HTTP");
        assert_eq!(web.rest(), (vec![], End::Fin));
        bob.hears(&format!("* {} joined", web.nick));
        bob.hears(&format!("* {} left", web.nick));
    }
}

#[test]
fn a_json_bomb_is_an_error_like_any_other() {
    let server = Site::new().start();
    let mut eve = Json::connect(server.address());
    let bombs = [
        "[".repeat(100_000),
        format!("{}{}", "[".repeat(2_000), "]".repeat(2_000)),
        format!(r#"{{"op":"ping","x":{}{}}}"#, "[".repeat(2_000), "]".repeat(2_000)),
        r#"{"op":"say","room":"plaza","text":"\ud800"}"#.to_owned(),
        r#"{"op":"ping","op":"bye"}"#.to_owned(),
        r#"{"op":"ping","id":NaN}"#.to_owned(),
        r#"{"op":"history","room":"plaza","limit":1e400}"#.to_owned(),
        "null".to_owned(),
    ];
    for bomb in bombs {
        eve.client.send(&bomb);
        let event = eve.event();
        assert_eq!(event["ev"], "error", "{event}");
        assert!(["bad_json", "too_long", "bad_text"].contains(&event["code"].as_str().unwrap()), "{event}");
    }
    assert_eq!(eve.ask(json!({"op": "ping"})).get("error"), None, "and on it goes");
}

/// A room where one client of three does not read; the busy one says far more than sockets hold.
const BUSY: &str = "\
write_timeout = '1s'
[limits]
backlog_bytes = '64 KiB'
[[room]]
match = '*'
durability = 'memory'
keep = 100
";
const LINES: usize = 4_000;

fn long_line(n: usize) -> String {
    format!("{n} {}", "x".repeat(4_000))
}

/// Guest1 says all of it, and never more at once than Guest2, who hears it, may be behind.
fn talk_busily(ann: &mut Client, bob: &mut Client, mut look: impl FnMut()) {
    for first in (0..LINES).step_by(8) {
        let lines: Vec<String> = (first..first + 8).map(long_line).collect();
        ann.send(&lines.join("\n"));
        for line in lines {
            assert_eq!(bob.wait_for("> "), format!("<Guest1> {line}"), "all of it, in order");
        }
        look();
    }
}

#[test]
fn who_never_reads_costs_the_others_nothing_and_is_cut() {
    let server = Site::with(BUSY).start();
    let mut ann = Client::connect(server.address());
    let mut bob = Client::connect(server.address());
    let mut stuck = Client::greeted(connect_narrow(server.address()));
    let before = server.resident();
    let began = Instant::now();
    let mut most = before;
    talk_busily(&mut ann, &mut bob, || most = most.max(server.resident()));
    let grown = most - before;
    assert!(grown < 32 << 20, "{} MiB for 16 MB that went through", grown >> 20);
    // It was told all it could take, and is gone, for everybody to see.
    bob.send("who is here?");
    ann.wait_for("* Guest3 left");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    let (lines, end) = stuck.rest();
    assert_eq!(end, End::Reset);
    assert!(lines.len() < LINES);
}

#[test]
fn who_reads_again_is_told_what_was_missed() {
    let server = Site::with(&BUSY.replace("write_timeout = '1s'", "write_timeout = '60s'")).start();
    let mut ann = Client::connect(server.address());
    let mut bob = Client::connect(server.address());
    let mut slow = Client::greeted(connect_narrow(server.address()));
    slow.send("/json");
    slow.send(r#"{"op":"ping","id":"ready"}"#);
    slow.wait_for(r#""re":"ready""#);
    talk_busily(&mut ann, &mut bob, || {});

    // The room was made by 1, so the first line is 2.
    let (mut next, mut missed) = (2, 0);
    while next < LINES as u64 + 2 {
        let event: serde_json::Value = serde_json::from_str(&slow.line()).unwrap();
        match event["ev"].as_str() {
            Some("said") => {
                assert_eq!(event["seq"].as_u64(), Some(next), "no hole that was not told");
                next += 1;
            }
            Some("gap") => {
                assert_eq!(event["from_seq"].as_u64(), Some(next), "{event}");
                let to = event["to_seq"].as_u64().unwrap();
                missed += to + 1 - next;
                next = to + 1;
            }
            _ => {}
        }
    }
    assert!(missed > 0, "nothing was missed, so nothing was tested");
    ann.send("the last");
    let last = slow.wait_for("the last");
    assert!(last.contains(&format!(r#""seq":{next}"#)), "{last}");
    slow.hears_nothing_for(Duration::from_millis(50));
}
