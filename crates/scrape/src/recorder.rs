//! From a body to the store: one transaction per visit, whatever became of the visit.
//!
//! ```text
//! body ─► lines ─► cache ─► row: known and new series
//!                           + markers for series that vanished (all of them after a failure)
//!                           + up, scrape_duration_seconds …      ─► commit
//! ```
//!
//! Invariants
//! - a visit that fails (no answer, not metrics, a limit) appends nothing of its body: the transaction begun for it is
//!   dropped and another one carries markers and report;
//! - a known line allocates nothing: hash, compare, number, two pushes.

use crate::config::ScrapeConfig;
use crate::instruments::Instruments;
use crate::line_cache::LineCache;
use crate::metadata::MetadataCache;
use crate::report::{Report, ReportSeries};
use crate::sample_labels::{SampleError, sample_labels};
use crate::target::Target;
use model::{STALE_NAN, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use storage::{Append, AppendError, Appender, CommitError, Durability, LaneKey, Row, SeriesRef, Tenant};
use thiserror::Error;
use wire::exposition::text::{Entry, TextParser};

/// Samples may lie this far in the future, as in the original.
const AHEAD_MAX_MS: i64 = 10 * 60 * 1000;

/// Vectors a visit fills, lent by the pool of buffers so that idle targets hold none.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) body: Vec<u8>,
    series: Vec<SeriesRef>,
    values: Vec<f64>,
    order: Vec<u32>,
}

impl Scratch {
    /// Bytes held.
    pub(crate) fn capacity(&self) -> usize {
        self.body.capacity() + self.series.capacity() * 8 + self.values.capacity() * 8 + self.order.capacity() * 4
    }

    fn clear_row(&mut self) {
        self.series.clear();
        self.values.clear();
        self.order.clear();
    }
}

/// What a visit brought, before it is recorded.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    /// The time of its samples.
    pub(crate) at: Timestamp,
    /// How long it took.
    pub(crate) duration: Duration,
    /// Why it failed; otherwise the body is in the scratch.
    pub(crate) failed: Option<String>,
    pub(crate) target: &'a Target,
    pub(crate) config: &'a Arc<ScrapeConfig>,
    pub(crate) instruments: &'a Instruments,
    /// Bytes of the body, -1 when it was too large.
    pub(crate) body_bytes: i64,
}

/// The store took nothing.
#[derive(Debug, Error)]
pub(crate) enum RecordError {
    #[error("cannot store samples: {0}")]
    Append(#[from] AppendError),
    #[error("cannot store samples: {0}")]
    Commit(#[from] CommitError),
}

/// What a body holds, counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    scraped: u64,
    kept: u64,
    added: u64,
}

/// Why a body is not taken.
enum BodyError {
    /// The visit fails, with this reason.
    Failed(String),
    /// The store does not take it.
    Store(AppendError),
}

impl From<AppendError> for BodyError {
    fn from(error: AppendError) -> Self {
        BodyError::Store(error)
    }
}

/// What is remembered of one target between visits.
#[derive(Debug)]
pub(crate) struct Recorder {
    cache: LineCache,
    report: ReportSeries,
    config: Arc<ScrapeConfig>,
    lane: LaneKey,
}

impl Recorder {
    pub(crate) fn new(config: Arc<ScrapeConfig>, lane: LaneKey, seed: u64) -> Self {
        Recorder { cache: LineCache::new(seed), report: ReportSeries::default(), config, lane }
    }

    /// Records a visit; `Ok` is the reason why it counts as failed, if it does.
    pub(crate) fn record(
        &mut self,
        visit: &Visit<'_>,
        scratch: &mut Scratch,
        store: &dyn Append,
    ) -> Result<Option<String>, RecordError> {
        if !Arc::ptr_eq(&self.config, visit.config) {
            if *self.config != **visit.config {
                self.cache.forget();
            }
            self.config = visit.config.clone();
        }
        let mut outcome = self.attempt(visit, scratch, store);
        if matches!(outcome, Err(RecordError::Append(AppendError::UnknownSeries(_)))) {
            // the store has forgotten a series (nothing was appended to it for long): name them all again
            self.cache.clear();
            self.report.clear();
            outcome = self.attempt(visit, scratch, store);
        }
        if outcome.is_err() {
            self.cache.clear();
            self.report.clear();
        }
        outcome
    }

    fn attempt(
        &mut self,
        visit: &Visit<'_>,
        scratch: &mut Scratch,
        store: &dyn Append,
    ) -> Result<Option<String>, RecordError> {
        scratch.clear_row();
        self.cache.begin();
        let mut appender = store.begin(Tenant::DEFAULT)?;
        let mut counts = Counts::default();
        let mut failed = visit.failed.clone();
        if failed.is_none() {
            match self.read(visit, scratch, appender.as_mut(), &mut counts) {
                Ok(()) => {}
                Err(BodyError::Store(error)) => return Err(error.into()),
                Err(BodyError::Failed(reason)) => {
                    failed = Some(reason);
                    drop(appender);
                    appender = store.begin(Tenant::DEFAULT)?;
                    scratch.series.clear();
                    scratch.values.clear();
                }
            }
        }
        let (series, values) = (&mut scratch.series, &mut scratch.values);
        self.cache.vanished(failed.is_none(), |gone| {
            series.push(gone);
            values.push(STALE_NAN);
        });
        let report = Report {
            up: failed.is_none(),
            duration: visit.duration,
            scraped: counts.scraped,
            kept: counts.kept,
            added: counts.added,
            timeout: visit.target.timeout,
            body_bytes: visit.body_bytes,
        };
        let (limits, extra) = (&self.config.limits, self.config.extra_metrics);
        self.report.push(&report, limits, extra, &visit.target.labels, appender.as_mut(), (series, values))?;
        appender.row(Row { lane: self.lane, at: visit.at, series, values, starts: &[] })?;
        let done = appender.commit(Durability::Soon)?;
        let (refusals, instruments) = (&done.refusals, visit.instruments);
        instruments.out_of_order.inc_by(refusals.out_of_order + refusals.too_old);
        instruments.out_of_bounds.inc_by(refusals.out_of_bounds);
        instruments.duplicates.inc_by(refusals.duplicate);
        self.report.settle(|series| done.resolve(series));
        if failed.is_none() {
            self.cache.end_success(&scratch.order, |series| done.resolve(series));
        } else {
            self.cache.end_failure();
        }
        Ok(failed)
    }

