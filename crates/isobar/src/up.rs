//! `isobar up`: registry, node exporter, server and page in one process, without a configuration.
//!
//! ```text
//! bind 9090, 8500, 9100 ─► registry ─► exporter ─► server (its jobs found through consul_sd_configs over HTTP)
//!                                         └─ PUT /v1/agent/service/register: node-exporter, isobar
//! ```
//!
//! All ports are bound before anything is opened: who already runs Prometheus, Consul or node_exporter is told which flag moves
//! which of ours, all at once. A part that ends is named, shown on the page and started again with back-off; a panic ends the
//! process (release profile: abort) and names the part. `--print-config` prints the server's configuration, which promtool
//! accepts. Start-up behaviour that no key of the file says (settled 24): new targets are visited at once, built-in ones every
//! second for the first minute, the catalogue is followed at once.

use crate::joins::{self, Joins, Parts};
use crate::role::{Ending, flag_ending, print, said_once};
use crate::server::{Options, Source};
use crate::world::{self, LogChoice, World};
use crate::{exporter, registry_role, server};
use anyhow::{Context, Result, anyhow, bail};
use net::client::{Client, HeaderName, HeaderValue, Method, Pool, Request, Url};
use net::server::{Listener, ServerConfig};
use runtime::flags::{self, Flag, Given};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

const USAGE: &str = "\
isobar up [<flags>]

Runs registry, node exporter, server and page in one process; needs no configuration.
What is registered with the tag `metrics` is scraped; the page shows the rest and how to add it.";

const FLAGS: &[Flag] = &[
    Flag::value("data-dir", "./isobar-data", "Where everything is kept."),
    Flag::value("config", "", "A prometheus.yml whose jobs are added to the built-in one. SIGHUP reads it again."),
    Flag::switch("print-config", false, "Print the server's built-in configuration and end."),
    Flag::value("web.listen-address", "127.0.0.1:9090", "Address of page, query API and telemetry."),
    Flag::value("registry.listen-address", "127.0.0.1:8500", "Address of the service registry (Consul's API)."),
    Flag::value("exporter.listen-address", "127.0.0.1:9100", "Address of the node exporter."),
    Flag::value(
        "web.external-url",
        "",
        "The URL under which the page is reachable from outside; its path prefixes all endpoints.",
    ),
    Flag::list(
        "web.allowed-hosts",
        "",
        "A Host header to accept besides IP addresses, localhost and this machine's name. Can be repeated.",
    ),
    Flag::value("storage.tsdb.retention.time", "15d", "How long to retain samples."),
    Flag::value("storage.tsdb.retention.size", "", "Maximum number of bytes of blocks."),
    Flag::value(
        "log.level",
        "info",
        "Only log messages with the given severity or above. One of: [debug, info, warn, error]",
    ),
    Flag::value("log.format", "logfmt", "Output format of log messages. One of: [logfmt, json]"),
];

/// Between the first attempts to start a part again, doubled up to [`RESTART_MAX`].
const RESTART_FIRST: Duration = Duration::from_millis(500);
const RESTART_MAX: Duration = Duration::from_secs(30);

/// Runs the role.
pub(crate) fn run(arguments: &[String]) -> Result<(), Ending> {
    let help = || flags::help(USAGE, FLAGS);
    let given = flags::parse(FLAGS, arguments).map_err(|e| flag_ending(e, "up", help))?;
    let usage = |error: String| Ending::Usage(format!("isobar up: error: {error}"));
    let log = LogChoice::parse(given.value("log.format"), given.value("log.level")).map_err(usage)?;
    let built = built_config(&reachable(given.value("registry.listen-address")));
    if given.switch("print-config") {
        print(&built);
        return Ok(());
    }
    let options = options(&given, built).map_err(usage)?;
    world::run(log, |world| async move { start(&world, &given, options).await })?;
    Ok(())
}

