//! Madang's codecs, without I/O: bytes to requests, and answers, events and notices to bytes.
//!
//! One vocabulary ([`Request`], [`Answer`], [`Notice`], and the model's events), one module for each encoding of it.
//! Nothing here touches a socket, reads a clock or knows a room's state.

mod answer;
mod request;

pub use answer::{Answer, Bye, Happening, History, Joined, Notice, RoomRow, Welcome};
pub use request::{HISTORY_EVENTS_MAX, ID_BYTES_MAX, Op, Request, RequestId, ROOMS_MAX};
