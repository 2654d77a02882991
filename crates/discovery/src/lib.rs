//! Who exists: providers that find targets and say so in groups, and the manager that runs the providers of every job.
//!
//! ```text
//! config ─► manager ─┬─ static ─┐
//!                    ├─ file ───┼─► groups of one job, newest full set ─► runtime::target_channel ─► scrape
//!                    └─ consul ─┘
//! ```
//!
//! Reading order: [`config`] → [`manager`] → [`file`] → [`consul`].
//! What this crate must not know: scraping, relabelling, samples.

pub mod config;
pub mod consul;
pub mod file;
pub mod manager;

pub use config::{ConfigError, ConsulConfig, FileConfig, ProviderConfig, StaticConfig};
pub use manager::{Manager, Settings};
