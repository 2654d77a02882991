//! `consul_sd_configs`: the services of a Consul catalogue, or of our own registry, followed by blocking queries.
//!
//! ```text
//! agent/self (once, unless `datacenter` is set)
//! catalog/services?index=… ──► one watch per service: health/service/NAME?index=… ──► one group per service
//! ```
//!
//! Rules of a blocking client (reference: Consul's API, "blocking queries"): a lower index than before means start again at
//! zero; an equal one is no news; on an error wait and go on, keeping what is known. Between two calls of one watch at
//! least `refresh_interval` passes, or 100 ms where the registry is followed at once (`isobar up`).
//! Limits: [`SERVICES_MAX`] watched services, answers of [`ANSWER_MAX`] bytes.

mod catalog;

use crate::config::ConsulConfig;
use crate::manager::{Instruments, Settings, Sink};
use catalog::{Instance, group};
use model::TargetGroup;
use net::client::{Client, HeaderName, HeaderValue, KeepAlive, Request, Url};
use runtime::shutdown::Shutdown;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Services one provider watches, each with a connection of its own.
pub const SERVICES_MAX: usize = 10_000;
/// Largest answer that is read.
pub const ANSWER_MAX: u64 = 64 << 20;
/// How long the other side holds a blocking query.
const WAIT: Duration = Duration::from_secs(120);
/// `WAIT`, its jitter of a sixteenth, and time for the answer.
const WAIT_AT_MOST: Duration = Duration::from_secs(135);
const RETRY: Duration = Duration::from_secs(15);
/// After the first failures, so that a registry that starts a moment later is found at once.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const FOLLOW_AT_MOST_EVERY: Duration = Duration::from_millis(100);

type Watched = BTreeMap<String, (TargetGroup, bool)>;

struct Watch {
    config: ConsulConfig,
    settings: Settings,
    instruments: Instruments,
    sink: Sink,
    client: Client,
    /// Groups by service; the flag says whether the service has answered once.
    groups: Mutex<Watched>,
}

pub(crate) async fn run(
    config: ConsulConfig,
    settings: Settings,
    instruments: Instruments,
    sink: Sink,
    stop: Shutdown,
) {
    if let Some(reason) = &config.unserved {
        tracing::warn!(server = %config.server, reason, "consul_sd_configs finds nothing");
        sink.set(Vec::new());
        return;
    }
    let client = Client::new(settings.clock.clone());
    let watch = Arc::new(Watch { config, settings, instruments, sink, client, groups: Mutex::default() });
    let work = async {
        let datacenter = watch.datacenter().await;
        if watch.config.watches_catalog() {
            watch.clone().follow_catalog(&datacenter, &stop).await;
        } else {
            for name in watch.config.services.clone() {
                watch.clone().start(name, datacenter.clone(), &stop.child());
            }
            std::future::pending::<()>().await;
        }
    };
    stop.until_stopped(work).await;
}

impl Watch {
    async fn datacenter(&self) -> String {
        if !self.config.datacenter.is_empty() {
            return self.config.datacenter.clone();
        }
        let mut failures = 0;
        let mut keep = KeepAlive::new();
        loop {
            let answer = self.get("/v1/agent/self", &[], Duration::from_secs(30), &mut keep).await;
            match answer.and_then(|(_, body)| catalog::datacenter(&body)) {
                Ok(name) => return name,
                Err(error) => self.failed("agent/self", &error, &mut failures).await,
            }
        }
    }

    /// Follows the catalogue's list of services; starts and stops a watch for each.
    async fn follow_catalog(self: Arc<Self>, datacenter: &str, stop: &Shutdown) {
        let mut running: BTreeMap<String, Shutdown> = BTreeMap::new();
        let mut keep = KeepAlive::new();
        let (mut index, mut failures) = (Index::default(), 0);
        loop {
            let asked = self.settings.clock.instant();
            let mut query = self.query(index);
            if !self.config.filter.is_empty() {
                query.push(("filter", self.config.filter.clone()));
            }
            let answer = self.timed("services", "/v1/catalog/services", &query, &mut keep).await;
            match answer.and_then(|(next, body)| Ok((next, catalog::services(&body)?))) {
                Ok((next, services)) => {
                    failures = 0;
                    if index.take(next) {
                        self.take_over(services, datacenter, stop, &mut running);
                    }
                    self.pause(asked).await;
                }
                Err(error) => self.failed("catalog/services", &error, &mut failures).await,
            }
        }
    }

