//! One registry: opened from its data directory, run until stopped, mounted by whoever listens.

use crate::api;
use crate::catalog::{Node, Service};
use crate::check::Runner;
use crate::command::Command;
use crate::config::{CONSUL_VERSION, Config, ConfigError};
use crate::store::{Store, WriteError};
use axum::Router;
use parking_lot::Mutex;
use runtime::clock::{Clock, Instant};
use runtime::disk::{DiskError, DiskLock, SharedDisk};
use runtime::instrument;
use runtime::log::{LogError, Recovery};
use runtime::shutdown::Shutdown;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use thiserror::Error;

/// Why a registry can not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration can not work; all problems.
    #[error("registry configuration: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Config(Vec<ConfigError>),
    /// The data directory is in use, or can not be used.
    #[error("registry data directory: {0}")]
    Disk(#[from] DiskError),
    /// The log can not be read.
    #[error("registry: {0}")]
    Log(#[from] LogError),
    /// This node could not be entered into the catalog.
    #[error("registry cannot enter itself into its catalog: {0}")]
    Start(#[from] WriteError),
}

/// A registry. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Registry(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) node_id: String,
    pub(crate) store: Arc<Store>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) instruments: instrument::Registry,
    pub(crate) requests: instrument::CounterVec,
    /// When an answer was first asked for with `?cached`.
    pub(crate) cached: Mutex<HashMap<String, Instant>>,
    recovery: Recovery,
    _lock: DiskLock,
}

impl Registry {
    /// Locks the data directory, replays the log, enters this node into the catalog.
    pub async fn open(
        config: Config,
        disk: SharedDisk,
        clock: Clock,
        instruments: &instrument::Registry,
    ) -> Result<Registry, OpenError> {
        let problems = config.validate();
        if !problems.is_empty() {
            return Err(OpenError::Config(problems));
        }
        runtime::log::make_dir(&*disk, &config.data_dir)?;
        let lock = disk.lock(&config.data_dir.join("lock"))?;
        let (store, recovery) = Store::open(&config, disk, clock)?;
        tell(recovery);
        let known = store.read(|state| state.catalog.node_services(&state.node_name).1.map(|own| own.node.id.clone()));
        let node_id = known.filter(|id| !id.is_empty()).unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        store.propose(start_command(&config, &node_id)).await?;
        let runner = Runner::new(Arc::clone(&store), &config);
        let requests = instruments.counter_vec(
            "consul_http_requests_total",
            "Requests answered, by endpoint, method and status.",
            &["endpoint", "method", "code"],
        );
        let inner = Inner {
            config,
            node_id,
            store,
            runner,
            instruments: instruments.clone(),
            requests,
            cached: Mutex::new(HashMap::new()),
            recovery,
            _lock: lock,
        };
        let registry = Registry(Arc::new(inner));
        registry.instrument(instruments);
        Ok(registry)
    }

    /// What opening found in the log.
    pub fn recovery(&self) -> Recovery {
        self.0.recovery
    }

    /// Runs the checks until the process stops.
    pub async fn run(&self, shutdown: &Shutdown) {
        shutdown.until_stopped(Arc::clone(&self.0.runner).run()).await;
    }

    /// Consul's paths, `/v1/…`.
    pub fn routes(&self) -> Router {
        api::routes(self.clone())
    }

    /// The store, for those in the same process.
    pub fn store(&self) -> &Arc<Store> {
        &self.0.store
    }

