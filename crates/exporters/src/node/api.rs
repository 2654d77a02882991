//! The exporter over HTTP: the metrics under `--web.telemetry-path`, a page that points there under `/`.
//!
//! `?collect[]=a&collect[]=b` asks for some collectors, `?exclude[]=a` for all but some; not both. The answer is text format
//! 0.0.4, whatever the client asks for, as the original's.

use super::collector::KNOWN;
use super::exporter::{NodeExporter, Selection};
use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::any;
use net::form::Params;
use parking_lot::Mutex;
use runtime::instrument::{CounterVec, Gauge, Registry};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the original says for the same page.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// An answer's buffer is kept for the next one unless it is larger than this.
const BUFFER_KEPT_MAX: usize = 1 << 20;

struct Served {
    exporter: NodeExporter,
    /// Scrapes being answered.
    running: AtomicUsize,
    /// How large the last answer was: the size to begin the next with.
    last_len: AtomicUsize,
    requests: CounterVec,
    in_flight: Gauge,
    landing: Mutex<Option<Html<String>>>,
}

/// The exporter's routes. The registry gets the counters of this handler.
pub fn routes(exporter: NodeExporter, registry: &Registry) -> Router {
    let path = exporter.config().web.telemetry_path.clone();
    let requests = registry.counter_vec(
        "promhttp_metric_handler_requests_total",
        "Total number of scrapes by HTTP status code.",
        &["code"],
    );
    let in_flight =
        registry.gauge("promhttp_metric_handler_requests_in_flight", "Current number of scrapes being served.");
    for code in ["200", "500", "503"] {
        requests.with(&[code]);
    }
    let served = Arc::new(Served {
        exporter,
        running: AtomicUsize::new(0),
        last_len: AtomicUsize::new(32 << 10),
        requests,
        in_flight,
        landing: Mutex::new(None),
    });
    let metrics = {
        let served = served.clone();
        any(move |uri: Uri| metrics(served, uri))
    };
    let router = Router::new().route(&path, metrics);
    if path == "/" { router } else { router.route("/", any(move || async move { landing(&served) })) }
}

async fn metrics(served: Arc<Served>, uri: Uri) -> Response {
    let selection = match select(&served.exporter, uri.query().unwrap_or("")) {
        Ok(selection) => selection,
        Err(refusal) => return (StatusCode::BAD_REQUEST, refusal).into_response(),
    };
    let max = served.exporter.config().web.max_requests;
    let running = served.running.fetch_add(1, Ordering::Relaxed);
    if max > 0 && running >= max {
        served.running.fetch_sub(1, Ordering::Relaxed);
        served.requests.with(&["503"]).inc();
        let text = format!("Limit of concurrent requests reached ({max}), try again later.\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    served.in_flight.inc();
    let work = served.clone();
    // a mount that hangs may block this thread for the mount timeout
    let gathered = tokio::task::spawn_blocking(move || {
        let mut out = Vec::with_capacity(work.last_len.load(Ordering::Relaxed));
        work.exporter.gather_selected(&selection, &mut out);
        work.last_len.store((out.len() + out.len() / 8).min(BUFFER_KEPT_MAX), Ordering::Relaxed);
        out
    })
    .await;
    served.in_flight.add(-1.0);
    served.running.fetch_sub(1, Ordering::Relaxed);
    match gathered {
        Ok(out) => {
            served.requests.with(&["200"]).inc();
            ([(header::CONTENT_TYPE, CONTENT_TYPE)], Bytes::from(out)).into_response()
        }
        // only while the process ends
        Err(error) => {
            served.requests.with(&["500"]).inc();
            (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
        }
    }
}

/// What the query asks for; refusals in the original's words.
fn select(exporter: &NodeExporter, query: &str) -> Result<Selection, String> {
    let params = Params::parse(query.as_bytes());
    let all = |name: &str| params.all(name).map(str::to_owned).collect::<Vec<_>>();
    let (only, except) = (all("collect[]"), all("exclude[]"));
    if !only.is_empty() && !except.is_empty() {
        return Err("Combined collect and exclude queries are not allowed.".to_owned());
    }
    if !except.is_empty() {
        return Ok(Selection::Except(except));
    }
    for name in &only {
        let known = KNOWN.iter().find(|known| known.name == name);
        let what = match known {
            None => "missing",
            Some(known) if exporter.config().missing.contains(&known.name) => continue,
            Some(known) if !exporter.config().collectors.contains(&known.name) => "disabled",
            Some(_) => continue,
        };
        return Err(format!(
            "Couldn't create filtered metrics handler: couldn't create collector: {what} collector: {name}"
        ));
    }
    Ok(if only.is_empty() { Selection::All } else { Selection::Only(only) })
}

fn landing(served: &Served) -> Html<String> {
    let make = || {
        let path = &served.exporter.config().web.telemetry_path;
        let path = path.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        Html(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Node Exporter</title></head>\n<body>\n\
             <h1>Node Exporter</h1>\n<p>Isobar {}: this machine as metrics.</p>\n\
             <p><a href=\"{path}\">Metrics</a></p>\n</body>\n</html>\n",
            served.exporter.version()
        ))
    };
    served.landing.lock().get_or_insert_with(make).clone()
}
