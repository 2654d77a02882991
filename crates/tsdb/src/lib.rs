//! The local store: what is in memory, the log behind it, the blocks it becomes.
//!
//! ```text
//!            commit                      2 h                        ×3
//! Append ──► head ─────────────► block ───────────────► larger block ──► retention
//!              │  write-ahead log: every commit before it is visible
//! Select ◄── head + blocks, merged
//! ```
//!
//! Reading order: [`wal`] → [`head`] → [`block`] → [`compact`] → [`db`].
//! What this crate must not know: any query language, any wire format, where samples come from.

mod answer;
pub mod block;
mod codec;
pub mod compact;
pub mod db;
pub mod head;
mod instruments;
pub mod wal;

pub use db::{Db, DbOptions, OpenError};
pub use head::Health;
