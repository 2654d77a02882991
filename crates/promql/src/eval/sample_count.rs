//! Counting samples as Prometheus does, and stopping at the limit.
//!
//! *Held* are samples in memory now: results of nodes that are still needed, the window a range function looks at. *Total*
//! counts every look at a sample, *read* every sample once.

use crate::answer::Stats;
use crate::engine::QueryError;

/// Bytes of label values that `label_replace` and `label_join` may make in one query, all calls together. Nested calls
/// multiply: twelve of `"$1$1$1$1"` make 500 MB of thirty bytes, for every series. A million series of 200 bytes pass.
const MADE_LABELS_LIMIT: usize = 256 << 20;

/// Steps without a value inside columns, per sample of the limit: columns are stored whole, from a series' first value to its
/// last, and two values far apart make a long one. 200 million (1.6 GB) at the default limit.
const GAPS_PER_SAMPLE: usize = 4;

/// The counters of one query.
#[derive(Debug)]
pub(crate) struct SampleCount {
    max: usize,
    held: usize,
    peak: usize,
    total: u64,
    read: u64,
    made_labels: usize,
    gaps: usize,
}

impl SampleCount {
    pub(crate) fn new(max: usize) -> Self {
        SampleCount { max, held: 0, peak: 0, total: 0, read: 0, made_labels: 0, gaps: 0 }
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats { total_queryable_samples: self.total, samples_read: self.read, peak_samples: self.peak as u64 }
    }

    /// Most samples in memory at once.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Holds some more.
    pub(crate) fn hold(&mut self, more: usize) -> Result<(), QueryError> {
        self.held = self.held.saturating_add(more);
        self.peak = self.peak.max(self.held);
        if self.held > self.max { Err(QueryError::TooManySamples) } else { Ok(()) }
    }

    /// A new column has so many steps without a value.
    pub(crate) fn leave_gaps(&mut self, gaps: usize) -> Result<(), QueryError> {
        self.gaps = self.gaps.saturating_add(gaps);
        if self.gaps > self.max.saturating_mul(GAPS_PER_SAMPLE) { Err(QueryError::TooManySamples) } else { Ok(()) }
    }

    /// Before a label value of so many bytes is made.
    pub(crate) fn make_label(&mut self, bytes: usize) -> Result<(), QueryError> {
        self.made_labels = self.made_labels.saturating_add(bytes);
        if self.made_labels > MADE_LABELS_LIMIT {
            let text = "label_replace() and label_join() would make more than 256 MiB of label values in one query";
            return Err(QueryError::execution(text));
        }
        Ok(())
    }

    /// Lets some go.
    pub(crate) fn release(&mut self, some: usize) {
        self.held = self.held.saturating_sub(some);
    }

    /// Holds some for a moment.
    pub(crate) fn touch(&mut self, more: usize) -> Result<(), QueryError> {
        self.hold(more)?;
        self.release(more);
        Ok(())
    }

    /// Ends an operator: its inputs' samples gathered beside its result for a moment, then the result alone above `before`.
    pub(crate) fn settle(&mut self, before: usize, gathered: usize, result: usize) -> Result<(), QueryError> {
        self.touch(gathered.saturating_add(result))?;
        self.finish(before, result)
    }

    /// Ends an operator that gathers nothing: its result alone above `before`.
    pub(crate) fn finish(&mut self, before: usize, result: usize) -> Result<(), QueryError> {
        self.held = before;
        self.hold(result)
    }

    /// Notes that samples were looked at.
    pub(crate) fn look_at(&mut self, total: u64, read: u64) {
        self.total += total;
        self.read += read;
    }

    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.total, self.read)
    }

    /// What has been looked at since `before` counts `times` times.
    pub(crate) fn repeat_since(&mut self, before: (u64, u64), times: usize) {
        self.total = before.0 + (self.total - before.0) * times as u64;
    }

    /// What has been looked at since `before` does not count, only what was read.
    pub(crate) fn forget_looks_since(&mut self, before: (u64, u64)) {
        self.total = before.0;
    }
}
