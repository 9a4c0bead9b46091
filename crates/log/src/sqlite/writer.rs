//! The one thread that writes a file.
//!
//! It goes in rounds: take everything that waits, write all of it in one transaction, then answer, in the order of
//! the calls. Where writing fails, the two kinds of file differ. An `Async` file has acknowledged its appends already:
//! they stay in the batch, with what comes after them, until a round succeeds. A `Sync` file has promised nothing:
//! the batch is given up, its appends are answered, and its rooms take no more until they are loaded again, because
//! what was decided on the lost events is void. An `Async` file's commits of many rooms go to the `journal` first. `batch` is what is written; this is when, and who hears of it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use madang_room::{RoomName, Seq, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::adopt::Other;
use super::batch::{Batch, Failure, Room, Rooms, Written};
use super::journal::{self, SORTED_WITHIN};
use super::queue::{Call, Cost, Ending, Wake};
use super::reader::Job;
use super::rows::{self, RoomRow};
use super::schema;
use super::{RETRY_EVERY, SPARE_CALLS, Shared};
use crate::board::ListenerId;
use crate::{AppendError, CloseError, Completion, Epoch, Epochs, LoadError, Record, Ticket};

/// Pages in the write-ahead log that are not in the file itself, at which they are copied there: 4 MiB.
const CHECKPOINT_PAGES: i64 = 1000;
/// How often a failing file is tried to be written when it is closed, [`RETRY_EVERY`] apart.
const CLOSE_TRIES: usize = 5;
/// Bytes that must fit into a file before it is called well again, so that it isn't failing with the next append.
const PROBE_BYTES: usize = 64 << 10;

pub(crate) struct Writer {
    db: Connection,
    shared: Arc<Shared>,
    other: Option<Other>,
    reader: mpsc::Sender<Job>,
    generation: i64,
    last_room_id: i64,
    rooms: Rooms,
    /// What the next transaction does.
    batch: Batch,
    /// Who is answered after it.
    answers: Vec<Answer>,
    /// What `batch` and `answers` cost the queue.
    held: Cost,
    /// Unloaded rooms that may be forgotten once nothing of them is in the batch.
    leaving: Vec<RoomName>,
    /// Since when the oldest of the batch is in the journal.
    journaled_since: Option<Instant>,
    is_closing: bool,
    /// Why the file can't be written now.
    trouble: Option<String>,
}

enum Answer {
    /// To an append in the batch of a `Sync` file.
    Appended {
        by: ListenerId,
        room: RoomName,
        last: Seq,
    },
    /// To an append that is not in the batch.
    NotAppended {
        by: ListenerId,
        room: RoomName,
        last: Seq,
        why: AppendError,
    },
    Loaded {
        by: ListenerId,
        room: RoomName,
        error: Option<LoadError>,
    },
    Read {
        by: ListenerId,
        ticket: Ticket,
        room: RoomName,
        job: Result<Job, LoadError>,
    },
    #[cfg(test)]
    Run(Box<dyn FnOnce(&mut Connection) + Send>),
}

impl Writer {
    pub(crate) fn new(
        db: Connection,
        generation: i64,
        shared: Arc<Shared>,
        other: Option<Other>,
        reader: mpsc::Sender<Job>,
    ) -> rusqlite::Result<Writer> {
        Ok(Writer {
            last_room_id: rows::last_room_id(&db)?,
            db,
            shared,
            other,
            reader,
            generation,
            rooms: Rooms::default(),
            batch: Batch::default(),
            answers: Vec::new(),
            held: Cost::default(),
            leaving: Vec::new(),
            journaled_since: None,
            is_closing: false,
            trouble: None,
        })
    }

    pub(crate) fn run(mut self) -> Result<(), CloseError> {
        // However this ends, nobody may wait for answers that can't come.
        let _ended = EndQueue(self.shared.clone());
        let mut calls = Vec::new();
        loop {
            let unsorted = self.journaled_since.map(|since| SORTED_WITHIN.saturating_sub(since.elapsed()));
            let patience = self.trouble.is_some().then_some(RETRY_EVERY).or(unsorted);
            match self.shared.queue.take(&mut calls, patience) {
                Wake::Work => self.round(&mut calls),
                Wake::Ended(Ending::Crash) => return Ok(()),
                Wake::Ended(Ending::Orderly) => {
                    self.is_closing = true;
                    self.round(&mut calls);
                    return self.close();
                }
            }
        }
    }

