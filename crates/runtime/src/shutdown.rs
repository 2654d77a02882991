//! Stopping: a tree of tokens that say "stop", the tasks that hang on them, and the signals that start it.
//!
//! ```text
//! root ──► server ──► scrape loops          stop() on a node stops everything below it
//!     └──► registry                         join(limit) waits for the tasks of the node and below, or names those left
//! ```
//!
//! Every task is spawned with the name of the part it belongs to. While one of them runs, [`current_part`] on its thread
//! is that name: a panic ends the process and names the part.
//! Invariant: a task spawned on a node is joined by that node or one above it, or named as still running.

use crate::clock::Clock;
use parking_lot::Mutex;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

thread_local! {
    static PART: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The part whose task or job runs on this thread now.
pub fn current_part() -> Option<&'static str> {
    PART.get()
}

/// Says for the time of `work` that this thread runs `part`.
pub fn in_part<T>(part: &'static str, work: impl FnOnce() -> T) -> T {
    let outer = PART.replace(Some(part));
    let done = work();
    PART.set(outer);
    done
}

/// Tasks that had not ended when the time for stopping was over.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("still running {} s after the stop: {}", waited.as_secs(), parts.join(", "))]
pub struct StillRunning {
    /// How long was waited.
    pub waited: Duration,
    /// The parts the tasks belong to, sorted, each with its number of tasks when it has more than one.
    pub parts: Vec<String>,
}

/// One node of the tree; clones are the same node.
#[derive(Clone, Debug)]
pub struct Shutdown {
    token: CancellationToken,
    /// This node's tasks, and those of every node above it.
    tasks: Vec<Arc<Tasks>>,
}

#[derive(Debug, Default)]
struct Tasks {
    running: Mutex<BTreeMap<&'static str, usize>>,
    ended: Notify,
}

impl Shutdown {
    /// A root.
    pub fn new() -> Self {
        Shutdown { token: CancellationToken::new(), tasks: vec![Arc::default()] }
    }

    /// A node below this one: stopped with it, or alone.
    pub fn child(&self) -> Self {
        let mut tasks = vec![Arc::default()];
        tasks.extend(self.tasks.iter().cloned());
        Shutdown { token: self.token.child_token(), tasks }
    }

    /// Tells every task of this node and below to stop.
    pub fn stop(&self) {
        self.token.cancel();
    }

    /// True once told to stop.
    pub fn is_stopped(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Resolves once told to stop. Cancel-safe.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// Runs `work`, but not beyond the stop: `None` when the stop came first.
    pub async fn until_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.token.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// Spawns a task of `part`. It should end soon after [`Shutdown::stopped`].
    pub fn spawn<F>(&self, part: &'static str, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        for tasks in &self.tasks {
            *tasks.running.lock().entry(part).or_insert(0) += 1;
        }
        let guard = TaskGuard { part, tasks: self.tasks.clone() };
        tokio::spawn(InPart {
            part,
            work: Box::pin(async move {
                let _guard = guard;
                work.await
            }),
        })
    }

    /// Waits until every task of this node and below has ended, at most for `limit`.
    pub async fn join(&self, clock: &Clock, limit: Duration) -> Result<(), StillRunning> {
        let tasks = &self.tasks[0];
        let all_ended = async {
            loop {
                let ended = tasks.ended.notified();
                if tasks.running.lock().is_empty() {
                    return;
                }
                ended.await;
            }
        };
        clock.timeout(limit, all_ended).await.map_err(|_| StillRunning { waited: limit, parts: self.running() })
    }

    /// The parts that have tasks under this node, each with its number of tasks when it has more than one.
    pub fn running(&self) -> Vec<String> {
        let running = self.tasks[0].running.lock();
        running.iter().map(|(part, n)| if *n == 1 { (*part).to_owned() } else { format!("{part} ({n})") }).collect()
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown::new()
    }
}

struct TaskGuard {
    part: &'static str,
    tasks: Vec<Arc<Tasks>>,
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        for tasks in &self.tasks {
            let mut running = tasks.running.lock();
            if let Some(n) = running.get_mut(self.part) {
                *n -= 1;
                if *n == 0 {
                    running.remove(self.part);
                }
            }
            let none_left = running.is_empty();
            drop(running);
            if none_left {
                tasks.ended.notify_waiters();
            }
        }
    }
}

/// A future that says during each poll which part it belongs to.
struct InPart<F> {
    part: &'static str,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for InPart<F> {
    type Output = F::Output;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let part = self.part;
        in_part(part, || self.work.as_mut().poll(cx))
    }
}

/// What the operating system, or whoever sits at the terminal, asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, or Ctrl-C.
    Stop,
    /// SIGHUP.
    Reload,
}

/// The stream of signals. Once made, none of them ends the process by itself.
#[derive(Debug)]
pub struct Signals(mpsc::Receiver<Signal>);

impl Signals {
    /// Listens for SIGTERM, SIGINT and SIGHUP. Needs a running tokio runtime.
    pub fn listen() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(8);
        let kinds = [
            (SignalKind::terminate(), Signal::Stop),
            (SignalKind::interrupt(), Signal::Stop),
            (SignalKind::hangup(), Signal::Reload),
        ];
        for (kind, meaning) in kinds {
            let mut stream = signal(kind)?;
            let sender = sender.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    // a full queue already holds eight unheeded wishes
                    if let Err(mpsc::error::TrySendError::Closed(_)) = sender.try_send(meaning) {
                        return;
                    }
                }
            });
        }
        Ok(Signals(receiver))
    }

    /// The next signal. Cancel-safe.
    pub async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_reaches_down_and_not_up() {
        let root = Shutdown::new();
        let (left, right) = (root.child(), root.child());
        let leaf = left.child();
        left.stop();
        assert!(leaf.is_stopped() && !right.is_stopped() && !root.is_stopped());
        assert_eq!(leaf.until_stopped(std::future::pending::<()>()).await, None);
        assert_eq!(right.until_stopped(async { 1 }).await, Some(1));
    }

    #[tokio::test]
    async fn join_waits_for_everything_below_and_names_what_is_left() {
        let clock = Clock::system();
        let root = Shutdown::new();
        let child = root.child();
        let seen = child.spawn("scrape", {
            let child = child.clone();
            async move {
                child.stopped().await;
                current_part()
            }
        });
        child.spawn("relay", std::future::pending::<()>());
        child.spawn("relay", std::future::pending::<()>());
        root.stop();
        let left = root.join(&clock, Duration::from_millis(20)).await.expect_err("relay never ends");
        assert_eq!(left.parts, ["relay (2)"]);
        assert_eq!(seen.await.expect("scrape ended"), Some("scrape"));
        assert_eq!(current_part(), None);
    }

    #[tokio::test]
    async fn join_returns_at_once_when_all_have_ended() {
        let root = Shutdown::new();
        let child = root.child();
        child.spawn("web", {
            let child = child.clone();
            async move { child.stopped().await }
        });
        root.stop();
        assert_eq!(root.join(&Clock::system(), Duration::from_secs(5)).await, Ok(()));
        assert!(root.running().is_empty());
    }

    #[tokio::test]
    async fn signals_are_told_apart() {
        let mut signals = Signals::listen().expect("signals can be listened to");
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::HUP).expect("kill self with HUP");
        assert_eq!(signals.next().await, Signal::Reload);
        rustix::process::kill_process(me, rustix::process::Signal::TERM).expect("kill self with TERM");
        assert_eq!(signals.next().await, Signal::Stop);
    }
}
