//! The tasks behind the checks: begun and ended as checks are registered and deregistered.

use super::definition::{Definition, Probe};
use super::outcome::{Outcome, Streak};
use super::probe;
use crate::catalog::{Check, Folded, Key, Status};
use crate::command::Command;
use crate::state::State;
use crate::store::Store;
use net::client::Client;
use parking_lot::Mutex;
use rand::RngExt;
use runtime::clock::Instant;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

/// The first run comes within this time, or within the interval if that is shorter: a registration is judged soon, and
/// a hundred registrations are not judged at once.
const FIRST_RUN_WITHIN: Duration = Duration::from_secs(1);
/// An outcome that could not be kept is told again after this time.
const RETRY: Duration = Duration::from_secs(1);
/// How often critical services and held back outputs are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Numbers for the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunnerStats {
    /// Runs since the start.
    pub runs: u64,
    /// Services deregistered because they were critical for too long.
    pub reaped: u64,
    /// Checks that have a task now.
    pub tasks: usize,
}

/// See [`crate::check`].
#[derive(Debug)]
pub struct Runner {
    store: Arc<Store>,
    client: Client,
    node_name: String,
    check_update_interval: Duration,
    slots: Semaphore,
    tasks: Mutex<HashMap<String, CheckTask>>,
    runs: AtomicU64,
    reaped: AtomicU64,
}

#[derive(Debug)]
struct CheckTask {
    task: AbortHandle,
    /// For TTL checks: when it expires.
    expires: Option<watch::Sender<Instant>>,
}

impl Drop for CheckTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Runner {
    /// A runner of the store's checks; does nothing before [`Runner::run`].
    pub fn new(store: Arc<Store>, config: &crate::config::Config) -> Arc<Runner> {
        Arc::new(Runner {
            client: Client::new(store.clock().clone()),
            store,
            node_name: config.node_name.clone(),
            check_update_interval: config.check_update_interval,
            slots: Semaphore::new(config.limits.running_checks),
            tasks: Mutex::new(HashMap::new()),
            runs: AtomicU64::new(0),
            reaped: AtomicU64::new(0),
        })
    }

    /// Begins and ends checks for ever; when this future is dropped every check's task ends.
    pub async fn run(self: Arc<Self>) {
        let _ends = EndTasks(&self.tasks);
        let clock = self.store.clock().clone();
        let mut housekeeping = clock.interval(clock.instant() + HOUSEKEEPING, HOUSEKEEPING);
        let mut keeper = Housekeeper::default();
        loop {
            tokio::select! {
                effects = self.store.next_effects() => {
                    for (id, begins) in effects {
                        self.tasks.lock().remove(&id);
                        if begins {
                            self.begin(&id);
                        }
                    }
                }
                _ = housekeeping.tick() => keeper.look(&self),
            }
        }
    }

    /// Numbers for the metrics.
    pub fn stats(&self) -> RunnerStats {
        RunnerStats {
            runs: self.runs.load(Ordering::Relaxed),
            reaped: self.reaped.load(Ordering::Relaxed),
            tasks: self.tasks.lock().len(),
        }
    }

    /// A TTL check reported: its time begins anew.
    pub fn reported(&self, id: &str) {
        let ttl = self.store.read(|state| ttl_of(state, id));
        if let (Some(ttl), Some(task)) = (ttl, self.tasks.lock().get(id))
            && let Some(expires) = &task.expires
        {
            expires.send_replace(self.store.clock().instant() + ttl);
        }
    }

    fn begin(self: &Arc<Self>, id: &str) {
        let Some(definition) = self.store.read(|state| definition_of(state, id)) else { return };
        let (runner, check) = (Arc::clone(self), id.to_owned());
        let mut expires = None;
        let task = match &definition.probe {
            Probe::Maintenance => return,
            Probe::Ttl(ttl) => {
                let (sender, receiver) = watch::channel(self.store.clock().instant() + *ttl);
                expires = Some(sender);
                tokio::spawn(async move { runner.wait_for_reports(&check, receiver).await })
            }
            Probe::Alias { .. } => tokio::spawn(async move { runner.follow(&check, &definition).await }),
            Probe::Http(_) | Probe::Tcp(_) | Probe::Grpc { .. } => {
                tokio::spawn(async move { runner.repeat(&check, &definition).await })
            }
        };
        let task = CheckTask { task: task.abort_handle(), expires };
        self.tasks.lock().insert(id.to_owned(), task);
    }

    async fn repeat(&self, id: &str, definition: &Definition) {
        let clock = self.store.clock();
        let within = definition.interval.min(FIRST_RUN_WITHIN);
        let first = clock.instant() + within.mul_f64(rand::rng().random_range(0.0..1.0));
        let mut rhythm = clock.interval(first, definition.interval);
        let mut streak = Streak::default();
        loop {
            rhythm.tick().await;
            let Ok(slot) = self.slots.acquire().await else { return };
            let outcome = probe::run(&self.client, definition).await;
            drop(slot);
            self.runs.fetch_add(1, Ordering::Relaxed);
            if let Some(outcome) = streak.judge(definition, outcome) {
                self.report(id, outcome);
            }
        }
    }

