//! Engine.IO (protocol 4) as requests carry it: the handshake, GETs that wait, POSTs, and the way to WebSocket.
//!
//! Packets, heartbeats and what is said in them are the business of the session's home on its shard, which writes
//! WebSocket frames whatever carries them. Here frames become bodies, and bodies frames.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode};
use madang_room::Refusal;
use madang_wire::engineio::{self, Packet, PayloadPart};
use madang_wire::websocket::{masked_binary_frame, masked_text_frame};

use super::body::{self, BodyError};
use super::query::Query;
use super::sessions::{Found, Gone, NotTaken, OpenError, Session, WhyClosed, new_sid};
use super::websocket::{self, Handshake};
use super::{Client, Place, answer, upgrade};
use crate::arrival::{App, Manner};

/// Packets in the body of a POST. A stock client that emits while another POST is on its way puts everything that has
/// come together since then into the next one; only `max_payload` ends it there. So this is as many as one connection
/// may have under way, and a body of thousands is refused whole.
const PACKETS_MAX: usize = 1_024;
/// The version of Engine.IO that is spoken.
const PROTOCOL: &str = "4";

const PAYLOAD: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");
/// As the reference has it.
const TAKEN: HeaderValue = HeaderValue::from_static("text/html");

/// What is wrong with a request, in Engine.IO's own numbers and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Transport,
    Session,
    Method,
    Request,
    Version,
}

impl Wrong {
    fn answer(self) -> Response<Body> {
        let (code, message) = match self {
            Wrong::Transport => (0, "Transport unknown"),
            Wrong::Session => (1, "Session ID unknown"),
            Wrong::Method => (2, "Bad handshake method"),
            Wrong::Request => (3, "Bad request"),
            Wrong::Version => (5, "Unsupported protocol version"),
        };
        let body = format!("{{\"code\":{code},\"message\":\"{message}\"}}");
        answer::in_json(StatusCode::BAD_REQUEST, body.into())
    }
}

/// What a request is, by its query.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    OpenPolling,
    OpenWebSocket,
    Poll(String),
    Post(String),
    Upgrade(String),
}

/// Answers any request to an Engine.IO path.
pub(super) async fn answer(
    app: App,
    State(place): State<Arc<Place>>,
    Extension(client): Extension<Arc<Client>>,
    request: Request,
) -> Response<Body> {
    match asked(&request) {
        Err(wrong) => wrong.answer(),
        Ok(Asked::OpenPolling) => open(&place, &client, app).await,
        Ok(Asked::OpenWebSocket) => open_websocket(place, client, app, request),
        Ok(Asked::Poll(sid)) => poll(&place, &sid).await,
        Ok(Asked::Post(sid)) => post(&place, &sid, request).await,
        Ok(Asked::Upgrade(sid)) => begin_upgrade(place, &sid, request),
    }
}

fn asked(request: &Request) -> Result<Asked, Wrong> {
    let query = Query::of(request.uri());
    let is_websocket = match query.first("transport") {
        Some("polling") => false,
        Some("websocket") => true,
        _ => return Err(Wrong::Transport),
    };
    if query.first("EIO") != Some(PROTOCOL) {
        return Err(Wrong::Version);
    }
    // Scripts as answers (JSONP) are for browsers that nobody has any more.
    if query.first("j").is_some() {
        return Err(Wrong::Request);
    }
    let method = request.method();
    match (query.first("sid"), is_websocket) {
        (None, _) if method != Method::GET => Err(Wrong::Method),
        (_, true) if !websocket::is_asked_for(request) => Err(Wrong::Request),
        (None, false) => Ok(Asked::OpenPolling),
        (None, true) => Ok(Asked::OpenWebSocket),
        (Some(sid), true) => Ok(Asked::Upgrade(sid.to_owned())),
        (Some(sid), false) if method == Method::GET => Ok(Asked::Poll(sid.to_owned())),
        (Some(sid), false) if method == Method::POST => Ok(Asked::Post(sid.to_owned())),
        (Some(_), false) => Err(Wrong::Request),
    }
}

