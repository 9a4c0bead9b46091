//! Shows: who has which seat of one performance, and until when.
//!
//! A seat is free, held by one session until a moment, or reserved. `decide` takes a hold past its end for free even
//! before an event has said so: a late timer can annoy a watcher, never keep a seat.
//!
//! Invariants: a command over several seats happens whole or not at all, as one event; a seat has one holder; a
//! session's key takes effect once for as long as the log keeps the event.
//! Elsewhere: which seats there are (`seats`), reading the clock and drawing codes (callers pass them), storing
//! events (`madang-log`), wording (`madang-wire`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use smallvec::smallvec;

use crate::once::{Remembered, fingerprint};
use crate::{
    Actor, Asked, Code, Decided, Entry, Event, Events, Key, Once, Refusal, RoomName, SeatId, SeatMap,
    SeatStatus, Seats, SeatsNow, Seq, SessionId, Timestamp,
};

mod saved;

pub use saved::SavedShow;

/// Seats that one event frees when holds end; where more have ended at once there are more events. It bounds how long
/// an event is: about 50 KB.
const SEATS_FREED_MAX: usize = 1_000;

/// Something asked of a performance.
#[derive(Clone, Debug, PartialEq)]
pub enum ShowCommand {
    /// Keep seats for oneself for a while.
    Hold {
        /// Which.
        wanted: Wanted,
    },
    /// Give seats back that one holds.
    Release {
        /// Which; none named are all that one holds.
        seats: Option<Vec<SeatId>>,
    },
    /// Take seats for good: those that one holds, or free ones at once.
    Reserve {
        /// Which; none named are all that one holds.
        seats: Option<Vec<SeatId>>,
        /// The client's own name for this command, to ask again with.
        key: Option<Key>,
        /// The reservation's code, drawn anew for each command. If it is in use, the next one that isn't is taken.
        code: Code,
    },
    /// Give a reservation back. Whoever has its code may.
    Cancel {
        /// Its code.
        code: Code,
    },
    /// The server's own: free the seats whose holds have ended. Who asks makes no difference.
    Expire,
}

/// Which seats somebody wants to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// These.
    Seats(Vec<SeatId>),
    /// So many side by side, the best ones ([`SeatMap::best`]).
    Best(u32),
}

/// What one client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShowLimits {
    /// Seats that a session may hold at once; 0 is no limit.
    pub seats_held: u32,
    /// Seats that one command may name; 0 is no limit.
    pub seats_asked: u32,
}

/// What became of a command. Seats are in the order of the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShowOutcome {
    /// One's own until then.
    Held {
        /// All that were asked for, also those that were one's own before.
        seats: Vec<SeatId>,
        /// When the first of these holds ends.
        until: Timestamp,
    },
    /// Anybody's again.
    Released {
        /// Which.
        seats: Vec<SeatId>,
    },
    /// Sold.
    Reserved {
        /// Which.
        seats: Vec<SeatId>,
        /// What cancels it.
        code: Code,
    },
    /// Anybody's again.
    Cancelled {
        /// Which.
        seats: Vec<SeatId>,
    },
    /// So many holds have ended.
    Expired {
        /// How many.
        seats: usize,
    },
}

