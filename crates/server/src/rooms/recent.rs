//! The newest events of a room, kept in memory: most who come back have missed little.

use std::collections::VecDeque;
use std::sync::Arc;

use madang_log::{Range, Record};
use madang_room::{Entry, Seq, Timestamp};

/// Events of a room in memory. Older ones are read from the log.
pub(crate) const RECENT_EVENTS_MAX: u64 = 1_024;

/// Bytes of text among them; past that, fewer are kept.
const RECENT_BYTES_MAX: usize = 256 * 1024;

/// A ring of records, without a gap between them.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    records: VecDeque<(Arc<Record>, usize)>,
    bytes: usize,
    /// Of the oldest event, so that a push need not look at the oldest record: nobody else does.
    first: Seq,
}

impl Recent {
    pub(crate) fn push(&mut self, record: Arc<Record>) {
        let bytes = record.entries().iter().map(size).sum();
        self.bytes += bytes;
        let last = record.last();
        if self.records.is_empty() {
            self.first = record.first();
            // In most rooms nothing happens but that they are made.
            self.records.reserve_exact(1);
        }
        self.records.push_back((record, bytes));
        while self.records.len() > 1 && self.is_over(last) {
            if let Some((oldest, bytes)) = self.records.pop_front() {
                self.bytes -= bytes;
                self.first = oldest.last().next();
            }
        }
    }

    fn is_over(&self, last: Seq) -> bool {
        self.bytes > RECENT_BYTES_MAX || last.0 - self.first.0 >= RECENT_EVENTS_MAX
    }

    /// The oldest position here.
    pub(crate) fn first(&self) -> Option<Seq> {
        (!self.records.is_empty()).then_some(self.first)
    }

    /// All entries after `after`, oldest first.
    pub(crate) fn after(&self, after: Seq) -> impl DoubleEndedIterator<Item = &Entry> {
        let start = self.records.partition_point(|(record, _)| record.last() <= after);
        let entries = self.records.range(start..).flat_map(|(record, _)| record.entries());
        entries.filter(move |entry| entry.seq > after)
    }

    /// The entries of `range` among those from `first` on, if none of them lies before what is kept here.
    /// `said_only` counts and returns messages alone.
    pub(crate) fn read(&self, range: Range, limit: usize, first: Seq, said_only: bool) -> Option<Vec<Entry>> {
        let is_wanted = |entry: &&Entry| entry.seq >= first && (!said_only || is_said(entry));
        let is_whole = self.first().is_some_and(|here| here <= first);
        match range {
            Range::After(after) => {
                let is_here = is_whole || self.first().is_some_and(|here| here <= after.next());
                is_here.then(|| self.after(after).filter(is_wanted).take(limit).cloned().collect())
            }
            Range::Before(before) => {
                let older = self.after(Seq::ZERO).rev().skip_while(|entry| entry.seq >= before);
                let mut found: Vec<Entry> = older.filter(is_wanted).take(limit).cloned().collect();
                found.reverse();
                (is_whole || found.len() == limit).then_some(found)
            }
        }
    }

    /// The oldest entry here that is not older than `cutoff`, or what comes after all of them.
    pub(crate) fn first_since(&self, cutoff: Timestamp) -> Seq {
        let entry = self.after(Seq::ZERO).find(|entry| entry.at >= cutoff);
        let newest = self.records.back().map_or(Seq::ZERO, |(record, _)| record.last());
        entry.map_or(newest.next(), |entry| entry.seq)
    }
}

pub(crate) fn is_said(entry: &Entry) -> bool {
    matches!(entry.event, madang_room::Event::Said { .. })
}

/// Roughly what an entry takes in memory and, as JSON, on the wire.
pub(crate) fn size(entry: &Entry) -> usize {
    entry.event.content_bytes() + 128
}

#[cfg(test)]
mod tests {
    use madang_room::{Event, Nick, Text};

    use super::*;

    fn record(first: u64, texts: &[&str]) -> Arc<Record> {
        let entry = |(i, text): (usize, &&str)| Entry {
            seq: Seq(first + i as u64),
            at: Timestamp(first as i64 + i as i64),
            event: match *text {
                "topic" => Event::Topic { from: Nick::guest(1), text: Text::parse("t").unwrap() },
                text => Event::Said { from: Nick::guest(1), text: Text::parse(text).unwrap(), once: None },
            },
        };
        Arc::new(Record::new(texts.iter().enumerate().map(entry).collect::<Vec<_>>()))
    }

    fn seqs(entries: Option<Vec<Entry>>) -> Option<Vec<u64>> {
        entries.map(|entries| entries.iter().map(|entry| entry.seq.0).collect())
    }

    #[test]
    fn it_reads_what_it_has_and_says_when_it_has_not() {
        let mut recent = Recent::default();
        recent.push(record(5, &["a", "topic", "b"]));
        recent.push(record(8, &["c", "d"]));
        assert_eq!(seqs(recent.read(Range::After(Seq(6)), 2, Seq(1), false)), Some(vec![7, 8]));
        assert_eq!(seqs(recent.read(Range::After(Seq(4)), 9, Seq(1), false)), Some(vec![5, 6, 7, 8, 9]));
        assert_eq!(seqs(recent.read(Range::After(Seq(3)), 9, Seq(1), false)), None, "4 is in the log");
        assert_eq!(seqs(recent.read(Range::After(Seq(3)), 9, Seq(5), false)), Some(vec![5, 6, 7, 8, 9]));
        assert_eq!(seqs(recent.read(Range::Before(Seq(9)), 2, Seq(1), true)), Some(vec![7, 8]));
        assert_eq!(seqs(recent.read(Range::Before(Seq(9)), 4, Seq(1), true)), None);
        assert_eq!(seqs(recent.read(Range::Before(Seq(9)), 4, Seq(5), true)), Some(vec![5, 7, 8]));
        assert_eq!(recent.first_since(Timestamp(8)), Seq(8));
        assert_eq!(recent.first_since(Timestamp(80)), Seq(10));
    }

    #[test]
    fn it_is_bounded_in_events_and_in_bytes() {
        let mut recent = Recent::default();
        for seq in 1..=5_000 {
            recent.push(record(seq, &["x"]));
        }
        assert_eq!(recent.first(), Some(Seq(5_000 - RECENT_EVENTS_MAX + 1)));
        let big = "x".repeat(4_000);
        for seq in 5_001..=5_200 {
            recent.push(record(seq, &[&big]));
        }
        assert!(recent.bytes <= RECENT_BYTES_MAX);
    }
}
