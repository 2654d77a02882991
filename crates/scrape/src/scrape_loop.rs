//! The loop of one target: visit, take in, report, at its own moment of every interval.
//!
//! ```text
//! wall time │ offset = hash(target) mod interval │ visit │ … │ visit │
//! ```
//!
//! The offset spreads targets evenly and stays the same over restarts. Timestamps are snapped to the schedule when they
//! are within the tolerance (2 ms, at most 1 % of the interval), so that chunks see even distances. A visit that is not over
//! when the next is due makes that one be left out. The scrape timeout covers everything from the connect to the last byte.
//! Who writes: this task alone. Who reads: the API, through [`TargetState`] behind its lock, held for a copy.

use crate::config::JobConfig;
use crate::instruments::Instruments;
use crate::intake::{Intake, Taken, Visit};
use crate::metadata::FamilyTable;
use crate::pool::Shared;
use crate::target::Target;
use model::Timestamp;
use model::duration::format_bytes;
use net::client::{ClientError, HeaderMap, HeaderName, HeaderValue, KeepAlive, Request, StatusCode};
use runtime::buffer::Buffer;
use runtime::clock::Instant;
use runtime::shutdown::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use storage::LaneKey;
use tokio::sync::oneshot;

/// What the page calls the state of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not visited yet.
    #[default]
    Unknown,
    /// The last visit succeeded.
    Up,
    /// The last visit failed.
    Down,
}

/// What the API shows of a target.
#[derive(Clone, Debug, Default)]
pub struct TargetState {
    /// How the last visit went.
    pub health: Health,
    /// When it began.
    pub last_scrape: Option<Timestamp>,
    /// How long it took.
    pub last_duration: Duration,
    /// Why it failed; empty when it did not.
    pub last_error: String,
    /// Samples of the last good visit.
    pub samples: u64,
    /// Its families.
    pub families: Arc<FamilyTable>,
}

/// Handle of a running loop.
pub(crate) struct ScrapeLoop {
    pub(crate) target: Arc<Target>,
    pub(crate) state: Arc<Mutex<TargetState>>,
    stop: Shutdown,
    gone: Arc<std::sync::atomic::AtomicBool>,
    heir: Heir,
}

/// Where a loop that another one takes over leaves what it knows of its series.
type Heir = Arc<Mutex<Option<oneshot::Sender<Intake>>>>;

/// A body buffer larger than this is given back after the visit.
const BODY_KEPT: usize = 4 << 20;
/// From this size on a body is parsed on a thread that may block.
const PARSE_AWAY: usize = 256 << 10;
/// The row of text formats we read, as the original words it.
const ACCEPT: &str = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

impl ScrapeLoop {
    /// Starts the loop of a target.
    pub(crate) fn start(
        shared: Arc<Shared>,
        job: Arc<JobConfig>,
        target: Target,
        refusal: Arc<Mutex<Option<String>>>,
        stop: Shutdown,
        former: Option<oneshot::Receiver<Intake>>,
    ) -> Self {
        let target = Arc::new(target);
        let state = Arc::new(Mutex::new(TargetState::default()));
        let gone = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let heir = Heir::default();
        let worker = Worker {
            former,
            heir: heir.clone(),
            lane: LaneKey(target.hash()),
            intake: Some(Intake::new(LaneKey(target.hash() ^ shared.seed), shared.instruments.clone())),
            instruments: shared.instruments.clone(),
            shared,
            job,
            refusal,
            target: target.clone(),
            state: state.clone(),
            keep: KeepAlive::new(),
            body: Buffer::new(),
            families: FamilyTable::default(),
            last_began: None,
            headers: HeaderMap::new(),
        };
        stop.spawn("scrape", worker.run(stop.clone(), gone.clone()));
        ScrapeLoop { target, state, stop, gone, heir }
    }

    /// Ends the loop because its target is gone: its series go stale.
    pub(crate) fn end_target(&self) {
        self.gone.store(true, std::sync::atomic::Ordering::Release);
        self.stop.stop();
    }

    /// Ends the loop without a word about its series: another loop takes the target over, and gets what this one knows.
    pub(crate) fn hand_over(&self) -> oneshot::Receiver<Intake> {
        let (sender, receiver) = oneshot::channel();
        *self.heir.lock().unwrap_or_else(|e| e.into_inner()) = Some(sender);
        self.stop.stop();
        receiver
    }
}

