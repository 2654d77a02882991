//! Appending: what stores samples, seen by what produces them.
//!
//! ```text
//! begin ─► declare / row / sample / histogram / exemplar / metadata … ─► commit ─► Committed { ticket, refusals, refs }
//!    └──────────────────────── drop: rolled back, nothing was there ◄───────┘ (error)
//! ```
//!
//! Invariants (tested on every store by `testkit::contract`)
//! - One appender is one transaction. After `commit` every accepted sample is visible to selections that start later;
//!   before it none is; a selection that runs at the same time sees all of a commit or nothing of it.
//! - After a crash a commit is there whole or not at all. Every acknowledged one that was durable is there.
//! - Dropping an appender leaves nothing: no sample, no series, no log record. A series is born by the commit of its
//!   first accepted sample; `declare` alone hands out a *provisional* ref ([`SeriesRef::is_provisional`]).
//! - Errors are of two kinds. [`AppendError`] refuses the call: that row, sample … is not staged, what was staged before
//!   stands, the caller may go on or drop. [`Refusal`] refuses one sample at commit, where order is known; the rest lands.
//! - A ref is good until the store forgets its series (head truncation, restart). It then is refused as
//!   `AppendError::UnknownSeries`, and is never given to another series within a process: declare again.
//!   Refs are not kept across restarts, and belong to one tenant.
//! - A ref that was taken at staging is good until the commit: a series forgotten in between is made anew.
//! - `UnknownSeries` names the first unknown ref of a row; there may be more, so the caller declares the whole row again.
//! - An exemplar or metadata of a series that the commit does not make is dropped with it.
//!
//! Cost: `row` of known refs allocates nothing per sample.

use crate::ability::{Abilities, Ability};
use crate::tenant::Tenant;
use model::{Exemplar, FloatHistogram, Labels, Metadata, Timestamp};
use runtime::ticket::Ticket;
use std::sync::Arc;
use thiserror::Error;

/// A series inside one store and one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u64);

const PROVISIONAL: u64 = 1 << 63;

impl SeriesRef {
    /// The `n`-th series an appender declared that the store did not know.
    pub const fn provisional(n: usize) -> Self {
        SeriesRef(PROVISIONAL | n as u64)
    }

    /// Which of its appender's declarations a provisional ref is; `None` for a ref of the store.
    pub const fn provisional_index(self) -> Option<usize> {
        if self.is_provisional() { Some((self.0 & !PROVISIONAL) as usize) } else { None }
    }

    /// True until the commit that makes the series; good only within the appender that handed it out.
    pub const fn is_provisional(self) -> bool {
        self.0 & PROVISIONAL != 0
    }
}

/// Names a group of series that always arrive together (a scrape target, a rule group, a remote sender's stream).
/// The caller chooses it and keeps it for the group's life; a store may lay out rows by it, or ignore it. Two groups with one
/// key may cost a store its layout, never a sample: no caller has to prove that its key is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneKey(pub u64);

/// Values of many series at one instant: a scrape. Absent series are simply not listed; a series that ended is listed
/// with [`model::STALE_NAN`]. Columns of unequal length are a mistake of the caller's (asserted in debug builds).
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Whose row.
    pub lane: LaneKey,
    /// The one clock of the row.
    pub at: Timestamp,
    /// Which series; each at most once (listed twice it is two samples at one instant: repeated or a duplicate).
    pub series: &'a [SeriesRef],
    /// Their values, as many as `series`.
    pub values: &'a [f64],
    /// When each counter began: empty (nothing known), or as many as `series` (`Timestamp(0)` = not known for this one).
    pub starts: &'a [Timestamp],
}

/// How far a commit's bytes must have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Handed to the operating system: survives the end of the process, not of the machine. Nobody syncs for its sake, so its
    /// ticket settles with the next sync that others ask for: not one to wait on.
    Os,
    /// As `Os` at return, on disk within about 100 ms without anybody waiting: a scrape.
    Soon,
    /// On disk as soon as can be; the caller waits on the ticket before it acknowledges: remote write, an API.
    Synced,
}

/// Why one sample was refused at commit; the words Prometheus' metrics and answers use for it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Older than the newest sample of its series, and the store keeps order.
    #[error("out of order sample")]
    OutOfOrder,
    /// Same instant as the newest sample, another value. (The same bits again are accepted without effect.)
    #[error("duplicate sample for timestamp")]
    Duplicate,
    /// Older than anything the store still takes.
    #[error("out of bounds")]
    OutOfBounds,
    /// Older than the out-of-order window.
    #[error("too old sample")]
    TooOld,
}

/// The samples of a commit that were refused: counts of all, positions of the first [`Refusals::LISTED`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Refused as [`Refusal::OutOfOrder`].
    pub out_of_order: u64,
    /// Refused as [`Refusal::Duplicate`].
    pub duplicate: u64,
    /// Refused as [`Refusal::OutOfBounds`].
    pub out_of_bounds: u64,
    /// Refused as [`Refusal::TooOld`].
    pub too_old: u64,
    /// Exemplars that were refused (older than the series' newest, or too long). Not samples: not in `total` or `first`.
    pub exemplars: u64,
    /// Position in staging order (samples of rows, single ones and histograms counted through), and why.
    pub first: Vec<(u64, Refusal)>,
}

