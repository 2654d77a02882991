//! The state with its log, its waiters, and the checks that hang on it.
//!
//! ```text
//! propose(command) ─ lock ─► admit ─► log.append ─► apply ─► wake waiters ─ unlock ─► ticket.wait ─► Ok
//! blocking(index)  ─ lock ─► evaluate; not newer? register a waiter ─ unlock ─► woken or wait over ─► again
//! ```
//!
//! One lock for state and waiters, held for one command or one evaluation, never across an await.
//! A command is applied before it is on disk but acknowledged after: a reader may see for the time of an fdatasync what
//! a power loss (not a kill) could still take back.
//! When the log is poisoned every command is refused and queries go on.

use crate::catalog::Key;
use crate::command::{Command, KIND};
use crate::config::{Config, Limits};
use crate::state::{Effects, Refusal, State};
use crate::watch::{Waiter, Watches};
use parking_lot::Mutex;
use rand::RngExt;
use runtime::clock::{Clock, Instant};
use runtime::disk::SharedDisk;
use runtime::log::{Entry, Log, LogError, LogOptions, LogStats, Recovery};
use runtime::ticket::NotDurable;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Notify;

/// Why a write was not done, or is not safe.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The caller's fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log would not take it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log took it, and then failed.
    #[error(transparent)]
    NotDurable(#[from] NotDurable),
}

/// Too many queries wait.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too many blocking queries: the limit is {0}")]
pub struct TooManyWaiting(pub usize);

/// How long a query is willing to wait for something newer than an index.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait {
    /// The index seen last; 0: answer at once.
    pub index: u64,
    /// Longest wait; zero: the default.
    pub longest: Duration,
}

/// A wait that was not given.
pub const WAIT_DEFAULT: Duration = Duration::from_secs(300);
/// The pause after a snapshot that failed, and its limit after many.
const SNAPSHOT_PAUSE: Duration = Duration::from_secs(1);
const SNAPSHOT_PAUSE_MAX: Duration = Duration::from_secs(600);
/// The longest wait.
pub const WAIT_MAX: Duration = Duration::from_secs(600);

/// Numbers for the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreStats {
    /// Nodes, service instances, checks in the catalog.
    pub catalog: (usize, usize, usize),
    /// Services and checks of this agent.
    pub agent: (usize, usize),
    /// Queries waiting now.
    pub blocking: usize,
    /// Queries refused because too many waited.
    pub blocking_refused: u64,
    /// Index of the last change.
    pub index: u64,
    /// Commands applied since the start.
    pub commands: u64,
    /// Snapshots that could not be written.
    pub snapshots_failed: u64,
    /// The log's.
    pub log: LogStats,
    /// Whether the log takes anything.
    pub poisoned: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Store {
    inner: Mutex<Inner>,
    log: Log,
    clock: Clock,
    limits: Limits,
    /// Tells the check runner that something begins or ends.
    effects_ready: Notify,
    blocking: AtomicUsize,
    blocking_refused: AtomicU64,
    commands: AtomicU64,
    snapshots_failed: AtomicU64,
    snapshots: Mutex<Snapshots>,
}

/// Whether a snapshot is being written, and when the next one may be tried.
#[derive(Debug, Default)]
struct Snapshots {
    running: bool,
    /// How many failed in a row.
    failed: u32,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    watches: Watches,
    /// Checks that begin (true) or end, until the runner takes them; one entry per check.
    effects: BTreeMap<String, bool>,
}

impl Inner {
    fn take_effects(&mut self, effects: Effects) -> bool {
        let any = effects != Effects::default();
        self.effects.extend(effects.start.into_iter().map(|id| (id, true)));
        self.effects.extend(effects.stop.into_iter().map(|id| (id, false)));
        any
    }
}

impl Store {
    /// Opens the log in `<data-dir>/log` and replays it; every check that was there begins.
    pub fn open(config: &Config, disk: SharedDisk, clock: Clock) -> Result<(Arc<Store>, Recovery), LogError> {
        // a registration stands for itself: one that is damaged must not take those behind it along
        let options = LogOptions { name: "registry", skip_damaged: true, ..LogOptions::default() };
        Store::open_with(config, disk, clock, options)
    }