    fn round(&mut self, calls: &mut Vec<Call>) {
        for call in calls.drain(..) {
            self.take(call);
        }
        // What one bad second needed is given back.
        calls.shrink_to(SPARE_CALLS);
        let written = if self.is_for_journal() { self.write_journal() } else { self.write() };
        self.answer(written.as_ref().err());
        if self.batch.is_empty() {
            self.shared.queue.release(std::mem::take(&mut self.held));
        }
        self.forget_unloaded();
        self.checkpoint_if_long();
    }

    fn take(&mut self, call: Call) {
        self.held += call.cost();
        match call {
            Call::Load { room, by } => {
                let error = self.open_room(&room).err();
                self.answers.push(Answer::Loaded { by, room, error });
            }
            Call::Append { room, expected, record, by } => self.take_append(room, expected, record, by),
            Call::TurnedAway { room, last, by } => {
                let why = AppendError::Unavailable { why: super::queue::NotTaken::Full.to_string() };
                self.answers.push(Answer::NotAppended { by, room, last, why });
            }
            Call::Read { ticket, room, range, limit, by } => {
                let job = match self.rooms.get(&room) {
                    Some(stored) => {
                        Ok(Job::Read { by, ticket, room: room.clone(), range, limit, up_to: stored.row.last })
                    }
                    None => Err(unavailable(&room, "it is not loaded")),
                };
                self.answers.push(Answer::Read { by, ticket, room, job });
            }
            Call::Snapshot { room, snapshot } => {
                // One of events that were given up must not become the truth about others.
                let stored = self.rooms.get_mut(&room);
                if let Some(stored) = stored.filter(|it| !it.failed && snapshot.seq <= it.row.last) {
                    self.batch.snapshot(room, stored, snapshot);
                }
            }
            Call::Unload { room } => {
                if let Some(stored) = self.rooms.get_mut(&room) {
                    stored.unloaded = true;
                    self.leaving.push(room);
                }
            }
            Call::Remember(fact) => self.batch.remember(fact),
            Call::Moved { room, last } => self.remove_moved(&room, last),
            #[cfg(test)]
            Call::Run(hook) => self.answers.push(Answer::Run(hook)),
        }
    }

    fn take_append(&mut self, room: RoomName, expected: Seq, record: Arc<Record>, by: ListenerId) {
        let last = record.last();
        let why = match self.rooms.get_mut(&room) {
            None => AppendError::Unavailable { why: format!("{room} is not loaded") },
            Some(stored) if stored.failed => {
                AppendError::Unavailable { why: format!("what {room} decided before could not be kept") }
            }
            Some(stored) if expected != stored.row.last || record.first() != expected.next() => {
                AppendError::Refused { actual: stored.row.last }
            }
            Some(stored) => {
                if self.shared.settings.durable {
                    self.answers.push(Answer::Appended { by, room: room.clone(), last });
                }
                self.batch.append(room, stored, record);
                return;
            }
        };
        self.answers.push(Answer::NotAppended { by, room, last, why });
    }

    /// Makes sure that the room is in `rooms` as the file has it, or will have it after the batch.
    fn open_room(&mut self, name: &RoomName) -> Result<(), LoadError> {
        if let Some(room) = self.rooms.get_mut(name).filter(|room| !room.failed) {
            room.unloaded = false;
            return Ok(());
        }
        self.rooms.remove(name);
        let found = RoomRow::find(&self.db, name.key()).and_then(|own| match &self.other {
            None => Ok(own),
            Some(other) => {
                let id = own.as_ref().map_or(self.last_room_id + 1, |own| own.id);
                other.settle(&self.db, name, own, id, self.generation, self.shared.settings)
            }
        });
        let mut room = match found.map_err(|why| why.of(name))? {
            Some(row) => Room::stored(row),
            None => Room::new(RoomRow {
                id: self.last_room_id + 1,
                key: name.key().into(),
                first: Seq(1),
                last: Seq::ZERO,
                last_at: Timestamp::default(),
                generation: self.generation,
                epochs: Epochs::new(Epoch::random()),
            }),
        };
        self.last_room_id = self.last_room_id.max(room.row.id);
        // What came after `last` may have been told to members and then lost.
        if room.row.generation != self.generation {
            room.row.epochs.begin(Epoch::random(), room.row.last);
            room.row.generation = self.generation;
            self.batch.touch(name, &mut room);
        }
        self.rooms.insert(name.clone(), Box::new(room));
        Ok(())
    }

