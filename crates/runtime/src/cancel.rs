//! Cancellation: one flag that long work tests, with the reason it was raised.
//!
//! A flag is cloned into every piece of the work. Raising it never interrupts anything: work tests it at least once a
//! millisecond (a morsel, a batch, a page) and returns. The first reason given stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Why work was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The one who asked went away.
    Gone,
    /// The deadline passed.
    Deadline,
    /// The process is stopping.
    Shutdown,
}

/// A cancellation flag; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicU8>);

impl Cancel {
    /// A flag nobody has raised.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Raises the flag. A reason given before stays.
    pub fn cancel(&self, reason: Reason) {
        let code = match reason {
            Reason::Gone => 1,
            Reason::Deadline => 2,
            Reason::Shutdown => 3,
        };
        let _ = self.0.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The reason, once raised.
    pub fn reason(&self) -> Option<Reason> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Reason::Gone),
            2 => Some(Reason::Deadline),
            _ => Some(Reason::Shutdown),
        }
    }

    /// True once raised.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let cancel = Cancel::new();
        let other = cancel.clone();
        assert_eq!(other.reason(), None);
        cancel.cancel(Reason::Deadline);
        other.cancel(Reason::Gone);
        assert!(other.is_cancelled());
        assert_eq!(cancel.reason(), Some(Reason::Deadline));
    }
}
