//! A histogram that is observed without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// The upper bounds of buckets, for milliseconds and for bytes alike.
const BOUNDS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// Counts by bucket, and the sum in thousandths so that it is an integer.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    thousandths: AtomicU64,
}

impl Histogram {
    /// Counts a value, given in thousandths.
    pub fn observe(&self, thousandths: u64) {
        let value = thousandths as f64 / 1_000.0;
        let bucket = BOUNDS.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.thousandths.fetch_add(thousandths, Ordering::Relaxed);
    }

    /// Sum, count, and the count of each bucket with its upper bound.
    #[must_use]
    pub fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let bounds = BOUNDS.iter().copied().chain([f64::INFINITY]);
        let counts = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        (
            self.thousandths.load(Ordering::Relaxed) as f64 / 1_000.0,
            count,
            buckets,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for millis in [0, 500, 501, 1_000, 7_000, 4_000_000_000] {
            histogram.observe(millis);
        }
        let (sum, count, buckets) = histogram.read();
        assert_eq!(count, 6);
        assert!((sum - 4_000_009.001).abs() < 1e-6, "{sum}");
        let hit: Vec<_> = buckets
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(hit, [(0.5, 2), (1.0, 2), (10.0, 1), (f64::INFINITY, 1)]);
    }
}
