//! What a connection's bytes are made of: lines, or WebSocket frames after a handshake by HTTP, with Engine.IO's and
//! Socket.IO's own handshakes on top where the server speaks these.
//!
//! A [`Wire`] is fed what a read brought. It takes whole records off the front, carries out the handshakes, and answers
//! what a client has to answer (pings of both layers) without anybody else hearing of it.

use std::net::SocketAddr;
use std::ops::Range;

use crate::frame::{self, Frame};
use crate::plan::Protocol;

/// The key of the example in RFC 6455, section 1.3, and the answer to it: a server that gives it has read ours.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A longer head of an answer is not one.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes shown of what a server says.
const SHOWN_BYTES_MAX: usize = 200;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Lines: there is nothing to agree on.
    Lines,
    /// The server's answer by HTTP has not come.
    Http { is_socketio: bool },
    /// Engine.IO's first packet has not come.
    Engine,
    /// We asked for the namespace `/`, and have no answer.
    Namespace,
    /// Everything that comes is a message, but for what belongs to the transport.
    Frames,
}

/// What was taken off the front of the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Whole records for whoever listens. Nothing before its end is needed again.
    pub(crate) records: Range<usize>,
    /// The handshakes are over since just now.
    pub(crate) has_opened: bool,
    /// There is something to send.
    pub(crate) has_answered: bool,
}

/// Why nothing more can be had from this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It doesn't speak HTTP.
    NotHttp { begins: String },
    /// It does, and won't speak WebSocket there.
    Status { status: String, says: String },
    /// It refuses the namespace.
    Refused { packet: String },
    /// A packet that a handshake has no place for.
    Unexpected { packet: String },
    /// A frame that no server may send, or that we don't take.
    Frame(&'static str),
    /// It says goodbye.
    Closed { words: String },
    /// A line without an end.
    Endless { bytes: usize },
}

impl Wire {
    pub(crate) fn new(protocol: Protocol) -> Wire {
        match protocol {
            Protocol::Line | Protocol::Json => Wire::Lines,
            Protocol::WebSocket => Wire::Http { is_socketio: false },
            Protocol::SocketIo => Wire::Http { is_socketio: true },
        }
    }

    /// What a client has to say first.
    pub(crate) fn request(protocol: Protocol, address: SocketAddr) -> Vec<u8> {
        let Some(path) = protocol.path() else { return Vec::new() };
        format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        .into_bytes()
    }

    /// Takes what is whole. What has to be answered is appended to `out`.
    #[inline]
    pub(crate) fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Taken, Wrong> {
        match self {
            Wire::Lines => {
                let whole = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
                Ok(Taken { records: 0..whole, ..Taken::default() })
            }
            Wire::Frames => take_frames(bytes, 0, out),
            _ => self.shake_hands(bytes, out),
        }
    }

    /// The handshakes: a few packets for each connection, and whatever comes right behind them.
    #[cold]
    fn shake_hands(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Taken, Wrong> {
        let answered = out.len();
        let mut at = 0;
        if let Wire::Http { is_socketio } = *self {
            match upgraded(bytes)? {
                None => return Ok(Taken::default()),
                Some(head_bytes) => at = head_bytes,
            }
            *self = if is_socketio { Wire::Engine } else { Wire::Frames };
        }
        while *self != Wire::Frames {
            let Some(frame) = Frame::first(&bytes[at..]).map_err(Wrong::Frame)? else {
                let has_answered = out.len() > answered;
                return Ok(Taken { records: at..at, has_opened: false, has_answered });
            };
            at += frame.bytes;
            if is_duty(&frame) {
                do_duty(&frame, out)?;
                continue;
            }
            *self = match (&*self, frame.payload) {
                (Wire::Engine, [b'0', ..]) => {
                    frame::push_text(b"40{}", out);
                    Wire::Namespace
                }
                (Wire::Namespace, [b'4', b'0', ..]) => Wire::Frames,
                (_, [b'4', b'4', ..]) => return Err(Wrong::Refused { packet: shown(frame.payload) }),
                _ => return Err(Wrong::Unexpected { packet: shown(frame.payload) }),
            };
        }
        let taken = take_frames(bytes, at, out)?;
        Ok(Taken { has_opened: true, has_answered: out.len() > answered, ..taken })
    }
}

/// Whole frames from `from` on.
#[inline]
fn take_frames(bytes: &[u8], from: usize, out: &mut Vec<u8>) -> Result<Taken, Wrong> {
    let answered = out.len();
    let mut at = from;
    while let Some(frame) = Frame::first(&bytes[at..]).map_err(Wrong::Frame)? {
        if is_duty(&frame) {
            do_duty(&frame, out)?;
        }
        at += frame.bytes;
    }
    Ok(Taken { records: from..at, has_opened: false, has_answered: out.len() > answered })
}

/// Does it concern the transport alone? Engine.IO's packets without data do; no message of anybody has one byte.
#[inline]
fn is_duty(frame: &Frame<'_>) -> bool {
    frame.is_control() || frame.payload.len() == 1
}

#[cold]
fn do_duty(frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<(), Wrong> {
    match frame.payload {
        payload if frame.is_close() => return Err(Wrong::Closed { words: close_words(payload) }),
        payload if frame.is_ping() => frame::push_pong(payload, out),
        _ if frame.is_control() => {}
        b"2" => frame::push_text(b"3", out),
        b"1" => return Err(Wrong::Closed { words: "1 (Engine.IO: close)".to_owned() }),
        _ => {}
    }
    Ok(())
}

/// How long the head of the answer is, once it is there and says yes.
fn upgraded(bytes: &[u8]) -> Result<Option<usize>, Wrong> {
    let known = bytes.len().min(5);
    if bytes[..known] != b"HTTP/"[..known] {
        return Err(Wrong::NotHttp {
            begins: shown(bytes.split(|&byte| byte == b'\n').next().unwrap_or(bytes)),
        });
    }
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return match bytes.len() {
            ..HEAD_BYTES_MAX => Ok(None),
            bytes => Err(Wrong::Endless { bytes }),
        };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split_once(' ')).map_or("", |(_, status)| status);
    let says = || shown(&bytes[end + 4..]);
    if !status.starts_with("101") {
        return Err(Wrong::Status { status: status.to_owned(), says: says() });
    }
    let accept = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("sec-websocket-accept").then(|| value.trim().to_owned())
    });
    match accept.as_deref() {
        Some(ACCEPT) => Ok(Some(end + 4)),
        _ => Err(Wrong::Status { status: format!("{status}, without the answer to our key"), says: says() }),
    }
}

