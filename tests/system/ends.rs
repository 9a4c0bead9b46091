//! The orderly end: SIGTERM and Ctrl-C.

use std::collections::HashSet;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Client, End, Json, PATIENCE, Site, connect_narrow, connect_raw};

/// The server's `drain_timeout`, if nothing else is said, with what a busy machine adds.
const DRAINED: Duration = Duration::from_secs(5 + 3);

#[test]
fn on_sigterm_everybody_is_told_and_everything_said_is_kept() {
    let site = Site::new();
    let mut server = site.start();
    let mut ann = Client::named(server.address(), "ann");
    let mut bots: Vec<Json> = (0..10).map(|_| Json::connect(server.address())).collect();
    let mut idle = connect_raw(server.address());
    for n in 0..100 {
        ann.send(&format!("said in time {n}"));
    }
    ann.send("/who");
    ann.wait_for("* here: "); // all before it has been carried out
    let epoch = bots[0].join("plaza")["epoch"].clone();

    server.signal(Signal::TERM);
    let bye = ann.wait_for("* bye");
    assert!(bye.starts_with("* bye: shutdown, come back in "), "{bye}");
    assert_eq!(ann.rest(), (vec![], End::Fin), "nothing after goodbye");
    let mut retries = HashSet::new();
    for bot in &mut bots {
        let bye = loop {
            let event = bot.event();
            if event["ev"] == "bye" {
                break event;
            }
        };
        assert_eq!((&bye["why"], &bye["resume"]), (&json!("shutdown"), &json!(true)), "{bye}");
        retries.insert(bye["retry_ms"].as_u64().unwrap());
        assert_eq!(bot.client.rest(), (vec![], End::Fin));
    }
    assert!(retries.len() >= 8, "they must not all come back at once: {retries:?}");
    drop((ann, bots));
    // This one neither reads nor closes, and is not waited for.
    let status = server.ended_within(DRAINED);
    assert_eq!(status.code(), Some(0));
    let _ = idle.write(b"too late");

    let server = site.start();
    let mut later = Json::connect(server.address());
    assert_eq!(later.join("plaza")["epoch"], epoch, "an orderly end loses nothing, so the epoch goes on");
    let said: Vec<String> = later.said("plaza").into_iter().map(|(_, text)| text).collect();
    assert_eq!(said, (0..100).map(|n| format!("said in time {n}")).collect::<Vec<_>>());
}

#[test]
fn whoever_talks_on_while_the_server_ends_gets_fin_and_not_reset() {
    let mut server = Site::new().start();
    let talkers: Vec<Client> = (0..5).map(|_| Client::connect(server.address())).collect();
    server.signal(Signal::TERM);
    thread::scope(|scope| {
        for mut talker in talkers {
            scope.spawn(move || {
                // Talks until it has read to the end.
                loop {
                    talker.send("one more thing");
                    if talker.line().starts_with("* bye") {
                        break;
                    }
                }
                assert_eq!(talker.rest().1, End::Fin);
            });
        }
    });
    assert_eq!(server.ended_within(DRAINED).code(), Some(0));
}

#[test]
fn ctrl_c_ends_in_order_too() {
    let mut server = Site::new().start();
    let mut ann = Client::connect(server.address());
    server.signal(Signal::INT);
    let bye = ann.line();
    assert!(bye.starts_with("* bye: shutdown, come back in "), "{bye}");
    assert_eq!(ann.rest(), (vec![], End::Fin));
    drop(ann);
    assert_eq!(server.ended_within(DRAINED).code(), Some(0));
}

#[test]
fn who_takes_nothing_is_waited_for_no_longer_than_drain_timeout() {
    let mut server = Site::with("drain_timeout = '1s'").start();
    let _stuck = stuck_client(server.address());
    server.signal(Signal::TERM);
    let began = Instant::now();
    assert_eq!(server.ended_within(PATIENCE).code(), Some(0));
    let took = began.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut server = Site::with("drain_timeout = '60s'\nwrite_timeout = '60s'").start();
    let _stuck = stuck_client(server.address());
    let mut ann = Client::connect(server.address());
    server.signal(Signal::TERM);
    ann.wait_for("* bye: shutdown"); // so the first signal has been seen
    server.signal(Signal::TERM);
    assert_eq!(server.ended_within(Duration::from_secs(5)).code(), Some(1));
}

/// Somebody who is owed more than the sockets hold, and reads nothing.
fn stuck_client(address: SocketAddr) -> TcpStream {
    let mut stream = connect_narrow(address);
    let line = "x".repeat(4_000);
    (0..10).for_each(|_| writeln!(stream, "{line}").unwrap());
    // When the answers no longer go out, no more questions are read; then ours no longer go out, either.
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    while stream.write_all(b"/history 1000\n").is_ok() {}
    stream
}
