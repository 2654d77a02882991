//! `/ui/overview` and `/ui/services`: what the page shows that no single part knows. Contract: `ui/API.md`.
//!
//! Services come from the registry where there is one, else from what discovery found; targets are joined to them by
//! `__meta_consul_service`, else by job. Ports are those listening on this machine that no service claims and that are not
//! ours, each with the shell line that would register it.
//! Costs: looking for listening ports takes 1–10 ms, so its answer is kept for [`PORTS_FOR`].

use crate::server::Running;
use crate::world::{VERSION, World};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use model::Timestamp;
use registry::Registry;
use runtime::clock::{Clock, Instant};
use runtime::disk::Disk;
use runtime::listening::{Listener, listening};
use scrape::Pools;
use scrape::scrape_loop::Health;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;
use tsdb::db::Db;
use tsdb::head::Health as StoreHealth;

/// How long an answer about listening ports is used again.
const PORTS_FOR: Duration = Duration::from_secs(2);
/// Ports shown at most: a machine with more has a reader who knows them.
const PORTS_MAX: usize = 200;

/// One part of this process, as the page shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Part {
    /// `server`, `registry`, `exporter`, `store`.
    pub(crate) name: &'static str,
    /// `running`, `restarting`, `failed`, `degraded`.
    pub(crate) state: &'static str,
    /// Why, when it is not running.
    pub(crate) error: Option<String>,
    /// How often it was started again.
    pub(crate) restarts: u64,
    /// Where it listens.
    pub(crate) address: Option<String>,
}

/// The parts of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts(Arc<Mutex<Vec<Part>>>);

impl Parts {
    /// Changes a part's entry, making it when it is new.
    pub(crate) fn set(&self, name: &'static str, change: impl FnOnce(&mut Part)) {
        let mut parts = lock(&self.0);
        if !parts.iter().any(|part| part.name == name) {
            parts.push(Part { name, state: "running", error: None, restarts: 0, address: None });
        }
        if let Some(part) = parts.iter_mut().find(|part| part.name == name) {
            change(part);
        }
    }

    fn list(&self) -> Vec<Part> {
        lock(&self.0).clone()
    }
}

/// A server's side of the joins, once it runs.
#[derive(Clone)]
pub(crate) struct Server {
    pools: Arc<Pools>,
    db: Arc<Db>,
    warnings: Arc<Mutex<Vec<String>>>,
}

/// What the joins read.
pub(crate) struct Joins {
    pub(crate) clock: Clock,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) started: Timestamp,
    pub(crate) registry: Option<Registry>,
    /// `host:port` of the registry, for the lines that register a service.
    pub(crate) registry_address: String,
    /// `instance` label of this machine's node exporter.
    pub(crate) instance: Option<String>,
    /// Ports of this process.
    pub(crate) own_ports: BTreeSet<u16>,
    pub(crate) parts: Parts,
    /// Set once the server runs.
    pub(crate) server: OnceLock<Server>,
    pub(crate) ports: Mutex<Option<(Instant, Vec<Listener>)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The routes.
pub(crate) fn routes(joins: Arc<Joins>) -> Router {
    Router::new().route("/ui/overview", get(overview)).route("/ui/services", get(services)).with_state(joins)
}

#[derive(Debug, Default, Serialize)]
struct Service {
    name: String,
    instances: usize,
    passing: usize,
    warning: usize,
    critical: usize,
    how: &'static str,
    scraped: bool,
    targets_up: usize,
    targets_down: usize,
    tags: BTreeSet<String>,
}

async fn services(State(joins): State<Arc<Joins>>) -> Response {
    Json(json!({ "registry": joins.registry.is_some(), "services": joins.services() })).into_response()
}

async fn overview(State(joins): State<Arc<Joins>>) -> Response {
    // reading /proc may take milliseconds: not on a thread that serves
    let own = joins.clone();
    let listeners = tokio::task::spawn_blocking(move || own.listeners()).await.unwrap_or_default();
    let services = joins.services();
    let ports = joins.ports(&listeners);
    Json(json!({
        "machine": joins.machine(),
        "server": {
            "version": VERSION,
            "started_ms": joins.started.millis(),
            "data_from_ms": joins.data_from().map(Timestamp::millis),
            "registry": joins.registry.is_some(),
            "warnings": joins.warnings(),
            "parts": joins.part_list(),
        },
        "services": services,
        "ports": ports,
    }))
    .into_response()
}

