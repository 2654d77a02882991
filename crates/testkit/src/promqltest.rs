//! The PromQL test language: scripts that load series, evaluate queries and say what must come out.
//!
//! ```text
//! load 10s
//!   metric{job="1"} 0+1x1000
//! eval instant at 10s metric @ 100
//!   metric{job="1"} 10
//! ```
//!
//! Each instant evaluation is run as written, then, when the expression allows it, with `@ t` on every selector at other
//! instants, and each of these also as a range query around its instant. `script` reads the language, `run` runs it against a
//! store, `expectation` compares. Upstream's scripts assume delayed name removal, start timestamps, all experimental parts of the
//! language, 10 000 samples at most: [`run::test_engine`].
//!
//! **Native histograms** are not evaluated yet. A series with a native histogram among its values (and every series that
//! `load_with_nhcb` derives) is left out of the load and counted. An evaluation *touches* one when a selector in it, or the info
//! metrics that `info` looks for, matches the labels of such a series loaded since the last `clear`, whatever the
//! times, or when a histogram is expected of it. Those are counted apart and not run.

pub mod expectation;
pub mod run;
pub mod script;

pub use run::{Outcome, Report, run, test_engine};
