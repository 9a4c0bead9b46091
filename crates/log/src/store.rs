//! A server's log: one folder, held by one server, and the handles that its shards use.
//!
//! `rooms.db` has the `Async` rooms and the facts, `rooms-sync.db` the `Sync` rooms: a large commit of chat never
//! delays a reservation. `Memory` rooms are in their shard's own handle. `lock` is what keeps a second server out.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::HashMap;
use madang_room::{RoomName, Seq};
use rusqlite::ErrorCode;

use crate::board::{Board, Listener};
use crate::sqlite::{Opened, Settings, Shared, SqliteFile, SqliteLog};
use crate::{Durability, Health, Histogram, Log, MemoryLog, Range, Record, Sink, Ticket, Trim};

/// The log of one server. To be [closed](Store::close): dropping it is a crash, after which `Async` rooms have lost
/// what was not committed yet and begin a new epoch.
pub struct Store {
    board: Arc<Board>,
    relaxed: SqliteFile,
    durable: SqliteFile,
    /// Locked for as long as it is open, so it goes last.
    _lock: File,
}

impl Store {
    /// Opens the folder `dir` and makes it where there is none, readable by its owner only. Takes the same time with a
    /// million rooms as with none. Also returns what was kept with [`Log::remember`], in the order of the keys.
    pub fn open(dir: &Path) -> Result<(Store, Vec<(String, String)>), OpenError> {
        Store::open_with(dir, Settings::ASYNC)
    }

    pub(crate) fn open_with(
        dir: &Path,
        relaxed: Settings,
    ) -> Result<(Store, Vec<(String, String)>), OpenError> {
        let lock = lock(dir)?;
        let board = Arc::new(Board::default());
        let relaxed = Opened::open(&dir.join("rooms.db"), relaxed, &board)?;
        let durable = Opened::open(&dir.join("rooms-sync.db"), Settings::SYNC, &board)?;
        let facts = relaxed.facts()?;
        let (one, other) = (relaxed.shared(), durable.shared());
        let relaxed = relaxed.start(Some(other))?;
        let durable = durable.start(Some(one))?;
        Ok((Store { board, relaxed, durable, _lock: lock }, facts))
    }

    /// A shard's handle. Completions go to `sink`; those of `Memory` rooms within the call.
    pub fn handle(&self, sink: Sink) -> Box<dyn Log> {
        let listener = Arc::new(Listener::new(&self.board, sink.clone()));
        let on = |file: &Arc<Shared>| SqliteLog::new(file.clone(), listener.clone());
        Box::new(Handle {
            memory: MemoryLog::new(sink),
            relaxed: on(self.relaxed.shared()),
            durable: on(self.durable.shared()),
            rooms: HashMap::default(),
            board: self.board.clone(),
        })
    }

    /// What anybody may ask of it, for as long as they like.
    pub fn watch(&self) -> Watch {
        let (relaxed, durable) = (self.relaxed.shared().clone(), self.durable.shared().clone());
        Watch { board: self.board.clone(), relaxed, durable }
    }

    /// Carries out all that was asked before and marks the end as an orderly one. Handles that are left answer
    /// `Unavailable`. Takes up to about a second where the disk fails; then the end counts as a crash.
    pub fn close(self) -> Result<(), CloseError> {
        let Store { relaxed, durable, .. } = self;
        let closed = durable.close();
        relaxed.close().and(closed)
    }

    #[cfg(test)]
    pub(crate) fn file(&self, durability: Durability) -> &SqliteFile {
        if durability == Durability::Sync { &self.durable } else { &self.relaxed }
    }
}

/// How a store is doing, also seen from other threads than those that use it.
#[derive(Clone)]
pub struct Watch {
    board: Arc<Board>,
    relaxed: Arc<Shared>,
    durable: Arc<Shared>,
}

impl Watch {
    /// Can it be written?
    pub fn health(&self) -> Health {
        self.board.health()
    }

    /// What has become of all that was asked, for metrics. Cheap.
    pub fn stats(&self) -> Stats {
        Stats { relaxed: self.relaxed.stats(), durable: self.durable.stats() }
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let not_usable = |why: io::Error| match why.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            OpenError::NotAFolder { path: dir.into() }
        }
        _ => OpenError::NotWritable { path: dir.into(), why },
    };
    make_folder(dir).map_err(not_usable)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join("lock"))
        .map_err(not_usable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: dir.into() }),
        Err(TryLockError::Error(why)) => Err(not_usable(why)),
    }
}

