//! Who listens to an engine, and how it is doing.
//!
//! Invariant: whoever has seen [`Board::health`] say anything but `Well` is told, later, by [`Completion::Health`],
//! that it has changed. A shard that has stopped reading its publishers would otherwise stop for ever. Therefore
//! what `health` answers is what was told last, and both change under one lock.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::{Completion, Health, Sink};

/// The listeners of one engine, which may have several files.
#[derive(Default)]
pub(crate) struct Board {
    told: AtomicU8,
    files: Mutex<Vec<FileHealth>>,
    listeners: Mutex<Listeners>,
}

/// One of a board's files.
#[derive(Clone, Copy)]
pub(crate) struct FileId(usize);

/// One of a board's listeners.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ListenerId(u64);

#[derive(Default)]
struct FileHealth {
    load: Load,
    failing: bool,
}

/// How much waits for a file.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Load {
    #[default]
    Light,
    /// Publishers should be read no further.
    Half,
    /// Nothing more should be decided that would have to be kept: it would be told and then not be kept.
    Full,
}

#[derive(Default)]
struct Listeners {
    sinks: FxHashMap<ListenerId, Sink>,
    listened: u64,
}

impl Board {
    /// How the worst of its files is doing.
    pub(crate) fn health(&self) -> Health {
        match self.told.load(Ordering::Acquire) {
            0 => Health::Well,
            1 => Health::Busy,
            _ => Health::Failing,
        }
    }

    /// Another file, which is well.
    pub(crate) fn add_file(&self) -> FileId {
        let mut files = lock(&self.files);
        files.push(FileHealth::default());
        FileId(files.len() - 1)
    }

    /// Asks `load` again, under the lock: an answer that was got before could overtake a newer one.
    pub(crate) fn weigh(&self, file: FileId, load: impl FnOnce() -> Load) {
        let mut files = lock(&self.files);
        files[file.0].load = load();
        self.tell_change(&files);
    }

    /// Does the disk take what `file` writes?
    pub(crate) fn set_failing(&self, file: FileId, failing: bool) {
        let mut files = lock(&self.files);
        files[file.0].failing = failing;
        self.tell_change(&files);
    }

    fn tell_change(&self, files: &[FileHealth]) {
        let now = match files {
            _ if files.iter().any(|file| file.failing || file.load == Load::Full) => Health::Failing,
            _ if files.iter().any(|file| file.load == Load::Half) => Health::Busy,
            _ => Health::Well,
        };
        if now != self.health() {
            self.told.store(now as u8, Ordering::Release);
            let sinks: Vec<Sink> = lock(&self.listeners).sinks.values().cloned().collect();
            // Still under the lock of `files`, so that two changes are told in the order in which they came.
            sinks.iter().for_each(|sink| sink(Completion::Health(now)));
        }
    }

    /// Tells one listener, if it still listens.
    pub(crate) fn tell(&self, listener: ListenerId, completion: Completion) {
        let sink = lock(&self.listeners).sinks.get(&listener).cloned();
        if let Some(sink) = sink {
            sink(completion);
        }
    }
}

/// Somebody who listens to a board for as long as this lives.
pub(crate) struct Listener {
    pub(crate) id: ListenerId,
    pub(crate) sink: Sink,
    pub(crate) board: Arc<Board>,
}

impl Listener {
    /// Begins to listen.
    pub(crate) fn new(board: &Arc<Board>, sink: Sink) -> Listener {
        let mut listeners = lock(&board.listeners);
        listeners.listened += 1;
        let id = ListenerId(listeners.listened);
        listeners.sinks.insert(id, sink.clone());
        Listener { id, sink, board: board.clone() }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.board.listeners).sinks.remove(&self.id);
    }
}

/// Locks what only plain assignments happen under, so that a panic elsewhere leaves it whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
