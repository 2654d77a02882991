//! Columns: one series' values over a grid of steps.
//!
//! ```text
//! grid     start  start+step  start+2·step …           (one instant is a grid of one)
//! column      first ──► [ 4.0 | ABSENT | 17.0 ]        steps before `first` and behind the end are absent
//! ```
//!
//! Invariants: `ABSENT` is the staleness marker, bit for bit. Markers never get into a column as values, because selectors
//! leave stale samples out, so nothing else can look absent; operators test before they compute.
//! Cost: 8 bytes a step between a series' first and last sample.

use model::{Labels, STALE_NAN, is_stale};

/// No value at this step.
pub(crate) const ABSENT: f64 = STALE_NAN;

/// The instants an expression is evaluated at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start: i64,
    /// At least 1.
    pub(crate) step: i64,
    pub(crate) len: usize,
}

impl Grid {
    /// From `start` to `end`, the end included where a step hits it; empty if the end is first.
    pub(crate) fn new(start: i64, end: i64, step: i64) -> Self {
        let step = step.max(1);
        let len = if end < start { 0 } else { (end.abs_diff(start) / step.unsigned_abs()) as usize + 1 };
        Grid { start, step, len }
    }

    /// The instant of a step.
    pub(crate) fn at(&self, step: usize) -> i64 {
        self.start.saturating_add(self.step.saturating_mul(step as i64))
    }

    /// The last instant; the start of an empty grid.
    pub(crate) fn last(&self) -> i64 {
        self.at(self.len.saturating_sub(1))
    }

    /// The first instant alone.
    pub(crate) fn first_alone(&self) -> Grid {
        Grid { len: self.len.min(1), ..*self }
    }
}

/// Values over a grid.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    first: usize,
    values: Vec<f64>,
}

impl Column {
    /// The same value at every step.
    pub(crate) fn constant(value: f64, len: usize) -> Self {
        Column { first: 0, values: vec![value; len] }
    }

    /// Adds a value at a step behind the last one.
    pub(crate) fn push(&mut self, step: usize, value: f64) {
        if self.values.is_empty() {
            self.first = step;
        }
        let at = step - self.first;
        while self.values.len() < at {
            self.values.push(ABSENT);
        }
        self.values.push(value);
    }

    /// The value at a step, or `ABSENT`.
    #[inline]
    pub(crate) fn get(&self, step: usize) -> f64 {
        // a step before `first` wraps to an index behind the end
        self.values.get(step.wrapping_sub(self.first)).copied().unwrap_or(ABSENT)
    }

    /// The value at a step, if there is one.
    #[inline]
    pub(crate) fn present(&self, step: usize) -> Option<f64> {
        let value = self.get(step);
        (!is_stale(value)).then_some(value)
    }

    /// The steps that may hold values.
    pub(crate) fn steps(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.values.len()
    }

    /// Steps with values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.values.iter().enumerate().filter(|(_, v)| !is_stale(**v)).map(|(at, v)| (self.first + at, *v))
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> usize {
        self.values.iter().filter(|v| !is_stale(**v)).count()
    }

    /// True when there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(|v| is_stale(*v))
    }

    /// Changes every value.
    pub(crate) fn map(&mut self, change: impl Fn(f64) -> f64) {
        for value in &mut self.values {
            if !is_stale(*value) {
                *value = change(*value);
            }
        }
    }

    /// Both columns' values; `None` when both have one at the same step.
    pub(crate) fn merged(&self, other: &Column) -> Option<Column> {
        let start = self.first.min(other.first);
        let end = self.steps().end.max(other.steps().end);
        let mut merged = Column::default();
        for step in start..end {
            match (self.present(step), other.present(step)) {
                (Some(_), Some(_)) => return None,
                (Some(value), None) | (None, Some(value)) => merged.push(step, value),
                (None, None) => {}
            }
        }
        Some(merged)
    }
}

/// Some steps of a grid: those at which any of several columns has a value. A byte a step between the first and the last.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepSet {
    first: usize,
    steps: Vec<bool>,
}

