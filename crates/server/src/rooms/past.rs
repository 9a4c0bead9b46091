//! A room's past: what is kept of it, what those who come back are sent, and what `history` answers.

use std::sync::Arc;

use madang_log::{Durability, Epoch, Range, Record, Trim};
use madang_room::{Entry, Refusal, Seq, Timestamp};
use madang_wire::{Answer, History};

use super::recent;
use super::room::{Context, Room};
use crate::batch::{Batch, Item, Place, What};
use crate::message::ResumeFrom;

/// Events after which the state is stored again and what is no longer kept is deleted.
const SNAPSHOT_EVERY: u64 = 1_000;

/// Bytes of events (roughly, as JSON) that are replayed to one who comes back. What is older is announced as a gap.
const REPLAY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of events in one answer to `history`; a client that wants more asks again from where it ended.
const HISTORY_BYTES_MAX: usize = 256 * 1024;

impl Room {
    pub(super) fn vouches(&self, resume: &ResumeFrom) -> bool {
        let epoch =
            resume.epoch.as_ref().map_or(self.epochs.current().clone(), |epoch| Epoch::from_client(epoch));
        resume.after <= self.last && self.epochs.vouches(&epoch, resume.after)
    }

    /// What has to be read from the log before somebody can come back in, if anything.
    pub(super) fn range_to_replay(&self, resume: Option<&ResumeFrom>, now: Timestamp) -> Option<Range> {
        let resume = resume.filter(|resume| self.vouches(resume))?;
        let first = self.first_kept(now).max(resume.after.next());
        let is_here = first > self.last || self.first_in_memory() <= first;
        (!is_here).then(|| Range::After(first.minus(1)))
    }

    /// The oldest position that is in memory: in the ring, or decided in this wake.
    fn first_in_memory(&self) -> Seq {
        let unsealed = self.unsealed().first().map(|entry| entry.seq);
        self.recent.first().or(unsealed).unwrap_or(self.last.next())
    }

    /// What one who has seen everything up to `after` gets: the range that can't be sent, and the rest.
    pub(super) fn replay(
        &self,
        after: Seq,
        read: Option<Vec<Entry>>,
        context: &Context<'_>,
    ) -> (Option<(Seq, Seq)>, Option<Arc<Batch>>) {
        let first = self.first_kept(context.now).max(after.next());
        let mut missed: Vec<&Entry> = read.iter().flatten().filter(|entry| entry.seq >= first).collect();
        let read_up_to = missed.last().map_or(first.minus(1), |entry| entry.seq);
        missed.extend(self.recent.after(read_up_to));
        missed.extend(self.unsealed());
        // From the newest back, as far as the bytes and the positions hold together.
        let (mut bytes, mut start, mut next) = (0, missed.len(), self.last.next());
        while let Some(entry) = start.checked_sub(1).map(|at| missed[at]) {
            bytes += recent::size(entry);
            if entry.seq.next() != next || bytes > REPLAY_BYTES_MAX {
                break;
            }
            (start, next) = (start - 1, entry.seq);
        }
        let missed: Vec<Entry> = missed[start..].iter().map(|entry| (*entry).clone()).collect();
        let gap = (next > after.next()).then(|| (after.next(), next.minus(1)));
        let place = Place::Room(self.name().clone());
        let replay = (!missed.is_empty()).then(|| {
            let items = (0..missed.len() as u32).map(|at| Item { author: None, what: What::Logged(at) });
            let record = Some(Arc::new(Record::new(missed)));
            Arc::new(Batch::new(place, items.collect::<Vec<_>>(), record, context.metrics.clone()))
        });
        (gap, replay)
    }