/// The configuration of the built-in job: everything registered that says it has metrics (settled 24).
fn built_config(registry: &str) -> String {
    format!(
        r#"# The built-in configuration of `isobar up`: scrape what is registered and says that it has metrics.
global:
  scrape_interval: 15s
scrape_configs:
  - job_name: registry
    consul_sd_configs:
      - server: '{registry}'
        refresh_interval: 1s
    relabel_configs:
      # the tag `metrics`, or one of the metas metrics_path, metrics_port, metrics_scheme
      - source_labels:
          - __meta_consul_tags
          - __meta_consul_service_metadata_metrics_path
          - __meta_consul_service_metadata_metrics_port
          - __meta_consul_service_metadata_metrics_scheme
        regex: '.*,metrics,.*|[^;]*;.*[^;].*'
        action: keep
      - source_labels: [__meta_consul_service_metadata_metrics_path]
        regex: '(.+)'
        target_label: __metrics_path__
      - source_labels: [__meta_consul_service_metadata_metrics_scheme]
        regex: '(.+)'
        target_label: __scheme__
      - source_labels: [__address__, __meta_consul_service_metadata_metrics_port]
        regex: '(.+):\d+;(\d+)'
        replacement: '$1:$2'
        target_label: __address__
      - source_labels: [__meta_consul_service]
        target_label: job
"#
    )
}

/// How this machine reaches a listener: an unspecified host is loopback.
fn reachable(listen: &str) -> String {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, ""));
    let host = match host {
        "" | "0.0.0.0" | "[::]" => "127.0.0.1",
        host => host,
    };
    format!("{host}:{port}")
}

fn options(given: &Given, built: String) -> Result<Options, String> {
    let data = PathBuf::from(given.value("data-dir"));
    let mut arguments = vec![
        format!("--web.listen-address={}", given.value("web.listen-address")),
        format!("--storage.tsdb.path={}", data.join("metrics").display()),
        format!("--storage.tsdb.retention.time={}", given.value("storage.tsdb.retention.time")),
        format!("--storage.tsdb.retention.size={}", given.value("storage.tsdb.retention.size")),
        format!("--web.external-url={}", given.value("web.external-url")),
        "--scrape.discovery-reload-interval=0s".to_owned(),
    ];
    arguments.extend(given.list("web.allowed-hosts").iter().map(|host| format!("--web.allowed-hosts={host}")));
    let table = server::flags::flags();
    let server_flags = flags::parse(&table, arguments).map_err(|e| e.to_string())?;
    let mut options = Options::from_flags(&server_flags)?;
    let user = Some(given.value("config")).filter(|path| !path.is_empty()).map(PathBuf::from);
    options.source = Source::Built(built, user);
    options.eager = true;
    Ok(options)
}

type Bound = (Listener, ServerConfig);

/// Every port, or one error that names all that are taken.
async fn bind(given: &Given) -> Result<(Bound, Vec<Bound>)> {
    let hosts = given.list("web.allowed-hosts");
    let registry =
        registry_role::bind(given.value("registry.listen-address"), &hosts, "--registry.listen-address").await;
    let node = exporter::embedded(given.value("exporter.listen-address"))?;
    let exporter = exporter::bind(&node, "--exporter.listen-address").await;
    // the server binds its own below; ask now, so that one message names all
    let probe = ServerConfig {
        listen_flag: "--web.listen-address",
        ..ServerConfig::new("server", given.value("web.listen-address"))
    };
    let server = Listener::bind(&probe).await.map(drop).map_err(anyhow::Error::from);
    let errors: Vec<String> = [registry.as_ref().err(), exporter.as_ref().err(), server.as_ref().err()]
        .into_iter()
        .flatten()
        .map(said_once)
        .collect();
    match (registry, exporter) {
        (Ok(registry), Ok(exporter)) if errors.is_empty() => Ok((registry, exporter)),
        _ => bail!("{}", errors.join("; ")),
    }
}

