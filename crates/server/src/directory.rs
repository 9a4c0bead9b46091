//! One shard's part of what the whole server must agree on: who has which nickname, and which connection speaks for
//! which session.
//!
//! A name or a session belongs to one shard, by its hash; that shard alone decides, and is asked by message. So two
//! connections that want one name at the same moment get one yes, without a lock.
//!
//! Invariant: a nickname has one holder. A lost connection's name stays its session's for the grace period.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use madang_room::{Nick, Refusal, SessionId, Timestamp};
use madang_wire::Answer;

use crate::home::Trail;
use crate::message::{ConnAnswer, DirectoryMessage, Heir, Holder, Outgoing, Person};
use crate::placement::ConnRef;

/// How often names whose grace has passed are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How long a Socket.IO client may be away and still be sent just what it missed.
const TRAIL_KEPT: Duration = Duration::from_secs(120);

/// What is remembered of a session for a server that starts again: the log keeps these.
#[derive(Debug, PartialEq)]
pub(crate) struct Keepsake {
    pub(crate) session: SessionId,
    /// `None`: forget it.
    pub(crate) nick: Option<Nick>,
}

#[derive(Debug)]
pub(crate) struct Directory {
    grace: Duration,
    nicks: Holdings,
    sessions: Holdings,
    /// What the last connections of Socket.IO sessions had been sent, and until when that is good.
    trails: HashMap<SessionId, (Timestamp, Box<Trail>)>,
    keepsakes: Vec<Keepsake>,
    next_sweep: Option<Timestamp>,
}

/// Nicknames or sessions, and who has them.
#[derive(Debug)]
struct Holdings {
    table: HashTable<Holding>,
    /// What a person is found by.
    key: fn(&Person) -> &[u8],
    /// Keyed at random, because people choose names.
    hasher: RandomState,
}

#[derive(Debug)]
struct Holding {
    person: Arc<Person>,
    held: Held,
}

/// By whom something is held: by a live connection, or for one that may come back until then.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    By(ConnRef),
    Until(Timestamp),
}

impl Directory {
    pub(crate) fn new(grace: Duration) -> Directory {
        Directory {
            grace,
            nicks: Holdings::new(|person| person.nick.key().as_bytes()),
            sessions: Holdings::new(|person| &person.session.0),
            trails: HashMap::new(),
            keepsakes: Vec::new(),
            next_sweep: None,
        }
    }

    pub(crate) fn handle(&mut self, message: DirectoryMessage, now: Timestamp, out: &mut Outgoing) {
        match message {
            DirectoryMessage::Guest { person, conn } => self.nicks.hold(person, Held::By(conn)),
            DirectoryMessage::ClaimNick { person, conn, holds } => {
                let result = self.is_free(&person, now);
                if holds && result.is_ok() {
                    self.nicks.hold(person.clone(), Held::By(conn));
                }
                out.tell_conn(conn, ConnAnswer::NickClaimed { person, result });
            }
            DirectoryMessage::ReleaseNick { person, conn, keep } => {
                self.release_nick(person, conn, keep, now)
            }
            DirectoryMessage::Tell { to, from, text, reply_to, re } => {
                let (result, told) = match self.nicks.get(to.key().as_bytes()) {
                    Some(Holding { person, held: Held::By(conn) }) => {
                        (Ok(Answer::Told { to: person.nick.clone(), text: text.clone() }), Some(*conn))
                    }
                    _ => (Err(Refusal::NoSuchNick { nick: to }), None),
                };
                out.tell_conn(reply_to, ConnAnswer::Done { re, result, log_is_busy: false });
                if let Some(conn) = told {
                    out.tell_conn(conn, ConnAnswer::Told { from, text });
                }
            }
            DirectoryMessage::OpenSession { person, conn } => self.hold_session(person, Held::By(conn)),
            DirectoryMessage::ResumeSession { holder, wants_trail } => {
                self.resume_session(holder, wants_trail, now, out);
            }
            DirectoryMessage::CloseSession { holder, keep, trail } => {
                self.close_session(holder, keep, trail, now);
            }
            DirectoryMessage::RestoreTrail { session, trail, until } => {
                self.trails.insert(session, (until, trail));
                self.schedule_sweep(now);
            }
            DirectoryMessage::RestoreSession { person } => {
                self.hold_session(person, Held::Until(now.plus(self.grace)));
                self.schedule_sweep(now);
            }
            DirectoryMessage::RestoreNick { person } => {
                self.nicks.hold(person, Held::Until(now.plus(self.grace)));
                self.schedule_sweep(now);
            }
        }
    }

