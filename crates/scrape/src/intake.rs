//! Intake: one body becomes one transaction.
//!
//! Per line: the cache says where it leads ([`crate::line_cache`]); an unknown line is parsed, gets the target's labels,
//! is relabelled, checked against the limits and declared. Values gather in a row; one commit ends it. Nothing of a visit
//! lands unless all of it may: a body that cannot be parsed, or exceeds a limit, leaves no sample and no series.
//! Series that were there in the visit before and are not now get a staleness marker in the same row.
//!
//! Cost: a known line allocates nothing; row buffers are kept between visits and shrunk after a large one.

use crate::config::JobConfig;
use crate::instruments::Instruments;
use crate::line_cache::{Leads, LineCache, line_hash};
use crate::metadata::FamilyTable;
use crate::target::Target;
use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, STALE_NAN, Timestamp, relabel};
use storage::{Append, AppendError, Appender, CommitError, Durability, LaneKey, Row, SeriesRef, Tenant};
use thiserror::Error;
use wire::exposition::text::{Entry, TextParser, read_labels, unescape_help};

/// Why a visit failed after its body was there; shown as the target's last error.
#[derive(Debug, Error)]
pub(crate) enum IntakeError {
    /// The body is no exposition text.
    #[error("{0}")]
    Parse(String),
    /// More samples than `sample_limit`.
    #[error("sample limit exceeded (limit: {0})")]
    SampleLimit(u64),
    /// A series exceeds a label limit.
    #[error("{0}")]
    LabelLimit(String),
    /// A series has no name after relabelling.
    #[error("metric name missing after relabelling: {0}")]
    NoName(Labels),
    /// The store refused a series.
    #[error("{0}")]
    Append(#[from] AppendError),
    /// The store did not take the visit.
    #[error("{0}")]
    Commit(#[from] CommitError),
}

/// What came of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Samples in the body.
    pub(crate) scraped: u64,
    /// Samples after relabelling.
    pub(crate) kept: u64,
    /// Series that are new.
    pub(crate) added: u64,
}

/// What a report writes besides the samples of the body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    /// Time the visit took, in seconds.
    pub(crate) seconds: f64,
    /// Size of the body after unpacking.
    pub(crate) body_bytes: u64,
    /// `timeout` in seconds, for the extra metrics.
    pub(crate) timeout_seconds: f64,
}

const REPORTED: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];

/// A body being taken in.
struct Visit<'a> {
    taken: Taken,
    duplicates: u64,
    job: &'a JobConfig,
}

/// The intake of one target.
pub(crate) struct Intake {
    lane: LaneKey,
    cache: LineCache,
    reported: [Option<SeriesRef>; REPORTED.len()],
    series: Vec<SeriesRef>,
    values: Vec<f64>,
    instruments: Instruments,
}

/// Buffers larger than this are given back after a visit that needed them.
const ROW_KEPT: usize = 1 << 16;

impl Intake {
    pub(crate) fn new(lane: LaneKey, instruments: Instruments) -> Self {
        Intake {
            lane,
            cache: LineCache::new(lane.0),
            reported: [None; REPORTED.len()],
            series: Vec::new(),
            values: Vec::new(),
            instruments,
        }
    }

    /// Takes a body in and reports it as up.
    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
    pub(crate) fn take(
        &mut self,
        store: &dyn Append,
        job: &JobConfig,
        target: &Target,
        families: &mut FamilyTable,
        body: &[u8],
        at: Timestamp,
        report: Report,
    ) -> Result<Taken, IntakeError> {
        let taken = match self.attempt(store, job, target, families, body, at, report) {
            // the store forgot a series we kept the ref of: begin anew, once; refs of this attempt are fresh
            Err(IntakeError::Append(AppendError::UnknownSeries(_))) => {
                self.forget();
                self.attempt(store, job, target, families, body, at, report)
            }
            other => other,
        };
        if self.series.capacity() > ROW_KEPT {
            (self.series, self.values) = (Vec::new(), Vec::new());
        }
        taken
    }

