//! The CPU pool: where work longer than about 100 µs runs, so that the IO runtime never waits for it.
//!
//! ```text
//!            ┌ ingest       one scrape body …          always first
//! run() ───► │ interactive  one query …                both take any general thread
//!            └ background   compaction, retention …    at most half of the threads (at least one)
//!
//! threads = cores general ones + 1 that serves ingest alone: a heavy query can use every core, and a scrape still
//! starts at once (the operating system shares the core between the two)
//! ```
//!
//! Cancellation: dropping the future that [`CpuPool::run`] returned raises the job's [`Cancel`]. A job that has not started
//! is then skipped; a running one sees the flag. Limits: `queue_max` waiting jobs in each priority, beyond that
//! [`CpuError::Full`]. Who writes: everybody under one short lock (push or pop of a queue); jobs run without it.

use crate::cancel::{Cancel, Reason};
use crate::instrument::{Counter, Registry};
use crate::shutdown::in_part;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use thiserror::Error;
use tokio::sync::oneshot;

/// How urgent a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Samples on their way in: parse and append of one scrape.
    Ingest = 0,
    /// Somebody waits: queries, lookups.
    Interactive = 1,
    /// Nobody waits: compaction, retention, verification.
    Background = 2,
}

const NAMES: [&str; 3] = ["ingest", "interactive", "background"];

/// Why a job gave no result.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CpuError {
    /// The queue is full: try again later.
    #[error("cannot run the job: {0} jobs wait already")]
    Full(usize),
    /// The job was cancelled before it started.
    #[error("job was cancelled before it started")]
    Cancelled,
    /// The pool has stopped.
    #[error("cannot run the job: the CPU pool has stopped")]
    Stopped,
}

type Job = Box<dyn FnOnce() + Send>;

struct Queues {
    waiting: [VecDeque<Job>; 3],
    background_running: usize,
    stopped: bool,
}

struct Shared {
    queues: Mutex<Queues>,
    /// Wakes general threads.
    work: Condvar,
    /// Wakes the thread that serves ingest alone.
    ingest: Condvar,
    queue_max: usize,
    background_max: usize,
    refused: Counter,
    done: [Counter; 3],
}

/// The pool. Dropping it drops the jobs that wait, lets the running ones end, and joins the threads.
pub struct CpuPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl CpuPool {
    /// Starts `cores` general threads and one for ingest.
    pub fn start(cores: usize, queue_max: usize, registry: &Registry) -> std::io::Result<Self> {
        let cores = cores.max(1);
        let done =
            registry.counter_vec("isobar_cpu_jobs_total", "Jobs the CPU pool has run, by priority.", &["priority"]);
        let shared = Arc::new(Shared {
            queues: Mutex::new(Queues { waiting: Default::default(), background_running: 0, stopped: false }),
            work: Condvar::new(),
            ingest: Condvar::new(),
            queue_max,
            background_max: (cores / 2).max(1),
            refused: registry
                .counter("isobar_cpu_jobs_refused_total", "Jobs refused because the queue of the CPU pool was full."),
            done: NAMES.map(|name| done.with(&[name])),
        });
        let waiting = Arc::downgrade(&shared);
        registry.gauge_fn("isobar_cpu_jobs_waiting", "Jobs that wait in the CPU pool.", move || {
            waiting
                .upgrade()
                .map_or(0.0, |shared| shared.queues.lock().waiting.iter().map(VecDeque::len).sum::<usize>() as f64)
        });
        let mut threads = Vec::with_capacity(cores + 1);
        for n in 0..=cores {
            let shared = shared.clone();
            let name = if n == cores { "cpu-ingest".to_owned() } else { format!("cpu-{n}") };
            threads.push(std::thread::Builder::new().name(name).spawn(move || work(&shared, n == cores))?);
        }
        Ok(CpuPool { shared, threads })
    }

    /// Runs `job` on the pool and gives its result. The job should test `cancel` about once a millisecond.
    /// Dropping the returned future raises `cancel` with [`Reason::Gone`].
    pub async fn run<T: Send + 'static>(
        &self,
        priority: Priority,
        part: &'static str,
        cancel: &Cancel,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CpuError> {
        let (sender, receiver) = oneshot::channel();
        let flag = cancel.clone();
        self.shared.push(
            priority,
            Box::new(move || {
                let outcome = if flag.is_cancelled() { Err(CpuError::Cancelled) } else { Ok(in_part(part, job)) };
                // the receiver is gone when nobody waits any more
                let _ = sender.send(outcome);
            }),
        )?;
        let mut guard = Guard { cancel: Some(cancel) };
        let outcome = receiver.await;
        guard.cancel = None;
        outcome.unwrap_or(Err(CpuError::Stopped))
    }

    /// [`CpuPool::run`] for a thread that may block. Must not be called from an async task or a job of the pool.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        priority: Priority,
        part: &'static str,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CpuError> {
        let (sender, receiver) = oneshot::channel();
        self.shared.push(
            priority,
            Box::new(move || {
                let _ = sender.send(in_part(part, job));
            }),
        )?;
        receiver.blocking_recv().map_err(|_| CpuError::Stopped)
    }

    /// Refuses new jobs, drops those that wait; running ones go on.
    pub fn stop(&self) {
        let dropped = {
            let mut queues = self.shared.queues.lock();
            queues.stopped = true;
            std::mem::take(&mut queues.waiting)
        };
        drop(dropped);
        self.shared.work.notify_all();
        self.shared.ingest.notify_all();
    }
}

impl Drop for CpuPool {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            // a panic of a job aborts the process, so a thread can only end well
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for CpuPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuPool").field("threads", &self.threads.len()).finish()
    }
}