    fn take_over(
        self: &Arc<Self>,
        services: BTreeMap<String, Vec<String>>,
        datacenter: &str,
        stop: &Shutdown,
        running: &mut BTreeMap<String, Shutdown>,
    ) {
        let wanted = |name: &String, tags: &[String]| {
            let named = self.config.services.is_empty() || self.config.services.contains(name);
            named && self.config.tags.iter().all(|tag| tags.contains(tag))
        };
        let mut names: Vec<String> =
            services.iter().filter(|(name, tags)| wanted(name, tags)).map(|(name, _)| name.clone()).collect();
        if names.len() > SERVICES_MAX {
            tracing::warn!(
                services = names.len(),
                limit = SERVICES_MAX,
                "more services than the limit: the rest is left out"
            );
            names.truncate(SERVICES_MAX);
        }
        running.retain(|name, watch| {
            let stays = names.contains(name);
            if !stays {
                watch.stop();
                self.groups.lock().unwrap_or_else(|e| e.into_inner()).remove(name);
            }
            stays
        });
        for name in names {
            running.entry(name).or_insert_with_key(|name| {
                let child = stop.child();
                self.clone().start(name.clone(), datacenter.to_owned(), &child);
                child
            });
        }
        self.publish();
    }

    fn start(self: Arc<Self>, name: String, datacenter: String, stop: &Shutdown) {
        let empty = TargetGroup { source: name.clone(), ..TargetGroup::default() };
        self.groups.lock().unwrap_or_else(|e| e.into_inner()).insert(name.clone(), (empty, false));
        let until = stop.clone();
        stop.spawn("discovery", async move {
            until.until_stopped(self.follow_service(&name, &datacenter)).await;
        });
    }

    async fn follow_service(&self, name: &str, datacenter: &str) {
        let path = format!("/v1/health/service/{}", escape(name));
        let (mut index, mut failures) = (Index::default(), 0);
        let mut keep = KeepAlive::new();
        loop {
            let asked = self.settings.clock.instant();
            let mut query = self.query(index);
            query.extend(self.config.tags.iter().map(|tag| ("tag", tag.clone())));
            if !self.config.health_filter.is_empty() {
                query.push(("filter", self.config.health_filter.clone()));
            }
            let answer = self.timed("service", &path, &query, &mut keep).await;
            match answer.and_then(|(next, body)| Ok((next, catalog::instances(&body)?))) {
                Ok((next, instances)) => {
                    failures = 0;
                    if index.take(next) {
                        self.found(name, datacenter, &instances);
                    }
                    self.pause(asked).await;
                }
                Err(error) => {
                    // the others are not to wait for one that does not answer
                    self.give_up_waiting(name);
                    self.failed(&path, &error, &mut failures).await;
                }
            }
        }
    }

    fn give_up_waiting(&self, name: &str) {
        let mut groups = self.groups.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((_, answered)) = groups.get_mut(name).filter(|(_, answered)| !*answered) {
            *answered = true;
            drop(groups);
            self.publish();
        }
    }

    fn found(&self, name: &str, datacenter: &str, instances: &[Instance]) {
        let found = group(name, datacenter, instances, &self.config.tag_separator);
        let mut groups = self.groups.lock().unwrap_or_else(|e| e.into_inner());
        // a service that left the catalogue while we asked is not put back
        if let Some(slot) = groups.get_mut(name) {
            *slot = (found, true);
            drop(groups);
            self.publish();
        }
    }

    /// Says the full set, but not before every service has answered once: a start must not look like a loss.
    fn publish(&self) {
        let groups = self.groups.lock().unwrap_or_else(|e| e.into_inner());
        let complete = groups.values().all(|(_, answered)| *answered);
        if complete || self.settings.follow_at_once {
            let said = groups.values().filter(|(_, answered)| *answered).map(|(group, _)| group.clone()).collect();
            drop(groups);
            self.sink.set(said);
        }
    }

