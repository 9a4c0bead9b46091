//! Socket.IO (protocol 5) for Madang's rooms: packets to requests, and how a client is answered.
//!
//! Event names are the ops of the protocol and acknowledgments its replies. Beside those there are the two events of
//! simple clients, `room` and `chat message`.
//!
//! Elsewhere: packets themselves (`madang-wire`), what requests lead to (`commands`), coming back (`recovery`).

use madang_room::{Refusal, RoomName, Text};
use madang_wire::socketio::{self, Event, Kind, Offset, Packet};
use madang_wire::{Answer, Notice, Request, RequestId};
use serde_json::value::RawValue;

use super::engine::{Came, Engine};
use super::input::Taken;
use super::recovery::{Recovering, Trail};
use crate::batch::Form;

pub(crate) struct SocketIo {
    pub(crate) engine: Engine,
    pub(crate) stage: Stage,
    /// The room of a client that came in by `room`.
    pub(crate) simple_room: Option<RoomName>,
    /// The one before, until it has let the client go.
    pub(crate) simple_room_before: Option<RoomName>,
    /// Are its events told with an offset?
    has_recovery: bool,
    /// Binary messages that belong to an event: nothing here takes any, so they are dropped.
    attachments_left: usize,
    /// What the client has been sent, where it may come back for the rest.
    pub(crate) trail: Option<Trail>,
    /// Which rooms are to be joined again before it is connected.
    pub(crate) way_back: Option<Box<Recovering>>,
}

/// How far a client has come with the namespace `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Opened,
    /// Its `CONNECT` is being carried out.
    Connecting,
    Connected,
    /// It was not let in, and may try again.
    Refused,
    /// It has left the namespace and kept the connection.
    Left,
}

impl SocketIo {
    pub(crate) fn new(engine: Engine, has_recovery: bool) -> SocketIo {
        let trail = has_recovery.then(Trail::new);
        SocketIo {
            engine,
            stage: Stage::Opened,
            simple_room: None,
            simple_room_before: None,
            has_recovery,
            attachments_left: 0,
            trail,
            way_back: None,
        }
    }

    pub(crate) fn form(&self, room: &RoomName) -> Form {
        let is_simple = [&self.simple_room, &self.simple_room_before].contains(&&Some(room.clone()));
        Form::SocketIo { is_simple, has_offset: self.has_recovery }
    }

    /// Takes what comes next out of `rest`.
    pub(super) fn next(&mut self, rest: &mut &mut [u8]) -> Option<Taken> {
        let SocketIo { engine, stage, attachments_left, .. } = self;
        let taken = match engine.next(rest)? {
            Came::Text(_) if *attachments_left > 0 => broken("the attachments of an event come first"),
            Came::Text(text) => match socketio::parse(text) {
                Ok(packet) => {
                    *attachments_left = packet.attachments;
                    read(&packet, stage)
                }
                Err(error) => broken(&error.to_string()),
            },
            Came::Binary(_) => match attachments_left.checked_sub(1) {
                Some(left) => {
                    *attachments_left = left;
                    Taken::Nothing
                }
                None => broken("nothing binary was announced"),
            },
            Came::Pong => Taken::Pong,
            Came::Answer(bytes) => Taken::Answered(bytes),
            Came::End(bytes) => Taken::End(bytes),
            Came::Nothing => Taken::Nothing,
        };
        if matches!(taken, Taken::End(_)) {
            self.engine.is_over = true;
        }
        Some(taken)
    }

    pub(crate) fn encode_reply(
        &mut self,
        out: &mut Vec<u8>,
        re: Option<&RequestId>,
        result: &Result<Answer, Refusal>,
    ) {
        if self.stage == Stage::Connecting {
            return self.encode_connected(out, result);
        }
        match (re, result) {
            (Some(RequestId::Number(id)), _) => {
                // The numbers of acknowledgments were read as such.
                socketio::encode_ack(out, id.as_u64().unwrap_or_default(), result);
            }
            (_, Ok(_)) => {}
            (_, Err(refusal)) => self.encode_notice(out, &Notice::Error(refusal.clone())),
        }
    }

