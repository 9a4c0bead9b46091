//! The API: rooms, their events, and saying something, one request at a time.
//!
//! A request is a client of its own that asks one thing and goes again. What it asks is the same `Op` that lines and
//! frames lead to; here are only the forms of its question and its answer.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use madang_room::{Key, Nick, Refusal, RoomName, Seq, Text};
use madang_wire::{HISTORY_EVENTS_MAX, Op, ROOMS_MAX};

use super::body::{self, BodyError};
use super::query::Query;
use super::{Client, Place, answer, openapi, stream};

/// Bytes of a request's body: the longest message with room for escapes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Events or rooms in an answer where nothing is said of it.
const LIMIT_DEFAULT: usize = 100;
/// Bytes of `prefix`.
const PREFIX_BYTES_MAX: usize = 64;

type RoomPath = Result<Path<String>, PathRejection>;

/// Rooms that somebody is in.
#[utoipa::path(get, path = "/api/rooms", tag = "rooms",
    params(
        ("prefix" = Option<String>, Query, description = "Only those whose name begins so"),
        ("limit" = Option<usize>, Query, description = "At most so many, 100 without it and never more than 1000"),
    ),
    responses(
        (status = 200, description = "The rooms, largest first", body = openapi::Rooms),
        (status = 400, description = "A value that can't be read", body = openapi::Error),
    ))]
pub(super) async fn rooms(
    State(place): State<Arc<Place>>,
    Extension(client): Extension<Arc<Client>>,
    request: Request,
) -> Response<Body> {
    let query = Query::of(request.uri());
    let asked = prefix(&query).and_then(|prefix| Ok(Op::Rooms { prefix, limit: limit(&query, ROOMS_MAX)? }));
    call(&place, &client, asked).await
}

/// What happened in a room; as it happens, where the client asks for a stream.
#[utoipa::path(get, path = "/api/rooms/{room}/events", tag = "rooms",
    params(
        ("room" = String, Path, description = "The room's name, with %2F for /"),
        ("after" = Option<u64>, Query, description = "Events after this seq, the oldest first"),
        ("before" = Option<u64>, Query, description = "Events before this seq, the newest of them; not for a stream"),
        ("limit" = Option<usize>, Query, description = "At most so many, 100 without it and never more than 1000; not for a stream"),
        ("epoch" = Option<String>, Query, description = "The epoch that `after` is from, for a stream"),
        ("Last-Event-ID" = Option<u64>, Header, description = "For a stream, and wins over `after`: the last seq that was seen"),
    ),
    responses(
        (status = 200, description = "Events; or, with `Accept: text/event-stream`, a stream of them that goes on: first an \
            event without id that has `epoch`, then each with its seq as its id", content(
            (openapi::History = "application/json"), (String = "text/event-stream"))),
        (status = 400, description = "A value that can't be read", body = openapi::Error),
        (status = 404, description = "There is no such room", body = openapi::Error),
    ))]
pub(super) async fn events(
    State(place): State<Arc<Place>>,
    Extension(client): Extension<Arc<Client>>,
    room: RoomPath,
    request: Request,
) -> Response<Body> {
    let query = Query::of(request.uri());
    if stream::is_wanted(request.headers()) {
        let asked = room_name(room).and_then(|room| Ok((room, stream::resume(&query, request.headers())?)));
        return match asked {
            Ok(_) if !client.take_turn(&place) => too_fast(&place),
            Ok((room, resume)) => stream::open(&place, &client, room, resume).await,
            Err(refusal) => answer::refused(&refusal),
        };
    }
    call(&place, &client, history(room, &query)).await
}

/// Says something in a room without being there.
#[utoipa::path(post, path = "/api/rooms/{room}/messages", tag = "rooms",
    params(
        ("room" = String, Path, description = "The room's name, with %2F for /; it is made where there is none"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 bytes: the same again with the same key is said once"),
    ),
    request_body = openapi::NewMessage,
    responses(
        (status = 200, description = "It was said", body = openapi::Said),
        (status = 400, description = "Not JSON, or a name or text that can't be", body = openapi::Error),
        (status = 403, description = "A name that is kept for others, or a page that may not", body = openapi::Error),
        (status = 409, description = "The name is somebody's who is here, or the key was used for something else", body = openapi::Error),
        (status = 413, description = "A text or body that is too long", body = openapi::Error),
        (status = 415, description = "Not application/json", body = openapi::Error),
        (status = 429, description = "Too fast; Retry-After says when to come again", body = openapi::Error),
        (status = 503, description = "`unavailable`: nothing happened. `unknown`: it may have; ask again with the same key", body = openapi::Error),
    ))]
pub(super) async fn post_message(
    State(place): State<Arc<Place>>,
    Extension(client): Extension<Arc<Client>>,
    room: RoomPath,
    request: Request,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    if !is_json(&head.headers) {
        let why = "the body is JSON, and Content-Type says so: application/json".to_owned();
        return answer::refused_as(StatusCode::UNSUPPORTED_MEDIA_TYPE, &Refusal::BadJson { why });
    }
    let body = match body::read(body, BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => return unreadable(error),
    };
    call(&place, &client, message(room, &head.headers, &body)).await
}

/// The shows, their performances, and how many seats of each are free.
#[utoipa::path(get, path = "/api/shows", tag = "shows",
    responses((status = 200, description = "The shows", body = openapi::Shows)))]