    /// Reads the body's lines into the row.
    fn read(
        &mut self,
        visit: &Visit<'_>,
        scratch: &mut Scratch,
        appender: &mut dyn Appender,
        counts: &mut Counts,
    ) -> Result<(), BodyError> {
        let body = std::mem::take(&mut scratch.body);
        let mut metadata = visit.target.metadata();
        let read = self.read_lines(&body, visit, scratch, appender, counts, &mut metadata);
        metadata.end_visit();
        scratch.body = body;
        read
    }

    fn read_lines(
        &mut self,
        body: &[u8],
        visit: &Visit<'_>,
        scratch: &mut Scratch,
        appender: &mut dyn Appender,
        counts: &mut Counts,
        metadata: &mut MetadataCache,
    ) -> Result<(), BodyError> {
        let failed = |e: wire::exposition::text::TextError| BodyError::Failed(e.to_string());
        let mut parser = TextParser::new(body);
        loop {
            if let Some((len, same)) = self.cache.expected()
                && let Some(sample) = parser.known(len, same)
            {
                let (value, at) = sample.map_err(failed)?;
                let slot = self.cache.advance();
                self.sample(slot, value, at, visit, scratch, appender, counts)?;
                continue;
            }
            match parser.next() {
                None => break,
                Some(entry) => match entry.map_err(failed)? {
                    Entry::Comment => {}
                    Entry::Help { name, text } => metadata.set_help(name, text),
                    Entry::Type { name, kind } => metadata.set_kind(name, kind),
                    Entry::Series { series, value, at } => {
                        let hash = self.cache.hash(series);
                        let slot = match self.cache.find(hash) {
                            Some(slot) => slot,
                            None => {
                                let labels = sample_labels(series, parser.kind(), &visit.target.labels, &self.config)
                                    .map_err(|error| invalid(error, visit.instruments))?;
                                let declared = match &labels {
                                    // beyond the limit samples are only counted
                                    Some(_) if self.over_limit(counts.kept + 1) => {
                                        counts.scraped += 1;
                                        counts.kept += 1;
                                        continue;
                                    }
                                    Some(labels) => Some(appender.declare(labels)?),
                                    None => None,
                                };
                                counts.added += u64::from(declared.is_some());
                                self.cache.insert(hash, series.len(), declared)
                            }
                        };
                        self.sample(slot, value, at, visit, scratch, appender, counts)?;
                    }
                },
            }
        }
        if self.over_limit(counts.kept) {
            visit.instruments.exceeded_samples.inc();
            return Err(BodyError::Failed("sample limit exceeded".to_owned()));
        }
        Ok(())
    }

    fn over_limit(&self, kept: u64) -> bool {
        let limit = self.config.limits.samples;
        limit > 0 && kept > limit
    }

    #[expect(clippy::too_many_arguments, reason = "the hot path: plain arguments instead of a struct made per line")]
    fn sample(
        &mut self,
        slot: u32,
        value: f64,
        at: Option<i64>,
        visit: &Visit<'_>,
        scratch: &mut Scratch,
        appender: &mut dyn Appender,
        counts: &mut Counts,
    ) -> Result<(), AppendError> {
        counts.scraped += 1;
        let first = self.cache.see(slot);
        if first {
            scratch.order.push(slot);
        }
        let own_time = at.filter(|_| self.config.honor_timestamps);
        let tracked = self.config.track_timestamps_staleness;
        let slot = self.cache.slot(slot);
        if slot.dropped {
            return Ok(());
        }
        slot.timed = own_time.is_some() && !tracked;
        match own_time {
            None if slot.alias || !first => visit.instruments.duplicates.inc(),
            None => {
                counts.kept += 1;
                scratch.series.push(slot.series);
                scratch.values.push(value);
            }
            Some(own) if own > visit.at.0.saturating_add(AHEAD_MAX_MS) => visit.instruments.out_of_bounds.inc(),
            Some(own) => {
                counts.kept += 1;
                appender.sample(slot.series, Timestamp(own), value, Timestamp(0))?;
            }
        }
        Ok(())
    }

    /// The target is gone: every series it still feeds ends at `at`.
    pub(crate) fn end(&mut self, at: Timestamp, store: &dyn Append) -> Result<(), RecordError> {
        let mut series = self.cache.take_live();
        series.extend(self.report.take_all());
        if series.is_empty() {
            return Ok(());
        }
        let values = vec![STALE_NAN; series.len()];
        let mut appender = store.begin(Tenant::DEFAULT)?;
        appender.row(Row { lane: self.lane, at, series: &series, values: &values, starts: &[] })?;
        appender.commit(Durability::Soon)?;
        Ok(())
    }
}

fn invalid(error: SampleError, instruments: &Instruments) -> BodyError {
    match error {
        SampleError::Invalid(reason) => BodyError::Failed(reason),
        SampleError::Limit(reason) => {
            instruments.exceeded_labels.inc();
            BodyError::Failed(reason)
        }
    }
}

#[cfg(test)]
mod tests;
