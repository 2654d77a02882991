//! Intake: from a body to the store, one transaction per visit, whatever became of the visit.
//!
//! ```text
//! body ─► lines ─► cache ─► row: known and new series
//!                           + markers for series that vanished (after a failure: behind its line)
//!                           + up, scrape_duration_seconds …      ─► commit
//! ```
//!
//! Invariants
//! - a visit that fails (no answer, not metrics, a limit) appends nothing of its body: the transaction begun for it is
//!   dropped and another one carries markers and report;
//! - a known line allocates nothing: hash, compare, number, two pushes.

use crate::config::JobConfig;
use crate::instruments::Instruments;
use crate::line_cache::LineCache;
use crate::metadata::FamilyTable;
use crate::report::{Report, ReportSeries};
use crate::sample_labels::{SampleError, sample_labels};
use crate::target::Target;
use model::{STALE_NAN, Timestamp};
use std::time::Duration;
use storage::{Append, AppendError, Appender, CommitError, Durability, LaneKey, Row, SeriesRef, Tenant};
use thiserror::Error;
use wire::exposition::text::{Entry, TextParser, unescape_help};

/// Samples may lie this far in the future, as in the original.
const AHEAD_MAX_MS: i64 = 10 * 60 * 1000;

/// What a visit brought, and where it goes.
#[derive(Clone, Copy)]
pub(crate) struct Visit<'a> {
    /// The time of its samples.
    pub(crate) at: Timestamp,
    /// How long it took.
    pub(crate) duration: Duration,
    /// The body, or why there is none.
    pub(crate) body: Result<&'a [u8], &'a str>,
    pub(crate) target: &'a Target,
    pub(crate) job: &'a JobConfig,
    pub(crate) store: &'a dyn Append,
}