    /// The range, if it is all in memory. Events of this wake are not history yet for `Before` the newest: they are
    /// part of it, so they are added here.
    pub(super) fn recent_range(
        &self,
        range: Range,
        limit: usize,
        said_only: bool,
        now: Timestamp,
    ) -> Option<Vec<Entry>> {
        if !self.exists() {
            return Some(Vec::new());
        }
        let first = self.first_kept(now);
        let unsealed: Vec<&Entry> = self
            .unsealed()
            .iter()
            .filter(|entry| entry.seq >= first && (!said_only || recent::is_said(entry)))
            .collect();
        match range {
            Range::After(after) => {
                let mut found = match self.recent.first() {
                    Some(_) => self.recent.read(range, limit, first, said_only)?,
                    None => Vec::new(),
                };
                let rest = limit - found.len();
                found.extend(unsealed.into_iter().filter(|entry| entry.seq > after).take(rest).cloned());
                Some(found)
            }
            Range::Before(before) => {
                let unsealed: Vec<&Entry> = unsealed.into_iter().filter(|entry| entry.seq < before).collect();
                let unsealed = &unsealed[unsealed.len().saturating_sub(limit)..];
                let mut found = match self.recent.first() {
                    Some(_) if unsealed.len() < limit => {
                        self.recent.read(range, limit - unsealed.len(), first, said_only)?
                    }
                    _ => Vec::new(),
                };
                found.extend(unsealed.iter().map(|entry| (*entry).clone()));
                Some(found)
            }
        }
    }

    pub(super) fn history(
        &self,
        found: Vec<Entry>,
        range: Range,
        limit: usize,
        said_only: bool,
        now: Timestamp,
    ) -> Result<Answer, Refusal> {
        if !self.exists() {
            return Err(Refusal::NoSuchRoom { room: self.name().clone() });
        }
        let first = self.first_kept(now);
        let mut events = found;
        events.retain(|entry| entry.seq >= first && (!said_only || recent::is_said(entry)));
        // What is too much is left out at the end that is further from where the client asked.
        let fits = |bytes: &mut usize, entry: &Entry| {
            *bytes += recent::size(entry);
            (*bytes <= HISTORY_BYTES_MAX).then_some(())
        };
        match range {
            Range::After(_) => {
                let count = events.iter().take(limit).scan(0, |bytes, entry| fits(bytes, entry)).count();
                events.truncate(count);
            }
            Range::Before(_) => {
                let count =
                    events.iter().rev().take(limit).scan(0, |bytes, entry| fits(bytes, entry)).count();
                events.drain(..events.len() - count);
            }
        }
        let epoch = self.epochs.current().as_str().into();
        Ok(Answer::History(Box::new(History {
            room: self.name().clone(),
            events,
            first,
            seq: self.last,
            epoch,
        })))
    }

    /// Stores the state before the room is unloaded, for a load that has little to read.
    pub(crate) fn close(&mut self, context: &mut Context<'_>) {
        let is_stored = self.settings.durability != Durability::Memory;
        if is_stored && self.held.is_none() && self.last > self.snapshot_at {
            self.snapshot(context);
        }
    }

    /// Stores the state now and then, never a tentative one.
    pub(crate) fn snapshot_if_due(&mut self, context: &mut Context<'_>) {
        if self.held.is_none() && self.last.0 - self.snapshot_at.0 >= SNAPSHOT_EVERY {
            self.snapshot(context);
        }
    }

    fn snapshot(&mut self, context: &mut Context<'_>) {
        let Some(state) = self.state.save() else { return };
        let before = self.cutoff(context.now);
        context.log.snapshot(self.state.name(), self.last, state, Trim { first: self.first, before });
        self.snapshot_at = self.last;
    }

    /// The oldest position kept by number.
    pub(super) fn trim(&mut self) {
        let first = self.last.next().minus(self.settings.retention.keep.max(1));
        if first > self.first {
            self.first = first;
            self.state.trim(first);
        }
    }

    /// The oldest position kept by number and age.
    fn first_kept(&self, now: Timestamp) -> Seq {
        let by_age = self.cutoff(now).map_or(Seq::ZERO, |cutoff| {
            // Older ones than the ring's are as old or older: only where all of the ring is too old, or its first
            // is young, does the log know more, and it deletes by age itself.
            let first = self.recent.first_since(cutoff);
            if Some(first) == self.recent.first() { Seq::ZERO } else { first }
        });
        self.first.max(by_age).max(Seq(1))
    }

    fn cutoff(&self, now: Timestamp) -> Option<Timestamp> {
        let keep_for = self.settings.retention.keep_for?;
        Some(Timestamp(now.0.saturating_sub(i64::try_from(keep_for.as_millis()).unwrap_or(i64::MAX))))
    }
}
