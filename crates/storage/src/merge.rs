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
//!
//! The stores are asked one after the other, the last first: samples move only towards the front of the list (from the head
//! into a block, from there into a bucket), so what leaves a store while the question is put is seen twice at worst, and
//! then merged, but never missed.
//! Cost: one comparison of label sets per series and store; decoding only where ranges overlap.

use crate::ability::{Abilities, Ability};
use crate::context::{QueryContext, Warnings};
use crate::piece::{ColumnsPiece, HistogramsPiece, Piece};
use crate::select::{
    CUT, ExemplarQuery, LabelQuery, Select, SelectError, Selection, SeriesBatch, SeriesExemplars, SeriesPieces,
    SeriesStream,
};
use model::{Exemplar, FloatHistogram, Labels, TimeRange, Timestamp};
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

    /// The stores to ask, in the order in which they are to be asked.
    fn touching(&self, range: TimeRange) -> impl Iterator<Item = &Arc<dyn Select>> {
        self.stores.iter().rev().filter(move |store| store.covers().is_some_and(|covered| covered.overlaps(&range)))
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
        if sources.len() == 1 && warnings.is_empty() && !selection.partial {
            return Ok(sources.remove(0).stream);
        }
        sources.reverse();
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
        query: &ExemplarQuery,
        context: &QueryContext,
    ) -> Result<(SeriesExemplars, Warnings), SelectError> {
        let (mut all, mut warnings) = (BTreeMap::<Labels, Vec<Exemplar>>::new(), Warnings::default());
        let mut unsupported = None;
        let mut answered = false;
        for store in self.touching(query.range) {
            match store.exemplars(query, context) {
                Ok((some, said)) => {
                    answered = true;
                    warnings.absorb(said);
                    for (labels, exemplars) in some {
                        all.entry(labels).or_default().extend(exemplars);
                    }
                }
                Err(error @ SelectError::Unsupported(Ability::SelectExemplars)) => unsupported = Some(error),
                Err(error) => {
                    answered = true;
                    warnings.add(excuse(error, query.partial)?);
                }
            }
        }
        if let (false, Some(error)) = (answered, unsupported) {
            return Err(error);
        }
        for exemplars in all.values_mut() {
            exemplars.sort_by_key(|exemplar| exemplar.at);
            exemplars.dedup();
        }
        Ok((all.into_iter().collect(), warnings))
    }

    /// What all of them do; exemplars are answered as soon as one of them keeps some.
    fn abilities(&self) -> Abilities {
        let every = self.stores.iter().map(|store| store.abilities()).reduce(Abilities::intersect).unwrap_or_default();
        let any = self.stores.iter().any(|store| store.abilities().has(Ability::SelectExemplars));
        if any { every.union(Abilities::of(&[Ability::SelectExemplars])) } else { every }
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
                    warnings.absorb(self.stream.take_warnings());
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
        if let [source] = &mut self.sources[..] {
            return Ok(source.ready.pop_front());
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

    /// Nothing more is wanted; what the sources have said so far is kept.
    fn end(&mut self) {
        for source in self.sources.drain(..) {
            let mut stream = source.stream;
            self.warnings.absorb(stream.take_warnings());
        }
    }
}

impl SeriesStream for MergedStream {
    fn next(&mut self) -> Result<Option<SeriesBatch>, SelectError> {
        self.context.check()?;
        let mut batch = SeriesBatch::default();
        while batch.series.len() < SeriesBatch::SERIES_MAX {
            let Some(series) = self.next_series()? else { break };
            if self.left == 0 {
                self.warnings.add(CUT);
                self.end();
                break;
            }
            self.left -= 1;
            batch.series.push(series);
        }
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
    /// A value, and when its counter began (0 = not known).
    Float(f64, i64),
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
                samples.extend(times.iter().copied().zip(values.iter().map(|v| Value::Float(*v, 0))));
            }
            Piece::Columns(piece) => {
                let start = |n: usize| piece.starts.as_ref().map_or(0, |starts| starts[n]);
                let values = piece.values.iter().enumerate().map(|(n, value)| Value::Float(*value, start(n)));
                samples.extend(piece.times.iter().copied().zip(values));
            }
            Piece::Histograms(piece) => {
                samples.extend(piece.samples.iter().map(|(at, h)| (at.0, Value::Histogram(h.clone()))));
            }
        }
    }
    emit(samples, merged);
    Ok(())
}