impl StepSet {
    /// No step yet; only steps of the columns may be inserted.
    pub(crate) fn within<'a>(columns: impl Iterator<Item = &'a Column>) -> Self {
        let span = span(columns);
        StepSet { first: span.start, steps: vec![false; span.len()] }
    }

    /// The steps at which a column has a value.
    pub(crate) fn of<'a>(columns: impl Iterator<Item = &'a Column> + Clone) -> Self {
        let mut set = StepSet::within(columns.clone());
        columns.flat_map(Column::iter).for_each(|(step, _)| {
            set.insert(step);
        });
        set
    }

    /// False when it was there.
    pub(crate) fn insert(&mut self, step: usize) -> bool {
        !std::mem::replace(&mut self.steps[step - self.first], true)
    }

    pub(crate) fn contains(&self, step: usize) -> bool {
        self.steps.get(step.wrapping_sub(self.first)).copied().unwrap_or(false)
    }

    pub(crate) fn count(&self) -> usize {
        self.steps.iter().filter(|step| **step).count()
    }
}

/// From the first step of several columns to their last.
pub(crate) fn span<'a>(columns: impl Iterator<Item = &'a Column>) -> std::ops::Range<usize> {
    let spans = columns.map(Column::steps).filter(|steps| !steps.is_empty());
    spans.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or_default()
}

/// A series of an instant vector over a grid.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// The name is to go at the end of the query (delayed name removal).
    pub(crate) drop_name: bool,
    pub(crate) column: Column,
}

/// A scalar over a grid.
#[derive(Clone, Debug)]
pub(crate) enum Scalar {
    Constant(f64),
    Steps(Vec<f64>),
}

impl Scalar {
    pub(crate) fn at(&self, step: usize) -> f64 {
        match self {
            Scalar::Constant(value) => *value,
            Scalar::Steps(values) => values[step],
        }
    }

    /// Both operands, step by step.
    pub(crate) fn zip(&self, other: &Scalar, len: usize, f: impl Fn(f64, f64) -> f64) -> Scalar {
        match (self, other) {
            (Scalar::Constant(a), Scalar::Constant(b)) => Scalar::Constant(f(*a, *b)),
            _ => Scalar::Steps((0..len).map(|step| f(self.at(step), other.at(step))).collect()),
        }
    }

    /// Smallest and largest value over `len` steps, and whether one is NaN.
    pub(crate) fn extent(&self, len: usize) -> (f64, f64, bool) {
        let (mut low, mut high, mut nan) = (f64::INFINITY, f64::NEG_INFINITY, false);
        for step in 0..len {
            let value = self.at(step);
            nan |= value.is_nan();
            low = low.min(value);
            high = high.max(value);
            if matches!(self, Scalar::Constant(_)) {
                break;
            }
        }
        (low, high, nan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_end_at_or_before_the_end_asked_for() {
        assert_eq!(Grid::new(0, 100, 30), Grid { start: 0, step: 30, len: 4 });
        assert_eq!(Grid::new(0, 0, 1).len, 1);
        assert_eq!(Grid::new(10, 0, 1).len, 0);
        assert_eq!(Grid::new(i64::MIN, i64::MAX, i64::MAX).len, 3);
    }

    #[test]
    fn columns_have_gaps() {
        let mut column = Column::default();
        column.push(3, 1.0);
        column.push(5, 2.0);
        assert_eq!((column.steps(), column.count()), (3..6, 2));
        assert_eq!([2, 3, 4, 5, 6].map(|step| column.present(step)), [None, Some(1.0), None, Some(2.0), None]);
        let mut other = Column::default();
        other.push(1, 9.0);
        let merged = column.merged(&other).expect("no step twice");
        assert_eq!(merged.iter().collect::<Vec<_>>(), [(1, 9.0), (3, 1.0), (5, 2.0)]);
        assert!(column.merged(&column).is_none());
    }
}
