//! Tickets: how a writer says "your bytes are number N" and a waiter learns that N is on disk.
//!
//! ```text
//! writer:  issue() → 41, 42, 43 …            (bytes handed to the operating system, in this order)
//! flusher: advance(42) after fdatasync       (everything up to 42 is on disk)
//! failure: fail("…")                         (nothing beyond the mark ever will be: the log is poisoned)
//! waiter:  ticket.wait().await / ticket.wait_blocking() / ticket.state()
//! ```
//!
//! One mark per log. Who writes: the log's owner alone. Who reads: any number of tickets. No lock is held while waiting.

use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;

/// The log stopped before the ticket's bytes reached the disk.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not durable: {0}")]
pub struct NotDurable(pub Arc<str>);

#[derive(Clone, Debug)]
struct Progress {
    durable: u64,
    failed: Option<Arc<str>>,
}

/// The owner's side: issues numbers and says how far they are durable.
#[derive(Debug)]
pub struct DurableMark {
    progress: watch::Sender<Progress>,
}

/// A waiter's side: one number of one log.
#[derive(Clone, Debug)]
pub struct Ticket {
    number: u64,
    progress: Option<watch::Receiver<Progress>>,
}

impl DurableMark {
    /// A mark at zero: nothing is durable yet.
    pub fn new() -> Self {
        let (progress, _) = watch::channel(Progress { durable: 0, failed: None });
        DurableMark { progress }
    }

    /// The ticket for everything up to `number`.
    pub fn ticket(&self, number: u64) -> Ticket {
        Ticket { number, progress: Some(self.progress.subscribe()) }
    }

    /// Says that everything up to `number` is on disk. Never moves back.
    pub fn advance(&self, number: u64) {
        self.progress.send_if_modified(|progress| {
            let moved = number > progress.durable && progress.failed.is_none();
            if moved {
                progress.durable = number;
            }
            moved
        });
    }

    /// Says that nothing beyond the mark will ever be durable. The first reason stays.
    pub fn fail(&self, reason: &str) {
        self.progress.send_if_modified(|progress| {
            let first = progress.failed.is_none();
            if first {
                progress.failed = Some(Arc::from(reason));
            }
            first
        });
    }

    /// How far everything is durable.
    pub fn durable(&self) -> u64 {
        self.progress.borrow().durable
    }
}

impl Default for DurableMark {
    fn default() -> Self {
        DurableMark::new()
    }
}

impl Ticket {
    /// A ticket that is durable already: nothing was written.
    pub fn settled() -> Self {
        Ticket { number: 0, progress: None }
    }

    /// The number within its log.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// `Some(Ok)` once on disk, `Some(Err)` once that is impossible, `None` before.
    pub fn state(&self) -> Option<Result<(), NotDurable>> {
        match &self.progress {
            None => Some(Ok(())),
            Some(progress) => outcome(&progress.borrow(), self.number),
        }
    }

    /// Waits until the bytes are on disk, or never will be.
    pub async fn wait(mut self) -> Result<(), NotDurable> {
        let number = self.number;
        let Some(progress) = self.progress.as_mut() else { return Ok(()) };
        match progress.wait_for(|p| outcome(p, number).is_some()).await {
            Ok(seen) => outcome(&seen, number).unwrap_or(Ok(())),
            Err(_) => Err(NotDurable(Arc::from("the log was closed"))),
        }
    }

    /// [`Ticket::wait`] for a thread that may block. Must not be called from an async task.
    pub fn wait_blocking(self) -> Result<(), NotDurable> {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|e| NotDurable(Arc::from(format!("cannot wait: {e}"))))?
            .block_on(self.wait())
    }
}

fn outcome(progress: &Progress, number: u64) -> Option<Result<(), NotDurable>> {
    if progress.durable >= number {
        Some(Ok(()))
    } else {
        progress.failed.clone().map(|reason| Err(NotDurable(reason)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_settle_in_order_and_failure_is_final() {
        let mark = DurableMark::new();
        let (first, second, third) = (mark.ticket(1), mark.ticket(2), mark.ticket(3));
        assert_eq!(first.state(), None);
        mark.advance(2);
        assert_eq!(first.wait_blocking(), Ok(()));
        assert_eq!(second.state(), Some(Ok(())));
        mark.fail("fsync wal/00000001: input/output error");
        mark.advance(9);
        assert_eq!(mark.durable(), 2);
        assert!(third.wait_blocking().is_err());
        assert_eq!(Ticket::settled().wait_blocking(), Ok(()));
    }
}
