//! How long to wait before trying again: doubling, with jitter, so that a thousand clients of a restarted server
//! do not all come back in the same millisecond.

use std::time::Duration;

use crate::limits::RETRY_ASKED_MAX;

/// The waits of one series of failures.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Backoff {
        Backoff { min, max, failures: 0 }
    }

    /// Begins anew, after a connection that lasted.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait. What the server asked for wins: it has spread its clients already.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let dice = getrandom::u32().unwrap_or(u32::MAX / 2);
        self.next_with(asked, dice)
    }

    /// Between half of the doubled wait and all of it, as the dice say.
    fn next_with(&mut self, asked: Option<Duration>, dice: u32) -> Duration {
        if let Some(asked) = asked {
            return asked.min(RETRY_ASKED_MAX); // an orderly end is no failure
        }
        let doubled = self.min.saturating_mul(1 << self.failures.min(16)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        doubled.mul_f64(0.5 + 0.5 * f64::from(dice) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(200), Duration::from_secs(10))
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_begins_anew() {
        let mut backoff = backoff();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next_with(None, u32::MAX).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.next_with(None, u32::MAX).as_millis(), 200);
    }

    #[test]
    fn jitter_takes_away_half_at_most() {
        assert_eq!(backoff().next_with(None, 0).as_millis(), 100);
        for _ in 0..100 {
            let wait = backoff().next(None).as_millis();
            assert!((100..=200).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn what_the_server_asks_for_is_honoured_within_reason() {
        let mut backoff = backoff();
        assert_eq!(backoff.next_with(Some(Duration::from_millis(1234)), 0).as_millis(), 1234);
        assert_eq!(backoff.next_with(Some(Duration::from_secs(100_000)), 0), RETRY_ASKED_MAX);
        assert_eq!(backoff.next_with(None, u32::MAX).as_millis(), 200);
    }

    #[test]
    fn many_failures_do_not_overflow() {
        let mut backoff = backoff();
        backoff.failures = u32::MAX;
        assert_eq!(backoff.next_with(None, u32::MAX), Duration::from_secs(10));
    }
}
