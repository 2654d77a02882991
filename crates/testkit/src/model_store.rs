//! A model of a store: sorted maps under one lock, nothing clever. What tests compare real stores with, and what engine tests
//! read. It keeps floats and start times, in memory alone; it is no store for a product.
//!
//! It obeys the waist's contract (`contract::check` runs over it).

use model::{Labels, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use storage::{
    Abilities, Ability, Append, AppendError, Appender, ColumnsPiece, CommitError, Committed, Durability, LabelQuery,
    Piece, QueryContext, Refusal, Refusals, Row, Select, SelectError, Selection, SeriesBatch, SeriesPieces, SeriesRef,
    SeriesStream, Tenant, Warnings,
};

#[derive(Clone, Copy)]
struct Point {
    at: i64,
    value: f64,
    start: i64,
}

#[derive(Default)]
struct State {
    refs: BTreeMap<Labels, usize>,
    /// By ref.
    series: Vec<(Labels, Vec<Point>)>,
}

/// The store; clones share it.
#[derive(Clone, Default)]
pub struct ModelStore(Arc<Mutex<State>>);

impl ModelStore {
    /// An empty store.
    pub fn new() -> Self {
        ModelStore::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const ABILITIES: Abilities =
    Abilities::of(&[Ability::AppendFloats, Ability::AppendStartTimes, Ability::AppendOutOfOrder, Ability::Synced]);

fn own_tenant(tenant: Tenant) -> Result<(), Ability> {
    if tenant == Tenant::DEFAULT { Ok(()) } else { Err(Ability::Tenants) }
}

impl Append for ModelStore {
    fn begin(&self, tenant: Tenant) -> Result<Box<dyn Appender>, AppendError> {
        own_tenant(tenant).map_err(AppendError::Unsupported)?;
        Ok(Box::new(ModelAppender { store: self.clone(), declared: Vec::new(), staged: Vec::new() }))
    }

    fn abilities(&self) -> Abilities {
        ABILITIES
    }
}

struct ModelAppender {
    store: ModelStore,
    /// Labels of provisional refs.
    declared: Vec<Labels>,
    staged: Vec<(SeriesRef, Point)>,
}

impl ModelAppender {
    fn check(&self, series: SeriesRef) -> Result<(), AppendError> {
        let known = match series.provisional_index() {
            Some(index) => index < self.declared.len(),
            None => (series.0 as usize) < self.store.state().series.len(),
        };
        if known { Ok(()) } else { Err(AppendError::UnknownSeries(series)) }
    }
}

impl Appender for ModelAppender {
    fn declare(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        if let Some(known) = self.store.state().refs.get(labels) {
            return Ok(SeriesRef(*known as u64));
        }
        let index = self.declared.iter().position(|known| known == labels).unwrap_or_else(|| {
            self.declared.push(labels.clone());
            self.declared.len() - 1
        });
        Ok(SeriesRef::provisional(index))
    }

    fn row(&mut self, row: Row<'_>) -> Result<(), AppendError> {
        for series in row.series {
            self.check(*series)?;
        }
        for (at, (series, value)) in row.series.iter().zip(row.values).enumerate() {
            let start = row.starts.get(at).map_or(0, |start| start.0);
            self.staged.push((*series, Point { at: row.at.0, value: *value, start }));
        }
        Ok(())
    }

    fn sample(&mut self, series: SeriesRef, at: Timestamp, value: f64, start: Timestamp) -> Result<(), AppendError> {
        self.check(series)?;
        self.staged.push((series, Point { at: at.0, value, start: start.0 }));
        Ok(())
    }

    fn commit(self: Box<Self>, _: Durability) -> Result<Committed, CommitError> {
        let mut state = self.store.state();
        let mut born: Vec<Option<SeriesRef>> = vec![None; self.declared.len()];
        let (mut accepted, mut refusals) = (0, Refusals::default());
        for (position, (series, point)) in self.staged.iter().enumerate() {
            let at = match series.provisional_index() {
                None => series.0 as usize,
                Some(index) => {
                    let labels = &self.declared[index];
                    let at = match state.refs.get(labels) {
                        Some(known) => *known,
                        None => {
                            let next = state.series.len();
                            state.series.push((labels.clone(), Vec::new()));
                            state.refs.insert(labels.clone(), next);
                            next
                        }
                    };
                    born[index] = Some(SeriesRef(at as u64));
                    at
                }
            };
            let points = &mut state.series[at].1;
            match points.binary_search_by_key(&point.at, |known| known.at) {
                Ok(known) if points[known].value.to_bits() == point.value.to_bits() => accepted += 1,
                Ok(_) => refusals.note(position as u64, Refusal::Duplicate),
                Err(place) => {
                    points.insert(place, *point);
                    accepted += 1;
                }
            }
        }
        Ok(Committed { ticket: runtime::ticket::Ticket::settled(), accepted, refusals, born })
    }
}

struct ModelStream {
    batches: std::vec::IntoIter<SeriesBatch>,
    context: QueryContext,
}

impl SeriesStream for ModelStream {
    fn next(&mut self) -> Result<Option<SeriesBatch>, SelectError> {
        self.context.check()?;
        Ok(self.batches.next())
    }

    fn take_warnings(&mut self) -> Warnings {
        Warnings::default()
    }
}

fn piece(points: &[Point]) -> Piece {
    let starts = points.iter().any(|point| point.start != 0);
    Piece::Columns(ColumnsPiece {
        times: points.iter().map(|point| point.at).collect(),
        values: points.iter().map(|point| point.value).collect(),
        starts: starts.then(|| points.iter().map(|point| point.start).collect()),
    })
}

impl ModelStore {
    /// Runs `each` over the series that satisfy a question, in label order, with their points in range.
    fn matching(&self, matchers: &[model::Matcher], range: model::TimeRange, mut each: impl FnMut(&Labels, &[Point])) {
        let state = self.state();
        for (labels, at) in &state.refs {
            if !matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                continue;
            }
            let points = &state.series[*at].1;
            let from = points.partition_point(|point| point.at < range.start.0);
            let to = points.partition_point(|point| point.at < range.end.0).max(from);
            if from < to {
                each(labels, &points[from..to]);
            }
        }
    }
}

impl Select for ModelStore {
    fn select(&self, selection: &Selection, context: &QueryContext) -> Result<Box<dyn SeriesStream>, SelectError> {
        own_tenant(selection.tenant).map_err(SelectError::Unsupported)?;
        context.check()?;
        let mut all = Vec::new();
        self.matching(&selection.matchers, selection.range, |labels, points| {
            // two pieces, so that readers meet borders
            let middle = points.len() / 2;
            let pieces = [&points[..middle], &points[middle..]];
            let pieces = pieces.into_iter().filter(|part| !part.is_empty()).map(piece).collect();
            all.push(SeriesPieces { labels: labels.clone(), pieces });
        });
        let batches: Vec<SeriesBatch> =
            all.chunks(SeriesBatch::SERIES_MAX).map(|series| SeriesBatch { series: series.to_vec() }).collect();
        Ok(Box::new(ModelStream { batches: batches.into_iter(), context: context.clone() }))
    }

    fn label_names(
        &self,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        own_tenant(query.tenant).map_err(SelectError::Unsupported)?;
        context.check()?;
        let mut names = BTreeSet::new();
        self.matching(&query.matchers, query.range, |labels, _| {
            names.extend(labels.iter().map(|(name, _)| name.to_owned()));
        });
        Ok((limited(names, query.limit), Warnings::default()))
    }

    fn label_values(
        &self,
        name: &str,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        own_tenant(query.tenant).map_err(SelectError::Unsupported)?;
        context.check()?;
        let mut values = BTreeSet::new();
        self.matching(&query.matchers, query.range, |labels, _| {
            values.extend(labels.get(name).map(str::to_owned));
        });
        Ok((limited(values, query.limit), Warnings::default()))
    }

    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn covers(&self) -> Option<model::TimeRange> {
        let state = self.state();
        let points = || state.series.iter().flat_map(|(_, points)| points);
        let (first, last) = (points().map(|p| p.at).min()?, points().map(|p| p.at).max()?);
        Some(model::TimeRange::closed(Timestamp(first), Timestamp(last)))
    }
}

fn limited(all: BTreeSet<String>, limit: usize) -> BTreeSet<String> {
    if limit == 0 { all } else { all.into_iter().take(limit).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_obeys_the_contract() {
        crate::contract::check(|| {
            let store = ModelStore::new();
            crate::contract::Subject { append: Arc::new(store.clone()), select: Arc::new(store), keep: Box::new(()) }
        });
    }
}
