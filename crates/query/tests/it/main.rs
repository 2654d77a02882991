//! The API as clients see it, over a store in memory and, where it is there, beside the original.
#![expect(clippy::disallowed_methods, reason = "the tests start the original and read its files")]

mod answers;
mod grafana;
mod limits;
mod memory_store;
mod original;
mod served;
