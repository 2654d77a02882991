//! Fuzz targets: every reader of bytes from outside, with what must hold whatever the bytes are.
//!
//! ```text
//! make test   ── tests/replay.rs ──► seeds, corpus/<target>/*, and some thousand mutations of both
//! make fuzz   ── src/main.rs     ──► the same functions under libFuzzer, for as long as wanted; finds join the corpus
//! ```
//!
//! A target never panics, never takes memory that the input does not justify, and ends. Most also compare: what is
//! printed reads back equal, what is encoded decodes equal, two ways to the same answer agree.
//! Checksums are put right before a reader sees the bytes ([`seal`]): else nothing behind them would ever be reached.

pub mod mutate;
pub mod seal;
pub mod target;

pub use target::{TARGETS, Target};
