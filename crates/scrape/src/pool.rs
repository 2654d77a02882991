//! The pool of one job: its targets, and a loop for each.
//!
//! ```text
//! target channel ─► groups ─► resolve, relabel ─► by identity: kept loops go on, new ones start, gone ones end
//! reload         ─► config ─┘                     (equal configuration: nothing happens at all)
//! ```
//!
//! Who writes: the pool's task alone. Who reads: the API, under short locks.
//! Limits: `target_limit` (beyond it every target is down with that reason), [`DROPPED_MAX`] dropped targets listed.

use crate::buffers::Buffers;
use crate::config::ScrapeConfig;
use crate::instruments::Instruments;
use crate::scrape_loop::{Order, ScrapeLoop};
use crate::settings::Settings;
use crate::target::{Resolved, Target, lock, resolve};
use model::{Labels, TargetGroup};
use runtime::target_channel::{TargetGroups, TargetReceiver};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Dropped targets a pool lists at most, whatever `keep_dropped_targets` says; further ones are counted.
pub const DROPPED_MAX: usize = 10_000;

/// What a job's loops and the API share.
#[derive(Debug)]
pub struct JobState {
    config: Mutex<Arc<ScrapeConfig>>,
    forced_error: Mutex<Option<String>>,
    active: Mutex<Vec<Arc<Target>>>,
    dropped: Mutex<Dropped>,
}

/// Targets a rule dropped.
#[derive(Clone, Debug, Default)]
pub struct Dropped {
    /// Their labels before the rules.
    pub listed: Vec<Labels>,
    /// How many there are.
    pub count: usize,
}

impl JobState {
    fn new(config: Arc<ScrapeConfig>) -> Self {
        JobState {
            config: Mutex::new(config),
            forced_error: Mutex::default(),
            active: Mutex::default(),
            dropped: Mutex::default(),
        }
    }

    /// The configuration the next visits obey.
    pub fn config(&self) -> Arc<ScrapeConfig> {
        lock(&self.config).clone()
    }

    /// Why every visit fails, if so.
    pub fn forced_error(&self) -> Option<String> {
        lock(&self.forced_error).clone()
    }

    /// The targets that are visited.
    pub fn active(&self) -> Vec<Arc<Target>> {
        lock(&self.active).clone()
    }

    /// The targets that are not.
    pub fn dropped(&self) -> Dropped {
        lock(&self.dropped).clone()
    }
}

/// What a reload tells a pool.
pub(crate) type Update = (Arc<ScrapeConfig>, TargetReceiver);

/// The handle of a running pool; dropping it ends the pool and its targets.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) state: Arc<JobState>,
    updates: watch::Sender<Update>,
}

impl Pool {
    pub(crate) fn start(
        config: ScrapeConfig,
        targets: TargetReceiver,
        settings: &Settings,
        instruments: &Instruments,
        buffers: &Buffers,
    ) -> Self {
        let config = Arc::new(config);
        let state = Arc::new(JobState::new(config.clone()));
        let (updates, receiver) = watch::channel((config, targets.clone()));
        let task = PoolTask {
            state: state.clone(),
            settings: settings.clone(),
            instruments: instruments.clone(),
            buffers: buffers.clone(),
            loops: HashMap::new(),
            groups: None,
        };
        settings.shutdown.spawn("scrape", task.run(targets, receiver));
        Pool { state, updates }
    }

    /// Changes configuration and source; an equal configuration disturbs nothing.
    pub(crate) fn update(&self, config: ScrapeConfig, targets: TargetReceiver) -> bool {
        let current = self.state.config();
        let changed = *current != config;
        let config = if changed { Arc::new(config) } else { current };
        self.updates.send_replace((config, targets));
        changed
    }
}

struct Running {
    target: Arc<Target>,
    orders: watch::Sender<Order>,
}

struct PoolTask {
    state: Arc<JobState>,
    settings: Settings,
    instruments: Instruments,
    buffers: Buffers,
    loops: HashMap<u64, Running>,
    groups: Option<TargetGroups>,
}

