//! Madang's model: what rooms are, what may be asked of them, and what they answer.
//!
//! **A room is an ordered log of events; its state is a fold over that log.** A [`Command`] meets the state,
//! `decide` answers with events or a [`Refusal`], `apply` folds the events in. Both are plain functions: `now`,
//! ids, codes and the number of people present are arguments. There are three kinds: [`Chat`], [`Lobby`], [`Show`].
//!
//! This crate does no I/O, reads no clock, draws no random number and is never async. Bytes are the business
//! of `madang-wire`, storage of `madang-log`, sockets of `madang-server`.

mod chat;
mod code;
mod command;
mod event;
mod lobby;
mod name;
mod once;
mod participant;
mod refusal;
mod seats;
mod show;
mod text;
mod units;

pub use chat::{Chat, SavedChat};
pub use code::Code;
pub use command::{Actor, Command, Decided, Decision, Events};
pub use event::{Asked, Entry, Event, Presence, Seats, SeatsNow, WhyLeft};
pub use lobby::{
    Duplicate, LOBBY_BYTES_MAX, Lobby, LobbyCommand, LobbyOutcome, LobbySettings, Place, SavedLobby,
};
pub use name::{NAME_MARKS_MAX, NICK_BYTES_MAX, NameError, Nick, ROOM_BYTES_MAX, RoomName};
pub use once::{KEY_BYTES_MAX, Key, Once, SessionId};
pub use participant::{IdPattern, Participant, PatternError};
pub use refusal::{REFUSAL_CODES, Refusal};
pub use seats::{
    AREAS_MAX, SEAT_NUMBER_MAX, SEATS_MAX, SECTION_BYTES_MAX, SeatArea, SeatId, SeatMap, SeatMapError,
    SeatRow, SeatStatus,
};
pub use show::{SavedShow, Show, ShowCommand, ShowLimits, ShowOutcome, Wanted};
pub use text::{TEXT_BYTES_MAX, Text, TextError};
pub use units::{Seq, Timestamp};
