//! What is acknowledged and not yet sorted into the rooms' records.
//!
//! Records lie by room, so a commit that brings one event to each of 250 rooms changes 250 pages, 20 times a second.
//! Written one after the other they fill a dozen. So a commit of many rooms goes here, as one row, on the disk when it
//! returns; the batch stays in memory and is sorted in with what comes after it, within [`SORTED_WITHIN`]. After a
//! crash the journal is all there is of it, and is sorted in when the file is opened.
//!
//! Invariant: what is in the journal is in the batch, too, and in no row of `records`.

use std::time::Duration;

use madang_room::{Seq, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::rows::{RoomRow, RowError};
use crate::{Record, stored};

/// How long acknowledged records wait to be sorted in.
pub(crate) const SORTED_WITHIN: Duration = Duration::from_secs(2);
/// How many of them wait, at most: an eighth of what the queue holds.
pub(crate) const RECORDS_MAX: usize = super::QUEUE_CALLS_MAX / 8;
/// And their bytes in memory.
pub(crate) const BYTES_MAX: usize = super::QUEUE_BYTES_MAX / 8;
/// Rooms in a commit from which on a journal saves more pages than it costs.
pub(crate) const ROOMS_MIN: usize = 8;

/// A record as a row of the journal has it: the room's key, first and last position, time, checksum, body.
type Entry = (SmolStr, Seq, Seq, Timestamp, u32, Box<RawValue>);

/// Appends a record to a row that is being made.
pub(crate) fn push(row: &mut Vec<u8>, room: &RoomRow, record: &Record, body: &mut Vec<u8>) {
    stored::encode(record.entries(), body);
    row.push(if row.is_empty() { b'[' } else { b',' });
    let head = (&room.key, record.first(), record.last(), record.at(), room.checksum_of(record.span(), body));
    serde_json::to_writer(&mut *row, &head)
        .expect("numbers and text are always JSON, and memory takes all of it");
    // The body is JSON already: it becomes the list's last element.
    row.pop();
    row.push(b',');
    row.extend_from_slice(body);
    row.push(b']');
}

/// Writes a row of what was pushed. It is on the disk when this returns.
pub(crate) fn write(db: &Connection, row: &mut Vec<u8>) -> rusqlite::Result<()> {
    row.push(b']');
    let text = str::from_utf8(row).expect("JSON is UTF-8");
    db.prepare_cached("INSERT INTO journal (crc, body) VALUES (?1, ?2)")?
        .execute((crc32fast::hash(text.as_bytes()), text))
        .map(drop)
}

/// Forgets everything: it is sorted in.
pub(crate) fn clear(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM journal")?.execute([]).map(drop)
}

/// Sorts in what a crash has left.
pub(crate) fn replay(db: &Connection) -> Result<(), RowError> {
    let transaction = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    let mut rows = 0;
    {
        let mut select = transaction.prepare("SELECT crc, body FROM journal ORDER BY id")?;
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            let (crc, body): (u32, String) = (row.get(0)?, row.get(1)?);
            rows += 1;
            if crc32fast::hash(body.as_bytes()) != crc {
                return Err(RowError::damaged(Seq::ZERO, "the checksum of a row of the journal is wrong"));
            }
            let entries: Vec<Entry> =
                serde_json::from_str(&body).map_err(|why| RowError::damaged(Seq::ZERO, why))?;
            for entry in entries {
                sort_in(&transaction, entry)?;
            }
        }
    }
    if rows > 0 {
        clear(&transaction)?;
        tracing::info!(commits = rows, "what was acknowledged before a crash is sorted in");
    }
    Ok(transaction.commit()?)
}

fn sort_in(db: &Connection, (key, first, last, at, crc, body): Entry) -> Result<(), RowError> {
    // Only rooms that the file has are journaled.
    let Some(mut room) = RoomRow::find(db, &key)? else { return Ok(()) };
    if first != room.last.next() {
        return Ok(());
    }
    room.insert_encoded(db, (first, last, at), crc, body.get())?;
    (room.last, room.last_at) = (last, at);
    Ok(room.write(db)?)
}