/// Float samples on their way into a piece.
#[derive(Default)]
struct Floats {
    times: Vec<i64>,
    values: Vec<f64>,
    starts: Vec<i64>,
}

impl Floats {
    fn close(&mut self, merged: &mut Vec<Piece>) {
        if self.times.is_empty() {
            return;
        }
        let known = self.starts.iter().any(|start| *start != 0);
        merged.push(Piece::Columns(ColumnsPiece {
            times: Arc::from(&self.times[..]),
            values: Arc::from(&self.values[..]),
            starts: known.then(|| Arc::from(&self.starts[..])),
        }));
        self.times.clear();
        self.values.clear();
        self.starts.clear();
    }
}

fn close_histograms(histograms: &mut Vec<(Timestamp, FloatHistogram)>, merged: &mut Vec<Piece>) {
    if !histograms.is_empty() {
        merged.push(Piece::Histograms(HistogramsPiece { samples: Arc::from(std::mem::take(histograms)) }));
    }
}

fn emit(samples: BTreeMap<i64, Value>, merged: &mut Vec<Piece>) {
    let (mut floats, mut histograms) = (Floats::default(), Vec::new());
    for (at, value) in samples {
        match value {
            Value::Float(value, start) => {
                close_histograms(&mut histograms, merged);
                floats.times.push(at);
                floats.values.push(value);
                floats.starts.push(start);
            }
            Value::Histogram(histogram) => {
                floats.close(merged);
                histograms.push((Timestamp(at), histogram));
            }
        }
    }
    floats.close(merged);
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

    #[test]
    fn start_times_survive_a_merge() {
        let with_starts = Piece::Columns(ColumnsPiece {
            times: [1, 3].into(),
            values: [1.0, 3.0].into(),
            starts: Some([-5, -5].into()),
        });
        let merged = merge_pieces(vec![with_starts, columns(&[(2, 2.0)])]).expect("columns merge");
        let [Piece::Columns(piece)] = &merged[..] else { panic!("one piece of columns, not {merged:?}") };
        assert_eq!(piece.times[..], [1, 2, 3]);
        assert_eq!(piece.starts.as_deref(), Some(&[-5, 0, -5][..]));
    }

    /// A store of one series per name, that says what it is told to say.
    struct Scripted {
        names: &'static [&'static str],
        fails: Option<SelectError>,
        abilities: Abilities,
    }

    struct ScriptedStream {
        names: std::slice::Iter<'static, &'static str>,
        fails: Option<SelectError>,
    }

    impl SeriesStream for ScriptedStream {
        fn next(&mut self) -> Result<Option<SeriesBatch>, SelectError> {
            let Some(name) = self.names.next() else { return self.fails.take().map_or(Ok(None), Err) };
            let labels = Labels::from_pairs([("__name__", *name)]);
            Ok(Some(SeriesBatch { series: vec![SeriesPieces { labels, pieces: vec![columns(&[(1, 1.0)])] }] }))
        }

        fn take_warnings(&mut self) -> Warnings {
            let mut warnings = Warnings::default();
            warnings.add("said by the source");
            warnings
        }
    }

    impl Select for Scripted {
        fn select(&self, _: &Selection, _: &QueryContext) -> Result<Box<dyn SeriesStream>, SelectError> {
            Ok(Box::new(ScriptedStream { names: self.names.iter(), fails: self.fails.clone() }))
        }

        fn label_names(&self, _: &LabelQuery, _: &QueryContext) -> Result<(BTreeSet<String>, Warnings), SelectError> {
            Ok(Default::default())
        }

        fn label_values(
            &self,
            _: &str,
            _: &LabelQuery,
            _: &QueryContext,
        ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
            Ok(Default::default())
        }

        fn exemplars(&self, _: &ExemplarQuery, _: &QueryContext) -> Result<(SeriesExemplars, Warnings), SelectError> {
            match self.abilities.has(Ability::SelectExemplars) {
                true => self.fails.clone().map_or(Ok(Default::default()), Err),
                false => Err(SelectError::Unsupported(Ability::SelectExemplars)),
            }
        }

        fn abilities(&self) -> Abilities {
            self.abilities
        }

        fn covers(&self) -> Option<TimeRange> {
            Some(TimeRange::ALL)
        }
    }

    fn store(names: &'static [&'static str], fails: Option<SelectError>) -> Arc<dyn Select> {
        Arc::new(Scripted { names, fails, abilities: Abilities::default() })
    }

    /// The names answered, and the warnings.
    fn ask(
        stores: Vec<Arc<dyn Select>>,
        partial: bool,
        series_max: usize,
    ) -> Result<(Vec<String>, Vec<String>), SelectError> {
        let mut selection = Selection { partial, ..Selection::new(Vec::new(), TimeRange::ALL) };
        selection.hints.series_max = series_max;
        let mut stream = Merged::new(stores).select(&selection, &QueryContext::default())?;
        let (series, warnings) = crate::select::collect(stream.as_mut())?;
        let names = series.iter().filter_map(|s| s.labels.get("__name__").map(str::to_owned)).collect();
        Ok((names, warnings.iter().map(str::to_owned).collect()))
    }

    #[test]
    fn part_of_an_answer_is_the_same_from_one_store_as_from_several() {
        let torn = || SelectError::Corrupt("a torn block".to_owned());
        let said = ["a torn block", "said by the source"].map(str::to_owned).to_vec();
        let alone = ask(vec![store(&["a"], Some(torn()))], true, 0);
        assert_eq!(alone, Ok((vec!["a".to_owned()], said.clone())));
        let among = ask(vec![store(&["b"], None), store(&["a"], Some(torn()))], true, 0);
        assert_eq!(among, Ok((vec!["a".to_owned(), "b".to_owned()], said)));
        assert_eq!(ask(vec![store(&["a"], Some(torn()))], false, 0), Err(torn()));
        assert_eq!(ask(vec![store(&["b"], None), store(&["a"], Some(torn()))], false, 0), Err(torn()));
    }

    #[test]
    fn a_cut_is_said_and_so_is_what_the_sources_said() {
        let stores = || vec![store(&["a", "c"], None), store(&["b", "d"], None)];
        let names = |wanted: &[&str]| wanted.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        assert_eq!(ask(stores(), true, 3), Ok((names(&["a", "b", "c"]), names(&["said by the source", CUT]))));
        assert_eq!(ask(stores(), true, 4), Ok((names(&["a", "b", "c", "d"]), names(&["said by the source"]))));
    }

    #[test]
    fn exemplars_come_from_the_stores_that_keep_them() {
        let keeps = |fails| -> Arc<dyn Select> {
            let abilities = Abilities::of(&[Ability::SelectExemplars]);
            Arc::new(Scripted { names: &[], fails, abilities })
        };
        let ask = |stores: Vec<Arc<dyn Select>>, partial| {
            let merged = Merged::new(stores);
            let query = ExemplarQuery { partial, ..ExemplarQuery::new(Vec::new(), TimeRange::ALL) };
            let answer = merged.exemplars(&query, &QueryContext::default());
            (merged.abilities().has(Ability::SelectExemplars), answer.map(|(_, warnings)| !warnings.is_empty()))
        };
        let down = || Some(SelectError::Unavailable("it is down".to_owned()));
        let no = Err(SelectError::Unsupported(Ability::SelectExemplars));
        assert_eq!(ask(vec![store(&[], None)], true), (false, no));
        assert_eq!(ask(vec![store(&[], None), keeps(None)], true), (true, Ok(false)));
        assert_eq!(ask(vec![store(&[], None), keeps(down())], true), (true, Ok(true)));
        let failed = Err(SelectError::Unavailable("it is down".to_owned()));
        assert_eq!(ask(vec![store(&[], None), keeps(down())], false), (true, failed));
    }
}
