//! The HTTP API about targets: `/api/v1/targets`, `/targets/metadata`, `/scrape_pools`, `/metadata`, as Prometheus 3.14
//! answers them. The binary mounts [`routes`] beside the query API.

use crate::manager::Manager;
use crate::target::Target;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use model::duration::format_duration;
use model::{Labels, Matcher, Metadata, Millis};
use net::client::Url;
use net::form::Params;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Reads a series selector: the query language's parser, given by the binary.
pub type ParseSelector = Arc<dyn Fn(&str) -> Result<Vec<Matcher>, String> + Send + Sync>;

/// What the handlers need.
#[derive(Clone)]
pub struct Api {
    /// The pools.
    pub manager: Manager,
    /// Reads `match_target`.
    pub parse_selector: ParseSelector,
    /// How this server is reached from elsewhere: replaces `localhost` in the addresses shown.
    pub external_url: Url,
    /// The port it listens on.
    pub port: u16,
}

/// The routes, under their full paths.
pub fn routes(api: Api) -> Router {
    Router::new()
        .route("/api/v1/targets", get(targets))
        .route("/api/v1/targets/metadata", get(target_metadata))
        .route("/api/v1/scrape_pools", get(scrape_pools))
        .route("/api/v1/metadata", get(metadata))
        .with_state(api)
}

#[derive(serde::Serialize)]
struct Answer<T> {
    status: &'static str,
    data: T,
}

#[derive(serde::Serialize)]
struct Refused<'a> {
    status: &'static str,
    #[serde(rename = "errorType")]
    error_type: &'a str,
    error: &'a str,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetList<'a> {
    active_targets: Vec<ActiveTarget>,
    dropped_targets: Vec<DroppedTarget>,
    dropped_target_counts: Option<BTreeMap<&'a str, usize>>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTarget {
    discovered_labels: LabelMap,
    labels: LabelMap,
    scrape_pool: String,
    scrape_url: String,
    global_url: String,
    last_error: String,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'static str,
    scrape_interval: String,
    scrape_timeout: String,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct DroppedTarget {
    discovered_labels: LabelMap,
    scrape_pool: String,
}

#[derive(serde::Serialize)]
struct TargetMetadata {
    target: LabelMap,
    #[serde(skip_serializing_if = "String::is_empty")]
    metric: String,
    #[serde(flatten)]
    metadata: FamilyMetadata,
}

#[derive(serde::Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct FamilyMetadata {
    #[serde(rename = "type")]
    kind: &'static str,
    help: String,
    unit: String,
}

impl From<&Metadata> for FamilyMetadata {
    fn from(metadata: &Metadata) -> Self {
        FamilyMetadata { kind: metadata.kind.as_str(), help: metadata.help.clone(), unit: metadata.unit.clone() }
    }
}

/// Labels as a JSON object.
struct LabelMap(Labels);

impl Serialize for LabelMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn success(data: impl Serialize) -> Response {
    json(StatusCode::OK, &Answer { status: "success", data })
}

fn refused(status: StatusCode, error_type: &str, error: &str) -> Response {
    json(status, &Refused { status: "error", error_type, error })
}

fn params(query: &Option<String>) -> Params {
    Params::parse(query.as_deref().unwrap_or("").as_bytes())
}

async fn targets(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let params = params(&query);
    let state = params.get("state").to_ascii_lowercase();
    let shows = |kind: &str| state.is_empty() || state == "any" || state == kind;
    let pool = params.get("scrapePool");
    let jobs = api.manager.jobs();
    let jobs: Vec<_> = jobs.iter().filter(|(name, _)| pool.is_empty() || pool == name).collect();
    let mut list = TargetList { active_targets: Vec::new(), dropped_targets: Vec::new(), dropped_target_counts: None };
    if shows("active") {
        for (name, job) in &jobs {
            list.active_targets.extend(job.active().iter().map(|target| active(name, target, &api)));
        }
    }
    if shows("dropped") {
        let mut counts = BTreeMap::new();
        for (name, job) in &jobs {
            let dropped = job.dropped();
            counts.insert(name.as_str(), dropped.count);
            list.dropped_targets.extend(
                dropped
                    .listed
                    .into_iter()
                    .map(|labels| DroppedTarget { discovered_labels: LabelMap(labels), scrape_pool: name.clone() }),
            );
        }
        list.dropped_target_counts = Some(counts);
    }
    success(list)
}

