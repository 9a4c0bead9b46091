//! Engine.IO over requests, held against the contract that the public suites test: point by point, in their settings.
//!
//! The server is the one of `cargo run --example conformance`: every message comes back.

use std::time::{Duration, Instant};

use madang_server::config::{App, Config, HttpService, Listener, Service};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Http, LOOPBACK, Response, WebSocket, eventually};

const PING_INTERVAL: Duration = Duration::from_millis(300);
const PING_TIMEOUT: Duration = Duration::from_millis(200);
const POLLING: &str = "/engine.io/?EIO=4&transport=polling";
const WEBSOCKET: &str = "/engine.io/?EIO=4&transport=websocket";

/// A server within the test's own process.
struct Echo {
    address: std::net::SocketAddr,
    server: Option<madang_server::Server>,
    _data: TempDir,
}

impl Echo {
    fn start() -> Echo {
        Echo::with(PING_INTERVAL, PING_TIMEOUT)
    }

    /// One whose heartbeats no test has to answer.
    fn patient() -> Echo {
        Echo::with(Duration::from_secs(25), Duration::from_secs(20))
    }

    fn with(ping_interval: Duration, ping_timeout: Duration) -> Echo {
        let data = tempfile::tempdir().unwrap();
        let service = HttpService {
            ping_interval,
            ping_timeout,
            app: App::EchoEvents,
            recovery: false,
            ..HttpService::default()
        };
        let listener = Listener::new(LOOPBACK.parse().unwrap(), Service::Http(service));
        let config = Config { data: data.path().to_owned(), listeners: vec![listener], ..Config::default() };
        let server = madang_server::Server::start(config).unwrap();
        let address = server.listeners().next().unwrap().0;
        Echo { address, server: Some(server), _data: data }
    }

    fn get(&self, path: &str) -> Response {
        Http::connect(self.address).get(path)
    }

    fn open(&self) -> Session<'_> {
        let open = self.get(POLLING);
        assert_eq!(open.status, 200, "{open:?}");
        let sid = handshake(&open.body)["sid"].as_str().unwrap().to_owned();
        Session { echo: self, sid }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stopper().stop();
            server.wait();
        }
    }
}

/// The object of an open packet.
fn handshake(packet: &str) -> Value {
    serde_json::from_str(packet.strip_prefix('0').expect("an open packet")).unwrap()
}

struct Session<'e> {
    echo: &'e Echo,
    sid: String,
}

impl Session<'_> {
    fn path(&self) -> String {
        format!("{POLLING}&sid={}", self.sid)
    }

    fn get(&self) -> Response {
        self.echo.get(&self.path())
    }

    /// Sends a GET without waiting for its answer.
    fn begin_get(&self) -> Http {
        let mut http = Http::connect(self.echo.address);
        http.send(&format!("GET {}", self.path()), &[], "");
        // It has to be there before what the test does next, and nobody announces that.
        std::thread::sleep(Duration::from_millis(50));
        http
    }

    fn post(&self, body: &str) -> Response {
        Http::connect(self.echo.address).ask(&format!("POST {}", self.path()), &[], body)
    }

    fn websocket(&self, first: &[&str]) -> WebSocket {
        WebSocket::with_first(self.echo.address, &format!("{WEBSOCKET}&sid={}", self.sid), first)
    }

    #[track_caller]
    fn is_gone(&self) {
        assert_eq!(code(&self.get()), 1);
        assert_eq!(code(&self.post("4hello")), 1);
    }
}

/// The code of Engine.IO's own refusal.
#[track_caller]
fn code(response: &Response) -> i64 {
    assert_eq!(response.status, 400, "{response:?}");
    response.json()["code"].as_i64().unwrap()
}

