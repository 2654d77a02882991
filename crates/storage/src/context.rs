//! What travels with a query through every store: budget, cancellation, warnings.

use crate::select::SelectError;
use runtime::cancel::Cancel;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much a query may take in all; shared by everything that works for it.
#[derive(Debug)]
pub struct Budget {
    bytes_max: u64,
    bytes: AtomicU64,
}

impl Budget {
    /// At most so many bytes of pieces and labels held at once.
    pub fn bytes(bytes_max: u64) -> Self {
        Budget { bytes_max, bytes: AtomicU64::new(0) }
    }

    /// Takes some; refuses, without taking, what would go over.
    pub fn take(&self, bytes: u64) -> Result<(), SelectError> {
        let taken = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(bytes).filter(|sum| *sum <= self.bytes_max)
        });
        taken.map(|_| ()).map_err(|_| SelectError::Budget { what: "bytes", limit: self.bytes_max })
    }

    /// Gives some back.
    pub fn give_back(&self, bytes: u64) {
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| Some(held.saturating_sub(bytes)));
    }

    /// Held now.
    pub fn held(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Default for Budget {
    /// Without a limit of its own: tests and tools.
    fn default() -> Self {
        Budget::bytes(u64::MAX)
    }
}

/// Warnings of the stores that took part, each once, in order of text. Limit: 100; what is more is dropped and said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings(BTreeSet<String>);

impl Warnings {
    const MAX: usize = 100;

    /// Adds one.
    pub fn add(&mut self, text: impl Into<String>) {
        if self.0.len() < Self::MAX {
            self.0.insert(text.into());
        } else {
            self.0.insert("more warnings were left out".to_owned());
        }
    }

    /// Adds all of another set.
    pub fn absorb(&mut self, other: Warnings) {
        for text in other.0 {
            self.add(text);
        }
    }

    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// True when there is none: the answer is whole.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Travels with one query.
#[derive(Clone, Debug, Default)]
pub struct QueryContext {
    /// Tested by every store at least once a batch; a deadline raises it with `Reason::Deadline`.
    pub cancel: Cancel,
    /// What the query may hold.
    pub budget: Arc<Budget>,
}

impl QueryContext {
    /// Fails once the query is cancelled.
    pub fn check(&self) -> Result<(), SelectError> {
        match self.cancel.reason() {
            None => Ok(()),
            Some(reason) => Err(SelectError::Cancelled(reason)),
        }
    }
}
