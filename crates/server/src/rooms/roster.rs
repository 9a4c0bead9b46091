//! Who is in a room right now.

use madang_room::{Nick, SessionId};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::placement::{ConnRef, ShardId};

/// One member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) nick: Nick,
    pub(crate) session: SessionId,
}

/// The members of a room, and the shards where their connections are.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    members: FxHashMap<ConnRef, Member>,
    homes: SmallVec<[(ShardId, u32); 2]>,
}

impl Roster {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn member(&self, conn: ConnRef) -> Option<&Member> {
        self.members.get(&conn)
    }

    /// The shards that have members here.
    pub(crate) fn homes(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.homes.iter().map(|(shard, _)| *shard)
    }

    /// Adds a member, or changes the one of that connection. True where it is new.
    pub(crate) fn insert(&mut self, conn: ConnRef, member: Member) -> bool {
        let is_new = self.members.insert(conn, member).is_none();
        if is_new {
            match self.homes.iter_mut().find(|(shard, _)| *shard == conn.shard) {
                Some((_, members)) => *members += 1,
                None => self.homes.push((conn.shard, 1)),
            }
        }
        is_new
    }

    pub(crate) fn remove(&mut self, conn: ConnRef) -> Option<Member> {
        let member = self.members.remove(&conn)?;
        if let Some(at) = self.homes.iter().position(|(shard, _)| *shard == conn.shard) {
            self.homes[at].1 -= 1;
            if self.homes[at].1 == 0 {
                self.homes.swap_remove(at);
            }
        }
        if self.members.is_empty() {
            // A room that was large once should not stay so.
            self.members.shrink_to_fit();
        }
        Some(member)
    }

    /// Is the session here by another connection, which is about to be replaced?
    pub(crate) fn other_connection(&self, session: SessionId, conn: ConnRef) -> Option<ConnRef> {
        let other =
            |(at, member): (&ConnRef, &Member)| (member.session == session && *at != conn).then_some(*at);
        self.members.iter().find_map(other)
    }

    /// All nicknames, in the order of the alphabet.
    pub(crate) fn nicks(&self) -> Vec<Nick> {
        let mut nicks: Vec<Nick> = self.members.values().map(|member| member.nick.clone()).collect();
        nicks.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        nicks
    }
}
