//! The pools: per job, the loops of its targets, kept in step with what discovery says.
//!
//! ```text
//! TargetReceiver ─► sync ─► targets (relabelled, deduplicated, limited) ─► start / keep / end loops
//! ```
//!
//! A reload that leaves a job's configuration and a target equal leaves its loop alone: connection, cache, schedule and
//! state stay. A job whose configuration changed starts new loops; those of targets that stay hand over without staleness
//! markers, those of targets that are gone end their series.
//! Locks: [`Pools`]' map, then a pool's inner state; neither is held over an await.

use crate::config::JobConfig;
use crate::instruments::Instruments;
use crate::scrape_loop::{ScrapeLoop, TargetState};
use crate::target::{self, Made, Target};
use model::{Labels, TargetGroup};
use net::client::Client;
use runtime::clock::{Clock, Instant};
use runtime::instrument::Registry;
use runtime::shutdown::Shutdown;
use runtime::target_channel::TargetReceiver;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use storage::Append;

/// Dropped targets remembered per job where the configuration says nothing; their number is always known.
const DROPPED_KEPT: usize = 10_000;
/// For how long `isobar up` visits its own parts every second (settled 24).
const FAST_START: Duration = Duration::from_secs(60);
const FAST_INTERVAL: Duration = Duration::from_secs(1);

/// What scraping needs of the world.
pub struct Settings {
    /// Time.
    pub clock: Clock,
    /// Where samples go.
    pub store: Arc<dyn Append>,
    /// Where the instruments are.
    pub registry: Registry,
    /// Sent with every request.
    pub user_agent: String,
    /// How far a timestamp may be snapped to the schedule; zero: never.
    pub tolerance: Duration,
    /// Start-up behaviour of `isobar up`: a new target is visited at once, and then at its offset.
    pub eager: bool,
    /// Addresses (`__address__`) that are visited every second for the first minute: the parts of `isobar up` itself.
    pub fast_start: Vec<String>,
    /// Spreads the offsets of different servers; of the host's name.
    pub seed: u64,
}

/// Shared by all loops.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) store: Arc<dyn Append>,
    pub(crate) client: Client,
    pub(crate) instruments: Instruments,
    pub(crate) user_agent: String,
    pub(crate) tolerance: Duration,
    pub(crate) visit_at_once: bool,
    fast_start: Vec<String>,
    pub(crate) seed: u64,
    started: Instant,
}

impl Shared {
    /// The shortened interval of a target, while it holds.
    pub(crate) fn settle_fast(&self, target: &Target) -> Option<Duration> {
        let wanted = self.fast_start.iter().any(|address| address == target.discovered.value("__address__"));
        (wanted && self.clock.elapsed(self.started) < FAST_START).then_some(FAST_INTERVAL)
    }
}

/// A target as the API shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The job.
    pub pool: String,
    /// The target.
    pub target: Arc<Target>,
    /// How its visits go.
    pub state: TargetState,
}

/// A pool as the API shows it.
#[derive(Clone, Debug, Default)]
pub struct ShownDropped {
    /// Labels of the dropped targets that are remembered.
    pub dropped: Vec<Labels>,
    /// How many there are.
    pub count: usize,
}

#[derive(Default)]
struct Inner {
    loops: BTreeMap<u64, ScrapeLoop>,
    dropped: ShownDropped,
    /// Label sets that make no target, and why: each is logged once.
    bad: BTreeSet<String>,
}

struct Pool {
    job: Arc<JobConfig>,
    inner: Arc<Mutex<Inner>>,
    follower: Shutdown,
}