    /// The other file has the room now. Where this fails it is in both, and the next load sorts it out.
    fn remove_moved(&mut self, name: &RoomName, up_to: Seq) {
        if self.rooms.contains_key(name) {
            return;
        }
        let removed = RoomRow::find(&self.db, name.key()).and_then(|row| match row {
            Some(row) if row.last <= up_to => {
                let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
                row.delete(&transaction)?;
                Ok(transaction.commit()?)
            }
            _ => Ok(()),
        });
        if let Err(why) = removed {
            tracing::warn!(room = %name, ?why, "a room that was moved to the other file stays in this one, too");
        }
    }

    /// May the batch wait in the journal? Not where somebody wants to see it, and not for ever.
    fn is_for_journal(&self) -> bool {
        let Some(rooms_min) = self.shared.settings.journal_from else { return false };
        self.trouble.is_none()
            && !self.is_closing
            && self.answers.is_empty()
            && self.batch.len() <= journal::RECORDS_MAX
            && self.held.bytes <= journal::BYTES_MAX
            && self.journaled_since.is_none_or(|since| since.elapsed() < SORTED_WITHIN)
            && self.batch.is_for_journal(&self.rooms, rooms_min)
    }

    fn write_journal(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        match self.batch.write_journal(&self.db, &self.rooms) {
            Ok(()) => {
                self.journaled_since.get_or_insert(began);
                self.count_commit(began);
                Ok(())
            }
            Err(failure) => {
                self.set_trouble(Some(failure.why().to_string()));
                Err(failure)
            }
        }
    }

    fn count_commit(&self, began: Instant) {
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.shared.commit_times.count(began.elapsed());
    }

    /// Writes the batch, and decides what becomes of it.
    fn write(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let written = match self.batch.is_empty() {
            true if self.trouble.is_none() => return Ok(()),
            true => probe(&self.db).map_err(Failure::NotWritten).map(|()| None),
            false => self.batch.write(&self.db, &mut self.rooms).map(Some),
        };
        match written {
            Ok(written) => {
                if let Some(Written { events, committed_in }) = written {
                    self.shared.events.fetch_add(events, Ordering::Relaxed);
                    if self.shared.settings.durable {
                        self.shared.fsync_times.count(committed_in);
                    }
                }
                self.count_commit(began);
                self.journaled_since = None;
                self.set_trouble(None);
                Ok(())
            }
            Err(failure) => {
                if self.shared.settings.durable {
                    // Nothing of it was promised.
                    self.batch.give_up(&mut self.rooms);
                }
                self.set_trouble(Some(failure.why().to_string()));
                Err(failure)
            }
        }
    }

    fn set_trouble(&mut self, trouble: Option<String>) {
        let path = self.shared.path.display();
        match (&self.trouble, &trouble) {
            (None, Some(why)) => tracing::error!(%path, why, "the log can't be written; trying again"),
            (Some(_), None) => tracing::info!(%path, "the log can be written again"),
            _ => {}
        }
        if self.trouble.is_some() != trouble.is_some() {
            self.shared.board.set_failing(self.shared.file, trouble.is_some());
        }
        self.trouble = trouble;
    }

