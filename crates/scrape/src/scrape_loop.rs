//! The loop of one target: wait for its moment, visit, record, say how it went.
//!
//! ```text
//! start ── offset ──► visit ── interval ──► visit ── …            removed ─► markers one interval later
//!   └─ at once (isobar up) ─► visit
//! ```
//!
//! Timestamps: a visit that begins within 2 ms (or 1 % of the interval) of its planned moment carries the planned one, so
//! that equal distances compress to nothing. The timeout covers connecting, the answer and its whole body.
//! Limits: one visit of a target at a time; a body by `body_size_limit`, counted inflated while it streams.

use crate::buffers::Buffers;
use crate::config::ScrapeConfig;
use crate::instruments::Instruments;
use crate::pool::JobState;
use crate::recorder::{Recorder, Scratch, Visit};
use crate::settings::Settings;
use crate::target::{Health, Status, Target, lock};
use model::Timestamp;
use model::duration::format_bytes;
use model::go_text::{format_float, quote};
use net::client::{Client, ClientError, HeaderMap, HeaderName, HeaderValue, KeepAlive, Request};
use runtime::cancel::Cancel;
use runtime::clock::Instant;
use runtime::cpu::Priority;
use runtime::instrument::Summary;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use storage::LaneKey;
use tokio::sync::watch;

/// Bodies up to this size are recorded on the IO runtime (about 100 µs); larger ones go to the CPU pool.
const INLINE_BODY_MAX: usize = 16 << 10;

/// What a loop is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Go on.
    Visit,
    /// The target is gone.
    End,
}

/// One running loop.
pub(crate) struct ScrapeLoop {
    pub(crate) target: Arc<Target>,
    pub(crate) job: Arc<JobState>,
    pub(crate) settings: Settings,
    pub(crate) instruments: Instruments,
    pub(crate) buffers: Buffers,
    pub(crate) orders: watch::Receiver<Order>,
}

/// What stays between visits.
struct Running {
    client: Client,
    keep: KeepAlive,
    recorder: Arc<Mutex<Recorder>>,
    length: Summary,
    previous: Option<Instant>,
}

impl ScrapeLoop {
    pub(crate) async fn run(mut self) {
        let clock = self.settings.clock.clone();
        let config = self.job.config();
        let interval_text = model::duration::format_duration(model::Millis(self.target.interval.as_millis() as i64));
        let recorder = Recorder::new(config, LaneKey(self.target.hash), self.settings.line_seed);
        let mut running = Running {
            client: Client::new(clock.clone()),
            keep: KeepAlive::new(),
            recorder: Arc::new(Mutex::new(recorder)),
            length: self.instruments.interval_length.with(&[&interval_text]),
            previous: None,
        };
        let shutdown = self.settings.shutdown.clone();
        let ended = shutdown.until_stopped(self.visit_until_told(&mut running)).await.is_some();
        if ended {
            // told to end, not stopped with the process: a stop leaves series open for the next start
            shutdown.until_stopped(self.end(&running)).await;
        }
    }

    async fn visit_until_told(&mut self, running: &mut Running) {
        let clock = self.settings.clock.clone();
        let started = clock.instant();
        let eager = self.settings.eager_for(&self.target.labels);
        if self.settings.visit_at_once && self.visit(running, None).await {
            return;
        }
        if let Some(eager) = eager {
            let mut rhythm = clock.interval(started + eager.period, eager.period);
            while clock.elapsed(started) < eager.lasting {
                if self.wait(rhythm.tick()).await || self.visit(running, None).await {
                    return;
                }
            }
        }
        let mut rhythm = clock.interval(clock.instant() + self.until_moment(), self.target.interval);
        loop {
            if self.wait(rhythm.tick()).await || self.visit(running, Some(())).await {
                return;
            }
        }
    }

    /// How long until the target's next moment; moments are fixed points of absolute time.
    fn until_moment(&self) -> Duration {
        let interval = self.target.interval.as_nanos().max(1);
        let offset = self.target.offset(self.settings.offset_seed).as_nanos();
        let now = u128::from(self.settings.clock.now().0.unsigned_abs()) * 1_000_000;
        let into = (now + interval - offset) % interval;
        Duration::from_nanos((interval - into) as u64)
    }

    /// The planned moment nearest to `now` if it is near enough, else `now`.
    fn planned(&self, now: Timestamp) -> Timestamp {
        let interval = (self.target.interval.as_millis() as i64).max(1);
        let offset = self.target.offset(self.settings.offset_seed).as_millis() as i64;
        let after = (now.0 - offset).rem_euclid(interval);
        let distance = if after * 2 > interval { after - interval } else { after };
        let tolerance = (interval / 100).min(2);
        if distance.abs() <= tolerance { Timestamp(now.0 - distance) } else { now }
    }

    /// True when the loop is told to end before `moment`.
    async fn wait<T>(&mut self, moment: impl Future<Output = T>) -> bool {
        tokio::select! {
            biased;
            _ = self.orders.wait_for(|order| *order == Order::End) => true,
            _ = moment => false,
        }
    }

    /// One visit; true when the loop was told to end meanwhile (the visit is then dropped).
    async fn visit(&mut self, running: &mut Running, planned: Option<()>) -> bool {
        let mut orders = self.orders.clone();
        tokio::select! {
            biased;
            _ = orders.wait_for(|order| *order == Order::End) => true,
            () = self.visit_once(running, planned.is_some()) => false,
        }
    }

