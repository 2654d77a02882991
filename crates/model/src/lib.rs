//! The vocabulary every other crate speaks: labels, time, samples, matchers, target groups. No IO, no clock, no async.
//!
//! Reading order: [`labels`] → [`time`] → [`sample`] → [`histogram`] → [`matcher`] → [`relabel`] → [`target_group`].
//! What this crate must not know: files, sockets, threads, the current time (`runtime` has those), any text format
//! of a whole document (`wire`), any encoding of samples (`chunk`).

pub mod duration;
pub mod exemplar;
pub mod go_text;
pub mod histogram;
pub mod labels;
pub mod matcher;
pub mod metadata;
pub mod regex;
pub mod relabel;
pub mod rfc3339;
pub mod sample;
pub mod target_group;
pub mod time;

pub use exemplar::Exemplar;
pub use histogram::{CounterReset, FloatHistogram, Span};
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{Metadata, MetricType};
pub use sample::{STALE_NAN, Sample, is_stale};
pub use target_group::TargetGroup;
pub use time::{Millis, TimeRange, Timestamp};
