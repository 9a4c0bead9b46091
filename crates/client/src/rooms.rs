//! What this client has seen of each of its rooms. Decides which events are new, which were seen before, and which
//! are missing. Does no I/O: events and answers go in, what to tell the program comes out.
//!
//! Invariant: what comes out of one room is in order of `seq`, each once, and a jump is told by a gap first.

use std::collections::BTreeMap;

use crate::limits::HELD_EVENTS_MAX;
use crate::{Event, History, Joined, Logged, Presence};

/// The rooms that the program has joined.
#[derive(Debug)]
pub(crate) struct Rooms {
    rooms: BTreeMap<String, Room>,
    fetch_gaps: bool,
}

#[derive(Debug)]
struct Room {
    epoch: String,
    /// The last event that the program was given, or told that it is missing. Only moves forward within an epoch.
    seq: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not joined on this connection yet. The connection may already hear this room (a newcomer lands in one), but
    /// what it hears before the answer to `join` would overtake what `join` is about to replay.
    Away,
    Here,
    /// What is missing up to `to` is being fetched; what is newer waits in `held`.
    Filling {
        to: u64,
        held: Vec<Logged>,
    },
}

/// What hearing something leads to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// To be told, in this order.
    pub(crate) tell: Vec<Event>,
    /// Then ask for this room's events after this `seq`, and give the answer to [`Rooms::fetched`].
    pub(crate) fetch: Option<(String, u64)>,
}

impl Rooms {
    pub(crate) fn new(fetch_gaps: bool) -> Rooms {
        Rooms { rooms: BTreeMap::new(), fetch_gaps }
    }

    /// What to join again on a new connection: name, last `seq` seen, epoch.
    pub(crate) fn wanted(&self) -> Vec<(String, u64, String)> {
        self.rooms.iter().map(|(name, room)| (name.clone(), room.seq, room.epoch.clone())).collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.rooms.keys().any(|room| room.to_lowercase() == name)
    }

    /// The connection is gone. Held events are forgotten: they come again, after `seq`.
    pub(crate) fn away(&mut self) {
        for room in self.rooms.values_mut() {
            room.state = State::Away;
        }
    }

    /// The program joined, wanting what came after `after`, if given.
    pub(crate) fn joined(&mut self, joined: &Joined, after: Option<u64>) {
        let here = self.rooms.get(&joined.room).is_some_and(|room| !matches!(room.state, State::Away));
        if here && !joined.reset {
            return; // joining again changes nothing
        }
        let seq = if joined.reset { joined.seq } else { after.unwrap_or(joined.seq).min(joined.seq) };
        let room = Room { epoch: joined.epoch.clone(), seq, state: State::Here };
        self.rooms.insert(joined.room.clone(), room);
    }

    /// The answer to joining again, as [`Rooms::wanted`] says. Returns how many events were missed; none if nobody
    /// can say, because this is not the log that was seen before.
    pub(crate) fn rejoined(&mut self, joined: &Joined) -> Option<u64> {
        let room = self.rooms.get_mut(&joined.room)?;
        room.state = State::Here;
        room.epoch.clone_from(&joined.epoch);
        // A log that ends before what was seen is another log, whether or not the server says so.
        let missed = joined.seq.checked_sub(room.seq).filter(|_| !joined.reset);
        if missed.is_none() {
            room.seq = joined.seq;
        }
        missed
    }

    pub(crate) fn left(&mut self, name: &str) {
        self.rooms.remove(name);
    }

    /// Presence of a room that the program is in.
    pub(crate) fn presence(&self, presence: Presence) -> Option<Event> {
        let room = self.rooms.get(&presence.room)?;
        (!matches!(room.state, State::Away)).then_some(Event::Presence(presence))
    }