/// The pools of all jobs.
pub struct Pools {
    shared: Arc<Shared>,
    shutdown: Shutdown,
    pools: Mutex<BTreeMap<String, Pool>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Pools {
    /// No pools yet; all tasks end with `shutdown`.
    pub fn new(settings: Settings, shutdown: Shutdown) -> Self {
        let shared = Shared {
            client: Client::new(settings.clock.clone()),
            instruments: Instruments::new(&settings.registry),
            started: settings.clock.instant(),
            clock: settings.clock,
            store: settings.store,
            user_agent: settings.user_agent,
            tolerance: settings.tolerance,
            visit_at_once: settings.eager,
            fast_start: settings.fast_start,
            seed: settings.seed,
        };
        Pools { shared: Arc::new(shared), shutdown, pools: Mutex::default() }
    }

    /// Takes over a configuration. `receivers` has one channel per job; that of a job that stays is the same as before.
    pub fn apply(&self, jobs: Vec<JobConfig>, mut receivers: BTreeMap<String, TargetReceiver>) {
        let mut pools = lock(&self.pools);
        let mut before = std::mem::take(&mut *pools);
        for job in jobs {
            let Some(receiver) = receivers.remove(&job.name) else { continue };
            let name = job.name.clone();
            let pool = match before.remove(&name) {
                Some(pool) if *pool.job == job => pool,
                Some(pool) => {
                    self.shared.instruments.reloads.inc();
                    pool.follower.stop();
                    self.start(job, receiver, pool.inner)
                }
                None => {
                    self.shared.instruments.pools.inc();
                    self.start(job, receiver, Arc::default())
                }
            };
            pools.insert(name, pool);
        }
        for gone in before.into_values() {
            gone.follower.stop();
            lock(&gone.inner).loops.values().for_each(ScrapeLoop::end_target);
        }
    }

    /// Starts a pool; `former` holds the loops of the same job under its former configuration, which hand over.
    fn start(&self, job: JobConfig, mut receiver: TargetReceiver, former: Arc<Mutex<Inner>>) -> Pool {
        let (job, follower) = (Arc::new(job), self.shutdown.child());
        self.shared.instruments.target_limit.with(&[&job.name]).set(job.target_limit as f64);
        let inner: Arc<Mutex<Inner>> = Arc::default();
        let sync = Sync {
            shared: self.shared.clone(),
            job: job.clone(),
            inner: inner.clone(),
            refusal: Arc::default(),
            shutdown: self.shutdown.clone(),
        };
        let stop = follower.clone();
        follower.spawn("scrape", async move {
            let mut former = std::mem::take(&mut lock(&former).loops);
            let work = async {
                let mut groups = receiver.current();
                loop {
                    if let Some(groups) = groups {
                        sync.run(&groups, std::mem::take(&mut former));
                    }
                    groups = receiver.next().await;
                    if groups.is_none() {
                        std::future::pending::<()>().await;
                    }
                }
            };
            stop.until_stopped(work).await;
        });
        Pool { job, inner, follower }
    }

    /// Names of the jobs, in order.
    pub fn names(&self) -> Vec<String> {
        lock(&self.pools).keys().cloned().collect()
    }

    /// Every target that is visited, by job and URL.
    pub fn active(&self, pool: Option<&str>) -> Vec<Shown> {
        let pools = lock(&self.pools);
        let mut shown = Vec::new();
        for (name, own) in pools.iter().filter(|(name, _)| pool.is_none_or(|wanted| wanted == name.as_str())) {
            for one in lock(&own.inner).loops.values() {
                shown.push(Shown { pool: name.clone(), target: one.target.clone(), state: lock(&one.state).clone() });
            }
        }
        shown.sort_by(|a, b| (&a.pool, &a.target.labels).cmp(&(&b.pool, &b.target.labels)));
        shown
    }

    /// Dropped targets by job.
    pub fn dropped(&self, pool: Option<&str>) -> BTreeMap<String, ShownDropped> {
        let pools = lock(&self.pools);
        let wanted = pools.iter().filter(|(name, _)| pool.is_none_or(|wanted| wanted == name.as_str()));
        wanted.map(|(name, own)| (name.clone(), lock(&own.inner).dropped.clone())).collect()
    }
}

/// Brings one pool's loops in step with a set of groups.
struct Sync {
    shared: Arc<Shared>,
    job: Arc<JobConfig>,
    inner: Arc<Mutex<Inner>>,
    /// Why no target of the job may be visited; read by every loop.
    refusal: Arc<Mutex<Option<String>>>,
    shutdown: Shutdown,
}

impl Sync {
    fn run(&self, groups: &[TargetGroup], former: BTreeMap<u64, ScrapeLoop>) {
        self.shared.instruments.pool_syncs.with(&[&self.job.name]).inc();
        let (mut wanted, mut dropped, mut bad) = (BTreeMap::new(), ShownDropped::default(), BTreeSet::new());
        let keep = match self.job.keep_dropped_targets {
            0 => DROPPED_KEPT,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        for made in groups.iter().flat_map(|group| target::make(&self.job, group)) {
            match made {
                Made::Target(target) => {
                    wanted.insert(target.hash(), target);
                }
                Made::Dropped(labels) => {
                    dropped.count += 1;
                    if dropped.dropped.len() < keep {
                        dropped.dropped.push(labels);
                    }
                }
                Made::Bad(reason, labels) => {
                    bad.insert(format!("{reason} ({labels})"));
                }
            }
        }
        let mut inner = lock(&self.inner);
        for reason in bad.difference(&inner.bad) {
            tracing::error!(scrape_pool = %self.job.name, err = reason, "Creating target failed");
        }
        self.check_limit(wanted.len());
        (inner.dropped, inner.bad) = (dropped, bad);
        inner.loops.retain(|hash, running| {
            let stays = wanted.contains_key(hash);
            if !stays {
                running.end_target();
            }
            stays
        });
        let mut heirs = BTreeMap::new();
        for (hash, old) in &former {
            if wanted.contains_key(hash) {
                heirs.insert(*hash, old.hand_over());
            } else {
                old.end_target();
            }
        }
        for (hash, target) in wanted {
            inner.loops.entry(hash).or_insert_with(|| {
                ScrapeLoop::start(
                    self.shared.clone(),
                    self.job.clone(),
                    target,
                    self.refusal.clone(),
                    self.shutdown.child(),
                    heirs.remove(&hash),
                )
            });
        }
        self.shared.instruments.targets.with(&[&self.job.name]).set(inner.loops.len() as f64);
    }

    /// As the original: above `target_limit` every target of the job fails, each visit saying so.
    fn check_limit(&self, targets: usize) {
        let limit = self.job.target_limit;
        let over = limit > 0 && targets as u64 > limit;
        if over {
            self.shared.instruments.exceeded_target_limit.inc();
        }
        let said = over.then(|| format!("target_limit exceeded (number of targets: {targets}, limit: {limit})"));
        *lock(&self.refusal) = said;
    }
}
