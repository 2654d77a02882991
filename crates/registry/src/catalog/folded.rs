//! Names as the catalog compares them: without regard to case. Answers show them as they were given.

use serde::{Deserialize, Serialize};

/// A name in lower case: `Web` and `web` are one service, one node, one check.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Folded(String);

impl Folded {
    /// Folds a name.
    pub fn of(name: &str) -> Self {
        Folded(name.to_lowercase())
    }

    /// The same, folded again: for names read from a file that was written before they were folded.
    pub(super) fn folded(self) -> Self {
        Folded::of(&self.0)
    }

    /// Whether two names are the same to the catalog.
    pub fn same(a: &str, b: &str) -> bool {
        a == b || Folded::of(a) == Folded::of(b)
    }
}