fn make_folder(dir: &Path) -> io::Result<()> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.create(dir)
}

/// Sends each call to where the room is kept.
struct Handle {
    memory: MemoryLog,
    relaxed: SqliteLog,
    durable: SqliteLog,
    /// Rooms that are loaded and not `Memory`.
    rooms: HashMap<RoomName, Durability>,
    board: Arc<Board>,
}

impl Handle {
    fn of(&mut self, room: &RoomName) -> &mut dyn Log {
        match self.rooms.get(room) {
            Some(Durability::Sync) => &mut self.durable,
            Some(Durability::Async) => &mut self.relaxed,
            // Also answers for rooms that are not loaded.
            Some(Durability::Memory) | None => &mut self.memory,
        }
    }
}

impl Log for Handle {
    fn load(&mut self, room: &RoomName, durability: Durability) {
        if durability == Durability::Memory {
            self.rooms.remove(room);
        } else {
            self.rooms.insert(room.clone(), durability);
        }
        self.of(room).load(room, durability);
    }

    fn append(&mut self, room: &RoomName, expected: Seq, record: Arc<Record>) {
        self.of(room).append(room, expected, record);
    }

    fn read(&mut self, ticket: Ticket, room: &RoomName, range: Range, limit: usize) {
        self.of(room).read(ticket, room, range, limit);
    }

    fn snapshot(&mut self, room: &RoomName, seq: Seq, state: String, trim: Trim) {
        self.of(room).snapshot(room, seq, state, trim);
    }

    fn unload(&mut self, room: &RoomName) {
        self.of(room).unload(room);
        self.rooms.remove(room);
    }

    fn remember(&mut self, key: String, value: Option<String>) {
        self.relaxed.remember(key, value);
    }

    fn health(&self) -> Health {
        self.board.health()
    }
}

/// What a store has done since it was opened, and what waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Of the file of `Async` rooms.
    pub relaxed: FileStats,
    /// Of the file of `Sync` rooms.
    pub durable: FileStats,
}

/// Of one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileStats {
    /// Transactions.
    pub commits: u64,
    /// The time that each took, writing included.
    pub commit_times: Histogram,
    /// The time that each waited for the disk; only where it does, in the file of `Sync` rooms.
    pub fsync_times: Histogram,
    /// Events in them.
    pub events: u64,
    /// Calls that wait, or are under way, now.
    pub waiting_calls: usize,
    /// Bytes of memory that they hold.
    pub waiting_bytes: usize,
}

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Something else is where the folder should be.
    #[error("{path} is not a folder")]
    NotAFolder {
        /// Where.
        path: PathBuf,
    },
    /// The folder or a file in it may not be made or written.
    #[error("{path} can't be written")]
    NotWritable {
        /// Where.
        path: PathBuf,
        /// In the system's words.
        #[source]
        why: io::Error,
    },
    /// Another process holds the folder's lock.
    #[error("another server has {path} open")]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// A database is none, or not ours, or its schema can't be read. (Damage in a room is found when that is loaded.)
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A newer program has written it.
    #[error("{path} has version {found} of the log's tables, this program knows up to {known}")]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that would do.
        known: i64,
    },
    /// SQLite can't open or use it.
    #[error("{path} can't be opened")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// In SQLite's words.
        #[source]
        why: rusqlite::Error,
    },
    /// The system starts no more threads.
    #[error("no thread can be started")]
    NoThread {
        /// In the system's words.
        #[source]
        why: io::Error,
    },
}

impl OpenError {
    /// What SQLite's error means for who tries to open `path`.
    pub(crate) fn of(path: &Path, why: rusqlite::Error) -> OpenError {
        let path = path.into();
        match why.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                OpenError::Damaged { path, why: why.to_string() }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                OpenError::NotWritable { path, why: io::Error::other(why) }
            }
            _ => OpenError::Unusable { path, why },
        }
    }
}

/// A file could not be closed in an orderly way: what it had not written yet is lost, and rooms begin a new epoch.
#[derive(Debug, thiserror::Error)]
#[error("{path} was not closed cleanly: {why}")]
pub struct CloseError {
    /// Which.
    pub path: PathBuf,
    /// In the engine's words.
    pub why: String,
}

#[cfg(test)]
mod tests;