struct Worker {
    /// From the loop that had this target under the job's former configuration.
    former: Option<oneshot::Receiver<Intake>>,
    heir: Heir,
    shared: Arc<Shared>,
    job: Arc<JobConfig>,
    target: Arc<Target>,
    /// Set by the pool while the job may not be visited (`target_limit`).
    refusal: Arc<Mutex<Option<String>>>,
    state: Arc<Mutex<TargetState>>,
    lane: LaneKey,
    keep: KeepAlive,
    /// Away while a body is taken in on another thread.
    intake: Option<Intake>,
    instruments: Instruments,
    body: Buffer,
    families: FamilyTable,
    last_began: Option<Instant>,
    headers: HeaderMap,
}

impl Worker {
    async fn run(mut self, stop: Shutdown, gone: Arc<std::sync::atomic::AtomicBool>) {
        self.headers = headers(&self.shared.user_agent, &self.job, self.target.timeout);
        if let Some(former) = self.former.take()
            && let Ok(mut intake) = former.await
        {
            // the same line may mean another series now
            intake.forget_lines();
            self.intake = Some(intake);
        }
        let clock = self.shared.clock.clone();
        let mut schedule = Schedule::new(self.lane.0 ^ self.shared.seed, self.target.interval);
        if self.shared.visit_at_once {
            let now = clock.now();
            if stop.until_stopped(self.visit(now)).await.is_none() {
                self.leave(&gone);
                return;
            }
        }
        loop {
            let (due, at) = schedule.next(&clock, self.shared.settle_fast(&self.target));
            if stop.until_stopped(clock.sleep_until(due)).await.is_none() {
                break;
            }
            let now = clock.now();
            let tolerance = self.shared.tolerance.min(self.target.interval / 100);
            let snapped = now.0.abs_diff(at.0) <= tolerance.as_millis() as u64;
            // a visit is given up when the loop is told to stop: its samples never landed
            if stop.until_stopped(self.visit(if snapped { at } else { now })).await.is_none() {
                break;
            }
        }
        self.leave(&gone);
    }

    /// Called when the loop ends: a target that is gone ends its series.
    fn leave(&mut self, gone: &std::sync::atomic::AtomicBool) {
        let heir = self.heir.lock().unwrap_or_else(|e| e.into_inner()).take();
        if let Some(heir) = heir {
            let Some(intake) = self.intake.take() else { return };
            // the new loop may be gone already: then its target is, and so are the series
            if let Err(mut intake) = heir.send(intake) {
                let _ = intake.end(self.shared.store.as_ref(), self.shared.clock.now());
            }
            return;
        }
        if gone.load(std::sync::atomic::Ordering::Acquire)
            && let Some(intake) = &mut self.intake
            && let Err(error) = intake.end(self.shared.store.as_ref(), self.shared.clock.now())
        {
            tracing::warn!(scrape_pool = %self.job.name, target = %self.target.url, err = %error, "stale append failed");
        }
    }

    async fn visit(&mut self, at: Timestamp) {
        let clock = self.shared.clock.clone();
        let began = clock.instant();
        if let Some(last) = self.last_began.replace(began) {
            let interval = crate::config::shown(self.target.interval);
            self.instruments.interval_length.with(&[&interval]).observe(began.since(last).as_secs_f64());
        }
        let refusal = self.refusal.lock().unwrap_or_else(|e| e.into_inner()).clone();
        let fetched = match self.job.unserved.clone().or(refusal) {
            Some(reason) => Err(reason),
            None => self.fetch(began).await,
        };
        let outcome = self.take(at, clock.elapsed(began), fetched).await;
        if let Err(error) = &outcome {
            self.warn_once(error);
        }
        if self.body.len() > BODY_KEPT {
            self.body.clear();
        }
        self.note(at, clock.elapsed(began), outcome);
    }