    fn query(&self, index: Index) -> Vec<(&'static str, String)> {
        let config = &self.config;
        let mut query = vec![("wait", format!("{}ms", WAIT.as_millis()))];
        if index.0 > 0 {
            query.push(("index", index.0.to_string()));
        }
        if config.allow_stale {
            query.push(("stale", String::new()));
        }
        query.extend(config.node_meta.iter().map(|(key, value)| ("node-meta", format!("{key}:{value}"))));
        for (key, value) in [("dc", &config.datacenter), ("ns", &config.namespace), ("partition", &config.partition)] {
            if !value.is_empty() {
                query.push((key, value.clone()));
            }
        }
        query
    }

    /// A blocking call, measured under the original's name for it.
    async fn timed(
        &self,
        call: &str,
        path: &str,
        query: &[(&str, String)],
        keep: &mut KeepAlive,
    ) -> Result<(u64, Vec<u8>), String> {
        let begun = self.settings.clock.instant();
        let answer = self.get(path, query, WAIT_AT_MOST, keep).await;
        let seconds = self.settings.clock.elapsed(begun).as_secs_f64();
        self.instruments.consul_duration.with(&["catalog", call]).observe(seconds);
        answer
    }

    /// One request; the answer's `X-Consul-Index` (0 where it has none) and body.
    async fn get(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: Duration,
        keep: &mut KeepAlive,
    ) -> Result<(u64, Vec<u8>), String> {
        let request = self.request(path, query)?;
        let deadline = self.settings.clock.instant() + limit;
        let answer = self.client.send(&request, keep, deadline).await.map_err(|e| e.to_string())?;
        let status = answer.status().as_u16();
        let index = answer.headers().get("x-consul-index").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let mut body = Vec::new();
        answer.read_into(&mut body, ANSWER_MAX).await.map_err(|e| e.to_string())?;
        if status != 200 {
            let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            return Err(format!("Unexpected response code: {status} ({})", text.trim()));
        }
        Ok((index.unwrap_or(0), body))
    }

    fn request(&self, path: &str, query: &[(&str, String)]) -> Result<Request, String> {
        let base = format!("http://{}{}{path}", self.config.server, self.config.path_prefix);
        let mut url = Url::parse(&base).map_err(|e| format!("{base}: {e}"))?;
        url.query_pairs_mut().extend_pairs(query);
        let mut request = Request::get(url);
        request.follow_redirects = self.config.follow_redirects;
        let headers = [("user-agent", &self.settings.user_agent), ("x-consul-token", &self.config.token)];
        for (name, value) in headers.into_iter().filter(|(_, value)| !value.is_empty()) {
            let value = HeaderValue::from_str(value).map_err(|_| format!("{name}: not a legal header value"))?;
            request.headers.insert(HeaderName::from_static(name), value);
        }
        Ok(request)
    }

    async fn pause(&self, asked: runtime::clock::Instant) {
        let least = match self.settings.follow_at_once {
            true => FOLLOW_AT_MOST_EVERY.min(self.config.refresh_interval),
            false => self.config.refresh_interval,
        };
        self.settings.clock.sleep_until(asked + least).await;
    }

    async fn failed(&self, what: &str, error: &str, failures: &mut u32) {
        self.instruments.consul_failures.inc();
        let wait = RETRY_FIRST.saturating_mul(1 << (*failures).min(6)).min(RETRY);
        if *failures == 0 || wait == RETRY {
            tracing::error!(server = %self.config.server, call = what, err = error, "Error refreshing service: what is known stays");
        }
        *failures += 1;
        self.settings.clock.sleep(wait).await;
    }
}

/// Where a watch stands: the index of the last answer, 0 for "answer at once".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Index(u64);

impl Index {
    /// Takes the index of an answer; whether that answer has news. A server that was restored or rebuilt counts from lower:
    /// then all is asked again. An answer without an index is always news.
    fn take(&mut self, next: u64) -> bool {
        let is_news = next != self.0 || next == 0;
        self.0 = if next < self.0 { 0 } else { next };
        is_news
    }
}

/// A path segment: everything but unreserved characters becomes `%XX`.
fn escape(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte as char),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
