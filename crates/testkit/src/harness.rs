//! Real programs from outside: start them, talk to them, kill them, measure them.
//!
//! Used by the acceptance figures (`show`) and by integration tests of the binary. Plain threads, processes and blocking
//! sockets: the harness shares no machinery with what it measures. Reading order: [`place`] → [`process`] → [`isobar`] →
//! [`http`] → [`api`] → [`exporter`] → [`kill`] → [`machine`].

pub mod api;
pub(crate) mod dice;
pub mod exporter;
pub mod http;
pub mod isobar;
pub mod kill;
pub mod machine;
pub mod place;
pub mod process;
pub mod python;
