//! The HTTP door as programs and browsers see it: the API, streams, WebSockets, the page, and its end.

use std::net::SocketAddr;

use serde_json::json;

use crate::harness::{Client, Http, LINES_AND_HTTP, Server, Site, WebSocket};

/// A server with a door for lines and one for HTTP.
fn server() -> (Server, SocketAddr, SocketAddr) {
    server_with("")
}

fn server_with(config: &str) -> (Server, SocketAddr, SocketAddr) {
    let server = Site::with(&format!("{config}\n{LINES_AND_HTTP}")).start();
    let (lines, http) = (server.door(0), server.door(1));
    (server, lines, http)
}

#[test]
fn what_is_posted_is_heard_and_can_be_read() {
    let (_server, lines, http) = server();
    let mut ann = Client::named(lines, "ann");
    let mut http = Http::connect(http);
    let posted =
        http.post_json("/api/rooms/plaza/messages", &json!({"from": "bot", "text": "hello", "x": 1}));
    assert_eq!((posted.status, posted.body.as_str()), (200, r#"{"seq":2}"#));
    ann.hears("<bot> hello");
    ann.send("hello, bot");
    ann.send("/rooms");
    ann.wait_for("* rooms: plaza 1");

    let rooms = http.get("/api/rooms");
    assert_eq!(
        rooms.json(),
        json!({"rooms": [{"room": "plaza", "kind": "chat", "count": 1, "capacity": 0}]})
    );
    let events = http.get("/api/rooms/plaza/events?after=1").json();
    let said: Vec<_> = events["events"].as_array().unwrap().iter().map(|event| &event["text"]).collect();
    assert_eq!(said, ["hello", "hello, bot"]);
    assert_eq!((&events["first"], &events["seq"]), (&json!(1), &json!(3)));
    let page = http.get("/api/rooms/plaza/events?before=3&limit=1").json();
    assert_eq!(page["events"][0]["seq"], 2);
}

#[test]
fn the_same_key_says_it_once() {
    let (_server, _, http) = server();
    let mut http = Http::connect(http);
    let mut post = |text: &str| {
        let headers = ["Content-Type: application/json; charset=utf-8", "Idempotency-Key: k1"];
        http.ask(
            "POST /api/rooms/plaza/messages",
            &headers,
            &json!({"from": "bot", "text": text}).to_string(),
        )
    };
    assert_eq!(post("once").json(), json!({"seq": 2}));
    assert_eq!(post("once").json(), json!({"seq": 2}));
    assert_eq!(post("twice").refusal(), (409, "key_reused".to_owned()));
    assert_eq!(http.get("/api/rooms/plaza/events").json()["seq"], 2);
}

#[test]
fn what_makes_no_sense_is_refused_with_what_would() {
    let (_server, lines, http) = server();
    let _ann = Client::named(lines, "ann");
    let mut http = Http::connect(http);
    for (path, refusal, part) in [
        ("/api/rooms/nowhere/events", (404, "no_such_room"), "nowhere"),
        ("/api/rooms/day19%2F3/events", (404, "no_such_room"), "day19/3"),
        ("/api/rooms/two%20words/events", (400, "bad_name"), "two words"),
        ("/api/rooms/%FF/events", (400, "bad_command"), "UTF-8"),
        (
            "/api/rooms/plaza/events?after=-1",
            (400, "bad_command"),
            "\"after\" is \"-1\", it takes a whole number",
        ),
        ("/api/rooms/plaza/events?after=1&before=2", (400, "bad_command"), "not both"),
        ("/api/rooms?limit=all", (400, "bad_command"), "\"limit\" is \"all\""),
        ("/api/nothing", (404, "bad_command"), "/api/nothing"),
        ("/../Cargo.toml", (404, "bad_command"), "nothing"),
    ] {
        let response = http.get(path);
        assert_eq!(response.refusal(), (refusal.0, refusal.1.to_owned()), "{path}");
        let message = response.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(part), "{path}: {message}");
    }
    for (body, refusal) in [
        ("", (400, "bad_json")),
        ("[]", (400, "bad_json")),
        (r#"{"from":"bot"}"#, (400, "bad_json")),
        (r#"{"from":"bot","text":1}"#, (400, "bad_json")),
        (r#"{"from":"bot","text":"a","text":"b"}"#, (400, "bad_json")),
        (r#"{"from":"two words","text":"a"}"#, (400, "bad_name")),
        (r#"{"from":"bot","text":""}"#, (400, "bad_text")),
        (r#"{"from":"admin","text":"a"}"#, (403, "forbidden")),
        (r#"{"from":"ann","text":"a"}"#, (409, "nick_taken")),
        (&format!(r#"{{"from":"bot","text":"{}"}}"#, "a".repeat(5000)), (413, "too_long")),
    ] {
        let response = http.ask("POST /api/rooms/plaza/messages", &["Content-Type: application/json"], body);
        assert_eq!(response.refusal(), (refusal.0, refusal.1.to_owned()), "{body}");
    }
    let as_a_form = http.ask("POST /api/rooms/plaza/messages", &["Content-Type: text/plain"], "{}");
    assert_eq!(as_a_form.refusal(), (415, "bad_json".to_owned()));
    let wrong = http.ask("DELETE /api/rooms", &[], "");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET,HEAD")));
}

#[test]
fn a_stream_goes_on_from_what_was_seen_last() {
    let (server, lines, address) = server();
    let mut ann = Client::named(lines, "ann");
    ann.send("one");
    ann.send("two");
    ann.send("/rooms");
    ann.wait_for("* rooms");
    let accept = "Accept: text/event-stream";

    let mut stream = Http::connect(address);
    stream.send("GET /api/rooms/plaza/events?after=1", &[accept, "Last-Event-ID: 2"], "");
    let head = stream.head();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!((head.header("cache-control"), head.header("content-encoding")), (Some("no-store"), None));
    let text = stream.chunks_to("\"two\"");
    assert!(text.starts_with("data: {\"epoch\":\""), "{text}");
    assert!(text.contains("\n\nid: 3\ndata: {\"ev\":\"said\",\"room\":\"plaza\",\"seq\":3,"), "{text}");
    assert!(!text.contains("\"one\""), "{text}");
    ann.send("three");
    assert!(stream.chunks_to("\"three\"").starts_with("id: 4\n"));

    let mut nowhere = Http::connect(address);
    let refused = nowhere.ask("GET /api/rooms/nowhere/events", &[accept], "");
    assert_eq!(refused.refusal(), (404, "no_such_room".to_owned()));
    let refused = nowhere.ask("GET /api/rooms/plaza/events", &[accept, "Last-Event-ID: x"], "");
    assert_eq!(refused.refusal(), (400, "bad_command".to_owned()));

    server.signal(rustix::process::Signal::TERM);
    assert!(stream.chunks_to("shutdown").contains("\"ev\":\"bye\""));
    assert_eq!(stream.chunk(), None, "and a proper end");
}

#[test]
fn rooms_are_reached_by_a_websocket() {
    let (_server, lines, http) = server();
    let mut ann = Client::named(lines, "ann");
    // Sent behind the handshake in one go: nothing of it is lost.
    let first = [r#"{"op":"hello","nick":"mina","id":1}"#, r#"{"op":"join","room":"plaza","id":2}"#];
    let mut mina = WebSocket::with_first(http, "/ws", &first);
    assert_eq!(mina.json()["nick"], "mina");
    assert_eq!(mina.json()["members"], json!(["ann", "mina"]));
    ann.wait_for("* mina joined");
    mina.send(r#"{"op":"say","room":"plaza","text":"from a page"}"#);
    ann.hears("<mina> from a page");
    ann.send("from a terminal");
    assert_eq!(mina.json()["text"], "from a page");
    assert_eq!(mina.json()["text"], "from a terminal");
}

#[test]
fn pages_of_others_may_not_connect_unless_they_are_listed() {
    let (_server, _, http) = server_with("origins = ['https://friend.example']");
    let own = format!("Origin: http://{http}");
    let status = |first: &str, headers: &[&str]| {
        let response = Http::connect(http).ask(first, headers, "");
        (response.status, response.header("access-control-allow-origin").map(str::to_owned))
    };
    for path in ["/", "/ws", "/socket.io/?EIO=4&transport=polling", "/api/rooms"] {
        let get = format!("GET {path}");
        for origin in ["Origin: http://evil.example", "Origin: null", &format!("{own}.evil")] {
            assert_eq!(status(&get, &[origin]), (403, None), "{path} {origin}");
        }
        assert_ne!(status(&get, &[&own]).0, 403, "{path}");
        let (is, told) = status(&get, &["Origin: https://friend.example"]);
        assert_ne!(is, 403, "{path}");
        assert_eq!(told.as_deref(), Some("https://friend.example"), "{path}");
    }
    let upgrade = [WebSocket::HEADERS.as_slice(), &["Origin: http://evil.example"]].concat();
    assert_eq!(status("GET /ws", &upgrade).0, 403);
    assert_eq!(status("POST /api/rooms/plaza/messages", &["Origin: http://evil.example"]).0, 403);

    let mut browser = Http::connect(http);
    let asks = ["Origin: https://friend.example", "Access-Control-Request-Method: POST"];
    let may = browser.ask("OPTIONS /api/rooms/plaza/messages", &asks, "");
    assert_eq!(may.status, 204);
    assert!(may.header("access-control-allow-headers").unwrap().contains("Idempotency-Key"));
    assert_eq!(may.header("access-control-allow-credentials"), None);
    let rebound = Http::connect(http).ask_as("rebound.example", "GET /api/rooms");
    assert_eq!(rebound.refusal(), (403, "forbidden".to_owned()));
    assert_eq!(Http::connect(http).ask_as("localhost", "GET /api/rooms").status, 200);
}

#[test]
fn the_page_and_what_operators_ask_are_there() {
    let (_server, lines, http) = server();
    let _ann = Client::connect(lines);
    let mut http = Http::connect(http);
    let page = http.get("/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'self'"));
    let tag = format!("If-None-Match: {}", page.header("etag").unwrap());
    assert_eq!(http.ask("GET /", &[&tag], "").status, 304);
    assert_eq!(http.get("/healthz").status, 200);
    assert_eq!(http.get("/readyz").status, 200);
    assert_eq!(http.get("/version").json()["name"], "madang");
    let metrics = http.get("/metrics");
    for line in [
        "madang_connections{door=\"tcp\"} 1",
        "madang_sessions{door=\"tcp\"} 1",
        "madang_rooms 1",
        "madang_members 1",
        "# TYPE madang_log_fsync_seconds histogram",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line}: {}", metrics.body);
    }
    let described = http.get("/api/openapi.json").json();
    assert!(described["paths"]["/api/rooms/{room}/messages"]["post"].is_object());
}

#[test]
fn the_end_lets_requests_finish_and_tells_those_that_stay() {
    let (mut server, _, address) = server();
    let mut idle = Http::connect(address);
    assert_eq!(idle.get("/healthz").status, 200);
    let mut webby = WebSocket::with_first(address, "/ws", &[r#"{"op":"ping","id":1}"#]);
    assert_eq!(webby.message(), r#"{"re":1}"#);
    let polling = "/socket.io/?EIO=4&transport=polling";
    let mut poller = Http::connect(address);
    let open = poller.get(polling).body;
    let sid = open.split('"').nth(3).unwrap().to_owned();
    poller.send(&format!("GET {polling}&sid={sid}"), &[], "");

    server.signal(rustix::process::Signal::TERM);
    assert!(idle.is_closed(), "who asks nothing is let go");
    assert_eq!(poller.response().body, "1");
    assert!(webby.message().contains("\"why\":\"shutdown\""));
    assert_eq!(webby.message(), "close 1012");
    drop(webby);
    assert!(server.ended_within(std::time::Duration::from_secs(5)).success());
}
