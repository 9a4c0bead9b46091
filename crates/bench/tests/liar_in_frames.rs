//! Servers of WebSocket and Socket.IO that lie: the generator has to count every lie, exactly, and to say what a server
//! refuses.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use madang_bench::verify::Tally;
use madang_bench::{Pace, Plan, Protocol, Report};

/// Members of the room, the first of them a publisher.
const MEMBERS: u32 = 4;
const RECEIVERS: u64 = MEMBERS as u64 - 1;
const YES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[test]
fn an_honest_server_is_flawless() {
    for protocol in [Protocol::WebSocket, Protocol::SocketIo] {
        let report = run_past(protocol, 10, |_, text| vec![text]);
        let expected = Tally { delivered: report.sent * RECEIVERS, ..Tally::default() };
        assert_eq!(report.tally, expected, "{protocol:?}");
        assert!(report.is_flawless());
        assert!(report.greeted_ms.is_some() && report.joined_ms.is_some());
    }
}

#[test]
fn losses_repeats_and_swaps_are_counted_exactly() {
    for protocol in [Protocol::WebSocket, Protocol::SocketIo] {
        let mut kept = String::new();
        let report = run_past(protocol, 30, move |nr, text| match nr {
            5..8 => vec![],
            15 => vec![text.clone(), text],
            20 => {
                kept = text;
                vec![]
            }
            21 => vec![text, std::mem::take(&mut kept)],
            // Long enough for each length that a header can have.
            25 => vec![text + &"z".repeat(300)],
            26 => vec![text + &"z".repeat(60_000)],
            _ => vec![text],
        });
        let expected = Tally {
            delivered: (report.sent - 3) * RECEIVERS,
            lost: 3 * RECEIVERS,
            repeated: RECEIVERS,
            out_of_order: RECEIVERS,
            gave_up: 0,
        };
        assert_eq!(report.tally, expected, "{protocol:?}");
    }
}

#[test]
fn a_window_that_is_lost_whole_does_not_end_a_run() {
    let lost = 10..18;
    let (address, server) = listen({
        let lost = lost.clone();
        move |listener| {
            pass_on(
                listener,
                Protocol::SocketIo,
                |nr, text| if lost.contains(&nr) { vec![] } else { vec![text] },
            )
        }
    });
    let report = madang_bench::run(&plan(Protocol::SocketIo, address, Duration::from_secs(3))).unwrap();
    server.join().unwrap();
    assert!(report.sent > 20, "{} sent", report.sent);
    assert_eq!(report.tally.lost, lost.len() as u64 * RECEIVERS);
}

#[test]
fn whoever_answers_no_pings_would_be_let_go() {
    // The server reads an answer to each ping before it goes on, or fails.
    let (address, server) = serve(|mut peers| {
        for peer in &mut peers {
            peer.tell("2");
            assert_eq!(peer.hear().unwrap(), "3");
            peer.stream.get_mut().write_all(b"\x89\x02hi").unwrap();
            assert_eq!(peer.hear_frame().unwrap(), (0x8a, b"hi".to_vec()));
        }
        peers[1].stream.get_mut().write_all(b"\x88\x06\x03\xe9gone").unwrap();
        // Stays until the other side has gone.
        while peers[1].hear().is_some() {}
    });
    let failure = madang_bench::run(&plan(Protocol::SocketIo, address, Duration::from_secs(60))).unwrap_err();
    server.join().unwrap();
    let failure = failure.to_string();
    assert!(failure.starts_with("the server closed connection 2 of 4 after "), "{failure}");
    assert!(failure.ends_with(", after saying: close 1001 gone"), "{failure}");
}

