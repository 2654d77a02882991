//! What the machine is and allows: its name, the limit of open files, memory given back to the operating system.

use crate::clock::{Clock, Instant};
use parking_lot::Mutex;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// The operating system refused a higher limit of open files.
#[derive(Debug, Error)]
#[error("cannot raise the limit of open files from {soft} to {hard}: {source}")]
pub struct RaiseError {
    /// The limit in force.
    pub soft: u64,
    /// The limit asked for.
    pub hard: u64,
    /// What the operating system said.
    #[source]
    pub source: std::io::Error,
}

/// Limits of open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// The limit in force; `u64::MAX` when there is none.
    pub soft: u64,
    /// How far it may be raised.
    pub hard: u64,
}

/// The limits of open files now.
pub fn open_files() -> OpenFiles {
    let limit = getrlimit(Resource::Nofile);
    OpenFiles { soft: limit.current.unwrap_or(u64::MAX), hard: limit.maximum.unwrap_or(u64::MAX) }
}

/// Raises the limit of open files as far as the process may, and says what it is then.
pub fn raise_open_files() -> Result<OpenFiles, RaiseError> {
    let before = open_files();
    if before.soft < before.hard {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
            .map_err(|e| RaiseError { soft: before.soft, hard: before.hard, source: e.into() })?;
    }
    Ok(open_files())
}

/// Asks the system not to back this process' heap with huge pages. The allocator asks for them where the system lets programs
/// choose, and a heap of 7 MB then takes 40 MB (measured: `isobar up`, 718 series, 51 against 18 MB resident).
pub fn refuse_huge_pages() {
    // an older kernel that does not know the call only costs memory
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// The machine's own name, as `uname -n` shows it.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Gives unused heap back to the operating system, at most once a second: the binary, which chose the allocator,
/// supplies how; whoever dropped something large calls [`HeapTrim::trim`].
#[derive(Clone)]
pub struct HeapTrim(Arc<Trim>);

struct Trim {
    how: Box<dyn Fn() + Send + Sync>,
    clock: Clock,
    last: Mutex<Option<Instant>>,
}

/// No trim within this time of the last one.
const TRIM_PAUSE: Duration = Duration::from_secs(1);

impl HeapTrim {
    /// `how` tells the allocator to give back what it does not use.
    pub fn new(clock: Clock, how: impl Fn() + Send + Sync + 'static) -> Self {
        HeapTrim(Arc::new(Trim { how: Box::new(how), clock, last: Mutex::new(None) }))
    }

    /// A hook that does nothing, for tests and tools.
    pub fn none() -> Self {
        HeapTrim::new(Clock::system(), || {})
    }

    /// Trims, unless that was done within the last second. True when it was done.
    pub fn trim(&self) -> bool {
        let now = self.0.clock.instant();
        {
            let mut last = self.0.last.lock();
            if last.is_some_and(|last| now.since(last) < TRIM_PAUSE) {
                return false;
            }
            *last = Some(now);
        }
        (self.0.how)();
        true
    }
}

impl fmt::Debug for HeapTrim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeapTrim")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let after = raise_open_files().expect("raising to the hard limit needs no right");
        assert_eq!(after.soft, after.hard);
    }

    #[test]
    fn trims_are_a_second_apart() {
        let clock = Clock::manual(model::Timestamp(0));
        let done = Arc::new(AtomicU32::new(0));
        let trim = {
            let done = done.clone();
            HeapTrim::new(clock.clone(), move || {
                done.fetch_add(1, Ordering::Relaxed);
            })
        };
        assert!(trim.trim());
        assert!(!trim.trim());
        clock.advance(Duration::from_secs(1));
        assert!(trim.trim());
        assert_eq!(done.load(Ordering::Relaxed), 2);
    }
}
