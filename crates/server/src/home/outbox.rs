//! What one connection is still owed.
//!
//! Most of the time this is nothing: a batch goes straight from its shared bytes into the socket. Only when a socket
//! takes no more does a backlog begin, and it is bounded: shared bytes are references into batches, counted; past the
//! bound, whole events that were not yet begun are dropped and remembered as a range for each room, and announced as a
//! `gap` when the socket takes something again. Private bytes (answers, `told`, `bye`) are never dropped; the
//! connection is read no further instead.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

use madang_room::{RoomName, Seq, Timestamp};
use smallvec::SmallVec;

use crate::batch::{Batch, Encoded, Form, Place};

/// Private bytes that may wait for one connection before it is read no further.
pub(crate) const PRIVATE_BYTES_MAX: usize = 64 * 1024;

/// Slices in one write: the system takes up to 1,024, but who needs many is far behind anyway.
const SLICES_MAX: usize = 16;

/// Items of a batch, by their first and the one after their last.
pub(crate) type Runs<'a> = &'a [(u32, u32)];

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Private bytes of this wake: they go out with the next write.
    fresh: Vec<u8>,
    /// Only while the socket takes no more.
    backlog: Option<Box<Backlog>>,
}

#[derive(Debug)]
struct Backlog {
    pieces: VecDeque<Piece>,
    shared_bytes: usize,
    private_bytes: usize,
    /// What was dropped, by room; not empty means that live events are dropped too.
    missed: Vec<Missed>,
    /// When the socket last took a byte.
    progress_at: Timestamp,
    /// Nothing is written until it is known whether the pieces from that one on are wanted.
    corked_at: Option<usize>,
}

#[derive(Debug)]
enum Piece {
    Private {
        bytes: Vec<u8>,
        written: usize,
    },
    /// Bytes `from..until` of a batch in one form; `until` is the end of an item.
    Shared {
        batch: Arc<Batch>,
        form: Form,
        from: usize,
        until: usize,
    },
}

/// Events of one room that were dropped; no positions where it was presence only.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Missed {
    pub(crate) room: RoomName,
    pub(crate) seqs: Option<(Seq, Seq)>,
}

/// What a write left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Nothing: all is written.
    All,
    /// The socket took no more; the rest is kept.
    Behind,
    /// Nothing was to be written yet.
    Corked,
    /// The rest was too much, and events began to be dropped.
    Dropped,
    /// The rest was too much, of bytes that can't be dropped without breaking the stream.
    Overflow,
}

impl Outbox {
    /// Appends what `encode` writes to the private bytes. True where that is something.
    pub(crate) fn append(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(backlog) = &mut self.backlog else {
            let before = self.fresh.len();
            encode(&mut self.fresh);
            return self.fresh.len() > before;
        };
        let before = backlog.private_bytes;
        let is_behind_cork = backlog.corked_at == Some(backlog.pieces.len());
        if let Some(Piece::Private { bytes, .. }) = backlog.pieces.back_mut().filter(|_| !is_behind_cork) {
            let length = bytes.len();
            encode(bytes);
            backlog.private_bytes += bytes.len() - length;
        } else {
            let mut bytes = Vec::new();
            encode(&mut bytes);
            backlog.push_private(bytes);
        }
        backlog.private_bytes > before
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.backlog.is_some()
    }

    /// Holds back everything from here on until [`Outbox::uncork`] or [`Outbox::discard`].
    pub(crate) fn cork(&mut self, now: Timestamp) {
        let fresh = std::mem::take(&mut self.fresh);
        let backlog = self.backlog.get_or_insert_with(|| Box::new(Backlog::new(now)));
        backlog.push_private(fresh);
        // A piece that more private bytes would be appended to must not reach over the cork.
        backlog.corked_at = Some(backlog.pieces.len());
    }

    /// Is everything that was held back still there?
    pub(crate) fn is_whole(&self) -> bool {
        self.backlog.as_ref().is_none_or(|backlog| backlog.missed.is_empty())
    }

