//! Runs the providers of every job and keeps each job's full set of groups.
//!
//! A provider is one task with its own slot of the job's set; it always says its full set. On a reload a provider whose
//! configuration is equal goes on untouched, with its slot; the others are stopped and their slots emptied.
//! A set is published as soon as every provider of the job has spoken once or half a second has passed (so that a slow
//! Consul does not hold up a static list, and neither a start nor a reload publishes half a set for nothing); later ones at
//! once, then 100 ms apart, growing to `publish_interval` while changes go on.
//!
//! Limits: [`TARGETS_MAX`] targets a provider; what is more is left out, logged and counted.

use crate::config::ProviderConfig;
use crate::{consul, file};
use model::TargetGroup;
use runtime::clock::Clock;
use runtime::disk::Disk;
use runtime::instrument::{Counter, CounterVec, GaugeVec, Registry, Summary, SummaryVec};
use runtime::shutdown::Shutdown;
use runtime::target_channel::{self, TargetReceiver, TargetSender};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// Targets one provider may say: a catalogue that grows without bound must not take the process with it.
pub const TARGETS_MAX: usize = 200_000;

/// How long the first set of a job waits for its slowest provider.
const FIRST_SET_WAIT: Duration = Duration::from_millis(500);

/// The least pause between two publications of a job; each further one of a series waits half as long again.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// The value of label `name` in the manager's metrics, as the original's scrape discovery has it.
const NAME: &str = "scrape";

/// What all providers share.
#[derive(Clone)]
pub struct Settings {
    /// Time.
    pub clock: Clock,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Where the instruments are.
    pub registry: Registry,
    /// The pause between two publications of a job grows up to this while changes go on; the original's
    /// `--scrape.discovery-reload-interval`.
    pub publish_interval: Duration,
    /// Whether Consul providers ask again at once instead of after `refresh_interval` (settled 24: `isobar up`).
    pub follow_at_once: bool,
    /// Sent to Consul.
    pub user_agent: String,
}

/// Instruments of all providers, under the original's names where it has them.
#[derive(Clone)]
pub(crate) struct Instruments {
    pub(crate) file_read_errors: Counter,
    pub(crate) file_mtime: GaugeVec,
    pub(crate) file_scan: Summary,
    pub(crate) consul_failures: Counter,
    pub(crate) consul_duration: SummaryVec,
    targets: GaugeVec,
    last_update: GaugeVec,
    received: CounterVec,
    updates: CounterVec,
    left_out: Counter,
}

impl Instruments {
    fn new(registry: &Registry) -> Self {
        Instruments {
            file_read_errors: registry
                .counter("prometheus_sd_file_read_errors_total", "The number of File-SD read errors."),
            file_mtime: registry.gauge_vec(
                "prometheus_sd_file_mtime_seconds",
                "Timestamp (mtime) of files read by FileSD.",
                &["filename"],
            ),
            consul_failures: registry
                .counter("prometheus_sd_consul_rpc_failures_total", "The number of Consul RPC call failures."),
            file_scan: registry.summary(
                "prometheus_sd_file_scan_duration_seconds",
                "The duration of the File-SD scan in seconds.",
                &QUANTILES,
            ),
            consul_duration: registry.summary_vec(
                "prometheus_sd_consul_rpc_duration_seconds",
                "The duration of a Consul RPC call in seconds.",
                &QUANTILES,
                &["endpoint", "call"],
            ),
            last_update: registry.gauge_vec(
                "prometheus_sd_last_update_timestamp_seconds",
                "Timestamp of the last update sent to the SD consumers.",
                &["name", "config"],
            ),
            received: registry.counter_vec(
                "prometheus_sd_received_updates_total",
                "Total number of update events received from the SD providers.",
                &["name"],
            ),
            targets: registry.gauge_vec(
                "prometheus_sd_discovered_targets",
                "Current number of discovered targets.",
                &["name", "config"],
            ),
            updates: registry.counter_vec(
                "prometheus_sd_updates_total",
                "Total number of update events sent to the SD consumers.",
                &["name"],
            ),
            left_out: registry.counter(
                "isobar_sd_targets_left_out_total",
                "Targets that were left out because a provider said more than the limit.",
            ),
        }
    }
}

