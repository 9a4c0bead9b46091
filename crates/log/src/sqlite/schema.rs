//! A file's tables, and how its connections are opened.
//!
//! `rooms` has a row for each room, `records` one for what each wake brought to it, `snapshots` the newest state of
//! it; `journal` is what waits to be sorted into `records`; `facts` are small things kept beside them, and `meta` is
//! about the file itself. A change here means a new
//! [`VERSION`] and a step from the one before.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::OpenError;

/// "MADG": what `file` and we know our files by.
const APPLICATION_ID: i64 = 0x4d41_4447;
/// The form of the tables, kept as SQLite's `user_version`.
const VERSION: i64 = 1;
/// How long another program that writes to the file (`sqlite3`, a backup) is waited for.
const OTHERS_MAY_TAKE: Duration = Duration::from_secs(1);
/// Memory for pages that a writer has changed, in KiB. A batch is sorted by room, so each page is met once in a commit,
/// and what is written early need not be kept: 16 MiB makes a million events to 1,000 rooms not 3 % cheaper
/// (`examples/append_speed.rs`).
const WRITER_CACHE_KIB: i64 = 256;
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 32;

const TABLES: &str = "
    CREATE TABLE meta (clean INTEGER NOT NULL, generation INTEGER NOT NULL) STRICT;
    INSERT INTO meta VALUES (1, 1);
    CREATE TABLE rooms (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, first INTEGER NOT NULL, last INTEGER NOT NULL,
        last_at INTEGER NOT NULL, generation INTEGER NOT NULL, epochs TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;
    CREATE TABLE records (
        room INTEGER NOT NULL, last_seq INTEGER NOT NULL, first_seq INTEGER NOT NULL, at INTEGER NOT NULL,
        crc INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (room, last_seq)) STRICT, WITHOUT ROWID;
    CREATE TABLE snapshots (
        room INTEGER PRIMARY KEY, seq INTEGER NOT NULL, crc INTEGER NOT NULL, state TEXT NOT NULL) STRICT;
    CREATE TABLE facts (key TEXT PRIMARY KEY, crc INTEGER NOT NULL, value TEXT NOT NULL) STRICT;
    CREATE TABLE journal (id INTEGER PRIMARY KEY, crc INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
    CREATE TABLE spare (body BLOB) STRICT;
";

/// Opens the file for its writer, and makes it where there is none.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    open(path, flags, |db| {
        if is_empty(db)? {
            make(db)?;
        }
        Ok(())
    })
    .and_then(|db| {
        // The writer checkpoints itself, after it has answered: SQLite would do so within a commit.
        db.execute_batch(
            // A commit is on the disk when it returns, also in the file that is paced: at most one of its
            // commits' worth can be lost, as its rooms promise, and not all since the last checkpoint.
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = 67108864;",
        )
        .and_then(|()| db.pragma_update(None, "cache_size", -WRITER_CACHE_KIB))
        .map_err(|why| OpenError::of(path, why))?;
        Ok(db)
    })
}

/// Opens the file for somebody who only reads. The writer must have it open.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, |_| Ok(()))
}

fn open(
    path: &Path,
    flags: OpenFlags,
    prepare: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<Connection, OpenError> {
    let open = || -> rusqlite::Result<_> {
        // Without SQLITE_OPEN_URI: a folder called `file:x?mode=memory` is a folder. Each thread has its connection.
        let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.busy_timeout(OTHERS_MAY_TAKE)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        // Damage in a page is found before its cells are believed, and a schema from outside calls no functions.
        db.execute_batch(
            "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;",
        )?;
        prepare(&db)?;
        Ok((number(&db, "application_id")?, number(&db, "user_version")?, db))
    };
    let path: PathBuf = path.into();
    match open() {
        Ok((APPLICATION_ID, VERSION, db)) => Ok(db),
        Ok((APPLICATION_ID, found, _)) if found > VERSION => {
            Err(OpenError::Newer { path, found, known: VERSION })
        }
        Ok(_) => Err(OpenError::Damaged { path, why: "it is another program's database".into() }),
        Err(why) => Err(OpenError::of(&path, why)),
    }
}

fn number(db: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, pragma, |row| row.get(0))
}

/// Is it a new file, or one that somebody began to make?
fn is_empty(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
}

/// All in one transaction: a crash leaves an empty file, which is made again.
fn make(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; {TABLES}
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}

/// Begins to use the file: if it was not closed cleanly, its rooms' newest events may be gone, and a new generation
/// begins. Durable before anything is served, so that a crash from here on is seen at the next start.
pub(crate) fn begin_generation(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row(
        "UPDATE meta SET generation = generation + (clean = 0), clean = 0 RETURNING generation",
        [],
        |row| row.get(0),
    )
}

/// The file's generation. A room whose row has another one may have lost events since that was written.
pub(crate) fn generation(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT generation FROM meta", [], |row| row.get(0))
}

/// Everything is committed and nothing more will be.
pub(crate) fn mark_clean(db: &Connection) -> rusqlite::Result<()> {
    db.execute("UPDATE meta SET clean = 1", []).map(drop)
}

/// Is what SQLite met damage, rather than a disk or a file that can't be used now?
pub(crate) fn is_damage(why: &rusqlite::Error) -> bool {
    use rusqlite::Error::*;
    match why {
        FromSqlConversionFailure(..)
        | IntegralValueOutOfRange(..)
        | InvalidColumnType(..)
        | Utf8Error(..) => true,
        // The tables are there since the file was made.
        QueryReturnedNoRows => true,
        _ => matches!(why.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)),
    }
}