#[test]
fn what_a_server_refuses_is_told() {
    let not_there = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope";
    assert_eq!(
        failure_of(Protocol::WebSocket, |peer| peer.write_all(not_there.as_bytes()).unwrap()),
        "the server won't speak WebSocket at /ws: 404 Not Found: nope"
    );
    assert_eq!(
        failure_of(Protocol::SocketIo, |peer| peer.write_all(b"* you are Guest1\n").unwrap()),
        "the server does not speak HTTP: it began with \"* you are Guest1\"; is this the address of its HTTP listener?"
    );
    assert_eq!(
        failure_of(Protocol::SocketIo, |peer| {
            peer.write_all(YES.as_bytes()).unwrap();
            peer.write_all(&framed("0{}")).unwrap();
            peer.write_all(&framed(r#"44{"message":"go away"}"#)).unwrap();
        }),
        "the server refuses Socket.IO's namespace /: 44{\"message\":\"go away\"}"
    );
    assert_eq!(
        failure_of(Protocol::WebSocket, |peer| {
            peer.write_all(YES.as_bytes()).unwrap();
            peer.write_all(b"\x01\x01a").unwrap();
        }),
        "the server sent a frame that is a fragment"
    );
}

#[test]
fn a_refusal_in_an_acknowledgment_is_told() {
    let (address, server) = listen(|listener| {
        let mut peers: Vec<_> = (0..MEMBERS).map(|_| Peer::accept(listener).open()).collect();
        peers[0].hear().unwrap();
        peers[0].tell(r#"430[{"error":{"code":"room_full"}}]"#);
        while peers[0].hear().is_some() {}
    });
    let failure = madang_bench::run(&plan(Protocol::SocketIo, address, Duration::from_secs(1))).unwrap_err();
    server.join().unwrap();
    assert_eq!(failure.to_string(), "the server refused a join: 430[{\"error\":{\"code\":\"room_full\"}}]");
}

/// What a run says about a server that has done this with its first connection.
fn failure_of(protocol: Protocol, act: impl FnOnce(&mut TcpStream) + Send + 'static) -> String {
    let (address, server) = listen(|listener| {
        let mut peer = Peer::accept(listener);
        act(peer.stream.get_mut());
        while peer.stream.read(&mut [0; 1024]).is_ok_and(|bytes| bytes > 0) {}
    });
    let failure = madang_bench::run(&plan(protocol, address, Duration::from_secs(1))).unwrap_err();
    server.join().unwrap();
    failure.to_string()
}

/// A run in which each receiver gets at least so many messages through `lie`.
fn run_past(
    protocol: Protocol,
    messages: u64,
    lie: impl FnMut(usize, String) -> Vec<String> + Clone + Send + 'static,
) -> Report {
    for millis in [100, 1_000, 10_000, 60_000] {
        let lie = lie.clone();
        let (address, server) = listen(move |listener| pass_on(listener, protocol, lie));
        let report = madang_bench::run(&plan(protocol, address, Duration::from_millis(millis))).unwrap();
        server.join().unwrap();
        if report.sent > messages {
            return report;
        }
    }
    panic!("not even {messages} messages in a minute");
}

fn plan(protocol: Protocol, address: SocketAddr, duration: Duration) -> Plan {
    Plan {
        address,
        protocol,
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

/// What the first member says goes through `lie`, with its number, to all others.
fn pass_on(listener: &TcpListener, protocol: Protocol, mut lie: impl FnMut(usize, String) -> Vec<String>) {
    let mut peers = welcome(listener, protocol);
    let (publisher, receivers) = peers.split_first_mut().unwrap();
    let mut nr = 0;
    while let Some(said) = publisher.hear() {
        for told in lie(nr, said) {
            for receiver in &mut *receivers {
                receiver.tell(&told);
            }
        }
        nr += 1;
    }
}

/// A Socket.IO server that does this once everybody has joined.
fn serve(act: impl FnOnce(Vec<Peer>) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
    listen(|listener| act(welcome(listener, Protocol::SocketIo)))
}

fn listen(act: impl FnOnce(&TcpListener) + Send + 'static) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, thread::spawn(move || act(&listener)))
}

/// Lets everybody in.
fn welcome(listener: &TcpListener, protocol: Protocol) -> Vec<Peer> {
    let (ask, answer) = match protocol {
        Protocol::SocketIo => ("420[\"join\",{\"room\":\"bench-", r#"430[{"room":"bench"}]"#),
        _ => ("{\"op\":\"join\",\"room\":\"bench-", r#"{"re":1,"room":"bench"}"#),
    };
    let accept = |_| match protocol {
        Protocol::SocketIo => Peer::accept(listener).open(),
        _ => Peer::accept(listener).upgrade("GET /ws HTTP/1.1\r\n"),
    };
    let mut peers: Vec<Peer> = (0..MEMBERS).map(accept).collect();
    for peer in &mut peers {
        assert!(peer.hear().unwrap().starts_with(ask));
        peer.tell(answer);
    }
    peers
}

struct Peer {
    stream: BufReader<TcpStream>,
}

impl Peer {
    fn accept(listener: &TcpListener) -> Peer {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream: BufReader::new(stream) }
    }

    fn upgrade(mut self, asks: &str) -> Peer {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            self.stream.read_line(&mut head).unwrap();
        }
        assert!(head.starts_with(asks), "{head}");
        self.stream.get_mut().write_all(YES.as_bytes()).unwrap();
        self
    }

    /// Engine.IO's greeting with a ping right behind it, and Socket.IO's.
    fn open(self) -> Peer {
        let mut peer = self.upgrade("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n");
        peer.tell(
            r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#,
        );
        peer.tell("2");
        assert_eq!([peer.hear().unwrap(), peer.hear().unwrap()], ["40{}", "3"]);
        peer.tell(r#"40{"sid":"y"}"#);
        peer
    }

    /// Once the run is over nobody listens any more, and nobody says anything either.
    fn tell(&mut self, text: &str) {
        let _ = self.stream.get_mut().write_all(&framed(text));
    }

    fn hear(&mut self) -> Option<String> {
        let (first, payload) = self.hear_frame()?;
        assert_eq!(first, 0x81, "a whole text message");
        Some(String::from_utf8(payload).unwrap())
    }

    fn hear_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let [first, second] = self.take()?;
        assert_eq!(second & 0x80, 0x80, "a client masks");
        let length = match second & 0x7f {
            126 => u16::from_be_bytes(self.take()?).into(),
            length => usize::from(length),
        };
        let mask: [u8; 4] = self.take()?;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).ok()?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Some((first, payload))
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// As a server sends it.
fn framed(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let header = match length {
        ..126 => vec![0x81, length as u8],
        _ => [&[0x81, 126], &length.to_be_bytes()[..]].concat(),
    };
    [&header, text.as_bytes()].concat()
}