    fn answer(&mut self, failure: Option<&Failure>) {
        for answer in std::mem::take(&mut self.answers) {
            match answer {
                Answer::Appended { by, room, last } => {
                    let result = failure.map_or(Ok(()), |failure| Err(failure.answer()));
                    self.shared.board.tell(by, Completion::Appended { room, last, result });
                }
                Answer::NotAppended { by, room, last, why } => {
                    self.shared.board.tell(by, Completion::Appended { room, last, result: Err(why) });
                }
                Answer::Loaded { by, room, error } => {
                    let result = match (error, self.rooms.get(&room)) {
                        (Some(error), _) => Err(error),
                        (None, Some(stored)) if !stored.pending && !stored.failed => match stored.kept {
                            Some(_) => {
                                self.ask_reader(Job::Load { by, room });
                                continue;
                            }
                            None => Ok(Box::new(stored.nothing_yet())),
                        },
                        _ => Err(unavailable(&room, self.trouble_text())),
                    };
                    self.shared.board.tell(by, Completion::Loaded { room, result });
                }
                Answer::Read { by, ticket, room, job } => {
                    let result = match (job, self.rooms.get(&room)) {
                        (Err(error), _) => Err(error),
                        (Ok(_), Some(stored)) if stored.pending => {
                            Err(unavailable(&room, self.trouble_text()))
                        }
                        (Ok(_), Some(stored)) if stored.kept.is_none() => Ok(Vec::new()),
                        (Ok(job), _) => {
                            self.ask_reader(job);
                            continue;
                        }
                    };
                    self.shared.board.tell(by, Completion::Read { ticket, result });
                }
                #[cfg(test)]
                Answer::Run(hook) => hook(&mut self.db),
            }
        }
    }

    /// From here on the reader answers, and it counts as waiting in its queue.
    fn ask_reader(&mut self, job: Job) {
        let cost = Job::COST;
        match self.reader.send(job) {
            Ok(()) => {
                self.held.calls = self.held.calls.saturating_sub(cost.calls);
                self.held.bytes = self.held.bytes.saturating_sub(cost.bytes);
            }
            Err(mpsc::SendError(job)) => job.answer_unavailable(&self.shared, "the log's reader has ended"),
        }
    }

    fn trouble_text(&self) -> &str {
        self.trouble.as_deref().unwrap_or("it can't be written")
    }

    fn forget_unloaded(&mut self) {
        let rooms = &mut self.rooms;
        self.leaving.retain(|name| match rooms.get(name) {
            Some(room) if room.unloaded && room.pending => true,
            Some(room) if room.unloaded => {
                rooms.remove(name);
                false
            }
            _ => false,
        });
    }

    /// After the answers, because it takes long: nobody waits for it.
    fn checkpoint_if_long(&self) {
        let pages = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
        let checkpoint = || -> rusqlite::Result<()> {
            let waiting = self.db.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?.query_row([], pages)?;
            if waiting >= CHECKPOINT_PAGES {
                self.db.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], pages)?;
            }
            Ok(())
        };
        if let Err(why) = checkpoint() {
            // Everything is in the write-ahead log still, which only grows.
            tracing::warn!(path = %self.shared.path.display(), %why, "the log can't be checkpointed now");
        }
    }

    fn close(mut self) -> Result<(), CloseError> {
        for _ in 1..CLOSE_TRIES {
            if self.batch.is_empty() {
                break;
            }
            thread::sleep(RETRY_EVERY);
            let _ = self.write();
        }
        let failed = |why: String| CloseError { path: self.shared.path.clone(), why };
        if !self.batch.is_empty() {
            return Err(failed(self.trouble_text().into()));
        }
        let end = || -> rusqlite::Result<()> {
            self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            if !self.shared.settings.durable {
                schema::mark_clean(&self.db)?;
            }
            Ok(())
        };
        end().map_err(|why| failed(why.to_string()))
    }
}

/// Is there room again? In two transactions: pages that are freed in the one that took them are never written.
fn probe(db: &Connection) -> rusqlite::Result<()> {
    db.execute("INSERT INTO spare VALUES (zeroblob(?1))", [PROBE_BYTES as i64])?;
    db.execute("DELETE FROM spare", []).map(drop)
}

fn unavailable(room: &RoomName, why: &str) -> LoadError {
    LoadError::Unavailable { room: room.clone(), why: why.into() }
}

struct EndQueue(Arc<Shared>);

impl Drop for EndQueue {
    fn drop(&mut self) {
        self.0.queue.end(Ending::Crash);
        if thread::panicking() {
            self.0.board.set_failing(self.0.file, true);
        }
    }
}
