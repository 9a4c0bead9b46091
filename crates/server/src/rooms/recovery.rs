//! What becomes of a room whose log did not take what was decided.
//!
//! The state is read again from the log. Who waited for an answer gets a refusal; who is here stays; what turns out to
//! be kept although nobody knew is told then. So members see what the log says: no event that is not in it, and none
//! of it missing.

use std::sync::Arc;

use madang_log::{Epoch, Record};
use madang_room::{Entry, Presence, Refusal, Seq};
use madang_wire::Answer;

use super::room::{Context, Room};
use super::roster::Roster;
use crate::batch::{Batch, Item, Place, What};
use crate::message::{ConnAnswer, ConnMessage, Message, Outgoing};
use crate::placement::{ConnRef, ShardId};

/// What outlives a failed append.
#[derive(Default)]
pub(super) struct Survivors {
    /// Who is here.
    pub(super) roster: Roster,
    /// The newest event that they were told of.
    pub(super) told: Seq,
    /// Who came and went meanwhile, and has not been told of.
    pub(super) presence: Vec<(Option<ConnRef>, Presence)>,
    /// Who was about to come in and never has.
    pub(super) never_came: Vec<ConnRef>,
}

impl Room {
    /// Ends this reading of the log: everybody who waits is refused.
    pub(super) fn give_up(&mut self, refusal: &Refusal, out: &mut Outgoing) -> Survivors {
        let mut presence = Vec::new();
        let mut answers: Vec<(ShardId, ConnMessage)> = Vec::new();
        for (_, messages) in self.held.take().into_iter().flat_map(|held| *held) {
            // A batch is held once for each shard that has members.
            let mut is_seen = false;
            for (shard, message) in messages {
                match message {
                    Message::Conn(message) => answers.push((shard, message)),
                    Message::Batch(batch) if !std::mem::replace(&mut is_seen, true) => {
                        presence.extend(batch.items.iter().filter_map(presence_of));
                    }
                    _ => {}
                }
            }
        }
        let wake = *self.wake.take().unwrap_or_default();
        presence.extend(wake.items.iter().filter_map(presence_of));
        answers.extend(wake.answers.into_iter().filter_map(|(shard, message)| match message {
            Message::Conn(message) => Some((shard, message)),
            _ => None,
        }));
        let mut never_came = Vec::new();
        for (shard, mut message) in answers {
            match &mut message.what {
                // What was asked again and had happened long before has still happened.
                ConnAnswer::Done { result: Ok(Answer::Recorded { seq }), .. } if *seq <= self.told => {}
                ConnAnswer::Done { result, .. } => *result = Err(refusal.clone()),
                ConnAnswer::Joined { result, .. } => {
                    if result.as_ref().is_ok_and(|came_in| came_in.is_new) {
                        self.roster.remove(message.to);
                        self.roster.remove_follower(message.to);
                        never_came.push(message.to);
                    }
                    *result = Err(refusal.clone());
                }
                ConnAnswer::CheckedIn { result, .. } => *result = Err(refusal.clone()),
                ConnAnswer::CheckedOut { result, .. } => *result = Err(refusal.clone()),
                // It has not happened.
                ConnAnswer::Displaced { .. } => continue,
                // Leaving is no event: it holds whatever the log says.
                ConnAnswer::Left { until, .. } => *until = 0,
                _ => {}
            }
            out.send(shard, Message::Conn(message));
        }
        presence.retain(|(author, _)| author.is_none_or(|author| !never_came.contains(&author)));
        Survivors { roster: std::mem::take(&mut self.roster), told: self.told, presence, never_came }
    }

    /// Takes over who was here before the log was read again, and tells them what they had not heard.
    pub(super) fn adopt(&mut self, survivors: Survivors, context: &mut Context<'_>) {
        let Survivors { roster, told, presence, .. } = survivors;
        self.roster = roster;
        if told > self.last {
            // Members were told of events that the log does not have: from here on it is another past.
            self.epochs.begin(Epoch::random(), self.last);
        }
        if self.roster.is_empty() {
            return;
        }
        let found: Vec<Entry> = self.recent.after(told).cloned().collect();
        if !found.is_empty() {
            let items = (0..found.len() as u32).map(|at| Item { author: None, what: What::Logged(at) });
            let place = Place::Room(self.name().clone());
            let record = Some(Arc::new(Record::new(found)));
            let batch =
                Arc::new(Batch::new(place, items.collect::<Vec<_>>(), record, context.metrics.clone()));
            self.roster.homes().for_each(|shard| context.out.send(shard, Message::Batch(batch.clone())));
        }
        let item = |(author, what)| Item { author, what: What::Presence(Box::new(what)) };
        self.wake().items.extend(presence.into_iter().map(item));
    }
}

fn presence_of(item: &Item) -> Option<(Option<ConnRef>, Presence)> {
    match &item.what {
        What::Presence(presence) => Some((item.author, (**presence).clone())),
        What::Logged(_) | What::Raw(_) => None,
    }
}