    /// An event of a log.
    pub(crate) fn logged(&mut self, event: Logged) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(room) = self.rooms.get_mut(&event.room) else { return outcome };
        match &mut room.state {
            State::Away => {}
            // Above the bound it is let go: the jump that this leaves is seen, and fetched, afterwards.
            State::Filling { held, .. } if held.len() < HELD_EVENTS_MAX => held.push(event),
            State::Filling { .. } => {}
            State::Here if event.seq <= room.seq => {} // seen before
            State::Here if event.seq == room.seq + 1 => {
                room.seq = event.seq;
                outcome.tell.push(Event::Logged(event));
            }
            State::Here => {
                // A hole that nobody announced is a hole all the same.
                let (name, to) = (event.room.clone(), event.seq - 1);
                room.missing(&name, to, vec![event], self.fetch_gaps, &mut outcome);
            }
        }
        outcome
    }

    /// The server says that it left something out.
    pub(crate) fn gap(&mut self, name: &str, from_seq: u64, to_seq: u64) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(room) = self.rooms.get_mut(name) else { return outcome };
        if to_seq < from_seq {
            outcome.tell.push(Event::Gap { room: name.to_owned(), from_seq, to_seq });
            return outcome;
        }
        match &mut room.state {
            State::Away => {}
            State::Filling { to, .. } => *to = to_seq.max(*to),
            State::Here if to_seq <= room.seq => {}
            State::Here => room.missing(name, to_seq, Vec::new(), self.fetch_gaps, &mut outcome),
        }
        outcome
    }

    /// The answer to a fetch; none if it was refused, and what is missing stays missing.
    pub(crate) fn fetched(&mut self, name: &str, history: Option<History>) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(room) = self.rooms.get_mut(name) else { return outcome };
        let State::Filling { to, held } = &mut room.state else { return outcome };
        let before = room.seq;
        for mut event in history.map(|history| history.events).unwrap_or_default() {
            // Events of before `first` are gone; the gap that was told covers that jump.
            if event.seq > room.seq && event.seq <= *to {
                room.seq = event.seq;
                event.room = name.to_owned();
                outcome.tell.push(Event::Logged(event));
            }
        }
        if room.seq < *to && room.seq > before {
            outcome.fetch = Some((name.to_owned(), room.seq));
            return outcome;
        }
        room.seq = room.seq.max(*to);
        let held = std::mem::take(held);
        room.state = State::Here;
        for event in held {
            let more = self.logged(event);
            outcome.tell.extend(more.tell);
            outcome.fetch = outcome.fetch.or(more.fetch);
        }
        outcome
    }
}