async fn open(place: &Place, client: &Client, app: App) -> Response<Body> {
    let session = match place.sessions.open(place, client, app) {
        Ok(session) => session,
        Err(OpenError::Refused(refusal)) => return answer::refused(&refusal),
        Err(OpenError::Full) => {
            let why =
                "the server carries as many sessions by requests as it can; transport=websocket is taken";
            return answer::bad_request(StatusCode::SERVICE_UNAVAILABLE, why);
        }
    };
    // The session's first packet is the answer to the handshake.
    match session.poll(&place.sessions, place.service.max_payload).await {
        Ok(body) => answer::with_type(StatusCode::OK, PAYLOAD, body),
        Err(Gone) => answer::refused(&Refusal::Closing),
    }
}

fn open_websocket(place: Arc<Place>, client: Arc<Client>, app: App, mut request: Request) -> Response<Body> {
    match websocket::handshake(&mut request) {
        Ok(Handshake { response, opening }) => {
            let manner = Manner::SocketIo { sid: new_sid(), upgrades: false, app };
            tokio::spawn(opening.bring_in(place, client, manner));
            response
        }
        Err(no) => websocket::refuse(&no),
    }
}

async fn poll(place: &Place, sid: &str) -> Response<Body> {
    let session = match place.sessions.find(sid) {
        Found::Session(session) => session,
        // It has another transport now.
        Found::Upgraded => return Wrong::Request.answer(),
        Found::Nothing => return Wrong::Session.answer(),
    };
    match session.poll(&place.sessions, place.service.max_payload).await {
        Ok(body) => answer::with_type(StatusCode::OK, PAYLOAD, body),
        Err(Gone) => Wrong::Session.answer(),
    }
}

async fn post(place: &Place, sid: &str, request: Request) -> Response<Body> {
    let session = match place.sessions.find(sid) {
        Found::Session(session) => session,
        Found::Upgraded => return Wrong::Request.answer(),
        Found::Nothing => return Wrong::Session.answer(),
    };
    let _turn = match session.begin_post(&place.sessions) {
        Ok(turn) => turn,
        Err(NotTaken::Gone) => return Wrong::Session.answer(),
        Err(NotTaken::Overlap) => return answer::and_close(Wrong::Request.answer()),
    };
    match body::read(request.into_body(), place.service.max_payload).await {
        Ok(body) => take(place, &session, &body).await,
        Err(BodyError::TooLong) => {
            let max = place.service.max_payload;
            answer::and_close(answer::refused(&Refusal::TooLong { what: "a body", max }))
        }
        Err(BodyError::TooSlow) => {
            let why = "the body has not come within 10 s";
            answer::and_close(answer::bad_request(StatusCode::REQUEST_TIMEOUT, why))
        }
        Err(BodyError::Broken) => answer::and_close(Wrong::Request.answer()),
    }
}

/// Passes on what a body holds. One that makes no sense ends the session.
async fn take(place: &Place, session: &Session, body: &[u8]) -> Response<Body> {
    let Some(Taken { frames, has_pong, is_last }) = frames_of(body) else {
        session.close(&place.sessions, WhyClosed::Broken);
        return Wrong::Request.answer();
    };
    if has_pong {
        session.hear();
    }
    if let Err(Gone) = session.take(&frames).await {
        return Wrong::Session.answer();
    }
    if is_last {
        session.polled().await;
        session.close(&place.sessions, WhyClosed::ByClient);
    }
    answer::with_type(StatusCode::OK, TAKEN, "ok")
}

/// What a body holds.
struct Taken {
    frames: Vec<u8>,
    /// It answers a heartbeat.
    has_pong: bool,
    /// With its last packet the client goes.
    is_last: bool,
}

fn frames_of(body: &[u8]) -> Option<Taken> {
    let body = str::from_utf8(body).ok()?;
    let mut frames = Vec::with_capacity(body.len() + 16);
    let mut has_pong = false;
    for part in engineio::split_payload(body, PACKETS_MAX).ok()? {
        match part {
            PayloadPart::Binary(bytes) => masked_binary_frame(&mut frames, &bytes),
            PayloadPart::Text(text) => match engineio::parse(text)? {
                Packet::Close => return Some(Taken { frames, has_pong, is_last: true }),
                packet @ (Packet::Ping(_) | Packet::Pong(_) | Packet::Message(_)) => {
                    has_pong |= matches!(packet, Packet::Pong(_));
                    masked_text_frame(&mut frames, text);
                }
                // Of no meaning in a body.
                Packet::Open | Packet::Upgrade | Packet::Noop => {}
            },
        }
    }
    Some(Taken { frames, has_pong, is_last: false })
}

