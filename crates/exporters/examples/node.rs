//! The node exporter by itself: `cargo run --release -p exporters --example node -- [flags]`. For measuring one part alone.

use exporters::node::{Config, NodeExporter, api};
use net::server::{Listener, Server, ServerConfig};
use runtime::clock::Clock;
use runtime::disk::RealDisk;
use runtime::instrument::{Registry, process};
use runtime::shutdown::Shutdown;
use std::sync::Arc;

#[tokio::main(worker_threads = 1)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::parse_flags(std::env::args().skip(1))?;
    let clock = Clock::system();
    let registry = Registry::new(clock.clone());
    process::register(&registry, &clock);
    let server = ServerConfig::new("exporter", &config.web.listen_addresses[0]);
    let exporter = NodeExporter::new(config, Arc::new(RealDisk), clock.clone(), Some(registry.clone()), "0.0.0");
    let listener = Listener::bind(&server).await?;
    let routes = api::routes(exporter, &registry);
    Server::new(listener, server, routes, &clock, &registry).run(&Shutdown::new()).await;
    Ok(())
}
