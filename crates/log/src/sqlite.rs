//! The log in SQLite: one file, one thread that writes, one that reads.
//!
//! Invariants: only the writer writes and checkpoints. Everything that waits for it is one transaction. Whoever is
//! told `Appended` can no longer lose the event; whoever is told of an `Async` event in memory loses it only together
//! with the room's epoch. A read or load sees all that was asked before it through the same handle: it goes through
//! the writer's queue, and to the reader once that is committed.
//!
//! `queue` is what waits, `writer` and `reader` are the threads, `batch` is what one transaction writes, `rows` are the statements and checksums, `schema` is
//! the tables and connections, `adopt` fetches rooms from the other file. What a file is for is said by its
//! [`Settings`]; who uses which file is `store`'s business.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use madang_room::{RoomName, Seq};

use self::adopt::Other;
use self::batch::{Fact, Snapshot};
use self::queue::{Call, Ending, Queue};
use self::reader::Reader;
use self::writer::Writer;
use crate::board::{Board, FileId, Listener};
use crate::times::Times;
use crate::{
    AppendError, CloseError, Completion, Durability, FileStats, Health, LoadError, Log, OpenError, Range,
    Record, Ticket, Trim,
};

mod adopt;
mod batch;
mod journal;
mod queue;
mod reader;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

/// How long an append to an `Async` room waits for others to share a commit with. With a commit's own time, 17 to
/// 36 ms for the largest, it is on disk within 100 ms.
pub const COMMIT_WITHIN: Duration = Duration::from_millis(50);
/// Events that are committed at once, without waiting longer: more make a commit no cheaper for each.
pub const COMMIT_EVENTS: usize = 4096;
/// Calls (each append is one record) that wait for a file's writer, at most. An append beyond is answered
/// `Unavailable`; above half of it the log is `Busy`. It is about a second of what a disk takes one by one.
pub const QUEUE_CALLS_MAX: usize = 65_536;
/// Bytes in memory of what waits for a file's writer, at most; as [`QUEUE_CALLS_MAX`]. Also what a full disk costs.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Calls that a list keeps room for when it has been emptied: what one bad second needed is given back.
const SPARE_CALLS: usize = 256;
/// How often writing is tried again while it fails.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// What a file is for.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// Are appends answered, once they are on the disk? Otherwise an unclean end begins a new generation.
    pub(crate) durable: bool,
    /// How long a commit waits for company.
    pub(crate) pace: Duration,
    /// In a commit of so many rooms or more, records go to the journal first.
    pub(crate) journal_from: Option<usize>,
}

impl Settings {
    /// For `Async` rooms.
    pub(crate) const ASYNC: Settings =
        Settings { durable: false, pace: COMMIT_WITHIN, journal_from: Some(journal::ROOMS_MIN) };
    /// For `Sync` rooms.
    pub(crate) const SYNC: Settings = Settings { durable: true, pace: Duration::ZERO, journal_from: None };

    fn name(self) -> &'static str {
        if self.durable { "sync" } else { "async" }
    }
}

/// What a file's threads and handles have in common.
pub(crate) struct Shared {
    path: PathBuf,
    settings: Settings,
    queue: Queue,
    board: Arc<Board>,
    file: FileId,
    commits: AtomicU64,
    commit_times: Times,
    fsync_times: Times,
    events: AtomicU64,
}

impl Shared {
    /// What became of everything until now.
    pub(crate) fn stats(&self) -> FileStats {
        let waiting = self.queue.waiting();
        FileStats {
            commits: self.commits.load(Ordering::Relaxed),
            commit_times: self.commit_times.now(),
            fsync_times: self.fsync_times.now(),
            events: self.events.load(Ordering::Relaxed),
            waiting_calls: waiting.calls,
            waiting_bytes: waiting.bytes,
        }
    }
}

/// A file that is open and not yet served: the other one must be open first, too.
pub(crate) struct Opened {
    shared: Arc<Shared>,
    db: rusqlite::Connection,
    generation: i64,
}

/// A file and its threads.
pub(crate) struct SqliteFile {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<Result<(), CloseError>>>,
    reader: Option<JoinHandle<()>>,
}

impl Opened {
    /// Opens or makes the file. From here on it counts as not closed cleanly.
    pub(crate) fn open(path: &Path, settings: Settings, board: &Arc<Board>) -> Result<Opened, OpenError> {
        let db = schema::open_writer(path)?;
        let begun = if settings.durable { schema::generation(&db) } else { schema::begin_generation(&db) };
        let generation = begun.map_err(|why| OpenError::of(path, why))?;
        journal::replay(&db).map_err(|why| why.of_file(path))?;
        let file = board.add_file();
        let shared = Arc::new(Shared {
            path: path.into(),
            settings,
            queue: Queue::new(settings.pace, board.clone(), file),
            board: board.clone(),
            file,
            commits: AtomicU64::new(0),
            commit_times: Times::default(),
            fsync_times: Times::default(),
            events: AtomicU64::new(0),
        });
        Ok(Opened { shared, db, generation })
    }

