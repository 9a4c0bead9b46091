//! Who is in a room right now.

use std::sync::Arc;

use hashbrown::HashTable;
use madang_room::{Nick, SessionId};
use rustc_hash::{FxBuildHasher, FxHashSet};
use smallvec::SmallVec;

use crate::message::Person;
use crate::placement::{ConnRef, ShardId};

/// Up to so many members are looked through for one of them: they lie in a few cache lines, and most rooms are small.
const LOOKED_THROUGH_MAX: usize = 16;

/// The members of a room, and the shards where their connections are.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    members: Vec<Member>,
    /// Where in `members` each connection is, once they are too many to be looked through.
    index: Option<Box<HashTable<u32>>>,
    /// Connections that hear what happens and are not members; none in most rooms.
    followers: Option<Box<FxHashSet<ConnRef>>>,
    homes: SmallVec<[(ShardId, u32); 2]>,
}

#[derive(Debug)]
struct Member {
    conn: ConnRef,
    /// A part of the session's id, which is random: most others are told from it without a look at the person.
    session_part: u32,
    person: Arc<Person>,
}

impl Roster {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn member(&self, conn: ConnRef) -> Option<&Arc<Person>> {
        self.position(conn).map(|at| &self.members[at].person)
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
    pub(crate) fn insert(&mut self, conn: ConnRef, person: Arc<Person>) -> bool {
        let member = Member { conn, session_part: session_part(person.session), person };
        if let Some(at) = self.position(conn) {
            self.members[at] = member;
            return false;
        }
        self.members.push(member);
        match &mut self.index {
            Some(index) => {
                let at = self.members.len() as u32 - 1;
                let members = &self.members;
                index.insert_unique(hash(conn), at, |at| hash(members[*at as usize].conn));
            }
            None if self.members.len() > LOOKED_THROUGH_MAX => self.build_index(),
            None => {}
        }
        self.count_in(conn.shard);
        true
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

    pub(crate) fn remove(&mut self, conn: ConnRef) -> Option<Arc<Person>> {
        let at = self.position(conn)?;
        let last = self.members.len() - 1;
        if let Some(index) = &mut self.index {
            // The last one moves into its place.
            if let Ok(entry) = index.find_entry(hash(conn), |found| *found as usize == at) {
                entry.remove();
            }
            let moved = index.find_mut(hash(self.members[last].conn), |found| *found as usize == last);
            moved.into_iter().for_each(|found| *found = at as u32);
        }
        let member = self.members.swap_remove(at);
        self.count_out(conn.shard);
        self.shrink();
        Some(member.person)
    }

    /// Is the session here by another connection, which is about to be replaced?
    pub(crate) fn other_connection(&self, session: SessionId, conn: ConnRef) -> Option<ConnRef> {
        let part = session_part(session);
        let mut same = self.members.iter().filter(|member| member.session_part == part);
        let other = same.find(|member| member.person.session == session && member.conn != conn);
        other.map(|member| member.conn)
    }

    /// All nicknames, in the order of the alphabet.
    pub(crate) fn nicks(&self) -> Vec<Nick> {
        let mut nicks: Vec<Nick> = self.members.iter().map(|member| member.person.nick.clone()).collect();
        nicks.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        nicks
    }

    fn position(&self, conn: ConnRef) -> Option<usize> {
        match &self.index {
            None => self.members.iter().position(|member| member.conn == conn),
            Some(index) => {
                let found = index.find(hash(conn), |at| self.members[*at as usize].conn == conn);
                found.map(|at| *at as usize)
            }
        }
    }

    fn build_index(&mut self) {
        let members = &self.members;
        let mut index = HashTable::with_capacity(members.len());
        for (at, member) in members.iter().enumerate() {
            index.insert_unique(hash(member.conn), at as u32, |at| hash(members[*at as usize].conn));
        }
        self.index = Some(Box::new(index));
    }

    /// A room that was large once should not stay so.
    fn shrink(&mut self) {
        if self.members.capacity() > 4 * LOOKED_THROUGH_MAX
            && self.members.len() < self.members.capacity() / 4
        {
            self.members.shrink_to(2 * self.members.len());
            self.build_index();
        }
        if self.members.len() < LOOKED_THROUGH_MAX / 2 {
            self.index = None;
        }
    }
}

/// Slots and generations are the server's own numbers, so nobody can choose them to collide.
fn hash(conn: ConnRef) -> u64 {
    std::hash::BuildHasher::hash_one(&FxBuildHasher, conn)
}

fn session_part(session: SessionId) -> u32 {
    let [a, b, c, d, ..] = session.0;
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(slot: u32) -> ConnRef {
        ConnRef { shard: ShardId((slot % 3) as u16), slot, generation: slot / 2 }
    }

    fn person(number: u32) -> Arc<Person> {
        let session = SessionId(u128::from(number).to_le_bytes());
        Arc::new(Person { nick: Nick::guest(number.into()), session })
    }

    #[test]
    fn members_are_found_while_a_room_grows_and_shrinks() {
        let mut roster = Roster::default();
        for slot in 0..1_000 {
            assert!(roster.insert(conn(slot), person(slot)), "{slot} is new");
        }
        assert!(!roster.insert(conn(7), person(1_007)), "the same connection, with another name");
        assert_eq!(roster.homes().count(), 3);
        for slot in (0..1_000).step_by(2).chain((0..1_000).filter(|slot| slot % 2 == 1 && *slot != 7)) {
            assert_eq!(roster.remove(conn(slot)).map(|it| it.session), Some(person(slot).session));
            assert!(roster.remove(conn(slot)).is_none());
            assert_eq!(roster.member(conn(7)).map(|it| it.session), Some(person(1_007).session));
        }
        assert_eq!((roster.len(), roster.homes().count()), (1, 1));
        assert!(roster.members.capacity() <= 4 * LOOKED_THROUGH_MAX && roster.index.is_none());
    }

    #[test]
    fn a_session_that_comes_in_again_is_found_by_its_other_connection() {
        let mut roster = Roster::default();
        roster.insert(conn(1), person(1));
        roster.insert(conn(2), person(2));
        assert_eq!(roster.other_connection(person(2).session, conn(3)), Some(conn(2)));
        assert_eq!(roster.other_connection(person(2).session, conn(2)), None);
        assert_eq!(roster.other_connection(person(3).session, conn(3)), None);
    }
}
