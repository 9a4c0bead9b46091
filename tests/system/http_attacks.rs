//! What hostile or broken HTTP gets: an answer and an end, while others are served.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::harness::{Http, LINES_AND_HTTP, Server, Site, WebSocket};

/// For a head and for a body, as the documentation says, and a little for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);
const SLACK: Duration = Duration::from_secs(5);

fn server() -> (Server, SocketAddr) {
    let server = Site::with(LINES_AND_HTTP).start();
    let http = server.door(1);
    (server, http)
}

#[test]
fn a_head_is_bounded() {
    let (_server, address) = server();
    let host = format!("Host: {address}\r\n");
    let many: String = (0..2_000).map(|at| format!("X-{at}: y\r\n")).collect();
    let long = format!("X: {}\r\n", "y".repeat(1 << 20));
    let endless = format!("GET /{} HTTP/1.1\r\n", "a".repeat(1 << 20));
    for request in [
        format!("GET / HTTP/1.1\r\n{host}{many}\r\n"),
        format!("GET / HTTP/1.1\r\n{host}{long}\r\n"),
        endless,
    ] {
        let mut http = Http::connect(address);
        // It is answered before it is whole.
        let _ = http.try_send(request.as_bytes());
        let status = http.head().status;
        assert!(matches!(status, 414 | 431), "{status}");
        assert!(http.ends());
    }
    let most: String = (0..60).map(|at| format!("X-{at}: y\r\n")).collect();
    let mut http = Http::connect(address);
    http.send_bytes(format!("GET /healthz HTTP/1.1\r\n{host}{most}\r\n").as_bytes());
    assert_eq!(http.response().status, 200);
}

#[test]
fn what_is_no_http_is_told_so() {
    let (_server, address) = server();
    for request in [
        "/join plaza\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST /api/rooms/plaza/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX\0: y\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
    ] {
        let mut http = Http::connect(address);
        http.send_bytes(request.as_bytes());
        http.finish();
        let head = http.head();
        assert!(matches!(head.status, 400 | 505), "{request:?}: {}", head.status);
    }
}

#[test]
fn a_body_is_bounded_whether_it_says_so_or_not() {
    let (_server, address) = server();
    let head = format!(
        "POST /api/rooms/plaza/messages HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n"
    );
    let mut announced = Http::connect(address);
    announced.send_bytes(format!("{head}Content-Length: 100000000\r\n\r\n").as_bytes());
    assert_eq!(announced.response().refusal(), (413, "too_long".to_owned()), "before any of it is sent");
    assert!(announced.ends());

    let mut sent = Http::connect(address);
    let body = "x".repeat(1 << 20);
    sent.send_bytes(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    assert_eq!(sent.response().refusal(), (413, "too_long".to_owned()), "and who sends it hears it, too");

    let mut chunked = Http::connect(address);
    let chunk = format!("2000\r\n{}\r\n", "x".repeat(0x2000));
    chunked.send_bytes(format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(20)).as_bytes());
    assert_eq!(chunked.response().refusal(), (413, "too_long".to_owned()));

    let mut both = Http::connect(address);
    both.send_bytes(
        format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").as_bytes(),
    );
    both.finish();
    assert_eq!(both.head().status / 100, 4, "which of the two it is, nobody guesses");
}

#[test]
fn heads_and_bodies_that_trickle_in_are_cut() {
    let (_server, address) = server();
    let began = Instant::now();
    let mut silent = Http::connect(address);
    let mut head = Http::connect(address);
    let mut body = Http::connect(address);
    head.send_bytes(b"GET / HTTP/1.1\r\n");
    body.send_bytes(
        format!(
            "POST /api/rooms/plaza/messages HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: 1000\r\n\r\n{{"
        )
        .as_bytes(),
    );
    // Byte for byte, each well within any timeout for one read; somebody else is served in between.
    while began.elapsed() < TIMEOUT - Duration::from_secs(1) {
        head.send_bytes(b"X");
        body.send_bytes(b" ");
        assert_eq!(Http::connect(address).get("/healthz").status, 200);
        std::thread::sleep(Duration::from_millis(900));
    }
    assert_eq!(body.response().status, 408);
    assert!(head.ends());
    assert!(silent.ends());
    assert!(began.elapsed() < TIMEOUT + SLACK, "{:?}", began.elapsed());
}

#[test]
fn a_handshake_that_is_wrong_is_no_websocket() {
    let (_server, address) = server();
    let without = |part: &str| -> Vec<&str> {
        WebSocket::HEADERS.into_iter().filter(|header| !header.contains(part)).collect()
    };
    let status = |first: &str, headers: &[&str]| {
        let response = Http::connect(address).ask(first, headers, "");
        (response.status, response.header("sec-websocket-version").map(str::to_owned))
    };
    let tells_version = (426, Some("13".to_owned()));
    assert_eq!(status("GET /ws", &[]), tells_version);
    assert_eq!(status("GET /ws", &without("Upgrade: ")), tells_version);
    assert_eq!(status("GET /ws", &without("Connection")), tells_version);
    assert_eq!(status("GET /ws", &without("Version")), tells_version);
    let old = [without("Version"), vec!["Sec-WebSocket-Version: 8"]].concat();
    assert_eq!(status("GET /ws", &old), tells_version);
    assert_eq!(status("GET /ws", &without("Key")), (400, None));
    let short = [without("Key"), vec!["Sec-WebSocket-Key: c2hvcnQ="]].concat();
    assert_eq!(status("GET /ws", &short), (400, None));
    assert_eq!(status("POST /ws", &WebSocket::HEADERS).0, 405);
}

#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    let site = Site::with(&format!("write_timeout = '1s'\n{LINES_AND_HTTP}"));
    let server = site.start();
    let before = server.descriptors();
    let mut greedy = Http::connect(server.door(1));
    // Requests in a row, whose answers fill what is on its way between us and are never read.
    let request = format!("GET /api/openapi.json HTTP/1.1\r\nHost: {}\r\n\r\n", server.door(1));
    let _ = greedy.try_send(request.repeat(2_000).as_bytes());
    crate::harness::eventually("its connection is closed", || server.descriptors() <= before);
}
