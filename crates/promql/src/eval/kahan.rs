//! Compensated sums after Kahan and Neumaier.

/// A running sum and what rounding has taken from it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) value: f64,
    pub(crate) lost: f64,
}

impl Sum {
    pub(crate) fn of(value: f64) -> Self {
        Sum { value, lost: 0.0 }
    }

    /// The sum with one more term.
    #[inline]
    pub(crate) fn plus(self, term: f64) -> Sum {
        let value = self.value + term;
        let lost = if value.is_infinite() {
            0.0
        } else if self.value.abs() >= term.abs() {
            self.lost + ((self.value - value) + term)
        } else {
            self.lost + ((term - value) + self.value)
        };
        Sum { value, lost }
    }

    /// The sum, rounding made good.
    pub(crate) fn total(self) -> f64 {
        self.value + self.lost
    }
}

/// A running mean: a sum divided at the end, or, once the sum would overflow, a mean kept up value by value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    sum: Sum,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub(crate) fn of(value: f64) -> Self {
        Mean { sum: Sum::of(value), count: 1.0, incremental: false }
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let next = self.sum.plus(value);
            if !next.value.is_infinite() {
                self.sum = next;
                return;
            }
            self.incremental = true;
            let before = self.count - 1.0;
            self.sum = Sum { value: self.sum.value / before, lost: self.sum.lost / before };
        }
        let share = (self.count - 1.0) / self.count;
        let scaled = Sum { value: share * self.sum.value, lost: share * self.sum.lost };
        self.sum = scaled.plus(value / self.count);
    }

    pub(crate) fn total(self) -> f64 {
        if self.incremental { self.sum.total() } else { self.sum.value / self.count + self.sum.lost / self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_survive_big_ones() {
        let sum = [1e100, 1.0, -1e100, 1.0].into_iter().fold(Sum::default(), Sum::plus);
        assert_eq!(sum.total(), 2.0);
        assert_eq!([f64::INFINITY, 1.0].into_iter().fold(Sum::default(), Sum::plus).total(), f64::INFINITY);
    }

    #[test]
    fn means_do_not_overflow() {
        let mut mean = Mean::of(f64::MAX);
        mean.add(f64::MAX);
        mean.add(f64::MAX);
        assert!(mean.total().is_finite() && mean.total() > 0.999 * f64::MAX);
    }
}