impl PoolTask {
    async fn run(mut self, mut targets: TargetReceiver, mut updates: watch::Receiver<Update>) {
        let shutdown = self.settings.shutdown.clone();
        self.take_groups(targets.current());
        shutdown
            .until_stopped(async {
                loop {
                    tokio::select! {
                        changed = updates.changed() => {
                            if changed.is_err() {
                                return;
                            }
                            let (config, source) = updates.borrow_and_update().clone();
                            let same = Arc::ptr_eq(&*lock(&self.state.config), &config);
                            targets = source;
                            let groups = targets.current().or_else(|| self.groups.clone());
                            if !same {
                                *lock(&self.state.config) = config;
                                self.groups = None;
                            }
                            self.take_groups(groups);
                        }
                        groups = next_groups(&mut targets) => self.take_groups(Some(groups)),
                    }
                }
            })
            .await;
        // the loops see their orders' sender go and end, unless the whole process stops
        for running in self.loops.values() {
            running.orders.send_replace(Order::End);
        }
    }

    /// Makes the loops those of `groups`; the same set again is no work.
    fn take_groups(&mut self, groups: Option<TargetGroups>) {
        let Some(groups) = groups else { return };
        if self.groups.as_ref().is_some_and(|known| **known == *groups) {
            return;
        }
        let start = self.settings.clock.instant();
        self.sync(&groups);
        self.groups = Some(groups);
        let job = self.state.config().job_name.clone();
        self.instruments.syncs.with(&[&job]).inc();
        self.instruments.sync_length.with(&[&job]).observe_duration(self.settings.clock.elapsed(start));
    }

    fn sync(&mut self, groups: &[TargetGroup]) {
        let config = self.state.config();
        let mut wanted: HashMap<u64, Target> = HashMap::new();
        let mut dropped = Dropped::default();
        let kept = usize::try_from(config.keep_dropped_targets).unwrap_or(usize::MAX);
        let listed_max = if kept == 0 { DROPPED_MAX } else { kept.min(DROPPED_MAX) };
        for (group, own) in groups.iter().flat_map(|group| group.targets.iter().map(move |own| (group, own))) {
            match resolve(own, &group.labels, &config) {
                Ok(Resolved::Active(target)) => {
                    wanted.insert(target.hash, *target);
                }
                Ok(Resolved::Dropped(labels)) => {
                    dropped.count += 1;
                    if dropped.listed.len() < listed_max {
                        dropped.listed.push(labels);
                    } else {
                        self.instruments.dropped_left_out.inc();
                    }
                }
                Err(reason) => {
                    self.instruments.syncs_failed.with(&[&config.job_name]).inc();
                    tracing::error!(job = %config.job_name, source = %group.source, labels = %own, reason, "cannot create target");
                }
            }
        }
        *lock(&self.state.dropped) = dropped;
        self.check_limit(&config, wanted.len());
        self.start_and_end(wanted);
        let mut active: Vec<Arc<Target>> = self.loops.values().map(|running| running.target.clone()).collect();
        active.sort_by(|a, b| a.labels.cmp(&b.labels).then_with(|| a.url.cmp(&b.url)));
        self.instruments.targets.with(&[&config.job_name]).set(active.len() as f64);
        *lock(&self.state.active) = active;
    }

    fn check_limit(&self, config: &ScrapeConfig, count: usize) {
        let limit = config.limits.targets;
        self.instruments.target_limit.with(&[&config.job_name]).set(limit as f64);
        let over = limit > 0 && count as u64 > limit;
        let reason = format!("target_limit exceeded (number of targets: {count}, limit: {limit})");
        if over {
            self.instruments.exceeded_targets.inc();
        }
        *lock(&self.state.forced_error) = over.then_some(reason);
    }

    fn start_and_end(&mut self, wanted: HashMap<u64, Target>) {
        self.loops.retain(|hash, running| {
            let stays = wanted.contains_key(hash);
            if !stays {
                running.orders.send_replace(Order::End);
            }
            stays
        });
        for (hash, target) in wanted {
            if let Some(running) = self.loops.get(&hash) {
                running.target.set_discovered(target.discovered());
                continue;
            }
            let target = Arc::new(target);
            let (orders, receiver) = watch::channel(Order::Visit);
            let scrape_loop = ScrapeLoop {
                target: target.clone(),
                job: self.state.clone(),
                settings: self.settings.clone(),
                instruments: self.instruments.clone(),
                buffers: self.buffers.clone(),
                orders: receiver,
            };
            self.settings.shutdown.spawn("scrape", scrape_loop.run());
            self.loops.insert(hash, Running { target, orders });
        }
    }
}

/// The next set; for ever pending once nobody can send one.
async fn next_groups(targets: &mut TargetReceiver) -> TargetGroups {
    match targets.next().await {
        Some(groups) => groups,
        None => std::future::pending().await,
    }
}