    async fn wait_for_reports(&self, id: &str, mut expires: watch::Receiver<Instant>) {
        loop {
            let until = *expires.borrow_and_update();
            self.store.clock().sleep_until(until).await;
            if *expires.borrow() > until {
                continue;
            }
            let last = self.store.read(|state| state.agent.checks.get(id).map(|local| local.check.output.clone()));
            let output = match last.as_deref() {
                None | Some("") => "TTL expired".to_owned(),
                Some(last) if last.starts_with("TTL expired") => last.to_owned(),
                Some(last) => format!("TTL expired (last output before timeout follows): {last}"),
            };
            if !self.report(id, probe::critical(output)) {
                self.store.clock().sleep(RETRY).await;
                continue;
            }
            if expires.changed().await.is_err() {
                return;
            }
        }
    }

    async fn follow(&self, id: &str, definition: &Definition) {
        let Probe::Alias { node, service } = &definition.probe else { return };
        let node = if node.is_empty() { &self.node_name } else { node };
        let mut seen = None;
        loop {
            let (outcome, mark, key) = self.store.read(|state| alias(state, id, node, service));
            if seen != Some(mark) && !self.report(id, outcome) {
                self.store.clock().sleep(RETRY).await;
                continue;
            }
            seen = Some(mark);
            let moved = |state: &State| alias(state, id, node, service).1 != mark;
            self.store.changed(vec![key, Key::Node(Folded::of(node))], moved).await;
        }
    }

    /// False when the store did not take it: the log is busy, or failed.
    fn report(&self, id: &str, outcome: Outcome) -> bool {
        let command = Command::CheckState { id: id.to_owned(), status: outcome.status, output: outcome.output };
        match self.store.note(command) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(check = id, %error, "cannot keep the outcome of a check");
                false
            }
        }
    }
}

struct EndTasks<'a>(&'a Mutex<HashMap<String, CheckTask>>);

impl Drop for EndTasks<'_> {
    fn drop(&mut self) {
        self.0.lock().clear();
    }
}

fn definition_of(state: &State, id: &str) -> Option<Definition> {
    state.agent.checks.get(id).map(|local| local.definition.clone())
}

fn ttl_of(state: &State, id: &str) -> Option<Duration> {
    match state.agent.checks.get(id)?.definition.probe {
        Probe::Ttl(ttl) => Some(ttl),
        _ => None,
    }
}

/// What an alias says, a mark that moves when what it looks at does, and the key to wait for.
/// A node is followed in its own checks; a service in its own checks and its node's, but for other aliases: two that look
/// at each other could never recover. For the same reason the alias itself does not count.
fn alias(state: &State, id: &str, node: &str, service: &str) -> (Outcome, (u64, usize), Key) {
    let catalog = &state.catalog;
    let name = catalog.service(node, service).map(|service| Folded::of(&service.name));
    if !service.is_empty() && name.is_none() {
        let output = format!("Service {service} could not be found on node {node}");
        return (probe::critical(output), (0, 0), Key::Services);
    }
    let key = name.map_or(Key::NodeChecks(Folded::of(node)), Key::Health);
    let counts = |check: &&Check| {
        check.id != id && (check.service_id == service || (check.service_id.is_empty() && check.kind != "alias"))
    };
    let mut worst = Outcome { status: Status::Passing, output: "All checks passing.".to_owned() };
    let mut mark = (1, 0);
    for check in catalog.node_checks(node).1.filter(counts) {
        mark = (check.modify_index.max(mark.0), mark.1 + 1);
        if check.status.severity() > worst.status.severity() {
            let word = if check.status == Status::Warning { "warning" } else { "failing" };
            let output = format!("Aliased check {:?} {word}: {}", check.name, check.output);
            worst = Outcome { status: check.status.clone(), output };
        }
    }
    (worst, mark, key)
}

/// Reaps services that were critical for too long, and shows outputs that were held back for long enough.
#[derive(Debug, Default)]
struct Housekeeper {
    critical_since: BTreeMap<String, Instant>,
    held_since: BTreeMap<String, Instant>,
}

