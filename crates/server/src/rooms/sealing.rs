//! How a wake ends in a room: what was decided goes to the log, what happened to the members, and answers on their way,
//! at once or when the log has what they stand on.

use std::sync::Arc;

use madang_log::{Durability, Health, Record};
use madang_room::{Refusal, Seq};
use madang_wire::{Answer, RequestId};

use super::room::{Context, Room, Wake};
use crate::batch::{Batch, Place};
use crate::message::{ConnAnswer, ConnMessage, Message, Outgoing};
use crate::placement::{ConnRef, ShardId};

impl Room {
    /// Refuses what the log could not keep now.
    pub(super) fn check_log(&self, context: &Context<'_>) -> Result<(), Refusal> {
        let is_durable = self.settings.durability != Durability::Memory;
        match is_durable && context.log.health() == Health::Failing {
            true => Err(Refusal::Unavailable { room: self.name().clone() }),
            false => Ok(()),
        }
    }

    pub(super) fn answer(
        &mut self,
        to: ConnRef,
        re: Option<RequestId>,
        result: Result<Answer, Refusal>,
        context: &mut Context<'_>,
    ) {
        let is_durable = self.settings.durability != Durability::Memory;
        let log_is_busy = is_durable && context.log.health() == Health::Busy;
        self.send(to, ConnAnswer::Done { re, result, log_is_busy }, context);
    }

    /// Answers at once, or, in a `sync` room, after the state that the answer was decided on.
    pub(super) fn send(&mut self, to: ConnRef, what: ConnAnswer, context: &mut Context<'_>) {
        self.pass_on(to.shard, Message::Conn(ConnMessage { to, what }), context);
    }

    /// As [`Room::send`], for any message that follows from what was decided.
    pub(super) fn pass_on(&mut self, shard: ShardId, message: Message, context: &mut Context<'_>) {
        // Also with presence alone: what is decided later in this wake may hold the batch that it belongs to.
        let is_held = self.is_unsealed() || self.held.is_some();
        if self.settings.durability == Durability::Sync && is_held {
            self.wake().answers.push((shard, message));
        } else {
            context.out.send(shard, message);
        }
    }

    /// Has something been decided that is not in the log yet?
    fn is_tentative(&self) -> bool {
        !self.unsealed().is_empty() || self.held.is_some()
    }

    /// Ends the wake: gives its events to the log and its items to the members, at once or when the log has them.
    pub(crate) fn seal(&mut self, context: &mut Context<'_>) {
        let is_held = self.settings.durability == Durability::Sync && self.is_tentative();
        let Wake { entries, items, answers, departed } = *self.wake.take().unwrap_or_default();
        let record = (!entries.is_empty()).then(|| Arc::new(Record::new(entries)));
        if let Some(record) = &record {
            self.recent.push(record.clone());
            context.log.append(self.state.name(), record.first().minus(1), record.clone());
        }
        let batch = (!items.is_empty()).then(|| {
            let place = Place::Room(self.name().clone());
            Arc::new(Batch::new(place, items, record, context.metrics.clone()))
        });
        let here = self.roster.homes().filter(|shard| !departed.contains(shard));
        let hearers = here.chain(departed.iter().copied());
        let batches = hearers.filter_map(|shard| Some((shard, Message::Batch(batch.clone()?))));
        let sealed = answers.into_iter().chain(batches);
        if is_held {
            self.held.get_or_insert_default().push_back((self.last, sealed.collect()));
        } else {
            sealed.for_each(|(shard, message)| context.out.send(shard, message));
            self.told = self.last;
        }
        self.trim();
        self.snapshot_if_due(context);
    }

    /// The log has everything up to `last`: whoever waited for that is told.
    pub(crate) fn committed(&mut self, last: Seq, out: &mut Outgoing) {
        self.told = self.told.max(last);
        let Some(held) = &mut self.held else { return };
        while let Some((_, messages)) = held.pop_front_if(|(seq, _)| *seq <= last) {
            messages.into_iter().for_each(|(shard, message)| out.send(shard, message));
        }
        self.held.take_if(|held| held.is_empty());
    }
}
