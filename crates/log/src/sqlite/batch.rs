//! What a writer's next transaction does, and what it leaves of the rooms when it succeeds or fails.
//!
//! A [`Room`] is always as it will be once the batch is written; [`Room::kept`] is what the file has. Until the batch
//! is written a room that it changes is `pending`, and nobody is shown it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::HashMap;
use madang_room::{RoomName, Seq, Timestamp};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use rustc_hash::FxHashSet;

use super::rows::{self, RoomRow};
use super::{SPARE_CALLS, journal};
use crate::{AppendError, Loaded, Record, Trim};

/// Events of several records that become one row, at most, and their bytes of text: what is read to see one of them.
/// Where many rooms are talked in, each wake brings a record of one event, and a row costs more than a dozen events do.
/// Only what has waited in the journal is put together: the rest is as old as its row says, to the millisecond.
const ROW_EVENTS_MAX: usize = 64;
const ROW_BYTES_MAX: usize = 16 << 10;

/// The rooms that are loaded from a file. Boxed, because up to half of a table's places are empty.
pub(crate) type Rooms = HashMap<RoomName, Box<Room>>;

/// A loaded room.
pub(crate) struct Room {
    pub(crate) row: RoomRow,
    /// `None` while the room is not in the file.
    pub(crate) kept: Option<Kept>,
    /// Does the batch change it?
    pub(crate) pending: bool,
    /// Appends were given up that later ones may build on.
    pub(crate) failed: bool,
    pub(crate) unloaded: bool,
}

/// What the file has of a room, as far as a batch may change it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Kept {
    first: Seq,
    last: Seq,
    generation: i64,
}

/// Changes that are written together.
#[derive(Default)]
pub(crate) struct Batch {
    /// Each with the room's id, or 0.
    changes: Vec<(i64, Change)>,
    /// The rooms that it changes, each once; their rows are written at its end.
    touched: Vec<RoomName>,
    /// How many of the changes are in the journal: on the disk, and not yet where they belong.
    journaled: usize,
    /// Where records are encoded.
    body: Vec<u8>,
}

enum Change {
    Append { room: RoomName, record: Arc<Record> },
    Snapshot { room: RoomName, snapshot: Box<Snapshot> },
    Fact(Box<Fact>),
}

/// A room's state, and what it makes unnecessary.
pub(crate) struct Snapshot {
    pub(crate) seq: Seq,
    pub(crate) state: String,
    pub(crate) trim: Trim,
}

/// Something small that is kept beside the rooms; without a value it is forgotten.
pub(crate) struct Fact {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

/// Why a batch was not written.
pub(crate) enum Failure {
    /// Nothing of it is in the file.
    NotWritten(rusqlite::Error),
    /// All of it may be in the file, or nothing.
    Unknown(rusqlite::Error),
}

/// What a batch came to.
pub(crate) struct Written {
    pub(crate) events: u64,
    /// What the commit alone took: in a file of `Sync` rooms, the wait for the disk.
    pub(crate) committed_in: Duration,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.touched.is_empty()
    }

    /// Appends a record that follows the room's last one.
    pub(crate) fn append(&mut self, name: RoomName, room: &mut Room, record: Arc<Record>) {
        (room.row.last, room.row.last_at) = (record.last(), record.at());
        self.touch(&name, room);
        self.changes.push((room.row.id, Change::Append { room: name, record }));
    }

    pub(crate) fn snapshot(&mut self, name: RoomName, room: &mut Room, snapshot: Box<Snapshot>) {
        self.touch(&name, room);
        self.changes.push((room.row.id, Change::Snapshot { room: name, snapshot }));
    }

    pub(crate) fn remember(&mut self, fact: Box<Fact>) {
        self.changes.push((0, Change::Fact(fact)));
    }

    /// Writes the room's row, which has changed.
    pub(crate) fn touch(&mut self, name: &RoomName, room: &mut Room) {
        if !room.pending {
            room.pending = true;
            self.touched.push(name.clone());
        }
    }

