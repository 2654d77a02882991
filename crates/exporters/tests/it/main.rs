//! The node exporter against the original's fixtures and against the original itself.

#![expect(clippy::disallowed_methods, reason = "tests read fixtures and talk to the original")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod fixtures;
mod live;
mod page;
mod serve;
mod textfile;
