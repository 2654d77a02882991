//! Bytes to values and back, for every format the product speaks. No IO, no clock, no async: slices in, values out.
//!
//! Reading order: [`exposition`] (what a scrape target answers, and what our own exporters write).
//! Everything that reads takes arbitrary bytes: it answers a value or an error with the place, never panics, and
//! allocates no more than a small multiple of what it was given.

pub mod exposition;
