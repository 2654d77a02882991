//! What tests of several crates share. A dev-dependency everywhere, never part of the binary.

pub mod contract;
pub mod harness;
pub mod model_store;
pub mod promqltest;
pub mod show;
