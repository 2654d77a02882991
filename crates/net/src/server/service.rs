//! One request: gate, routes, finish.

use crate::server::config::ServerConfig;
use crate::server::connections::{Connection, Connections, Phase};
use crate::server::{compress, cors, gate};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::MatchedPath;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::middleware::{self, Next};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use runtime::clock::{Clock, Instant};
use runtime::instrument::{CounterVec, HistogramVec, Registry, exponential_buckets};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::ServiceExt;

/// How long a request's head may be, in bytes. (Go allows 1 MiB; at 512 connections that would be half a gigabyte.)
pub const HEAD_MAX: usize = 128 << 10;

/// How many headers a request may have. (Go has no limit but the bytes; hyper's own is 100.)
pub(super) const HEADERS_MAX: usize = 500;
/// How often a failed request is told in the log.
const FAILURE_PAUSE: Duration = Duration::from_secs(10);
/// How much of a path is told.
const PATH_SHOWN: usize = 200;

/// Who asks; an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What all connections of a listener share.
pub(super) struct App {
    config: ServerConfig,
    routes: Router,
    clock: Clock,
    registry: Registry,
    address: SocketAddr,
    requests: CounterVec,
    durations: HistogramVec,
    sizes: HistogramVec,
    /// Bytes of bodies that requests in progress hold.
    held: AtomicU64,
    /// When a failed request was told last, and how many were not since.
    failures: Mutex<(Option<Instant>, u64)>,
}

impl App {
    pub(super) fn new(
        config: ServerConfig,
        address: SocketAddr,
        routes: Router,
        clock: Clock,
        registry: &Registry,
    ) -> Self {
        let prefix = config.metrics_prefix;
        let requests = registry.counter_vec(
            &format!("{prefix}_http_requests_total"),
            "Counter of HTTP requests.",
            &["handler", "code"],
        );
        let durations = registry.histogram_vec(
            &format!("{prefix}_http_request_duration_seconds"),
            "Histogram of latencies for HTTP requests.",
            &[0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0],
            &["handler"],
        );
        let sizes = registry.histogram_vec(
            &format!("{prefix}_http_response_size_bytes"),
            "Histogram of response size for HTTP requests.",
            &exponential_buckets(100.0, 10.0, 8),
            &["handler"],
        );
        let routes = routes.layer(middleware::from_fn(note_matched_path));
        let failures = Mutex::default();
        App {
            config,
            routes,
            clock,
            registry: registry.clone(),
            address,
            requests,
            durations,
            sizes,
            held: AtomicU64::new(0),
            failures,
        }
    }

    /// A line for a request that failed: one in [`FAILURE_PAUSE`], which says how many went without. A client that
    /// makes us fail must not fill the disk with lines; the metrics count each.
    fn note_failure(&self, method: &Method, path: &str, peer: SocketAddr, code: StatusCode, started: Instant) {
        let (code, took) = (code.as_u16(), self.clock.elapsed(started));
        let path: String = path.chars().take(PATH_SHOWN).collect();
        let untold = {
            let mut told = self.failures.lock();
            if told.0.is_some_and(|last| self.clock.elapsed(last) < FAILURE_PAUSE) {
                told.1 += 1;
                None
            } else {
                told.0 = Some(self.clock.instant());
                Some(std::mem::take(&mut told.1))
            }
        };
        match untold {
            Some(untold) => tracing::warn!(%method, path, %peer, code, ?took, untold, "request failed"),
            None => tracing::debug!(%method, path, %peer, code, ?took, "request failed"),
        }
    }

    pub(super) fn part(&self) -> &'static str {
        self.config.part
    }

    pub(super) fn stop_limit(&self) -> Duration {
        self.config.stop_limit
    }

    /// Shows the table of connections as gauges, for as long as it lives.
    pub(super) fn watch(&self, connections: &Arc<Connections>) {
        let labels = model::Labels::from_pairs([("part", self.config.part), ("address", &self.address.to_string())]);
        let gauges = [
            ("isobar_http_connections", "Open connections."),
            ("isobar_http_requests_in_flight", "Requests in progress."),
        ];
        for (at, (name, help)) in gauges.into_iter().enumerate() {
            let connections = Arc::downgrade(connections);
            self.registry.gauge_fn_with(name, help, labels.clone(), move || {
                let (open, busy) = connections.upgrade().map_or((0, 0), |c| c.count());
                [open, busy][at] as f64
            });
        }
        let max = self.config.max_connections as f64;
        let help = "Open connections at which the one idle longest is closed.";
        self.registry.gauge_fn_with("isobar_http_connections_max", help, labels, move || max);
    }

    async fn answer(&self, mut request: Request<Body>) -> (String, Response<Body>) {
        let asked = Asked::of(&request);
        let mut handler = "other".to_owned();
        let mut response = match gate::check(&self.config, &mut request) {
            Err(refusal) => *refusal,
            Ok(()) => {
                let Ok(mut response) = self.routes.clone().oneshot(request).await;
                if let Some(path) = response.extensions_mut().remove::<MatchedPath>() {
                    handler = prometheus_path(path.as_str());
                } else if response.status() == StatusCode::NOT_FOUND {
                    response = in_words(response, "404 page not found\n");
                }
                if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                    response = in_words(response, "Method Not Allowed\n");
                }
                response
            }
        };
        let path = asked.path.strip_prefix(&self.config.route_prefix).unwrap_or(&asked.path);
        cors::apply(self.config.cors.as_ref(), &asked.method, path, asked.origin.as_ref(), &mut response);
        secure(response.headers_mut());
        (handler, compress::apply(asked.gzip, &asked.method, response))
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What is still needed of a request once its routes have taken it.
struct Asked {
    method: Method,
    path: String,
    origin: Option<HeaderValue>,
    gzip: bool,
}

