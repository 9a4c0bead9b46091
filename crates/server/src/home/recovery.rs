//! Socket.IO's connection state recovery: what a client was sent, so that it can be sent the rest when it comes back.
//!
//! Each event has its room and `seq` as an offset, the same for everybody, so that it is encoded once. An offset in
//! one room says by itself nothing about the others that a client was in; so a client in several rooms has a short
//! list of what it was sent last, in order. What that list can't prove is not claimed: the client is new then.

use std::collections::VecDeque;

use madang_room::{RoomName, Seq};
use madang_wire::socketio::Offset;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Deliveries to a client in several rooms that are remembered in order.
const STEPS_MAX: usize = 64;

/// Where a client has got to in each of its rooms, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trail {
    /// Tells one connection of a session from the next.
    pub(crate) nonce: u32,
    rooms: Vec<Stretch>,
    /// What was sent last: which room, and up to where. Empty while the client is in one room only.
    steps: VecDeque<(usize, Seq)>,
    /// What was sent has another order than the offsets, or a hole: it says nothing about what is missing.
    is_unclear: bool,
    /// A room was left while there were others.
    has_left: bool,
}

/// One room's part of a trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stretch {
    #[serde(with = "as_text")]
    room: RoomName,
    epoch: SmolStr,
    is_simple: bool,
    /// It may be a room that was left before: offsets up to `since` may be of that time.
    is_again: bool,
    /// Where it came in.
    since: Seq,
    /// The newest that was sent before all of `steps`.
    base: Seq,
    /// The newest that was sent.
    last: Seq,
}

/// What a client that comes back says.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) nonce: u32,
    /// The last event that it got; none if it got none.
    pub(crate) offset: Option<Offset>,
}

/// A room to be joined again, after that position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Return {
    pub(crate) room: RoomName,
    pub(crate) epoch: SmolStr,
    pub(crate) after: Seq,
    pub(crate) is_simple: bool,
}

/// A recovery under way: rooms are joined one after the other.
#[derive(Debug)]
pub(crate) struct Recovering {
    /// Joined next, from the end.
    pub(crate) todo: Vec<Return>,
    /// It may go on under this number if all goes well.
    pub(crate) nonce: u32,
}

impl Trail {
    pub(crate) fn new() -> Trail {
        let nonce = getrandom::u32().expect("the operating system gives random numbers");
        Trail { nonce, rooms: Vec::new(), steps: VecDeque::new(), is_unclear: false, has_left: false }
    }

    /// The client came into a room, and has seen everything up to `at`; or joined one again that it is in.
    pub(crate) fn enter(&mut self, room: RoomName, epoch: SmolStr, at: Seq, is_simple: bool) {
        if let Some(stretch) = self.rooms.iter_mut().find(|stretch| stretch.room == room) {
            stretch.is_simple = is_simple;
            // What it has seen stays seen; what it is sent once more has an older offset than what came before.
            self.is_unclear |= at < stretch.last;
            return;
        }
        self.rooms.reserve_exact(1);
        let is_again = self.has_left;
        self.rooms.push(Stretch { room, epoch, is_simple, is_again, since: at, base: at, last: at });
    }

    pub(crate) fn leave(&mut self, room: &RoomName) {
        let Some(gone) = self.rooms.iter().position(|stretch| stretch.room == *room) else { return };
        self.rooms.remove(gone);
        self.has_left |= !self.rooms.is_empty();
        self.steps.retain(|(at, _)| *at != gone);
        self.steps.iter_mut().filter(|(at, _)| *at > gone).for_each(|(at, _)| *at -= 1);
        if let [alone] = self.rooms.as_mut_slice() {
            // One room has an order by itself. Steps that stayed would lead back behind what it is sent from now on.
            alone.base = alone.last;
            self.steps.clear();
        }
    }

    /// Everything of a room up to `seq` was written to the client, or waits to be.
    pub(crate) fn step(&mut self, room: &RoomName, seq: Seq) {
        let Some(at) = self.rooms.iter().position(|stretch| stretch.room == *room) else { return };
        self.rooms[at].last = seq;
        if self.rooms.len() == 1 {
            self.rooms[at].base = seq;
            return;
        }
        if self.steps.len() == STEPS_MAX
            && let Some((oldest, seq)) = self.steps.pop_front()
        {
            self.rooms[oldest].base = seq;
        }
        self.steps.push_back((at, seq));
    }

    /// Events were dropped: whoever comes back must be told.
    pub(crate) fn miss(&mut self) {
        self.is_unclear = true;
    }

    /// The newest offset that was sent.
    pub(crate) fn last(&self) -> Option<Offset> {
        let at = match (self.steps.back(), self.rooms.as_slice()) {
            (Some((at, _)), _) => *at,
            (None, [_]) => 0,
            _ => return None,
        };
        let Stretch { room, since, last, .. } = &self.rooms[at];
        (last > since).then(|| Offset { room: room.clone(), seq: *last })
    }

