//! `isobar server`: Prometheus' place. Discovery feeds scraping, scraping fills the store, the query API reads it.
//!
//! ```text
//! flags + prometheus.yml ─► discovery::Manager ─► scrape::Pools ─► tsdb::Db ◄─ query::Api ◄─ HTTP
//!          ▲ SIGHUP, /-/reload: read whole, then taken over whole; else the old one stays
//! ```
//!
//! Start order: flags, port, configuration, store, scraping, HTTP. The port comes first, so that a second start ends before it
//! touches the data; the store before scraping, so that nothing is scraped that cannot be kept.

pub(crate) mod config;
pub(crate) mod flags;
pub(crate) mod status;

use crate::joins::{self, Joins};
use crate::role::{Ending, flag_ending};
use crate::world::{self, LogChoice, PROMETHEUS_VERSION, World};
use crate::{metrics, page};
use anyhow::{Context, Result, anyhow, bail};
use axum::Router;
use config::Loaded;
use model::duration::{format_duration, parse_bytes, parse_duration};
use model::{Metadata, Millis, Timestamp};
use net::server::{CorsOrigin, HostPolicy, Listener, Server, ServerConfig};
use promql::{Engine, EngineOptions, Features, Switches};
use query::{ActiveLog, Api, MetadataSource, QueryConfig, READ_POSTS};
use runtime::disk::Disk;
use runtime::flags::Given;
use runtime::instrument::Gauge;
use scrape::Pools;
use status::{ConfigState, Status};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tsdb::db::{Db, DbOptions};

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file of the user.
    File(PathBuf),
    /// A text of our own (`isobar up`), and the user's file whose jobs are added to it.
    Built(String, Option<PathBuf>),
}

/// A server's flags, typed.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) source: Source,
    pub(crate) listen: Vec<String>,
    pub(crate) listen_flag: &'static str,
    pub(crate) data_dir: PathBuf,
    pub(crate) db: DbOptions,
    pub(crate) retention_given: (Option<Millis>, u64),
    pub(crate) query: QueryConfig,
    pub(crate) engine: EngineOptions,
    pub(crate) external_url: String,
    pub(crate) route_prefix: String,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) cors: CorsOrigin,
    pub(crate) max_connections: usize,
    pub(crate) read_timeout: Duration,
    pub(crate) lifecycle: bool,
    pub(crate) tolerance: Duration,
    pub(crate) publish_interval: Duration,
    /// Start-up behaviour of `isobar up` (settled 24).
    pub(crate) eager: bool,
    /// Addresses visited every second for the first minute.
    pub(crate) fast_start: Vec<String>,
    /// As given, for the API.
    pub(crate) flags: BTreeMap<String, String>,
    /// Lines to say at start.
    pub(crate) warnings: Vec<String>,
}

/// Runs the role.
pub(crate) fn run(arguments: &[String]) -> Result<(), Ending> {
    let table = flags::flags();
    let given = runtime::flags::parse(&table, arguments).map_err(|e| flag_ending(e, "server", flags::help))?;
    let usage = |error: String| Ending::Usage(format!("isobar server: error: {error}"));
    let log = LogChoice::parse(given.value("log.format"), given.value("log.level")).map_err(usage)?;
    let options = Options::from_flags(&given).map_err(usage)?;
    world::run(log, |world| async move {
        let joins = Arc::new(Joins::of_server(&world));
        let server = start(&world, options, joins::routes(joins.clone())).await?;
        joins.server_runs(&server);
        world.until_told(async || server.reload_logged().await).await?;
        server.close().await;
        Ok(())
    })?;
    Ok(())
}

