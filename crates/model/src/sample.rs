//! One float value at one instant, and the value that says "this series ended".

use crate::time::Timestamp;

/// The bits of the NaN that marks a series as stale (Prometheus' `value.StaleNaN`).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;
/// The bits of the NaN that Prometheus stores for an ordinary NaN (`value.NormalNaN`).
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;
/// The NaN that marks a series as stale. Never compare with `==`: use [`is_stale`].
pub const STALE_NAN: f64 = f64::from_bits(STALE_NAN_BITS);

/// True when `value` is the staleness marker, bit for bit.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// A float sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was taken.
    pub at: Timestamp,
    /// Its value.
    pub value: f64,
}
