//! One shard's part of what the whole server must agree on: who has which nickname, and which connection speaks for
//! which session.
//!
//! A name or a session belongs to one shard, by its hash; that shard alone decides, and is asked by message. So two
//! connections that want one name at the same moment get one yes, without a lock.
//!
//! Invariant: a nickname has one holder. A lost connection's name stays its session's for the grace period.

use std::collections::HashMap;
use std::time::Duration;

use madang_room::{Nick, Refusal, SessionId, Timestamp};
use madang_wire::Answer;
use smol_str::SmolStr;

use crate::home::Trail;
use crate::message::{ConnAnswer, DirectoryMessage, Heir, Holder, Outgoing};
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
    nicks: HashMap<SmolStr, NickEntry>,
    sessions: HashMap<SessionId, SessionEntry>,
    keepsakes: Vec<Keepsake>,
    next_sweep: Option<Timestamp>,
}

#[derive(Debug)]
struct NickEntry {
    nick: Nick,
    session: SessionId,
    held: Held,
}

#[derive(Debug)]
struct SessionEntry {
    nick: Nick,
    held: Held,
    /// What its last connection had been sent.
    trail: Option<Box<Trail>>,
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
            nicks: HashMap::new(),
            sessions: HashMap::new(),
            keepsakes: Vec::new(),
            next_sweep: None,
        }
    }

    pub(crate) fn handle(&mut self, message: DirectoryMessage, now: Timestamp, out: &mut Outgoing) {
        match message {
            DirectoryMessage::Guest { nick, holder } => {
                self.hold_nick(nick, holder.session, Held::By(holder.conn))
            }
            DirectoryMessage::ClaimNick { nick, holder } => {
                let result = self.claim_nick(&nick, holder, now);
                let session = holder.session;
                out.tell_conn(holder.conn, ConnAnswer::NickClaimed { nick, session, result });
            }
            DirectoryMessage::ReleaseNick { nick, holder, keep } => {
                self.release_nick(&nick, holder, keep, now)
            }
            DirectoryMessage::Tell { to, from, text, reply_to, re } => {
                let (result, told) = match self.nicks.get(to.key()) {
                    Some(NickEntry { nick, held: Held::By(conn), .. }) => {
                        (Ok(Answer::Told { to: nick.clone(), text: text.clone() }), Some(*conn))
                    }
                    _ => (Err(Refusal::NoSuchNick { nick: to }), None),
                };
                out.tell_conn(reply_to, ConnAnswer::Done { re, result, log_is_busy: false });
                if let Some(conn) = told {
                    out.tell_conn(conn, ConnAnswer::Told { from, text });
                }
            }
            DirectoryMessage::OpenSession { nick, holder } => {
                self.hold_session(holder.session, nick, Held::By(holder.conn));
            }
            DirectoryMessage::ResumeSession { holder, wants_trail } => {
                self.resume_session(holder, wants_trail, now, out);
            }
            DirectoryMessage::CloseSession { holder, keep, trail } => {
                self.close_session(holder, keep, trail, now);
            }
            DirectoryMessage::RestoreTrail { session, trail, until } => {
                // The name may be known, and kept for a shorter time.
                let nick = self.sessions.get(&session).map(|entry| entry.nick.clone());
                let nick = nick.unwrap_or_else(|| Nick::guest(0));
                let (held, trail) = (Held::Until(until), Some(trail));
                self.sessions.insert(session, SessionEntry { nick, held, trail });
                self.schedule_sweep(now);
            }
            DirectoryMessage::RestoreSession { session, nick } => {
                self.hold_session(session, nick, Held::Until(now.plus(self.grace)));
                self.schedule_sweep(now);
            }
            DirectoryMessage::RestoreNick { session, nick } => {
                self.hold_nick(nick, session, Held::Until(now.plus(self.grace)));
                self.schedule_sweep(now);
            }
        }
    }

    fn claim_nick(&mut self, nick: &Nick, holder: Holder, now: Timestamp) -> Result<(), Refusal> {
        if nick.is_reserved() {
            return Err(Refusal::NickReserved { nick: nick.clone() });
        }
        let is_taken = self.nicks.get(nick.key()).is_some_and(|entry| match entry.held {
            _ if entry.session == holder.session => false,
            Held::By(_) => true,
            Held::Until(until) => now < until,
        });
        if is_taken {
            return Err(Refusal::NickTaken { nick: nick.clone() });
        }
        self.hold_nick(nick.clone(), holder.session, Held::By(holder.conn));
        Ok(())
    }

    fn hold_nick(&mut self, nick: Nick, session: SessionId, held: Held) {
        self.nicks.insert(nick.key().clone(), NickEntry { nick, session, held });
    }

    fn release_nick(&mut self, nick: &Nick, holder: Holder, keep: bool, now: Timestamp) {
        // Another connection of the session may hold it by now.
        let Some(entry) = self.nicks.get_mut(nick.key()).filter(|entry| entry.held == Held::By(holder.conn))
        else {
            return;
        };
        if keep {
            entry.session = holder.session;
            entry.held = Held::Until(now.plus(self.grace));
            self.schedule_sweep(now);
        } else {
            self.nicks.remove(nick.key());
        }
    }

    fn hold_session(&mut self, session: SessionId, nick: Nick, held: Held) {
        let is_known = self.sessions.get(&session).is_some_and(|entry| entry.nick.as_str() == nick.as_str());
        if !is_known {
            // A guest's name is given out again after a restart, so there is nothing to come back for.
            let kept = (!nick.is_reserved()).then(|| nick.clone());
            if kept.is_some() {
                self.keepsakes.push(Keepsake { session, nick: kept });
            }
        }
        let trail = self.sessions.remove(&session).and_then(|entry| entry.trail);
        self.sessions.insert(session, SessionEntry { nick, held, trail });
    }

    fn resume_session(&mut self, holder: Holder, wants_trail: bool, now: Timestamp, out: &mut Outgoing) {
        let Holder { session, conn } = holder;
        let is_over = |held: Held| matches!(held, Held::Until(until) if until <= now);
        let entry = self.sessions.get_mut(&session).filter(|entry| !is_over(entry.held));
        let Some(entry) = entry else {
            return out.tell_conn(conn, ConnAnswer::SessionResumed { session, nick: None, trail: None });
        };
        let trail = entry.trail.take().filter(|_| wants_trail);
        let nick = entry.nick.clone();
        match std::mem::replace(&mut entry.held, Held::By(conn)) {
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
        let held = self.sessions.get_mut(&holder.session).filter(|entry| entry.held == Held::By(holder.conn));
        let Some(entry) = held else { return };
        if keep {
            let kept_for = if trail.is_some() { self.grace.max(TRAIL_KEPT) } else { self.grace };
            entry.held = Held::Until(now.plus(kept_for));
            entry.trail = trail;
            self.schedule_sweep(now);
        } else {
            self.forget_session(holder.session);
        }
    }

    /// Takes out what those who may come back had been sent, for a server that starts again, with how long it is good.
    pub(crate) fn take_trails(&mut self) -> impl Iterator<Item = (SessionId, Timestamp, Box<Trail>)> + '_ {
        self.sessions.iter_mut().filter_map(|(session, entry)| match entry.held {
            Held::Until(until) => Some((*session, until, entry.trail.take()?)),
            Held::By(_) => None,
        })
    }

    fn forget_session(&mut self, session: SessionId) {
        let entry = self.sessions.remove(&session);
        if entry.is_some_and(|entry| !entry.nick.is_reserved()) {
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
        self.nicks.retain(|_, entry| !is_over(&entry.held));
        let over =
            self.sessions.iter().filter(|(_, entry)| is_over(&entry.held)).map(|(session, _)| *session);
        for session in over.collect::<Vec<_>>() {
            self.forget_session(session);
        }
        let waits = |held: &Held| matches!(held, Held::Until(_));
        let is_more = self.nicks.values().any(|entry| waits(&entry.held))
            || self.sessions.values().any(|entry| waits(&entry.held));
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