fn begin_upgrade(place: Arc<Place>, sid: &str, mut request: Request) -> Response<Body> {
    let upgrading = match place.sessions.find(sid) {
        Found::Session(session) => session.begin_upgrade(),
        Found::Upgraded => None,
        Found::Nothing => return Wrong::Session.answer(),
    };
    let Handshake { response, opening } = match websocket::handshake(&mut request) {
        Ok(handshake) => handshake,
        Err(no) => return websocket::refuse(&no),
    };
    match upgrading {
        Some(upgrading) => tokio::spawn(upgrade::run(place, upgrading, opening)),
        // The first one goes on; this one hears it in its own words.
        None => tokio::spawn(async move {
            if let Some((stream, _)) = opening.stream().await {
                websocket::dismiss(stream, 1000, "another WebSocket has this session").await;
            }
        }),
    };
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, query: &str, is_upgrade: bool) -> Result<Asked, Wrong> {
        let request = Request::builder().method(method).uri(format!("/socket.io/?{query}"));
        let request = if is_upgrade { request.header("upgrade", "websocket") } else { request };
        asked(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn a_wrong_request_is_refused_as_engine_io_does() {
        for (method, query, expected) in [
            ("GET", "", Wrong::Transport),
            ("GET", "EIO=4", Wrong::Transport),
            ("GET", "EIO=4&transport=abc", Wrong::Transport),
            ("GET", "transport=polling", Wrong::Version),
            ("GET", "EIO=3&transport=polling", Wrong::Version),
            ("GET", "EIO=abc&transport=polling", Wrong::Version),
            ("POST", "EIO=4&transport=polling", Wrong::Method),
            ("PUT", "EIO=4&transport=polling", Wrong::Method),
            ("PUT", "EIO=4&transport=polling&sid=a", Wrong::Request),
            ("GET", "EIO=4&transport=polling&j=0", Wrong::Request),
            ("GET", "EIO=4&transport=websocket", Wrong::Request),
        ] {
            assert_eq!(of(method, query, false), Err(expected), "{method} {query}");
        }
        let polling = "EIO=4&transport=polling";
        assert_eq!(of("GET", polling, false), Ok(Asked::OpenPolling));
        assert_eq!(of("GET", &format!("{polling}&sid=a"), false), Ok(Asked::Poll("a".into())));
        assert_eq!(of("POST", &format!("{polling}&sid=a"), false), Ok(Asked::Post("a".into())));
        let websocket = "EIO=4&transport=websocket";
        assert_eq!(of("GET", websocket, true), Ok(Asked::OpenWebSocket));
        assert_eq!(of("GET", &format!("{websocket}&sid=a"), true), Ok(Asked::Upgrade("a".into())));
    }

    #[tokio::test]
    async fn a_refusal_has_its_code_and_message() {
        let response = Wrong::Transport.answer();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(body, r#"{"code":0,"message":"Transport unknown"}"#);
    }

    #[test]
    fn a_body_is_taken_whole_or_not() {
        let is_last = |body: &[u8]| frames_of(body).map(|taken| taken.is_last);
        assert_eq!(is_last(b"4hello\x1ebAQID\x1e3"), Some(false));
        assert_eq!(is_last(b"4hello\x1e1\x1e4dropped"), Some(true));
        for wrong in [&b""[..], b"abc", b"4hello\x1e", b"4hello\x1e9", b"b!!!", b"4\xff"] {
            assert_eq!(is_last(wrong), None, "{wrong:?}");
        }
        let many = |packets: usize| vec!["4x"; packets].join("\x1e");
        assert_eq!(is_last(many(PACKETS_MAX).as_bytes()), Some(false));
        assert_eq!(is_last(many(PACKETS_MAX + 1).as_bytes()), None);
    }
}