    async fn fetch(&mut self, began: Instant) -> Result<(), String> {
        self.body.clear();
        let mut request = Request::get(self.target.url.clone());
        request.headers = self.headers.clone();
        request.follow_redirects = self.job.follow_redirects;
        let deadline = began + self.target.timeout;
        let response = match self.shared.client.send(&request, &mut self.keep, deadline).await {
            Ok(response) => response,
            Err(error) => return Err(error.to_string()),
        };
        if response.status() != StatusCode::OK {
            return Err(ClientError::status(response.status()).to_string());
        }
        crate::media_type::check(response.headers(), self.job.fallback_text)?;
        let limit = self.job.body_size_limit;
        match response.read_into(&mut self.body, limit).await {
            Ok(()) => Ok(()),
            Err(ClientError::BodyLimit(limit)) => {
                self.instruments.body_size.inc();
                Err(format!("body size limit exceeded (limit: {})", format_bytes(limit)))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Records the visit: its body, or why there is none.
    async fn take(&mut self, at: Timestamp, duration: Duration, fetched: Result<(), String>) -> Result<Taken, String> {
        let Some(mut intake) = self.intake.take() else { return Err("the visit before was cut short".to_owned()) };
        let (shared, job, target) = (self.shared.clone(), self.job.clone(), self.target.clone());
        let (body, mut families) = (std::mem::take(&mut self.body), std::mem::take(&mut self.families));
        let large = fetched.is_ok() && body.len() > PARSE_AWAY;
        let work = move || {
            let bytes = fetched.as_ref().map(|()| &*body).map_err(String::as_str);
            let store = shared.store.as_ref();
            let visit = Visit { at, duration, body: bytes, target: &target, job: &job, store };
            let taken = intake.take(visit, &mut families);
            (intake, body, families, taken)
        };
        // a small body is parsed and stored in well under a millisecond: handing it over would cost more
        let (intake, body, families, taken) = match large {
            true => tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?,
            false => work(),
        };
        (self.intake, self.body, self.families) = (Some(intake), body, families);
        taken.unwrap_or_else(|refused| {
            self.instruments.store_refused.inc();
            Err(refused.to_string())
        })
    }

    /// Says why a visit failed, unless the last one failed for the same reason.
    fn warn_once(&self, error: &str) {
        let known = self.state.lock().unwrap_or_else(|e| e.into_inner()).last_error == error;
        if !known {
            tracing::warn!(scrape_pool = %self.job.name, target = %self.target.url, err = error, "scrape failed");
        }
    }

    fn note(&self, at: Timestamp, took: Duration, outcome: Result<Taken, String>) {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        state.last_scrape = Some(at);
        state.last_duration = took;
        match outcome {
            Ok(taken) => {
                state.health = Health::Up;
                state.last_error.clear();
                state.samples = taken.scraped;
                if !same_families(&state.families, &self.families) {
                    state.families = Arc::new(self.families.clone());
                }
            }
            Err(error) => {
                state.health = Health::Down;
                state.last_error = error;
            }
        }
    }
}

fn same_families(a: &FamilyTable, b: &FamilyTable) -> bool {
    a.iter().eq(b.iter())
}

fn headers(user_agent: &str, job: &JobConfig, timeout: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("accept", ACCEPT);
    put("accept-encoding", if job.compression { "gzip" } else { "identity" });
    put("user-agent", user_agent);
    put("x-prometheus-scrape-timeout-seconds", &timeout.as_secs_f64().to_string());
    headers
}

/// When a target is visited: `offset + n × interval` of wall time.
struct Schedule {
    offset_ms: u64,
    interval: Duration,
    last_at: Option<Timestamp>,
}

impl Schedule {
    fn new(hash: u64, interval: Duration) -> Self {
        let interval_ms = (interval.as_millis() as u64).max(1);
        Schedule { offset_ms: hash % interval_ms, interval, last_at: None }
    }

    /// The next visit: when by the monotonic clock, and its scheduled wall time. `fast` shortens the interval (the first
    /// minute of `isobar up`).
    fn next(&mut self, clock: &runtime::clock::Clock, fast: Option<Duration>) -> (Instant, Timestamp) {
        let interval = fast.map_or(self.interval, |fast| fast.min(self.interval));
        let period = (interval.as_millis() as i64).max(1);
        let offset = (self.offset_ms as i64) % period;
        let now = clock.now().0;
        let mut at = now - (now - offset).rem_euclid(period) + period;
        // a wall clock that was stepped back, or a timer that woke a moment early, must not give a moment twice
        if self.last_at.is_some_and(|last| at <= last.0 && last.0 - at < period) {
            at += period;
        }
        self.last_at = Some(Timestamp(at));
        (clock.instant() + Duration::from_millis(u64::try_from(at - now).unwrap_or(0)), Timestamp(at))
    }
}
