//! Servers that lie: the generator has to count every lie, exactly.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use madang_bench::verify::Tally;
use madang_bench::{Failure, Pace, Plan, Protocol, Report};

/// Members of the room, the first of them a publisher.
const MEMBERS: u32 = 4;
const RECEIVERS: u64 = MEMBERS as u64 - 1;

#[test]
fn an_honest_server_is_flawless() {
    let report = run_past(10, |_, line| vec![line]);
    assert_eq!(report.tally, Tally { delivered: report.sent * RECEIVERS, ..Tally::default() });
    assert_eq!(report.expected, report.tally.delivered);
    assert!(report.is_flawless());
}

#[test]
fn losses_repeats_and_swaps_are_counted_exactly() {
    let mut kept = Vec::new();
    let report = run_past(40, move |nr, line| match nr {
        // Three in a row and one alone are lost.
        5..8 | 11 => vec![],
        // One comes twice, and another one again after a while.
        15 => vec![line.clone(), line],
        17 => {
            kept = line.clone();
            vec![line]
        }
        20 => vec![std::mem::take(&mut kept), line],
        // Two are swapped.
        25 => {
            kept = line;
            vec![]
        }
        26 => vec![line, std::mem::take(&mut kept)],
        _ => vec![line],
    });
    let lost = 4 * RECEIVERS;
    let expected = Tally {
        delivered: report.sent * RECEIVERS - lost,
        lost,
        repeated: 2 * RECEIVERS,
        out_of_order: RECEIVERS,
        gave_up: 0,
    };
    assert_eq!(report.tally, expected);
    assert!(!report.is_flawless());
}

#[test]
fn what_was_never_sent_is_damaged() {
    let report = run_past(10, |nr, mut line| {
        let last_of_padding = line.len() - 2;
        match nr {
            // A padding with another letter, and a counter far ahead.
            3 => line[last_of_padding] = b'y',
            5 => line[16] = b'p',
            _ => {}
        }
        vec![line]
    });
    assert_eq!((report.strangeness.damaged, report.tally.lost), (2 * RECEIVERS, 2 * RECEIVERS));
}

#[test]
fn what_reaches_somebody_outside_the_room_is_stray() {
    // The last connection is idle, in no room, and hears everything.
    let (address, server) = liar(MEMBERS as usize + 1, MEMBERS as usize, |_, line| vec![line]);
    let report = madang_bench::run(&Plan { idle: 1, ..plan(address, Duration::from_millis(200)) }).unwrap();
    server.join().unwrap();
    assert_eq!(report.strangeness.stray, report.sent);
    assert_eq!(report.tally.lost, 0);
}

#[test]
fn a_server_that_goes_is_a_failure_with_its_last_words() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut peers = welcome(&listener, MEMBERS as usize, MEMBERS as usize);
        peers[1].get_mut().write_all(b"* bye: shutdown\n").unwrap();
    });
    let failure = madang_bench::run(&plan(address, Duration::from_secs(60))).unwrap_err();
    server.join().unwrap();
    assert!(matches!(failure, Failure::Closed { .. } | Failure::Broke { .. }), "{failure}");
}

#[test]
fn nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failure = madang_bench::run(&plan(free, Duration::from_secs(1))).unwrap_err();
    let expected = format!("nobody listens at {free} (connection refused); is the server running?");
    assert_eq!(failure.to_string(), expected);
}

#[test]
fn a_refusal_to_join_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut peers: Vec<_> = (0..MEMBERS).map(|_| greet(&listener)).collect();
        read_line(&mut peers[0]).unwrap();
        peers[0].get_mut().write_all(b"! room_full: it holds 2 and is full\n").unwrap();
        // Stays until the other side has gone.
        while read_line(&mut peers[0]).is_some() {}
    });
    let failure = madang_bench::run(&plan(address, Duration::from_secs(1))).unwrap_err();
    server.join().unwrap();
    assert_eq!(failure.to_string(), "the server refused a join: ! room_full: it holds 2 and is full");
}

#[test]
fn more_connections_than_open_files_are_refused_with_the_limit() {
    let plan = Plan { rooms: 1 << 20, ..plan(SocketAddr::from(([127, 0, 0, 1], 1)), Duration::from_secs(1)) };
    match madang_bench::run(&plan).unwrap_err() {
        Failure::FileLimit { needed, limit, possible } => assert!(needed > limit && possible < limit),
        // On a machine with room for four million connections, nobody listens there.
        Failure::NobodyListens { .. } => {}
        other => panic!("{other}"),
    }
}

/// A run in which each receiver gets at least so many messages through `lie`.
fn run_past(
    messages: u64,
    lie: impl FnMut(usize, Vec<u8>) -> Vec<Vec<u8>> + Clone + Send + 'static,
) -> Report {
    // A machine may be slow; it is asked for longer until it has come so far.
    for millis in [100, 1_000, 10_000, 60_000] {
        let (address, server) = liar(MEMBERS as usize, MEMBERS as usize, lie.clone());
        let report = madang_bench::run(&plan(address, Duration::from_millis(millis))).unwrap();
        server.join().unwrap();
        if report.sent > messages {
            return report;
        }
    }
    panic!("not even {messages} messages in a minute");
}

fn plan(address: SocketAddr, duration: Duration) -> Plan {
    Plan {
        address,
        protocol: Protocol::Line,
        room: "bench".to_owned(),
        leave: None,
        rooms: 1,
        members: MEMBERS,
        publishers: 1,
        stalled: 0,
        idle: 0,
        pace: Pace::Window(8),
        size: 64,
        warmup: Duration::ZERO,
        duration,
        connect_rate: None,
        watch: false,
        server_pid: None,
    }
}

/// A server for one run: what its first connection says goes through `lie`, with its number, to all others.
fn liar(
    connections: usize,
    members: usize,
    mut lie: impl FnMut(usize, Vec<u8>) -> Vec<Vec<u8>> + Send + 'static,
) -> (SocketAddr, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut peers = welcome(&listener, connections, members);
        let (publisher, receivers) = peers.split_first_mut().unwrap();
        let mut nr = 0;
        while let Some(line) = read_line(publisher) {
            let told: Vec<u8> = lie(nr, line).concat();
            // The last connection first: who is in no room is not waited for when a run ends.
            for receiver in receivers.iter_mut().rev() {
                // Once the run is over nobody listens any more.
                let _ = receiver.get_mut().write_all(&told);
            }
            nr += 1;
        }
    });
    (address, server)
}

/// Greets everybody, then lets the members join.
fn welcome(listener: &TcpListener, connections: usize, members: usize) -> Vec<BufReader<TcpStream>> {
    let mut peers: Vec<_> = (0..connections).map(|_| greet(listener)).collect();
    for peer in &mut peers[..members] {
        assert!(read_line(peer).unwrap().starts_with(b"/join bench-"));
        peer.get_mut().write_all(b"* in the room (4 here)\n").unwrap();
    }
    peers
}

fn greet(listener: &TcpListener) -> BufReader<TcpStream> {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(b"* welcome\n").unwrap();
    BufReader::new(stream)
}

/// Nothing once the other side has gone.
fn read_line(peer: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let bytes = peer.read_until(b'\n', &mut line).unwrap_or(0);
    (bytes > 0).then_some(line)
}
