//! The Prometheus read API over any store: `query`, `query_range`, `series`, `labels`, `label/<n>/values`, `metadata`,
//! `query_exemplars`, `format_query`, `parse_query`.
//!
//! ```text
//! request ─► params ─► admission (at most --query.max-concurrency) ─► runtime::cpu: promql over storage::Select ─► JSON
//!            │ 400                │ 503 when the deadline passes first    │ client gone, deadline: cancelled
//! ```
//!
//! Bodies and error texts are Prometheus 3.14's, byte for byte where clients may match on them.
//! Reading order: [`Api`] → `params` → `error` → `evaluate` → `lookup` → `json`, `answer`.
//! What this crate must not know: which store answers, who scrapes, sockets.
//! Limits: [`QueryConfig`]; the size of a form by `net::form`.

mod active_log;
mod admission;
mod answer;
mod api;
mod error;
mod evaluate;
mod exemplars;
mod json;
mod language;
mod lookup;
mod metadata;
mod params;
mod tree_json;

pub use active_log::ActiveLog;
pub use api::{Api, QueryConfig, READ_POSTS};
pub use metadata::MetadataSource;