    async fn visit_once(&self, running: &mut Running, planned: bool) {
        let clock = &self.settings.clock;
        let (now, start) = (clock.now(), clock.instant());
        let at = if planned { self.planned(now) } else { now };
        if let Some(previous) = running.previous.replace(start) {
            running.length.observe_duration(start.since(previous));
        }
        let config = self.job.config();
        let mut scratch = self.buffers.take();
        let refused = self.job.forced_error().or_else(|| config.refused.clone());
        let fetched = match refused {
            Some(reason) => Err(reason),
            None => self.fetch(running, &config, &mut scratch.body, start + self.target.timeout).await,
        };
        let duration = clock.elapsed(start);
        let body_bytes = match &fetched {
            Ok(()) => scratch.body.len() as i64,
            Err(reason) if reason.starts_with(BODY_LIMIT) => -1,
            Err(_) => 0,
        };
        let size = scratch.body.len();
        let work = RecordWork {
            recorder: running.recorder.clone(),
            target: self.target.clone(),
            config,
            settings: self.settings.clone(),
            instruments: self.instruments.clone(),
            at,
            duration,
            failed: fetched.err(),
            body_bytes,
        };
        let (outcome, scratch) = self.record(work, scratch, size).await;
        if let Some(scratch) = scratch {
            self.buffers.give(scratch);
        }
        self.target.set_status(Status {
            health: if outcome.is_some() { Health::Down } else { Health::Up },
            last_error: outcome.unwrap_or_default(),
            last_scrape: Some(now),
            last_duration: duration,
        });
    }

    async fn record(&self, work: RecordWork, scratch: Scratch, size: usize) -> (Option<String>, Option<Scratch>) {
        let Some(cpu) = self.settings.cpu.as_ref().filter(|_| size > INLINE_BODY_MAX) else {
            let (outcome, scratch) = work.run(scratch);
            return (outcome, Some(scratch));
        };
        match cpu.run(Priority::Ingest, "scrape", &Cancel::new(), move || work.run(scratch)).await {
            Ok((outcome, scratch)) => (outcome, Some(scratch)),
            Err(error) => (Some(format!("cannot record the visit: {error}")), None),
        }
    }

    /// Asks the target and reads its body.
    async fn fetch(
        &self,
        running: &mut Running,
        config: &ScrapeConfig,
        body: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<(), String> {
        let mut request = Request::get(self.target.url.clone());
        request.headers = headers(config, self.target.timeout, &self.settings.user_agent);
        request.follow_redirects = config.follow_redirects;
        let response = running.client.send(&request, &mut running.keep, deadline).await.map_err(|e| e.to_string())?;
        response.check_status().map_err(|e| e.to_string())?;
        let content_type = response.headers().get("content-type").map_or("", |value| value.to_str().unwrap_or("?"));
        check_content_type(content_type, config.fallback_to_text)?;
        let limit = config.limits.body_size;
        response.read_into(body, limit).await.map_err(|error| match error {
            ClientError::BodyLimit(_) => {
                self.instruments.exceeded_body.inc();
                format!("{BODY_LIMIT} exceeded: more than {}", format_bytes(limit))
            }
            other => other.to_string(),
        })
    }

    /// As the original: the markers carry the time of the next visit that would have been, and are written one interval and a
    /// tenth after it, so that a target that only moved to another job has newer samples by then.
    async fn end(&self, running: &Running) {
        let clock = &self.settings.clock;
        clock.sleep(self.until_moment()).await;
        let at = self.planned(clock.now());
        clock.sleep(self.target.interval + self.target.interval / 10).await;
        if let Err(error) = lock(&running.recorder).end(at, self.settings.store.as_ref()) {
            tracing::warn!(target_url = %self.target.url, %error, "cannot mark the series of a removed target as stale");
        }
    }
}

const BODY_LIMIT: &str = "body size limit";

/// Everything a visit's recording needs, so that it can move to another thread.
struct RecordWork {
    recorder: Arc<Mutex<Recorder>>,
    target: Arc<Target>,
    config: Arc<ScrapeConfig>,
    settings: Settings,
    instruments: Instruments,
    at: Timestamp,
    duration: Duration,
    failed: Option<String>,
    body_bytes: i64,
}

impl RecordWork {
    fn run(self, mut scratch: Scratch) -> (Option<String>, Scratch) {
        let visit = Visit {
            at: self.at,
            duration: self.duration,
            failed: self.failed,
            target: &self.target,
            config: &self.config,
            instruments: &self.instruments,
            body_bytes: self.body_bytes,
        };
        let recorded = lock(&self.recorder).record(&visit, &mut scratch, self.settings.store.as_ref());
        (recorded.unwrap_or_else(|error| Some(error.to_string())), scratch)
    }
}

/// Text 1.0.0 differs from 0.0.4 by quoted names alone, which the parser reads.
const ACCEPT: &str = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

fn headers(config: &ScrapeConfig, timeout: Duration, user_agent: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("accept", HeaderValue::from_static(ACCEPT));
    let encoding = if config.compression { "gzip" } else { "identity" };
    headers.insert("accept-encoding", HeaderValue::from_static(encoding));
    let seconds = format_float(timeout.as_secs_f64());
    for (name, value) in [("user-agent", user_agent), ("x-prometheus-scrape-timeout-seconds", &seconds)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn check_content_type(content_type: &str, fallback_to_text: bool) -> Result<(), String> {
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match kind.as_str() {
        "text/plain" => Ok(()),
        _ if fallback_to_text => Ok(()),
        "" => {
            Err("non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for \
                   target"
                .to_owned())
        }
        "application/openmetrics-text" | "application/vnd.google.protobuf" => {
            Err(format!("Content-Type {} is not supported yet, and was not asked for", quote(content_type)))
        }
        _ => Err(format!(
            "received unsupported Content-Type {} and no fallback_scrape_protocol specified for target",
            quote(content_type)
        )),
    }
}
