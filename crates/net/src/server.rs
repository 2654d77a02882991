//! The HTTP server: one listener, its connections, and what every answer passes through.
//!
//! ```text
//! accept ─► connection table ─► hyper (HTTP/1.1) ─► gate: host, origin, prefix ─► routes ─► finish: headers, gzip, metrics
//!            │ at max_connections the one idle longest is closed (half-sent headers are idle)
//!            │ once a second: headers later than 10 s, idle longer than read_timeout, stalled writes → closed
//! ```
//!
//! Reading order: [`config`] → [`Listener`] → `connections` → `service` → `gate`, `cors`, `compress`.
//! Limits: every field of [`ServerConfig`]; request heads of [`HEAD_MAX`] bytes; [`ServerConfig::body_max`] on every body
//! (routes narrow it), [`ServerConfig::bodies_max`] on all together. Costs: an idle connection holds about 10 kB (hyper's read buffer and our entry).

mod accept;
mod compress;
pub mod config;
mod connections;
mod cors;
mod gate;
mod listener;
mod service;
mod traffic;

pub use config::{CorsOrigin, HostPolicy, ServerConfig};
pub use listener::{BindError, Listener};
pub(crate) use service::RequestBodyError;
pub use service::{HEAD_MAX, Peer};

use crate::server::connections::Connections;
use crate::server::service::App;
use axum::Router;
use runtime::clock::Clock;
use runtime::instrument::Registry;
use runtime::shutdown::Shutdown;
use std::sync::Arc;

/// A server ready to run.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    connections: Arc<Connections>,
    app: Arc<App>,
}

impl Server {
    /// Joins a listener with its routes.
    pub fn new(listener: Listener, config: ServerConfig, routes: Router, clock: &Clock, registry: &Registry) -> Self {
        let address = listener.local_addr();
        let connections = Arc::new(Connections::new(&config, clock.clone(), registry, &address.to_string()));
        let app = Arc::new(App::new(config, address, routes, clock.clone(), registry));
        Server { listener, connections, app }
    }

    /// Serves until the stop: then no new connection, idle ones close, requests in progress have
    /// [`ServerConfig::stop_limit`] to end.
    pub async fn run(self, shutdown: &Shutdown) {
        accept::run(self.listener, self.connections, self.app, shutdown).await;
    }
}