impl Housekeeper {
    fn look(&mut self, runner: &Runner) {
        let now = runner.store.clock().instant();
        let (critical, held) = runner.store.read(|state| {
            let checks = || state.agent.checks.iter();
            let critical = checks().filter_map(|(id, local)| {
                let after = local.definition.deregister_after?;
                let counts = local.check.status == Status::Critical && !local.check.service_id.is_empty();
                counts.then(|| (id.clone(), (after, local.check.service_id.clone())))
            });
            let held = checks().filter(|(id, local)| {
                let shown = state.catalog.check(&runner.node_name, id);
                shown.is_some_and(|shown| shown.output != local.check.output)
            });
            let held = held.map(|(id, local)| (id.clone(), local.check.output.clone()));
            (critical.collect::<BTreeMap<_, _>>(), held.collect::<BTreeMap<_, _>>())
        });
        since(&mut self.critical_since, &critical, now);
        since(&mut self.held_since, &held, now);
        for (id, (after, service)) in &critical {
            if now.since(self.critical_since[id]) >= *after {
                tracing::info!(%service, check = %id, "deregistering a service that was critical for too long");
                if runner.store.note(Command::ServiceDown { id: service.clone() }).is_ok() {
                    runner.reaped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        for (id, output) in held {
            if now.since(self.held_since[&id]) >= runner.check_update_interval
                && let Err(error) = runner.store.note(Command::SyncOutput { id: id.clone(), output })
            {
                tracing::debug!(check = %id, %error, "cannot show the output of a check");
            }
        }
    }
}

/// Keeps the first moment of what is still so, and begins the others now.
fn since<T>(times: &mut BTreeMap<String, Instant>, now_true: &BTreeMap<String, T>, now: Instant) {
    times.retain(|id, _| now_true.contains_key(id));
    for id in now_true.keys() {
        times.entry(id.clone()).or_insert(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::LocalCheck;
    use crate::catalog::Service;
    use crate::config::Config;
    use model::Timestamp;
    use runtime::clock::Clock;
    use runtime::disk::SimDisk;

    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    /// A registry in its own time, with one service `web` and its TTL check `c`, passing.
    async fn world(deregister_after: Option<Duration>) -> (Clock, Arc<Store>, Arc<Runner>) {
        let clock = Clock::manual(Timestamp(0));
        let config = Config { data_dir: "/data".into(), node_name: "n1".to_owned(), ..Config::default() };
        let (store, _) = Store::open(&config, Arc::new(SimDisk::new()), clock.clone()).unwrap();
        let node = crate::catalog::Node { name: "n1".to_owned(), ..Default::default() };
        let server = Service { id: "consul".to_owned(), name: "consul".to_owned(), ..Default::default() };
        store.propose(Command::Start { node, server }).await.unwrap();
        let runner = Runner::new(Arc::clone(&store), &config);
        tokio::spawn(Arc::clone(&runner).run());
        let mut check = Check::new("", "c", "c");
        check.status = Status::Passing;
        let definition = Definition { deregister_after, ..Definition::new(Probe::Ttl(Duration::from_secs(30))) };
        let service = Service { id: "web".to_owned(), name: "web".to_owned(), ..Default::default() };
        let checks = vec![LocalCheck { check, definition }];
        store.propose(Command::ServiceUp { service, checks, replace: false }).await.unwrap();
        settle().await;
        (clock, store, runner)
    }

    async fn pass(clock: &Clock, seconds: u64) {
        for _ in 0..seconds {
            clock.advance(Duration::from_secs(1));
            settle().await;
        }
    }

    fn status(store: &Store) -> Option<Status> {
        store.read(|state| state.catalog.check("n1", "c").map(|check| check.status.clone()))
    }

    #[tokio::test]
    async fn a_service_that_no_longer_reports_is_critical_then_gone() {
        let (clock, store, runner) = world(Some(Duration::from_secs(60))).await;
        pass(&clock, 29).await;
        assert_eq!(status(&store), Some(Status::Passing));
        runner.reported("c");
        pass(&clock, 29).await;
        assert_eq!(status(&store), Some(Status::Passing), "a report begins the time anew");
        pass(&clock, 2).await;
        assert_eq!(status(&store), Some(Status::Critical));
        pass(&clock, 55).await;
        assert_eq!(status(&store), Some(Status::Critical), "not before its minute");
        pass(&clock, 30).await;
        assert_eq!((status(&store), runner.stats().reaped, runner.stats().tasks), (None, 1, 0));
    }

    #[tokio::test]
    async fn an_output_alone_reaches_the_catalog_later() {
        let (clock, store, runner) = world(None).await;
        let said = |output: &str| Command::CheckState {
            id: "c".to_owned(),
            status: Status::Passing,
            output: output.to_owned(),
        };
        let shown = || store.read(|state| state.catalog.check("n1", "c").map(|check| check.output.clone()));
        store.note(said("busy")).unwrap();
        for _ in 0..11 {
            runner.reported("c");
            pass(&clock, 25).await;
        }
        assert_eq!(shown().as_deref(), Some(""), "held back");
        let index = store.read(|state| state.catalog.index());
        for _ in 0..4 {
            runner.reported("c");
            pass(&clock, 25).await;
        }
        assert_eq!(shown().as_deref(), Some("busy"));
        assert_eq!(store.read(|state| state.catalog.index()), index + 1);
    }
}
