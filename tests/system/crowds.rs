//! Many connections at once, and descriptors that run out.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::SockRef;

use crate::harness::{Client, Server, Site, connect_raw, eventually};

/// A newcomer must not wait for the crowd. In a debug build, on a busy machine.
const PROMPT: Duration = Duration::from_secs(2);

#[test]
fn connecting_and_resetting_leaves_nothing_behind() {
    let server = Site::new().start();
    let mut bob = Client::connect(server.address());
    let before = server.descriptors();
    for n in 0..2_000 {
        let stream = connect_raw(server.address());
        if n % 2 == 0 {
            // Some have said something, too.
            let _ = std::io::Write::write_all(&mut &stream, b"hi\n/join garden\n/nick ");
        }
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
    eventually("all descriptors are given back", || server.descriptors() <= before);
    serves_promptly(server.address());
    bob.send("/who");
    bob.wait_for(&format!("* here: {}", bob.nick));
    bob.send("/rooms");
    let rooms = bob.wait_for("* rooms: ");
    assert_eq!(rooms, "* rooms: plaza 1", "nobody is left in a room");
}

#[test]
fn ten_thousand_that_say_nothing() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    // The server has the same limit, and needs a few descriptors of its own.
    let allowed = limit.maximum.map_or(usize::MAX, |maximum| maximum as usize - 500);
    let crowd_size = allowed.min(10_000);
    if crowd_size < 10_000 {
        crate::harness::skip(&format!(
            "only {crowd_size} of 10,000 connections: the hard limit of open files is low"
        ));
    }
    let server = Site::new().start();
    serves_promptly(server.address());
    let before = server.descriptors();
    let memory = server.resident();

    let mut crowd: Vec<Client> = Vec::new();
    while crowd.len() < crowd_size {
        // So many that a queue of waiting connections holds them.
        let streams: Vec<TcpStream> = (0..100).map(|_| connect_raw(server.address())).collect();
        crowd.extend(streams.into_iter().map(Client::greeted));
    }
    serves_promptly(server.address());
    let each = (server.resident() - memory) / crowd_size as u64;
    assert!(each < 16 * 1024, "{each} bytes for somebody who says nothing");

    crowd.clear();
    eventually("all descriptors are given back", || server.descriptors() <= before);
    serves_promptly(server.address());
}

#[test]
fn without_descriptors_the_server_waits_and_serves_again() {
    let server = Site::new().start_under(&["prlimit", "--nofile=64"]);
    let mut bob = Client::connect(server.address());
    let crowd: Vec<TcpStream> = (0..100).map(|_| connect_raw(server.address())).collect();
    eventually("all descriptors are used", || server.descriptors() >= 63);
    bob.send("/who");
    bob.wait_for("* here: ");
    assert!(spins_less_than_half(&server), "who can't accept must not try all the time");
    drop(crowd);
    // First come those who have waited to be accepted, and are gone. Until then newcomers may still be turned away.
    eventually("a newcomer is greeted", || Client::try_greeted(connect_raw(server.address())).is_ok());
    eventually("descriptors are given back", || server.descriptors() < 40);
    serves_promptly(server.address());
    bob.send("/who");
    bob.wait_for("* here: ");
}

/// Somebody new is greeted, is heard, and leaves.
fn serves_promptly(address: SocketAddr) {
    let began = Instant::now();
    let mut newcomer = Client::connect(address);
    newcomer.send("/echo on\nhello");
    newcomer.wait_for(&format!("<{}> hello", newcomer.nick));
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    newcomer.send("/quit");
    newcomer.wait_for("* bye");
}

/// Does the server use less than half of a processor's time?
fn spins_less_than_half(server: &Server) -> bool {
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
        let after_name: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        after_name[11].parse::<u64>().unwrap() + after_name[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_millis(500));
    // A tick is 10 ms.
    ticks() - before < 25
}
