//! The node exporter: this machine as metrics, in the place of Prometheus' node_exporter.
//!
//! ```text
//! command line ── Config ──► NodeExporter ── gather_text ──► one buffer ──► GET /metrics
//!                               │ 16 collectors, one after the other
//!                               └ kept descriptors of /proc and /sys, caches of names
//! ```
//!
//! Names, types, labels, help and values are those of node_exporter 1.11.1 (values: 1.12.1's fixtures); so are the flags and
//! their defaults, `collect[]` and `exclude[]`, and the texts of refusals. What the original has and we have not is in
//! [`collector::KNOWN`]: asked for by name it warns, on by default it is listed once at start.
//!
//! Differences meant to be: families come in the collectors' order, not sorted; `go_*` does not exist.
//! Limits: `--web.max-requests` scrapes at a time (further ones are answered 503 and counted in
//! `promhttp_metric_handler_requests_total`); scrapes run one after the other.
//! Cost: see [`exporter`].

pub mod api;
pub mod collector;
pub mod config;
mod cpu;
mod cpu_info;
mod diskstats;
pub mod exporter;
mod exposition;
mod filefd;
mod filesystem;
mod filter;
mod flags;
mod loadavg;
mod meminfo;
mod name_cache;
mod netclass;
mod netdev;
mod netstat;
mod own;
mod parse;
mod pressure;
mod sockstat;
mod source;
mod stat;
mod statfs;
mod text;
mod textfile;
mod throttle;
mod time;
mod udev;
mod uname;
mod vmstat;
mod zone;

pub use config::{Config, WebConfig};
pub use exporter::NodeExporter;
pub use flags::help_text;