impl Asked {
    fn of<B>(request: &Request<B>) -> Self {
        Asked {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            origin: request.headers().get(header::ORIGIN).cloned(),
            gzip: compress::accepted(request.headers()),
        }
    }
}

async fn note_matched_path(request: axum::extract::Request, next: Next) -> Response<Body> {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(path) = path {
        response.extensions_mut().insert(path);
    }
    response
}

/// `/label/{name}/values` → `/label/:name/values`, as the original's metrics call it.
fn prometheus_path(path: &str) -> String {
    path.replace("{*", "*").replace('{', ":").replace('}', "")
}

/// Answers of the router itself get the words Go's mux uses.
fn in_words(response: Response<Body>, text: &'static str) -> Response<Body> {
    if response.body().size_hint().exact() != Some(0) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Response::from_parts(parts, Body::from(text))
}

const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What every answer tells a browser; a route may have said something stricter itself.
fn secure(headers: &mut HeaderMap) {
    let is_html = headers.get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"text/html"));
    let policy = if is_html { PAGE_POLICY } else { DATA_POLICY };
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(policy));
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
}

/// The service of one connection.
pub(super) struct ConnectionService {
    pub(super) app: Arc<App>,
    pub(super) connection: Arc<Connection>,
    pub(super) peer: SocketAddr,
}

impl hyper::service::Service<Request<Incoming>> for ConnectionService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.connection.enter(Phase::Busy);
        let (app, connection, peer) = (self.app.clone(), self.connection.clone(), self.peer);
        Box::pin(async move {
            let started = app.clock.instant();
            let mut progress = Progress { app: app.clone(), connection: connection.clone(), started, served: None };
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            let limit = app.config.body_max;
            let held = Held { app: app.clone(), bytes: 0 };
            let mut request = request.map(|body| Body::new(RequestBody { body, connection, left: limit, limit, held }));
            request.extensions_mut().insert(Peer(peer));
            let (handler, response) = app.answer(request).await;
            let code = response.status();
            if code.is_server_error() {
                app.note_failure(&method, &path, peer, code, started);
            }
            progress.served = Some(Served { handler, code, bytes: 0 });
            Ok(response.map(|body| Body::new(AnswerBody { body, progress })))
        })
    }
}

struct Served {
    handler: String,
    code: StatusCode,
    bytes: u64,
}

/// A request in progress. Dropped when the last byte of its answer is handed over, or when it is abandoned.
struct Progress {
    app: Arc<App>,
    connection: Arc<Connection>,
    started: Instant,
    served: Option<Served>,
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.connection.enter(Phase::Idle);
        let app = &self.app;
        let Some(served) = &self.served else {
            // the client went away before there was an answer; nginx's number for it
            app.requests.with(&["other", "499"]).inc();
            return;
        };
        app.requests.with(&[&served.handler, served.code.as_str()]).inc();
        app.durations.with(&[&served.handler]).observe_duration(app.clock.elapsed(self.started));
        app.sizes.with(&[&served.handler]).observe(served.bytes as f64);
    }
}

/// An answer's body, counted.
struct AnswerBody {
    body: Body,
    progress: Progress,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let (Some(data), Some(served)) = (frame.data_ref(), self.progress.served.as_mut())
        {
            served.bytes += data.len() as u64;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body: tells the table while its bytes are waited for, and ends beyond the limit.
struct RequestBody {
    body: Incoming,
    connection: Arc<Connection>,
    left: u64,
    limit: u64,
    held: Held,
}

/// What one body holds of [`ServerConfig::bodies_max`], given back with it.
struct Held {
    app: Arc<App>,
    bytes: u64,
}

impl Held {
    fn take(&mut self, bytes: u64) -> Result<(), RequestBodyError> {
        self.bytes += bytes;
        let all = self.app.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let limit = self.app.config.bodies_max;
        if all > limit { Err(RequestBodyError::Crowded(limit)) } else { Ok(()) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.app.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Why a request's body can not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestBodyError {
    #[error("request body is larger than {0} bytes")]
    TooLarge(u64),
    #[error("the bodies of all requests in progress are larger than {0} bytes")]
    Crowded(u64),
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let waiting = self.connection.phase() == Phase::Body;
        match polled {
            Poll::Pending => {
                if !waiting {
                    self.connection.enter(Phase::Body);
                }
                Poll::Pending
            }
            Poll::Ready(None) => {
                if waiting {
                    self.connection.enter(Phase::Busy);
                }
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(Some(Ok(frame))) => {
                let len = frame.data_ref().map_or(0, Bytes::len) as u64;
                if len > self.left {
                    return Poll::Ready(Some(Err(RequestBodyError::TooLarge(self.limit))));
                }
                self.left -= len;
                if let Err(crowded) = self.held.take(len) {
                    return Poll::Ready(Some(Err(crowded)));
                }
                if waiting && self.body.is_end_stream() {
                    self.connection.enter(Phase::Busy);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
