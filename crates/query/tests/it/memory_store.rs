//! A store of a few float series, for tests.

use model::{Exemplar, Labels, Matcher, TimeRange, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use storage::{
    Abilities, ColumnsPiece, ExemplarQuery, LabelQuery, Piece, QueryContext, Select, SelectError, Selection,
    SeriesBatch, SeriesExemplars, SeriesPieces, SeriesStream, Warnings,
};

#[derive(Default)]
pub(crate) struct MemoryStore {
    /// In label order.
    series: Vec<(Labels, Vec<(i64, f64)>)>,
    /// How long each selection takes, looking at its flag every millisecond.
    pub(crate) delay: Duration,
    pub(crate) warning: Option<&'static str>,
    pub(crate) exemplars: Vec<(Labels, Vec<Exemplar>)>,
}

impl MemoryStore {
    pub(crate) fn new(series: impl IntoIterator<Item = (Labels, Vec<(i64, f64)>)>) -> Self {
        let mut series: Vec<_> = series.into_iter().collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        MemoryStore { series, ..MemoryStore::default() }
    }

    fn matching<'a>(
        &'a self,
        matchers: &'a [Matcher],
        range: TimeRange,
    ) -> impl Iterator<Item = &'a (Labels, Vec<(i64, f64)>)> {
        let inside = move |samples: &[(i64, f64)]| samples.iter().any(|(at, _)| range.contains(Timestamp(*at)));
        self.series
            .iter()
            .filter(move |(labels, samples)| matchers.iter().all(|m| m.matches_labels(labels)) && inside(samples))
    }

    fn wait(&self, context: &QueryContext) -> Result<(), SelectError> {
        for _ in 0..self.delay.as_millis() {
            context.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        context.check()
    }

    fn warnings(&self) -> Warnings {
        let mut warnings = Warnings::default();
        self.warning.into_iter().for_each(|text| warnings.add(text));
        warnings
    }
}

struct Stream {
    batches: std::vec::IntoIter<SeriesBatch>,
    warnings: Warnings,
}

impl SeriesStream for Stream {
    fn next(&mut self) -> Result<Option<SeriesBatch>, SelectError> {
        Ok(self.batches.next())
    }

    fn take_warnings(&mut self) -> Warnings {
        std::mem::take(&mut self.warnings)
    }
}

impl Select for MemoryStore {
    fn select(&self, selection: &Selection, context: &QueryContext) -> Result<Box<dyn SeriesStream>, SelectError> {
        self.wait(context)?;
        let pieces = |samples: &[(i64, f64)]| {
            let times: Arc<[i64]> = samples.iter().map(|(at, _)| *at).collect();
            let values: Arc<[f64]> = samples.iter().map(|(_, value)| *value).collect();
            vec![Piece::Columns(ColumnsPiece { times, values, starts: None })]
        };
        let found: Vec<SeriesPieces> = self
            .matching(&selection.matchers, selection.range)
            .map(|(labels, samples)| SeriesPieces { labels: labels.clone(), pieces: pieces(samples) })
            .collect();
        let batches: Vec<SeriesBatch> = found.chunks(2).map(|series| SeriesBatch { series: series.to_vec() }).collect();
        Ok(Box::new(Stream { batches: batches.into_iter(), warnings: self.warnings() }))
    }

    fn label_names(
        &self,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        self.wait(context)?;
        let found = self.matching(&query.matchers, query.range);
        let names: BTreeSet<String> =
            found.flat_map(|(labels, _)| labels.iter().map(|(name, _)| name.to_owned())).collect();
        let limit = if query.limit == 0 { usize::MAX } else { query.limit };
        Ok((names.into_iter().take(limit).collect(), self.warnings()))
    }

    fn label_values(
        &self,
        name: &str,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        self.wait(context)?;
        let found = self.matching(&query.matchers, query.range);
        let values: BTreeSet<String> = found.filter_map(|(labels, _)| labels.get(name).map(str::to_owned)).collect();
        let limit = if query.limit == 0 { usize::MAX } else { query.limit };
        Ok((values.into_iter().take(limit).collect(), self.warnings()))
    }

    fn exemplars(&self, query: &ExemplarQuery, _: &QueryContext) -> Result<(SeriesExemplars, Warnings), SelectError> {
        if self.exemplars.is_empty() {
            return Err(SelectError::Unsupported(storage::Ability::SelectExemplars));
        }
        let wanted =
            |labels: &Labels| query.matcher_sets.iter().any(|set| set.iter().all(|m| m.matches_labels(labels)));
        Ok((self.exemplars.iter().filter(|(labels, _)| wanted(labels)).cloned().collect(), self.warnings()))
    }

    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    fn covers(&self) -> Option<TimeRange> {
        Some(TimeRange::ALL)
    }
}
