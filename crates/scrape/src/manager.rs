//! The pools of all jobs, and what a reload does to them.
//!
//! Invariant: a job whose configuration is equal after a reload keeps its loops, connections and line caches; its target
//! channel may be another one.

use crate::buffers::Buffers;
use crate::config::ScrapeConfig;
use crate::instruments::Instruments;
use crate::pool::{JobState, Pool};
use crate::settings::Settings;
use crate::target::lock;
use runtime::target_channel::TargetReceiver;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The pools of all jobs; clones share them.
#[derive(Clone, Debug)]
pub struct Manager(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    instruments: Instruments,
    buffers: Buffers,
    pools: Mutex<BTreeMap<String, Pool>>,
}

impl Manager {
    /// A manager without jobs.
    pub fn new(settings: Settings) -> Self {
        let instruments = Instruments::new(&settings.registry);
        let buffers = Buffers::new(settings.trim.clone());
        Manager(Arc::new(Inner { settings, instruments, buffers, pools: Mutex::default() }))
    }

    /// Makes the pools those of `jobs`, each with the channel its targets come by. Needs a running tokio runtime.
    pub fn apply(&self, jobs: Vec<(ScrapeConfig, TargetReceiver)>) {
        let inner = &self.0;
        let mut pools = lock(&inner.pools);
        pools.retain(|name, _| jobs.iter().any(|(config, _)| config.job_name == *name));
        for (config, targets) in jobs {
            if let Some(pool) = pools.get(&config.job_name) {
                if pool.update(config, targets) {
                    inner.instruments.reloads.inc();
                }
                continue;
            }
            inner.instruments.pools.inc();
            let name = config.job_name.clone();
            let pool = Pool::start(config, targets, &inner.settings, &inner.instruments, &inner.buffers);
            pools.insert(name, pool);
        }
    }

    /// Every job's name and state, by name.
    pub fn jobs(&self) -> Vec<(String, Arc<JobState>)> {
        lock(&self.0.pools).iter().map(|(name, pool)| (name.clone(), pool.state.clone())).collect()
    }
}
