//! Selecting: what holds samples, seen by what asks for them.
//!
//! Invariants (tested on every store by `testkit::contract`)
//! - Ranges are half-open. A series is answered when it matches and *may* have samples in the range (a store does not
//!   decode to find out: a series without any in the range may come, with pieces that hold none of it, or without pieces).
//! - Series come in label order, each once. Its pieces come in time order and do not overlap: **each store merges its own
//!   overlaps**; [`crate::merge::Merged`] does it between stores.
//! - A selection is a snapshot: commits that end after `select` returned are not in it.
//! - Matchers are all to be satisfied; a missing label is the empty string. Without a matcher every series matches.
//! - Batches are bounded ([`SeriesBatch::SERIES_MAX`]); `cancel` is tested at least once a batch; bytes held count against
//!   the budget only while the store itself holds them.
//! - Part of an answer missing (a store down, a block damaged) is a warning and the rest, where the caller allowed
//!   it by `partial`; an error otherwise.

use crate::ability::{Abilities, Ability};
use crate::context::{QueryContext, Warnings};
use crate::piece::Piece;
use crate::tenant::Tenant;
use model::{Exemplar, Labels, Matcher, Millis, TimeRange};
use runtime::cancel::Reason;
use std::collections::BTreeSet;
use thiserror::Error;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Whose samples.
    pub tenant: Tenant,
    /// Conditions, all to be satisfied.
    pub matchers: Vec<Matcher>,
    /// Samples of this range; pieces may reach beyond it.
    pub range: TimeRange,
    /// What the caller will do with it. A store may use hints to do less; ignoring them is always right.
    pub hints: Hints,
    /// Whether part of the answer with a warning is better than an error. It is for a person who looks at a graph; it is not
    /// for a rule, to which a series that is missing means something.
    pub partial: bool,
}

impl Selection {
    /// All of the default tenant's series that satisfy `matchers`, in `range`, nothing said about their use.
    pub fn new(matchers: Vec<Matcher>, range: TimeRange) -> Self {
        Selection { tenant: Tenant::DEFAULT, matchers, range, hints: Hints::default(), partial: true }
    }
}

/// What the caller will do with a selection.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// Distance of the evaluation's steps; `None` for one instant.
    pub step: Option<Millis>,
    /// Length of the window each step looks back; `None` for an instant vector (the lookback is in the range already).
    pub window: Option<Millis>,
    /// The function or aggregation around the selector, in PromQL's words.
    pub function: Option<&'static str>,
    /// Labels that survive: `Some((true, names))` only these, `Some((false, names))` all but these.
    pub grouping: Option<(bool, Vec<String>)>,
    /// No piece is wanted, only labels.
    pub labels_only: bool,
    /// Stop after so many series (0 = no limit); the stream then warns [`CUT`]. As every hint it may be ignored.
    pub series_max: usize,
}

/// One series of an answer.
#[derive(Clone, Debug)]
pub struct SeriesPieces {
    /// What names it.
    pub labels: Labels,
    /// Its samples, in time order, without overlap.
    pub pieces: Vec<Piece>,
}

/// Some series of an answer, in label order.
#[derive(Clone, Debug, Default)]
pub struct SeriesBatch {
    /// At most [`SeriesBatch::SERIES_MAX`].
    pub series: Vec<SeriesPieces>,
}

impl SeriesBatch {
    /// Series per batch: enough to pay for the call, few enough that their columns stay in the second cache.
    pub const SERIES_MAX: usize = 64;
}

/// An answer being read.
pub trait SeriesStream: Send {
    /// The next series, or `None` at the end. After an error the stream is over.
    fn next(&mut self) -> Result<Option<SeriesBatch>, SelectError>;

    /// Warnings so far; complete once `next` has answered `None`.
    fn take_warnings(&mut self) -> Warnings;
}

/// A question for label names or values.
#[derive(Clone, Debug)]
pub struct LabelQuery {
    /// Whose labels.
    pub tenant: Tenant,
    /// Only of series that satisfy all of these.
    pub matchers: Vec<Matcher>,
    /// Only of series that may have samples in this range.
    pub range: TimeRange,
    /// Stop after so many (0 = no limit), without a word: who wants to know whether there are more asks for one more.
    pub limit: usize,
    /// As [`Selection::partial`].
    pub partial: bool,
}

impl LabelQuery {
    /// Labels of all the default tenant's series in `range`.
    pub fn new(range: TimeRange) -> Self {
        LabelQuery { tenant: Tenant::DEFAULT, matchers: Vec::new(), range, limit: 0, partial: true }
    }
}

/// A question for exemplars.
#[derive(Clone, Debug)]
pub struct ExemplarQuery {
    /// Whose exemplars.
    pub tenant: Tenant,
    /// Of series that satisfy one of these sets.
    pub matcher_sets: Vec<Vec<Matcher>>,
    /// Observed in this range.
    pub range: TimeRange,
    /// As [`Selection::partial`].
    pub partial: bool,
}

impl ExemplarQuery {
    /// Exemplars of the default tenant's series that satisfy one of the sets, in `range`.
    pub fn new(matcher_sets: Vec<Vec<Matcher>>, range: TimeRange) -> Self {
        ExemplarQuery { tenant: Tenant::DEFAULT, matcher_sets, range, partial: true }
    }
}

/// Exemplars in label order of their series, and per series in time order.
pub type SeriesExemplars = Vec<(Labels, Vec<Exemplar>)>;

/// What a stream warns when it stopped at [`Hints::series_max`].
pub const CUT: &str = "the selection was cut at the number of series asked for";

/// Why a selection failed.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum SelectError {
    /// The query was cancelled.
    #[error("query was cancelled: {0:?}")]
    Cancelled(Reason),
    /// A limit of the query was met.
    #[error("query would take more than {limit} {what}")]
    Budget {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// This store does not do that.
    #[error("this store does not do {0}")]
    Unsupported(Ability),
    /// Data cannot be read and will not be by trying again; says where.
    #[error("{0}")]
    Corrupt(String),
    /// The store does not answer at present.
    #[error("{0}")]
    Unavailable(String),
}

/// A place samples are selected from.
pub trait Select: Send + Sync {
    /// Starts an answer.
    fn select(&self, selection: &Selection, context: &QueryContext) -> Result<Box<dyn SeriesStream>, SelectError>;

    /// Names of labels, ascending.
    fn label_names(
        &self,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError>;

    /// Values of one label, ascending. With a limit, the first ones in order.
    fn label_values(
        &self,
        name: &str,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError>;

    /// Exemplars, as far as the store keeps any.
    fn exemplars(
        &self,
        query: &ExemplarQuery,
        context: &QueryContext,
    ) -> Result<(SeriesExemplars, Warnings), SelectError> {
        let _ = (query, context);
        Err(SelectError::Unsupported(Ability::SelectExemplars))
    }

    /// What this store does.
    fn abilities(&self) -> Abilities;

    /// The range samples may lie in, `None` when there is none: lets callers skip a store.
    fn covers(&self) -> Option<TimeRange>;
}

/// Reads a stream to its end. For callers that need all series before they begin.
pub fn collect(stream: &mut dyn SeriesStream) -> Result<(Vec<SeriesPieces>, Warnings), SelectError> {
    let mut all = Vec::new();
    while let Some(batch) = stream.next()? {
        all.extend(batch.series);
    }
    Ok((all, stream.take_warnings()))
}
