//! Who owns what: which shard a room, a nickname or a session belongs to, and how a connection is named.

use std::hash::{BuildHasher, RandomState};

use madang_room::{Nick, RoomName, SessionId};

/// The number of a shard, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ShardId(pub(crate) u16);

/// One connection of one shard. The generation tells it from an earlier one in the same slot, so a message for a
/// connection that has gone reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConnRef {
    pub(crate) shard: ShardId,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl ConnRef {
    /// No connection: for what the server does of its own accord.
    pub(crate) const NOBODY: ConnRef = ConnRef { shard: ShardId(0), slot: u32::MAX, generation: u32::MAX };
}

/// Spreads rooms, nicknames and sessions over the shards; equal for all shards of a server. The hash is keyed at
/// random, so nobody can choose names that all land on one shard.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    shards: u16,
    hasher: RandomState,
}

impl Placement {
    pub(crate) fn new(shards: u16) -> Placement {
        Placement { shards: shards.max(1), hasher: RandomState::new() }
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.shards).map(ShardId)
    }

    /// Rooms of one family live together: a lobby and its groups, a show and its performances.
    pub(crate) fn of_room(&self, room: &RoomName) -> ShardId {
        self.pick(|| room.family())
    }

    pub(crate) fn of_nick(&self, nick: &Nick) -> ShardId {
        self.pick(|| nick.key())
    }

    pub(crate) fn of_session(&self, session: SessionId) -> ShardId {
        self.pick(|| session)
    }

    /// The members of a relay hear each other through one shard.
    pub(crate) fn of_relay(&self, listener: u16) -> ShardId {
        ShardId(listener % self.shards)
    }

    fn pick<H: std::hash::Hash>(&self, what: impl FnOnce() -> H) -> ShardId {
        if self.shards == 1 {
            return ShardId(0);
        }
        ShardId((self.hasher.hash_one(what()) % u64::from(self.shards)) as u16)
    }
}
