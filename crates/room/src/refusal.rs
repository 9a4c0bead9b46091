//! Why something was refused: one table of codes for every door.

use crate::{IdPattern, KEY_BYTES_MAX, NameError, Nick, Participant, RoomName, SeatId, TextError};

/// Why a command was refused. Nothing changed, and the client may try something else. The text is for people: it
/// names the values involved and what would be right. The code is for programs and never changes its meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe variants and fields")]
pub enum Refusal {
    #[error("that is not a JSON object as this door reads it: {why}")]
    BadJson { why: String },
    #[error("{why}")]
    BadCommand { why: String },
    #[error("a line must be UTF-8: byte {at} is not")]
    NotUtf8 { at: usize },
    #[error("{0}")]
    BadText(TextError),
    #[error("{name:?} is no name: {why}")]
    BadName { name: String, why: NameError },
    #[error("{room} can't be made: only lobbies and shows have rooms with a '/' in their name")]
    InnerRoom { room: RoomName },
    #[error("{nick} is taken, try another name")]
    NickTaken { nick: Nick },
    #[error("{nick} can't be taken: it is kept for the server and for newcomers")]
    NickReserved { nick: Nick },
    #[error("there is no room {room}; /rooms lists those in use")]
    NoSuchRoom { room: RoomName },
    #[error("nobody here is called {nick}")]
    NoSuchNick { nick: Nick },
    #[error("you are not in {room}, join it first")]
    NotAMember { room: RoomName },
    #[error("you are in no room, join one first: /join plaza")]
    InNoRoom,
    #[error("{room} holds {capacity} and is full")]
    RoomFull { room: RoomName, capacity: u32 },
    #[error("{room} is no chat room, so this can't be done there; it is a {kind}")]
    NotAChat { room: RoomName, kind: &'static str },
    #[error("there is no lobby {lobby}")]
    NoSuchLobby { lobby: RoomName },
    #[error("there is no lobby here; a lobby has a door of its own, or is named in JSON")]
    NoLobbyHere,
    #[error("you are checked in as {participant}, in group {group}; check out first")]
    AlreadyCheckedIn { participant: Participant, group: u32 },
    #[error("{participant} is checked in by somebody else, in group {group}")]
    IdInUse { participant: Participant, group: u32 },
    #[error("you are not checked in at {lobby}; write checkin and your id, such as checkin {}", .pattern.first())]
    NotCheckedIn { lobby: RoomName, pattern: Box<IdPattern> },
    #[error("{participant:?} is no id here; ids go from {} to {}", .pattern.first(), .pattern.last())]
    BadParticipant { participant: String, pattern: Box<IdPattern> },
    #[error("only a host may do this; /host and the secret make you one")]
    NotAHost,
    #[error("that is not the secret that makes a host")]
    WrongSecret,
    #[error("there is no show or performance {show:?}; /shows lists them")]
    NoSuchShow { show: String },
    #[error("you watch no performance; /shows lists them, /watch SHOW/PERFORMANCE follows one")]
    NoPerformance,
    #[error("{seat:?} is no seat: section, row and number name one, as A-1-4 does")]
    BadSeat { seat: String },
    #[error("{performance} has no seat {seat}; /seats shows those it has")]
    NoSuchSeat { seat: SeatId, performance: RoomName },
    #[error("{seat} is taken")]
    SeatTaken { seat: SeatId },
    #[error("{performance} has no {count} free seats side by side; ask for fewer, or name them")]
    NotSideBySide { count: u32, performance: RoomName },
    #[error("your hold of {seat} has ended; it is still free, so hold it again")]
    HoldExpired { seat: SeatId },
    #[error("{seat} is not held by you")]
    NotHeldByYou { seat: SeatId },
    #[error("you hold no seats of {performance}; hold some first, or name those to reserve")]
    NothingHeld { performance: RoomName },
    #[error("there is no reservation with that code")]
    NoSuchReservation,
    #[error("you may hold {max} seats at once; you hold {held}, and {asked} more are too many")]
    TooManySeatsHeld { held: usize, asked: usize, max: u32 },
    #[error("one command may be about {max} seats, not {asked}; ask in parts")]
    TooManySeatsAsked { asked: usize, max: u32 },
    #[error("{why}")]
    Forbidden { why: String },
    #[error("only who made {room} may change its topic and capacity")]
    NotTheCreator { room: RoomName },
    #[error("the key {key:?} was used for something else; use a new one for each command")]
    KeyReused { key: String },
    #[error("a key has 1 to {KEY_BYTES_MAX} bytes, this one has {bytes}")]
    BadKey { bytes: usize },
    #[error("{what} may have {max} bytes; the rest was skipped")]
    TooLong { what: &'static str, max: usize },
    #[error(
        "that is more than {per_second} lines a second; slow down, the rest of what you sent was skipped"
    )]
    TooFast { per_second: u32 },
    #[error("you can be in {max} rooms at once; leave one first")]
    TooManyRooms { max: u32 },
    #[error("the server has {max} connections from your address, and takes no more")]
    TooManyConnections { max: u32 },
    #[error("{room} can't be kept right now, nothing happened; try again soon")]
    Unavailable { room: RoomName },
    #[error("the server is closing; come back in a moment")]
    Closing,
    #[error("it is not known whether {room} kept that; ask again with the same key")]
    Unknown { room: RoomName },
}

