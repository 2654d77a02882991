//! An exemplar: one observation behind a sample, with the labels that lead to its trace.

use crate::labels::Labels;
use crate::time::Timestamp;

/// One exemplar.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Usually `trace_id`, `span_id`.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// When it was observed; the sample's own time when the source gave none.
    pub at: Timestamp,
}