/// The state of one performance: a fold over its log.
///
/// Two of them are equal where what they save is; see `saved`.
#[derive(Clone, Debug)]
pub struct Show {
    name: RoomName,
    map: Arc<SeatMap>,
    hold_for: Duration,
    /// The seats of the map, in its order, and behind them the strangers.
    seats: Vec<Seat>,
    /// Seats that the log knows and the map doesn't, because it was drawn up anew: nobody can ask for them, but
    /// what is said of them stays true, should the map have them again.
    strangers: Vec<SeatId>,
    /// When holds end, soonest first.
    ends: BTreeSet<(Timestamp, u32)>,
    held_by: HashMap<SessionId, BTreeSet<u32>>,
    /// Who last let a hold of the seat end, until they take it again: they are told that, not just that it is free.
    former: BTreeMap<u32, SessionId>,
    reserved_as: HashMap<Code, BTreeSet<u32>>,
    /// What was reserved with a key.
    reserved_once: Remembered<Reservation>,
    /// No moment that is decided from lies before it.
    last_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seat {
    Free,
    Held { session: SessionId, until: Timestamp },
    Reserved { code: Code },
}

/// The first answer to a `reserve` with a key.
#[derive(Clone, Debug, PartialEq)]
struct Reservation {
    fingerprint: u64,
    code: Code,
    seats: Vec<SeatId>,
}

impl Show {
    /// A performance of which nothing is sold yet. Holds last for `hold_for` from now on; one that is under way keeps
    /// its end.
    pub fn new(name: RoomName, map: Arc<SeatMap>, hold_for: Duration) -> Show {
        Show {
            name,
            hold_for,
            seats: vec![Seat::Free; map.len()],
            map,
            strangers: Vec::new(),
            ends: BTreeSet::new(),
            held_by: HashMap::new(),
            former: BTreeMap::new(),
            reserved_as: HashMap::new(),
            reserved_once: Remembered::default(),
            last_at: Timestamp::default(),
        }
    }

    /// The performance's name: `hamlet/1`.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// Its seats.
    pub fn map(&self) -> &Arc<SeatMap> {
        &self.map
    }

    /// What everybody may know of each seat, in the order of the map: what the log says, also of holds that have
    /// ended since.
    pub fn seats(&self) -> impl Iterator<Item = (&SeatId, SeatStatus)> {
        self.map.ids().iter().zip(&self.seats).map(|(id, seat)| (id, seat.status()))
    }

    /// How many seats of the map are free, as [`Show::seats`] has them.
    pub fn free(&self) -> usize {
        self.seats[..self.map.len()].iter().filter(|seat| **seat == Seat::Free).count()
    }

    /// The seats that a session holds at `now`, and until when.
    pub fn mine(&self, session: SessionId, now: Timestamp) -> Vec<(SeatId, Timestamp)> {
        let now = now.max(self.last_at);
        let held = |at: u32| match self.seats[at as usize] {
            Seat::Held { until, .. } if until > now => Some((self.id(at).clone(), until)),
            _ => None,
        };
        self.held_by.get(&session).into_iter().flatten().filter_map(|at| held(*at)).collect()
    }

    /// When the next hold ends: then [`ShowCommand::Expire`] is due. It may lie in the past.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// Works out what `command` would change. Changes nothing. A `now` before the last event's counts as that one's.
    pub fn decide(
        &self,
        command: &ShowCommand,
        actor: &Actor,
        limits: ShowLimits,
        now: Timestamp,
    ) -> Result<Decided<ShowOutcome>, Refusal> {
        let ask = Ask { show: self, session: actor.session, limits, now: now.max(self.last_at) };
        match command {
            ShowCommand::Hold { wanted: Wanted::Seats(seats) } => ask.hold(&ask.named(seats)?),
            ShowCommand::Hold { wanted: Wanted::Best(count) } => ask.hold_best(*count),
            ShowCommand::Release { seats } => ask.release(seats.as_deref()),
            ShowCommand::Reserve { seats, key, code } => ask.reserve(seats.as_deref(), key.as_ref(), *code),
            ShowCommand::Cancel { code } => ask.cancel(*code),
            ShowCommand::Expire => Ok(ask.expire()),
        }
    }

    /// Records what happened. Cannot fail: an event is history, and history is not refused.
    pub fn apply(&mut self, entry: &Entry) {
        self.last_at = self.last_at.max(entry.at);
        // Other events follow nothing here: `created`, or those of other kinds of rooms, which no `decide` here makes.
        let Event::Seats(event) = &entry.event else { return };
        for id in &event.seats {
            let at = self.slot(id);
            self.clear(at);
            match &event.now {
                SeatsNow::Free => {}
                SeatsNow::Held { by, until } => self.set_held(at, *by, *until),
                SeatsNow::Reserved { code, .. } => self.set_reserved(at, *code),
            }
        }
        if let SeatsNow::Reserved { code, asked: Some(asked) } = &event.now {
            let Asked { once, fingerprint } = &**asked;
            let seats = event.seats.clone();
            let reservation = Reservation { fingerprint: *fingerprint, code: *code, seats };
            self.reserved_once.insert(entry.seq, once.clone(), reservation);
        }
    }

