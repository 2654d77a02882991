//! Merging: several stores answered as one.
//!
//! ```text
//! store 0 (oldest)  a{}  c{}            k-way by label order; pieces of the same series are put in time order;
//! store 1           a{}  b{}       ──►  a{0,1}  b{1}  c{0}
//! store 2 (newest)
//! ```
//!
//! Pieces that overlap in time are decoded and merged sample by sample; of two samples at one instant that of the store
//! **later in the list** stands. Pieces that do not overlap are passed on unopened, which is the ordinary case (blocks and
//! head meet at a border).
//! Cost: one comparison of label sets per series and store; decoding only where ranges overlap.

use crate::ability::Abilities;
use crate::context::{QueryContext, Warnings};
use crate::piece::{ColumnsPiece, HistogramsPiece, Piece};
use crate::select::{LabelQuery, Select, SelectError, Selection, SeriesBatch, SeriesPieces, SeriesStream};
use crate::tenant::Tenant;
use model::{Exemplar, FloatHistogram, Labels, Matcher, TimeRange, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Several stores as one, oldest first.
pub struct Merged {
    stores: Vec<Arc<dyn Select>>,
}

impl Merged {
    /// Answers from all of `stores`; where two have a sample of one series at one instant, the later in the list wins.
    pub fn new(stores: Vec<Arc<dyn Select>>) -> Self {
        Merged { stores }
    }

    fn touching(&self, range: TimeRange) -> impl Iterator<Item = &Arc<dyn Select>> {
        self.stores.iter().filter(move |store| store.covers().is_some_and(|covered| covered.overlaps(&range)))
    }

    fn union(
        &self,
        query: &LabelQuery,
        ask: impl Fn(&dyn Select) -> Result<(BTreeSet<String>, Warnings), SelectError>,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        let (mut all, mut warnings) = (BTreeSet::new(), Warnings::default());
        for store in self.touching(query.range) {
            match ask(store.as_ref()) {
                Ok((some, said)) => {
                    all.extend(some);
                    warnings.absorb(said);
                }
                Err(error) => warnings.add(excuse(error, query.partial)?),
            }
        }
        if query.limit > 0 {
            while all.len() > query.limit {
                all.pop_last();
            }
        }
        Ok((all, warnings))
    }
}

impl Select for Merged {
    fn select(&self, selection: &Selection, context: &QueryContext) -> Result<Box<dyn SeriesStream>, SelectError> {
        let (mut sources, mut warnings) = (Vec::new(), Warnings::default());
        for store in self.touching(selection.range) {
            match store.select(selection, context) {
                Ok(stream) => sources.push(Source { stream, ready: VecDeque::new(), done: false }),
                Err(error) => warnings.add(excuse(error, selection.partial)?),
            }
        }
        if sources.len() == 1 && warnings.is_empty() {
            return Ok(sources.remove(0).stream);
        }
        Ok(Box::new(MergedStream {
            sources,
            warnings,
            context: context.clone(),
            partial: selection.partial,
            left: if selection.hints.series_max == 0 { usize::MAX } else { selection.hints.series_max },
        }))
    }

    fn label_names(
        &self,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        self.union(query, |store| store.label_names(query, context))
    }

    fn label_values(
        &self,
        name: &str,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        self.union(query, |store| store.label_values(name, query, context))
    }

    fn exemplars(
        &self,
        tenant: Tenant,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        context: &QueryContext,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SelectError> {
        let mut all: BTreeMap<Labels, Vec<Exemplar>> = BTreeMap::new();
        let mut unsupported = None;
        let mut answered = false;
        for store in self.touching(range) {
            match store.exemplars(tenant, matcher_sets, range, context) {
                Ok(some) => {
                    answered = true;
                    for (labels, exemplars) in some {
                        all.entry(labels).or_default().extend(exemplars);
                    }
                }
                Err(error @ SelectError::Unsupported(_)) => unsupported = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let (false, Some(error)) = (answered, unsupported) {
            return Err(error);
        }
        for exemplars in all.values_mut() {
            exemplars.sort_by_key(|exemplar| exemplar.at);
            exemplars.dedup();
        }
        Ok(all.into_iter().collect())
    }

    fn abilities(&self) -> Abilities {
        self.stores.iter().map(|store| store.abilities()).reduce(Abilities::intersect).unwrap_or_default()
    }

    fn covers(&self) -> Option<TimeRange> {
        self.stores
            .iter()
            .filter_map(|store| store.covers())
            .reduce(|a, b| TimeRange { start: a.start.min(b.start), end: a.end.max(b.end) })
    }
}

/// What a failed store becomes when the caller takes part of an answer: a warning. Cancellation and budget stay errors.
fn excuse(error: SelectError, partial: bool) -> Result<String, SelectError> {
    match error {
        SelectError::Corrupt(_) | SelectError::Unavailable(_) if partial => Ok(error.to_string()),
        other => Err(other),
    }
}

struct Source {
    stream: Box<dyn SeriesStream>,
    ready: VecDeque<SeriesPieces>,
    done: bool,
}

impl Source {
    fn fill(&mut self, warnings: &mut Warnings, partial: bool) -> Result<(), SelectError> {
        while self.ready.is_empty() && !self.done {
            match self.stream.next() {
                Ok(Some(batch)) => self.ready.extend(batch.series),
                Ok(None) => {
                    self.done = true;
                    warnings.absorb(self.stream.take_warnings());
                }
                Err(error) => {
                    self.done = true;
                    warnings.add(excuse(error, partial)?);
                }
            }
        }
        Ok(())
    }
}

struct MergedStream {
    sources: Vec<Source>,
    warnings: Warnings,
    context: QueryContext,
    partial: bool,
    left: usize,
}

impl MergedStream {
    fn next_series(&mut self) -> Result<Option<SeriesPieces>, SelectError> {
        for source in &mut self.sources {
            source.fill(&mut self.warnings, self.partial)?;
        }
        let Some(labels) = self.sources.iter().filter_map(|s| s.ready.front()).map(|s| &s.labels).min().cloned() else {
            return Ok(None);
        };
        let mut pieces = Vec::new();
        for source in &mut self.sources {
            if source.ready.front().is_some_and(|s| s.labels == labels) {
                let series = source.ready.pop_front().expect("front was just seen");
                pieces.extend(series.pieces);
            }
        }
        Ok(Some(SeriesPieces { labels, pieces: merge_pieces(pieces)? }))
    }
}

impl SeriesStream for MergedStream {
    fn next(&mut self) -> Result<Option<SeriesBatch>, SelectError> {
        self.context.check()?;
        let mut batch = SeriesBatch::default();
        while batch.series.len() < SeriesBatch::SERIES_MAX.min(self.left) {
            match self.next_series()? {
                Some(series) => batch.series.push(series),
                None => break,
            }
        }
        self.left -= batch.series.len();
        Ok(if batch.series.is_empty() { None } else { Some(batch) })
    }

    fn take_warnings(&mut self) -> Warnings {
        std::mem::take(&mut self.warnings)
    }
}

/// Puts the pieces of one series, given oldest store first, in time order without overlap. Pieces that overlap are decoded
/// and merged; of two samples at one instant that of the piece later in the list stands.
pub fn merge_pieces(pieces: Vec<Piece>) -> Result<Vec<Piece>, SelectError> {
    let in_order = pieces.windows(2).all(|pair| pair[0].last() < pair[1].first());
    if in_order {
        return Ok(pieces);
    }
    let mut ranked: Vec<(usize, Piece)> = pieces.into_iter().enumerate().collect();
    ranked.sort_by_key(|(rank, piece)| (piece.first(), *rank));
    let mut merged = Vec::with_capacity(ranked.len());
    let mut cluster: Vec<(usize, Piece)> = Vec::new();
    let mut reach = Timestamp::MIN;
    for (rank, piece) in ranked {
        if !cluster.is_empty() && piece.first() > reach {
            flush(&mut cluster, &mut merged)?;
        }
        reach = if cluster.is_empty() { piece.last() } else { reach.max(piece.last()) };
        cluster.push((rank, piece));
    }
    flush(&mut cluster, &mut merged)?;
    Ok(merged)
}

enum Value {
    Float(f64),
    Histogram(FloatHistogram),
}

fn flush(cluster: &mut Vec<(usize, Piece)>, merged: &mut Vec<Piece>) -> Result<(), SelectError> {
    if cluster.len() <= 1 {
        merged.extend(cluster.drain(..).map(|(_, piece)| piece));
        return Ok(());
    }
    // lowest rank first: a later store's sample at the same instant overwrites
    cluster.sort_by_key(|(rank, _)| *rank);
    let mut samples: BTreeMap<i64, Value> = BTreeMap::new();
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for (_, piece) in cluster.drain(..) {
        match piece {
            Piece::Chunk(piece) => {
                times.clear();
                values.clear();
                chunk::decode_into(piece.encoding, &piece.bytes, &mut times, &mut values)
                    .map_err(|e| SelectError::Corrupt(format!("cannot merge overlapping chunks: {e}")))?;
                samples.extend(times.iter().copied().zip(values.iter().map(|v| Value::Float(*v))));
            }
            Piece::Columns(piece) => {
                samples.extend(piece.times.iter().copied().zip(piece.values.iter().map(|v| Value::Float(*v))));
            }
            Piece::Histograms(piece) => {
                samples.extend(piece.samples.iter().map(|(at, h)| (at.0, Value::Histogram(h.clone()))));
            }
        }
    }
    emit(samples, merged);
    Ok(())
}

fn emit(samples: BTreeMap<i64, Value>, merged: &mut Vec<Piece>) {
    let (mut times, mut values, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
    let close_floats = |times: &mut Vec<i64>, values: &mut Vec<f64>, merged: &mut Vec<Piece>| {
        if !times.is_empty() {
            let piece = ColumnsPiece { times: Arc::from(&times[..]), values: Arc::from(&values[..]), starts: None };
            merged.push(Piece::Columns(piece));
            times.clear();
            values.clear();
        }
    };
    let close_histograms = |histograms: &mut Vec<(Timestamp, FloatHistogram)>, merged: &mut Vec<Piece>| {
        if !histograms.is_empty() {
            merged.push(Piece::Histograms(HistogramsPiece { samples: Arc::from(std::mem::take(histograms)) }));
        }
    };
    for (at, value) in samples {
        match value {
            Value::Float(value) => {
                close_histograms(&mut histograms, merged);
                times.push(at);
                values.push(value);
            }
            Value::Histogram(histogram) => {
                close_floats(&mut times, &mut values, merged);
                histograms.push((Timestamp(at), histogram));
            }
        }
    }
    close_floats(&mut times, &mut values, merged);
    close_histograms(&mut histograms, merged);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(samples: &[(i64, f64)]) -> Piece {
        let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        Piece::Columns(ColumnsPiece { times: times.into(), values: values.into(), starts: None })
    }

    fn check(pieces: &[&[(i64, f64)]], expected: &[&[(i64, f64)]]) {
        let merged = merge_pieces(pieces.iter().map(|p| columns(p)).collect()).expect("columns merge");
        let got: Vec<Vec<(i64, f64)>> = merged
            .iter()
            .map(|piece| match piece {
                Piece::Columns(c) => c.times.iter().copied().zip(c.values.iter().copied()).collect(),
                other => panic!("unexpected piece {other:?}"),
            })
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn pieces_apart_are_passed_on_in_time_order() {
        check(&[&[(1, 1.0), (2, 2.0)], &[(3, 3.0)]], &[&[(1, 1.0), (2, 2.0)], &[(3, 3.0)]]);
        check(&[&[(3, 3.0)], &[(1, 1.0), (2, 2.0)]], &[&[(1, 1.0), (2, 2.0)], &[(3, 3.0)]]);
    }

    #[test]
    fn overlaps_are_merged_and_the_later_store_wins() {
        check(&[&[(1, 1.0), (3, 3.0)], &[(2, 20.0), (3, 30.0)]], &[&[(1, 1.0), (2, 20.0), (3, 30.0)]]);
        check(&[&[(2, 20.0), (3, 30.0)], &[(1, 1.0), (3, 3.0)]], &[&[(1, 1.0), (2, 20.0), (3, 3.0)]]);
        // a long piece spans two short ones; the fourth stands apart
        check(
            &[&[(1, 1.0), (9, 9.0)], &[(2, 2.0)], &[(5, 5.0)], &[(10, 10.0)]],
            &[&[(1, 1.0), (2, 2.0), (5, 5.0), (9, 9.0)], &[(10, 10.0)]],
        );
    }
}