impl Room {
    /// Tells what is missing up to `to`, and begins to fetch it where that is wanted.
    fn missing(&mut self, name: &str, to: u64, held: Vec<Logged>, fetch: bool, outcome: &mut Outcome) {
        outcome.tell.push(Event::Gap { room: name.to_owned(), from_seq: self.seq + 1, to_seq: to });
        if fetch {
            outcome.fetch = Some((name.to_owned(), self.seq));
            self.state = State::Filling { to, held };
        } else {
            self.seq = to;
            for event in held {
                self.seq = event.seq;
                outcome.tell.push(Event::Logged(event));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::What;

    fn event(seq: u64) -> Logged {
        let what = What::Said { from: "jun".into(), text: format!("message {seq}") };
        Logged { room: "plaza".into(), seq, at: String::new(), what }
    }

    fn history(seqs: impl IntoIterator<Item = u64>) -> Option<History> {
        let events = seqs.into_iter().map(event).collect();
        Some(History { events, first: 1, seq: 100, epoch: "e1".into() })
    }

    fn joined(seq: u64, reset: bool) -> Joined {
        Joined {
            room: "plaza".into(),
            kind: "chat".into(),
            epoch: "e1".into(),
            seq,
            count: 1,
            members: None,
            capacity: 0,
            topic: String::new(),
            reset,
        }
    }

    /// In plaza, with everything up to 10 seen.
    fn at_ten() -> Rooms {
        let mut rooms = Rooms::new(true);
        rooms.joined(&joined(10, false), None);
        rooms
    }

    /// "11 12 gap 13-14 15": what the program is told.
    fn story(outcome: &Outcome) -> String {
        let words = outcome.tell.iter().map(|event| match event {
            Event::Logged(logged) => logged.seq.to_string(),
            Event::Gap { from_seq, to_seq, .. } => format!("gap {from_seq}-{to_seq}"),
            other => format!("{other:?}"),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_event_is_told_once() {
        let mut rooms = at_ten();
        assert_eq!(story(&rooms.logged(event(10))), "");
        assert_eq!(story(&rooms.logged(event(11))), "11");
        assert_eq!(story(&rooms.logged(event(11))), "");
    }

    #[test]
    fn what_a_room_that_was_not_joined_says_is_not_told() {
        let mut rooms = Rooms::new(true);
        assert_eq!(rooms.logged(event(1)), Outcome::default());
    }

    #[test]
    fn live_events_wait_until_the_gap_before_them_is_filled() {
        let mut rooms = at_ten();
        let gap = rooms.gap("plaza", 11, 13);
        assert_eq!(story(&gap), "gap 11-13");
        assert_eq!(gap.fetch, Some(("plaza".into(), 10)));
        assert_eq!(story(&rooms.logged(event(14))), "");
        assert_eq!(story(&rooms.fetched("plaza", history(11..=14))), "11 12 13 14");
        assert_eq!(story(&rooms.logged(event(15))), "15");
    }

    #[test]
    fn a_long_gap_is_fetched_piece_by_piece() {
        let mut rooms = at_ten();
        rooms.gap("plaza", 11, 14);
        let first = rooms.fetched("plaza", history(11..=12));
        assert_eq!((story(&first).as_str(), first.fetch), ("11 12", Some(("plaza".into(), 12))));
        assert_eq!(story(&rooms.fetched("plaza", history(13..=14))), "13 14");
    }

    #[test]
    fn what_is_no_longer_kept_stays_a_gap() {
        let mut rooms = at_ten();
        rooms.gap("plaza", 11, 20);
        assert_eq!(story(&rooms.fetched("plaza", history(18..=20))), "18 19 20");
        rooms.gap("plaza", 21, 30);
        assert_eq!(story(&rooms.fetched("plaza", None)), "");
        assert_eq!(story(&rooms.logged(event(31))), "31");
    }

    #[test]
    fn a_hole_that_nobody_announced_is_told_and_fetched() {
        let mut rooms = at_ten();
        let outcome = rooms.logged(event(13));
        assert_eq!((story(&outcome).as_str(), outcome.fetch), ("gap 11-12", Some(("plaza".into(), 10))));
        assert_eq!(story(&rooms.fetched("plaza", history(11..=13))), "11 12 13");
    }

    #[test]
    fn without_fetching_a_gap_is_told_and_passed() {
        let mut rooms = Rooms::new(false);
        rooms.joined(&joined(10, false), None);
        let outcome = rooms.logged(event(13));
        assert_eq!((story(&outcome).as_str(), outcome.fetch), ("gap 11-12 13", None));
    }

    #[test]
    fn more_live_events_than_may_wait_are_fetched_later() {
        let mut rooms = at_ten();
        rooms.gap("plaza", 11, 11);
        let last = 11 + HELD_EVENTS_MAX as u64;
        for seq in 12..=last + 5 {
            rooms.logged(event(seq));
        }
        rooms.fetched("plaza", history([11]));
        assert_eq!(story(&rooms.logged(event(last + 6))), format!("gap {}-{}", last + 1, last + 5));
    }

    #[test]
    fn on_a_new_connection_nothing_counts_before_the_answer_to_join() {
        let mut rooms = at_ten();
        rooms.away();
        assert_eq!(story(&rooms.logged(event(13))), "");
        assert_eq!(rooms.wanted(), [("plaza".to_owned(), 10, "e1".to_owned())]);
        assert_eq!(rooms.rejoined(&joined(13, false)), Some(3));
        assert_eq!(story(&rooms.logged(event(11))), "11");
    }

    #[test]
    fn after_a_reset_the_room_begins_where_it_is_now() {
        for (seq, said) in [(3, true), (13, true), (3, false)] {
            let mut rooms = at_ten();
            rooms.away();
            assert_eq!(rooms.rejoined(&joined(seq, said)), None);
            assert_eq!(story(&rooms.logged(event(seq + 1))), (seq + 1).to_string());
        }
    }

    #[test]
    fn a_gap_of_presence_alone_is_only_told() {
        let mut rooms = at_ten();
        let outcome = rooms.gap("plaza", 11, 10);
        assert_eq!((story(&outcome).as_str(), outcome.fetch), ("gap 11-10", None));
    }
}
