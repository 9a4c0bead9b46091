//! Has every receiver got every message of every publisher of its room, once and in order? Counted exactly.
//!
//! For each receiver and publisher there is the counter that comes next, and, only where something is wrong, the ranges
//! that were skipped. What comes from a skipped range is late (out of order), what comes again is a repeat, what is
//! still skipped at the end is lost.
//!
//! Memory is bounded: of each publisher a receiver remembers [`GAPS_MAX`] ranges; with more, the oldest is given up as
//! lost for good, and [`Tally::gave_up`] says that from there on a late one of it would count as a repeat.

/// Skipped ranges remembered for each receiver and publisher. A server that loses every other line needs them all and
/// still costs 8 KiB for each pair.
pub const GAPS_MAX: usize = 1_024;

/// What was counted. A message to one receiver is one delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Deliveries that came, each counted once, late ones among them.
    pub delivered: u64,
    /// Deliveries that never came. Known at the end.
    pub lost: u64,
    /// Came again.
    pub repeated: u64,
    /// Came after a later one of the same publisher.
    pub out_of_order: u64,
    /// Ranges given up before the end, since there were too many: what is late there was counted as repeated.
    pub gave_up: u64,
}

/// Watches over deliveries.
#[derive(Debug)]
pub struct Verifier {
    publishers: usize,
    streams: Vec<Stream>,
    tally: Tally,
}

/// What one receiver has got of one publisher.
#[derive(Clone, Debug, Default)]
struct Stream {
    next: u32,
    /// Ranges skipped so far, in order: from, and the one after the last.
    gaps: Vec<(u32, u32)>,
}

impl Verifier {
    /// For so many receivers, each with so many publishers in its room.
    pub fn new(receivers: usize, publishers: usize) -> Verifier {
        Verifier {
            publishers,
            streams: vec![Stream::default(); receivers * publishers],
            tally: Tally::default(),
        }
    }

    /// A delivery has come. Answers how far the stream has moved forward: 1 where all is well, 0 for what is late or a
    /// repeat, more where messages were skipped.
    #[inline]
    pub fn heard(&mut self, receiver: usize, publisher: usize, counter: u32) -> u32 {
        let stream = &mut self.streams[receiver * self.publishers + publisher];
        if counter == stream.next {
            stream.next += 1;
            self.tally.delivered += 1;
            return 1;
        }
        stream.heard_astray(counter, &mut self.tally)
    }

    /// At the end: `publisher` has sent `sent` messages to `receiver`. What is missing is lost.
    pub fn ended(&mut self, receiver: usize, publisher: usize, sent: u32) {
        let stream = &self.streams[receiver * self.publishers + publisher];
        let skipped: u64 = stream.gaps.iter().map(|&(from, to)| u64::from(to - from)).sum();
        self.tally.lost += skipped + u64::from(sent.saturating_sub(stream.next));
    }

    /// How far a receiver is in what a publisher has sent.
    pub fn reached(&self, receiver: usize, publisher: usize) -> u32 {
        self.streams[receiver * self.publishers + publisher].next
    }

    /// How many of the messages from `since` on, of `sent`, have not reached a receiver.
    pub fn missing(&self, receiver: usize, publisher: usize, since: u32, sent: u32) -> u32 {
        let stream = &self.streams[receiver * self.publishers + publisher];
        let skipped = stream.gaps.iter().rev().take_while(|&&(_, to)| to > since);
        skipped.map(|&(from, to)| to - from.max(since)).sum::<u32>()
            + sent.saturating_sub(stream.next.max(since))
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }
}