    fn open_with(
        config: &Config,
        disk: SharedDisk,
        clock: Clock,
        options: LogOptions,
    ) -> Result<(Arc<Store>, Recovery), LogError> {
        let mut state = State::new();
        let dir = config.data_dir.join("log");
        let (log, recovery) = Log::open(disk, &dir, options, &mut |entry| replay(&mut state, entry))?;
        state.catalog.take_touched();
        let effects = state.agent.checks.keys().map(|id| (id.clone(), true)).collect();
        let store = Store {
            inner: Mutex::new(Inner { state, watches: Watches::default(), effects }),
            log,
            clock,
            limits: config.limits.clone(),
            effects_ready: Notify::new(),
            blocking: AtomicUsize::new(0),
            blocking_refused: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            snapshots_failed: AtomicU64::new(0),
            snapshots: Mutex::new(Snapshots::default()),
        };
        Ok((Arc::new(store), recovery))
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.inner.lock().state)
    }

    /// Carries out a command; returns when it is on disk.
    pub async fn propose(self: &Arc<Self>, command: Command) -> Result<(), WriteError> {
        let ticket = self.take(command)?;
        ticket.wait().await?;
        self.snapshot_if_due();
        Ok(())
    }

    /// Carries out a command that nobody waits for: the outcome of a check. One that brings the status that is known
    /// already only changes the output, in memory.
    pub(crate) fn note(self: &Arc<Self>, command: Command) -> Result<(), WriteError> {
        if let Command::CheckState { id, status, output } = &command {
            let mut inner = self.inner.lock();
            if inner.state.agent.checks.get(id).is_none_or(|local| local.check.status == *status) {
                inner.state.set_output(id, output.clone());
                return Ok(());
            }
        }
        self.take(command)?;
        self.snapshot_if_due();
        Ok(())
    }

    fn take(&self, command: Command) -> Result<runtime::ticket::Ticket, WriteError> {
        let mut inner = self.inner.lock();
        inner.state.admit(&command, &self.limits)?;
        if let Some(reason) = self.log.poisoned() {
            return Err(LogError::Poisoned(reason).into());
        }
        if inner.state.is_settled(&command) {
            if let Command::ServiceUp { checks, .. } = command {
                // a service that registers again is alive: its TTLs begin anew
                let start = checks.into_iter().map(|local| local.check.id).collect();
                inner.take_effects(Effects { start, stop: Vec::new() });
                self.effects_ready.notify_one();
            }
            return Ok(self.log.ticket_of_last());
        }
        let payload = serde_json::to_vec(&command).expect("commands are plain data with text keys");
        let (_, ticket) = self.log.append(KIND, &payload)?;
        let effects = inner.state.apply(command);
        let touched = inner.state.catalog.take_touched();
        inner.watches.wake(&touched);
        if inner.take_effects(effects) {
            self.effects_ready.notify_one();
        }
        drop(inner);
        self.commands.fetch_add(1, Ordering::Relaxed);
        Ok(ticket)
    }

    /// Evaluates a query until its index is above the one asked with, or the time is over. At the end of the time the
    /// index is the one of the last evaluation: a change that woke nobody does not show.
    pub async fn blocking<T>(
        &self,
        wait: Wait,
        evaluate: impl Fn(&State) -> (u64, Vec<Key>, T),
    ) -> Result<(u64, T), TooManyWaiting> {
        let mut deadline = None;
        let mut place = None;
        loop {
            let (index, waiter) = {
                let mut inner = self.inner.lock();
                let (index, keys, answer) = evaluate(&inner.state);
                // an index of 0 would make clients spin
                let index = index.max(1);
                if wait.index == 0 || index > wait.index {
                    return Ok((index, answer));
                }
                (index, WaitGuard { store: self, waiter: inner.watches.add(keys) })
            };
            if place.is_none() {
                place = Some(self.enter()?);
            }
            let until = *deadline.get_or_insert_with(|| self.clock.instant() + with_jitter(wait.longest));
            tokio::select! {
                biased;
                () = waiter.waiter.woken.notified() => {}
                () = self.clock.sleep_until(until) => {
                    drop(waiter);
                    let (_, _, answer) = self.read(&evaluate);
                    return Ok((index, answer));
                }
            }
        }
    }

    /// Waits until something a key stands for is written.
    pub(crate) async fn changed(&self, keys: Vec<Key>, seen: impl FnOnce(&State) -> bool) {
        let waiter = {
            let mut inner = self.inner.lock();
            if seen(&inner.state) {
                return;
            }
            WaitGuard { store: self, waiter: inner.watches.add(keys) }
        };
        waiter.waiter.woken.notified().await;
    }

    /// Waits for checks to begin (true) or end.
    pub(crate) async fn next_effects(&self) -> BTreeMap<String, bool> {
        loop {
            let effects = std::mem::take(&mut self.inner.lock().effects);
            if !effects.is_empty() {
                return effects;
            }
            self.effects_ready.notified().await;
        }
    }

    fn enter(&self) -> Result<Place<'_>, TooManyWaiting> {
        let limit = self.limits.blocking_queries;
        if self.blocking.fetch_add(1, Ordering::Relaxed) >= limit {
            self.blocking.fetch_sub(1, Ordering::Relaxed);
            self.blocking_refused.fetch_add(1, Ordering::Relaxed);
            return Err(TooManyWaiting(limit));
        }
        Ok(Place(&self.blocking))
    }

    /// Writes a snapshot in the background when enough was logged since the last. After one that failed there is a pause,
    /// each time twice as long: where there is no room, every write would try again.
    fn snapshot_if_due(self: &Arc<Self>) {
        if self.log.stats().bytes_since_snapshot < self.limits.log_bytes_per_snapshot {
            return;
        }
        let mut snapshots = self.snapshots.lock();
        if snapshots.running || snapshots.not_before.is_some_and(|at| self.clock.instant() < at) {
            return;
        }
        snapshots.running = true;
        drop(snapshots);
        let store = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let outcome = store.snapshot();
            let mut snapshots = store.snapshots.lock();
            snapshots.running = false;
            match outcome {
                Ok(()) => (snapshots.failed, snapshots.not_before) = (0, None),
                Err(error) => {
                    let pause = SNAPSHOT_PAUSE.saturating_mul(1 << snapshots.failed.min(10)).min(SNAPSHOT_PAUSE_MAX);
                    snapshots.failed = snapshots.failed.saturating_add(1);
                    snapshots.not_before = Some(store.clock.instant() + pause);
                    store.snapshots_failed.fetch_add(1, Ordering::Relaxed);
                    let again_in = pause.as_secs();
                    tracing::warn!(%error, again_in, "cannot write a snapshot of the registry; its log stays longer");
                }
            }
        });
    }

    fn snapshot(&self) -> Result<(), LogError> {
        let (lsn, body, ticket) = {
            let inner = self.inner.lock();
            let body = serde_json::to_vec(&inner.state).expect("the state is plain data with text keys");
            (self.log.last(), body, self.log.ticket_of_last())
        };
        ticket.wait_blocking().map_err(|e| LogError::Poisoned(e.0))?;
        self.log.snapshot(lsn, &body)
    }

    /// Numbers for the metrics.
    pub fn stats(&self) -> StoreStats {
        let (catalog, agent, index) = self.read(|state| {
            (state.catalog.counts(), (state.agent.services.len(), state.agent.checks.len()), state.catalog.index())
        });
        StoreStats {
            catalog,
            agent,
            index,
            blocking: self.blocking.load(Ordering::Relaxed),
            blocking_refused: self.blocking_refused.load(Ordering::Relaxed),
            commands: self.commands.load(Ordering::Relaxed),
            snapshots_failed: self.snapshots_failed.load(Ordering::Relaxed),
            log: self.log.stats(),
            poisoned: self.log.poisoned().is_some(),
        }
    }

    /// The clock everything here runs by.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}

fn replay(state: &mut State, entry: Entry<'_>) -> Result<(), String> {
    match entry {
        Entry::Snapshot { body, .. } => {
            let snapshot: State = serde_json::from_slice(body).map_err(|e| format!("snapshot: {e}"))?;
            *state = snapshot.restored();
        }
        Entry::Record { kind: KIND, payload, .. } => {
            let command = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
            state.apply(command);
        }
        Entry::Record { kind, .. } => return Err(format!("record of kind {kind} was written by a newer version")),
    }
    Ok(())
}

/// A sixteenth at random keeps waiters that began together from ending together.
fn with_jitter(longest: Duration) -> Duration {
    let longest = if longest.is_zero() { WAIT_DEFAULT } else { longest.min(WAIT_MAX) };
    longest + longest.mul_f64(rand::rng().random_range(0.0..1.0 / 16.0))
}

struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes the waiter out again, whether it was woken, timed out, or its client went away.
struct WaitGuard<'a> {
    store: &'a Store,
    waiter: Waiter,
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.store.inner.lock().watches.remove(self.waiter.number, &self.waiter.keys);
    }
}

#[cfg(test)]
mod tests;
