//! A performance's state as it is stored beside its log.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Reservation, Seat, Show};
use crate::{Code, Key, Once, RoomName, SeatId, SeatMap, Seq, SessionId, Timestamp};

/// A performance's state as it is stored beside its log: seats by their ids, so that a map that is drawn up anew reads
/// it, too. Fields are only ever added, with a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedShow {
    /// `(seat, session, until)`.
    held: Vec<(String, String, Timestamp)>,
    /// `(seat, code)`.
    reserved: Vec<(String, String)>,
    /// `(seat, session)`: whose last hold of it has ended.
    former: Vec<(String, String)>,
    /// Oldest first.
    keys: Vec<SavedKey>,
    last_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedKey {
    session: String,
    key: String,
    seq: Seq,
    fingerprint: u64,
    code: String,
    seats: Vec<String>,
}

impl Show {
    /// The state in its stored form.
    pub fn save(&self) -> SavedShow {
        let mut saved = SavedShow { last_at: self.last_at, ..SavedShow::default() };
        for (at, seat) in (0..).zip(&self.seats) {
            let id = || self.id(at).to_string();
            match seat {
                Seat::Free => {}
                Seat::Held { session, until } => saved.held.push((id(), session.to_string(), *until)),
                Seat::Reserved { code } => saved.reserved.push((id(), code.to_string())),
            }
        }
        saved.former =
            self.former.iter().map(|(at, by)| (self.id(*at).to_string(), by.to_string())).collect();
        // Strangers stand in the order in which the log brought them, which another load need not keep.
        saved.held.sort_unstable();
        saved.reserved.sort_unstable();
        saved.former.sort_unstable();
        let key = |(seq, once, what): (Seq, &Once, &Reservation)| SavedKey {
            session: once.session.to_string(),
            key: once.key.as_str().to_owned(),
            seq,
            fingerprint: what.fingerprint,
            code: what.code.to_string(),
            seats: what.seats.iter().map(SeatId::to_string).collect(),
        };
        saved.keys = self.reserved_once.iter().map(key).collect();
        saved
    }

    /// The state that [`Show::save`] stored; `None` where it can't have been written by it.
    pub fn load(name: RoomName, map: Arc<SeatMap>, hold_for: Duration, saved: &SavedShow) -> Option<Show> {
        let mut show = Show::new(name, map, hold_for);
        show.last_at = saved.last_at;
        for (seat, session, until) in &saved.held {
            let at = show.slot(&SeatId::parse(seat)?);
            show.clear(at);
            show.set_held(at, SessionId::parse(session)?, *until);
        }
        for (seat, code) in &saved.reserved {
            let at = show.slot(&SeatId::parse(seat)?);
            show.clear(at);
            show.set_reserved(at, Code::parse(code)?);
        }
        show.former.clear();
        for (seat, session) in &saved.former {
            let at = show.slot(&SeatId::parse(seat)?);
            show.former.insert(at, SessionId::parse(session)?);
        }
        for SavedKey { session, key, seq, fingerprint, code, seats } in &saved.keys {
            let once = Once { session: SessionId::parse(session)?, key: Key::parse(key)? };
            let seats = seats.iter().map(|seat| SeatId::parse(seat)).collect::<Option<_>>()?;
            let what = Reservation { fingerprint: *fingerprint, code: Code::parse(code)?, seats };
            show.reserved_once.insert(*seq, once, what);
        }
        Some(show)
    }
}
