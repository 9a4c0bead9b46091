//! The thread that reads a file: history and loads are decoded here, so that no commit waits for them.
//!
//! Every answer is read in one transaction, its rows are checked to be the ones that were written, and to follow each
//! other without a hole from the first position that is kept to the last: rot is found, not served.

use std::sync::{Arc, mpsc};

use madang_room::{Entry, RoomName, Seq};
use rusqlite::{Connection, OptionalExtension, Rows, params};

use super::Shared;
use super::queue::{Call, Cost};
use super::rows::{RoomRow, RowError, seq, sql};
use crate::board::ListenerId;
use crate::{Completion, LoadError, Loaded, RECENT_EVENTS, Range, Record, Ticket};

const COLUMNS: &str = "first_seq, last_seq, at, crc, body";

/// What the writer passes on, once all that was asked before is committed.
pub(crate) enum Job {
    Load {
        by: ListenerId,
        room: RoomName,
    },
    /// `up_to` is the room's last position when the read was asked for: it says nothing of what came later.
    Read {
        by: ListenerId,
        ticket: Ticket,
        room: RoomName,
        range: Range,
        limit: usize,
        up_to: Seq,
    },
}

pub(crate) struct Reader {
    pub(crate) db: Connection,
    pub(crate) shared: Arc<Shared>,
}

impl Reader {
    /// Until the writer has ended.
    pub(crate) fn run(self, jobs: mpsc::Receiver<Job>) {
        for job in jobs {
            let (by, completion) = match job {
                Job::Load { by, room } => {
                    let result = self.load(&room).map(Box::new).map_err(|why| why.of(&room));
                    (by, Completion::Loaded { room, result })
                }
                Job::Read { by, ticket, room, range, limit, up_to } => {
                    let result = self.read(&room, range, limit, up_to).map_err(|why| why.of(&room));
                    (by, Completion::Read { ticket, result })
                }
            };
            self.shared.queue.release(Job::COST);
            self.shared.board.tell(by, completion);
        }
    }

    fn load(&self, room: &RoomName) -> Result<Loaded, RowError> {
        let db = self.db.unchecked_transaction()?;
        let row = find(&db, room)?;
        let snapshot = row.snapshot(&db)?;
        let after = snapshot.as_ref().map_or(Seq::ZERO, |(seq, _)| *seq);
        let recent = row.last.next().minus(RECENT_EVENTS as u64);
        let mut tail = backwards(&db, &row, row.last, after.next().min(recent).max(row.first))?;
        tail.reverse();
        let tail = tail.into_iter().map(|record| Arc::new(record).starting_at(row.first)).collect();
        Ok(Loaded {
            epochs: row.epochs,
            last: row.last,
            last_at: row.last_at,
            first: row.first,
            snapshot,
            tail,
        })
    }

    fn read(&self, room: &RoomName, range: Range, limit: usize, up_to: Seq) -> Result<Vec<Entry>, RowError> {
        let db = self.db.unchecked_transaction()?;
        let row = find(&db, room)?;
        let up_to = row.last.min(up_to);
        match range {
            _ if limit == 0 => Ok(Vec::new()),
            Range::After(after) => read_after(&db, &row, after.next().max(row.first), limit, up_to),
            Range::Before(before) => read_before(&db, &row, before.minus(1).min(up_to), limit),
        }
    }
}

fn find(db: &Connection, room: &RoomName) -> Result<RoomRow, RowError> {
    RoomRow::find(db, room.key())?.ok_or_else(|| missing(Seq::ZERO))
}

/// The first `limit` entries from `from` to `up_to`.
fn read_after(
    db: &Connection,
    row: &RoomRow,
    from: Seq,
    limit: usize,
    up_to: Seq,
) -> Result<Vec<Entry>, RowError> {
    let mut find = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM records WHERE room = ?1 AND last_seq >= ?2 ORDER BY last_seq"
    ))?;
    let mut found = find.query([row.id, sql(from)])?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut next = from;
    while next <= up_to && entries.len() < limit {
        let record = next_record(row, &mut found, next)?;
        if record.first() > next || (record.first() < next && !entries.is_empty()) {
            return Err(missing(next));
        }
        let wanted = record.entries().iter().filter(|entry| (next..=up_to).contains(&entry.seq));
        entries.extend(wanted.take(limit - entries.len()).cloned());
        next = record.last().next();
    }
    Ok(entries)
}

/// The last `limit` entries up to `newest`.
fn read_before(db: &Connection, row: &RoomRow, newest: Seq, limit: usize) -> Result<Vec<Entry>, RowError> {
    if newest < row.first {
        return Ok(Vec::new());
    }
    let holding = db
        .prepare_cached(
            "SELECT last_seq FROM records WHERE room = ?1 AND last_seq >= ?2 ORDER BY last_seq LIMIT 1",
        )?
        .query_row(params![row.id, sql(newest)], |row| seq(row, 0))
        .optional()
        .map_err(|why| RowError::from(why).at(newest))?;
    let from = newest.next().minus(limit as u64).max(row.first);
    let records = backwards(db, row, holding.ok_or_else(|| missing(newest))?, from)?;
    if records.first().is_none_or(|record| record.first() > newest) {
        return Err(missing(newest));
    }
    let entries = records.iter().rev().flat_map(Record::entries);
    Ok(entries.filter(|entry| (from..=newest).contains(&entry.seq)).cloned().collect())
}

/// The record that ends with `last` and those before it, down to the one with `down_to`, newest first.
fn backwards(db: &Connection, row: &RoomRow, last: Seq, down_to: Seq) -> Result<Vec<Record>, RowError> {
    let mut find = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM records WHERE room = ?1 AND last_seq <= ?2 ORDER BY last_seq DESC"
    ))?;
    let mut found = find.query([row.id, sql(last)])?;
    let mut records: Vec<Record> = Vec::new();
    let mut next = last;
    while next >= down_to && next > Seq::ZERO {
        let record = next_record(row, &mut found, next)?;
        if record.last() != next {
            return Err(missing(next));
        }
        next = record.first().minus(1);
        records.push(record);
    }
    Ok(records)
}

/// The record in the next row, where `expected` is looked for.
fn next_record(row: &RoomRow, found: &mut Rows<'_>, expected: Seq) -> Result<Record, RowError> {
    match found.next() {
        Ok(Some(found)) => row.record(found, expected),
        Ok(None) => Err(missing(expected)),
        Err(why) => Err(RowError::from(why).at(expected)),
    }
}

fn missing(seq: Seq) -> RowError {
    RowError::Damaged { seq, why: "it is missing".into() }
}

impl Job {
    /// What the call that it comes from cost the queue.
    pub(crate) const COST: Cost = Call::PLAIN_COST;

    pub(crate) fn answer_unavailable(self, shared: &Shared, why: &str) {
        let unavailable = |room: RoomName| LoadError::Unavailable { room, why: why.into() };
        let (by, completion) = match self {
            Job::Load { by, room } => {
                (by, Completion::Loaded { room: room.clone(), result: Err(unavailable(room)) })
            }
            Job::Read { by, ticket, room, .. } => {
                (by, Completion::Read { ticket, result: Err(unavailable(room)) })
            }
        };
        shared.board.tell(by, completion);
    }
}