async fn start(world: &World, given: &Given, mut options: Options) -> Result<()> {
    // before any port is bound and anything is written: a mistake in the user's file is the only line
    server::check(world, &options)?;
    let (registry_bound, exporter_bound) = bind(given).await?;
    let data = PathBuf::from(given.value("data-dir"));
    world.disk.create_dir_all(&data).with_context(|| format!("cannot make data directory {}", data.display()))?;
    let parts = Parts::default();
    let registry_address = reachable(&registry_bound.0.local_addr().to_string());
    let exporter_address = exporter_bound[0].0.local_addr();
    let own_ports: BTreeSet<u16> =
        [registry_bound.0.local_addr().port(), exporter_address.port()].into_iter().collect();

    let registry_world = world.with_own_instruments();
    let registry = registry_role::open(&registry_world, registry_config(&data)).await?;
    supervise_registry(&registry_world, &registry, registry_bound, given, &parts);
    supervise_exporter(&world.with_own_instruments(), exporter_bound, given, &parts)?;

    let joins = Arc::new(Joins {
        clock: world.clock.clone(),
        disk: world.disk.clone(),
        started: world.clock.now(),
        registry: Some(registry.clone()),
        registry_address: registry_address.clone(),
        instance: Some(reachable(&exporter_address.to_string())),
        own_ports: own_ports.into_iter().chain([port_of(given.value("web.listen-address"))]).collect(),
        parts: parts.clone(),
        server: OnceLock::new(),
        ports: Mutex::new(None),
    });
    options.fast_start =
        vec![format!("127.0.0.1:{}", exporter_address.port()), format!("127.0.0.1:{}", port_of(&options.listen[0]))];
    let extra = joins::routes(joins.clone()).merge(registry.routes());
    let running = server::start(world, options, extra).await?;
    joins.server_runs(&running);
    register_own(world, &registry_address, exporter_address.port(), running.address.port()).await?;
    tracing::info!(
        data = %data.display(),
        "Isobar is up: open http://{}/",
        reachable(&running.address.to_string())
    );
    world.until_told(async || running.reload_logged().await).await?;
    running.close().await;
    Ok(())
}

fn port_of(address: &str) -> u16 {
    address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0)
}

fn registry_config(data: &Path) -> registry::Config {
    registry::Config {
        node_name: runtime::limit::hostname(),
        data_dir: data.join("registry"),
        ..registry::Config::default()
    }
}

