//! The clock: what time it is, how long something took, and waiting. The one place that asks the operating system.
//!
//! ```text
//! Clock::system()            wall clock, monotonic clock, tokio's timer
//! Clock::manual(start)       a clock that stands still until a test calls `advance`; sleepers wake in its time
//! ```
//!
//! Two times are told apart: [`Timestamp`] (wall, may jump, goes into samples) and [`Instant`] (monotonic, for lengths
//! and deadlines). Waiting is always in monotonic time.
//! Cost: `now` and `instant` are one vDSO call (about 25 ns); a clone is a reference count.

#![expect(clippy::disallowed_methods, reason = "this module is the door to the operating system's clocks")]

use model::Timestamp;
use parking_lot::Mutex;
use std::future::Future;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;
use tokio::sync::watch;

/// A point of the monotonic clock of one [`Clock`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// How long after `earlier`; zero when it is not after it.
    pub fn since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, length: Duration) -> Instant {
        Instant(self.0.saturating_add(length))
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, length: Duration) -> Instant {
        Instant(self.0.saturating_sub(length))
    }
}

/// The time allowed passed before the work was done.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("context deadline exceeded")]
pub struct Elapsed;

/// A handle on a clock; clones share it.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { base: std::time::Instant },
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    wall: Mutex<i64>,
    elapsed: watch::Sender<Duration>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Clock(Source::System { base: std::time::Instant::now() })
    }

    /// A clock that stands at `start` until [`Clock::advance`].
    pub fn manual(start: Timestamp) -> Self {
        let (elapsed, _) = watch::channel(Duration::ZERO);
        Clock(Source::Manual(Arc::new(Manual { wall: Mutex::new(start.millis()), elapsed })))
    }

    /// Moves a manual clock on and wakes those who waited for it. A system clock does not listen.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(manual) = &self.0 {
            *manual.wall.lock() += i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            manual.elapsed.send_modify(|elapsed| *elapsed += by);
        }
    }

    /// Sets the wall time of a manual clock without moving its monotonic time: what a clock step looks like.
    pub fn step_wall(&self, to: Timestamp) {
        if let Source::Manual(manual) = &self.0 {
            *manual.wall.lock() = to.millis();
        }
    }

    /// The wall time, in whole milliseconds.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Manual(manual) => Timestamp(*manual.wall.lock()),
            Source::System { .. } => Timestamp(match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
                Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
            }),
        }
    }

    /// The monotonic time.
    pub fn instant(&self) -> Instant {
        match &self.0 {
            Source::System { base } => Instant(base.elapsed()),
            Source::Manual(manual) => Instant(*manual.elapsed.borrow()),
        }
    }

    /// How long ago `earlier` was.
    pub fn elapsed(&self, earlier: Instant) -> Duration {
        self.instant().since(earlier)
    }

    /// Waits until the monotonic clock reaches `until`. Dropping the future gives up at no cost.
    pub async fn sleep_until(&self, until: Instant) {
        match &self.0 {
            Source::System { base } => match base.checked_add(until.0) {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            },
            Source::Manual(manual) => {
                let mut elapsed = manual.elapsed.subscribe();
                // the sender lives as long as `self`, so the wait can only end by reaching the instant
                let _ = elapsed.wait_for(|now| *now >= until.0).await;
            }
        }
    }

    /// Waits for `length`.
    pub async fn sleep(&self, length: Duration) {
        self.sleep_until(self.instant() + length).await;
    }

    /// Runs `work`, but no longer than until `deadline`; late work is dropped.
    pub async fn deadline<T>(&self, deadline: Instant, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.sleep_until(deadline) => Err(Elapsed),
        }
    }

    /// Runs `work`, but no longer than `length`; late work is dropped.
    pub async fn timeout<T>(&self, length: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
        self.deadline(self.instant() + length, work).await
    }

    /// Ticks every `period` from `first` on. Ticks that were missed are skipped, the rhythm stays.
    pub fn interval(&self, first: Instant, period: Duration) -> Interval {
        Interval { clock: self.clone(), next: first, period: period.max(Duration::from_millis(1)) }
    }
}

/// A rhythm; see [`Clock::interval`].
#[derive(Debug)]
pub struct Interval {
    clock: Clock,
    next: Instant,
    period: Duration,
}

impl Interval {
    /// Waits for the next tick and says when it was due.
    pub async fn tick(&mut self) -> Instant {
        let due = self.next;
        self.clock.sleep_until(due).await;
        let late = self.clock.instant().since(due);
        let missed = late.as_nanos() / self.period.as_nanos();
        let skip = u32::try_from(missed).unwrap_or(u32::MAX - 1);
        self.next = due + self.period.saturating_mul(skip + 1);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_in_its_own_time() {
        let clock = Clock::manual(Timestamp(1000));
        let sleeper = {
            let clock = clock.clone();
            tokio::spawn(async move {
                clock.sleep(Duration::from_secs(60)).await;
                clock.now()
            })
        };
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        assert_eq!(sleeper.await.expect("sleeper ended"), Timestamp(61_000));
    }

    #[tokio::test]
    async fn timeouts_say_what_go_says() {
        let clock = Clock::system();
        let late = clock.timeout(Duration::from_millis(5), std::future::pending::<()>()).await;
        assert_eq!(late.map_err(|e| e.to_string()), Err("context deadline exceeded".to_owned()));
        assert_eq!(clock.timeout(Duration::ZERO, async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn missed_ticks_are_skipped_and_the_rhythm_stays() {
        let clock = Clock::manual(Timestamp(0));
        let start = clock.instant();
        let second = Duration::from_secs(1);
        let mut interval = clock.interval(start, second);
        assert_eq!(interval.tick().await, start);
        clock.advance(Duration::from_millis(3500));
        assert_eq!(interval.tick().await, start + second);
        clock.advance(Duration::from_millis(500));
        assert_eq!(interval.tick().await, start + second * 4);
    }
}
