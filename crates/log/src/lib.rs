//! Where a room's log lives: in memory, or in SQLite beneath it.
//!
//! [`Log`] is the one interface. Its calls never block and never fail on the spot: what becomes of them arrives
//! later as a [`Completion`], in the order of the calls for each room, through the sink that the handle was opened
//! with; only a read, which its ticket names, may be answered later than what was asked after it. So a shard's thread
//! never waits for a disk, and an engine that is a network away fits behind the same calls.
//!
//! [`Store`] is a server's log: it gives each shard a handle that keeps a room where its durability says. Beneath it
//! are `memory` and `sqlite`, one file for `Async` rooms and one for `Sync` rooms.
//!
//! This crate knows rooms and their events, and no client and no wire format. The stored form of an event is its own
//! (`stored`), versioned and checksummed, so that neither a change of the wire nor of the model breaks old logs.

mod board;
#[cfg(test)]
mod contract;
mod epoch;
mod faulty;
mod memory;
mod sqlite;
mod store;
mod stored;
mod times;

use std::sync::Arc;
use std::time::Duration;

use madang_room::{Entry, RoomName, Seq, Timestamp};
use smallvec::SmallVec;

pub use epoch::{EPOCHS_MAX, Epoch, Epochs};
pub use faulty::{Control, FaultyLog};
pub use memory::MemoryLog;
pub use sqlite::{COMMIT_EVENTS, COMMIT_WITHIN, QUEUE_BYTES_MAX, QUEUE_CALLS_MAX};
pub use store::{CloseError, FileStats, OpenError, Stats, Store, Watch};
pub use times::Histogram;

/// What an acknowledgment of an event means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Applied and fanned out. Gone when the server ends.
    Memory,
    /// The same, and on disk within 100 ms. An unclean end may lose the newest, and then changes the room's epoch.
    Async,
    /// On disk (`fsync` has returned) before anyone is told.
    Sync,
}

/// How much of a room's past is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events, at least 1.
    pub keep: u64,
    /// Age, where that is limited too.
    pub keep_for: Option<Duration>,
}

/// What one wake brought to a room: at least one entry, without a gap between them. Shared whole; what comes back from
/// a store may be several that were put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Most wakes bring one: it needs no memory of its own.
    entries: SmallVec<[Entry; 1]>,
}

impl Record {
    /// Wraps entries whose `seq` go up by one. Panics where there is none or one is missing: that is a bug.
    pub fn new(entries: impl Into<SmallVec<[Entry; 1]>>) -> Record {
        let entries = entries.into();
        assert!(!entries.is_empty(), "a record has at least one entry");
        assert!(
            entries.windows(2).all(|pair| pair[1].seq == pair[0].seq.next()),
            "the entries of a record follow each other"
        );
        Record { entries }
    }

    /// The entries, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The first entry's position.
    pub fn first(&self) -> Seq {
        self.entries[0].seq
    }

    /// The last entry's position.
    pub fn last(&self) -> Seq {
        self.entries[self.entries.len() - 1].seq
    }

    /// When the last entry happened.
    pub fn at(&self) -> Timestamp {
        self.entries[self.entries.len() - 1].at
    }

    /// Its first and last position, and when the last entry happened.
    fn span(&self) -> Span {
        (self.first(), self.last(), self.at())
    }

    /// The part of it that a trim at `first` leaves; all of it where `first` is not inside.
    fn starting_at(self: Arc<Record>, first: Seq) -> Arc<Record> {
        if first <= self.first() || first > self.last() {
            return self;
        }
        let trimmed = self.entries.partition_point(|entry| entry.seq < first);
        Arc::new(Record::new(&self.entries[trimmed..]))
    }
}

/// The first and last position of some entries, and when the last of them happened.
type Span = (Seq, Seq, Timestamp);

/// One shard's handle to the log. Every call returns at once; see [`Completion`] for what comes back.
pub trait Log: Send {
    /// Loads a room, or begins a new one where none is stored. Answer: [`Completion::Loaded`].
    /// A room is loaded before anything else is asked of it, by one shard. Its durability changes only over a restart:
    /// what was stored with the other one is moved then.
    fn load(&mut self, room: &RoomName, durability: Durability);

    /// Appends `record` if the room's last position is `expected`, which names the version that the caller decided on.
    /// Answer, for [`Durability::Sync`] rooms and on every failure: [`Completion::Appended`]. `Memory` and `Async`
    /// appends that succeed are not answered.
    fn append(&mut self, room: &RoomName, expected: Seq, record: Arc<Record>);

