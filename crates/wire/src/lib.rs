//! Madang's codecs, without I/O: bytes to requests, and answers, events and notices to bytes.
//!
//! One vocabulary ([`Request`], [`Answer`], [`Notice`], and the model's events), one module for each encoding of it:
//! [`text`] for people, [`json`] for programs, [`socketio`] for the clients of Socket.IO, [`sse`] for a plain GET.
//! Beneath them, what carries them: [`lines`] finds where a line ends, [`websocket`] what is in a frame, [`engineio`]
//! what is in a packet.
//! Nothing here touches a socket, reads a clock or knows a room's state. No input is a panic: it is a request or a
//! refusal that says what is wrong.

mod answer;
#[cfg(test)]
mod docs;
pub mod engineio;
pub mod json;
pub mod lines;
mod request;
#[cfg(test)]
mod samples;
pub mod socketio;
pub mod sse;
pub mod text;
pub mod websocket;
mod wording;

pub use answer::{Answer, Bye, Happening, History, Joined, Notice, RoomRow, Welcome};
pub use lines::{JSON_BYTES_MAX, LINE_BYTES_MAX, Line, LineDecoder, chunk};
pub use request::{HISTORY_EVENTS_MAX, ID_BYTES_MAX, Op, ROOMS_MAX, Request, RequestId};
