//! The store against data that the original wrote, and the original's tools against data of ours.
//!
//! Features: [`blocks`] reading and rewriting blocks, [`damage`] verdicts on damaged ones, [`promtool`] the original's view,
//! [`wal`] records and damages of the log, [`data_dir`] a whole directory.

mod blocks;
mod damage;
mod data_dir;
mod golden;
mod promtool;
mod wal;