    /// Reads entries that are kept, also those whose append is still under way. Answer: [`Completion::Read`].
    fn read(&mut self, ticket: Ticket, room: &RoomName, range: Range, limit: usize);

    /// Stores the state after `seq`, so that loading starts there, and forgets entries before `trim.first` and records
    /// that ended before `trim.before`; never an entry after `seq`. Not answered; where it fails the older snapshot and
    /// entries stay.
    fn snapshot(&mut self, room: &RoomName, seq: Seq, state: String, trim: Trim);

    /// The caller is done with the room; it may be loaded again, by anyone. A `Memory` room is forgotten.
    fn unload(&mut self, room: &RoomName);

    /// Keeps one small fact beside the rooms (`None` forgets it), as durable as an `Async` append. What is kept is read
    /// back when the store is opened.
    fn remember(&mut self, key: String, value: Option<String>);

    /// How the engine is doing. Cheap: it is asked before each durable append.
    fn health(&self) -> Health;
}

/// Which entries to read; both are returned in the order of their `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The first `limit` entries after this position.
    After(Seq),
    /// The last `limit` entries before this position.
    Before(Seq),
}

/// What a snapshot makes unnecessary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trim {
    /// Entries before this position.
    pub first: Seq,
    /// Entries older than this.
    pub before: Option<Timestamp>,
}

/// Names a read, so that its answer finds who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// Can a durable append be taken?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Yes.
    Well,
    /// Yes, but much is waiting: read publishers no further until [`Completion::Health`] says `Well`.
    Busy,
    /// No: the disk takes nothing. What was acknowledged before is kept in memory and tried again; new durable
    /// appends are to be refused until [`Completion::Health`] says otherwise.
    Failing,
}

/// What became of a call.
#[derive(Debug)]
pub enum Completion {
    /// Of [`Log::load`].
    Loaded {
        /// The room asked for.
        room: RoomName,
        /// What is stored of it.
        result: Result<Box<Loaded>, LoadError>,
    },
    /// Of [`Log::append`].
    Appended {
        /// The room appended to.
        room: RoomName,
        /// The last position of the record.
        last: Seq,
        /// Is it kept?
        result: Result<(), AppendError>,
    },
    /// Of [`Log::read`].
    Read {
        /// As given in the call.
        ticket: Ticket,
        /// The entries, in order, as many as there are and the limit allows.
        result: Result<Vec<Entry>, LoadError>,
    },
    /// [`Log::health`] has changed.
    Health(Health),
}

/// What is stored of a room.
#[derive(Debug)]
pub struct Loaded {
    /// Who vouches for which part of its past.
    pub epochs: Epochs,
    /// The newest position; [`Seq::ZERO`] in a new room.
    pub last: Seq,
    /// When that happened: nothing later may be dated before it.
    pub last_at: Timestamp,
    /// The oldest position that is kept; one after `last` where none is.
    pub first: Seq,
    /// The state after some position, in the form that [`Log::snapshot`] was given.
    pub snapshot: Option<(Seq, String)>,
    /// All records after the snapshot, and as many before it as make [`RECENT_EVENTS`], where those are kept.
    pub tail: Vec<Arc<Record>>,
}

/// Entries that a loaded room brings along, for those who come back soon.
pub const RECENT_EVENTS: usize = 256;

/// Why a room or a part of it can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The engine can't be reached or read now; it may work later.
    #[error("the log of {room} can't be read: {why}")]
    Unavailable {
        /// Which.
        room: RoomName,
        /// In the engine's words.
        why: String,
    },
    /// What is stored is not what was written. The room stays closed; other rooms are not affected.
    #[error("the log of {room} is damaged at event {seq}: {why}")]
    Damaged {
        /// Which.
        room: RoomName,
        /// Where the damage begins.
        seq: Seq,
        /// What is wrong.
        why: String,
    },
}

/// Why a record is not kept, or may not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else has appended: load the room again and decide again. Nothing was kept.
    #[error("expected the log to end at another event than {actual}")]
    Refused {
        /// Where it ends.
        actual: Seq,
    },
    /// Nothing was kept.
    #[error("{why}")]
    Unavailable {
        /// In the engine's words.
        why: String,
    },
    /// It may have been kept or not: load the room again and see.
    #[error("{why}")]
    Unknown {
        /// In the engine's words.
        why: String,
    },
}

/// Where completions go: called on the engine's own thread, or within the call itself; must not block.
pub type Sink = Arc<dyn Fn(Completion) + Send + Sync>;