impl Joins {
    /// Those of a server by itself: without a registry, services are what its discovery found.
    pub(crate) fn of_server(world: &World) -> Self {
        Joins {
            clock: world.clock.clone(),
            disk: world.disk.clone(),
            started: world.clock.now(),
            registry: None,
            registry_address: String::new(),
            instance: None,
            own_ports: BTreeSet::new(),
            parts: Parts::default(),
            server: OnceLock::new(),
            ports: Mutex::new(None),
        }
    }

    /// The server runs: what is joined is there.
    pub(crate) fn server_runs(&self, running: &Running) {
        self.parts.set("server", |part| part.address = Some(running.address.to_string()));
        let _ = self.server.set(Server {
            pools: running.pools.clone(),
            db: running.db.clone(),
            warnings: running.warnings.clone(),
        });
    }

    fn machine(&self) -> Value {
        let memory = self.disk.read(Path::new("/proc/meminfo")).ok().and_then(|text| memory_total(&text));
        let release = self.disk.read(Path::new("/etc/os-release")).unwrap_or_default();
        json!({
            "hostname": runtime::limit::hostname(),
            "os": pretty_name(&String::from_utf8_lossy(&release)),
            "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            "memory_bytes": memory.unwrap_or(0),
            "instance": self.instance,
        })
    }

    fn warnings(&self) -> Vec<Value> {
        let Some(server) = self.server.get() else { return Vec::new() };
        lock(&server.warnings).iter().map(|text| json!({ "role": "server", "text": text })).collect()
    }

    /// The store's oldest sample; none while it is empty.
    fn data_from(&self) -> Option<Timestamp> {
        let db = &self.server.get()?.db;
        let blocks = db.block_metas().iter().map(|meta| Timestamp(meta.min_time)).min();
        blocks.or_else(|| db.head().min_time())
    }

    fn part_list(&self) -> Vec<Part> {
        let mut parts = self.parts.list();
        if let Some(server) = self.server.get() {
            let error = match server.db.health() {
                StoreHealth::Good => None,
                StoreHealth::Full(reason) | StoreHealth::Refusing(reason) => Some(reason.to_string()),
            };
            let state = if error.is_some() { "degraded" } else { "running" };
            parts.push(Part { name: "store", state, error, restarts: 0, address: None });
        }
        parts
    }

    fn services(&self) -> Vec<Service> {
        let mut found = match &self.registry {
            Some(registry) => from_registry(registry),
            None => BTreeMap::new(),
        };
        let Some(server) = self.server.get() else { return found.into_values().collect() };
        for target in server.pools.active(None) {
            let service = target.target.discovered.value("__meta_consul_service");
            let name = if service.is_empty() { target.target.labels.value("job") } else { service };
            let entry = found.entry(name.to_owned()).or_insert_with(|| Service {
                name: name.to_owned(),
                how: mechanism(&target.target.discovered),
                ..Service::default()
            });
            if entry.how != "registry" {
                entry.instances += 1;
            }
            entry.scraped = true;
            match target.state.health {
                Health::Up => entry.targets_up += 1,
                Health::Down => entry.targets_down += 1,
                Health::Unknown => {}
            }
        }
        found.into_values().collect()
    }

    fn listeners(&self) -> Vec<Listener> {
        let now = self.clock.instant();
        if let Some((at, known)) = lock(&self.ports).as_ref()
            && now.since(*at) < PORTS_FOR
        {
            return known.clone();
        }
        let found = listening(self.disk.as_ref(), Path::new("/proc")).unwrap_or_default();
        *lock(&self.ports) = Some((now, found.clone()));
        found
    }

