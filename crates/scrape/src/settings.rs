//! What all pools of a process share.

use model::Labels;
use runtime::clock::Clock;
use runtime::cpu::CpuPool;
use runtime::instrument::Registry;
use runtime::limit::HeapTrim;
use runtime::shutdown::Shutdown;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use storage::Append;

/// Visits more often for a while after the start: what `isobar up` does with the targets it brought itself.
#[derive(Clone)]
pub struct Eager {
    /// How often.
    pub period: Duration,
    /// For how long.
    pub lasting: Duration,
    /// Which targets, by their labels.
    pub applies: Arc<dyn Fn(&Labels) -> bool + Send + Sync>,
}

/// What all pools share. Cheap to clone.
#[derive(Clone)]
pub struct Settings {
    /// Time.
    pub clock: Clock,
    /// Where samples go.
    pub store: Arc<dyn Append>,
    /// Where bodies above 16 kB are read; without one they are read on the IO runtime.
    pub cpu: Option<Arc<CpuPool>>,
    /// Called after a body of some megabytes was let go.
    pub trim: HeapTrim,
    /// Stops every loop; series stay open then.
    pub shutdown: Shutdown,
    /// Where the instruments are.
    pub registry: Registry,
    /// `Prometheus/<version>`, or ours.
    pub user_agent: String,
    /// See [`crate::target::offset_seed`].
    pub offset_seed: u64,
    /// Keys the hashes of known lines; any number that a target cannot guess.
    pub line_seed: u64,
    /// A new target is visited at once, and then at its offset.
    pub visit_at_once: bool,
    /// More visits after the start.
    pub eager: Option<Eager>,
}

impl Settings {
    pub(crate) fn eager_for(&self, labels: &Labels) -> Option<Eager> {
        self.eager.clone().filter(|eager| (eager.applies)(labels))
    }
}

impl fmt::Debug for Eager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eager").field("period", &self.period).field("lasting", &self.lasting).finish_non_exhaustive()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("visit_at_once", &self.visit_at_once).finish_non_exhaustive()
    }
}
