//! The store against data that the original wrote, and the original's tools against data of ours.
//!
//! Features: [`blocks`] reading and rewriting blocks, [`damage`] verdicts on damaged ones, [`promtool`] the original's view.

mod blocks;
mod damage;
mod golden;
mod promtool;
