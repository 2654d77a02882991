//! Status, rules, alerts and lifecycle endpoints of the server: what the binary itself knows.
//!
//! Bodies are those of Prometheus 3.14. `buildinfo` says the version whose answers ours are and has no `features` map, by
//! which Grafana tells Prometheus from Mimir (settled 29); our own version stands beside.

use crate::world::{PROMETHEUS_VERSION, VERSION};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use model::go_text::quote;
use model::{Timestamp, rfc3339};
use net::form::Params;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use storage::Select;
use tokio::sync::mpsc;
use tsdb::db::Db;
use tsdb::head::Health;

/// What a reload left behind.
#[derive(Clone, Debug)]
pub(crate) struct ConfigState {
    /// The configuration as loaded last, secrets left out.
    pub(crate) text: String,
    /// Whether the last reload succeeded.
    pub(crate) good: bool,
    /// When the configuration in force was loaded.
    pub(crate) loaded_at: Timestamp,
}

/// What the endpoints need.
pub(crate) struct Status {
    pub(crate) db: Arc<Db>,
    pub(crate) flags: BTreeMap<String, String>,
    pub(crate) started: Timestamp,
    pub(crate) clock: runtime::clock::Clock,
    pub(crate) config: Arc<Mutex<ConfigState>>,
    pub(crate) retention: String,
    pub(crate) lifecycle: bool,
    /// Asks the server to reload; the answer comes back through the sender in it.
    pub(crate) reload: mpsc::Sender<tokio::sync::oneshot::Sender<Result<(), String>>>,
    pub(crate) shutdown: runtime::shutdown::Shutdown,
}

type Shared = State<Arc<Status>>;

/// The routes.
pub(crate) fn routes(status: Arc<Status>) -> Router {
    Router::new()
        .route("/api/v1/status/buildinfo", get(build_info))
        .route("/api/v1/status/runtimeinfo", get(runtime_info))
        .route("/api/v1/status/config", get(config))
        .route("/api/v1/status/flags", get(flags))
        .route("/api/v1/status/tsdb", get(tsdb_status))
        .route("/api/v1/status/walreplay", get(async || success(json!({ "min": 0, "max": 0, "current": 0 }))))
        .route("/api/v1/rules", get(rules))
        .route("/api/v1/alerts", get(async || success(json!({ "alerts": [] }))))
        .route(
            "/api/v1/alertmanagers",
            get(async || success(json!({ "activeAlertmanagers": [], "droppedAlertmanagers": [] }))),
        )
        .route("/-/healthy", get(async || "Prometheus Server is Healthy.\n"))
        .route("/-/ready", get(ready))
        .route("/-/reload", put(reload).post(reload).get(only_post))
        .route("/-/quit", put(quit).post(quit).get(only_post))
        .with_state(status)
}

fn success(data: Value) -> Response {
    Json(json!({ "status": "success", "data": data })).into_response()
}

async fn build_info() -> Response {
    success(json!({
        "version": PROMETHEUS_VERSION,
        "revision": format!("isobar-{VERSION}"),
        "branch": "HEAD",
        "buildUser": "isobar",
        "buildDate": "",
        "goVersion": "",
        "isobarVersion": VERSION,
    }))
}

async fn runtime_info(State(status): Shared) -> Response {
    let config = status.config.lock().unwrap_or_else(|e| e.into_inner()).clone();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    success(json!({
        "startTime": rfc3339::format(status.started),
        "CWD": std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
        "hostname": runtime::limit::hostname(),
        "serverTime": rfc3339::format(status.clock.now()),
        "reloadConfigSuccess": config.good,
        "lastConfigTime": rfc3339::format(config.loaded_at),
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": cores,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": status.retention,
    }))
}

async fn config(State(status): Shared) -> Response {
    success(json!({ "yaml": status.config.lock().unwrap_or_else(|e| e.into_inner()).text }))
}

async fn flags(State(status): Shared) -> Response {
    success(json!(status.flags))
}

/// There are no rules yet, but what is asked wrongly is refused as the original does.
async fn rules(params: Params) -> Response {
    const TRUTHS: [&str; 13] = ["", "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];
    let (kind, exclude) = (params.get("type"), params.get("exclude_alerts"));
    if !matches!(kind.to_ascii_lowercase().as_str(), "" | "alert" | "record") {
        let kind = quote(&kind.to_ascii_lowercase());
        return bad_data(&format!("invalid parameter \"type\": not supported value {kind}"));
    }
    if !TRUTHS.contains(&exclude) {
        return bad_data(&format!(
            "invalid parameter \"exclude_alerts\": error converting exclude_alerts: strconv.ParseBool: parsing {}: invalid syntax",
            quote(exclude)
        ));
    }
    success(json!({ "groups": [] }))
}

fn bad_data(error: &str) -> Response {
    let body = json!({ "status": "error", "errorType": "bad_data", "error": error });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

async fn tsdb_status(State(status): Shared, params: Params) -> Response {
    let limit = match params.get("limit") {
        "" => 10,
        text => match text.parse::<usize>() {
            Ok(limit) if (1..=10_000).contains(&limit) => limit,
            Ok(limit) if limit > 10_000 => return bad_data("limit must not exceed 10000"),
            _ => return bad_data("limit must be a positive number"),
        },
    };
    let head = status.db.head();
    let cardinality = head.cardinality(limit);
    let list = |list: &[(String, u64)]| {
        list.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect::<Vec<_>>()
    };
    // the original says these when nothing is in the head
    let (empty_min, empty_max) = (i64::MAX, i64::MIN);
    success(json!({
        "headStats": {
            "numSeries": head.series_count(),
            "numLabelPairs": cardinality.label_pairs,
            "chunkCount": head.chunk_count(),
            "minTime": head.min_time().map_or(empty_min, Timestamp::millis),
            "maxTime": head.max_time().map_or(empty_max, Timestamp::millis),
        },
        "seriesCountByMetricName": list(&cardinality.series_by_metric),
        "labelValueCountByLabelName": list(&cardinality.values_by_label),
        "memoryInBytesByLabelName": list(&cardinality.bytes_by_label),
        "seriesCountByLabelValuePair": list(&cardinality.series_by_pair),
    }))
}

async fn ready(State(status): Shared) -> Response {
    match status.db.health() {
        Health::Good => (StatusCode::OK, "Prometheus Server is Ready.\n").into_response(),
        Health::Full(reason) | Health::Refusing(reason) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("no samples are taken: {reason}\n")).into_response()
        }
    }
}

const LIFECYCLE_OFF: &str = "Lifecycle API is not enabled.";

async fn only_post() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed").into_response()
}

async fn reload(State(status): Shared) -> Response {
    if !status.lifecycle {
        return (StatusCode::FORBIDDEN, LIFECYCLE_OFF).into_response();
    }
    let (answer, outcome) = tokio::sync::oneshot::channel();
    if status.reload.send(answer).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n").into_response();
    }
    match outcome.await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(error)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {error}\n")).into_response()
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n").into_response(),
    }
}

async fn quit(State(status): Shared) -> Response {
    if !status.lifecycle {
        return (StatusCode::FORBIDDEN, LIFECYCLE_OFF).into_response();
    }
    status.shutdown.stop();
    "Requesting termination... Goodbye!".into_response()
}

/// Keeps the trait in scope for `Db`'s reading side.
pub(crate) fn reader(db: &Arc<Db>) -> Arc<dyn Select> {
    db.clone()
}
