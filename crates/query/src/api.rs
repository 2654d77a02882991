//! The API's state and routes.

use crate::active_log::ActiveLog;
use crate::admission::Admission;
use crate::error::{ApiError, Kind};
use crate::metadata::MetadataSource;
use crate::{evaluate, exemplars, language, lookup, metadata};
use axum::Router;
use axum::body::Body;
use axum::http::Response;
use axum::response::IntoResponse;
use axum::routing::get;
use promql::Engine;
use runtime::cancel::{Cancel, Reason};
use runtime::clock::{Clock, Instant};
use runtime::cpu::{CpuError, CpuPool, Priority};
use runtime::instrument::{Counter, Histogram, Registry, Summary};
use std::sync::Arc;
use std::time::Duration;
use storage::{Budget, QueryContext, Select};

/// Where a query stands that is out of time, in the original's words.
const WHERE: &str = "expression evaluation";

/// Paths that only read although they are asked by POST, for `net::server::ServerConfig::read_posts`.
pub const READ_POSTS: &[&str] = &[
    "/api/v1/query",
    "/api/v1/query_range",
    "/api/v1/query_exemplars",
    "/api/v1/series",
    "/api/v1/labels",
    "/api/v1/format_query",
    "/api/v1/parse_query",
];

/// Limits of the API.
#[derive(Clone, Copy, Debug)]
pub struct QueryConfig {
    /// `--query.timeout`: how long a query may take, waiting included. Default 2 m.
    pub timeout: Duration,
    /// `--query.max-concurrency`: how many queries run at once. Default 20.
    pub max_concurrency: usize,
    /// Bytes of pieces and labels that one query may hold in the store. Default 2 GiB.
    pub bytes_max: u64,
}

impl Default for QueryConfig {
    fn default() -> Self {
        QueryConfig { timeout: Duration::from_secs(120), max_concurrency: 20, bytes_max: 2 << 30 }
    }
}

/// What a handler gives back.
pub(crate) type Answered = Result<Response<Body>, ApiError>;

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        ApiError::into_response(self)
    }
}

/// The API over one store; clones share it.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    store: Arc<dyn Select>,
    engine: Engine,
    config: QueryConfig,
    cpu: Arc<CpuPool>,
    clock: Clock,
    admission: Admission,
    metadata: Arc<dyn MetadataSource>,
    active_log: Option<ActiveLog>,
    instruments: Instruments,
}

/// What queries cost, under the original's names.
pub(crate) struct Instruments {
    pub(crate) queue_time: (Summary, Histogram),
    pub(crate) inner_eval: (Summary, Histogram),
    pub(crate) samples: Counter,
    pub(crate) samples_read: Counter,
}

impl Instruments {
    fn new(registry: &Registry) -> Self {
        let summary = registry.summary_vec(
            "prometheus_engine_query_duration_seconds",
            "Query timings",
            &[0.5, 0.9, 0.99],
            &["slice"],
        );
        let histogram = registry.histogram_vec(
            "prometheus_engine_query_duration_histogram_seconds",
            "The duration of various parts of PromQL query execution.",
            &[0.01, 0.1, 1.0, 10.0],
            &["slice"],
        );
        let slice = |name: &str| (summary.with(&[name]), histogram.with(&[name]));
        Instruments {
            queue_time: slice("queue_time"),
            inner_eval: slice("inner_eval"),
            samples: registry
                .counter("prometheus_engine_query_samples_total", "The total number of samples loaded by all queries."),
            samples_read: registry.counter(
                "prometheus_engine_query_samples_read_total",
                "The total number of samples read by all queries.",
            ),
        }
    }
}

impl Api {
    /// An API that answers from `store`. Queries run on `cpu`; `metadata` knows the metrics' types and helps; `active_log`
    /// remembers what runs.
    #[expect(clippy::too_many_arguments, reason = "the parts the binary joins here, each once")]
    pub fn new(
        store: Arc<dyn Select>,
        engine: Engine,
        config: QueryConfig,
        cpu: Arc<CpuPool>,
        metadata: Arc<dyn MetadataSource>,
        active_log: Option<ActiveLog>,
        clock: Clock,
        registry: &Registry,
    ) -> Self {
        let admission = Admission::new(config.max_concurrency, clock.clone(), registry);
        let instruments = Instruments::new(registry);
        Api(Arc::new(Inner { store, engine, config, cpu, clock, admission, metadata, active_log, instruments }))
    }

    /// The routes, at the original's paths below `/api/v1`.
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/api/v1/query", get(evaluate::instant).post(evaluate::instant))
            .route("/api/v1/query_range", get(evaluate::range).post(evaluate::range))
            .route("/api/v1/query_exemplars", get(exemplars::exemplars).post(exemplars::exemplars))
            .route("/api/v1/series", get(lookup::series).post(lookup::series))
            .route("/api/v1/labels", get(lookup::label_names).post(lookup::label_names))
            .route("/api/v1/label/{name}/values", get(lookup::label_values))
            .route("/api/v1/metadata", get(metadata::metadata))
            .route("/api/v1/format_query", get(language::format_query).post(language::format_query))
            .route("/api/v1/parse_query", get(language::parse_query).post(language::parse_query))
            .with_state(self.clone())
    }

    pub(crate) fn store(&self) -> &Arc<dyn Select> {
        &self.0.store
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    pub(crate) fn metadata_source(&self) -> &dyn MetadataSource {
        self.0.metadata.as_ref()
    }

    pub(crate) fn active_log(&self) -> Option<&ActiveLog> {
        self.0.active_log.as_ref()
    }

    pub(crate) fn instruments(&self) -> &Instruments {
        &self.0.instruments
    }

    /// When a request that begins now must have ended; `wanted` may only shorten it.
    pub(crate) fn deadline(&self, wanted: Option<Duration>) -> Instant {
        self.0.clock.instant() + self.0.config.timeout.min(wanted.unwrap_or(Duration::MAX))
    }

    /// What travels with a new query.
    pub(crate) fn context(&self) -> QueryContext {
        QueryContext { cancel: Cancel::new(), budget: Arc::new(Budget::bytes(self.0.config.bytes_max)) }
    }

    /// Runs `job` on the CPU pool, but not beyond the deadline. A client that goes away drops this future, which cancels.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        context: &QueryContext,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let running = self.0.cpu.run(Priority::Interactive, "query", &context.cancel, job);
        let mut running = std::pin::pin!(running);
        let outcome = tokio::select! {
            biased;
            outcome = running.as_mut() => outcome,
            () = self.0.clock.sleep_until(deadline) => {
                context.cancel.cancel(Reason::Deadline);
                return Err(ApiError::cancelled(Reason::Deadline, WHERE));
            }
        };
        outcome.map_err(|error| match error {
            CpuError::Cancelled => ApiError::cancelled(context.cancel.reason().unwrap_or(Reason::Gone), WHERE),
            other => ApiError::new(Kind::Unavailable, other.to_string()),
        })
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("config", &self.0.config).finish_non_exhaustive()
    }
}
