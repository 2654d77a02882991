//! Counters and gauges: one number each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows. Whole steps and fractions are kept apart, so that `inc` is one atomic addition.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<CounterCells>);

#[derive(Debug, Default)]
struct CounterCells {
    whole: AtomicU64,
    fraction: Cell,
}

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.inc_by(1);
    }

    /// Adds a whole number.
    pub fn inc_by(&self, by: u64) {
        self.0.whole.fetch_add(by, Ordering::Relaxed);
    }

    /// Adds any number; one that would make the counter fall (or NaN) is ignored.
    pub fn add(&self, by: f64) {
        if by > 0.0 {
            self.0.fraction.add(by);
        }
    }

    /// The number now.
    pub fn value(&self) -> f64 {
        self.0.whole.load(Ordering::Relaxed) as f64 + self.0.fraction.get()
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<Cell>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Adds, or takes away when negative.
    pub fn add(&self, by: f64) {
        self.0.add(by);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Takes one away.
    pub fn dec(&self) {
        self.add(-1.0);
    }

    /// The number now.
    pub fn value(&self) -> f64 {
        self.0.get()
    }
}

/// A float in an atomic.
#[derive(Debug, Default)]
pub(super) struct Cell(AtomicU64);

impl Cell {
    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn add(&self, by: f64) {
        // never fails: the closure always gives a new value
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| Some((f64::from_bits(bits) + by).to_bits()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_never_fall_and_gauges_do() {
        let (counter, gauge) = (Counter::default(), Gauge::default());
        counter.inc_by(3);
        counter.add(0.25);
        counter.add(-1.0);
        counter.add(f64::NAN);
        assert_eq!(counter.value(), 3.25);
        gauge.set(2.0);
        gauge.dec();
        gauge.add(-3.5);
        assert_eq!(gauge.value(), -2.5);
    }
}