/// Raises the flag of a job nobody waits for any more.
struct Guard<'a> {
    cancel: Option<&'a Cancel>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(cancel) = self.cancel {
            cancel.cancel(Reason::Gone);
        }
    }
}

impl Shared {
    fn push(&self, priority: Priority, job: Job) -> Result<(), CpuError> {
        let mut queues = self.queues.lock();
        if queues.stopped {
            return Err(CpuError::Stopped);
        }
        let waiting = queues.waiting[priority as usize].len();
        if waiting >= self.queue_max {
            drop(queues);
            self.refused.inc();
            return Err(CpuError::Full(waiting));
        }
        queues.waiting[priority as usize].push_back(job);
        drop(queues);
        // a general thread may be asleep, or the reserved one: whoever comes first takes it
        self.work.notify_one();
        if priority == Priority::Ingest {
            self.ingest.notify_one();
        }
        Ok(())
    }

    /// The next job this thread may run, and its priority; `None` once stopped.
    fn pop(&self, ingest_only: bool) -> Option<(usize, Job)> {
        let mut queues = self.queues.lock();
        loop {
            if queues.stopped {
                return None;
            }
            let background_free = queues.background_running < self.background_max;
            let reach = if ingest_only {
                1
            } else if background_free {
                3
            } else {
                2
            };
            let found = (0..reach).find_map(|p| queues.waiting[p].pop_front().map(|job| (p, job)));
            if let Some((priority, job)) = found {
                queues.background_running += usize::from(priority == Priority::Background as usize);
                return Some((priority, job));
            }
            let sleep = if ingest_only { &self.ingest } else { &self.work };
            sleep.wait(&mut queues);
        }
    }
}

fn work(shared: &Shared, ingest_only: bool) {
    while let Some((priority, job)) = shared.pop(ingest_only) {
        job();
        shared.done[priority].inc();
        if priority == Priority::Background as usize {
            shared.queues.lock().background_running -= 1;
            // a background job that had to wait for this one
            shared.work.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    fn pool(cores: usize, queue_max: usize) -> Arc<CpuPool> {
        Arc::new(CpuPool::start(cores, queue_max, &Registry::new(Clock::system())).expect("threads start"))
    }

    /// Occupies one general thread until the sender is dropped.
    fn block(pool: &Arc<CpuPool>) -> mpsc::Sender<()> {
        let (release, wait) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel();
        pool.shared
            .push(
                Priority::Interactive,
                Box::new(move || {
                    let _ = started.send(());
                    let _ = wait.recv();
                }),
            )
            .expect("room for the blocker");
        running.recv().expect("blocker started");
        release
    }

    #[tokio::test]
    async fn results_come_back_and_urgent_work_comes_first() {
        let pool = pool(1, 100);
        assert_eq!(pool.run(Priority::Interactive, "test", &Cancel::new(), || 6 * 7).await, Ok(42));
        let release = block(&pool);
        let (order, seen) = mpsc::channel();
        for (priority, name) in [(Priority::Background, "background"), (Priority::Interactive, "interactive")] {
            let order = order.clone();
            pool.shared
                .push(
                    priority,
                    Box::new(move || {
                        let _ = order.send(name);
                    }),
                )
                .expect("room");
        }
        drop(release);
        assert_eq!([seen.recv(), seen.recv()], [Ok("interactive"), Ok("background")]);
    }

    #[tokio::test]
    async fn a_scrape_is_not_held_up_by_queries() {
        let pool = pool(1, 100);
        let _release = block(&pool);
        let done = pool.run(Priority::Ingest, "scrape", &Cancel::new(), crate::shutdown::current_part).await;
        assert_eq!(done, Ok(Some("scrape")));
    }

    #[tokio::test]
    async fn background_leaves_a_thread_free() {
        let pool = pool(2, 100);
        let (running, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs: Vec<_> = (0..6)
            .map(|_| {
                let (pool, running, peak) = (pool.clone(), running.clone(), peak.clone());
                tokio::spawn(async move {
                    pool.run(Priority::Background, "compact", &Cancel::new(), move || {
                        peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(5));
                        running.fetch_sub(1, Ordering::SeqCst);
                    })
                    .await
                })
            })
            .collect();
        for job in jobs {
            assert_eq!(job.await.expect("job ended"), Ok(()));
        }
        assert_eq!(peak.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_dropped_wait_cancels() {
        let pool = pool(1, 1);
        let release = block(&pool);
        let cancel = Cancel::new();
        let ran = Arc::new(AtomicUsize::new(0));
        let wait = {
            let (pool, cancel, ran) = (pool.clone(), cancel.clone(), ran.clone());
            tokio::spawn(async move {
                pool.run(Priority::Interactive, "query", &cancel, move || ran.fetch_add(1, Ordering::SeqCst)).await
            })
        };
        while pool.shared.queues.lock().waiting[1].is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(Priority::Interactive, "query", &Cancel::new(), || ()).await, Err(CpuError::Full(1)));
        wait.abort();
        assert!(wait.await.is_err());
        assert_eq!(cancel.reason(), Some(Reason::Gone));
        drop(release);
        while !pool.shared.queues.lock().waiting[1].is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(pool.run(Priority::Interactive, "query", &Cancel::new(), || ()).await, Ok(()));
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_stopped_pool_says_so() {
        let pool = pool(1, 10);
        pool.stop();
        assert_eq!(pool.run(Priority::Ingest, "scrape", &Cancel::new(), || ()).await, Err(CpuError::Stopped));
    }
}
