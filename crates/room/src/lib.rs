//! Madang's model: what rooms are, what may be asked of them, and what they answer.
//!
//! **A room is an ordered log of events; its state is a fold over that log.** A [`Command`] meets the state,
//! `decide` answers with events or a [`Refusal`], `apply` folds the events in. Both are plain functions: `now`,
//! ids and the number of people present are arguments.
//!
//! This crate does no I/O, reads no clock, draws no random number and is never async. Bytes are the business
//! of `madang-wire`, storage of `madang-log`, sockets of `madang-server`.

mod chat;
mod command;
mod event;
mod name;
mod once;
mod refusal;
mod text;
mod units;

pub use chat::{Chat, SavedChat};
pub use command::{Actor, Command, Decision, Events};
pub use event::{Entry, Event, Presence, WhyLeft};
pub use name::{NAME_MARKS_MAX, NICK_BYTES_MAX, NameError, Nick, ROOM_BYTES_MAX, RoomName};
pub use once::{KEY_BYTES_MAX, Key, Once, SessionId};
pub use refusal::{REFUSAL_CODES, Refusal};
pub use text::{TEXT_BYTES_MAX, Text, TextError};
pub use units::{Seq, Timestamp};
