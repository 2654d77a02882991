//! The providers against scripted answers and changing files.

#![expect(clippy::disallowed_methods, reason = "tests listen, write files and wait")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod consul;
mod file;
mod manager;
mod mini_consul;
mod setting;
mod versus;
