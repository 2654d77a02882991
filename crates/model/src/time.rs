//! Time as the product sees it: milliseconds since the epoch, lengths in milliseconds, half-open ranges.

use std::fmt;
use std::ops::{Add, Sub};

/// Milliseconds since the Unix epoch; may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A length of time in milliseconds; may be negative (a PromQL offset).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

/// The half-open range `start <= t < end`. Empty when `end <= start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant no longer inside.
    pub end: Timestamp,
}

impl Timestamp {
    /// The earliest instant that can be written.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest instant that can be written.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// Milliseconds since the epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, as PromQL's `timestamp()` shows them.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl TimeRange {
    /// `start <= t < end`.
    pub fn new(start: Timestamp, end: Timestamp) -> Self {
        TimeRange { start, end }
    }

    /// `first <= t <= last`, as the HTTP APIs of the originals say it.
    pub fn closed(first: Timestamp, last: Timestamp) -> Self {
        TimeRange { start: first, end: Timestamp(last.0.saturating_add(1)) }
    }

    /// Every instant but `i64::MAX`.
    pub const ALL: TimeRange = TimeRange { start: Timestamp::MIN, end: Timestamp::MAX };

    /// True when `at` lies inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// True when some instant lies in both.
    pub fn overlaps(&self, other: &TimeRange) -> bool {
        self.start < other.end && other.start < self.end && !self.is_empty() && !other.is_empty()
    }

    /// True when no instant lies inside.
    pub fn is_empty(&self) -> bool {
        self.end <= self.start
    }

    /// The last instant inside, for formats that say it inclusively.
    pub fn last(&self) -> Timestamp {
        Timestamp(self.end.0.saturating_sub(1))
    }
}

impl Add<Millis> for Timestamp {
    type Output = Timestamp;
    fn add(self, length: Millis) -> Timestamp {
        Timestamp(self.0.saturating_add(length.0))
    }
}

impl Sub<Millis> for Timestamp {
    type Output = Timestamp;
    fn sub(self, length: Millis) -> Timestamp {
        Timestamp(self.0.saturating_sub(length.0))
    }
}

impl Sub for Timestamp {
    type Output = Millis;
    fn sub(self, other: Timestamp) -> Millis {
        Millis(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
