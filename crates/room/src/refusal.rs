//! Why something was refused: one table of codes for every door.

use crate::{KEY_BYTES_MAX, NameError, Nick, RoomName, TextError};

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
pub const REFUSAL_CODES: [&str; 16] = [
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
            Forbidden { .. } | NickReserved { .. } | NotTheCreator { .. } => "forbidden",
            NoSuchRoom { .. } => "no_such_room",
            NoSuchNick { .. } => "no_such_nick",
            NotAMember { .. } | InNoRoom => "not_a_member",
            RoomFull { .. } => "room_full",
            KeyReused { .. } => "key_reused",
            TooLong { .. } | BadText(TextError::TooLong(_)) | BadKey { .. } => "too_long",
            TooFast { .. } => "too_fast",
            TooManyRooms { .. } | TooManyConnections { .. } => "too_many",
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