impl Options {
    /// Reads the flags.
    ///
    /// # Errors
    /// One line naming the flag.
    pub(crate) fn from_flags(given: &Given) -> Result<Self, String> {
        let warnings = flags::standing(given)?;
        let time = |name: &str| -> Result<Millis, String> {
            parse_duration(given.value(name)).map_err(|e| format!("--{name}: {e}"))
        };
        let count = |name: &str| -> Result<usize, String> {
            given.value(name).parse().map_err(|_| format!("--{name}: {:?} is not a whole number", given.value(name)))
        };
        let length = |name: &str| -> Result<Duration, String> { Ok(as_duration(time(name)?)) };
        let optional = |name: &str| -> Result<Option<Millis>, String> {
            if given.value(name).is_empty() { Ok(None) } else { time(name).map(Some).map(|t| t.filter(|t| t.0 > 0)) }
        };
        let retention_bytes = match given.value("storage.tsdb.retention.size") {
            "" => 0,
            text => parse_bytes(text).map_err(|e| format!("--storage.tsdb.retention.size: {e}"))?,
        };
        let retention = optional("storage.tsdb.retention.time")?;
        let min_block = time("storage.tsdb.min-block-duration")?;
        let features = flags::features(given);
        let on = |name: &str| features.iter().any(|feature| feature == name);
        let (external_url, route_prefix) = addresses(given)?;
        Ok(Options {
            source: Source::File(PathBuf::from(given.value("config.file"))),
            listen: given.list("web.listen-address"),
            listen_flag: "--web.listen-address",
            data_dir: PathBuf::from(given.value("storage.tsdb.path")),
            db: DbOptions {
                min_block,
                max_block: optional("storage.tsdb.max-block-duration")?.unwrap_or(Millis(0)),
                wal_segment_bytes: parse_bytes(given.value("storage.tsdb.wal-segment-size"))
                    .map_err(|e| format!("--storage.tsdb.wal-segment-size: {e}"))?,
                wal_compression: given.switch("storage.tsdb.wal-compression"),
                no_lockfile: given.switch("storage.tsdb.no-lockfile"),
                ..DbOptions::default()
            },
            retention_given: (retention, retention_bytes),
            query: QueryConfig {
                timeout: length("query.timeout")?,
                max_concurrency: count("query.max-concurrency")?,
                ..QueryConfig::default()
            },
            engine: EngineOptions {
                lookback: time("query.lookback-delta")?,
                max_samples: count("query.max-samples")?,
                features: Features {
                    language: Switches {
                        experimental_functions: on("promql-experimental-functions"),
                        extended_range_selectors: on("promql-extended-range-selectors"),
                        fill_modifiers: on("promql-binop-fill-modifiers"),
                    },
                    delayed_name_removal: on("promql-delayed-name-removal"),
                    ..Features::default()
                },
                ..EngineOptions::default()
            },
            external_url,
            route_prefix,
            allowed_hosts: given.list("web.allowed-hosts"),
            cors: CorsOrigin::new(given.value("web.cors.origin")).map_err(|e| format!("--web.cors.origin: {e}"))?,
            max_connections: count("web.max-connections")?.max(1),
            read_timeout: length("web.read-timeout")?,
            lifecycle: given.switch("web.enable-lifecycle"),
            tolerance: if given.switch("scrape.adjust-timestamps") {
                length("scrape.timestamp-tolerance")?
            } else {
                Duration::ZERO
            },
            publish_interval: length("scrape.discovery-reload-interval")?,
            eager: false,
            fast_start: Vec::new(),
            flags: given.all().map(|(name, value)| (name.to_owned(), value)).collect(),
            warnings,
        })
    }

    /// Retention as it holds: the file wins over the flags, 15 days where nobody says anything.
    fn retention(&self, loaded: &Loaded) -> (Option<Millis>, u64) {
        let millis = |d: Duration| Millis(i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        let bytes = loaded.retention_size.unwrap_or(self.retention_given.1);
        let time = loaded.retention_time.filter(|d| !d.is_zero()).map(millis).or(self.retention_given.0);
        if time.is_none() && bytes == 0 { (Some(Millis(15 * 24 * 3_600_000)), 0) } else { (time, bytes) }
    }
}

fn as_duration(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis.0).unwrap_or(0))
}

