//! The opening handshake of a WebSocket (RFC 6455, section 4.2), and its way to a shard.
//!
//! No extension and no subprotocol is agreed on. What follows the handshake is not HTTP's any more: the socket and
//! whatever was read behind the request go to the connection's home.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header};
use data_encoding::BASE64;
use hyper::upgrade::OnUpgrade;
use madang_wire::websocket;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::No;
use super::line::Line;
use super::{Client, Place};
use crate::arrival::Manner;

/// What RFC 6455 has the server append to the client's key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a key, decoded.
const KEY_BYTES: usize = 16;
/// How long a client that is sent away may take to go.
const DISMISSED_WITHIN: Duration = Duration::from_secs(1);

/// A handshake that will be answered with yes.
pub(super) struct Handshake {
    pub(super) response: Response<Body>,
    pub(super) opening: Opening,
}

/// A WebSocket from the answer to its handshake on.
pub(super) struct Opening(OnUpgrade);

/// `GET /ws`: rooms, in JSON.
pub(super) async fn rooms(
    State(place): State<Arc<Place>>,
    Extension(client): Extension<Arc<Client>>,
    mut request: Request,
) -> Response<Body> {
    match handshake(&mut request) {
        Ok(Handshake { response, opening }) => {
            tokio::spawn(opening.bring_in(place, client, Manner::WebSocket));
            response
        }
        Err(no) => refuse(&no),
    }
}

/// Is a WebSocket asked for at all?
pub(super) fn is_asked_for(request: &Request) -> bool {
    has_token(request.headers(), &header::UPGRADE, "websocket")
}

/// Checks a handshake; one that is wrong is answered with what would be right.
pub(super) fn handshake(request: &mut Request) -> Result<Handshake, No> {
    let headers = request.headers();
    let bad = |why: &str| No::bad(StatusCode::BAD_REQUEST, why);
    if !is_asked_for(request) || !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(No::bad(
            StatusCode::UPGRADE_REQUIRED,
            "this is a WebSocket: Connection: Upgrade, Upgrade: websocket",
        ));
    }
    if request.method() != Method::GET || request.version() != Version::HTTP_11 {
        return Err(bad("a WebSocket begins with GET in HTTP/1.1"));
    }
    if only(headers, &header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != b"13") {
        return Err(No::bad(StatusCode::UPGRADE_REQUIRED, "the version of WebSocket is 13"));
    }
    let key = only(headers, &header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let decoded = key.and_then(|key| BASE64.decode(key).ok());
    let Some(key) = key.filter(|_| decoded.is_some_and(|key| key.len() == KEY_BYTES)) else {
        return Err(bad("Sec-WebSocket-Key is 16 bytes in base64"));
    };
    let accept = BASE64.encode(&Sha1::new().chain_update(key).chain_update(GUID).finalize());
    let accept = HeaderValue::try_from(accept).map_err(|_| bad("Sec-WebSocket-Key is 16 bytes in base64"))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(Handshake { response, opening: Opening(hyper::upgrade::on(request)) })
}

impl Opening {
    /// The socket, when the answer to the handshake is written, and what was read behind the request.
    pub(super) async fn stream(self) -> Option<(TcpStream, Vec<u8>)> {
        // Who has gone in between is nobody's loss.
        let parts = self.0.await.ok()?.downcast::<Line>().ok()?;
        Some((parts.io.into_stream(), parts.read_buf.to_vec()))
    }

    /// Brings the connection to a shard.
    pub(super) async fn bring_in(self, place: Arc<Place>, client: Arc<Client>, manner: Manner) {
        let Some((stream, input)) = self.stream().await else { return };
        let visitor = place.visitor(&client, client.take_ip_slot());
        match for_shard(stream) {
            Ok(stream) => place.hall.open_socket(visitor, stream, manner, input),
            Err(error) => tracing::debug!(peer = %client.peer, %error, "a WebSocket broke as it began"),
        }
    }
}

/// From this runtime's hands into those of a shard. It stays one that does not block.
pub(super) fn for_shard(stream: TcpStream) -> std::io::Result<mio::net::TcpStream> {
    Ok(mio::net::TcpStream::from_std(stream.into_std()?))
}

/// Sends a WebSocket away, with the reason.
pub(super) async fn dismiss(mut stream: TcpStream, code: u16, why: &str) {
    let mut bytes = Vec::new();
    websocket::close_frame(&mut bytes, code, why);
    let going = async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
        // Until it has gone: a reset would take the reason from it.
        let mut dropped = [0; 1024];
        while stream.read(&mut dropped).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    let _ = timeout(DISMISSED_WITHIN, going).await;
}

/// Answers a handshake that is not one; where it asks for another protocol, with the one that there is.
pub(super) fn refuse(no: &No) -> Response<Body> {
    let mut response = no.answer();
    if no.status != StatusCode::UPGRADE_REQUIRED {
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

/// The value of a header that may stand there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn asked(method: &str, headers: &[(&str, &str)]) -> Result<Response<Body>, u16> {
        let mut request = Request::builder().method(method).uri("/ws");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        handshake(&mut request.body(Body::empty()).unwrap())
            .map(|handshake| handshake.response)
            .map_err(|no| no.status.as_u16())
    }

    fn with(name: &str, value: Option<&str>) -> Result<Response<Body>, u16> {
        let mut headers: Vec<(&str, &str)> = RIGHT.into_iter().filter(|(found, _)| *found != name).collect();
        headers.extend(value.map(|value| (name, value)));
        asked("GET", &headers)
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let response = asked("GET", &RIGHT).unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(response.headers()[header::SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let offered = with("sec-websocket-extensions", Some("permessage-deflate")).unwrap();
        assert!(!offered.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS));
        let offered = with("sec-websocket-protocol", Some("   ")).unwrap();
        assert!(!offered.headers().contains_key(header::SEC_WEBSOCKET_PROTOCOL));
    }

    #[test]
    fn a_handshake_that_is_wrong_is_refused() {
        for (name, value, expected) in [
            ("upgrade", None, 426),
            ("upgrade", Some("h2c"), 426),
            ("connection", Some("close"), 426),
            ("sec-websocket-version", None, 426),
            ("sec-websocket-version", Some("8"), 426),
            ("sec-websocket-version", Some("13, 8"), 426),
            ("sec-websocket-key", None, 400),
            ("sec-websocket-key", Some(""), 400),
            ("sec-websocket-key", Some("dGhlIHNhbXBsZQ=="), 400),
            ("sec-websocket-key", Some("not base64 at all, is it"), 400),
        ] {
            assert_eq!(with(name, value).unwrap_err(), expected, "{name}: {value:?}");
        }
        assert_eq!(asked("POST", &RIGHT).unwrap_err(), 400);
        let twice = [RIGHT.as_slice(), &[RIGHT[3]]].concat();
        assert_eq!(asked("GET", &twice).unwrap_err(), 400);
    }
}
