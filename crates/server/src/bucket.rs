//! How fast one connection may send: a token bucket that starts with a burst, and may be overdrawn a little.

use madang_room::Timestamp;

/// Seconds' worth of lines that may come at once.
const BURST_SECONDS: f32 = 3.0;
/// Seconds' worth of lines that are still carried out when they come in one read above that; further ones are
/// refused.
const OVERDRAFT_SECONDS: f32 = 10.0;

/// Counts lines against a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f32,
    filled_at: Timestamp,
}

/// May the line be carried out?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Good,
    TooFast,
}

impl Bucket {
    pub(crate) fn new(per_second: u32, now: Timestamp) -> Bucket {
        Bucket { tokens: per_second as f32 * BURST_SECONDS, filled_at: now }
    }

    /// For a peer that may send as fast as it can.
    pub(crate) fn endless() -> Bucket {
        Bucket { tokens: f32::INFINITY, filled_at: Timestamp(0) }
    }

    pub(crate) fn is_endless(&self) -> bool {
        self.tokens == f32::INFINITY
    }

    /// Takes a line's token.
    pub(crate) fn take(&mut self, per_second: u32, now: Timestamp) -> Pace {
        self.fill(per_second, now);
        if self.tokens <= -(per_second as f32) * OVERDRAFT_SECONDS {
            return Pace::TooFast;
        }
        self.tokens -= 1.0;
        Pace::Good
    }

    /// When the connection may be read again; `None` if at once.
    pub(crate) fn read_again_at(&mut self, per_second: u32, now: Timestamp) -> Option<Timestamp> {
        self.fill(per_second, now);
        let missing = 1.0 - self.tokens;
        (missing > 0.0).then(|| Timestamp(now.0 + 1 + (missing * 1000.0 / per_second as f32) as i64))
    }

    fn fill(&mut self, per_second: u32, now: Timestamp) {
        if self.is_endless() {
            return;
        }
        let rate = per_second as f32;
        let tokens = self.tokens + now.since(self.filled_at).as_secs_f32() * rate;
        self.tokens = tokens.min(rate * BURST_SECONDS);
        self.filled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_bucket_is_never_empty() {
        let mut bucket = Bucket::endless();
        assert!((0..1_000).all(|_| bucket.take(1, Timestamp(0)) == Pace::Good));
        assert_eq!(bucket.read_again_at(1, Timestamp(0)), None);
    }

    #[test]
    fn a_burst_is_taken_then_reading_waits_then_lines_are_refused() {
        let mut bucket = Bucket::new(20, Timestamp(0));
        for _ in 0..60 {
            assert_eq!(bucket.read_again_at(20, Timestamp(0)), None);
            assert_eq!(bucket.take(20, Timestamp(0)), Pace::Good);
        }
        assert_eq!(bucket.read_again_at(20, Timestamp(0)), Some(Timestamp(51)));
        for _ in 0..200 {
            assert_eq!(bucket.take(20, Timestamp(0)), Pace::Good);
        }
        assert_eq!(bucket.take(20, Timestamp(0)), Pace::TooFast);
        let again = bucket.read_again_at(20, Timestamp(0)).unwrap();
        assert_eq!(again, Timestamp(10_051), "what was overdrawn is waited for");
        assert_eq!(bucket.read_again_at(20, again), None);
    }
}
