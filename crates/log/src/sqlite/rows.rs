//! Rows and what they mean: every statement about a room's rows is here, its values bound, its checksum made and
//! checked.

use std::path::Path;

use madang_room::{Entry, Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use smol_str::SmolStr;

use super::schema;
use crate::stored::{self, StoredRow};
use crate::{Epochs, LoadError, OpenError, Record, Span, Trim};

/// A room's row: what is kept of it, and who vouches for it.
#[derive(Clone)]
pub(crate) struct RoomRow {
    /// Names it in the other tables of this file.
    pub(crate) id: i64,
    pub(crate) key: SmolStr,
    /// The oldest position that is kept; one after `last` where none is.
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    pub(crate) last_at: Timestamp,
    /// The file's, when the current epoch was found to be good.
    pub(crate) generation: i64,
    pub(crate) epochs: Epochs,
}

/// What reading may meet.
#[derive(Debug)]
pub(crate) enum RowError {
    Sqlite(rusqlite::Error),
    Damaged { seq: Seq, why: String },
}

impl From<rusqlite::Error> for RowError {
    fn from(why: rusqlite::Error) -> RowError {
        RowError::Sqlite(why)
    }
}

impl RowError {
    pub(crate) fn damaged(seq: Seq, why: impl ToString) -> RowError {
        RowError::Damaged { seq, why: why.to_string() }
    }

    /// Gives what SQLite calls damage the position that was looked for.
    pub(crate) fn at(self, seq: Seq) -> RowError {
        match self {
            RowError::Sqlite(why) if schema::is_damage(&why) => RowError::damaged(seq, why),
            other => other,
        }
    }

    /// As who opens the file is told.
    pub(crate) fn of_file(self, path: &Path) -> OpenError {
        match self.at(Seq::ZERO) {
            RowError::Damaged { why, .. } => OpenError::Damaged { path: path.into(), why },
            RowError::Sqlite(why) => OpenError::of(path, why),
        }
    }

    /// As the caller hears it.
    pub(crate) fn of(self, room: &madang_room::RoomName) -> LoadError {
        let room = room.clone();
        match self.at(Seq::ZERO) {
            RowError::Damaged { seq, why } => LoadError::Damaged { room, seq, why },
            RowError::Sqlite(why) => LoadError::Unavailable { room, why: why.to_string() },
        }
    }
}

impl RoomRow {
    fn checksum(&self, epochs: &str) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        sum.update(self.key.as_bytes());
        for number in [self.id, sql(self.first), sql(self.last), self.last_at.0, self.generation] {
            sum.update(&number.to_le_bytes());
        }
        sum.update(epochs.as_bytes());
        sum.finalize()
    }

    /// Finds a room.
    pub(crate) fn find(db: &Connection, key: &str) -> Result<Option<RoomRow>, RowError> {
        let mut find = db.prepare_cached(
            "SELECT id, first, last, last_at, generation, epochs, crc FROM rooms WHERE key = ?1",
        )?;
        let mut rows = find.query([key])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let text: String = row.get(5)?;
        let epochs = serde_json::from_str(&text).map_err(|why| RowError::damaged(Seq::ZERO, why))?;
        let found = RoomRow {
            id: row.get(0)?,
            key: key.into(),
            first: seq(row, 1)?,
            last: seq(row, 2)?,
            last_at: Timestamp(row.get(3)?),
            generation: row.get(4)?,
            epochs,
        };
        if row.get::<_, i64>(6)? != i64::from(found.checksum(&text)) {
            return Err(RowError::damaged(Seq::ZERO, "the checksum of the room is wrong"));
        }
        Ok(Some(found))
    }

    /// Writes it over what is there.
    pub(crate) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        let epochs = serde_json::to_string(&self.epochs).expect("a list of text and numbers is always JSON");
        let mut write = db.prepare_cached(
            "INSERT INTO rooms (id, key, first, last, last_at, generation, epochs, crc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (id) DO UPDATE SET first = ?3, last = ?4, last_at = ?5, generation = ?6, epochs = ?7, crc = ?8",
        )?;
        let (first, last, crc) = (sql(self.first), sql(self.last), self.checksum(&epochs));
        write.execute(params![
            self.id,
            self.key.as_str(),
            first,
            last,
            self.last_at.0,
            self.generation,
            epochs,
            crc
        ])?;
        Ok(())
    }

    /// Adds a row of entries after the others; `body` is a buffer to encode them in.
    pub(crate) fn insert<'a>(
        &self,
        db: &Connection,
        span: Span,
        entries: impl IntoIterator<Item = &'a Entry>,
        body: &mut Vec<u8>,
    ) -> rusqlite::Result<()> {
        stored::encode(entries, body);
        let crc = self.checksum_of(span, body);
        let text = str::from_utf8(body).expect("JSON is UTF-8");
        self.insert_encoded(db, span, crc, text)
    }

    /// The checksum of one of the room's rows, whose entries are encoded in `body`.
    pub(crate) fn checksum_of(&self, (first, last, at): Span, body: &[u8]) -> u32 {
        StoredRow { room: &self.key, first, last, at, body }.checksum()
    }

    /// Inserts a row that was encoded before.
    pub(crate) fn insert_encoded(
        &self,
        db: &Connection,
        (first, last, at): Span,
        crc: u32,
        body: &str,
    ) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO records (room, last_seq, first_seq, at, crc, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![self.id, sql(last), sql(first), at.0, crc, body])?;
        Ok(())
    }

    /// Stores the state after `seq`, where none after it is stored.
    pub(crate) fn write_snapshot(&self, db: &Connection, at: Seq, state: &str) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO snapshots (room, seq, crc, state) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (room) DO UPDATE SET seq = ?2, crc = ?3, state = ?4 WHERE seq <= ?2",
        )?
        .execute(params![self.id, sql(at), snapshot_checksum(&self.key, at, state), state])?;
        Ok(())
    }

    /// The newest state that is stored.
    pub(crate) fn snapshot(&self, db: &Connection) -> Result<Option<(Seq, String)>, RowError> {
        let mut find = db.prepare_cached("SELECT seq, crc, state FROM snapshots WHERE room = ?1")?;
        let mut rows = find.query([self.id])?;
        let found = match rows.next()? {
            None => None,
            Some(row) => {
                let (at, crc, state): (Seq, i64, String) = (seq(row, 0)?, row.get(1)?, row.get(2)?);
                if crc != i64::from(snapshot_checksum(&self.key, at, &state)) || at > self.last {
                    return Err(RowError::damaged(at, "the checksum of the snapshot is wrong"));
                }
                Some((at, state))
            }
        };
        // Events are only ever forgotten together with a snapshot of what they led to.
        if self.first > found.as_ref().map_or(Seq(1), |(at, _)| at.next()) {
            return Err(RowError::damaged(self.first, "the snapshot of what was before is missing"));
        }
        Ok(found)
    }

    /// Forgets what a snapshot at `at` makes unnecessary, in whole records. One that `trim.first` cuts through stays,
    /// and `first` hides its beginning.
    pub(crate) fn trim(&mut self, db: &Connection, at: Seq, trim: Trim) -> rusqlite::Result<()> {
        self.first = self.first.max(trim.first.min(at.next()));
        let mut keep_from = self.first;
        if let Some(before) = trim.before {
            // From the oldest up to the first that is young enough: `at` never goes backwards within a room.
            let young = db
                .prepare_cached(
                    "SELECT first_seq FROM records WHERE room = ?1 AND last_seq <= ?2 AND at >= ?3
                     ORDER BY last_seq LIMIT 1",
                )?
                .query_row(params![self.id, sql(at), before.0], |row| row.get::<_, i64>(0))
                .optional()?;
            keep_from = keep_from.max(young.map_or(at.next(), from_sql));
        }
        db.prepare_cached("DELETE FROM records WHERE room = ?1 AND last_seq < ?2")?
            .execute(params![self.id, sql(keep_from)])?;
        let oldest = db
            .prepare_cached("SELECT first_seq FROM records WHERE room = ?1 ORDER BY last_seq LIMIT 1")?
            .query_row([self.id], |row| row.get::<_, i64>(0))
            .optional()?;
        // Not after `last`: the batch that this is part of may have records yet to insert.
        self.first = self.first.max(oldest.map_or(at.next(), from_sql));
        Ok(())
    }

    /// Removes the room and all that is kept of it.
    pub(crate) fn delete(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached("DELETE FROM records WHERE room = ?1")?.execute([self.id])?;
        db.prepare_cached("DELETE FROM snapshots WHERE room = ?1")?.execute([self.id])?;
        db.prepare_cached("DELETE FROM rooms WHERE id = ?1")?.execute([self.id])?;
        Ok(())
    }

    /// The record in `row`, which was looked for at `expected`. Columns: `first_seq, last_seq, at, crc, body`.
    pub(crate) fn record(&self, row: &Row<'_>, expected: Seq) -> Result<Record, RowError> {
        let record = || {
            let stored = StoredRow {
                room: &self.key,
                first: seq(row, 0)?,
                last: seq(row, 1)?,
                at: Timestamp(row.get(2)?),
                body: row.get_ref(4)?.as_bytes().map_err(|why| RowError::damaged(expected, why))?,
            };
            let crc = u32::try_from(row.get::<_, i64>(3)?).map_err(|why| RowError::damaged(expected, why))?;
            stored.decode(crc).map_err(|why| RowError::damaged(expected, why))
        };
        record().map_err(|why: RowError| why.at(expected))
    }
}

