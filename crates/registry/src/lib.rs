//! The service registry: Consul's catalog, health and agent API, one server.
//!
//! ```text
//! HTTP ─► api ─► Registry ─► Store: State (catalog, agent) + log + waiters
//!                    └─────► Runner: the checks, a task each
//! ```
//!
//! Reading order: [`catalog`] → [`state`] → [`store`] → [`check`] → [`filter`] → `api`.
//! What this crate must not know: who mounts its routes, who listens, what is scraped.
//! Not yet: key-value store, sessions, transactions, ACLs, prepared queries, events, coordinates, DNS, clusters. Their paths
//! answer 501 and say so.

pub mod agent;
mod api;
pub mod catalog;
pub mod check;
pub mod command;
pub mod config;
pub mod decode;
pub mod filter;
mod registration;
mod registry;
pub mod state;
pub mod store;
mod watch;

pub use config::{CONSUL_VERSION, Config, ConfigError, Limits};
pub(crate) use registration::check_meta;
pub use registry::{OpenError, Registry};
