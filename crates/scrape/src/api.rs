//! `/api/v1/targets`, `/api/v1/scrape_pools`, `/api/v1/targets/metadata`: the pools as Prometheus shows them.
//!
//! Bodies are those of Prometheus 3.14: `{"status":"success","data":…}`, times in RFC 3339 with nanoseconds.
//! Limits: one answer holds every target; it is written from copies, no lock is held while it is sent.

use crate::pool::{Pools, Shown};
use crate::scrape_loop::Health;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use model::rfc3339;
use model::{Labels, Matcher, Timestamp};
use net::form::Params;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the routes need.
#[derive(Clone)]
pub struct Api {
    pools: Arc<Pools>,
    external_url: Arc<str>,
    matchers: MatcherParser,
}

/// Reads a series selector into matchers; PromQL is somebody else's business.
pub type MatcherParser = Arc<dyn Fn(&str) -> Result<Vec<Matcher>, String> + Send + Sync>;

/// The routes. `external_url` is how the world reaches this server: loopback targets are shown under its host.
pub fn routes(pools: Arc<Pools>, external_url: &str, matchers: MatcherParser) -> Router {
    let api = Api { pools, external_url: Arc::from(external_url), matchers };
    Router::new()
        .route("/api/v1/targets", get(targets))
        .route("/api/v1/targets/metadata", get(targets_metadata))
        .route("/api/v1/scrape_pools", get(scrape_pools))
        .with_state(api)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Active {
    discovered_labels: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
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

fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

async fn targets(State(api): State<Api>, params: Params) -> Response {
    let state = params.get("state").to_ascii_lowercase();
    let pool = Some(params.get("scrapePool")).filter(|pool| !pool.is_empty());
    let (active, dropped) = match state.as_str() {
        "active" => (true, false),
        "dropped" => (false, true),
        _ => (true, true),
    };
    let mut data = json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": Value::Null });
    if active {
        let shown = api.pools.active(pool).into_iter().map(|one| active_target(one, &api.external_url));
        data["activeTargets"] = json!(shown.collect::<Vec<_>>());
    }
    let by_pool = api.pools.dropped(pool);
    if dropped {
        let each = by_pool.iter().flat_map(|(pool, own)| {
            own.dropped.iter().map(move |labels| json!({ "discoveredLabels": map(labels), "scrapePool": pool }))
        });
        data["droppedTargets"] = json!(each.collect::<Vec<_>>());
        data["droppedTargetCounts"] =
            json!(by_pool.iter().map(|(pool, own)| (pool.clone(), own.count)).collect::<BTreeMap<_, _>>());
    }
    success(data)
}

fn active_target(one: Shown, external_url: &str) -> Active {
    let Shown { pool, target, state } = one;
    Active {
        discovered_labels: map(&target.discovered),
        labels: map(&target.labels),
        scrape_pool: pool,
        scrape_url: target.url.to_string(),
        global_url: global_url(&target.url, external_url),
        last_error: state.last_error,
        last_scrape: state.last_scrape.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), shown_time),
        last_scrape_duration: state.last_duration.as_secs_f64(),
        health: match state.health {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        },
        scrape_interval: crate::config::shown(target.interval),
        scrape_timeout: crate::config::shown(target.timeout),
    }
}

fn shown_time(at: Timestamp) -> String {
    rfc3339::format(at)
}

/// A loopback address means nothing to the reader of the page: show it under the host the page was reached by.
fn global_url(url: &net::client::Url, external_url: &str) -> String {
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let external = net::client::Url::parse(external_url).ok();
    let mut shown = url.clone();
    if let (true, Some(host)) = (loopback, external.as_ref().and_then(|external| external.host_str())) {
        let _ = shown.set_host(Some(host));
    }
    shown.to_string()
}

async fn scrape_pools(State(api): State<Api>) -> Response {
    success(json!({ "scrapePools": api.pools.names() }))
}

async fn targets_metadata(State(api): State<Api>, params: Params) -> Response {
    let limit = match params.get("limit") {
        "" => usize::MAX,
        text => match text.parse::<i64>() {
            Ok(limit) if limit < 0 => usize::MAX,
            Ok(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
            Err(_) => return bad_data("limit must be a number"),
        },
    };
    let matchers = match params.get("match_target") {
        "" => Vec::new(),
        selector => match (api.matchers)(selector) {
            Ok(matchers) => matchers,
            Err(error) => return bad_data(&error),
        },
    };
    let metric = params.get("metric");
    let mut found = Vec::new();
    for one in api.pools.active(None) {
        if !matchers.iter().all(|matcher| matcher.matches_labels(&one.target.labels)) {
            continue;
        }
        for (name, said) in one.state.families.iter().filter(|(name, _)| metric.is_empty() || *name == metric) {
            if found.len() >= limit {
                break;
            }
            let mut entry = json!({ "target": map(&one.target.labels), "type": said.kind.as_str(), "help": said.help, "unit": said.unit });
            if metric.is_empty() {
                entry["metric"] = json!(name);
            }
            found.push(entry);
        }
    }
    success(json!(found))
}

fn success(data: Value) -> Response {
    Json(json!({ "status": "success", "data": data })).into_response()
}

fn bad_data(error: &str) -> Response {
    let body = json!({ "status": "error", "errorType": "bad_data", "error": error });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}