/// The external URL, and the route prefix (its path unless a flag says otherwise), without a slash at its end.
fn addresses(given: &Given) -> Result<(String, String), String> {
    let external = given.value("web.external-url");
    let path = match external {
        "" => String::new(),
        text => url::Url::parse(text)
            .map_err(|e| format!("--web.external-url: {text:?} is not a URL: {e}"))?
            .path()
            .trim_end_matches('/')
            .to_owned(),
    };
    let prefix = match given.value("web.route-prefix") {
        "" => path,
        prefix => prefix.trim_end_matches('/').to_owned(),
    };
    if !prefix.is_empty() && !prefix.starts_with('/') {
        return Err(format!("--web.route-prefix: {prefix:?} does not begin with a slash"));
    }
    Ok((external.to_owned(), prefix))
}

/// A running server.
pub(crate) struct Running {
    pub(crate) db: Arc<Db>,
    pub(crate) pools: Arc<Pools>,
    pub(crate) address: std::net::SocketAddr,
    /// What was said at start and at the last reload; the page shows it.
    pub(crate) warnings: Arc<Mutex<Vec<String>>>,
    reload: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
}

/// Starts a server in this world; `extra` routes are mounted beside its own.
pub(crate) async fn start(world: &World, options: Options, extra: Router) -> Result<Running> {
    let listeners = bind(&options).await?;
    let loaded = load(world.disk.as_ref(), &options.source)?;
    let db = open_store(world, &options, &loaded).await?;
    let address = listeners[0].0.local_addr();
    let settings = scrape::Settings {
        clock: world.clock.clone(),
        store: db.clone(),
        registry: world.registry.clone(),
        user_agent: format!("Prometheus/{PROMETHEUS_VERSION}"),
        tolerance: options.tolerance,
        eager: options.eager,
        fast_start: options.fast_start.clone(),
        seed: seed(&runtime::limit::hostname()),
    };
    let pools = Arc::new(Pools::new(settings, world.shutdown.clone()));
    let manager = discovery::Manager::new(
        discovery::Settings {
            clock: world.clock.clone(),
            disk: world.disk.clone(),
            registry: world.registry.clone(),
            publish_interval: options.publish_interval,
            follow_at_once: options.eager,
            user_agent: format!("Prometheus/{PROMETHEUS_VERSION}"),
        },
        world.shutdown.clone(),
    );
    let reloader = Reloader::new(world, &options, manager, pools.clone());
    let (config_state, warnings) = (reloader.state.clone(), reloader.warnings.clone());
    let (reload, requests) = mpsc::channel(4);
    let retention = shown_retention(options.retention(&loaded));
    reloader.run(loaded, requests, world);
    let status = Arc::new(Status {
        db: db.clone(),
        flags: options.flags.clone(),
        started: world.clock.now(),
        clock: world.clock.clone(),
        config: config_state,
        retention,
        lifecycle: options.lifecycle,
        reload: reload.clone(),
        shutdown: world.shutdown.clone(),
    });
    let routes = routes(world, &options, &db, &pools, status, address).merge(extra);
    for (listener, settings) in listeners {
        tracing::info!(address = %listener.local_addr(), move_with = settings.listen_flag, "Start listening for connections");
        let server = Server::new(listener, settings, routes.clone(), &world.clock, &world.registry);
        let shutdown = world.shutdown.clone();
        world.shutdown.spawn("server", async move { server.run(&shutdown).await });
    }
    tracing::info!("Server is ready to receive web requests.");
    Ok(Running { db, pools, address, warnings, reload })
}

impl Running {
    /// Asks for a reload and waits for it; the reloader logs what came of it.
    pub(crate) async fn reload_logged(&self) {
        let (answer, outcome) = oneshot::channel();
        if self.reload.send(answer).await.is_ok() {
            let _ = outcome.await;
        }
    }

    /// Closes the store once everything that appends has ended.
    pub(crate) async fn close(self) {
        let db = self.db;
        // closing syncs and joins threads: not on a thread that serves
        let _ = tokio::task::spawn_blocking(move || db.close()).await;
    }
}