impl Refusals {
    /// How many positions are listed; the counts go on.
    pub const LISTED: usize = 64;

    /// Notes one more.
    pub fn note(&mut self, position: u64, refusal: Refusal) {
        match refusal {
            Refusal::OutOfOrder => self.out_of_order += 1,
            Refusal::Duplicate => self.duplicate += 1,
            Refusal::OutOfBounds => self.out_of_bounds += 1,
            Refusal::TooOld => self.too_old += 1,
        }
        if self.first.len() < Self::LISTED {
            self.first.push((position, refusal));
        }
    }

    /// All samples that were refused.
    pub fn total(&self) -> u64 {
        self.out_of_order + self.duplicate + self.out_of_bounds + self.too_old
    }
}

/// What a commit did.
#[derive(Debug)]
pub struct Committed {
    /// Settles when the commit's bytes are on disk.
    pub ticket: Ticket,
    /// Samples now in the store (histograms counted as one each).
    pub accepted: u64,
    /// Samples that are not.
    pub refusals: Refusals,
    /// The store's ref for each provisional one, by its index; `None` when no sample of it was accepted.
    pub born: Vec<Option<SeriesRef>>,
}

impl Committed {
    /// The ref to keep for `series`: itself, or what a provisional one became.
    pub fn resolve(&self, series: SeriesRef) -> Option<SeriesRef> {
        match series.provisional_index() {
            None => Some(series),
            Some(index) => self.born.get(index).copied().flatten(),
        }
    }
}

/// Why a call was refused; what was staged before it stands.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum AppendError {
    /// The store has forgotten the series (or never had it): declare it again.
    #[error("unknown series ref {}", .0.0)]
    UnknownSeries(SeriesRef),
    /// The label set cannot name a series.
    #[error("cannot declare series {labels}: {reason}")]
    BadLabels {
        /// The set.
        labels: Labels,
        /// What is wrong with it.
        reason: String,
    },
    /// A limit of the store was met.
    #[error("{what} limit of {limit} exceeded")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// This store does not do that.
    #[error("this store does not take {0}")]
    Unsupported(Ability),
    /// The store takes nothing at present (full disk, closing); try again later.
    #[error("store is unavailable: {0}")]
    Unavailable(Arc<str>),
    /// A write failed in a way that leaves the log's end unknown: this process will not append again.
    #[error("store is poisoned: {0}")]
    Poisoned(Arc<str>),
}

/// Why a commit did not happen. Nothing of it is visible, now or after a restart, unless it is `Poisoned`: then it may
/// be there whole after a restart.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum CommitError {
    /// The store takes nothing at present (full disk, closing); the same samples may be tried again.
    #[error("store is unavailable: {0}")]
    Unavailable(Arc<str>),
    /// A write or sync failed in a way that leaves the log's end unknown: this process will not append again.
    #[error("store is poisoned: {0}")]
    Poisoned(Arc<str>),
}

/// A place samples are appended to.
pub trait Append: Send + Sync {
    /// Starts a transaction. Cheap; any number may be open at once. Two open ones that touch the same series are
    /// ordered by their commits.
    fn begin(&self, tenant: Tenant) -> Result<Box<dyn Appender>, AppendError>;

    /// What this store does.
    fn abilities(&self) -> Abilities;
}

/// One transaction. Used from one thread at a time; dropping it rolls back.
pub trait Appender: Send {
    /// The ref of a series: the store's if it is known there, else a provisional one. The same set gives the same ref
    /// within one appender.
    fn declare(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError>;

    /// Stages a row. On an error nothing of the row is staged.
    fn row(&mut self, row: Row<'_>) -> Result<(), AppendError>;

    /// Stages one float sample of a series that travels alone. `start` as in [`Row::starts`].
    fn sample(&mut self, series: SeriesRef, at: Timestamp, value: f64, start: Timestamp) -> Result<(), AppendError>;

    /// Stages one native histogram.
    fn histogram(
        &mut self,
        series: SeriesRef,
        at: Timestamp,
        histogram: &FloatHistogram,
        start: Timestamp,
    ) -> Result<(), AppendError> {
        let _ = (series, at, histogram, start);
        Err(AppendError::Unsupported(Ability::AppendHistograms))
    }

    /// Stages an exemplar of a series.
    fn exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<(), AppendError> {
        let _ = (series, exemplar);
        Err(AppendError::Unsupported(Ability::AppendExemplars))
    }

    /// Stages the metadata of the family a series belongs to; kept once per metric name.
    fn metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), AppendError> {
        let _ = (series, metadata);
        Err(AppendError::Unsupported(Ability::AppendMetadata))
    }

    /// Makes everything staged visible and durable as asked, in one step.
    fn commit(self: Box<Self>, durability: Durability) -> Result<Committed, CommitError>;
}