    /// How many changes wait.
    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Are the newest changes such that it is cheaper to write them to the journal for now? They must be appends, to
    /// many rooms, which the file has.
    pub(crate) fn is_for_journal(&self, rooms: &Rooms, rooms_min: usize) -> bool {
        let is_in_file = |name: &RoomName| {
            let room = rooms.get(name);
            room.is_some_and(|room| room.kept.is_some_and(|kept| kept.generation == room.row.generation))
        };
        let new = &self.changes[self.journaled..];
        if new.len() < rooms_min || !new.iter().all(|(_, change)| matches!(change, Change::Append { .. })) {
            return false;
        }
        let in_rooms: FxHashSet<i64> = new.iter().map(|(room, _)| *room).collect();
        in_rooms.len() >= rooms_min && self.touched.iter().all(is_in_file)
    }

    /// Writes the newest changes to the journal, for which [`Batch::is_for_journal`] must have held.
    pub(crate) fn write_journal(&mut self, db: &Connection, rooms: &Rooms) -> Result<(), Failure> {
        let mut row = Vec::new();
        for (_, change) in &self.changes[self.journaled..] {
            if let Change::Append { room, record } = change
                && let Some(room) = rooms.get(room)
            {
                journal::push(&mut row, &room.row, record, &mut self.body);
            }
        }
        // Whatever it says of the outcome: the batch has it all, and will be written whole next.
        journal::write(db, &mut row).map_err(Failure::NotWritten)?;
        self.journaled = self.changes.len();
        Ok(())
    }

    /// Writes all of it in one transaction. Where that fails it is as it was before.
    pub(crate) fn write(&mut self, db: &Connection, rooms: &mut Rooms) -> Result<Written, Failure> {
        let written = self.commit(db, rooms);
        match &written {
            Ok(_) => {
                self.changes.clear();
                self.changes.shrink_to(SPARE_CALLS);
                self.journaled = 0;
                for name in self.touched.drain(..) {
                    if let Some(room) = rooms.get_mut(&name) {
                        (room.kept, room.pending) = (Some(Kept::of(&room.row)), false);
                    }
                }
            }
            Err(_) => {
                // What trimming changed is decided again with the next try.
                for name in &self.touched {
                    if let Some(room) = rooms.get_mut(name) {
                        room.row.first = room.kept.map_or(Seq(1), |kept| kept.first);
                    }
                }
            }
        }
        written
    }