    fn is_free(&self, person: &Person, now: Timestamp) -> Result<(), Refusal> {
        let nick = &person.nick;
        if nick.is_reserved() {
            return Err(Refusal::NickReserved { nick: nick.clone() });
        }
        let is_taken = self.nicks.get(nick.key().as_bytes()).is_some_and(|holding| match holding.held {
            _ if holding.person.session == person.session => false,
            Held::By(_) => true,
            Held::Until(until) => now < until,
        });
        if is_taken { Err(Refusal::NickTaken { nick: nick.clone() }) } else { Ok(()) }
    }

    fn release_nick(&mut self, person: Arc<Person>, conn: ConnRef, keep: bool, now: Timestamp) {
        let holding = self.nicks.get(person.nick.key().as_bytes());
        // Another connection of the session may hold it by now.
        if holding.is_none_or(|holding| holding.held != Held::By(conn)) {
            return;
        }
        if keep {
            self.nicks.hold(person, Held::Until(now.plus(self.grace)));
            self.schedule_sweep(now);
        } else {
            self.nicks.remove(person.nick.key().as_bytes());
        }
    }

    fn hold_session(&mut self, person: Arc<Person>, held: Held) {
        let Person { nick, session } = &*person;
        let known = self.sessions.get(&session.0);
        if known.is_none_or(|known| known.person.nick.as_str() != nick.as_str()) {
            // A guest's name is given out again after a restart, so there is nothing to come back for.
            let kept = (!nick.is_reserved()).then(|| nick.clone());
            if kept.is_some() {
                self.keepsakes.push(Keepsake { session: *session, nick: kept });
            }
        }
        self.sessions.hold(person, held);
    }

    fn resume_session(&mut self, holder: Holder, wants_trail: bool, now: Timestamp, out: &mut Outgoing) {
        let Holder { session, conn } = holder;
        let kept = self.trails.remove(&session);
        let trail = kept.filter(|(until, _)| wants_trail && now < *until).map(|(_, trail)| trail);
        let is_over = |held: Held| matches!(held, Held::Until(until) if until <= now);
        let holding = self.sessions.get_mut(&session.0).filter(|holding| !is_over(holding.held));
        let Some(holding) = holding else {
            // Held from now on, under no name yet: a second one that comes with it replaces this one.
            let person = Arc::new(Person { nick: Nick::guest(0), session });
            self.sessions.hold(person, Held::By(conn));
            return out.tell_conn(conn, ConnAnswer::SessionResumed { session, nick: None, trail });
        };
        let nick = holding.person.nick.clone();
        match std::mem::replace(&mut holding.held, Held::By(conn)) {
            Held::By(old) if old != conn && wants_trail => {
                // Only the old connection's home knows what that was sent, and answers for us.
                out.tell_conn(old, ConnAnswer::Replaced { heir: Some(Heir { conn, session, nick }) });
            }
            held => {
                if let Held::By(old) = held
                    && old != conn
                {
                    out.tell_conn(old, ConnAnswer::Replaced { heir: None });
                }
                out.tell_conn(conn, ConnAnswer::SessionResumed { session, nick: Some(nick), trail });
            }
        }
    }