    /// Answers `CONNECT`, which is a `hello`.
    fn encode_connected(&mut self, out: &mut Vec<u8>, result: &Result<Answer, Refusal>) {
        match result {
            Ok(Answer::Welcome(welcome)) => {
                self.stage = Stage::Connected;
                let nonce = self.trail.as_ref().map(|trail| trail.nonce);
                // Public, and another one for each connection that is not the same one recovered.
                let sid = format!("{}-{:08x}", welcome.session, nonce.unwrap_or_default());
                let pid = nonce.map(|nonce| format!("{}.{nonce:08x}", welcome.resume));
                socketio::encode_connect(out, "/", &sid, pid.as_deref());
            }
            Ok(_) => {}
            Err(refusal) => {
                self.stage = Stage::Refused;
                self.way_back = None;
                socketio::encode_connect_error(out, "/", refusal);
            }
        }
    }

    pub(crate) fn encode_notice(&self, out: &mut Vec<u8>, notice: &Notice) {
        if matches!(self.stage, Stage::Connected) {
            socketio::encode_notice(out, notice);
        }
    }

    /// Tells a simple client that it could not come in.
    pub(crate) fn encode_failed(&self, out: &mut Vec<u8>) {
        let place = self.trail.as_ref().map(|trail| trail.last().as_ref().map(Offset::to_string));
        // What is not an offset is one nobody can come back with; without any, "failed" would be taken for it.
        socketio::encode_simple_result(out, place.map(Option::unwrap_or_default).as_deref());
    }
}

fn read(packet: &Packet<'_>, stage: &mut Stage) -> Taken {
    if packet.namespace != "/" {
        return match packet.kind {
            Kind::Connect => {
                let mut bytes = Vec::new();
                socketio::encode_invalid_namespace(&mut bytes, packet.namespace);
                Taken::Answered(bytes)
            }
            _ => broken("not connected to that namespace"),
        };
    }
    match (packet.kind, *stage) {
        (Kind::Connect, Stage::Opened | Stage::Refused | Stage::Left) => {
            match socketio::parse_auth(packet.data) {
                Ok(auth) => {
                    *stage = Stage::Connecting;
                    Taken::Connect(Box::new(auth))
                }
                Err(refusal) => {
                    *stage = Stage::Refused;
                    let mut bytes = Vec::new();
                    socketio::encode_connect_error(&mut bytes, "/", &refusal);
                    Taken::Answered(bytes)
                }
            }
        }
        (Kind::Connect, _) => broken("connected already"),
        (Kind::Disconnect, Stage::Connected) => {
            *stage = Stage::Left;
            Taken::Disconnect
        }
        (Kind::Event | Kind::BinaryEvent, Stage::Connected) => match socketio::parse_event(packet.data) {
            Ok(event) => read_event(&event, packet.id),
            Err(error) => broken(&error.to_string()),
        },
        // Nothing that we say asks for an acknowledgment.
        (Kind::Ack | Kind::BinaryAck, Stage::Connected) => Taken::Nothing,
        // What crosses the end of a namespace comes too late, and harms nobody.
        (_, Stage::Left | Stage::Refused) => Taken::Nothing,
        _ => broken("connect first"),
    }
}

fn read_event(event: &Event<'_>, id: Option<u64>) -> Taken {
    let re = || id.map(|id| RequestId::Number(id.into()));
    let argument = event.args.first().copied();
    let refused = |refusal| Taken::Refused { re: re(), refusal };
    match (&*event.name, argument.and_then(as_string)) {
        ("room", Some(name)) => match RoomName::parse(&name) {
            Ok(room) => Taken::SimpleJoin { re: re(), room },
            Err(why) => refused(Refusal::BadName { name: name.chars().take(64).collect(), why }),
        },
        ("chat message", Some(text)) => match Text::parse(&text) {
            Ok(text) => Taken::SimpleSay { re: re(), text },
            Err(why) => refused(Refusal::BadText(why)),
        },
        (name @ ("room" | "chat message"), None) => {
            refused(Refusal::BadCommand { why: format!("{name} takes a string") })
        }
        _ => match socketio::request(event, id) {
            Ok(Request { id, op }) => Taken::Request(Request { id, op }),
            Err(error) => Taken::Refused { re: error.id, refusal: error.refusal },
        },
    }
}

fn as_string(argument: &RawValue) -> Option<String> {
    serde_json::from_str(argument.get()).ok()
}

/// Who doesn't speak the protocol is let go, with the reason.
fn broken(why: &str) -> Taken {
    let mut bytes = Vec::new();
    madang_wire::websocket::close_frame(&mut bytes, 1002, why);
    Taken::End(bytes)
}
