//! Visits targets on time and appends what they say.
//!
//! ```text
//! target channel ─► pool (job) ─► loop (target) ─► net ─► wire ─► line cache ─► storage::Append
//!                                      └─ status, metadata ─► api
//! ```
//!
//! Reading order: [`config`] → [`target`] → [`manager`] → [`pool`] → `scrape_loop` → `recorder` → `line_cache` → [`api`].
//! What this crate must not know: how targets are found, where samples are kept, any query language.

pub mod api;
mod buffers;
pub mod config;
mod instruments;
mod line_cache;
pub mod manager;
pub mod metadata;
pub mod pool;
mod recorder;
mod report;
mod sample_labels;
mod scrape_loop;
pub mod settings;
pub mod target;

pub use config::{GlobalBlock, GlobalScrape, ScrapeBlock, ScrapeConfig};
pub use manager::Manager;
pub use settings::{Eager, Settings};
