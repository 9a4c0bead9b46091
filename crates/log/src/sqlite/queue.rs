//! What waits for a file's writer: bounded in calls and bytes, emptied in one go.
//!
//! A caller takes a lock for a few plain lines and wakes the writer only where that has something to do: while the
//! writer paces itself, an append is a push and nothing else. What a call costs is counted from the push until it has
//! been carried out, so the bound holds for what the writer keeps in memory while its disk is full, too.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use madang_room::{RoomName, Seq};

use super::batch::{Fact, Snapshot};
use super::{COMMIT_EVENTS, QUEUE_BYTES_MAX, QUEUE_CALLS_MAX};
use crate::board::{Board, FileId, ListenerId, Load, lock};
use crate::{Range, Record, Ticket};

/// Bytes of memory that a call costs beside the text in it, roughly: itself, its record's head, an index entry.
const CALL_BYTES: usize = 256;
/// Bytes of memory that an entry costs beside its text.
const ENTRY_BYTES: usize = 96;

/// What a writer is asked to do.
pub(crate) enum Call {
    Load {
        room: RoomName,
        by: ListenerId,
    },
    Append {
        room: RoomName,
        expected: Seq,
        record: Arc<Record>,
        by: ListenerId,
    },
    /// An append that found the queue full: it waits here, without its record, for its turn to be answered.
    TurnedAway {
        room: RoomName,
        last: Seq,
        by: ListenerId,
    },
    Read {
        ticket: Ticket,
        room: RoomName,
        range: Range,
        limit: usize,
        by: ListenerId,
    },
    Snapshot {
        room: RoomName,
        snapshot: Box<Snapshot>,
    },
    Unload {
        room: RoomName,
    },
    Remember(Box<Fact>),
    /// The other file has taken the room over, up to this position.
    Moved {
        room: RoomName,
        last: Seq,
    },
    #[cfg(test)]
    Run(Box<dyn FnOnce(&mut rusqlite::Connection) + Send>),
}

/// What calls cost the queue.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) calls: usize,
    pub(crate) bytes: usize,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.calls += other.calls;
        self.bytes += other.bytes;
    }
}

impl Call {
    /// Of a call without any text.
    pub(crate) const PLAIN_COST: Cost = Cost { calls: 1, bytes: CALL_BYTES };

    /// Counted when it is pushed, and again when it is carried out: the same both times.
    pub(crate) fn cost(&self) -> Cost {
        let text = match self {
            Call::Append { record, .. } => {
                record.entries().iter().map(|entry| ENTRY_BYTES + entry.event.content_bytes()).sum()
            }
            Call::Snapshot { snapshot, .. } => snapshot.state.len(),
            Call::Remember(fact) => fact.key.len() + fact.value.as_ref().map_or(0, String::len),
            _ => 0,
        };
        Cost { bytes: CALL_BYTES + text, ..Call::PLAIN_COST }
    }

    /// Does somebody wait for the answer, however the file is paced?
    fn is_urgent(&self) -> bool {
        match self {
            Call::Load { .. } | Call::Read { .. } | Call::TurnedAway { .. } => true,
            Call::Append { .. } | Call::Snapshot { .. } | Call::Unload { .. } => false,
            Call::Remember(_) | Call::Moved { .. } => false,
            #[cfg(test)]
            Call::Run(_) => true,
        }
    }

    /// How much of the queue it may fill. Beyond the bound only what must not get lost and can't come in numbers:
    /// one `Unload` and `Moved` for each `Load`, facts of the server itself, answers to those who were turned away, and
    /// what one wake of each shard decided before it saw that the queue is full.
    fn share(&self) -> usize {
        match self {
            Call::Unload { .. } | Call::Moved { .. } | Call::Remember(_) => 4,
            Call::TurnedAway { .. } => 4,
            // What was decided before the bound was reached has been told: it must fit.
            Call::Append { .. } => 2,
            _ => 1,
        }
    }
}

/// Why a call was not taken.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum NotTaken {
    #[error("more is waiting for the disk than the server holds in memory")]
    Full,
    #[error("the log is closed")]
    Closed,
}

/// How a writer ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything that waits is carried out first.
    Orderly,
    /// Nothing more is done: as if the process had been killed.
    Crash,
}

/// Why [`Queue::take`] has returned.
pub(crate) enum Wake {
    /// Calls are due, or patience is at its end.
    Work,
    /// The queue is closed; what waited was taken.
    Ended(Ending),
}

pub(crate) struct Queue {
    pace: Duration,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    calls: AtomicUsize,
    bytes: AtomicUsize,
    board: Arc<Board>,
    file: FileId,
}

#[derive(Default)]
struct Waiting {
    calls: Vec<Call>,
    events: usize,
    /// When the oldest of `calls` was pushed.
    since: Option<Instant>,
    urgent: bool,
    ending: Option<Ending>,
    writer: Writer,
}