async fn bind(options: &Options) -> Result<Vec<(Listener, ServerConfig)>> {
    let mut hosts = HostPolicy::new(&options.allowed_hosts);
    if let Some(host) = url::Url::parse(&options.external_url).ok().as_ref().and_then(|url| url.host_str()) {
        hosts.allow(host);
    }
    let mut listeners = Vec::new();
    for address in &options.listen {
        let settings = ServerConfig {
            listen_flag: options.listen_flag,
            max_connections: options.max_connections,
            read_timeout: options.read_timeout,
            hosts: hosts.clone(),
            cors: Some(options.cors.clone()),
            read_posts: READ_POSTS,
            route_prefix: options.route_prefix.clone(),
            ..ServerConfig::new("server", address)
        };
        listeners.push((Listener::bind(&settings).await?, settings));
    }
    Ok(listeners)
}

/// Fails as [`start`] would on the configuration, without doing anything else.
pub(crate) fn check(world: &World, options: &Options) -> Result<()> {
    load(world.disk.as_ref(), &options.source).map(drop)
}

fn load(disk: &dyn Disk, source: &Source) -> Result<Loaded> {
    match source {
        Source::File(path) if matches!(disk.exists(path), Ok(false)) => {
            let path = path.display();
            bail!("cannot read configuration {path}: no such file; --config.file names another, `isobar up` needs none")
        }
        Source::File(path) => config::load(disk, path),
        Source::Built(text, None) => config::load_text(disk, Path::new("built-in"), text),
        Source::Built(text, Some(path)) => {
            let own = config::load_text(disk, Path::new("built-in"), text)?;
            config::join(own, config::load(disk, path)?)
                .map_err(|error| anyhow!("cannot load configuration {}: {error}", path.display()))
        }
    }
}

async fn open_store(world: &World, options: &Options, loaded: &Loaded) -> Result<Arc<Db>> {
    let (retention, retention_bytes) = options.retention(loaded);
    let max_block = match options.db.max_block.0 {
        0 => DbOptions::max_block_for(options.db.min_block, retention),
        _ => options.db.max_block,
    };
    let db_options = DbOptions { retention, retention_bytes, max_block, ..options.db.clone() };
    let (disk, clock, registry) = (world.disk.clone(), world.clock.clone(), world.registry.clone());
    let dir = options.data_dir.clone();
    let shown = dir.display().to_string();
    // replay reads and decodes: not on a thread that serves
    let opened = tokio::task::spawn_blocking(move || Db::open(disk, &dir, db_options, clock, &registry)).await?;
    Ok(Arc::new(opened.with_context(|| format!("cannot open data directory {shown}"))?))
}

fn shown_retention((time, bytes): (Option<Millis>, u64)) -> String {
    let parts = [time.map(format_duration), (bytes > 0).then(|| model::duration::format_bytes(bytes))];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" or ")
}

