//! PromQL: the language and a plain, synchronous evaluator over any [`storage::Select`].
//!
//! ```text
//! text ─syntax─► tree ─plan─► nodes (times resolved, constants folded) ─eval─► columns ─answer─► typed values
//!                                       select ◄── storage::Select ──► chunk
//! ```
//!
//! Reading order: [`syntax`] → [`engine`] (options, limits, the two questions) → [`answer`] → [`annotation`] → `plan` →
//! `eval` (one file per family of operators).
//! What this crate must not know: how samples are stored, HTTP, JSON, the current time, threads.

pub mod annotation;
pub mod answer;
pub mod engine;
mod eval;
mod plan;
pub mod syntax;

pub use answer::{Answer, MatrixSeries, Stats, Value, VectorSample};
pub use engine::{Engine, EngineOptions, Features, QueryError};
pub use syntax::{Expr, ParseError, Switches};
