//! The series the server itself writes about each visit.

use model::labels::METRIC_NAME;
use model::{Labels, STALE_NAN};
use std::time::Duration;
use storage::{AppendError, Appender, SeriesRef};

/// Names in the order of [`Report::values`]; the last three only where `extra_scrape_metrics` is set.
const NAMES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];
const PLAIN: usize = 5;

/// What one visit was like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) up: bool,
    pub(crate) duration: Duration,
    pub(crate) scraped: u64,
    pub(crate) kept: u64,
    pub(crate) added: u64,
    pub(crate) timeout: Duration,
    pub(crate) body_bytes: usize,
}

impl Report {
    fn values(&self, sample_limit: u64) -> [f64; 8] {
        [
            f64::from(u8::from(self.up)),
            self.duration.as_secs_f64(),
            self.scraped as f64,
            self.kept as f64,
            self.added as f64,
            self.timeout.as_secs_f64(),
            sample_limit as f64,
            self.body_bytes as f64,
        ]
    }
}

/// The refs of a target's report series.
#[derive(Debug, Default)]
pub(crate) struct ReportSeries([Option<SeriesRef>; 8]);

impl ReportSeries {
    /// Adds the report to a row.
    pub(crate) fn push(
        &mut self,
        report: &Report,
        sample_limit: u64,
        extra: bool,
        target: &Labels,
        appender: &mut dyn Appender,
        (series, values): (&mut Vec<SeriesRef>, &mut Vec<f64>),
    ) -> Result<(), AppendError> {
        let count = if extra { NAMES.len() } else { PLAIN };
        let numbers = report.values(sample_limit);
        for (slot, (name, value)) in self.0.iter_mut().zip(NAMES.iter().zip(numbers)).take(count) {
            let known = match slot {
                Some(known) => *known,
                None => {
                    let mut builder = target.to_builder();
                    builder.set(METRIC_NAME, name);
                    *slot.insert(appender.declare(&builder.build())?)
                }
            };
            series.push(known);
            values.push(value);
        }
        // the switch was turned off: end what it had begun
        for slot in self.0.iter_mut().skip(count) {
            if let Some(known) = slot.take() {
                series.push(known);
                values.push(STALE_NAN);
            }
        }
        Ok(())
    }

    /// After a commit: provisional refs become the store's.
    pub(crate) fn settle(&mut self, resolve: impl Fn(SeriesRef) -> Option<SeriesRef>) {
        for slot in &mut self.0 {
            *slot = slot.and_then(&resolve);
        }
    }

    /// Forgets the refs.
    pub(crate) fn clear(&mut self) {
        self.0 = Default::default();
    }

    /// Every known ref; none is afterwards.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = SeriesRef> {
        std::mem::take(&mut self.0).into_iter().flatten()
    }
}
