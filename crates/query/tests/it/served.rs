//! The API's routes, asked without sockets.

use crate::memory_store::MemoryStore;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use model::{Labels, Metadata, MetricType};
use promql::{Engine, EngineOptions};
use query::{Api, MetadataSource, QueryConfig};
use runtime::clock::Clock;
use runtime::cpu::CpuPool;
use runtime::instrument::Registry;
use std::sync::Arc;
use tower::ServiceExt;

pub(crate) struct Served {
    pub(crate) routes: Router,
    pub(crate) registry: Registry,
}

struct Said;

impl MetadataSource for Said {
    fn visit(&self, metric: Option<&str>, each: &mut dyn FnMut(&str, &Metadata)) {
        let said = |kind, help: &str, unit: &str| Metadata { kind, help: help.to_owned(), unit: unit.to_owned() };
        let all = [
            ("up", said(MetricType::Gauge, "Is it <up>?", "")),
            ("wait_seconds_total", said(MetricType::Counter, "Waited.", "seconds")),
            ("wait_seconds_total", said(MetricType::Counter, "Waited in all.", "seconds")),
            ("odd", said(MetricType::Unknown, "", "")),
        ];
        all.iter().filter(|(name, _)| metric.is_none_or(|m| m == *name)).for_each(|(name, said)| each(name, said));
    }
}

/// Nobody who knows metadata.
pub(crate) struct Nobody;

impl MetadataSource for Nobody {
    fn visit(&self, _: Option<&str>, _: &mut dyn FnMut(&str, &Metadata)) {}
}

pub(crate) fn serve(store: MemoryStore, config: QueryConfig) -> Served {
    serve_with(store, config, Arc::new(Said))
}

pub(crate) fn serve_with(store: MemoryStore, config: QueryConfig, metadata: Arc<dyn MetadataSource>) -> Served {
    let clock = Clock::system();
    let registry = Registry::new(clock.clone());
    let cpu = Arc::new(CpuPool::start(2, 100, &registry).expect("threads start"));
    let engine = Engine::new(EngineOptions::default());
    let api = Api::new(Arc::new(store), engine, config, cpu, metadata, None, clock, &registry);
    Served { routes: api.routes(), registry }
}

/// `up` of two targets and a counter, a sample every 15 s for ten minutes from time 0.
pub(crate) fn ten_minutes() -> MemoryStore {
    let samples = |value: fn(i64) -> f64| (0..=40).map(|n| (n * 15_000, value(n))).collect::<Vec<_>>();
    let labels =
        |name: &str, instance: &str| Labels::from_pairs([("__name__", name), ("instance", instance), ("job", "j")]);
    MemoryStore::new([
        (labels("up", "a"), samples(|_| 1.0)),
        (labels("up", "b"), samples(|_| 0.0)),
        (labels("c_total", "a"), samples(|n| n as f64 * 3.0)),
        (Labels::from_pairs([("__name__", "odd.name"), ("<x>", "<&>")]), samples(|n| n as f64)),
    ])
}

impl Served {
    pub(crate) async fn send(&self, request: Request<Body>) -> (u16, String) {
        let response = self.routes.clone().oneshot(request).await.expect("routes never fail");
        let code = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("in memory");
        (code, String::from_utf8(bytes.to_vec()).expect("answers are text"))
    }

    /// A GET with parameters in the query string.
    pub(crate) async fn get(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let uri = format!("/api/v1/{path}?{}", encoded(form));
        self.send(Request::get(uri).body(Body::empty()).expect("a request")).await
    }

    /// A POST with a form, as Grafana sends it.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let request = Request::post(format!("/api/v1/{path}"))
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("x-grafana-org-id", "1")
            .body(Body::from(encoded(form)));
        self.send(request.expect("a request")).await
    }
}

pub(crate) fn encoded(form: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    pairs.join("&")
}

pub(crate) fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
