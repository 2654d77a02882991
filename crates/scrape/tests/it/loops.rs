//! What becomes of a target's series while its page, its job and its group change.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use model::{Labels, Matcher, TargetGroup, Timestamp, is_stale};
use net::server::{Listener, Server, ServerConfig};
use runtime::clock::Clock;
use runtime::instrument::Registry;
use runtime::shutdown::Shutdown;
use runtime::target_channel::{TargetSender, channel};
use scrape::config::{GlobalDefaults, JobConfig, ScrapeBlock};
use scrape::scrape_loop::Health;
use scrape::{Pools, Settings};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use storage::{Append, AppendError, Appender, Committed, Durability, Refusals, Row, SeriesRef, Tenant};

/// Keeps the newest sample of every series.
#[derive(Clone, Default)]
struct Newest(Arc<Mutex<Vec<(Labels, i64, f64)>>>);

struct Transaction {
    store: Newest,
    fresh: Vec<Labels>,
    staged: Vec<(SeriesRef, i64, f64)>,
}

impl Append for Newest {
    fn begin(&self, _: Tenant) -> Result<Box<dyn Appender>, AppendError> {
        Ok(Box::new(Transaction { store: self.clone(), fresh: Vec::new(), staged: Vec::new() }))
    }
    fn abilities(&self) -> storage::Abilities {
        storage::Abilities::default()
    }
}

impl Appender for Transaction {
    fn declare(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        let known = self.store.0.lock().expect("lists").iter().position(|(known, _, _)| known == labels);
        let fresh = || {
            self.fresh.push(labels.clone());
            SeriesRef::provisional(self.fresh.len() - 1)
        };
        Ok(known.map_or_else(fresh, |at| SeriesRef(at as u64)))
    }
    fn row(&mut self, row: Row<'_>) -> Result<(), AppendError> {
        self.staged.extend(row.series.iter().zip(row.values).map(|(series, value)| (*series, row.at.0, *value)));
        Ok(())
    }
    fn sample(&mut self, series: SeriesRef, at: Timestamp, value: f64, _: Timestamp) -> Result<(), AppendError> {
        self.staged.push((series, at.0, value));
        Ok(())
    }
    fn commit(self: Box<Self>, _: Durability) -> Result<Committed, storage::append::CommitError> {
        let mut lists = self.store.0.lock().expect("lists");
        let first = lists.len();
        lists.extend(self.fresh.iter().map(|labels| (labels.clone(), i64::MIN, 0.0)));
        for (series, at, value) in &self.staged {
            let index = series.provisional_index().map_or(series.0 as usize, |n| first + n);
            (lists[index].1, lists[index].2) = (*at, *value);
        }
        let born = (first..lists.len()).map(|n| Some(SeriesRef(n as u64))).collect();
        let accepted = self.staged.len() as u64;
        Ok(Committed { ticket: runtime::ticket::Ticket::settled(), accepted, refusals: Refusals::default(), born })
    }
}