    fn ports(&self, listeners: &[Listener]) -> Vec<Value> {
        let Some(registry) = &self.registry else { return Vec::new() };
        let claimed: BTreeSet<u16> = registry.store().read(|state| {
            let (_, names) = state.catalog.services(&BTreeMap::new());
            let instances = names.keys().flat_map(|name| state.catalog.instances(name, false).2);
            instances.filter_map(|instance| u16::try_from(instance.service.port).ok()).collect()
        });
        let mut shown = BTreeMap::new();
        for listener in listeners {
            let port = listener.address.port();
            if !self.own_ports.contains(&port) && !claimed.contains(&port) && shown.len() < PORTS_MAX {
                shown.entry(port).or_insert(listener);
            }
        }
        shown
            .values()
            .map(|listener| {
                json!({
                    "address": listener.address.ip().to_string(),
                    "port": listener.address.port(),
                    "pid": listener.pid,
                    "program": listener.program,
                    "line": line(listener, &self.registry_address),
                })
            })
            .collect()
    }
}

fn from_registry(registry: &Registry) -> BTreeMap<String, Service> {
    registry.store().read(|state| {
        let (_, names) = state.catalog.services(&BTreeMap::new());
        let mut found = BTreeMap::new();
        for (name, tags) in names {
            let (_, _, instances) = state.catalog.instances(name, true);
            let mut service = Service {
                name: name.to_owned(),
                instances: instances.len(),
                how: "registry",
                tags: tags.into_iter().map(str::to_owned).collect(),
                ..Service::default()
            };
            for instance in &instances {
                match instance.checks().map(|check| check.status.severity()).max().unwrap_or(0) {
                    0 => service.passing += 1,
                    1 => service.warning += 1,
                    _ => service.critical += 1,
                }
            }
            found.insert(name.to_owned(), service);
        }
        found
    })
}

fn mechanism(discovered: &model::Labels) -> &'static str {
    if discovered.get("__meta_filepath").is_some() {
        "file_sd_configs"
    } else if discovered.get("__meta_consul_service").is_some() {
        "consul_sd_configs"
    } else {
        "static_configs"
    }
}

/// The shell line that registers what listens there, so that it is scraped and checked. Only characters that a shell leaves
/// alone come from outside.
fn line(listener: &Listener, registry: &str) -> String {
    let port = listener.address.port();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let program: String = listener.program.as_deref().unwrap_or("").chars().map(plain).collect();
    let program = program.trim_matches('-');
    let (name, id) = match program {
        "" => (format!("port-{port}"), format!("port-{port}")),
        program => (program.to_owned(), format!("{program}-{port}")),
    };
    let host = match listener.address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip => ip.to_string(),
    };
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    format!(
        "curl -X PUT http://{registry}/v1/agent/service/register -d '{{\"ID\":\"{id}\",\"Name\":\"{name}\",\"Address\":\"{host}\",\"Port\":{port},\"Tags\":[\"metrics\"],\"Check\":{{\"TCP\":\"{target}\",\"Interval\":\"10s\"}}}}'"
    )
}

fn memory_total(meminfo: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(meminfo);
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib << 10)
}

fn pretty_name(os_release: &str) -> String {
    let line = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.unwrap_or("").trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hold_nothing_a_shell_would_read() {
        let listener = |address: &str, program: Option<&str>| Listener {
            address: address.parse().expect("an address"),
            inode: 1,
            user: 0,
            pid: Some(1),
            program: program.map(str::to_owned),
        };
        let shown = line(&listener("0.0.0.0:6379", Some("redis-server")), "127.0.0.1:8500");
        assert_eq!(
            shown,
            r#"curl -X PUT http://127.0.0.1:8500/v1/agent/service/register -d '{"ID":"redis-server-6379","Name":"redis-server","Address":"127.0.0.1","Port":6379,"Tags":["metrics"],"Check":{"TCP":"127.0.0.1:6379","Interval":"10s"}}'"#
        );
        let shown = line(&listener("[::1]:80", Some("a'b; rm \"x\" $(y)")), "127.0.0.1:8500");
        assert!(shown.contains(r#""Name":"a-b--rm--x----y""#), "{shown}");
        assert!(shown.contains(r#""TCP":"[::1]:80""#), "{shown}");
        assert!(line(&listener("127.0.0.1:9", None), "r").contains("\"Name\":\"port-9\""));
    }
}
