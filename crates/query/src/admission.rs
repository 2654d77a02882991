//! Admission: at most `--query.max-concurrency` queries run; the others wait, as long as their own deadline allows.
//!
//! Limits: [`WAITING_MAX`] waiting queries; further ones get 503 at once.

use crate::error::{ApiError, Kind};
use runtime::cancel::Reason;
use runtime::clock::{Clock, Instant};
use runtime::instrument::{Gauge, Registry};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many queries may wait.
pub(crate) const WAITING_MAX: usize = 1000;

pub(crate) struct Admission {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    running: Gauge,
    clock: Clock,
}

impl Admission {
    pub(crate) fn new(concurrency: usize, clock: Clock, registry: &Registry) -> Self {
        let running =
            registry.gauge("prometheus_engine_queries", "The current number of queries being executed or waiting.");
        registry
            .gauge("prometheus_engine_queries_concurrent_max", "The max number of concurrent queries.")
            .set(concurrency as f64);
        Admission { places: Arc::new(Semaphore::new(concurrency.max(1))), waiting: AtomicUsize::new(0), running, clock }
    }

    /// Waits for a place; it is given back when the result is dropped.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<Place, ApiError> {
        let _waiting = Waiting::begin(self)?;
        let running = Running(self.running.clone());
        running.0.inc();
        match self.clock.deadline(deadline, self.places.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place { _permit: permit, _running: running }),
            // the semaphore is never closed
            Ok(Err(_)) => Err(ApiError::new(Kind::Unavailable, "the server is stopping")),
            Err(_) => Err(ApiError::cancelled(Reason::Deadline, "query queue")),
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(admission: &'a Admission) -> Result<Self, ApiError> {
        let waiting = Waiting(&admission.waiting);
        if admission.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            return Err(ApiError::new(Kind::Unavailable, format!("{WAITING_MAX} queries wait already")));
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A place among the running queries.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _running: Running,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn who_waits_too_long_is_told_where() {
        let clock = Clock::system();
        let admission = Admission::new(1, clock.clone(), &Registry::new(clock.clone()));
        let soon = || clock.instant() + Duration::from_millis(20);
        let first = admission.enter(soon()).await.map_err(|e| e.text).expect("a place is free");
        let second = admission.enter(soon()).await.map(drop).expect_err("no place is free");
        assert_eq!((second.kind, second.text.as_str()), (Kind::Timeout, "query timed out in query queue"));
        assert_eq!(admission.running.value(), 1.0);
        drop(first);
        assert!(admission.enter(soon()).await.is_ok());
        assert_eq!((admission.running.value(), admission.waiting.load(Ordering::Relaxed)), (0.0, 0));
    }
}