/// The store took nothing.
#[derive(Debug, Error)]
pub(crate) enum IntakeError {
    #[error("cannot store samples: {0}")]
    Append(#[from] AppendError),
    #[error("cannot store samples: {0}")]
    Commit(#[from] CommitError),
}

/// What a body holds, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Samples in the body.
    pub(crate) scraped: u64,
    /// Samples after relabelling.
    pub(crate) kept: u64,
    /// Samples offered to the store: what `sample_limit` is about. A line that comes twice is offered once.
    pub(crate) offered: u64,
    /// Series whose lines are new.
    pub(crate) added: u64,
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

/// Rows with more places than this are given back after the visit.
const ROW_KEPT: usize = 1 << 16;

/// What is remembered of one target between visits.
pub(crate) struct Intake {
    cache: LineCache,
    report: ReportSeries,
    lane: LaneKey,
    instruments: Instruments,
    series: Vec<SeriesRef>,
    values: Vec<f64>,
    order: Vec<u32>,
}

impl Intake {
    pub(crate) fn new(lane: LaneKey, instruments: Instruments) -> Self {
        Intake {
            cache: LineCache::new(lane.0),
            report: ReportSeries::default(),
            lane,
            instruments,
            series: Vec::new(),
            values: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Forgets what lines mean, because other rules hold now; series that do not turn up again will be marked.
    pub(crate) fn forget_lines(&mut self) {
        self.cache.forget();
    }

    /// Records a visit, successful or not. The inner `Err` is why it counts as failed.
    pub(crate) fn take(
        &mut self,
        visit: Visit<'_>,
        families: &mut FamilyTable,
    ) -> Result<Result<Taken, String>, IntakeError> {
        let mut outcome = self.attempt(visit, families);
        if matches!(outcome, Err(IntakeError::Append(AppendError::UnknownSeries(_)))) {
            // the store has forgotten a series (nothing was appended to it for long): name them all again
            self.forget_refs();
            outcome = self.attempt(visit, families);
        }
        if outcome.is_err() {
            self.forget_refs();
        }
        if self.series.capacity() > ROW_KEPT {
            (self.series, self.values, self.order) = (Vec::new(), Vec::new(), Vec::new());
        }
        outcome
    }

    fn forget_refs(&mut self) {
        self.cache.clear();
        self.report.clear();
    }

    fn attempt(&mut self, visit: Visit<'_>, families: &mut FamilyTable) -> Result<Result<Taken, String>, IntakeError> {
        self.series.clear();
        self.values.clear();
        self.order.clear();
        self.cache.begin();
        let mut appender = visit.store.begin(Tenant::DEFAULT)?;
        let mut taken = Taken::default();
        let read = match visit.body {
            Ok(body) => self.read(body, visit, appender.as_mut(), families, &mut taken),
            Err(reason) => Err(BodyError::Failed(reason.to_owned())),
        };
        let failed = match read {
            Ok(()) => None,
            Err(BodyError::Store(error)) => return Err(error.into()),
            Err(BodyError::Failed(reason)) => {
                drop(appender);
                appender = visit.store.begin(Tenant::DEFAULT)?;
                self.series.clear();
                self.values.clear();
                Some(reason)
            }
        };
        let (series, values) = (&mut self.series, &mut self.values);
        self.cache.vanished(failed.is_none(), |gone| {
            series.push(gone);
            values.push(STALE_NAN);
        });
        let report = Report {
            up: failed.is_none(),
            duration: visit.duration,
            scraped: taken.scraped,
            kept: taken.kept,
            added: taken.added,
            timeout: visit.target.timeout,
            body_bytes: visit.body.map_or(0, <[u8]>::len),
        };
        let (limit, extra) = (visit.job.sample_limit, visit.job.extra_metrics);
        self.report.push(&report, limit, extra, &visit.target.labels, appender.as_mut(), (series, values))?;
        self.commit(appender, visit.at, failed.is_none())?;
        Ok(match failed {
            None => Ok(taken),
            Some(reason) => Err(reason),
        })
    }

    /// Stages the row and commits; provisional refs become the store's.
    fn commit(&mut self, mut appender: Box<dyn Appender>, at: Timestamp, success: bool) -> Result<(), IntakeError> {
        appender.row(Row { lane: self.lane, at, series: &self.series, values: &self.values, starts: &[] })?;
        let done = appender.commit(Durability::Soon)?;
        let refusals = &done.refusals;
        if refusals.total() > 0 {
            self.instruments.out_of_order.add((refusals.out_of_order + refusals.too_old) as f64);
            self.instruments.out_of_bounds.add(refusals.out_of_bounds as f64);
            self.instruments.duplicate.add(refusals.duplicate as f64);
        }
        self.report.settle(|series| done.resolve(series));
        if success {
            self.cache.end_success(&self.order, |series| done.resolve(series));
        } else {
            self.cache.end_failure();
        }
        Ok(())
    }

    /// Reads the body's lines into the row.
    fn read(
        &mut self,
        body: &[u8],
        visit: Visit<'_>,
        appender: &mut dyn Appender,
        families: &mut FamilyTable,
        taken: &mut Taken,
    ) -> Result<(), BodyError> {
        let failed = |e: wire::exposition::text::TextError| BodyError::Failed(e.to_string());
        families.begin();
        let mut parser = TextParser::new(body);
        loop {
            if let Some((len, same)) = self.cache.expected()
                && let Some(sample) = parser.known(len, same)
            {
                let (value, at) = sample.map_err(failed)?;
                let slot = self.cache.advance();
                self.sample(slot, value, at, visit, appender, taken)?;
                continue;
            }
            match parser.next() {
                None => break,
                Some(entry) => match entry.map_err(failed)? {
                    Entry::Comment => {}
                    Entry::Help { name, text } => {
                        if let Ok(name) = std::str::from_utf8(name) {
                            families.help(name, &unescape_help(text));
                        }
                    }
                    Entry::Type { name, kind } => {
                        if let Ok(name) = std::str::from_utf8(name) {
                            families.kind(name, kind);
                        }
                    }
                    Entry::Series { series, value, at } => {
                        if let Some(slot) = self.slot_of(series, parser.kind(), visit, appender, taken)? {
                            self.sample(slot, value, at, visit, appender, taken)?;
                        }
                    }
                },
            }
        }
        if over(visit.job.sample_limit, taken.offered) {
            self.instruments.sample_limit.inc();
            let limit = visit.job.sample_limit;
            return Err(BodyError::Failed(format!("sample limit exceeded (limit: {limit})")));
        }
        Ok(())
    }

    /// The slot of a line that is not the expected one; `None` for a new one beyond the limit, which is only counted.
    fn slot_of(
        &mut self,
        series: &[u8],
        kind: model::MetricType,
        visit: Visit<'_>,
        appender: &mut dyn Appender,
        taken: &mut Taken,
    ) -> Result<Option<u32>, BodyError> {
        let hash = self.cache.hash(series);
        if let Some(slot) = self.cache.find(hash) {
            return Ok(Some(slot));
        }
        let labels = sample_labels(series, kind, &visit.target.labels, visit.job).map_err(|error| {
            // it was read, and is counted
            taken.scraped += 1;
            match error {
                SampleError::Invalid(reason) => BodyError::Failed(reason),
                SampleError::Limit(reason) => {
                    self.instruments.label_limits.inc();
                    BodyError::Failed(reason)
                }
            }
        })?;
        let declared = match labels {
            None => None,
            Some(_) if over(visit.job.sample_limit, taken.offered + 1) => {
                taken.scraped += 1;
                taken.kept += 1;
                taken.offered += 1;
                return Ok(None);
            }
            Some(labels) => Some(appender.declare(&labels)?),
        };
        taken.added += u64::from(declared.is_some() && !self.cache.failed_with(hash));
        Ok(Some(self.cache.insert(hash, series.len(), declared)))
    }

    /// Stages the value of one line.
    fn sample(
        &mut self,
        slot: u32,
        value: f64,
        at: Option<i64>,
        visit: Visit<'_>,
        appender: &mut dyn Appender,
        taken: &mut Taken,
    ) -> Result<(), AppendError> {
        taken.scraped += 1;
        let first = self.cache.see(slot);
        if first {
            self.order.push(slot);
        }
        let own_time = at.filter(|_| visit.job.honor_timestamps);
        let place = slot;
        let slot = self.cache.slot(place);
        if slot.dropped {
            return Ok(());
        }
        // one line without a time of its own is enough to be tracked
        slot.timed = own_time.is_some() && !visit.job.track_timestamps_staleness && (first || slot.timed);
        taken.kept += 1;
        if own_time.is_some() || first {
            taken.offered += 1;
            if over(visit.job.sample_limit, taken.offered) {
                // the visit has failed already, and this line is behind the fault
                self.cache.overlook(place);
                return Ok(());
            }
        }
        match own_time {
            None if slot.alias || !first => self.instruments.duplicate.inc(),
            None => {
                self.series.push(slot.series);
                self.values.push(value);
            }
            Some(own) if own > visit.at.0.saturating_add(AHEAD_MAX_MS) => self.instruments.out_of_bounds.inc(),
            Some(own) => appender.sample(slot.series, Timestamp(own), value, Timestamp(0))?,
        }
        Ok(())
    }

    /// The target is gone: every series it still feeds ends at `at`.
    pub(crate) fn end(&mut self, store: &dyn Append, at: Timestamp) -> Result<(), IntakeError> {
        let mut series = self.cache.take_live();
        series.extend(self.report.take_all());
        if series.is_empty() {
            return Ok(());
        }
        let values = vec![STALE_NAN; series.len()];
        let mut appender = store.begin(Tenant::DEFAULT)?;
        match appender.row(Row { lane: self.lane, at, series: &series, values: &values, starts: &[] }) {
            // one that is forgotten has ended already; nothing of the row was staged, so the others go one by one
            Err(AppendError::UnknownSeries(_)) => {
                for series in series {
                    match appender.sample(series, at, STALE_NAN, Timestamp(0)) {
                        Ok(()) | Err(AppendError::UnknownSeries(_)) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            staged => staged?,
        }
        appender.commit(Durability::Soon)?;
        Ok(())
    }
}

fn over(limit: u64, samples: u64) -> bool {
    limit > 0 && samples > limit
}

#[cfg(test)]
mod tests;