    /// Forgets the keys of events before `first`, which the log no longer keeps.
    pub fn trim(&mut self, first: Seq) {
        self.reserved_once.trim(first);
    }

    fn clear(&mut self, at: u32) {
        match std::mem::replace(&mut self.seats[at as usize], Seat::Free) {
            Seat::Free => {}
            Seat::Held { session, until } => {
                self.ends.remove(&(until, at));
                take(&mut self.held_by, &session, at);
                if until <= self.last_at {
                    self.former.insert(at, session);
                }
            }
            Seat::Reserved { code } => take(&mut self.reserved_as, &code, at),
        }
    }

    fn set_held(&mut self, at: u32, session: SessionId, until: Timestamp) {
        self.seats[at as usize] = Seat::Held { session, until };
        self.ends.insert((until, at));
        self.held_by.entry(session).or_default().insert(at);
        if self.former.get(&at) == Some(&session) {
            self.former.remove(&at);
        }
    }

    fn set_reserved(&mut self, at: u32, code: Code) {
        self.seats[at as usize] = Seat::Reserved { code };
        self.reserved_as.entry(code).or_default().insert(at);
    }

    /// The seat's place among `seats`; a stranger gets one.
    fn slot(&mut self, id: &SeatId) -> u32 {
        let stranger = || self.strangers.iter().position(|stranger| stranger == id);
        let at = self.map.find(id).or_else(|| Some(self.map.len() + stranger()?));
        let at = at.unwrap_or_else(|| {
            self.strangers.push(id.clone());
            self.seats.push(Seat::Free);
            self.seats.len() - 1
        });
        at as u32
    }

    fn id(&self, at: u32) -> &SeatId {
        let at = at as usize;
        self.map.ids().get(at).unwrap_or_else(|| &self.strangers[at - self.map.len()])
    }

    fn ids<'a>(&self, slots: impl IntoIterator<Item = &'a u32>) -> Vec<SeatId> {
        slots.into_iter().map(|at| self.id(*at).clone()).collect()
    }
}

impl Seat {
    fn status(&self) -> SeatStatus {
        match self {
            Seat::Free => SeatStatus::Free,
            Seat::Held { .. } => SeatStatus::Held,
            Seat::Reserved { .. } => SeatStatus::Reserved,
        }
    }
}

fn take<K: Eq + std::hash::Hash>(slots: &mut HashMap<K, BTreeSet<u32>>, key: &K, at: u32) {
    if let Some(of_key) = slots.get_mut(key) {
        of_key.remove(&at);
        if of_key.is_empty() {
            slots.remove(key);
        }
    }
}

/// What a seat is to the session that asks, at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Held by the session until then.
    Own(Timestamp),
    /// Nobody's, and the last hold that the session had on it has ended.
    Ended,
    Free,
    /// Somebody else's, or reserved by whomever.
    Taken,
}

/// One command being decided.
struct Ask<'s> {
    show: &'s Show,
    session: SessionId,
    limits: ShowLimits,
    now: Timestamp,
}

