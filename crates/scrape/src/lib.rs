//! Scraping: visit targets on time, take their bodies in, say how it went.
//!
//! ```text
//! runtime::target_channel ─► pool ─► scrape_loop ─► intake ─► storage::Append
//!                            (sync)   (visit)       (lines)
//! ```
//!
//! Reading order: [`config`] → [`target`] → [`pool`] → [`scrape_loop`] → [`intake`] → [`line_cache`] → [`api`].
//! What this crate must not know: how targets are found, how samples are kept.

pub mod api;
pub mod config;
mod instruments;
mod intake;
mod line_cache;
mod media_type;
pub mod metadata;
pub mod pool;
mod report;
mod sample_labels;
pub mod scrape_loop;
pub mod target;

pub use config::{GlobalDefaults, JobConfig, ScrapeBlock};
pub use pool::{Pools, Settings};