    /// What was held back is to be written after all.
    pub(crate) fn uncork(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.corked_at = None;
        }
    }

    /// What was held back of rooms is not wanted.
    pub(crate) fn discard(&mut self) {
        let Some(backlog) = &mut self.backlog else { return };
        if let Some(kept) = backlog.corked_at.take() {
            let held = backlog.pieces.split_off(kept.min(backlog.pieces.len()));
            backlog.pieces.extend(held.into_iter().filter(Piece::is_private));
            backlog.missed.clear();
            let bytes = |pieces: &VecDeque<Piece>, is_private| {
                let of_kind = pieces.iter().filter(|piece| piece.is_private() == is_private);
                of_kind.map(|piece| piece.unwritten().len()).sum()
            };
            (backlog.private_bytes, backlog.shared_bytes) =
                (bytes(&backlog.pieces, true), bytes(&backlog.pieces, false));
        }
    }

    /// Puts bytes before all others: an earlier socket had taken them and not brought them away.
    pub(crate) fn prepend(&mut self, bytes: Vec<u8>, now: Timestamp) {
        if bytes.is_empty() {
            return;
        }
        let fresh = std::mem::take(&mut self.fresh);
        let backlog = self.backlog.get_or_insert_with(|| Box::new(Backlog::new(now)));
        backlog.push_private(fresh);
        backlog.private_bytes += bytes.len();
        backlog.pieces.push_front(Piece::Private { bytes, written: 0 });
        if let Some(corked_at) = &mut backlog.corked_at {
            *corked_at += 1;
        }
    }

    /// Must the connection be read no further?
    pub(crate) fn is_full(&self) -> bool {
        self.backlog.as_ref().is_some_and(|backlog| backlog.private_bytes > PRIVATE_BYTES_MAX)
    }

    /// When the socket last took a byte, while something waits for it.
    pub(crate) fn waiting_since(&self) -> Option<Timestamp> {
        self.backlog.as_ref().map(|backlog| backlog.progress_at)
    }

    /// Sends runs of a batch's items after what is private: written at once, or kept up to `limit` shared bytes.
    pub(crate) fn send(
        &mut self,
        batch: &Arc<Batch>,
        form: Form,
        runs: Runs<'_>,
        limit: usize,
        now: Timestamp,
        write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Sent> {
        match &mut self.backlog {
            None => self.send_now(batch, form, runs, limit, now, write),
            Some(backlog) => Ok(backlog.push(batch, form, runs, limit)),
        }
    }

    fn send_now(
        &mut self,
        batch: &Arc<Batch>,
        form: Form,
        runs: Runs<'_>,
        limit: usize,
        now: Timestamp,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Sent> {
        let encoded = batch.encoded(form);
        let mut slices: SmallVec<[IoSlice<'_>; 4]> = SmallVec::new();
        if !self.fresh.is_empty() {
            slices.push(IoSlice::new(&self.fresh));
        }
        let shared = runs.iter().take(SLICES_MAX).map(|(first, end)| encoded.items(*first, *end));
        slices.extend(shared.filter(|bytes| !bytes.is_empty()).map(IoSlice::new));
        if slices.is_empty() {
            return Ok(Sent::All);
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let written = or_nothing(write(&slices))?;
        drop(slices);
        if written == total && runs.len() <= SLICES_MAX {
            // A connection that isn't talking owns no buffer.
            self.fresh = Vec::new();
            return Ok(Sent::All);
        }
        let mut backlog = Box::new(Backlog::new(now));
        backlog.push_private(std::mem::take(&mut self.fresh));
        for run in runs {
            backlog.push_run(batch, form, encoded, *run);
        }
        backlog.advance(written);
        let sent = match backlog.shared_bytes > limit {
            true => backlog.drop_unbegun(),
            false => Sent::Behind,
        };
        self.backlog = Some(backlog);
        Ok(sent)
    }

    /// Writes what waits. Where events were dropped, `announce` says so in the client's words, after what had begun.
    pub(crate) fn flush(
        &mut self,
        now: Timestamp,
        mut announce: impl FnMut(&mut Vec<u8>, Missed),
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Sent> {
        if self.backlog.is_none() {
            if self.fresh.is_empty() {
                return Ok(Sent::All);
            }
            let written = or_nothing(write(&[IoSlice::new(&self.fresh)]))?;
            if written == self.fresh.len() {
                self.fresh = Vec::new();
                return Ok(Sent::All);
            }
            let mut backlog = Box::new(Backlog::new(now));
            backlog.push_private(std::mem::take(&mut self.fresh));
            backlog.advance(written);
            self.backlog = Some(backlog);
            return Ok(Sent::Behind);
        }
        let Some(backlog) = &mut self.backlog else { return Ok(Sent::All) };
        if backlog.corked_at.is_some() {
            return Ok(Sent::Corked);
        }
        loop {
            if backlog.pieces.is_empty() {
                if backlog.missed.is_empty() {
                    break;
                }
                let mut bytes = Vec::new();
                backlog.missed.drain(..).for_each(|missed| announce(&mut bytes, missed));
                backlog.push_private(bytes);
                continue;
            }
            let written = or_nothing(write(&backlog.slices()))?;
            if written == 0 {
                return Ok(Sent::Behind);
            }
            backlog.progress_at = now;
            backlog.advance(written);
        }
        self.backlog = None;
        Ok(Sent::All)
    }
}

impl Piece {
    fn is_private(&self) -> bool {
        matches!(self, Piece::Private { .. })
    }

    fn unwritten(&self) -> &[u8] {
        match self {
            Piece::Private { bytes, written } => &bytes[*written..],
            Piece::Shared { batch, form, from, until } => &batch.encoded(*form).bytes[*from..*until],
        }
    }
}

impl Backlog {
    fn new(now: Timestamp) -> Backlog {
        Backlog {
            pieces: VecDeque::new(),
            shared_bytes: 0,
            private_bytes: 0,
            missed: Vec::new(),
            progress_at: now,
            corked_at: None,
        }
    }

    fn push(&mut self, batch: &Arc<Batch>, form: Form, runs: Runs<'_>, limit: usize) -> Sent {
        if !self.missed.is_empty() {
            runs.iter().for_each(|run| self.miss(batch, *run));
            return self.kept();
        }
        let encoded = batch.encoded(form);
        for run in runs {
            self.push_run(batch, form, encoded, *run);
        }
        if self.shared_bytes > limit { self.drop_unbegun() } else { self.kept() }
    }

    fn kept(&self) -> Sent {
        if self.corked_at.is_some() { Sent::Corked } else { Sent::Behind }
    }

    fn push_private(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.private_bytes += bytes.len();
            self.pieces.push_back(Piece::Private { bytes, written: 0 });
        }
    }

    fn push_run(&mut self, batch: &Arc<Batch>, form: Form, encoded: &Encoded, (first, end): (u32, u32)) {
        let (from, until) = (encoded.start(first), encoded.start(end));
        if from < until {
            self.shared_bytes += until - from;
            self.pieces.push_back(Piece::Shared { batch: batch.clone(), form, from, until });
        }
    }

    /// Drops every event that was not begun. Raw bytes have no events to drop.
    fn drop_unbegun(&mut self) -> Sent {
        let mut kept = VecDeque::new();
        for mut piece in std::mem::take(&mut self.pieces) {
            if let Piece::Shared { batch, form, from, until } = &mut piece {
                if *form == Form::Raw {
                    return Sent::Overflow;
                }
                let encoded = batch.encoded(*form);
                let begun = encoded.item_at(*from);
                let is_begun = encoded.start(begun) < *from;
                let keep_until = if is_begun { encoded.start(begun + 1) } else { *from };
                let dropped = (begun + u32::from(is_begun), encoded.item_at(*until - 1) + 1);
                self.shared_bytes -= *until - keep_until;
                *until = keep_until;
                let batch = batch.clone();
                self.miss(&batch, dropped);
                if !is_begun {
                    continue;
                }
            }
            kept.push_back(piece);
        }
        self.pieces = kept;
        Sent::Dropped
    }

    fn miss(&mut self, batch: &Batch, (first, end): (u32, u32)) {
        let Place::Room(room) = &batch.place else { return };
        if first >= end {
            return;
        }
        let mut seqs = batch.seqs(first, end);
        let range = seqs.next().map(|from| (from, seqs.last().unwrap_or(from)));
        match self.missed.iter_mut().find(|missed| missed.room == *room) {
            Some(missed) => {
                missed.seqs = match (missed.seqs, range) {
                    (Some((from, to)), Some((f, t))) => Some((from.min(f), to.max(t))),
                    (known, new) => known.or(new),
                };
            }
            None => self.missed.push(Missed { room: room.clone(), seqs: range }),
        }
    }

    fn slices(&self) -> SmallVec<[IoSlice<'_>; SLICES_MAX]> {
        self.pieces.iter().take(SLICES_MAX).map(|piece| IoSlice::new(piece.unwritten())).collect()
    }

    fn advance(&mut self, mut bytes: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            let left = match piece {
                Piece::Private { bytes: all, written } => {
                    let step = bytes.min(all.len() - *written);
                    *written += step;
                    self.private_bytes -= step;
                    bytes -= step;
                    all.len() - *written
                }
                Piece::Shared { from, until, .. } => {
                    let step = bytes.min(*until - *from);
                    *from += step;
                    self.shared_bytes -= step;
                    bytes -= step;
                    *until - *from
                }
            };
            if left > 0 {
                break;
            }
            self.pieces.pop_front();
        }
    }
}

/// A socket that takes nothing now has taken nothing, which is no error.
fn or_nothing(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        written => written,
    }
}