#[test]
fn a_handshake_tells_what_the_session_is() {
    let echo = Echo::start();
    let open = echo.get(POLLING);
    assert_eq!((open.status, open.header("content-type")), (200, Some("text/plain; charset=UTF-8")));
    assert_eq!(open.header("cache-control"), Some("no-store"));
    let told = handshake(&open.body);
    let sid = told["sid"].clone();
    let expected = |sid: &Value, upgrades: Value| json!({"sid": sid, "upgrades": upgrades, "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000});
    assert_eq!(told, expected(&sid, json!(["websocket"])));
    let mut websocket = WebSocket::connect(echo.address, WEBSOCKET);
    let told = handshake(&websocket.message());
    assert_eq!(told, expected(&told["sid"], json!([])));
}

#[test]
fn what_is_no_handshake_is_refused() {
    let echo = Echo::start();
    for path in ["/engine.io/", "/socket.io/"] {
        for (query, expected) in [
            ("", 0),
            ("EIO=4", 0),
            ("EIO=4&transport=abc", 0),
            ("transport=polling", 5),
            ("EIO=abc&transport=polling", 5),
            ("EIO=4&transport=polling&sid=nobody", 1),
            ("EIO=4&transport=websocket", 3),
            ("EIO=4&transport=polling&j=0", 3),
        ] {
            assert_eq!(code(&echo.get(&format!("{path}?{query}"))), expected, "{path}?{query}");
        }
        for method in ["POST", "PUT"] {
            let refused =
                Http::connect(echo.address).ask(&format!("{method} {path}?{}", &POLLING[12..]), &[], "");
            assert_eq!(code(&refused), 2, "{method}");
        }
        for query in
            ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=websocket&sid=x"]
        {
            let refused =
                Http::connect(echo.address).ask(&format!("GET {path}?{query}"), &WebSocket::HEADERS, "");
            assert_eq!(refused.status, 400, "{query}");
        }
    }
}

#[test]
fn messages_come_back_as_they_were_in_one_body() {
    let echo = Echo::patient();
    let session = echo.open();
    for body in ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "4안녕하세요"] {
        let taken = session.post(body);
        assert_eq!((taken.status, taken.body.as_str()), (200, "ok"));
        assert_eq!(taken.header("content-type"), Some("text/html"));
        let mut back = session.get().body;
        // The shard may take them in more than one go.
        while back.len() < body.len() {
            back += &format!("\x1e{}", session.get().body);
        }
        assert_eq!(back, body);
    }
}

#[test]
fn a_message_as_long_as_may_be_comes_back_whole() {
    let echo = Echo::patient();
    let session = echo.open();
    let long = format!("4{}", "x".repeat(999_999));
    assert_eq!(session.post(&long).body, "ok");
    assert!(session.get().body == long, "it is longer than what waits in between");
    let too_long = session.post(&format!("{long}y"));
    assert_eq!(too_long.refusal(), (413, "too_long".to_owned()));
    assert_eq!(session.post("4still here").body, "ok");
    assert_eq!(session.get().body, "4still here");
}

#[test]
fn a_body_that_makes_no_sense_ends_the_session() {
    let echo = Echo::patient();
    let many = vec!["4x"; 1_025].join("\x1e");
    for body in ["abc", "", "4hello\x1e", "b!", many.as_str()] {
        let session = echo.open();
        let waiting = session.begin_get();
        assert_eq!(code(&session.post(body)), 3, "{body:?}");
        assert_eq!({ waiting }.response().body, "1");
        session.is_gone();
    }
}

#[test]
fn who_polls_twice_at_once_is_closed() {
    let echo = Echo::patient();
    let session = echo.open();
    let mut first = session.begin_get();
    assert_eq!(code(&session.get()), 1);
    assert_eq!((first.response().body.as_str()), "1");
    session.is_gone();
}

#[test]
fn who_posts_twice_at_once_is_closed() {
    let echo = Echo::patient();
    let session = echo.open();
    let mut first = Http::connect(echo.address);
    first.send_bytes(
        format!("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\n4hel", session.path())
            .as_bytes(),
    );
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(code(&session.post("4second")), 3);
    first.send_bytes(b"lo");
    assert_eq!(code(&first.response()), 1);
    session.is_gone();
}

#[test]
fn who_says_that_it_goes_is_gone() {
    let echo = Echo::patient();
    let session = echo.open();
    let mut waiting = session.begin_get();
    assert_eq!(session.post("1").body, "ok");
    assert_eq!(waiting.response().body, "6");
    session.is_gone();
}

#[test]
fn heartbeats_are_answered_and_asked_for() {
    let echo = Echo::start();
    let session = echo.open();
    let began = Instant::now();
    assert_eq!(session.get().body, "2", "nothing comes before that");
    assert!(began.elapsed() > PING_INTERVAL - Duration::from_millis(50), "{:?}", began.elapsed());
    for _ in 0..3 {
        assert_eq!(session.post("3").body, "ok");
        assert_eq!(session.get().body, "2");
    }
    assert_eq!(session.post("3\x1e2").body, "ok");
    assert_eq!(session.get().body, "3");
}

#[test]
fn who_does_not_answer_a_heartbeat_is_gone_at_once() {
    let echo = Echo::start();
    let session = echo.open();
    std::thread::sleep(PING_INTERVAL + PING_TIMEOUT);
    session.is_gone();
    let mut websocket = WebSocket::connect(echo.address, WEBSOCKET);
    while !websocket.message().starts_with("close") {}
    assert!(websocket.is_closed());
}

#[test]
fn a_session_moves_to_a_websocket_without_losing_or_repeating_anything() {
    let echo = Echo::patient();
    let session = echo.open();
    let mut waiting = session.begin_get();
    let mut websocket = session.websocket(&[]);
    websocket.send("2probe");
    assert_eq!(websocket.message(), "3probe");
    assert_eq!(waiting.response().body, "6");
    assert_eq!(session.get().body, "6", "and each that comes now");
    assert_eq!(session.post("4posted").body, "ok");
    websocket.send("5");
    websocket.send("4sent");
    assert_eq!(websocket.message(), "4posted");
    assert_eq!(websocket.message(), "4sent");
    assert_eq!(code(&session.get()), 3);
    assert_eq!(code(&session.post("4late")), 3);

    let mut second = session.websocket(&[]);
    assert_eq!(second.message(), "close 1000");
    websocket.send("4still");
    assert_eq!(websocket.message(), "4still");
    drop(websocket);
    eventually("the session is forgotten with its WebSocket", || code(&session.get()) == 1);
}

#[test]
fn a_session_may_move_without_waiting() {
    let echo = Echo::patient();
    for _ in 0..20 {
        let session = echo.open();
        // More than a body may hold waits, and some of it was fetched by a request already.
        let messages = vec!["4waiting"; 64].join("\x1e");
        assert_eq!(session.post(&messages).body, "ok");
        let mut websocket = session.websocket(&["2probe", "5", "4last"]);
        assert_eq!(websocket.message(), "3probe");
        for _ in 0..64 {
            assert_eq!(websocket.message(), "4waiting");
        }
        assert_eq!(websocket.message(), "4last");
    }
}

#[test]
fn an_upgrade_that_goes_wrong_leaves_the_session_as_it_was() {
    let echo = Echo::patient();
    let session = echo.open();
    for wrong in ["5", "4hello", "2", "2prob", "abc"] {
        let mut websocket = session.websocket(&[wrong]);
        assert_eq!(websocket.message(), "close 1002", "{wrong}");
    }
    let mut probed = session.websocket(&["2probe"]);
    assert_eq!(probed.message(), "3probe");
    assert_eq!(session.get().body, "6");
    let mut second = session.websocket(&[]);
    assert_eq!(second.message(), "close 1000", "the first one is at it");
    probed.send_bytes(&[0xff; 64]);
    assert_eq!(probed.message(), "close 1002");
    let mut torn = session.websocket(&["2probe"]);
    assert_eq!(torn.message(), "3probe");
    drop(torn);
    assert_eq!(session.post("4hello").body, "ok");
    eventually("requests carry it on", || session.get().body == "4hello");
}

#[test]
fn a_websocket_with_an_unknown_packet_is_closed() {
    let echo = Echo::patient();
    let mut websocket = WebSocket::connect(echo.address, WEBSOCKET);
    websocket.message();
    websocket.send("abc");
    assert_eq!(websocket.message(), "close 1002");
    let mut websocket = WebSocket::connect(echo.address, WEBSOCKET);
    websocket.message();
    websocket.send("4hello");
    assert_eq!(websocket.message(), "4hello");
    websocket.send("1");
    assert_eq!(websocket.message(), "close 1000");
}
