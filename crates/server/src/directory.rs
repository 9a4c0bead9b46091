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

use crate::message::{ConnAnswer, DirectoryMessage, Holder, Outgoing};
use crate::placement::ConnRef;

/// How often names whose grace has passed are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

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
            DirectoryMessage::ResumeSession { holder } => self.resume_session(holder, now, out),
            DirectoryMessage::CloseSession { holder, keep } => self.close_session(holder, keep, now),
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
        self.sessions.insert(session, SessionEntry { nick, held });
    }

    fn resume_session(&mut self, holder: Holder, now: Timestamp, out: &mut Outgoing) {
        let entry = self.sessions.get_mut(&holder.session);
        let is_over = |held: Held| matches!(held, Held::Until(until) if until <= now);
        let nick = match entry {
            Some(entry) if !is_over(entry.held) => {
                if let Held::By(old) = std::mem::replace(&mut entry.held, Held::By(holder.conn))
                    && old != holder.conn
                {
                    out.tell_conn(old, ConnAnswer::Replaced);
                }
                Some(entry.nick.clone())
            }
            _ => None,
        };
        out.tell_conn(holder.conn, ConnAnswer::SessionResumed { session: holder.session, nick });
    }

    fn close_session(&mut self, holder: Holder, keep: bool, now: Timestamp) {
        let held = self.sessions.get_mut(&holder.session).filter(|entry| entry.held == Held::By(holder.conn));
        let Some(entry) = held else { return };
        if keep {
            entry.held = Held::Until(now.plus(self.grace));
            self.schedule_sweep(now);
        } else {
            self.forget_session(holder.session);
        }
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
