//! How requests are answered: in JSON, and with a status that says whose doing it is.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use madang_room::Refusal;
use madang_wire::{Answer, json};

/// What a client that came too fast, or at a bad moment, should wait.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A request that is not carried out for what it is as a request.
#[derive(Debug)]
pub(super) struct No {
    pub(super) status: StatusCode,
    pub(super) refusal: Refusal,
}

impl No {
    /// It makes no sense, and why.
    pub(super) fn bad(status: StatusCode, why: impl Into<String>) -> No {
        No { status, refusal: Refusal::BadCommand { why: why.into() } }
    }

    pub(super) fn forbidden(why: String) -> No {
        No { status: StatusCode::FORBIDDEN, refusal: Refusal::Forbidden { why } }
    }

    pub(super) fn answer(&self) -> Response<Body> {
        refused_as(self.status, &self.refusal)
    }
}

/// A room's answer to a call of the API.
pub(super) fn to_call(result: &Result<Answer, Refusal>) -> Response<Body> {
    match result {
        Ok(_) => {
            let mut body = Vec::new();
            json::encode_answer(&mut body, result);
            in_json(StatusCode::OK, body)
        }
        Err(refusal) => refused(refusal),
    }
}

/// A refusal, with the status that its code has.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    refused_as(status(refusal), refusal)
}

/// A refusal of a request for what it is as a request.
pub(super) fn refused_as(status: StatusCode, refusal: &Refusal) -> Response<Body> {
    let mut body = Vec::new();
    json::encode_error_body(&mut body, refusal);
    let mut response = in_json(status, body);
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}

/// A request that makes no sense, and what would.
pub(super) fn bad_request(status: StatusCode, why: impl Into<String>) -> Response<Body> {
    refused_as(status, &Refusal::BadCommand { why: why.into() })
}

pub(super) fn in_json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    with_type(status, JSON, body)
}

pub(super) fn with_type(status: StatusCode, kind: HeaderValue, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    // Nothing that is answered here is the same a moment later.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The connection is not kept: what is left of the request is not read.
pub(super) fn and_close(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// For a path that is there, and is asked for with another method. The router says with which it may be.
pub(super) async fn wrong_method(method: Method, uri: Uri) -> Response<Body> {
    let why = format!("{} takes no {method}; Allow says what it takes", uri.path());
    bad_request(StatusCode::METHOD_NOT_ALLOWED, why)
}

fn status(refusal: &Refusal) -> StatusCode {
    match refusal.code() {
        "forbidden" => StatusCode::FORBIDDEN,
        "no_such_room" | "no_such_nick" | "no_such_show" | "no_such_seat" => StatusCode::NOT_FOUND,
        "nick_taken" | "not_a_member" | "room_full" | "key_reused" => StatusCode::CONFLICT,
        "already_checked_in" | "not_checked_in" | "seat_taken" | "hold_expired" | "not_yours" => {
            StatusCode::CONFLICT
        }
        "too_long" => StatusCode::PAYLOAD_TOO_LARGE,
        "too_fast" | "too_many" => StatusCode::TOO_MANY_REQUESTS,
        "unavailable" | "unknown" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

#[cfg(test)]
mod tests {
    use madang_room::{Nick, RoomName, TextError};

    use super::*;

    #[test]
    fn a_status_says_whose_doing_it_is() {
        let room = || RoomName::parse("duo-7").unwrap();
        for (refusal, expected) in [
            (Refusal::BadJson { why: String::new() }, 400),
            (Refusal::BadText(TextError::Empty), 400),
            (Refusal::NickReserved { nick: Nick::guest(1) }, 403),
            (Refusal::NoSuchRoom { room: room() }, 404),
            (Refusal::NoSuchShow { show: String::new() }, 404),
            (Refusal::NoSuchReservation, 409),
            (Refusal::NickTaken { nick: Nick::guest(1) }, 409),
            (Refusal::RoomFull { room: room(), capacity: 2 }, 409),
            (Refusal::KeyReused { key: String::new() }, 409),
            (Refusal::TooLong { what: "a body", max: 1 }, 413),
            (Refusal::TooFast { per_second: 20 }, 429),
            (Refusal::TooManyConnections { max: 50 }, 429),
            (Refusal::Unavailable { room: room() }, 503),
            (Refusal::Closing, 503),
            (Refusal::Unknown { room: room() }, 503),
        ] {
            let response = refused(&refusal);
            assert_eq!(response.status().as_u16(), expected, "{}", refusal.code());
            let says_when = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(says_when, expected == 429 || expected == 503, "{}", refusal.code());
        }
    }
}
