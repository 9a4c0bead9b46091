//! Engine.IO and Socket.IO that only come back, for those who test clients and suites: no rooms, no session.
//!
//! Every Engine.IO message comes back; or, of Socket.IO, what is sent to `message` comes back as `message-back`, and
//! `message-with-ack` as its acknowledgment, in the namespaces `/` and `/custom`. Arguments come back byte for byte.

use std::time::Duration;

use madang_room::Timestamp;
use madang_wire::socketio::{self, Kind, Packet};
use madang_wire::{engineio, websocket};
use serde_json::value::RawValue;

use super::engine::{Came, Engine};
use crate::arrival::App;

/// How long after the answer to `CONNECT` the event `auth` follows: a client must have read the one before the other.
const AUTH_AFTER: Duration = Duration::from_millis(5);

const NAMESPACES: [&str; 2] = ["/", "/custom"];

pub(crate) struct Echoes {
    pub(crate) engine: Engine,
    app: App,
    is_connected: [bool; 2],
    /// Was any namespace ever connected to?
    pub(crate) was_connected: bool,
    /// An event whose binary parts are on their way: its packet, how many it has, and the frames that have come.
    binary: Option<(String, usize, Vec<u8>)>,
    /// Events to be sent at their time.
    later: Vec<(Timestamp, Vec<u8>)>,
}

/// What came of what a client has sent.
pub(super) enum Echoed {
    Nothing,
    Pong,
    End,
    /// Something is to be sent at that time.
    Later(Timestamp),
}

impl Echoes {
    pub(crate) fn new(engine: Engine, app: App) -> Echoes {
        let was_connected = app == App::EchoMessages;
        let later = Vec::new();
        Echoes { engine, app, is_connected: [false; 2], was_connected, binary: None, later }
    }

    /// Takes what comes next, and writes what comes back.
    pub(super) fn next(&mut self, rest: &mut &mut [u8], now: Timestamp, out: &mut Vec<u8>) -> Option<Echoed> {
        let Echoes { engine, app, .. } = self;
        let app = *app;
        Some(match engine.next(rest)? {
            Came::Text(text) if app == App::EchoMessages => {
                engineio::encode_message(out, text);
                Echoed::Nothing
            }
            Came::Binary(bytes) if app == App::EchoMessages => {
                websocket::binary_frame(out, bytes);
                Echoed::Nothing
            }
            Came::Text(text) => {
                let text = text.to_owned();
                self.take_packet(text, now, out)
            }
            Came::Binary(bytes) => {
                let Some((_, left, frames)) = &mut self.binary else { return Some(end(out)) };
                websocket::binary_frame(frames, bytes);
                *left -= 1;
                if *left == 0
                    && let Some((text, _, frames)) = self.binary.take()
                {
                    return Some(self.take_whole(&text, &frames, now, out));
                }
                Echoed::Nothing
            }
            Came::Pong => Echoed::Pong,
            Came::Answer(bytes) => {
                out.extend_from_slice(&bytes);
                Echoed::Nothing
            }
            Came::End(bytes) => {
                out.extend_from_slice(&bytes);
                Echoed::End
            }
            Came::Nothing => Echoed::Nothing,
        })
    }

    fn take_packet(&mut self, text: String, now: Timestamp, out: &mut Vec<u8>) -> Echoed {
        match socketio::parse(&text) {
            Ok(_) if self.binary.is_some() => end(out),
            Ok(packet) if packet.attachments > 0 => {
                let attachments = packet.attachments;
                self.binary = Some((text, attachments, Vec::new()));
                Echoed::Nothing
            }
            Ok(_) => self.take_whole(&text, &[], now, out),
            Err(_) => end(out),
        }
    }

    fn take_whole(&mut self, text: &str, frames: &[u8], now: Timestamp, out: &mut Vec<u8>) -> Echoed {
        let Ok(packet) = socketio::parse(text) else { return end(out) };
        let Packet { kind, namespace, .. } = packet;
        let Some(at) = NAMESPACES.iter().position(|known| *known == namespace) else {
            if kind == Kind::Connect {
                socketio::encode_invalid_namespace(out, namespace);
                return Echoed::Nothing;
            }
            return end(out);
        };
        match kind {
            Kind::Connect if !self.is_connected[at] => self.connect(at, packet.data, now, out),
            Kind::Disconnect if self.is_connected[at] => {
                self.is_connected[at] = false;
                Echoed::Nothing
            }
            Kind::Event | Kind::BinaryEvent if self.is_connected[at] => {
                match socketio::parse_event(packet.data) {
                    Ok(event) => {
                        send_back(&packet, &event.name, &event.args, out);
                        out.extend_from_slice(frames);
                        Echoed::Nothing
                    }
                    Err(_) => end(out),
                }
            }
            Kind::Ack | Kind::BinaryAck if self.is_connected[at] => Echoed::Nothing,
            _ => end(out),
        }
    }

    fn connect(&mut self, at: usize, data: &str, now: Timestamp, out: &mut Vec<u8>) -> Echoed {
        self.is_connected[at] = true;
        self.was_connected = true;
        let sid = format!("{}{at}", self.engine.sid);
        socketio::encode_connect(out, NAMESPACES[at], &sid, None);
        let Ok(payload) = serde_json::from_str::<&RawValue>(if data.is_empty() { "{}" } else { data }) else {
            return end(out);
        };
        let mut auth = Vec::new();
        socketio::encode_raw_event(&mut auth, NAMESPACES[at], None, "auth", &[payload], 0);
        let due = now.plus(AUTH_AFTER);
        self.later.push((due, auth));
        Echoed::Later(due)
    }

    /// Writes what it is time for.
    pub(super) fn write_due(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        self.later.retain(|(due, bytes)| {
            let is_due = *due <= now;
            if is_due {
                out.extend_from_slice(bytes);
            }
            !is_due
        });
    }
}

fn send_back(packet: &Packet<'_>, name: &str, args: &[&RawValue], out: &mut Vec<u8>) {
    let Packet { namespace, id, attachments, .. } = packet;
    match (name, id) {
        ("message", _) => {
            socketio::encode_raw_event(out, namespace, None, "message-back", args, *attachments);
        }
        ("message-with-ack", Some(id)) => {
            socketio::encode_raw_ack(out, namespace, *id, args, *attachments);
        }
        _ => {}
    }
}

fn end(out: &mut Vec<u8>) -> Echoed {
    websocket::close_frame(out, 1002, "that is not Socket.IO");
    Echoed::End
}