    fn close_session(&mut self, holder: Holder, keep: bool, trail: Option<Box<Trail>>, now: Timestamp) {
        let holding = self.sessions.get_mut(&holder.session.0);
        let Some(holding) = holding.filter(|holding| holding.held == Held::By(holder.conn)) else { return };
        if keep {
            holding.held = Held::Until(now.plus(self.grace));
            if let Some(trail) = trail {
                self.trails.insert(holder.session, (now.plus(TRAIL_KEPT), trail));
            }
            self.schedule_sweep(now);
        } else {
            self.forget_session(holder.session);
        }
    }

    /// Takes out what those who may come back had been sent, for a server that starts again, with how long it is good.
    pub(crate) fn take_trails(&mut self) -> impl Iterator<Item = (SessionId, Timestamp, Box<Trail>)> + '_ {
        self.trails.drain().map(|(session, (until, trail))| (session, until, trail))
    }

    fn forget_session(&mut self, session: SessionId) {
        let holding = self.sessions.remove(&session.0);
        if holding.is_some_and(|holding| !holding.person.nick.is_reserved()) {
            self.keepsakes.push(Keepsake { session, nick: None });
        }
    }

    fn schedule_sweep(&mut self, now: Timestamp) {
        self.next_sweep.get_or_insert(now.plus(SWEEP_EVERY));
    }

    /// Forgets what nobody came back for.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        if self.next_sweep.is_none_or(|due| now < due) {
            return;
        }
        let is_over = |held: &Held| matches!(held, Held::Until(until) if *until <= now);
        self.nicks.table.retain(|holding| !is_over(&holding.held));
        let over = self.sessions.table.iter().filter(|holding| is_over(&holding.held));
        for session in over.map(|holding| holding.person.session).collect::<Vec<_>>() {
            self.forget_session(session);
        }
        self.trails.retain(|_, (until, _)| now < *until);
        let waits = |holding: &Holding| matches!(holding.held, Held::Until(_));
        let is_more = !self.trails.is_empty()
            || self.nicks.table.iter().any(waits)
            || self.sessions.table.iter().any(waits);
        self.next_sweep = is_more.then(|| now.plus(SWEEP_EVERY));
    }

    /// When [`Directory::tick`] is due next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.next_sweep
    }

    /// What has to be remembered or forgotten for a server that starts again.
    pub(crate) fn poll_keepsakes(&mut self) -> impl Iterator<Item = Keepsake> + '_ {
        self.keepsakes.drain(..)
    }
}

impl Holdings {
    fn new(key: fn(&Person) -> &[u8]) -> Holdings {
        Holdings { table: HashTable::new(), key, hasher: RandomState::new() }
    }

    fn get(&self, key: &[u8]) -> Option<&Holding> {
        self.table.find(self.hasher.hash_one(key), |holding| (self.key)(&holding.person) == key)
    }

    fn get_mut(&mut self, key: &[u8]) -> Option<&mut Holding> {
        self.table.find_mut(self.hasher.hash_one(key), |holding| (self.key)(&holding.person) == key)
    }

    /// Gives the person's name or session to them, whoever had it.
    fn hold(&mut self, person: Arc<Person>, held: Held) {
        let key = (self.key)(&person);
        let is_same = |holding: &Holding| (self.key)(&holding.person) == key;
        let hash = |holding: &Holding| self.hasher.hash_one((self.key)(&holding.person));
        match self.table.entry(self.hasher.hash_one(key), is_same, hash) {
            Entry::Occupied(mut entry) => *entry.get_mut() = Holding { person: person.clone(), held },
            Entry::Vacant(entry) => drop(entry.insert(Holding { person: person.clone(), held })),
        }
    }

    fn remove(&mut self, key: &[u8]) -> Option<Holding> {
        let is_same = |holding: &Holding| (self.key)(&holding.person) == key;
        let found = self.table.find_entry(self.hasher.hash_one(key), is_same).ok()?;
        Some(found.remove().0)
    }
}
