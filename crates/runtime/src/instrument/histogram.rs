//! Classic histograms of our own measurements.

use super::Value;
use super::number::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts observations in buckets. One observation: a binary search and two atomic additions.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Cells>);

#[derive(Debug)]
struct Cells {
    bounds: Arc<[f64]>,
    /// Observations of each bucket alone; the last is `+Inf`.
    counts: Box<[AtomicU64]>,
    sum: Cell,
}

impl Histogram {
    pub(super) fn new(bounds: Arc<[f64]>) -> Self {
        debug_assert!(bounds.windows(2).all(|w| w[0] < w[1]), "histogram bounds must ascend: {bounds:?}");
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram(Arc::new(Cells { bounds, counts, sum: Cell::default() }))
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let bucket = self.0.bounds.partition_point(|bound| *bound < value);
        // NaN compares with nothing and would land in the first bucket
        let bucket = if value.is_nan() { self.0.bounds.len() } else { bucket };
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum.add(value);
    }

    /// Counts a length of time, in seconds.
    pub fn observe_duration(&self, length: std::time::Duration) {
        self.observe(length.as_secs_f64());
    }

    pub(super) fn value(&self) -> Value {
        let mut below = 0;
        let mut cumulative = self.0.counts.iter().map(|count| {
            below += count.load(Ordering::Relaxed);
            below
        });
        let buckets: Vec<(f64, u64)> = self.0.bounds.iter().copied().zip(cumulative.by_ref()).collect();
        let count = cumulative.last().unwrap_or(0);
        Value::Histogram { buckets, sum: self.0.sum.get(), count }
    }
}

/// `count` bounds: `start`, `start + width`, …
pub fn linear_buckets(start: f64, width: f64, count: usize) -> Vec<f64> {
    (0..count).map(|n| start + width * n as f64).collect()
}

/// `count` bounds: `start`, `start * factor`, …
pub fn exponential_buckets(start: f64, factor: f64, count: usize) -> Vec<f64> {
    std::iter::successors(Some(start), |bound| Some(bound * factor)).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_counts_cumulative() {
        let histogram = Histogram::new(Arc::from(exponential_buckets(1.0, 10.0, 3)));
        for value in [0.5, 1.0, 1.5, 100.0, 1e6] {
            histogram.observe(value);
        }
        assert_eq!(
            histogram.value(),
            Value::Histogram { buckets: vec![(1.0, 2), (10.0, 3), (100.0, 4)], sum: 1_000_103.0, count: 5 }
        );
    }

    #[test]
    fn a_nan_is_beyond_every_bound() {
        let histogram = Histogram::new(Arc::from(linear_buckets(0.0, 1.0, 2)));
        histogram.observe(f64::NAN);
        let Value::Histogram { buckets, count, .. } = histogram.value() else { panic!("not a histogram") };
        assert_eq!((buckets, count), (vec![(0.0, 0), (1.0, 0)], 1));
    }
}