/// All codes, in an order that never changes but at its end.
pub const REFUSAL_CODES: [&str; 24] = [
    "bad_json",
    "bad_command",
    "bad_text",
    "bad_name",
    "nick_taken",
    "forbidden",
    "no_such_room",
    "no_such_nick",
    "not_a_member",
    "room_full",
    "key_reused",
    "too_long",
    "too_fast",
    "too_many",
    "unavailable",
    "unknown",
    "already_checked_in",
    "not_checked_in",
    "bad_participant",
    "no_such_show",
    "no_such_seat",
    "seat_taken",
    "hold_expired",
    "not_yours",
];

impl Refusal {
    /// The code on the wire.
    pub fn code(&self) -> &'static str {
        use Refusal::*;
        match self {
            BadJson { .. } => "bad_json",
            BadCommand { .. } => "bad_command",
            NotUtf8 { .. } | BadText(TextError::Empty) => "bad_text",
            BadName { .. } | InnerRoom { .. } => "bad_name",
            NickTaken { .. } => "nick_taken",
            Forbidden { .. }
            | NickReserved { .. }
            | NotTheCreator { .. }
            | NotAChat { .. }
            | NotAHost
            | WrongSecret => "forbidden",
            NoSuchRoom { .. } | NoSuchLobby { .. } | NoLobbyHere => "no_such_room",
            NoSuchNick { .. } => "no_such_nick",
            NotAMember { .. } | InNoRoom => "not_a_member",
            RoomFull { .. } => "room_full",
            AlreadyCheckedIn { .. } | IdInUse { .. } => "already_checked_in",
            NotCheckedIn { .. } => "not_checked_in",
            BadParticipant { .. } => "bad_participant",
            NoSuchShow { .. } | NoPerformance => "no_such_show",
            BadSeat { .. } | NoSuchSeat { .. } => "no_such_seat",
            SeatTaken { .. } | NotSideBySide { .. } => "seat_taken",
            HoldExpired { .. } => "hold_expired",
            NotHeldByYou { .. } | NothingHeld { .. } | NoSuchReservation => "not_yours",
            KeyReused { .. } => "key_reused",
            TooLong { .. } | BadText(TextError::TooLong(_)) | BadKey { .. } => "too_long",
            TooFast { .. } => "too_fast",
            TooManyRooms { .. }
            | TooManyConnections { .. }
            | TooManySeatsHeld { .. }
            | TooManySeatsAsked { .. } => "too_many",
            Unavailable { .. } | Closing => "unavailable",
            Unknown { .. } => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_values_involved() {
        let full = Refusal::RoomFull { room: RoomName::parse("duo-7").unwrap(), capacity: 2 };
        assert_eq!((full.code(), full.to_string().as_str()), ("room_full", "duo-7 holds 2 and is full"));
    }

    #[test]
    fn a_refusal_shows_a_name_as_people_read_it() {
        let inner = Refusal::InnerRoom { room: RoomName::parse("Day19/3").unwrap() };
        assert!(inner.to_string().starts_with("Day19/3 can't be made"), "{inner}");
    }
}
