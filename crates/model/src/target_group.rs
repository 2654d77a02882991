//! What discovery says: a group of targets that share labels, named by its source so that it can be replaced.

use crate::labels::Labels;

/// A group of targets. A later group with the same `source` replaces this one; one without targets removes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// Names the group within its provider (`file:…:0`, `consul/web`, a static config's index).
    pub source: String,
    /// One label set per target, `__address__` among them.
    pub targets: Vec<Labels>,
    /// Labels every target of the group has, unless its own set says otherwise.
    pub labels: Labels,
}