    fn forget(&mut self) {
        self.cache.clear();
        self.reported = [None; REPORTED.len()];
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
    fn attempt(
        &mut self,
        store: &dyn Append,
        job: &JobConfig,
        target: &Target,
        families: &mut FamilyTable,
        body: &[u8],
        at: Timestamp,
        report: Report,
    ) -> Result<Taken, IntakeError> {
        let mut appender = store.begin(Tenant::DEFAULT)?;
        self.series.clear();
        self.values.clear();
        self.cache.begin();
        families.begin();
        let mut visit = Visit { taken: Taken::default(), duplicates: 0, job };
        let mut parser = TextParser::new(body);
        loop {
            if let Some((slot, len, hash)) = self.cache.expected() {
                let seed = self.cache.seed();
                if let Some(known) = parser.known(len, |series| line_hash(series, seed) == hash) {
                    let (value, own) = known.map_err(|e| IntakeError::Parse(e.to_string()))?;
                    self.cache.was_expected();
                    self.sample(appender.as_mut(), &mut visit, slot, value, own)?;
                    continue;
                }
            }
            match parser.next() {
                None => break,
                Some(Err(error)) => return Err(IntakeError::Parse(error.to_string())),
                Some(Ok(Entry::Comment)) => {}
                Some(Ok(Entry::Help { name, text })) => {
                    if let Ok(name) = std::str::from_utf8(name) {
                        families.help(name, &unescape_help(text));
                    }
                }
                Some(Ok(Entry::Type { name, kind })) => {
                    if let Ok(name) = std::str::from_utf8(name) {
                        families.kind(name, kind);
                    }
                }
                Some(Ok(Entry::Series { series, value, at: own })) => {
                    let hash = self.cache.hash(series);
                    let slot = match self.cache.find(hash) {
                        Some(slot) => slot,
                        None => {
                            let found = self.declare(appender.as_mut(), job, target, series, parser.kind())?;
                            visit.taken.added += u64::from(found.is_some_and(SeriesRef::is_provisional));
                            self.cache.add(hash, series.len(), found)
                        }
                    };
                    self.sample(appender.as_mut(), &mut visit, slot, value, own)?;
                }
            }
        }
        let Visit { taken, duplicates, .. } = visit;
        if duplicates > 0 {
            self.instruments.duplicate.add(duplicates as f64);
            tracing::warn!(scrape_pool = %job.name, target = %target.url, num_dropped = duplicates, "Error on ingesting samples with different value but same timestamp");
        }
        self.series.extend(self.cache.vanished());
        self.values.resize(self.series.len(), STALE_NAN);
        self.stage_report(appender.as_mut(), job, target, Some(taken), report)?;
        self.commit(appender, at)?;
        self.cache.end();
        Ok(taken)
    }

    /// Stages the value of one line.
    fn sample(
        &mut self,
        appender: &mut dyn Appender,
        visit: &mut Visit<'_>,
        slot: u32,
        value: f64,
        own: Option<i64>,
    ) -> Result<(), IntakeError> {
        visit.taken.scraped += 1;
        let own = own.filter(|_| visit.job.honor_timestamps);
        let tracked = own.is_none() || visit.job.track_timestamps_staleness;
        let leads = self.cache.slot(slot).leads;
        let again = self.cache.see(slot, tracked);
        let Leads::Series(series) = leads else { return Ok(()) };
        visit.taken.kept += 1;
        if visit.job.sample_limit > 0 && visit.taken.kept > visit.job.sample_limit {
            self.instruments.sample_limit.inc();
            return Err(IntakeError::SampleLimit(visit.job.sample_limit));
        }
        if again && own.is_none() {
            // the same value once more is no news; another one is an error of the target
            let first = self.series.iter().position(|known| *known == series);
            let same = first.is_some_and(|at| self.values[at].to_bits() == value.to_bits());
            visit.duplicates += u64::from(!same);
            return Ok(());
        }
        match own {
            Some(own) => appender.sample(series, Timestamp(own), value, Timestamp(0))?,
            None => {
                self.series.push(series);
                self.values.push(value);
            }
        }
        Ok(())
    }

    /// Stages the row and commits; provisional refs of cache and report become real ones.
    fn commit(&mut self, mut appender: Box<dyn Appender>, at: Timestamp) -> Result<(), IntakeError> {
        appender.row(Row { lane: self.lane, at, series: &self.series, values: &self.values, starts: &[] })?;
        let committed = appender.commit(Durability::Soon)?;
        let refusals = &committed.refusals;
        if refusals.total() > 0 {
            self.instruments.out_of_order.add(refusals.out_of_order as f64);
            self.instruments.duplicate.add(refusals.duplicate as f64);
            self.instruments.out_of_bounds.add((refusals.out_of_bounds + refusals.too_old) as f64);
        }
        if !committed.born.is_empty() {
            self.cache.resolve(|series| committed.resolve(series));
            for slot in &mut self.reported {
                *slot = slot.and_then(|series| committed.resolve(series));
            }
        }
        Ok(())
    }

    /// Reports a visit that failed: everything known goes stale, `up` is 0. After the target's last visit (`gone`) the
    /// reported series go stale too.
    pub(crate) fn fail(
        &mut self,
        store: &dyn Append,
        job: &JobConfig,
        target: &Target,
        at: Timestamp,
        report: Report,
    ) -> Result<(), IntakeError> {
        let stale = self.cache.tracked();
        self.cache.clear();
        match self.attempt_fail(store, job, target, &stale, at, report) {
            Err(IntakeError::Append(AppendError::UnknownSeries(_))) => {
                // some of them the store has forgotten: mark those it still knows one by one
                self.reported = [None; REPORTED.len()];
                for series in &stale {
                    let mut appender = store.begin(Tenant::DEFAULT)?;
                    if appender.sample(*series, at, STALE_NAN, Timestamp(0)).is_ok() {
                        appender.commit(Durability::Soon)?;
                    }
                }
                self.attempt_fail(store, job, target, &[], at, report)
            }
            other => other,
        }
    }

    fn attempt_fail(
        &mut self,
        store: &dyn Append,
        job: &JobConfig,
        target: &Target,
        stale: &[SeriesRef],
        at: Timestamp,
        report: Report,
    ) -> Result<(), IntakeError> {
        let mut appender = store.begin(Tenant::DEFAULT)?;
        self.series.clear();
        self.values.clear();
        self.series.extend_from_slice(stale);
        self.values.resize(stale.len(), STALE_NAN);
        self.stage_report(appender.as_mut(), job, target, None, report)?;
        self.commit(appender, at)
    }

    /// Ends the target: all its series, the reported ones too, get a staleness marker.
    pub(crate) fn end(&mut self, store: &dyn Append, at: Timestamp) -> Result<(), IntakeError> {
        let mut stale = self.cache.tracked();
        stale.extend(self.reported.iter().flatten().copied());
        self.forget();
        let mut appender = store.begin(Tenant::DEFAULT)?;
        for series in stale {
            // a series the store has forgotten needs no marker
            let _ = appender.sample(series, at, STALE_NAN, Timestamp(0));
        }
        appender.commit(Durability::Soon)?;
        Ok(())
    }

    fn stage_report(
        &mut self,
        appender: &mut dyn Appender,
        job: &JobConfig,
        target: &Target,
        taken: Option<Taken>,
        report: Report,
    ) -> Result<(), IntakeError> {
        let up = taken.is_some();
        let taken = taken.unwrap_or_default();
        let values = [
            f64::from(u8::from(up)),
            report.seconds,
            taken.scraped as f64,
            taken.kept as f64,
            taken.added as f64,
            report.timeout_seconds,
            job.sample_limit as f64,
            if up { report.body_bytes as f64 } else { 0.0 },
        ];
        let count = if job.extra_metrics { REPORTED.len() } else { 5 };
        for n in 0..count {
            let series = match self.reported[n] {
                Some(series) if !series.is_provisional() => series,
                _ => {
                    let mut labels = target.labels.to_builder();
                    labels.set(METRIC_NAME, REPORTED[n]);
                    appender.declare(&labels.build())?
                }
            };
            self.reported[n] = Some(series);
            self.series.push(series);
            self.values.push(values[n]);
        }
        Ok(())
    }

    /// The series an unknown line leads to; `None` when relabelling drops it.
    fn declare(
        &mut self,
        appender: &mut dyn Appender,
        job: &JobConfig,
        target: &Target,
        series: &[u8],
        kind: model::MetricType,
    ) -> Result<Option<SeriesRef>, IntakeError> {
        let mut labels = LabelsBuilder::new();
        read_labels(series, kind, &mut labels).map_err(|e| IntakeError::Parse(e.to_string()))?;
        attach(&mut labels, &target.labels, job.honor_labels);
        if !relabel::process(&mut labels, job.metric_relabel.list()) {
            return Ok(None);
        }
        if labels.value(METRIC_NAME).is_empty() {
            return Err(IntakeError::NoName(labels.build()));
        }
        if let Err(reason) = check_limits(job, &labels) {
            self.instruments.label_limits.inc();
            return Err(IntakeError::LabelLimit(reason));
        }
        Ok(Some(appender.declare(&labels.build())?))
    }
}

/// Puts the target's labels on a series. On a clash the target wins and the series' own label moves to `exported_…`, unless
/// `honor` turns that around.
pub(crate) fn attach(labels: &mut LabelsBuilder, target: &Labels, honor: bool) {
    for (name, value) in target {
        let own = labels.value(name).to_owned();
        if own.is_empty() {
            labels.set(name, value);
        } else if !honor {
            let mut moved = format!("exported_{name}");
            while !labels.value(&moved).is_empty() || !target.value(&moved).is_empty() {
                moved.insert_str(0, "exported_");
            }
            labels.set(&moved, &own);
            labels.set(name, value);
        }
    }
}

fn check_limits(job: &JobConfig, labels: &LabelsBuilder) -> Result<(), String> {
    let metric = labels.value(METRIC_NAME);
    let count = labels.iter().count() as u64;
    if job.label_limit > 0 && count > job.label_limit {
        return Err(format!(
            "label_limit exceeded (metric: {metric:.50}, number of labels: {count}, limit: {})",
            job.label_limit
        ));
    }
    for (name, value) in labels.iter() {
        let (name_len, value_len) = (name.len() as u64, value.len() as u64);
        if job.label_name_length_limit > 0 && name_len > job.label_name_length_limit {
            return Err(format!(
                "label_name_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, length: {name_len}, limit: {})",
                job.label_name_length_limit
            ));
        }
        if job.label_value_length_limit > 0 && value_len > job.label_value_length_limit {
            return Err(format!(
                "label_value_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, value: {value:.50}, length: {value_len}, limit: {})",
                job.label_value_length_limit
            ));
        }
    }
    Ok(())
}