/// Registers what this process itself offers, by ordinary requests to its own registry.
async fn register_own(world: &World, registry: &str, exporter_port: u16, server_port: u16) -> Result<()> {
    let pool = Pool::new(Client::new(world.clock.clone()));
    let services = [
        ("node-exporter", exporter_port, json!({ "TCP": format!("127.0.0.1:{exporter_port}"), "Interval": "10s" })),
        (
            "isobar",
            server_port,
            json!({ "HTTP": format!("http://127.0.0.1:{server_port}/-/ready"), "Interval": "10s" }),
        ),
    ];
    for (name, port, check) in services {
        let body = json!({ "ID": name, "Name": name, "Address": "127.0.0.1", "Port": port, "Tags": ["metrics"], "Check": check });
        let url =
            Url::parse(&format!("http://{registry}/v1/agent/service/register")).context("cannot name the registry")?;
        let mut request = Request::get(url);
        request.method = Method::PUT;
        request.body = body.to_string().into_bytes().into();
        request.headers.insert(HeaderName::from_static("content-type"), HeaderValue::from_static("application/json"));
        let answer = pool
            .fetch(&request, Duration::from_secs(10), 1 << 20)
            .await
            .map_err(|e| anyhow!("cannot register {name}: {e}"))?;
        if !answer.status.is_success() {
            bail!("cannot register {name}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
    }
    Ok(())
}

fn supervise_registry(world: &World, registry: &registry::Registry, bound: Bound, given: &Given, parts: &Parts) {
    let (world, registry) = (world.clone(), registry.clone());
    let (address, hosts) = (given.value("registry.listen-address").to_owned(), given.list("web.allowed-hosts"));
    let mut watch = Supervisor::new(&world, "registry", parts);
    world.shutdown.clone().spawn("registry", async move {
        let mut bound = Ok(bound);
        loop {
            let outcome = match bound {
                Ok(bound) => {
                    watch.running(bound.0.local_addr());
                    registry_role::serve(&world, &registry, bound).await
                }
                Err(error) => Err(error),
            };
            if !watch.start_again(outcome).await {
                return;
            }
            bound = registry_role::bind(&address, &hosts, "--registry.listen-address").await;
        }
    });
}

fn supervise_exporter(world: &World, bound: Vec<Bound>, given: &Given, parts: &Parts) -> Result<()> {
    let world = world.clone();
    let config = exporter::embedded(given.value("exporter.listen-address"))?;
    let mut watch = Supervisor::new(&world, "exporter", parts);
    world.shutdown.clone().spawn("exporter", async move {
        let mut bound = Ok(bound);
        let routes = exporter::routes(&world, config.clone());
        loop {
            let outcome = match bound {
                Ok(bound) => {
                    watch.running(bound[0].0.local_addr());
                    exporter::serve(&world, routes.clone(), bound).await
                }
                Err(error) => Err(error),
            };
            if !watch.start_again(outcome).await {
                return;
            }
            bound = exporter::bind(&config, "--exporter.listen-address").await;
        }
    });
    Ok(())
}

/// Watches one part: says when it ended, and how long to wait before it is started again.
struct Supervisor {
    world: World,
    name: &'static str,
    parts: Parts,
    wait: Duration,
    began: runtime::clock::Instant,
}

impl Supervisor {
    fn new(world: &World, name: &'static str, parts: &Parts) -> Self {
        let began = world.clock.instant();
        Supervisor { world: world.clone(), name, parts: parts.clone(), wait: RESTART_FIRST, began }
    }

    /// The part runs, and listens here.
    fn running(&mut self, address: std::net::SocketAddr) {
        self.began = self.world.clock.instant();
        self.parts.set(self.name, |part| {
            (part.state, part.error, part.address) = ("running", None, Some(address.to_string()));
        });
    }

    /// The part ended. Waits; false when the process is stopping.
    async fn start_again(&mut self, outcome: Result<()>) -> bool {
        if self.world.shutdown.is_stopped() {
            return false;
        }
        let error = outcome.err().map_or_else(|| "it ended without an error".to_owned(), |error| format!("{error:#}"));
        // a part that ran for a while begins with the short wait again
        if self.world.clock.elapsed(self.began) > RESTART_MAX {
            self.wait = RESTART_FIRST;
        }
        let again_in_ms = u64::try_from(self.wait.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(part = self.name, err = error, again_in_ms, "a part ended and is started again");
        self.parts.set(self.name, |part| {
            (part.state, part.error) = ("restarting", Some(error));
            part.restarts += 1;
        });
        let waited = self.world.shutdown.until_stopped(self.world.clock.sleep(self.wait)).await.is_some();
        self.wait = (self.wait * 2).min(RESTART_MAX);
        waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::disk::RealDisk;

    #[test]
    fn the_built_in_configuration_loads_without_a_warning() {
        let text = built_config("127.0.0.1:8500");
        let loaded = server::config::load_text(&RealDisk, Path::new("built-in"), &text).expect("it loads");
        assert_eq!(loaded.warnings, Vec::<String>::new());
        assert_eq!(loaded.jobs.len(), 1);
    }

    #[test]
    fn an_unspecified_host_is_reached_by_loopback() {
        for (listen, expected) in
            [("0.0.0.0:1", "127.0.0.1:1"), (":2", "127.0.0.1:2"), ("[::]:3", "127.0.0.1:3"), ("[::1]:4", "[::1]:4")]
        {
            assert_eq!(reachable(listen), expected);
        }
    }
}
