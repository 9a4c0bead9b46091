//! How long things took: counts in buckets that are 1/64 of their value wide, so a percentile is at most 1.6 % too high.
//!
//! Recording is a shift and an addition: the generator does it for each delivery.

use std::time::Duration;

/// Buckets for each power of two, as a power of two.
const FINE_BITS: u32 = 6;
const FINE: u64 = 1 << FINE_BITS;
/// Enough for every `u64`.
const BUCKETS: usize = ((64 - FINE_BITS + 1) << FINE_BITS) as usize;

/// Times in nanoseconds, counted.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { buckets: vec![0; BUCKETS].into(), count: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one.
    #[inline]
    pub(crate) fn record(&mut self, ns: u64) {
        self.buckets[bucket(ns)] += 1;
        self.count += 1;
        self.max = self.max.max(ns);
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The time that `share` (0 to 1) of them did not exceed: the upper end of the bucket that the last of these is in.
    /// Zero where nothing was counted.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let rank = ((share * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (nr, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper_end(nr).min(self.max));
            }
        }
        Duration::ZERO
    }

    /// How many took longer than `limit`, up to a bucket's width.
    pub(crate) fn count_above(&self, limit: Duration) -> u64 {
        let limit = bucket(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
        self.buckets[limit + 1..].iter().sum()
    }
}

/// Small values have a bucket each; of a larger one the highest bits tell.
fn bucket(ns: u64) -> usize {
    let shift = (63 - (ns | FINE).leading_zeros()) - FINE_BITS;
    // The highest bit is part of `ns >> shift`, and moves to the next power of two by itself.
    ((u64::from(shift) << FINE_BITS) + (ns >> shift)) as usize
}

fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket >> FINE_BITS).saturating_sub(1);
    let top = bucket - (shift << FINE_BITS);
    // In 128 bits: the end of the last bucket is the end of the numbers.
    (((u128::from(top) + 1) << shift) - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_a_bucket_that_ends_close_above_it() {
        let powers = (0..64).map(|bit| 1u64 << bit);
        for ns in powers.flat_map(|ns| [ns - 1, ns, ns + ns / 3]).chain([u64::MAX]) {
            let end = upper_end(bucket(ns));
            assert!(end >= ns && end - ns <= ns / FINE, "{ns} ends at {end}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn buckets_follow_each_other() {
        for nr in 1..BUCKETS {
            assert_eq!(bucket(upper_end(nr - 1) + 1), nr);
        }
    }

    #[test]
    fn percentiles_are_what_that_share_did_not_exceed() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(0.5), Duration::ZERO);
        (1..=1_000_000).for_each(|us| histogram.record(us * 1_000));
        for (share, us) in [(0.0, 1), (0.5, 500_000), (0.99, 990_000), (0.999, 999_000), (1.0, 1_000_000)] {
            let found = histogram.percentile(share).as_micros() as f64;
            let expected = f64::from(us);
            assert!(found >= expected && found <= expected * 1.016, "{share}: {found}");
        }
        assert_eq!(histogram.max(), Duration::from_secs(1));
        let above = histogram.count_above(Duration::from_millis(900));
        assert!((90_000..=100_000).contains(&above), "{above}");
    }
}