    fn commit(&mut self, db: &Connection, rooms: &mut Rooms) -> Result<Written, Failure> {
        let transaction =
            Transaction::new_unchecked(db, TransactionBehavior::Immediate).map_err(Failure::NotWritten)?;
        let events = self.write_changes(&transaction, rooms).map_err(Failure::NotWritten)?;
        let began = Instant::now();
        transaction.commit().map_err(|why| match why.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Failure::NotWritten(why),
            _ => Failure::Unknown(why),
        })?;
        Ok(Written { events, committed_in: began.elapsed() })
    }

    fn write_changes(&mut self, db: &Connection, rooms: &mut Rooms) -> rusqlite::Result<u64> {
        // Rows of one room are neighbours in the file: sorted, an event costs 3 µs instead of 5 where 1,000 rooms take
        // turns. What one room was asked, and the facts, keep their order.
        let events_max = if self.journaled > 0 { ROW_EVENTS_MAX } else { 1 };
        if self.journaled > 0 {
            // From here on the order does not tell which they were; a failure leaves them all to the next try.
            self.journaled = self.changes.len();
        }
        self.changes.sort_by_key(|(room, _)| *room);
        let mut events = 0;
        let mut rest = self.changes.as_slice();
        while let Some((_, change)) = rest.first() {
            let run = appends_of_one_row(rest, events_max);
            rest = &rest[run.len().max(1)..];
            match change {
                Change::Append { room, .. } => {
                    let records = || run.iter().filter_map(|(_, change)| change.record());
                    let entries = records().flat_map(|record| record.entries());
                    if let (Some(room), Some(first), Some(last)) =
                        (rooms.get(room), records().next(), records().next_back())
                    {
                        let span = (first.first(), last.last(), last.at());
                        room.row.insert(db, span, entries, &mut self.body)?;
                        events += last.last().0 + 1 - first.first().0;
                    }
                }
                Change::Snapshot { room, snapshot } => {
                    if let Some(room) = rooms.get_mut(room) {
                        room.row.write_snapshot(db, snapshot.seq, &snapshot.state)?;
                        room.row.trim(db, snapshot.seq, snapshot.trim)?;
                    }
                }
                Change::Fact(fact) => rows::write_fact(db, &fact.key, fact.value.as_deref())?,
            }
        }
        for room in self.touched.iter().filter_map(|name| rooms.get(name)) {
            room.row.write(db)?;
        }
        if self.journaled > 0 {
            journal::clear(db)?;
        }
        Ok(events)
    }

    /// Forgets all of it. Rooms that had appends in it are `failed`.
    pub(crate) fn give_up(&mut self, rooms: &mut Rooms) {
        self.changes.clear();
        for name in self.touched.drain(..) {
            if let Some(room) = rooms.get_mut(&name) {
                room.pending = false;
                room.failed = room.kept != Some(Kept::of(&room.row));
            }
        }
    }
}

/// The appends at the beginning of `changes`, which are sorted by room, that go into one row.
fn appends_of_one_row(changes: &[(i64, Change)], events_max: usize) -> &[(i64, Change)] {
    let Some((room, _)) = changes.first() else { return &[] };
    let (mut events, mut bytes) = (0, 0);
    let fits = |(of, change): &(i64, Change)| {
        let Some(record) = change.record().filter(|_| of == room) else { return false };
        let is_first = events == 0;
        events += record.entries().len();
        bytes += record.entries().iter().map(|entry| entry.event.content_bytes()).sum::<usize>();
        is_first || (events <= events_max && bytes <= ROW_BYTES_MAX)
    };
    let end = changes.iter().map(fits).position(|fits| !fits).unwrap_or(changes.len());
    &changes[..end]
}

impl Change {
    fn record(&self) -> Option<&Record> {
        match self {
            Change::Append { record, .. } => Some(record),
            Change::Snapshot { .. } | Change::Fact(_) => None,
        }
    }
}

impl Room {
    /// One that the file has.
    pub(crate) fn stored(row: RoomRow) -> Room {
        Room { kept: Some(Kept::of(&row)), ..Room::new(row) }
    }

    /// One that the file has once something happens in it.
    pub(crate) fn new(row: RoomRow) -> Room {
        Room { row, kept: None, pending: false, failed: false, unloaded: false }
    }

    /// What is loaded of a room that the file does not have.
    pub(crate) fn nothing_yet(&self) -> Loaded {
        Loaded {
            epochs: self.row.epochs.clone(),
            last: Seq::ZERO,
            last_at: Timestamp::default(),
            first: Seq(1),
            snapshot: None,
            tail: Vec::new(),
        }
    }
}

impl Kept {
    fn of(row: &RoomRow) -> Kept {
        Kept { first: row.first, last: row.last, generation: row.generation }
    }
}

impl Failure {
    pub(crate) fn why(&self) -> &rusqlite::Error {
        match self {
            Failure::NotWritten(why) | Failure::Unknown(why) => why,
        }
    }

    /// As those hear it whose appends were in the batch.
    pub(crate) fn answer(&self) -> AppendError {
        match self {
            Failure::NotWritten(why) => AppendError::Unavailable { why: why.to_string() },
            Failure::Unknown(why) => AppendError::Unknown { why: why.to_string() },
        }
    }
}
