//! A room's events as server-sent events: the body of an answer that goes on for as long as its client reads it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use madang_room::{Refusal, RoomName, Seq};
use madang_wire::sse;
use smol_str::SmolStr;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::query::Query;
use super::{Client, Place, answer, api};
use crate::arrival::Manner;
use crate::message::ResumeFrom;
use crate::pipe::{Fetched, PipeDoor};

/// After this long without an event a comment is sent: nobody between us takes the connection for dead, and a client
/// that has gone is found out.
const QUIET_MAX: Duration = Duration::from_secs(15);
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Bytes of `epoch`; those that are given out are shorter.
const EPOCH_BYTES_MAX: usize = 128;

/// Does the client ask for a stream?
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    ranges.flat_map(|ranges| ranges.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_it = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/event-stream"));
        is_it && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// What the client has seen already. A browser that comes back asks for the same address as the first time, and says
/// in `Last-Event-ID` what has changed since.
pub(super) fn resume(query: &Query, headers: &HeaderMap) -> Result<Option<ResumeFrom>, Refusal> {
    let after = match headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) {
        Some(id) => {
            let seq = id.to_str().ok().and_then(|id| id.trim().parse().ok());
            Some(Seq(seq.ok_or_else(|| bad("Last-Event-ID is the seq of an event, a whole number"))?))
        }
        None => api::seq(query, "after")?,
    };
    let epoch = query.text("epoch")?.map(SmolStr::new);
    if epoch.as_ref().is_some_and(|epoch| epoch.len() > EPOCH_BYTES_MAX) {
        return Err(bad("\"epoch\" is as the stream has told it"));
    }
    Ok(after.map(|after| ResumeFrom { after, epoch }))
}

/// Begins a stream; or answers that there is no such room.
pub(super) async fn open(
    place: &Arc<Place>,
    client: &Client,
    room: RoomName,
    resume: Option<ResumeFrom>,
) -> Response<Body> {
    let (begun, is_begun) = oneshot::channel();
    let manner = Manner::Stream { room, resume, begun };
    let door = place.hall.open_pipe(place.visitor(client, None), manner);
    // A shard that ends before it has answered has closed all its connections.
    if let Err(refusal) = is_begun.await.unwrap_or(Err(Refusal::Closing)) {
        return answer::refused(&refusal);
    }
    let pieces = futures_util::stream::unfold(door, |door| async {
        let piece = next(&door).await?;
        Some((Ok::<_, std::convert::Infallible>(piece), door))
    });
    let mut response = answer::with_type(StatusCode::OK, EVENT_STREAM, Body::from_stream(pieces));
    // A proxy that collects before it passes on would make a stream of it that comes in lumps.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// What is sent next, when there is something; none when the stream has ended.
async fn next(door: &PipeDoor) -> Option<Bytes> {
    let quiet_until = Instant::now() + QUIET_MAX;
    loop {
        match door.fetch(|waiting| waiting.len()) {
            Fetched::Bytes(bytes) => return Some(bytes.into()),
            Fetched::Ended => return None,
            Fetched::Nothing => {}
        }
        if timeout_at(quiet_until, door.changed()).await.is_err() {
            return Some(Bytes::from_static(sse::KEEP_ALIVE));
        }
    }
}

fn bad(why: &str) -> Refusal {
    Refusal::BadCommand { why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn who_asks_for_a_stream_gets_one() {
        for (accept, expected) in [
            ("text/event-stream", true),
            ("Text/Event-Stream; q=0.5", true),
            ("application/json, text/event-stream", true),
            ("text/event-stream;q=0", false),
            ("*/*", false),
            ("application/json", false),
        ] {
            assert_eq!(is_wanted(&headers(&[("accept", accept)])), expected, "{accept}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }

    #[test]
    fn what_was_seen_last_wins_over_the_address() {
        let seen = |query: &str, pairs| {
            let query = Query::of(&format!("/?{query}").parse().unwrap());
            resume(&query, &headers(pairs))
                .map(|resume| resume.map(|ResumeFrom { after, epoch }| (after.0, epoch)))
        };
        assert_eq!(seen("", &[]), Ok(None));
        assert_eq!(seen("after=810", &[]), Ok(Some((810, None))));
        assert_eq!(
            seen("after=810&epoch=e7", &[("last-event-id", "812")]),
            Ok(Some((812, Some("e7".into()))))
        );
        assert_eq!(seen("after=810", &[("last-event-id", "")]), Ok(Some((810, None))));
        assert!(seen("after=810", &[("last-event-id", "x")]).is_err());
        assert!(seen("after=x", &[]).is_err());
    }
}
