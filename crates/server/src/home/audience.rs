//! The connections of one shard that hear what happens in one place.

use madang_room::RoomName;

use crate::batch::Form;

/// Everything of a batch is for this member.
pub(crate) const TO_THE_END: u32 = u32::MAX;

/// A member, as the fan-out sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    pub(crate) slot: u32,
    pub(crate) form: Form,
    /// Does it get its own messages too?
    pub(crate) echo: bool,
    /// It came in before this item of the coming batch.
    pub(crate) from: u32,
    /// It left before this item of the coming batch.
    pub(crate) until: u32,
}

impl Listener {
    /// Does it get each batch whole, as long as it doesn't speak itself?
    pub(crate) fn is_plain(&self) -> bool {
        self.from == 0 && self.until == TO_THE_END
    }
}

/// A connection's place in a room: where to find its [`Listener`].
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) room: RoomName,
    pub(crate) position: u32,
    /// Is it a performance, where seats are spoken of and nobody speaks?
    pub(crate) is_show: bool,
}