    /// What was kept with [`Log::remember`].
    pub(crate) fn facts(&self) -> Result<Vec<(String, String)>, OpenError> {
        rows::facts(&self.db).map_err(|why| why.of_file(&self.shared.path))
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Starts to serve it. A room that is not in it, but in `other`, is moved over when it is loaded.
    pub(crate) fn start(self, other: Option<Arc<Shared>>) -> Result<SqliteFile, OpenError> {
        let Opened { shared, db, generation } = self;
        let other = other.map(|other| schema::open_reader(&other.path).map(|db| Other { db, shared: other }));
        let (jobs, waiting) = mpsc::channel();
        let reader = Reader { db: schema::open_reader(&shared.path)?, shared: shared.clone() };
        let writer = Writer::new(db, generation, shared.clone(), other.transpose()?, jobs)
            .map_err(|why| OpenError::of(&shared.path, why))?;

        let mut file = SqliteFile { shared, writer: None, reader: None };
        file.reader = Some(spawn("log reader", move || reader.run(waiting))?);
        file.writer = Some(spawn("log writer", move || writer.run())?);
        Ok(file)
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, OpenError> {
    thread::Builder::new().name(name.into()).spawn(run).map_err(|why| OpenError::NoThread { why })
}

impl SqliteFile {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Carries out what waits, marks the file as closed cleanly, and ends the threads.
    pub(crate) fn close(mut self) -> Result<(), CloseError> {
        self.end(Ending::Orderly)
    }

    fn end(&mut self, ending: Ending) -> Result<(), CloseError> {
        self.shared.queue.end(ending);
        let crashed = || CloseError { path: self.shared.path.clone(), why: "its thread has panicked".into() };
        let closed =
            self.writer.take().map_or(Ok(()), |writer| writer.join().unwrap_or_else(|_| Err(crashed())));
        // The writer has dropped its end of the reader's channel, so the reader comes to its end, too.
        let read = self.reader.take().map_or(Ok(()), |reader| reader.join().map_err(|_| crashed()));
        closed.and(read)
    }
}

/// As if the process had been killed: what is not committed is gone, and the file was not closed cleanly.
impl Drop for SqliteFile {
    fn drop(&mut self) {
        let _ = self.end(Ending::Crash);
    }
}

/// A handle to one file.
pub(crate) struct SqliteLog {
    shared: Arc<Shared>,
    listener: Arc<Listener>,
}

impl SqliteLog {
    pub(crate) fn new(shared: Arc<Shared>, listener: Arc<Listener>) -> SqliteLog {
        SqliteLog { shared, listener }
    }

    fn answer(&self, completion: Completion) {
        (self.listener.sink)(completion);
    }
}

impl Log for SqliteLog {
    fn load(&mut self, room: &RoomName, _durability: Durability) {
        if let Err(why) = self.shared.queue.push(Call::Load { room: room.clone(), by: self.listener.id }) {
            let result = Err(LoadError::Unavailable { room: room.clone(), why: why.to_string() });
            self.answer(Completion::Loaded { room: room.clone(), result });
        }
    }

    fn append(&mut self, room: &RoomName, expected: Seq, record: Arc<Record>) {
        let (by, last) = (self.listener.id, record.last());
        let Err(_) = self.shared.queue.push(Call::Append { room: room.clone(), expected, record, by }) else {
            return;
        };
        // Its answer must not overtake those of the appends before it.
        if let Err(why) = self.shared.queue.push(Call::TurnedAway { room: room.clone(), last, by }) {
            let result = Err(AppendError::Unavailable { why: why.to_string() });
            self.answer(Completion::Appended { room: room.clone(), last, result });
        }
    }

    fn read(&mut self, ticket: Ticket, room: &RoomName, range: Range, limit: usize) {
        let call = Call::Read { ticket, room: room.clone(), range, limit, by: self.listener.id };
        if let Err(why) = self.shared.queue.push(call) {
            let result = Err(LoadError::Unavailable { room: room.clone(), why: why.to_string() });
            self.answer(Completion::Read { ticket, result });
        }
    }

    fn snapshot(&mut self, room: &RoomName, seq: Seq, state: String, trim: Trim) {
        let snapshot = Box::new(Snapshot { seq, state, trim });
        if let Err(why) = self.shared.queue.push(Call::Snapshot { room: room.clone(), snapshot }) {
            tracing::debug!(%room, %why, "a snapshot was not taken, the older one stays");
        }
    }

    fn unload(&mut self, room: &RoomName) {
        // A room that is not unloaded costs memory until the server ends, and nothing else.
        let _ = self.shared.queue.push(Call::Unload { room: room.clone() });
    }

    fn remember(&mut self, key: String, value: Option<String>) {
        let fact = Box::new(Fact { key: key.clone(), value });
        if let Err(why) = self.shared.queue.push(Call::Remember(fact)) {
            tracing::error!(key, %why, "a fact is not kept");
        }
    }

    fn health(&self) -> Health {
        self.shared.board.health()
    }
}

/// For tests of one file, without a store.
#[cfg(test)]
impl SqliteFile {
    pub(crate) fn handle(&self, sink: crate::Sink) -> SqliteLog {
        SqliteLog::new(self.shared.clone(), Arc::new(Listener::new(&self.shared.board, sink)))
    }

    /// Runs `hook` on the writer's thread and connection, once everything that was asked before is carried out.
    pub(crate) fn run(&self, hook: impl FnOnce(&mut rusqlite::Connection) + Send + 'static) {
        let (done, wait) = mpsc::channel();
        let hook = move |db: &mut rusqlite::Connection| {
            hook(db);
            let _ = done.send(());
        };
        self.shared.queue.push(Call::Run(Box::new(hook))).expect("the queue takes it");
        wait.recv_timeout(crate::contract::PATIENCE).expect("the writer lives");
    }
}