    fn instrument(&self, instruments: &instrument::Registry) {
        let gauge = |name: &str, help: &str, ask: fn(&Inner) -> f64| {
            let inner = Arc::downgrade(&self.0);
            instruments.gauge_fn(name, help, move || inner.upgrade().map_or(0.0, |inner| ask(&inner)));
        };
        let counter = |name: &str, help: &str, ask: fn(&Inner) -> f64| {
            let inner = Arc::downgrade(&self.0);
            instruments.counter_fn(name, help, move || inner.upgrade().map_or(0.0, |inner| ask(&inner)));
        };
        gauge("consul_state_nodes", "Nodes in the catalog.", |i| i.store.stats().catalog.0 as f64);
        gauge("consul_state_service_instances", "Service instances in the catalog.", |i| {
            i.store.stats().catalog.1 as f64
        });
        gauge("consul_state_checks", "Checks in the catalog.", |i| i.store.stats().catalog.2 as f64);
        gauge("consul_state_services_limit", "Most service instances taken.", |i| i.config.limits.services as f64);
        gauge("consul_state_checks_limit", "Most checks taken.", |i| i.config.limits.checks as f64);
        gauge("consul_agent_services", "Services of this agent.", |i| i.store.stats().agent.0 as f64);
        gauge("consul_agent_checks", "Checks of this agent.", |i| i.store.stats().agent.1 as f64);
        gauge("consul_rpc_queries_blocking", "Queries waiting for a change.", |i| i.store.stats().blocking as f64);
        gauge("consul_rpc_queries_blocking_limit", "Most queries that may wait.", |i| {
            i.config.limits.blocking_queries as f64
        });
        counter("consul_rpc_queries_blocking_refused_total", "Queries refused because too many waited.", |i| {
            i.store.stats().blocking_refused as f64
        });
        gauge("consul_raft_last_index", "Index of the last change of the catalog.", |i| i.store.stats().index as f64);
        counter("consul_raft_apply_total", "Commands applied.", |i| i.store.stats().commands as f64);
        counter("consul_check_runs_total", "Checks run.", |i| i.runner.stats().runs as f64);
        counter(
            "consul_check_reaped_services_total",
            "Services deregistered after being critical for too long.",
            |i| i.runner.stats().reaped as f64,
        );
        gauge("consul_log_segments", "Files of the log.", |i| i.store.stats().log.segments as f64);
        gauge("consul_log_pending_bytes", "Bytes that wait for the disk.", |i| {
            i.store.stats().log.pending_bytes as f64
        });
        counter("consul_log_batches_total", "Writes to the log, each with one fdatasync.", |i| {
            i.store.stats().log.batches as f64
        });
        counter("consul_log_bytes_total", "Bytes written to the log.", |i| i.store.stats().log.bytes as f64);
        gauge("consul_log_poisoned", "1 when the log failed and every write is refused.", |i| {
            f64::from(u8::from(i.store.stats().poisoned))
        });
        counter("consul_log_snapshots_failed_total", "Snapshots that could not be written.", |i| {
            i.store.stats().snapshots_failed as f64
        });
    }
}

/// This node and the server's own service, as every catalog shows them.
/// One line for each thing that was wrong with the log.
fn tell(found: Recovery) {
    if found.damaged_records > 0 {
        let records = found.damaged_records;
        tracing::warn!(
            records,
            "records of the registry's log are damaged: what they changed is lost, all others count"
        );
    }
    if found.torn_bytes > 0 {
        let bytes = found.torn_bytes;
        tracing::warn!(
            bytes,
            "the registry's log ends in the middle of a write, or is damaged at its end: cut off there"
        );
    }
    if found.last_segment_missing {
        tracing::warn!("the registry's log was removed or emptied: what was written since its last snapshot is lost");
    }
}

fn start_command(config: &Config, node_id: &str) -> Command {
    let address = config.advertise.to_string();
    let family = if config.advertise.is_ipv4() { ["lan_ipv4", "wan_ipv4"] } else { ["lan_ipv6", "wan_ipv6"] };
    let tagged = ["lan", "wan"].iter().chain(&family).map(|tag| ((*tag).to_owned(), address.clone()));
    let mut meta = config.node_meta.clone();
    meta.insert("consul-network-segment".to_owned(), String::new());
    let node = Node {
        id: node_id.to_owned(),
        name: config.node_name.clone(),
        address: address.clone(),
        tagged_addresses: Some(tagged.collect()),
        meta: Some(meta),
        create_index: 0,
        modify_index: 0,
    };
    let server_meta = [
        ("non_voter", "false"),
        ("raft_version", "3"),
        ("serf_protocol_current", "2"),
        ("serf_protocol_max", "5"),
        ("serf_protocol_min", "1"),
        ("version", CONSUL_VERSION),
    ];
    let server_meta: BTreeMap<_, _> = server_meta.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let server = Service {
        id: "consul".to_owned(),
        name: "consul".to_owned(),
        meta: Some(server_meta),
        port: i64::from(config.server_port),
        ..Service::default()
    };
    Command::Start { node, server }
}