pub(super) async fn shows(
    State(place): State<Arc<Place>>,
    Extension(client): Extension<Arc<Client>>,
) -> Response<Body> {
    call(&place, &client, Ok(Op::Shows)).await
}

/// The seats of a performance as they are now.
#[utoipa::path(get, path = "/api/shows/{show}/{performance}", tag = "shows",
    params(
        ("show" = String, Path, description = "The show's id"),
        ("performance" = String, Path, description = "The performance's id within the show"),
    ),
    responses(
        (status = 200, description = "The seats", body = openapi::Seating),
        (status = 404, description = "There is no such show or performance", body = openapi::Error),
    ))]
pub(super) async fn seats(
    State(place): State<Arc<Place>>,
    Extension(client): Extension<Arc<Client>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Response<Body> {
    call(&place, &client, performance(path).map(|room| Op::Seats { performance: Some(room) })).await
}

/// Carries out what was asked, if it makes sense.
async fn call(place: &Place, client: &Client, asked: Result<Op, Refusal>) -> Response<Body> {
    match asked {
        Ok(_) if !client.take_turn(place) => too_fast(place),
        Ok(op) => answer::to_call(&place.hall.call(place.visitor(client, None), op).await),
        Err(refusal) => answer::refused(&refusal),
    }
}

fn too_fast(place: &Place) -> Response<Body> {
    answer::refused(&Refusal::TooFast { per_second: place.messages_per_second() })
}

fn history(room: RoomPath, query: &Query) -> Result<Op, Refusal> {
    let room = Some(room_name(room)?);
    let (after, before) = (seq(query, "after")?, seq(query, "before")?);
    if after.is_some() && before.is_some() {
        return Err(bad("it takes \"after\" or \"before\", not both"));
    }
    Ok(Op::History { room, after, before, limit: limit(query, HISTORY_EVENTS_MAX)?, said_only: false })
}

fn message(room: RoomPath, headers: &HeaderMap, body: &[u8]) -> Result<Op, Refusal> {
    /// What stands in the body, beside what nobody asks for. A field that stands there twice is a mistake.
    #[derive(serde::Deserialize)]
    struct Message<'b> {
        #[serde(borrow)]
        from: std::borrow::Cow<'b, str>,
        #[serde(borrow)]
        text: std::borrow::Cow<'b, str>,
    }
    let room = room_name(room)?;
    let body = str::from_utf8(body).map_err(|error| Refusal::NotUtf8 { at: error.valid_up_to() + 1 })?;
    let message: Message<'_> =
        serde_json::from_str(body).map_err(|error| Refusal::BadJson { why: error.to_string() })?;
    let from = Nick::parse(&message.from)
        .map_err(|why| Refusal::BadName { name: message.from.chars().take(64).collect(), why })?;
    let text = Text::parse(&message.text).map_err(Refusal::BadText)?;
    Ok(Op::Post { room, from, text, key: key(headers)? })
}

fn key(headers: &HeaderMap) -> Result<Option<Key>, Refusal> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map_err(|_| bad("Idempotency-Key is text in ASCII"))?;
    Key::parse(text).map(Some).ok_or(Refusal::BadKey { bytes: text.len() })
}

pub(super) fn room_name(room: RoomPath) -> Result<RoomName, Refusal> {
    let Path(name) = room.map_err(|_| bad("the name of a room in a path is UTF-8, percent-encoded"))?;
    RoomName::parse(&name).map_err(|why| Refusal::BadName { name: name.chars().take(64).collect(), why })
}

fn performance(path: Result<Path<(String, String)>, PathRejection>) -> Result<RoomName, Refusal> {
    let Path((show, performance)) = path.map_err(|_| bad("a path is UTF-8, percent-encoded"))?;
    let name = format!("{show}/{performance}");
    // What can be no name is the name of no show.
    let unknown = |_| Refusal::NoSuchShow { show: name.chars().take(64).collect() };
    RoomName::parse(&name).map_err(unknown)
}

pub(super) fn seq(query: &Query, name: &str) -> Result<Option<Seq>, Refusal> {
    Ok(query.number(name, u64::MAX)?.map(Seq))
}

fn prefix(query: &Query) -> Result<Option<smol_str::SmolStr>, Refusal> {
    match query.text("prefix")? {
        Some(prefix) if prefix.len() > PREFIX_BYTES_MAX => {
            let bytes = prefix.len();
            Err(bad(&format!("\"prefix\" has {bytes} bytes, it takes at most {PREFIX_BYTES_MAX}")))
        }
        prefix => Ok(prefix.map(Into::into)),
    }
}

/// As it is asked for, at most `max`.
fn limit(query: &Query, max: usize) -> Result<usize, Refusal> {
    let limit = query.number("limit", u64::MAX)?;
    Ok(limit.map_or(LIMIT_DEFAULT, |limit| usize::try_from(limit).unwrap_or(max)).min(max))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else {
        return false;
    };
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn unreadable(error: BodyError) -> Response<Body> {
    answer::and_close(match error {
        BodyError::TooLong => answer::refused(&Refusal::TooLong { what: "a body", max: BODY_BYTES_MAX }),
        BodyError::TooSlow => {
            answer::bad_request(StatusCode::REQUEST_TIMEOUT, "the body has not come within 10 s")
        }
        BodyError::Broken => answer::bad_request(StatusCode::BAD_REQUEST, "the body broke off"),
    })
}

fn bad(why: &str) -> Refusal {
    Refusal::BadCommand { why: why.to_owned() }
}