fn seed(text: &str) -> u64 {
    // FNV-1a: the offsets of two servers differ, those of one stay over restarts
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn routes(
    world: &World,
    options: &Options,
    db: &Arc<Db>,
    pools: &Arc<Pools>,
    status: Arc<Status>,
    address: std::net::SocketAddr,
) -> Router {
    let active = match ActiveLog::open(world.disk.as_ref(), &options.data_dir, options.query.max_concurrency) {
        Ok((log, unfinished)) => {
            if !unfinished.is_empty() {
                tracing::info!(queries = unfinished.join("; "), "These queries didn't finish in prometheus' last run");
            }
            Some(log)
        }
        Err(error) => {
            tracing::warn!(err = %error, "running queries are not remembered over a crash");
            None
        }
    };
    let api = Api::new(
        status::reader(db),
        Engine::new(options.engine),
        options.query,
        world.cpu.clone(),
        Arc::new(Families(pools.clone())),
        active,
        world.clock.clone(),
        &world.registry,
    );
    let external = match options.external_url.as_str() {
        "" => format!("http://{}:{}/", runtime::limit::hostname(), address.port()),
        url => url.to_owned(),
    };
    let matchers: scrape::api::MatcherParser =
        Arc::new(|text: &str| promql::syntax::parse_selector(text).map_err(|e| e.to_string()));
    world.registry.constant(
        "prometheus_build_info",
        "A metric with a constant '1' value labeled by version, revision, branch, goversion from which prometheus was built, and the goos and goarch for the build.",
        model::Labels::from_pairs([("version", PROMETHEUS_VERSION), ("revision", "isobar"), ("branch", "HEAD"), ("goversion", "none")]),
        1.0,
    );
    Router::new()
        .merge(api.routes())
        .merge(scrape::api::routes(pools.clone(), &external, matchers))
        .merge(status::routes(status))
        .merge(metrics::routes(world.registry.clone()))
        .merge(page::routes(&options.route_prefix))
}

/// What targets say about their families, for the query API.
struct Families(Arc<Pools>);

impl MetadataSource for Families {
    fn visit(&self, metric: Option<&str>, each: &mut dyn FnMut(&str, &Metadata)) {
        for one in self.0.active(None) {
            match metric {
                Some(metric) => {
                    if let Some(said) = one.state.families.get(metric) {
                        each(metric, said);
                    }
                }
                None => one.state.families.iter().for_each(|(name, said)| each(name, said)),
            }
        }
    }
}

/// Owns what a reload changes. One task: reloads never overlap.
struct Reloader {
    disk: Arc<dyn Disk>,
    source: Source,
    start_warnings: Vec<String>,
    manager: discovery::Manager,
    pools: Arc<Pools>,
    state: Arc<Mutex<ConfigState>>,
    warnings: Arc<Mutex<Vec<String>>>,
    clock: runtime::clock::Clock,
    success: Gauge,
    success_at: Gauge,
    unserved: Gauge,
}

impl Reloader {
    fn new(world: &World, options: &Options, manager: discovery::Manager, pools: Arc<Pools>) -> Self {
        let gauge = |name: &str, help: &str| world.registry.gauge(name, help);
        Reloader {
            disk: world.disk.clone(),
            source: options.source.clone(),
            start_warnings: options.warnings.clone(),
            manager,
            pools,
            state: Arc::new(Mutex::new(ConfigState { text: String::new(), good: true, loaded_at: Timestamp(0) })),
            warnings: Arc::default(),
            clock: world.clock.clone(),
            success: gauge(
                "prometheus_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            ),
            success_at: gauge(
                "prometheus_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            ),
            unserved: gauge(
                "isobar_config_without_effect",
                "Flags and configuration keys that were given and have no effect yet; the log and the page name them.",
            ),
        }
    }

    /// Takes over the first configuration and then waits for requests.
    fn run(mut self, first: Loaded, mut requests: mpsc::Receiver<oneshot::Sender<Result<(), String>>>, world: &World) {
        self.take_over(first);
        let shutdown = world.shutdown.clone();
        world.shutdown.spawn("server", async move {
            while let Some(Some(answer)) = shutdown.until_stopped(requests.recv()).await {
                let _ = answer.send(self.reload());
            }
        });
    }

    fn reload(&mut self) -> Result<(), String> {
        match load(self.disk.as_ref(), &self.source) {
            Ok(loaded) => {
                self.take_over(loaded);
                tracing::info!("Completed loading of configuration file");
                Ok(())
            }
            Err(error) => {
                self.success.set(0.0);
                self.state.lock().unwrap_or_else(|e| e.into_inner()).good = false;
                tracing::error!(err = format!("{error:#}"), "Error reloading config: the old one stays");
                Err(format!("{error:#}"))
            }
        }
    }

    fn take_over(&mut self, loaded: Loaded) {
        let mut warnings = self.start_warnings.clone();
        warnings.extend(loaded.warnings);
        for line in &warnings {
            tracing::warn!("{line}");
        }
        self.unserved.set(warnings.len() as f64);
        *self.warnings.lock().unwrap_or_else(|e| e.into_inner()) = warnings;
        let receivers = self.manager.apply(loaded.providers);
        self.pools.apply(loaded.jobs, receivers);
        let now = self.clock.now();
        self.success.set(1.0);
        self.success_at.set(now.seconds());
        *self.state.lock().unwrap_or_else(|e| e.into_inner()) =
            ConfigState { text: loaded.shown, good: true, loaded_at: now };
    }
}
