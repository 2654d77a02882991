//! Exporters: each a module that looks at one thing and shows it as metrics.
//!
//! - [`node`]: this machine (kernel, hardware), the metrics of node_exporter.
//!
//! What this crate must not know: scraping, storage, discovery. An exporter answers over HTTP like any other target.

pub mod node;
