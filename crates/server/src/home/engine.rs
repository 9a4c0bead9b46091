//! Engine.IO (protocol 4) of one connection: packets out of frames, heartbeats, and its end.
//!
//! It is spoken in WebSocket frames, also where a client polls: the HTTP door carries the frames in bodies then, and a
//! change from one to the other is nothing but another socket.

use std::time::Duration;

use madang_room::Timestamp;
use madang_wire::engineio::{self, Handshake, Packet};
use madang_wire::websocket::{self, Decoder, Message};
use smol_str::SmolStr;

use crate::config::HttpService;

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) sid: SmolStr,
    decoder: Decoder,
    pub(crate) beat: Beat,
    /// The last frame is written.
    pub(crate) is_over: bool,
}

/// What the heart waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Time to ask whether the client is there.
    PingAt(Timestamp),
    /// Its answer.
    PongBy(Timestamp),
}

/// What came from the client.
pub(crate) enum Came<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// It is there.
    Pong,
    /// Something to be answered with these bytes.
    Answer(Vec<u8>),
    /// The end, with the last bytes for the client.
    End(Vec<u8>),
    Nothing,
}

impl Beat {
    pub(crate) fn due(self) -> Timestamp {
        let (Beat::PingAt(due) | Beat::PongBy(due)) = self;
        due
    }
}

impl Engine {
    /// A new session, and the bytes that it begins with.
    pub(crate) fn open(
        sid: SmolStr,
        upgrades: bool,
        service: &HttpService,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Engine {
        let HttpService { ping_interval, ping_timeout, max_payload, .. } = *service;
        engineio::encode_open(
            out,
            &Handshake { sid: &sid, upgrades, ping_interval, ping_timeout, max_payload },
        );
        let beat = Beat::PingAt(now.plus(ping_interval));
        Engine { sid, decoder: Decoder::new(max_payload), beat, is_over: false }
    }

    /// Takes what comes next out of `rest`.
    pub(crate) fn next<'s, 'i: 's>(&'s mut self, rest: &mut &'i mut [u8]) -> Option<Came<'s>> {
        Some(match self.decoder.next(rest)? {
            Ok(Message::Text(text)) => match engineio::parse(text) {
                Some(Packet::Message(message)) => Came::Text(message),
                Some(Packet::Pong(_)) => Came::Pong,
                Some(Packet::Ping(data)) => {
                    let mut bytes = Vec::new();
                    engineio::encode_pong(&mut bytes, data);
                    Came::Answer(bytes)
                }
                Some(Packet::Close) => Came::End(close(1000, "")),
                Some(Packet::Upgrade | Packet::Noop) => Came::Nothing,
                Some(Packet::Open) | None => Came::End(close(1002, "there is no such packet")),
            },
            Ok(Message::Binary(bytes)) => Came::Binary(bytes),
            Ok(Message::Ping(data)) => {
                let mut bytes = Vec::new();
                websocket::pong_frame(&mut bytes, data);
                Came::Answer(bytes)
            }
            Ok(Message::Pong) => Came::Nothing,
            Ok(Message::Close(code)) => Came::End(close(code.unwrap_or(1000), "")),
            Err(error) => Came::End(close(error.close_code(), &error.to_string())),
        })
    }

    /// The client is there: it is asked again after `ping_interval`, at the time that is returned.
    pub(crate) fn hear_pong(&mut self, now: Timestamp, ping_interval: Duration) -> Timestamp {
        let due = now.plus(ping_interval);
        self.beat = Beat::PingAt(due);
        due
    }

    /// Writes the end of the session, if that is not done.
    pub(crate) fn encode_end(&mut self, out: &mut Vec<u8>, code: u16, why: &str) {
        if !std::mem::replace(&mut self.is_over, true) {
            out.extend_from_slice(engineio::CLOSE);
            websocket::close_frame(out, code, why);
        }
    }
}

fn close(code: u16, why: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    websocket::close_frame(&mut bytes, code, why);
    bytes
}
