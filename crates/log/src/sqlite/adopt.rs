//! A room whose durability was changed: its past is in the other file, and comes along.
//!
//! The copy is on the disk before the original is removed. After a crash between the two the room is in both files;
//! the copy with the higher last position wins, so it doesn't matter which one was used since.

use std::sync::Arc;

use madang_room::{RoomName, Seq};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::queue::Call;
use super::rows::{RoomRow, RowError};
use super::schema;

use super::{Settings, Shared};
use crate::Epoch;

/// The file for rooms of the other durability, to be read; only its own writer writes it.
pub(crate) struct Other {
    pub(crate) db: Connection,
    pub(crate) shared: Arc<Shared>,
}

impl Other {
    /// Finds out where `room` is, of which this file has `own`, and moves it over if need be: to the row `id`, as
    /// part of this file's `generation`. Nobody uses it while it is loaded.
    pub(crate) fn settle(
        &self,
        db: &Connection,
        room: &RoomName,
        own: Option<RoomRow>,
        id: i64,
        generation: i64,
        settings: Settings,
    ) -> Result<Option<RoomRow>, RowError> {
        let theirs = RoomRow::find(&self.db, room.key())?;
        let Some(theirs) = theirs else { return Ok(own) };
        let moved = Call::Moved { room: room.clone(), last: theirs.last };
        let row = match own {
            Some(own) if own.last >= theirs.last => own,
            own => {
                // Every commit is on the disk when it returns, so the original can be removed next.
                let row = self.copy(db, own.as_ref(), &theirs, id, generation)?;
                tracing::info!(%room, to = settings.name(), "its durability has changed, so it was moved");
                row
            }
        };
        // If this isn't taken the room stays in both files, until the next load.
        let _ = self.shared.queue.push(moved);
        Ok(Some(row))
    }

    fn copy(
        &self,
        db: &Connection,
        own: Option<&RoomRow>,
        theirs: &RoomRow,
        id: i64,
        generation: i64,
    ) -> Result<RoomRow, RowError> {
        let from = self.db.unchecked_transaction()?;
        let to = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
        if let Some(own) = own {
            own.delete(&to)?;
        }
        let mut row = RoomRow { id, generation, ..theirs.clone() };
        if theirs.generation != schema::generation(&from)? {
            row.epochs.begin(Epoch::random(), theirs.last);
        }
        if let Some((seq, state)) = theirs.snapshot(&from)? {
            row.write_snapshot(&to, seq, &state)?;
        }
        let mut all = from.prepare_cached(
            "SELECT first_seq, last_seq, at, crc, body FROM records WHERE room = ?1 ORDER BY last_seq",
        )?;
        let mut records = all.query([theirs.id])?;
        let (mut next, mut body) = (Seq::ZERO, Vec::new());
        while let Some(found) = records.next()? {
            let record = theirs.record(found, next)?;
            next = record.last().next();
            row.insert(&to, record.span(), record.entries(), &mut body)?;
        }
        row.write(&to)?;
        to.commit()?;
        Ok(row)
    }
}
