//! A log with somebody who waits for its completions, so that a check reads like a conversation.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use madang_room::{Entry, RoomName, Seq};

use super::room;
use crate::{
    AppendError, Completion, Durability, Health, LoadError, Loaded, Log, Range, Record, Sink, Ticket,
};

/// How long a completion may take before a test gives up. No test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A log, and who waits for its completions.
pub(crate) struct Bench {
    pub(crate) log: Box<dyn Log>,
    durability: Durability,
    inbox: mpsc::Receiver<Completion>,
    healths: VecDeque<Health>,
    tickets: u64,
    _kept: Box<dyn Any>,
}

impl Bench {
    pub(crate) fn new<L: Log + 'static>(durability: Durability, make: impl FnOnce(Sink) -> L) -> Bench {
        Bench::boxed(durability, |sink| Box::new(make(sink)))
    }

    pub(crate) fn boxed(durability: Durability, make: impl FnOnce(Sink) -> Box<dyn Log>) -> Bench {
        let (sender, inbox) = mpsc::channel();
        let log = make(Arc::new(move |completion| {
            let _ = sender.send(completion);
        }));
        Bench { log, durability, inbox, healths: VecDeque::new(), tickets: 0, _kept: Box::new(()) }
    }

    /// Keeps what the log stands on for as long as the bench.
    pub(crate) fn keeping(self, kept: impl Any) -> Bench {
        Bench { _kept: Box::new(kept), ..self }
    }

    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    /// The next completion that is not about health.
    pub(crate) fn next(&mut self) -> Completion {
        loop {
            match self.inbox.recv_timeout(PATIENCE).expect("a completion comes") {
                Completion::Health(health) => self.healths.push_back(health),
                completion => return completion,
            }
        }
    }

    pub(crate) fn next_health(&mut self) -> Health {
        if let Some(health) = self.healths.pop_front() {
            return health;
        }
        match self.inbox.recv_timeout(PATIENCE).expect("a completion comes") {
            Completion::Health(health) => health,
            other => panic!("expected a health, not {other:?}"),
        }
    }

    pub(crate) fn is_quiet(&mut self) -> bool {
        self.inbox.try_recv().is_err()
    }

    pub(crate) fn next_appended(&mut self) -> (RoomName, Seq, Result<(), AppendError>) {
        match self.next() {
            Completion::Appended { room, last, result } => (room, last, result),
            other => panic!("expected an answer to an append, not {other:?}"),
        }
    }

    pub(crate) fn try_load(&mut self, name: &str) -> Result<Loaded, LoadError> {
        self.log.load(&room(name), self.durability);
        match self.next() {
            Completion::Loaded { room: loaded, result } => {
                assert_eq!(loaded, room(name));
                result.map(|loaded| *loaded)
            }
            other => panic!("expected a loaded room, not {other:?}"),
        }
    }

    pub(crate) fn load(&mut self, name: &str) -> Loaded {
        self.try_load(name).expect("the room is loaded")
    }

    /// What somebody else finds; a `Memory` room is not unloaded, because nobody would find it.
    pub(crate) fn reload(&mut self, name: &str) -> Loaded {
        if self.durability != Durability::Memory {
            self.log.unload(&room(name));
        }
        self.load(name)
    }

    /// Appends, and waits for the answer, which must come.
    pub(crate) fn try_append(
        &mut self,
        name: &str,
        expected: Seq,
        record: Arc<Record>,
    ) -> Result<(), AppendError> {
        let last = record.last();
        self.log.append(&room(name), expected, record);
        let (appended, at, result) = self.next_appended();
        assert_eq!((appended, at), (room(name), last));
        result
    }

    /// Appends what must be taken.
    pub(crate) fn append(&mut self, name: &str, expected: Seq, record: Arc<Record>) {
        if self.durability == Durability::Sync {
            self.try_append(name, expected, record).expect("the append is kept");
        } else {
            self.log.append(&room(name), expected, record);
        }
    }

    pub(crate) fn try_read(
        &mut self,
        name: &str,
        range: Range,
        limit: usize,
    ) -> Result<Vec<Entry>, LoadError> {
        self.tickets += 1;
        let asked = Ticket(self.tickets);
        self.log.read(asked, &room(name), range, limit);
        match self.next() {
            Completion::Read { ticket, result } => {
                assert_eq!(ticket, asked);
                result
            }
            other => panic!("expected what was read, not {other:?}"),
        }
    }

    pub(crate) fn read(&mut self, name: &str, range: Range, limit: usize) -> Vec<Entry> {
        self.try_read(name, range, limit).expect("the room is read")
    }

    /// The positions of what is read.
    pub(crate) fn seqs(&mut self, name: &str, range: Range, limit: usize) -> Vec<u64> {
        self.read(name, range, limit).iter().map(|entry| entry.seq.0).collect()
    }
}