/// The code and the reason of a close frame.
fn close_words(payload: &[u8]) -> String {
    match payload.split_first_chunk() {
        None => "close, without a code".to_owned(),
        Some((code, reason)) => {
            format!("close {} {}", u16::from_be_bytes(*code), shown(reason)).trim_end().to_owned()
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES_MAX)]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    /// A short frame of a server.
    fn text(payload: &str) -> Vec<u8> {
        [&[0x81, payload.len() as u8], payload.as_bytes()].concat()
    }

    fn open(protocol: Protocol, bytes: &[u8]) -> (Wire, Result<Taken, Wrong>, Vec<u8>) {
        let (mut wire, mut out) = (Wire::new(protocol), Vec::new());
        let taken = wire.take(bytes, &mut out);
        (wire, taken, out)
    }

    #[test]
    fn lines_need_no_handshake() {
        let (wire, taken, out) = open(Protocol::Line, b"one\ntwo\nthr");
        assert_eq!((wire, taken.unwrap().records, out), (Wire::Lines, 0..8, vec![]));
        assert_eq!(Wire::request(Protocol::Line, ([127, 0, 0, 1], 1).into()), b"");
    }

    #[test]
    fn handshakes_come_out_the_same_however_they_are_cut() {
        let said = text(r#"42["said",{}]"#);
        let all =
            [YES.as_bytes(), &text(r#"0{"sid":"x"}"#), &text("2"), &text(r#"40{"sid":"y"}"#), &said].concat();
        let answers = b"\x81\x84\0\0\0\x0040{}\x81\x81\0\0\0\x003";
        for cut in 0..=all.len() {
            let (mut wire, mut out) = (Wire::new(Protocol::SocketIo), Vec::new());
            let (mut opened, mut heard, mut kept) = (0, Vec::new(), Vec::new());
            for part in [&all[..cut], &all[cut..]] {
                kept.extend_from_slice(part);
                let taken = wire.take(&kept, &mut out).unwrap();
                opened += usize::from(taken.has_opened);
                heard.extend_from_slice(&kept[taken.records.clone()]);
                kept.drain(..taken.records.end);
            }
            assert_eq!((wire, opened), (Wire::Frames, 1), "cut at {cut}");
            assert_eq!((&heard, &out[..]), (&said, &answers[..]), "cut at {cut}");
        }
    }

    #[test]
    fn a_plain_websocket_is_open_at_once() {
        let (wire, taken, out) = open(Protocol::WebSocket, YES.as_bytes());
        assert_eq!((wire, out), (Wire::Frames, vec![]));
        assert!(taken.unwrap().has_opened);
    }

    #[test]
    fn pings_are_answered_and_not_heard_as_messages() {
        let (mut wire, mut out) = (Wire::Frames, Vec::new());
        let bytes = [text("2"), b"\x89\x02hi".to_vec(), text("{}")].concat();
        let taken = wire.take(&bytes, &mut out).unwrap();
        assert!(taken.has_answered);
        assert_eq!(out, b"\x81\x81\0\0\0\x003\x8a\x82\0\0\0\0hi");
    }

    #[test]
    fn a_server_that_says_no_is_quoted() {
        let wrong = |protocol, bytes: &[u8]| open(protocol, bytes).1.unwrap_err();
        let status = |status: &str, says: &str| Wrong::Status { status: status.into(), says: says.into() };
        let no = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 40\r\n\r\n{\"code\":0,\"message\":\"Transport unknown\"}";
        assert_eq!(
            wrong(Protocol::SocketIo, no),
            status("400 Bad Request", r#"{"code":0,"message":"Transport unknown"}"#)
        );
        let deaf = YES.replace("s3pPLMB", "xxxxxxx");
        assert_eq!(
            wrong(Protocol::WebSocket, deaf.as_bytes()),
            status("101 Switching Protocols, without the answer to our key", "")
        );
        assert_eq!(
            wrong(Protocol::WebSocket, b"* you are Guest1 in plaza (3 here)\n"),
            Wrong::NotHttp { begins: "* you are Guest1 in plaza (3 here)".into() }
        );
        assert_eq!(
            wrong(Protocol::WebSocket, &[YES.as_bytes(), b"\x88\x06\x03\xe9gone"].concat()),
            Wrong::Closed { words: "close 1001 gone".into() }
        );
        let engine =
            |packet: &str| wrong(Protocol::SocketIo, &[YES.as_bytes(), &text("0{}"), &text(packet)].concat());
        let packet = r#"44{"message":"no"}"#;
        assert_eq!(engine(packet), Wrong::Refused { packet: packet.into() });
        assert_eq!(engine("42[1]"), Wrong::Unexpected { packet: "42[1]".into() });
        assert_eq!(engine("1"), Wrong::Closed { words: "1 (Engine.IO: close)".into() });
    }
}