fn snapshot_checksum(key: &str, at: Seq, state: &str) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(key.as_bytes());
    sum.update(&at.0.to_le_bytes());
    sum.update(state.as_bytes());
    sum.finalize()
}

/// The newest id of a room in this file.
pub(crate) fn last_room_id(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT coalesce(max(id), 0) FROM rooms", [], |row| row.get(0))
}

/// Everything that [`write_fact`] has kept. A wrong checksum is an error: a fact may be somebody's ban.
pub(crate) fn facts(db: &Connection) -> Result<Vec<(String, String)>, RowError> {
    let mut all = db.prepare("SELECT key, value, crc FROM facts ORDER BY key")?;
    let mut rows = all.query([])?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
        if row.get::<_, i64>(2)? != i64::from(snapshot_checksum(&key, Seq::ZERO, &value)) {
            return Err(RowError::damaged(Seq::ZERO, format!("the checksum of the fact {key:?} is wrong")));
        }
        facts.push((key, value));
    }
    Ok(facts)
}

/// Keeps a fact, or forgets it.
pub(crate) fn write_fact(db: &Connection, key: &str, value: Option<&str>) -> rusqlite::Result<()> {
    match value {
        Some(value) => db
            .prepare_cached(
                "INSERT INTO facts (key, crc, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (key) DO UPDATE SET crc = ?2, value = ?3",
            )?
            .execute(params![key, snapshot_checksum(key, Seq::ZERO, value), value])?,
        None => db.prepare_cached("DELETE FROM facts WHERE key = ?1")?.execute([key])?,
    };
    Ok(())
}

/// SQLite's integers have a sign. No log gets past the half of them; a position that a client made up may.
pub(crate) fn sql(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

fn from_sql(seq: i64) -> Seq {
    Seq(u64::try_from(seq).unwrap_or(0))
}

/// A position in a row; one below zero is damage.
pub(crate) fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map(Seq).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}