fn active(pool: &str, target: &Target, api: &Api) -> ActiveTarget {
    let status = target.status();
    let length = |length: Duration| format_duration(Millis(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)));
    ActiveTarget {
        discovered_labels: LabelMap(target.discovered()),
        labels: LabelMap(target.labels.clone()),
        scrape_pool: pool.to_owned(),
        scrape_url: target.url.to_string(),
        global_url: global_url(&target.url, &api.external_url, api.port),
        last_error: status.last_error,
        last_scrape: status.last_scrape.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), model::rfc3339::format),
        last_scrape_duration: status.last_duration.as_secs_f64(),
        health: status.health.as_str(),
        scrape_interval: length(target.interval),
        scrape_timeout: length(target.timeout),
    }
}

/// The URL of a target as others reach it: a loopback host becomes this server's own name, and its whole address where
/// the target is this server.
fn global_url(url: &Url, external: &Url, port: u16) -> String {
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let Some(target_port) = url.port().filter(|_| loopback) else { return url.to_string() };
    let mut global = url.clone();
    // setting parts of one http URL from another cannot fail
    let _ = global.set_host(external.host_str());
    if target_port == port {
        let _ = global.set_scheme(external.scheme());
        let _ = global.set_port(external.port());
    }
    global.to_string()
}

async fn scrape_pools(State(api): State<Api>) -> Response {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Pools {
        scrape_pools: Vec<String>,
    }
    success(Pools { scrape_pools: api.manager.jobs().into_iter().map(|(name, _)| name).collect() })
}

/// `limit` and its kind: -1, or not given, is none.
fn limit(params: &Params, name: &str) -> Result<usize, Box<Response>> {
    match params.get(name) {
        "" => Ok(usize::MAX),
        text => match text.parse::<i64>() {
            Ok(number) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
            Err(_) => Err(Box::new(refused(StatusCode::BAD_REQUEST, "bad_data", &format!("{name} must be a number")))),
        },
    }
}

async fn target_metadata(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let params = params(&query);
    let limit = match limit(&params, "limit") {
        Ok(limit) => limit,
        Err(response) => return *response,
    };
    let matchers = match params.get("match_target") {
        "" => Vec::new(),
        selector => match (api.parse_selector)(selector) {
            Ok(matchers) => matchers,
            Err(error) => return refused(StatusCode::BAD_REQUEST, "bad_data", &error),
        },
    };
    let metric = params.get("metric");
    let mut found = Vec::new();
    for (_, job) in api.manager.jobs() {
        for target in job.active() {
            if !matchers.iter().all(|matcher| matcher.matches_labels(&target.labels)) {
                continue;
            }
            let metadata = target.metadata();
            let entry = |name: &str, metadata: &Metadata| TargetMetadata {
                target: LabelMap(target.labels.clone()),
                metric: name.to_owned(),
                metadata: metadata.into(),
            };
            if metric.is_empty() {
                let mut all: Vec<_> = metadata.iter().collect();
                all.sort_by_key(|(name, _)| *name);
                let room = limit - found.len().min(limit);
                found.extend(all.into_iter().take(room).map(|(name, metadata)| entry(name, metadata)));
            } else if let Some(known) = metadata.get(metric).filter(|_| found.len() < limit) {
                found.push(entry("", known));
            }
        }
    }
    if found.is_empty() {
        return refused(StatusCode::NOT_FOUND, "not_found", "specified metadata not found");
    }
    success(found)
}

async fn metadata(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let params = params(&query);
    let limits = limit(&params, "limit").and_then(|all| Ok((all, limit(&params, "limit_per_metric")?)));
    let (limit, per_metric) = match limits {
        Ok(limits) => limits,
        Err(response) => return *response,
    };
    let per_metric = if per_metric == 0 { usize::MAX } else { per_metric };
    let metric = params.get("metric");
    let mut families: BTreeMap<String, BTreeSet<FamilyMetadata>> = BTreeMap::new();
    for (_, job) in api.manager.jobs() {
        for target in job.active() {
            for (name, known) in target.metadata().iter() {
                if !metric.is_empty() && metric != name {
                    continue;
                }
                let set = families.entry(name.to_owned()).or_default();
                if set.len() < per_metric {
                    set.insert(known.into());
                }
            }
        }
    }
    success(families.into_iter().take(limit).collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_becomes_the_servers_own_name() {
        let external = Url::parse("https://mon.example:8443/prom").expect("a URL");
        for (url, expected) in [
            ("http://127.0.0.1:9100/metrics", "http://mon.example:9100/metrics"),
            ("http://localhost:9090/metrics?a=b", "https://mon.example:8443/metrics?a=b"),
            ("http://[::1]:9100/m", "http://mon.example:9100/m"),
            ("http://host:9100/m", "http://host:9100/m"),
        ] {
            assert_eq!(global_url(&Url::parse(url).expect("a URL"), &external, 9090), expected);
        }
    }
}
