//! In what words a session is spoken to: which bytes carry an answer, a notice, and what happens in its rooms.
//!
//! Elsewhere: the words themselves (`madang-wire`), and how what a client sends is taken apart (`input`, `socketio`).

use madang_room::{Refusal, RoomName};
use madang_wire::websocket::{self, text_frame};
use madang_wire::{Answer, LineDecoder, Notice, RequestId, json, sse, text};
use tokio::sync::oneshot;

use super::socketio::SocketIo;
use crate::batch::Form;

pub(crate) enum Tongue {
    /// Lines for people, or of JSON.
    Lines(Lines),
    /// JSON in WebSocket frames.
    WebSocket(Box<WebSocket>),
    SocketIo(Box<SocketIo>),
    /// Server-sent events: nothing comes from the client. `begun` hears whether there is such a room.
    Stream {
        begun: Option<oneshot::Sender<Result<(), Refusal>>>,
    },
    /// One call of the HTTP API: it has one answer, and no bytes.
    Call {
        reply: Option<oneshot::Sender<Result<Answer, Refusal>>>,
    },
}

/// What is left of what a WebSocket client has sent, and whether the last frame is written.
pub(crate) struct WebSocket {
    pub(crate) decoder: websocket::Decoder,
    pub(crate) is_over: bool,
}

/// How lines are cut and read.
pub(crate) struct Lines {
    pub(crate) decoder: LineDecoder,
    pub(crate) is_json: bool,
    pub(crate) is_chunked: bool,
    /// On a lobby's own listener some commands need no slash.
    pub(crate) is_lobby: bool,
    pub(crate) has_spoken: bool,
    /// Own messages too, as long as it is text.
    pub(crate) echo: bool,
    /// The last line before FIN was taken.
    pub(crate) is_finished: bool,
}

impl Tongue {
    pub(crate) fn lines(is_chunked: bool, is_lobby: bool) -> Tongue {
        Tongue::Lines(Lines {
            decoder: LineDecoder::text(),
            is_json: false,
            is_chunked,
            is_lobby,
            has_spoken: false,
            echo: false,
            is_finished: false,
        })
    }

    /// In which form what happens in `room` is written; the current room is the one that plain lines go to.
    pub(crate) fn form(&self, room: &RoomName, is_current: bool) -> Form {
        match self {
            Tongue::Lines(Lines { is_json: true, .. }) => Form::Json,
            Tongue::Lines(Lines { decoder, .. }) => {
                Form::Text(text::Form { is_current, crlf: decoder.is_telnet() })
            }
            Tongue::WebSocket(_) => Form::Frame,
            Tongue::SocketIo(socketio) => socketio.form(room),
            Tongue::Stream { .. } | Tongue::Call { .. } => Form::Stream,
        }
    }

    /// Does a client get its own messages too where it doesn't say otherwise?
    pub(crate) fn echoes(&self) -> bool {
        !matches!(self, Tongue::Lines(Lines { is_json: false, echo: false, .. }))
    }

    /// Is its last frame written?
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Tongue::WebSocket(socket) => socket.is_over,
            Tongue::SocketIo(socketio) => socketio.engine.is_over,
            Tongue::Lines(_) | Tongue::Stream { .. } | Tongue::Call { .. } => false,
        }
    }

    pub(crate) fn socketio(&mut self) -> Option<&mut SocketIo> {
        match self {
            Tongue::SocketIo(socketio) => Some(socketio),
            _ => None,
        }
    }

    /// Writes the answer to a request. Without an `id` many say nothing to a yes.
    pub(crate) fn encode_reply(
        &mut self,
        out: &mut Vec<u8>,
        re: Option<&RequestId>,
        result: &Result<Answer, Refusal>,
        zone: &jiff::tz::TimeZone,
    ) {
        match self {
            Tongue::Lines(Lines { is_json: true, .. }) => {
                json::as_line(out, |out| json::encode_reply(out, re, result));
            }
            Tongue::Lines(Lines { decoder, .. }) => match result {
                Ok(answer) => text::encode_answer(out, answer, zone, decoder.is_telnet()),
                Err(refusal) => text::encode_refusal(out, refusal, decoder.is_telnet()),
            },
            Tongue::WebSocket(_) => text_frame(out, |out| json::encode_reply(out, re, result)),
            Tongue::SocketIo(socketio) => socketio.encode_reply(out, re, result),
            Tongue::Stream { .. } => {}
            Tongue::Call { reply } => {
                if let Some(reply) = reply.take() {
                    // Who asked may have gone.
                    let _ = reply.send(result.clone());
                }
            }
        }
    }

    pub(crate) fn encode_notice(&self, out: &mut Vec<u8>, notice: &Notice) {
        match self {
            Tongue::Lines(Lines { is_json: true, .. }) => {
                json::as_line(out, |out| json::encode_notice(out, notice));
            }
            Tongue::Lines(Lines { decoder, .. }) => text::encode_notice(out, notice, decoder.is_telnet()),
            Tongue::WebSocket(_) => text_frame(out, |out| json::encode_notice(out, notice)),
            Tongue::SocketIo(socketio) => socketio.encode_notice(out, notice),
            Tongue::Stream { .. } => sse::encode_notice(out, notice),
            Tongue::Call { .. } => {}
        }
    }

    /// Writes what ends a conversation in its own way, before the socket is closed.
    pub(crate) fn encode_end(&mut self, out: &mut Vec<u8>, code: u16, why: &str) {
        match self {
            Tongue::WebSocket(socket) => {
                if !std::mem::replace(&mut socket.is_over, true) {
                    websocket::close_frame(out, code, why);
                }
            }
            Tongue::SocketIo(socketio) => socketio.engine.encode_end(out, code, why),
            Tongue::Lines(_) | Tongue::Stream { .. } | Tongue::Call { .. } => {}
        }
    }
}
