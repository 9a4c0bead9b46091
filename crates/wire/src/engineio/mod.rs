//! Engine.IO, protocol 4: the packets beneath Socket.IO, and how polling carries them.
//!
//! The server writes every packet as one WebSocket frame ([`crate::websocket`]): a text frame with the packet's type
//! and data, or a binary frame with a binary message as it is. A client that polls is sent the same frames as the
//! body of an answer ([`payload_of_frames`]), and what it posts enters by the same decoder ([`split_payload`],
//! [`crate::websocket::masked_text_frame`]). So a session is the same one on both transports, also while it changes
//! from one to the other.
//!
//! Elsewhere: sessions, their timers and the upgrade (the server); what a message says ([`crate::socketio`]).

use std::time::Duration;

use data_encoding::BASE64;

use crate::json::Object;
use crate::websocket::{Opcode, split_first, text_frame};

/// A ping of the server's.
pub const PING: &[u8] = b"\x81\x012";
/// Nothing, to end a poll that waits.
pub const NOOP: &[u8] = b"\x81\x016";
/// The end of a session.
pub const CLOSE: &[u8] = b"\x81\x011";

/// Between the packets of a body: a record separator, which JSON has no use for.
const SEPARATOR: u8 = 0x1e;
/// Before a binary message in a body.
const BINARY: u8 = b'b';

/// What a client sent as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Of a server's, never a client's.
    Open,
    /// The client goes.
    Close,
    /// With `probe`, before an upgrade.
    Ping(&'a str),
    /// The answer to [`PING`].
    Pong(&'a str),
    /// A message, without its type.
    Message(&'a str),
    /// From here on everything goes by this WebSocket.
    Upgrade,
    /// Nothing.
    Noop,
}

/// Reads a packet; `None` where there is no such type.
pub fn parse(text: &str) -> Option<Packet<'_>> {
    let data = text.get(1..)?;
    Some(match text.as_bytes().first()? {
        b'0' => Packet::Open,
        b'1' => Packet::Close,
        b'2' => Packet::Ping(data),
        b'3' => Packet::Pong(data),
        b'4' => Packet::Message(data),
        b'5' => Packet::Upgrade,
        b'6' => Packet::Noop,
        _ => return None,
    })
}

/// What a new session is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake<'a> {
    /// The session's id, a secret.
    pub sid: &'a str,
    /// May it change to WebSocket? Not where it is on one already.
    pub upgrades: bool,
    /// Between two pings.
    pub ping_interval: Duration,
    /// For the answer to one.
    pub ping_timeout: Duration,
    /// Bytes in the body of a POST.
    pub max_payload: usize,
}

/// Writes the first packet of a session, `0{...}`, as a frame.
pub fn encode_open(out: &mut Vec<u8>, handshake: &Handshake<'_>) {
    let Handshake { sid, upgrades, ping_interval, ping_timeout, max_payload } = handshake;
    let upgrades: &[&str] = if *upgrades { &["websocket"] } else { &[] };
    text_frame(out, |out| {
        out.push(b'0');
        let mut open = Object::begin(out);
        open.text("sid", sid)
            .list("upgrades", upgrades, crate::json::push_json)
            .number("pingInterval", ping_interval.as_millis())
            .number("pingTimeout", ping_timeout.as_millis())
            .number("maxPayload", *max_payload);
        open.end();
    });
}

/// Writes the answer to a ping of the client's, with its data, as a frame.
pub fn encode_pong(out: &mut Vec<u8>, data: &str) {
    packet(out, b'3', data);
}

/// Writes a text message as a frame. A binary one is [`crate::websocket::binary_frame`].
pub fn encode_message(out: &mut Vec<u8>, text: &str) {
    packet(out, b'4', text);
}

fn packet(out: &mut Vec<u8>, kind: u8, data: &str) {
    text_frame(out, |out| {
        out.push(kind);
        out.extend_from_slice(data.as_bytes());
    });
}

/// One packet in the body of a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadPart<'a> {
    /// For [`parse`].
    Text(&'a str),
    /// A binary message.
    Binary(Vec<u8>),
}

/// Why a body is refused, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Each packet costs a turn: many tiny ones are cheaper to send than to answer.
    #[error("a body may have {max} packets")]
    TooMany {
        /// Packets.
        max: usize,
    },
    /// What stands behind a `b` is not base64 (RFC 4648, section 4, padded).
    #[error("a binary packet is 'b' and base64")]
    NotBase64,
}

/// Splits the body of a POST into its packets, at most `packets_max`, in a time that grows with its length alone. An
/// empty body is one empty packet, which [`parse`] does not know.
pub fn split_payload(body: &str, packets_max: usize) -> Result<Vec<PayloadPart<'_>>, PayloadError> {
    let mut parts = Vec::new();
    for packet in body.split(char::from(SEPARATOR)) {
        if parts.len() == packets_max {
            return Err(PayloadError::TooMany { max: packets_max });
        }
        parts.push(match packet.as_bytes().split_first() {
            Some((&BINARY, data)) => PayloadPart::Binary(decode(data).ok_or(PayloadError::NotBase64)?),
            _ => PayloadPart::Text(packet),
        });
    }
    Ok(parts)
}

fn decode(data: &[u8]) -> Option<Vec<u8>> {
    // The library would take several texts, each with its padding, for one.
    let padding = data.iter().position(|byte| *byte == b'=').unwrap_or(data.len());
    if data.len() - padding > 2 {
        return None;
    }
    BASE64.decode(data).ok()
}

/// Appends the server's frames to the body of a GET, as long as it has no more than `bytes_max` bytes, and gives how
/// many bytes of `frames` it took: whole frames. An empty body takes the first packet whatever its length, so that
/// there is progress; one that holds packets already gets a separator first. WebSocket's own control frames have no
/// place in a body and are passed over.
pub fn payload_of_frames(frames: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> usize {
    let mut rest = frames;
    while let Some((opcode, payload, after)) = split_first(rest) {
        let bytes = match opcode {
            Opcode::Text => payload.len(),
            Opcode::Binary => 1 + BASE64.encode_len(payload.len()),
            _ => {
                rest = after;
                continue;
            }
        };
        if !out.is_empty() {
            if out.len().saturating_add(1 + bytes) > bytes_max {
                break;
            }
            out.push(SEPARATOR);
        }
        match opcode {
            Opcode::Text => out.extend_from_slice(payload),
            _ => {
                out.push(BINARY);
                let begin = out.len();
                out.resize(begin + BASE64.encode_len(payload.len()), 0);
                BASE64.encode_mut(payload, &mut out[begin..]);
            }
        }
        rest = after;
    }
    frames.len() - rest.len()
}

#[cfg(test)]
mod tests;