impl Ask<'_> {
    fn standing(&self, at: u32) -> Standing {
        match self.show.seats[at as usize] {
            Seat::Reserved { .. } => Standing::Taken,
            Seat::Held { session, until } if until > self.now => {
                if session == self.session {
                    Standing::Own(until)
                } else {
                    Standing::Taken
                }
            }
            Seat::Held { .. } | Seat::Free if self.was_own(at) => Standing::Ended,
            Seat::Held { .. } | Seat::Free => Standing::Free,
        }
    }

    /// Is the last hold of the seat that has ended the session's? As if [`ShowCommand::Expire`] came before every
    /// command.
    fn was_own(&self, at: u32) -> bool {
        match self.show.seats[at as usize] {
            Seat::Held { session, until } if until <= self.now => session == self.session,
            _ => self.show.former.get(&at) == Some(&self.session),
        }
    }

    /// The places of the seats that a command names, each once.
    fn named(&self, seats: &[SeatId]) -> Result<BTreeSet<u32>, Refusal> {
        if seats.is_empty() {
            return Err(Refusal::BadCommand { why: "no seat is named; name one, such as A-1-4".to_owned() });
        }
        self.check_asked(seats.len())?;
        let mut named = BTreeSet::new();
        for seat in seats {
            let unknown = || Refusal::NoSuchSeat { seat: seat.clone(), performance: self.show.name.clone() };
            if !named.insert(self.show.map.find(seat).ok_or_else(unknown)? as u32) {
                let why = format!("{seat} is named twice; name each seat once");
                return Err(Refusal::BadCommand { why });
            }
        }
        Ok(named)
    }

    fn check_asked(&self, asked: usize) -> Result<(), Refusal> {
        match self.limits.seats_asked {
            max if max > 0 && asked > max as usize => Err(Refusal::TooManySeatsAsked { asked, max }),
            _ => Ok(()),
        }
    }

    fn own(&self) -> BTreeSet<u32> {
        let held = self.show.held_by.get(&self.session).into_iter().flatten().copied();
        held.filter(|at| matches!(self.standing(*at), Standing::Own(_))).collect()
    }

    /// What is one's own already stays so, and no longer than before: asking again is not how to keep a seat.
    fn hold(&self, wanted: &BTreeSet<u32>) -> Result<Decided<ShowOutcome>, Refusal> {
        let mut until = self.now.plus(self.show.hold_for);
        let mut new = Vec::new();
        for at in wanted {
            match self.standing(*at) {
                Standing::Own(own) => until = until.min(own),
                Standing::Ended | Standing::Free => new.push(*at),
                Standing::Taken => return Err(self.taken(*at)),
            }
        }
        let held = self.own().len();
        let max = self.limits.seats_held;
        if max > 0 && !new.is_empty() && held + new.len() > max as usize {
            return Err(Refusal::TooManySeatsHeld { held, asked: new.len(), max });
        }
        let outcome = ShowOutcome::Held { seats: self.show.ids(wanted), until };
        let until = self.now.plus(self.show.hold_for);
        Ok(Decided { events: self.event(&new, SeatsNow::Held { by: self.session, until }), outcome })
    }

    fn hold_best(&self, count: u32) -> Result<Decided<ShowOutcome>, Refusal> {
        if count == 0 {
            return Err(Refusal::BadCommand {
                why: "the best 0 seats are none; ask for 1 or more".to_owned(),
            });
        }
        self.check_asked(count as usize)?;
        let is_free = |at: usize| matches!(self.standing(at as u32), Standing::Free | Standing::Ended);
        let best = self.show.map.best(count as usize, is_free);
        let best =
            best.ok_or_else(|| Refusal::NotSideBySide { count, performance: self.show.name.clone() })?;
        self.hold(&best.map(|at| at as u32).collect())
    }

    fn release(&self, seats: Option<&[SeatId]>) -> Result<Decided<ShowOutcome>, Refusal> {
        let released = match seats {
            None => self.own(),
            Some(seats) => self.named(seats)?,
        };
        for at in &released {
            match self.standing(*at) {
                Standing::Own(_) => {}
                Standing::Ended => return Err(self.ended(*at)),
                Standing::Free | Standing::Taken => {
                    return Err(Refusal::NotHeldByYou { seat: self.show.id(*at).clone() });
                }
            }
        }
        let outcome = ShowOutcome::Released { seats: self.show.ids(&released) };
        let released: Vec<u32> = released.into_iter().collect();
        Ok(Decided { events: self.event(&released, SeatsNow::Free), outcome })
    }

    fn reserve(
        &self,
        seats: Option<&[SeatId]>,
        key: Option<&Key>,
        code: Code,
    ) -> Result<Decided<ShowOutcome>, Refusal> {
        let asked = key.map(|key| {
            let once = Once { session: self.session, key: key.clone() };
            Box::new(Asked { once, fingerprint: content(seats) })
        });
        if let Some(asked) = &asked
            && let Some((_, first)) = self.show.reserved_once.find(&asked.once)
        {
            return match first.fingerprint == asked.fingerprint {
                true => Ok(Decided::unchanged(ShowOutcome::Reserved {
                    seats: first.seats.clone(),
                    code: first.code,
                })),
                false => Err(Refusal::KeyReused { key: asked.once.key.as_str().to_owned() }),
            };
        }
        let wanted = match seats {
            None => self.all_held()?,
            Some(seats) => self.named(seats)?,
        };
        for at in &wanted {
            match self.standing(*at) {
                Standing::Own(_) | Standing::Free => {}
                Standing::Ended => return Err(self.ended(*at)),
                Standing::Taken => return Err(self.taken(*at)),
            }
        }
        let mut code = code;
        while self.show.reserved_as.contains_key(&code) {
            code = code.next();
        }
        let outcome = ShowOutcome::Reserved { seats: self.show.ids(&wanted), code };
        let wanted: Vec<u32> = wanted.into_iter().collect();
        Ok(Decided { events: self.event(&wanted, SeatsNow::Reserved { code, asked }), outcome })
    }

    /// What `reserve` without seats means. Who holds none any more is told what became of those that they held.
    fn all_held(&self) -> Result<BTreeSet<u32>, Refusal> {
        let own = self.own();
        if !own.is_empty() {
            return Ok(own);
        }
        let ended = self.show.held_by.get(&self.session).into_iter().flatten();
        let former = self.show.former.iter().filter(|(_, session)| **session == self.session);
        let first = ended.chain(former.map(|(at, _)| at)).filter(|at| self.was_own(**at)).min();
        match first {
            Some(at) if self.standing(*at) == Standing::Ended => Err(self.ended(*at)),
            Some(at) => Err(self.taken(*at)),
            None => Err(Refusal::NothingHeld { performance: self.show.name.clone() }),
        }
    }

    fn cancel(&self, code: Code) -> Result<Decided<ShowOutcome>, Refusal> {
        let slots = self.show.reserved_as.get(&code).ok_or(Refusal::NoSuchReservation)?;
        let outcome = ShowOutcome::Cancelled { seats: self.show.ids(slots) };
        let slots: Vec<u32> = slots.iter().copied().collect();
        Ok(Decided { events: self.event(&slots, SeatsNow::Free), outcome })
    }

    fn expire(&self) -> Decided<ShowOutcome> {
        let ended = self.show.ends.iter().take_while(|(until, _)| *until <= self.now);
        let mut ended: Vec<u32> = ended.map(|(_, at)| *at).collect();
        ended.sort_unstable();
        let events = ended.chunks(SEATS_FREED_MAX).flat_map(|slots| self.event(slots, SeatsNow::Free));
        Decided { events: events.collect(), outcome: ShowOutcome::Expired { seats: ended.len() } }
    }

    /// The one event of a command; none where it changes no seat.
    fn event(&self, slots: &[u32], now: SeatsNow) -> Events {
        if slots.is_empty() {
            return Events::new();
        }
        smallvec![Event::Seats(Box::new(Seats { seats: self.show.ids(slots), now }))]
    }

    fn taken(&self, at: u32) -> Refusal {
        Refusal::SeatTaken { seat: self.show.id(at).clone() }
    }

    fn ended(&self, at: u32) -> Refusal {
        Refusal::HoldExpired { seat: self.show.id(at).clone() }
    }
}

/// What a `reserve` asks for, whatever the order in which it names the seats.
fn content(seats: Option<&[SeatId]>) -> u64 {
    let Some(seats) = seats else { return fingerprint(b"all held") };
    let mut keys: Vec<_> = seats.iter().map(SeatId::key).collect();
    keys.sort_unstable();
    fingerprint(keys.join("\n").as_bytes())
}

/// Compares what is saved: how the state is indexed is no part of it.
impl PartialEq for Show {
    fn eq(&self, other: &Show) -> bool {
        let parts = |show: &Show| (show.name.clone(), show.hold_for, show.map.clone(), show.save());
        parts(self) == parts(other)
    }
}

#[cfg(test)]
mod tests;