type Page = Arc<Mutex<(StatusCode, &'static str, String)>>;

struct Bench {
    page: Page,
    store: Newest,
    pools: Arc<Pools>,
    sender: TargetSender,
    receiver: runtime::target_channel::TargetReceiver,
    address: String,
    shutdown: Shutdown,
}

const TEXT: &str = "text/plain; version=0.0.4";

impl Bench {
    async fn new(body: &str) -> Self {
        let (clock, shutdown) = (Clock::system(), Shutdown::new());
        let registry = Registry::new(clock.clone());
        let page: Page = Arc::new(Mutex::new((StatusCode::OK, TEXT, body.to_owned())));
        let shown = page.clone();
        let answer = move || -> std::pin::Pin<Box<dyn Future<Output = Response> + Send>> {
            let (status, kind, body) = shown.lock().expect("page").clone();
            Box::pin(async move { (status, [("content-type", kind)], body).into_response() })
        };
        let config = ServerConfig::new("exporter", "127.0.0.1:0");
        let listener = Listener::bind(&config).await.expect("a free port");
        let address = listener.local_addr().to_string();
        let server = Server::new(listener, config, Router::new().route("/metrics", get(answer)), &clock, &registry);
        let running = shutdown.clone();
        shutdown.spawn("exporter", async move { server.run(&running).await });
        let store = Newest::default();
        let settings = Settings {
            clock,
            store: Arc::new(store.clone()),
            registry,
            user_agent: "Test/1".to_owned(),
            tolerance: Duration::from_millis(2),
            eager: false,
            fast_start: Vec::new(),
            seed: 7,
        };
        let pools = Arc::new(Pools::new(settings, shutdown.clone()));
        let (sender, receiver) = channel();
        Bench { page, store, pools, sender, receiver, address, shutdown }
    }

    fn show(&self, status: StatusCode, kind: &'static str, body: &str) {
        *self.page.lock().expect("page") = (status, kind, body.to_owned());
    }

    fn apply(&self, more: &str) {
        let yaml = format!("{{job_name: j, scrape_interval: 50ms, scrape_timeout: 50ms{more}}}");
        let block: ScrapeBlock<IgnoredAny, IgnoredAny, IgnoredAny> = serde_saphyr::from_str(&yaml).expect("a block");
        let job: JobConfig = block.resolve(&GlobalDefaults::default()).expect("a job").job;
        self.pools.apply(vec![job], BTreeMap::from([("j".to_owned(), self.receiver.clone())]));
    }

    fn targets(&self, count: usize) {
        let own = Labels::from_pairs([("__address__", self.address.as_str()), ("instance", "i")]);
        let targets = std::iter::repeat_n(own, count).collect();
        self.sender.send(vec![TargetGroup { source: "0".to_owned(), targets, labels: Labels::empty() }]);
    }

    /// Newest values by `name{other labels}`.
    fn newest(&self) -> BTreeMap<String, String> {
        let lists = self.store.0.lock().expect("lists");
        let shown = |(labels, _, value): &(Labels, i64, f64)| {
            let rest = labels.retain(|name| !matches!(name, "__name__" | "job" | "instance"));
            let value = if is_stale(*value) { "stale".to_owned() } else { model::go_text::format_float(*value) };
            (format!("{}{rest}", labels.metric_name()), value)
        };
        lists.iter().map(shown).collect()
    }

    async fn until(&self, what: &str, mut holds: impl FnMut(&BTreeMap<String, String>) -> bool) {
        let clock = Clock::system();
        for _ in 0..200 {
            if holds(&self.newest()) {
                return;
            }
            clock.sleep(Duration::from_millis(25)).await;
        }
        panic!("{what}: {:?}, {:?}", self.newest(), self.pools.active(None).first().map(|shown| shown.state.clone()));
    }

    fn error(&self) -> String {
        self.pools.active(None).first().map(|shown| shown.state.last_error.clone()).unwrap_or_default()
    }

    async fn until_error(&self, part: &str) {
        self.until(part, |_| self.error().contains(part)).await;
    }

    async fn stop(self) {
        self.shutdown.stop();
        self.shutdown.join(&Clock::system(), Duration::from_secs(10)).await.expect("every loop ends");
    }
}

fn is(newest: &BTreeMap<String, String>, series: &str, value: &str) -> bool {
    newest.get(series).is_some_and(|shown| shown == value)
}

#[tokio::test]
async fn series_live_and_end_with_their_page() {
    let bench = Bench::new("# TYPE a counter\na{x=\"1\"} 1\nb 2\n").await;
    bench.apply("");
    bench.targets(2);
    bench.until("both series", |n| is(n, "a{x=\"1\"}", "1") && is(n, "b{}", "2") && is(n, "up{}", "1")).await;
    let shown = &bench.pools.active(None)[0];
    assert_eq!((bench.pools.active(None).len(), shown.state.health), (1, Health::Up), "equal targets are one");
    assert_eq!(shown.state.families.get("a").map(|m| m.kind), Some(model::MetricType::Counter));
    bench.show(StatusCode::OK, TEXT, "b 3\n");
    bench.until("a vanished", |n| is(n, "a{x=\"1\"}", "stale") && is(n, "b{}", "3")).await;
    bench.show(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "b 4\n");
    bench.until("the target is down", |n| is(n, "b{}", "stale") && is(n, "up{}", "0")).await;
    assert_eq!(bench.error(), "server returned HTTP status 500 Internal Server Error");
    bench.show(StatusCode::OK, TEXT, "b 5\n");
    bench.until("it is back", |n| is(n, "b{}", "5") && is(n, "up{}", "1")).await;
    bench.targets(0);
    bench.until("the target is gone", |n| is(n, "b{}", "stale") && is(n, "up{}", "stale")).await;
    bench.stop().await;
}

#[tokio::test]
async fn what_is_not_metrics_says_so() {
    let bench = Bench::new("good 1\n<html>\n").await;
    bench.apply(", body_size_limit: 100B");
    bench.targets(1);
    bench.until_error("expected a valid start token, got \"<\" (\"INVALID\") while parsing: \"<\" (line 2)").await;
    bench.show(StatusCode::OK, "text/html", "<html>");
    bench.until_error("received unsupported Content-Type \"text/html\"").await;
    bench.show(StatusCode::OK, TEXT, &"long 1\n".repeat(100));
    bench.until_error("body size limit exceeded (limit: 100B)").await;
    assert!(!bench.newest().keys().any(|name| name.starts_with("good") || name.starts_with("long")), "no series made");
    bench.stop().await;
}

#[tokio::test]
async fn a_reload_leaves_equal_jobs_alone_and_hands_series_over() {
    let bench = Bench::new("a 1\nb 2\n").await;
    bench.apply("");
    bench.targets(1);
    bench.until("both series", |n| is(n, "a{}", "1") && is(n, "b{}", "2")).await;
    let before = bench.pools.active(None).remove(0).target;
    bench.apply("");
    assert!(Arc::ptr_eq(&before, &bench.pools.active(None)[0].target));
    bench.apply(", metric_relabel_configs: [{source_labels: [__name__], regex: a, action: drop}]");
    bench.until("the rule ends a, and a alone", |n| is(n, "a{}", "stale") && is(n, "b{}", "2")).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_job_that_needs_what_we_lack_is_down_with_the_reason() {
    let bench = Bench::new("a 1\n").await;
    bench.apply(", basic_auth: {username: u}");
    bench.targets(1);
    bench.until("it is down", |n| is(n, "up{}", "0")).await;
    assert!(bench.error().contains("basic_auth"), "{}", bench.error());
    assert!(!bench.newest().contains_key("a{}"));
    bench.stop().await;
}

#[tokio::test]
async fn the_api_shows_targets() {
    let bench = Bench::new("# HELP a An a.\n# TYPE a gauge\na 1\n").await;
    bench.apply("");
    bench.targets(1);
    bench.until("a visit", |n| is(n, "a{}", "1")).await;
    let matchers: scrape::api::MatcherParser = Arc::new(|text| Ok(vec![Matcher::equal("instance", text)]));
    let routes = scrape::api::routes(bench.pools.clone(), "http://mon.example:9090/", matchers);
    let config = ServerConfig::new("server", "127.0.0.1:0");
    let listener = Listener::bind(&config).await.expect("a free port");
    let base = format!("http://{}", listener.local_addr());
    let clock = Clock::system();
    let server = Server::new(listener, config, routes, &clock, &Registry::new(clock.clone()));
    let running = bench.shutdown.clone();
    bench.shutdown.spawn("server", async move { server.run(&running).await });
    let get = async |path: &str| -> serde_json::Value {
        let client = net::client::Client::new(clock.clone());
        let request = net::client::Request::get(format!("{base}{path}").parse().expect("a URL"));
        let mut keep = net::client::KeepAlive::new();
        let deadline = clock.instant() + Duration::from_secs(5);
        let answer = client.send(&request, &mut keep, deadline).await.expect("an answer");
        serde_json::from_slice(&answer.bytes(1 << 20).await.expect("a body")).expect("JSON")
    };
    let targets = get("/api/v1/targets").await;
    let active = &targets["data"]["activeTargets"][0];
    assert_eq!(active["labels"], serde_json::json!({"instance": "i", "job": "j"}));
    assert_eq!((&active["health"], &active["lastError"]), (&"up".into(), &"".into()));
    assert_eq!((&active["scrapeInterval"], &active["scrapePool"]), (&"50ms".into(), &"j".into()));
    assert_eq!(active["discoveredLabels"]["__scrape_timeout__"], "50ms");
    assert_eq!(targets["data"]["droppedTargetCounts"], serde_json::json!({"j": 0}));
    assert_eq!(get("/api/v1/scrape_pools").await["data"], serde_json::json!({"scrapePools": ["j"]}));
    let metadata = get("/api/v1/targets/metadata?match_target=i&metric=a").await;
    assert_eq!(metadata["data"][0]["type"], "gauge");
    assert_eq!(metadata["data"][0]["help"], "An a.");
    assert_eq!(get("/api/v1/targets?state=dropped").await["data"]["activeTargets"], serde_json::json!([]));
    bench.stop().await;
}
