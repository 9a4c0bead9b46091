//! Who is in a room right now.

use madang_room::{Nick, SessionId};
use rustc_hash::{FxHashMap, FxHashSet};
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
    /// Connections that hear what happens and are not members; none in most rooms.
    followers: Option<Box<FxHashSet<ConnRef>>>,
    homes: SmallVec<[(ShardId, u32); 2]>,
}

impl Roster {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn member(&self, conn: ConnRef) -> Option<&Member> {
        self.members.get(&conn)
    }

    /// Is nobody here, member or not?
    pub(crate) fn is_empty(&self) -> bool {
        self.homes.is_empty()
    }

    /// The shards that have members or followers here.
    pub(crate) fn homes(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.homes.iter().map(|(shard, _)| *shard)
    }

    /// Adds a member, or changes the one of that connection. True where it is new.
    pub(crate) fn insert(&mut self, conn: ConnRef, member: Member) -> bool {
        let is_new = self.members.insert(conn, member).is_none();
        if is_new {
            self.count_in(conn.shard);
        }
        is_new
    }

    pub(crate) fn insert_follower(&mut self, conn: ConnRef) {
        if self.followers.get_or_insert_default().insert(conn) {
            self.count_in(conn.shard);
        }
    }

    /// True where it was one.
    pub(crate) fn remove_follower(&mut self, conn: ConnRef) -> bool {
        let was_here = self.followers.as_mut().is_some_and(|followers| followers.remove(&conn));
        if was_here {
            self.count_out(conn.shard);
        }
        self.followers.take_if(|followers| followers.is_empty());
        was_here
    }

    fn count_in(&mut self, shard: ShardId) {
        match self.homes.iter_mut().find(|(home, _)| *home == shard) {
            Some((_, here)) => *here += 1,
            None => self.homes.push((shard, 1)),
        }
    }

    fn count_out(&mut self, shard: ShardId) {
        if let Some(at) = self.homes.iter().position(|(home, _)| *home == shard) {
            self.homes[at].1 -= 1;
            if self.homes[at].1 == 0 {
                self.homes.swap_remove(at);
            }
        }
    }

    pub(crate) fn remove(&mut self, conn: ConnRef) -> Option<Member> {
        let member = self.members.remove(&conn)?;
        self.count_out(conn.shard);
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
