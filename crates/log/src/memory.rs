//! The log in memory: for rooms whose past need not outlive the server, and for tests.
//!
//! Everything is answered within the call. Nothing here is bounded by itself: the trim that comes with each snapshot
//! is what keeps a room's memory small. Elsewhere: rooms that must last (`sqlite`).

use std::collections::VecDeque;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use foldhash::HashMap;
use madang_room::{Entry, RoomName, Seq, Timestamp};

use crate::{
    AppendError, Completion, Durability, Epoch, Epochs, Health, LoadError, Loaded, Log, RECENT_EVENTS, Range,
    Record, Sink, Ticket, Trim,
};

/// One shard's log of `Memory` rooms. For tests it holds the others, too, and keeps those when they are unloaded.
pub struct MemoryLog {
    rooms: HashMap<RoomName, Room>,
    sink: Sink,
}

impl MemoryLog {
    /// An empty one, which answers through `sink` within each call.
    pub fn new(sink: Sink) -> MemoryLog {
        MemoryLog { rooms: HashMap::default(), sink }
    }
}

impl Log for MemoryLog {
    fn load(&mut self, room: &RoomName, durability: Durability) {
        let stored = self.rooms.entry(room.clone()).or_insert_with(|| Room::new(durability));
        (self.sink)(Completion::Loaded { room: room.clone(), result: Ok(Box::new(stored.loaded())) });
    }

    fn append(&mut self, room: &RoomName, expected: Seq, record: Arc<Record>) {
        let last = record.last();
        let (durability, result) = match self.rooms.get_mut(room) {
            Some(stored) => (stored.durability, stored.append(expected, record)),
            None => {
                (Durability::Memory, Err(AppendError::Unavailable { why: format!("{room} is not loaded") }))
            }
        };
        if result.is_err() || durability == Durability::Sync {
            (self.sink)(Completion::Appended { room: room.clone(), last, result });
        }
    }

    fn read(&mut self, ticket: Ticket, room: &RoomName, range: Range, limit: usize) {
        let result = match self.rooms.get(room) {
            Some(stored) => Ok(stored.read(range, limit)),
            None => Err(LoadError::Unavailable { room: room.clone(), why: "it is not loaded".into() }),
        };
        (self.sink)(Completion::Read { ticket, result });
    }

    fn snapshot(&mut self, room: &RoomName, seq: Seq, state: String, trim: Trim) {
        if let Some(stored) = self.rooms.get_mut(room) {
            stored.snapshot(seq, state, trim);
        }
    }

    fn unload(&mut self, room: &RoomName) {
        if let Slot::Occupied(slot) = self.rooms.entry(room.clone())
            && slot.get().durability == Durability::Memory
        {
            slot.remove();
        }
    }

    /// Nothing: memory has no next start at which a fact could be read back.
    fn remember(&mut self, _key: String, _value: Option<String>) {}

    fn health(&self) -> Health {
        Health::Well
    }
}

struct Room {
    durability: Durability,
    epochs: Epochs,
    first: Seq,
    last: Seq,
    last_at: Timestamp,
    snapshot: Option<(Seq, String)>,
    records: VecDeque<Arc<Record>>,
}

impl Room {
    fn new(durability: Durability) -> Room {
        Room {
            durability,
            epochs: Epochs::new(Epoch::random()),
            first: Seq(1),
            last: Seq::ZERO,
            last_at: Timestamp::default(),
            snapshot: None,
            records: VecDeque::new(),
        }
    }

    fn loaded(&self) -> Loaded {
        let after = self.snapshot.as_ref().map_or(Seq::ZERO, |(seq, _)| *seq);
        let wanted = after.next().min(self.last.next().minus(RECENT_EVENTS as u64));
        let tail = self.records.range(self.holding(wanted)..);
        Loaded {
            epochs: self.epochs.clone(),
            last: self.last,
            last_at: self.last_at,
            first: self.first,
            snapshot: self.snapshot.clone(),
            tail: tail.map(|record| record.clone().starting_at(self.first)).collect(),
        }
    }

    fn append(&mut self, expected: Seq, record: Arc<Record>) -> Result<(), AppendError> {
        if expected != self.last || record.first() != expected.next() {
            return Err(AppendError::Refused { actual: self.last });
        }
        (self.last, self.last_at) = (record.last(), record.at());
        self.records.push_back(record);
        Ok(())
    }

    fn read(&self, range: Range, limit: usize) -> Vec<Entry> {
        match range {
            Range::After(after) => {
                let from = after.next().max(self.first);
                let records = self.records.range(self.holding(from)..);
                let entries = records.flat_map(|record| record.entries());
                entries.filter(|entry| entry.seq >= from).take(limit).cloned().collect()
            }
            Range::Before(before) => {
                let records = self.records.range(..self.records.len().min(self.holding(before) + 1)).rev();
                let entries = records.flat_map(|record| record.entries().iter().rev());
                let wanted = entries.filter(|entry| (self.first..before).contains(&entry.seq));
                let mut entries: Vec<Entry> = wanted.take(limit).cloned().collect();
                entries.reverse();
                entries
            }
        }
    }

    fn snapshot(&mut self, seq: Seq, state: String, trim: Trim) {
        if seq > self.last {
            return;
        }
        if self.snapshot.as_ref().is_none_or(|(newest, _)| *newest <= seq) {
            self.snapshot = Some((seq, state));
        }
        self.first = self.first.max(trim.first.min(seq.next()));
        while let Some(oldest) = self.records.front()
            && oldest.last() <= seq
            && (oldest.last() < self.first || trim.before.is_some_and(|before| oldest.at() < before))
        {
            self.first = self.first.max(oldest.last().next());
            self.records.pop_front();
        }
    }

    /// Where the record with `seq` is, or the first one after it.
    fn holding(&self, seq: Seq) -> usize {
        self.records.partition_point(|record| record.last() < seq)
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::{self, Bench};
    use crate::{Durability, MemoryLog};

    #[test]
    fn memory_keeps_the_contract_of_memory_rooms() {
        contract::of_every_room(|| Bench::new(Durability::Memory, MemoryLog::new));
        contract::of_memory_rooms(|| Bench::new(Durability::Memory, MemoryLog::new));
    }

    #[test]
    fn memory_stands_in_for_durable_rooms_in_tests() {
        for durability in [Durability::Async, Durability::Sync] {
            contract::of_every_room(|| Bench::new(durability, MemoryLog::new));
            contract::of_lasting_rooms(|| Bench::new(durability, MemoryLog::new));
        }
    }
}
