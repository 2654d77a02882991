//! The binary from outside: what survives a kill, what a bad input gets, what a found service becomes, what `up` brings.
//!
//! The binary is the one cargo built for this test, or the one `ISOBAR_BINARY` names.
#![expect(clippy::disallowed_methods, reason = "tests stand outside the product: their own files")]

mod durability;
mod format;
mod found;
mod histories;
mod random_expressions;
mod refusals;
mod texts;
mod up;

use std::path::PathBuf;
use testkit::harness::place;

/// The binary under test.
fn binary() -> PathBuf {
    place::binary().unwrap_or_else(|_| PathBuf::from(env!("CARGO_BIN_EXE_isobar")))
}
