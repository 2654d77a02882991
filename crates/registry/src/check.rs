//! Checks that really run.
//!
//! ```text
//! Store ── begins / ends ──► Runner ── one task per check ─┬─ http, tcp, grpc   every interval, from a random first moment
//!                                                          ├─ ttl               waits to be told; critical when not
//!                                                          └─ alias             waits for the other's checks to change
//!        ◄── CheckState, when status or output changed ────┘
//! ```
//!
//! Limits: [`crate::config::Limits::running_checks`] run at a time, the others wait; output is cut at
//! `check_output_max_size`; a run ends at its timeout. Cost: a task per check, about 1 kB.

mod definition;
mod grpc;
mod outcome;
mod probe;
mod runner;

pub use definition::{DEFAULT_TIMEOUT, Definition, HttpProbe, Probe};
pub use runner::{Runner, RunnerStats};
