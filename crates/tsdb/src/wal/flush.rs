//! When the log's bytes reach the disk.
//!
//! ```text
//! commit: write() ─► wrote(n, Os)      nothing more; the next sync takes it along
//!                    wrote(n, Soon)    one thread sleeps SOON, then fdatasync: 10 to 20 syncs a second at most
//!                    wrote(n, Synced)  the thread is woken at once; all commits written meanwhile share one fdatasync
//! sync done ──► DurableMark::advance(n) ──► tickets settle
//! ```
//!
//! A failed sync poisons the log for good: the kernel may have dropped the pages and would say yes the next time.
//! Who writes: the log's writer announces, the flush thread syncs. Lock order: `syncing` before `state`.

use parking_lot::{Condvar, Mutex};
use runtime::clock::Clock;
use runtime::disk::{DiskError, DiskFile};
use runtime::instrument::Summary;
use runtime::ticket::{DurableMark, Ticket};
use std::sync::Arc;
use std::time::Duration;
use storage::Durability;

/// How long a commit of `Durability::Soon` may wait for others to share its sync: half of the promised 100 ms, the
/// other half is the sync's own.
const SOON: Duration = Duration::from_millis(50);

/// Syncs what the writer announces; shared by the writer and the flush thread.
pub struct Flusher {
    state: Mutex<State>,
    wake: Condvar,
    syncing: Mutex<()>,
    mark: DurableMark,
    clock: Clock,
    durations: Summary,
    inline: bool,
}

struct State {
    /// Files with bytes not synced, in the order written.
    files: Vec<Arc<dyn DiskFile>>,
    written: u64,
    urgency: Urgency,
    failed: Option<Arc<str>>,
    stop: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    None,
    Soon,
    Now,
}

impl Flusher {
    /// A flusher. `inline`: there is no thread; `Synced` commits sync before they return, others when somebody asks.
    pub fn new(clock: Clock, durations: Summary, inline: bool) -> Self {
        let state = State { files: Vec::new(), written: 0, urgency: Urgency::None, failed: None, stop: false };
        Flusher {
            state: Mutex::new(state),
            wake: Condvar::new(),
            syncing: Mutex::new(()),
            mark: DurableMark::new(),
            clock,
            durations,
            inline,
        }
    }

    /// Says that `file` holds everything up to write number `number`, and how urgent that is.
    pub fn wrote(&self, number: u64, file: &Arc<dyn DiskFile>, durability: Durability) -> Ticket {
        let mut state = self.state.lock();
        state.written = number;
        if !state.files.last().is_some_and(|last| Arc::ptr_eq(last, file)) {
            state.files.push(file.clone());
        }
        let urgency = match durability {
            Durability::Os => Urgency::None,
            Durability::Soon => Urgency::Soon,
            Durability::Synced => Urgency::Now,
        };
        let raised = urgency > state.urgency;
        state.urgency = state.urgency.max(urgency);
        drop(state);
        if self.inline {
            if urgency == Urgency::Now {
                let _ = self.sync(); // a failure is in the mark, where the ticket finds it
            }
        } else if raised {
            self.wake.notify_one();
        }
        self.mark.ticket(number)
    }

    /// Why the log takes nothing any more, if so.
    pub fn failed(&self) -> Option<Arc<str>> {
        self.state.lock().failed.clone()
    }

    /// Poisons the log: nothing not durable by now ever will be.
    pub fn poison(&self, reason: &str) -> Arc<str> {
        let mut state = self.state.lock();
        let reason = state.failed.get_or_insert_with(|| Arc::from(reason)).clone();
        self.mark.fail(&reason);
        reason
    }

    /// Makes everything announced so far durable, now, on this thread.
    ///
    /// # Errors
    /// The reason for which the log is poisoned from now on.
    pub fn sync(&self) -> Result<(), Arc<str>> {
        let _one_at_a_time = self.syncing.lock();
        let mut state = self.state.lock();
        if let Some(reason) = &state.failed {
            return Err(reason.clone());
        }
        let files = std::mem::take(&mut state.files);
        let written = state.written;
        state.urgency = Urgency::None;
        drop(state);
        match self.sync_files(&files) {
            Ok(()) => {
                self.mark.advance(written);
                Ok(())
            }
            Err(error) => {
                let reason = self.poison(&error.to_string());
                tracing::error!(%error, "the write-ahead log could not be synced: no samples are taken until a restart");
                Err(reason)
            }
        }
    }

    fn sync_files(&self, files: &[Arc<dyn DiskFile>]) -> Result<(), DiskError> {
        for file in files {
            let begun = self.clock.instant();
            file.sync_data()?;
            self.durations.observe_duration(self.clock.elapsed(begun));
        }
        Ok(())
    }

    /// The flush thread: returns after [`Flusher::stop`].
    pub fn run(&self) {
        let mut state = self.state.lock();
        loop {
            match state.urgency {
                _ if state.stop => return,
                Urgency::None => self.wake.wait(&mut state),
                Urgency::Soon => {
                    let timed_out = self.wake.wait_for(&mut state, SOON).timed_out();
                    if !timed_out && state.urgency == Urgency::Soon {
                        continue;
                    }
                    drop(state);
                    let _ = self.sync(); // logged and remembered there
                    state = self.state.lock();
                }
                Urgency::Now => {
                    drop(state);
                    let _ = self.sync();
                    state = self.state.lock();
                }
            }
        }
    }

    /// Ends [`Flusher::run`].
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
    }
}
