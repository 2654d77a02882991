//! `isobar exporter node`: the node exporter by itself.

use crate::role::{Ending, flag_ending, version_line};
use crate::world::{self, LogChoice, VERSION, World};
use anyhow::{Context, Result};
use axum::Router;
use exporters::node::{self, NodeExporter};
use net::server::{HostPolicy, Listener, Server, ServerConfig};

const HELP: &str = "\
usage: isobar exporter <exporter> [<flags>]

  node    node_exporter: metrics of this machine

`isobar exporter node --help` lists its flags.
";

/// Runs the exporter the next word names.
pub(crate) fn run(arguments: &[String]) -> Result<(), Ending> {
    match arguments.first().map(String::as_str) {
        Some("node") => {}
        Some("--help" | "-h" | "help") => return Err(Ending::Text(HELP.to_owned())),
        Some("--version") => return Err(Ending::Text(version_line())),
        None => return Err(Ending::Usage(format!("isobar exporter: error: an exporter is missing\n\n{HELP}"))),
        Some(other) => {
            return Err(Ending::Usage(format!(
                "isobar exporter: error: unknown exporter {other:?}, try isobar exporter --help"
            )));
        }
    }
    let config =
        node::Config::parse_flags(&arguments[1..]).map_err(|e| flag_ending(e, "exporter node", node::help_text))?;
    let log = LogChoice::parse(&config.web.log_format, &config.web.log_level).map_err(Ending::Usage)?;
    world::run(log, |world| async move {
        let listeners = bind(&config, "--web.listen-address").await?;
        let serving = world.clone();
        let exporter = make(&world, config);
        exporter.log_start();
        let routes = node::api::routes(exporter, &world.registry);
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

fn make(world: &World, config: node::Config) -> NodeExporter {
    NodeExporter::new(config, world.disk.clone(), world.clock.clone(), Some(world.registry.clone()), VERSION)
}

/// The routes of an exporter inside another role: which collectors there are is not that role's news.
pub(crate) fn routes(world: &World, config: node::Config) -> Router {
    node::api::routes(make(world, config), &world.registry)
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