impl Stream {
    /// A delivery other than the next one: rare, so out of the way of the others.
    #[cold]
    fn heard_astray(&mut self, counter: u32, tally: &mut Tally) -> u32 {
        if counter > self.next {
            let skipped = (self.next, counter);
            let moved = counter - self.next + 1;
            self.next = counter + 1;
            tally.delivered += 1;
            self.gaps.push(skipped);
            if self.gaps.len() > GAPS_MAX {
                let (from, to) = self.gaps.remove(0);
                tally.lost += u64::from(to - from);
                tally.gave_up += 1;
            }
            return moved;
        }
        match self.fill(counter) {
            true => {
                tally.delivered += 1;
                tally.out_of_order += 1;
            }
            false => tally.repeated += 1,
        }
        0
    }

    /// Takes a counter out of the skipped ranges; false where it is in none.
    fn fill(&mut self, counter: u32) -> bool {
        let at = self.gaps.partition_point(|&(_, to)| to <= counter);
        match self.gaps.get_mut(at) {
            Some(&mut (from, to)) if from <= counter => {
                let halves = [(from, counter), (counter + 1, to)];
                self.gaps.splice(at..=at, halves.into_iter().filter(|(from, to)| from < to));
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One receiver hears these counters of one publisher, who has sent `sent`.
    fn tally(heard: &[u32], sent: u32) -> Tally {
        let mut verifier = Verifier::new(1, 1);
        for &counter in heard {
            verifier.heard(0, 0, counter);
        }
        verifier.ended(0, 0, sent);
        verifier.tally()
    }

    #[test]
    fn all_is_well() {
        assert_eq!(tally(&[0, 1, 2], 3), Tally { delivered: 3, ..Tally::default() });
        assert_eq!(tally(&[], 0), Tally::default());
    }

    #[test]
    fn what_never_came_is_lost() {
        assert_eq!(tally(&[2, 3, 6], 9), Tally { delivered: 3, lost: 6, ..Tally::default() });
        assert_eq!(tally(&[], 2), Tally { lost: 2, ..Tally::default() });
    }

    #[test]
    fn what_came_again_is_a_repeat() {
        let expected = Tally { delivered: 3, repeated: 3, ..Tally::default() };
        assert_eq!(tally(&[0, 0, 1, 2, 1, 2], 3), expected);
    }

    #[test]
    fn what_came_late_is_out_of_order_and_not_lost() {
        let expected = Tally { delivered: 5, out_of_order: 3, ..Tally::default() };
        assert_eq!(tally(&[4, 1, 3, 0], 5), Tally { delivered: 4, lost: 1, ..expected });
        assert_eq!(tally(&[3, 1, 2, 0, 4], 5), expected);
        let again = Tally { repeated: 1, ..expected };
        assert_eq!(tally(&[3, 1, 2, 1, 0, 4], 5), again);
    }

    #[test]
    fn a_skip_moves_the_stream_by_what_it_skips() {
        let mut verifier = Verifier::new(2, 2);
        assert_eq!([verifier.heard(1, 0, 0), verifier.heard(1, 0, 4), verifier.heard(1, 0, 2)], [1, 4, 0]);
        assert_eq!(verifier.heard(1, 1, 0), 1, "another publisher has another stream");
        assert_eq!(verifier.heard(0, 0, 0), 1, "so has another receiver");
    }

    #[test]
    fn what_is_missing_is_counted_from_somewhere_on() {
        let mut verifier = Verifier::new(1, 1);
        for counter in [0, 4, 5, 8, 6] {
            verifier.heard(0, 0, counter);
        }
        // 1, 2, 3 and 7 were skipped, 9 and 10 have not come.
        let missing = [0, 2, 4, 8, 10].map(|since| verifier.missing(0, 0, since, 11));
        assert_eq!(missing, [6, 5, 3, 2, 1]);
    }

    #[test]
    fn memory_is_bounded() {
        let every_other: Vec<u32> = (0..5 * GAPS_MAX as u32).map(|nr| 2 * nr + 1).collect();
        let tally = tally(&every_other, 10 * GAPS_MAX as u32);
        assert_eq!(tally.lost, 5 * GAPS_MAX as u64, "loss stays exact");
        assert_eq!(tally.gave_up, 4 * GAPS_MAX as u64);
    }
}