/// One job's set: a slot per provider, and the channel to the reader.
struct Job {
    name: String,
    slots: Mutex<BTreeMap<u64, Option<Vec<TargetGroup>>>>,
    changed: Notify,
    sender: TargetSender,
    instruments: Instruments,
}

impl Job {
    /// Whether every provider has spoken.
    fn is_complete(&self) -> bool {
        self.slots.lock().unwrap_or_else(|e| e.into_inner()).values().all(Option::is_some)
    }
}

/// Where a provider says its full set.
#[derive(Clone)]
pub(crate) struct Sink {
    job: Arc<Job>,
    slot: u64,
}

impl Sink {
    /// Replaces what this provider said before.
    pub(crate) fn set(&self, mut groups: Vec<TargetGroup>) {
        self.job.instruments.received.with(&[NAME]).inc();
        groups.sort_by(|a, b| a.source.cmp(&b.source));
        let said: usize = groups.iter().map(|group| group.targets.len()).sum();
        if said > TARGETS_MAX {
            let mut room = TARGETS_MAX;
            for group in &mut groups {
                group.targets.truncate(room);
                room -= group.targets.len();
            }
            self.job.instruments.left_out.add((said - TARGETS_MAX) as f64);
            tracing::warn!(job = %self.job.name, said, limit = TARGETS_MAX, "more targets than the limit: the rest is left out");
        }
        let mut slots = self.job.slots.lock().unwrap_or_else(|e| e.into_inner());
        // a provider that was stopped while it spoke has no slot any more
        if let Some(slot) = slots.get_mut(&self.slot) {
            if slot.as_ref() == Some(&groups) {
                return;
            }
            *slot = Some(groups);
            drop(slots);
            self.job.changed.notify_one();
        }
    }
}

struct Running {
    slot: u64,
    config: ProviderConfig,
    stop: Shutdown,
}

struct RunningJob {
    job: Arc<Job>,
    receiver: TargetReceiver,
    providers: Vec<Running>,
    publisher: Shutdown,
}

/// The providers of every job.
pub struct Manager {
    settings: Settings,
    instruments: Instruments,
    shutdown: Shutdown,
    jobs: BTreeMap<String, RunningJob>,
    next_slot: u64,
}

impl Manager {
    /// A manager without jobs; its tasks end with `shutdown`.
    pub fn new(settings: Settings, shutdown: Shutdown) -> Self {
        let instruments = Instruments::new(&settings.registry);
        Manager { settings, instruments, shutdown, jobs: BTreeMap::new(), next_slot: 0 }
    }

    /// Takes over a configuration: the providers of each job. Gives a receiver for every job; that of a job that was
    /// there before is the same channel as before.
    pub fn apply(&mut self, jobs: Vec<(String, Vec<ProviderConfig>)>) -> BTreeMap<String, TargetReceiver> {
        let mut before = std::mem::take(&mut self.jobs);
        let mut receivers = BTreeMap::new();
        for (name, wanted) in jobs {
            let running = match before.remove(&name) {
                Some(running) => self.reload(running, wanted),
                None => self.start(&name, wanted),
            };
            receivers.insert(name.clone(), running.receiver.clone());
            self.jobs.insert(name, running);
        }
        for gone in before.into_values() {
            gone.publisher.stop();
            gone.providers.iter().for_each(|provider| provider.stop.stop());
        }
        receivers
    }

