//! `isobar registry`: the service catalog by itself, with Consul's flags.

use crate::role::{Ending, flag_ending};
use crate::world::{self, LogChoice, World};
use anyhow::{Result, anyhow};
use net::server::{HostPolicy, Listener, Server, ServerConfig};
use registry::{Config, Registry};
use runtime::flags::{self, Flag, Given};

const USAGE: &str = "\
isobar registry [<flags>]

The service catalog and its health checks, over Consul's HTTP API, on one server.
Flags are Consul's; one dash or two.";

const FLAGS: &[Flag] = &[
    Flag::value("node", "", "Name of this node; must be unique. Default: the host name."),
    Flag::value("datacenter", "dc1", "Datacenter of the agent."),
    Flag::value("data-dir", "consul-data", "Where the catalog is kept."),
    Flag::value("bind", "127.0.0.1", "Address of this node, and of services registered without one."),
    Flag::value("client", "127.0.0.1", "Address HTTP listens on."),
    Flag::value("http-port", "8500", "Port HTTP listens on."),
    Flag::list("node-meta", "", "Metadata of this node, key:value. Can be repeated."),
    Flag::list(
        "web.allowed-hosts",
        "",
        "A Host header to accept besides IP addresses, localhost and this machine's name. Can be repeated. (isobar)",
    ),
    Flag::value("log-level", "info", "Log level: debug, info, warn, error."),
    Flag::switch("log-json", false, "Log in JSON."),
];

/// Runs the role.
pub(crate) fn run(arguments: &[String]) -> Result<(), Ending> {
    // Consul's own flags begin with one dash: both forms are taken
    let doubled = arguments.iter().map(|argument| match argument.strip_prefix('-') {
        Some(rest) if !rest.starts_with('-') && rest.len() > 1 => format!("--{rest}"),
        _ => argument.clone(),
    });
    let help = || flags::help(USAGE, FLAGS);
    let given = flags::parse(FLAGS, doubled).map_err(|e| flag_ending(e, "registry", help))?;
    let usage = |error: String| Ending::Usage(format!("isobar registry: error: {error}"));
    let form = if given.switch("log-json") { "json" } else { "logfmt" };
    let log = LogChoice::parse(form, given.value("log-level"))
        .map_err(|error| usage(error.replace("--log.level", "-log-level")))?;
    let config = config(&given).map_err(usage)?;
    let hosts = given.list("web.allowed-hosts");
    world::run(log, |world| async move {
        let address = listen_address(&config);
        let bound = bind(&address, &hosts, "-http-port").await?;
        let registry = open(&world, config).await?;
        let serving = world.clone();
        world.shutdown.spawn("registry", async move { serve(&serving, &registry, bound).await });
        world.until_told(async || tracing::info!("nothing to reload: the registry has no configuration file")).await
    })?;
    Ok(())
}

fn config(given: &Given) -> Result<Config, String> {
    let mut config = Config {
        node_name: match given.value("node") {
            "" => runtime::limit::hostname(),
            name => name.to_owned(),
        },
        datacenter: given.value("datacenter").to_owned(),
        data_dir: given.value("data-dir").into(),
        advertise: given
            .value("bind")
            .parse()
            .map_err(|_| format!("-bind {:?} is no IP address", given.value("bind")))?,
        client: given
            .value("client")
            .parse()
            .map_err(|_| format!("-client {:?} is no IP address", given.value("client")))?,
        http_port: given
            .value("http-port")
            .parse()
            .map_err(|_| format!("-http-port {:?} is no port", given.value("http-port")))?,
        ..Config::default()
    };
    for pair in given.list("node-meta") {
        let (key, value) = pair.split_once(':').ok_or_else(|| format!("-node-meta {pair:?}: key:value expected"))?;
        config.node_meta.insert(key.to_owned(), value.to_owned());
    }
    match config.validate().first() {
        Some(problem) => Err(problem.to_string()),
        None => Ok(config),
    }
}

/// Where a configuration's HTTP listens.
pub(crate) fn listen_address(config: &Config) -> String {
    match config.client {
        std::net::IpAddr::V6(address) => format!("[{address}]:{}", config.http_port),
        std::net::IpAddr::V4(address) => format!("{address}:{}", config.http_port),
    }
}

/// Binds the registry's listener; `flag` is named when it is taken.
pub(crate) async fn bind(address: &str, hosts: &[String], flag: &'static str) -> Result<(Listener, ServerConfig)> {
    let settings = ServerConfig {
        listen_flag: flag,
        metrics_prefix: "isobar_registry",
        // a blocking query may stand for ten minutes and its jitter
        max_connections: 8192,
        read_timeout: std::time::Duration::from_secs(660),
        hosts: HostPolicy::new(hosts),
        ..ServerConfig::new("registry", address)
    };
    Ok((Listener::bind(&settings).await?, settings))
}

/// Opens the catalog; its checks run from here to the stop.
pub(crate) async fn open(world: &World, config: Config) -> Result<Registry> {
    let registry = Registry::open(config, world.disk.clone(), world.clock.clone(), &world.registry)
        .await
        .map_err(|e| anyhow!("cannot start the registry: {e}"))?;
    let checks = registry.clone();
    let shutdown = world.shutdown.clone();
    world.shutdown.spawn("registry", async move { checks.run(&shutdown).await });
    Ok(registry)
}

/// Serves an open catalog until the stop.
pub(crate) async fn serve(world: &World, registry: &Registry, bound: (Listener, ServerConfig)) -> Result<()> {
    let (listener, settings) = bound;
    tracing::info!(address = %listener.local_addr(), move_with = settings.listen_flag, "registry is listening");
    Server::new(listener, settings, registry.routes(), &world.clock, &world.registry).run(&world.shutdown).await;
    Ok(())
}
