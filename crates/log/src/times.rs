//! How long something took, counted by how long: so that a rare slow commit shows beside a thousand quick ones.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MICROS: [u64; 13] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000];

/// Counts as they are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; MICROS.len() + 1],
    /// All of it together.
    pub sum: Duration,
}

impl Histogram {
    /// For each bound how many took no longer than that, but longer than the bound before; and at last, without a bound,
    /// how many took longer than all.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let bounds = MICROS.iter().map(|micros| Some(Duration::from_micros(*micros)));
        bounds.chain([None]).zip(self.counts.iter().copied())
    }
}

/// Counts while they are being made, by one thread for others to read.
#[derive(Debug, Default)]
pub(crate) struct Times {
    counts: [AtomicU64; MICROS.len() + 1],
    nanos: AtomicU64,
}

impl Times {
    pub(crate) fn count(&self, took: Duration) {
        let bucket = MICROS.partition_point(|micros| Duration::from_micros(*micros) < took);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Histogram {
        Histogram {
            counts: self.counts.each_ref().map(|count| count.load(Ordering::Relaxed)),
            sum: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_where_it_belongs() {
        let times = Times::default();
        for millis in [0, 1, 2, 60_000] {
            times.count(Duration::from_millis(millis));
        }
        let now = times.now();
        let counted: Vec<(Option<Duration>, u64)> = now.buckets().filter(|(_, count)| *count > 0).collect();
        let micros = |micros| Some(Duration::from_micros(micros));
        assert_eq!(counted, [(micros(100), 1), (micros(1_000), 1), (micros(2_500), 1), (None, 1)]);
        assert_eq!(now.sum, Duration::from_millis(60_003));
    }
}