    fn start(&mut self, name: &str, wanted: Vec<ProviderConfig>) -> RunningJob {
        let (sender, receiver) = target_channel::channel();
        let job = Arc::new(Job {
            name: name.to_owned(),
            slots: Mutex::new(BTreeMap::new()),
            changed: Notify::new(),
            sender,
            instruments: self.instruments.clone(),
        });
        let publisher = self.shutdown.child();
        let providers = wanted.into_iter().map(|config| self.provider(&job, config)).collect();
        publisher.spawn("discovery", publish(job.clone(), self.settings.clone(), publisher.clone()));
        RunningJob { job, receiver, providers, publisher }
    }

    fn reload(&mut self, mut running: RunningJob, wanted: Vec<ProviderConfig>) -> RunningJob {
        let mut kept = Vec::new();
        for config in wanted {
            match running.providers.iter().position(|provider| provider.config == config) {
                Some(at) => kept.push(running.providers.swap_remove(at)),
                None => kept.push(self.provider(&running.job, config)),
            }
        }
        let mut slots = running.job.slots.lock().unwrap_or_else(|e| e.into_inner());
        for gone in running.providers.drain(..) {
            gone.stop.stop();
            slots.remove(&gone.slot);
        }
        drop(slots);
        running.job.changed.notify_one();
        RunningJob { providers: kept, ..running }
    }

    fn provider(&mut self, job: &Arc<Job>, config: ProviderConfig) -> Running {
        let slot = self.next_slot;
        self.next_slot += 1;
        job.slots.lock().unwrap_or_else(|e| e.into_inner()).insert(slot, None);
        let (sink, stop) = (Sink { job: job.clone(), slot }, self.shutdown.child());
        match &config {
            ProviderConfig::Static(groups) => sink.set(groups.clone()),
            ProviderConfig::File(config) => {
                let work =
                    file::run(config.clone(), self.settings.clone(), self.instruments.clone(), sink, stop.clone());
                stop.spawn("discovery", work);
            }
            ProviderConfig::Consul(config) => {
                let work = consul::run(
                    (**config).clone(),
                    self.settings.clone(),
                    self.instruments.clone(),
                    sink,
                    stop.clone(),
                );
                stop.spawn("discovery", work);
            }
        }
        Running { slot, config, stop }
    }
}

/// Publishes a job's set whenever it changed.
async fn publish(job: Arc<Job>, settings: Settings, stop: Shutdown) {
    let clock = &settings.clock;
    let work = async {
        let mut pause = PAUSE_FIRST;
        loop {
            // at a start and after a reload: a set without what a new provider is about to say would take targets away
            let until = clock.instant() + FIRST_SET_WAIT;
            while !job.is_complete() && clock.deadline(until, job.changed.notified()).await.is_ok() {}
            send(&job, clock);
            let sent = clock.instant();
            clock.sleep(pause.min(settings.publish_interval)).await;
            job.changed.notified().await;
            let was_quiet = clock.elapsed(sent) > settings.publish_interval;
            pause = if was_quiet { PAUSE_FIRST } else { (pause * 3 / 2).min(settings.publish_interval) };
        }
    };
    stop.until_stopped(work).await;
    job.instruments.targets.remove(&[NAME, &job.name]);
    job.instruments.last_update.remove(&[NAME, &job.name]);
}

fn send(job: &Job, clock: &Clock) {
    let mut all = Vec::new();
    let slots = job.slots.lock().unwrap_or_else(|e| e.into_inner());
    for (slot, groups) in slots.iter() {
        // sources of two providers may be equal: the slot keeps them apart
        all.extend(
            groups
                .iter()
                .flatten()
                .cloned()
                .map(|group| TargetGroup { source: format!("{slot}/{}", group.source), ..group }),
        );
    }
    drop(slots);
    let targets: usize = all.iter().map(|group| group.targets.len()).sum();
    job.instruments.targets.with(&[NAME, &job.name]).set(targets as f64);
    job.instruments.last_update.with(&[NAME, &job.name]).set(clock.now().seconds());
    job.instruments.updates.with(&[NAME]).inc();
    job.sender.send(all);
}