/// What the writer does, for those who ask themselves whether to wake it.
#[derive(Default, PartialEq, Eq)]
enum Writer {
    #[default]
    Works,
    /// Until anything comes.
    Sleeps,
    /// Until its time, or something urgent, or a full batch.
    Paces,
}

impl Queue {
    /// Calls that nobody waits for are handed out once the oldest is `pace` old.
    pub(crate) fn new(pace: Duration, board: Arc<Board>, file: FileId) -> Queue {
        let (waiting, changed) = Default::default();
        Queue { pace, waiting, changed, calls: AtomicUsize::new(0), bytes: AtomicUsize::new(0), board, file }
    }

    /// Hands `call` to the writer.
    pub(crate) fn push(&self, call: Call) -> Result<(), NotTaken> {
        let cost = call.cost();
        let mut waiting = lock(&self.waiting);
        if waiting.ending.is_some() {
            return Err(NotTaken::Closed);
        }
        if !self.has_room(cost, call.share()) {
            return Err(NotTaken::Full);
        }
        self.calls.fetch_add(cost.calls, Ordering::Relaxed);
        self.bytes.fetch_add(cost.bytes, Ordering::Relaxed);
        let load = self.load();
        let turns_busy = match self.board.health() {
            crate::Health::Well => load != Load::Light,
            crate::Health::Busy => load == Load::Full,
            crate::Health::Failing => false,
        };
        if let Call::Append { record, .. } = &call {
            waiting.events += record.entries().len();
        }
        waiting.urgent |= call.is_urgent() || turns_busy;
        if waiting.calls.is_empty() {
            waiting.since = Some(Instant::now());
        }
        waiting.calls.push(call);
        let wake = match waiting.writer {
            Writer::Works => false,
            Writer::Sleeps => true,
            Writer::Paces => waiting.urgent || waiting.events >= COMMIT_EVENTS,
        };
        if wake {
            waiting.writer = Writer::Works;
        }
        drop(waiting);
        if wake {
            self.changed.notify_one();
        }
        if turns_busy {
            self.board.weigh(self.file, || self.load());
        }
        Ok(())
    }

    fn has_room(&self, cost: Cost, share: usize) -> bool {
        self.calls.load(Ordering::Relaxed) + cost.calls <= share * QUEUE_CALLS_MAX
            && self.bytes.load(Ordering::Relaxed) + cost.bytes <= share * QUEUE_BYTES_MAX
    }

    fn load(&self) -> Load {
        let (calls, bytes) = (self.calls.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        match () {
            () if calls > QUEUE_CALLS_MAX || bytes > QUEUE_BYTES_MAX => Load::Full,
            () if calls > QUEUE_CALLS_MAX / 2 || bytes > QUEUE_BYTES_MAX / 2 => Load::Half,
            () => Load::Light,
        }
    }

    /// Calls of this cost have been carried out.
    pub(crate) fn release(&self, cost: Cost) {
        self.calls.fetch_sub(cost.calls, Ordering::Relaxed);
        self.bytes.fetch_sub(cost.bytes, Ordering::Relaxed);
        self.board.weigh(self.file, || self.load());
    }

    /// What is counted now.
    pub(crate) fn waiting(&self) -> Cost {
        Cost { calls: self.calls.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// Waits until calls are due, but no longer than `patience`, and moves all of them to `into`, which is empty.
    pub(crate) fn take(&self, into: &mut Vec<Call>, patience: Option<Duration>) -> Wake {
        let give_up = patience.map(|patience| Instant::now() + patience);
        let mut waiting = lock(&self.waiting);
        loop {
            if let Some(ending) = waiting.ending {
                std::mem::swap(&mut waiting.calls, into);
                return Wake::Ended(ending);
            }
            let due = waiting.since.map(|since| if waiting.is_due() { since } else { since + self.pace });
            let wake_at = match (due, give_up) {
                (Some(due), Some(give_up)) => Some(due.min(give_up)),
                (one, other) => one.or(other),
            };
            waiting.writer = if due.is_some() { Writer::Paces } else { Writer::Sleeps };
            match wake_at.map(|at| at.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(left) => {
                    let (guard, _) =
                        self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner);
                    waiting = guard;
                }
                None => waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        }
        std::mem::swap(&mut waiting.calls, into);
        (waiting.events, waiting.since, waiting.urgent, waiting.writer) = (0, None, false, Writer::Works);
        Wake::Work
    }

    /// Takes no more calls, and tells the writer how to end. The first word about it counts.
    pub(crate) fn end(&self, ending: Ending) {
        lock(&self.waiting).ending.get_or_insert(ending);
        self.changed.notify_one();
    }
}

impl Waiting {
    fn is_due(&self) -> bool {
        self.urgent || self.events >= COMMIT_EVENTS
    }
}
