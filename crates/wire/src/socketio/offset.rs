//! Where a client is in a room, as the last argument of every event tells it.

use std::fmt;

use madang_room::{RoomName, Seq};

/// An event's place, `plaza:813`. What a client shows when it comes back is the last one that it has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offset {
    /// In whose log.
    pub room: RoomName,
    /// Where.
    pub seq: Seq,
}

impl Offset {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Offset> {
        let (room, seq) = text.rsplit_once(':')?;
        let seq = Some(seq).filter(|seq| seq.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some(Offset { room: RoomName::parse(room).ok()?, seq: Seq(seq.parse().ok()?) })
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.room, self.seq)
    }
}
