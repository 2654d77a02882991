//! `isobar exporter node`: the node exporter by itself.

use crate::role::{Ending, flag_ending};
use crate::world::{self, LogChoice, VERSION, World};
use anyhow::{Context, Result};
use axum::Router;
use exporters::node::{self, NodeExporter};
use net::server::{HostPolicy, Listener, Server, ServerConfig};

/// Runs the exporter the next word names.
pub(crate) fn run(arguments: &[String]) -> Result<(), Ending> {
    match arguments.first().map(String::as_str) {
        Some("node") => {}
        Some("--help" | "-h") | None => {
            return Err(Ending::Usage("usage: isobar exporter node [<flags>]\n\nExporters: node".to_owned()));
        }
        Some(other) => {
            return Err(Ending::Usage(format!("isobar exporter: error: unknown exporter {other:?}; known: node")));
        }
    }
    let config =
        node::Config::parse_flags(&arguments[1..]).map_err(|e| flag_ending(e, "exporter node", node::help_text))?;
    let log = LogChoice::parse(&config.web.log_format, &config.web.log_level).map_err(Ending::Usage)?;
    world::run(log, |world| async move {
        let listeners = bind(&config, "--web.listen-address").await?;
        let serving = world.clone();
        let routes = routes(&world, config);
        world.shutdown.spawn("exporter", async move { serve(&serving, routes, listeners).await });
        world.until_told(async || tracing::info!("nothing to reload: the exporter has no configuration file")).await
    })?;
    Ok(())
}

/// Binds every address of the exporter; `flag` is named when one is taken.
pub(crate) async fn bind(config: &node::Config, flag: &'static str) -> Result<Vec<(Listener, ServerConfig)>> {
    let mut listeners = Vec::new();
    for address in &config.web.listen_addresses {
        let settings = ServerConfig {
            listen_flag: flag,
            metrics_prefix: "isobar_exporter",
            hosts: HostPolicy::new(std::iter::empty::<&str>()),
            ..ServerConfig::new("exporter", address)
        };
        listeners.push((Listener::bind(&settings).await?, settings));
    }
    Ok(listeners)
}

/// The exporter's routes; logs what a start says.
pub(crate) fn routes(world: &World, config: node::Config) -> Router {
    let own = Some(world.registry.clone());
    let exporter = NodeExporter::new(config, world.disk.clone(), world.clock.clone(), own, VERSION);
    exporter.log_start();
    node::api::routes(exporter, &world.registry)
}

/// Serves on bound listeners until the stop.
pub(crate) async fn serve(world: &World, routes: Router, listeners: Vec<(Listener, ServerConfig)>) -> Result<()> {
    let mut running = Vec::new();
    for (listener, settings) in listeners {
        tracing::info!(address = %listener.local_addr(), move_with = settings.listen_flag, "node exporter is listening");
        let server = Server::new(listener, settings, routes.clone(), &world.clock, &world.registry);
        let shutdown = world.shutdown.clone();
        running.push(world.shutdown.spawn("exporter", async move { server.run(&shutdown).await }));
    }
    for task in running {
        task.await.context("the exporter's listener failed")?;
    }
    Ok(())
}

/// The configuration of the exporter inside `isobar up`: defaults, another address.
///
/// # Errors
/// When the address cannot be a flag's value.
pub(crate) fn embedded(listen: &str) -> Result<node::Config> {
    node::Config::parse_flags([format!("--web.listen-address={listen}"), "--log.level=warn".to_owned()])
        .context("cannot configure the node exporter")
}