    /// From where on each room has to be sent again; `None` where that can't be told for sure.
    pub(crate) fn resolve(&self, offset: Option<&Offset>) -> Option<Vec<Return>> {
        if self.is_unclear {
            return None;
        }
        let was_forgotten = |stretch: &Stretch| stretch.base > stretch.since;
        let mut reached: Vec<Seq> = self.rooms.iter().map(|stretch| stretch.base).collect();
        if let Some(offset) = offset {
            let seen = self.rooms.iter().position(|stretch| stretch.room == offset.room)?;
            let Stretch { is_again, since, last, .. } = self.rooms[seen];
            let is_of_before = offset.seq < since || (is_again && offset.seq == since);
            if offset.seq > last || is_of_before {
                return None;
            }
            let is_remembered = |step: &&(usize, Seq)| step.0 == seen && step.1 >= offset.seq;
            let remembered = self.steps.iter().find(is_remembered);
            if offset.seq > self.rooms[seen].base && remembered.is_some() {
                for (at, seq) in self.steps.iter().take_while(|step| !is_remembered(step)) {
                    reached[*at] = *seq;
                }
            } else if self.rooms.iter().enumerate().any(|(at, room)| at != seen && was_forgotten(room)) {
                // Older than what is remembered: how far it was elsewhere by then isn't known.
                return None;
            }
            reached[seen] = offset.seq;
        } else if self.rooms.iter().any(was_forgotten) && self.rooms.len() > 1 {
            return None;
        } else {
            reached = self.rooms.iter().map(|stretch| stretch.since).collect();
        }
        let back = |(stretch, after): (&Stretch, Seq)| Return {
            room: stretch.room.clone(),
            epoch: stretch.epoch.clone(),
            after,
            is_simple: stretch.is_simple,
        };
        Some(self.rooms.iter().zip(reached).map(back).collect())
    }
}

/// A room's name in a stored trail.
mod as_text {
    use madang_room::RoomName;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(room: &RoomName, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(room.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<RoomName, D::Error> {
        let name = String::deserialize(from)?;
        RoomName::parse(&name).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn room(nr: usize) -> RoomName {
        RoomName::parse(["a", "b", "c"][nr]).unwrap()
    }

    fn in_rooms(rooms: usize) -> Trail {
        let mut trail = Trail::new();
        (0..rooms).for_each(|nr| trail.enter(room(nr), "e1".into(), Seq(10), false));
        trail
    }

    fn offset(nr: usize, seq: u64) -> Offset {
        Offset { room: room(nr), seq: Seq(seq) }
    }

    fn after(trail: &Trail, offset: Option<&Offset>) -> Option<Vec<u64>> {
        Some(trail.resolve(offset)?.iter().map(|back| back.after.0).collect())
    }

    #[test]
    fn in_one_room_any_place_is_enough() {
        let mut trail = in_rooms(1);
        (11..500).for_each(|seq| trail.step(&room(0), Seq(seq)));
        assert_eq!(after(&trail, Some(&offset(0, 12))), Some(vec![12]));
        assert_eq!(after(&trail, Some(&offset(0, 499))), Some(vec![499]));
        assert_eq!(after(&trail, None), Some(vec![10]), "it got nothing at all");
        assert_eq!(after(&trail, Some(&offset(0, 500))), None, "that was never sent");
        assert_eq!(after(&trail, Some(&offset(1, 12))), None, "nor was it ever there");
    }

    #[test]
    fn what_was_sent_while_alone_is_not_sent_again_when_there_are_two() {
        let mut trail = in_rooms(2);
        trail.step(&room(0), Seq(11));
        trail.leave(&room(1));
        trail.step(&room(0), Seq(12));
        trail.enter(room(2), "e1".into(), Seq(10), false);
        trail.step(&room(2), Seq(11));
        assert_eq!(after(&trail, Some(&offset(2, 11))), Some(vec![12, 11]));
    }

    #[test]
    fn a_gap_is_never_passed_over() {
        let mut trail = in_rooms(1);
        trail.miss();
        assert_eq!(after(&trail, None), None);
    }

    #[test]
    fn a_stored_trail_is_the_same() {
        let mut trail = in_rooms(2);
        (0..9).for_each(|nr| trail.step(&room(nr % 2), Seq(11 + nr as u64)));
        let stored = serde_json::to_string(&trail).unwrap();
        assert_eq!(serde_json::from_str::<Trail>(&stored).unwrap(), trail);
    }

    proptest! {
        /// Whatever is claimed is true: a client that got the first `got` deliveries is sent exactly the others.
        #[test]
        fn what_is_resolved_is_what_was_missed(
            sent in proptest::collection::vec((0..3usize, 1..3u64), 1..200),
            got in 0..200usize,
            rooms in 1..4usize,
        ) {
            let mut trail = in_rooms(rooms);
            let mut last = vec![10u64; rooms];
            let mut history = vec![last.clone()];
            let mut offsets = vec![None];
            for (nr, events) in sent {
                let nr = nr % rooms;
                last[nr] += events;
                trail.step(&room(nr), Seq(last[nr]));
                history.push(last.clone());
                offsets.push(Some(offset(nr, last[nr])));
            }
            let got = got % history.len();
            let resolved = after(&trail, offsets[got].as_ref());
            if let Some(resolved) = &resolved {
                prop_assert_eq!(resolved, &history[got]);
            }
            let is_recent = history.len() - got <= STEPS_MAX;
            prop_assert!(resolved.is_some() || !is_recent, "what was just sent is always known");
        }
    }
}
