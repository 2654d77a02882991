//! A scripted exporter behind a real listener, real loops, a store that keeps lists.
//!
//! Times are short (visits every 50 ms) and every expectation is waited for, so that a busy machine makes tests slow and
//! not red.

mod loops;
