//! The evaluator: a plan and a grid in, columns out. Plain and series-major.
//!
//! Each node is evaluated once for all steps. Selectors are fetched once, for the union of what their steps look at, and
//! decoded one series at a time; range functions slide two cursors over a series' samples. Label work (groups, matches, names)
//! is done once per series, never per step. A native histogram that a step would look at ends the query with an honest
//! error.
//!
//! Numerics: values of selectors, rates, comparisons, min, max, counts are bit-equal to Prometheus'; sums, means and
//! deviations are compensated in the same way (Kahan–Neumaier).

mod aggregate;
mod binary;
mod call;
pub(crate) mod column;
pub(crate) mod date;
mod extended;
mod histogram;
mod info;
mod kahan;
mod labels;
mod limited;
mod matching;
pub(crate) mod math;
mod over_time;
mod quantile;
mod ranking;
mod rate;
mod regression;
mod sample_count;
mod select;
mod sort;
mod window;

use crate::annotation::Annotations;
use crate::answer::MatrixSeries;
use crate::engine::{EngineOptions, QueryError};
use crate::plan::{Node, SubqueryNode, Window};
use column::{Column, Grid, Scalar, Series};
use model::{Labels, LabelsBuilder, Timestamp};
use sample_count::SampleCount;
use select::Samples;
use storage::{QueryContext, Select};

pub(crate) type Evaluation<T> = Result<T, QueryError>;

/// The value of a node over a grid.
pub(crate) enum Evaluated {
    Scalar(Scalar),
    Vector(Vec<Series>),
}

/// Evaluates one query.
pub(crate) struct Evaluator<'a> {
    store: &'a dyn Select,
    context: &'a QueryContext,
    options: &'a EngineOptions,
    pub(crate) annotations: Annotations,
    pub(crate) samples: SampleCount,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(store: &'a dyn Select, context: &'a QueryContext, options: &'a EngineOptions) -> Self {
        Evaluator {
            store,
            context,
            options,
            annotations: Annotations::default(),
            samples: SampleCount::new(options.max_samples),
        }
    }

    fn lookback_ms(&self) -> i64 {
        self.options.lookback.0.max(1)
    }

    fn delayed_names(&self) -> bool {
        self.options.features.delayed_name_removal
    }

    /// The value of a scalar or vector expression.
    pub(crate) fn value(&mut self, node: &Node, grid: Grid) -> Evaluation<Evaluated> {
        self.context.check()?;
        let held = self.samples.held();
        match node {
            Node::Number(value) => {
                self.samples.settle(held, 0, grid.len)?;
                Ok(Evaluated::Scalar(Scalar::Constant(*value)))
            }
            Node::Vector(selector) => Ok(Evaluated::Vector(self.instant_vector(selector, grid)?)),
            Node::Call(call) => self.call(call, grid),
            Node::Aggregate(aggregate) => Ok(Evaluated::Vector(self.aggregate(aggregate, grid)?)),
            Node::Binary(binary) => self.binary(binary, grid),
            Node::Plus(inner) => self.value(inner, grid),
            Node::Negate(inner) => Ok(match self.value(inner, grid)? {
                Evaluated::Scalar(scalar) => {
                    Evaluated::Scalar(scalar.zip(&Scalar::Constant(0.0), grid.len, |value, _| -value))
                }
                Evaluated::Vector(mut series) => {
                    for series in &mut series {
                        series.column.map(|value| -value);
                        self.drop_name(series);
                    }
                    if !self.delayed_names() {
                        series = merged_by_labels(series)?;
                    }
                    Evaluated::Vector(series)
                }
            }),
            Node::Invariant(inner) => self.invariant(inner, grid),
            Node::Text(_) | Node::Matrix(_) | Node::Subquery(_) => {
                Err(QueryError::execution("unexpected expression type"))
            }
        }
    }

    pub(crate) fn vector(&mut self, node: &Node, grid: Grid) -> Evaluation<Vec<Series>> {
        match self.value(node, grid)? {
            Evaluated::Vector(series) => Ok(series),
            Evaluated::Scalar(_) => Err(QueryError::execution("unexpected scalar")),
        }
    }

    pub(crate) fn scalar(&mut self, node: &Node, grid: Grid) -> Evaluation<Scalar> {
        match self.value(node, grid)? {
            Evaluated::Scalar(scalar) => Ok(scalar),
            Evaluated::Vector(_) => Err(QueryError::execution("unexpected vector")),
        }
    }

    pub(crate) fn text(&mut self, node: &Node) -> Evaluation<String> {
        match node {
            Node::Text(text) => Ok(text.clone()),
            Node::Invariant(inner) => self.text(inner),
            _ => Err(QueryError::execution("unexpected expression instead of a string")),
        }
    }

    /// Evaluates at the first step alone and repeats the value.
    fn invariant(&mut self, inner: &Node, grid: Grid) -> Evaluation<Evaluated> {
        if grid.len == 0 {
            return Ok(Evaluated::Vector(Vec::new()));
        }
        let before = self.samples.totals();
        let value = self.value(inner, grid.first_alone())?;
        self.samples.repeat_since(before, grid.len);
        Ok(match value {
            Evaluated::Scalar(scalar) => {
                self.samples.hold(grid.len - 1)?;
                Evaluated::Scalar(Scalar::Constant(scalar.at(0)))
            }
            Evaluated::Vector(mut series) => {
                self.samples.hold(series.len().saturating_mul(grid.len - 1))?;
                series.retain_mut(|series| match series.column.present(0) {
                    Some(value) => {
                        series.column = Column::constant(value, grid.len);
                        true
                    }
                    None => false,
                });
                Evaluated::Vector(series)
            }
        })
    }

    /// A range vector as a query's whole value, at one instant.
    pub(crate) fn matrix(&mut self, node: &Node, grid: Grid) -> Evaluation<Vec<MatrixSeries>> {
        match node {
            Node::Invariant(inner) => self.matrix(inner, grid),
            Node::Matrix(window) => self.raw_matrix(window, grid),
            Node::Subquery(subquery) => {
                let (series, inner_grid) = self.subquery(subquery, grid)?;
                let series = self.names_removed(series)?;
                Ok(series
                    .into_iter()
                    .filter(|series| !series.column.is_empty())
                    .map(|series| MatrixSeries {
                        labels: series.labels,
                        samples: series
                            .column
                            .iter()
                            .map(|(step, value)| (Timestamp(inner_grid.at(step)), value))
                            .collect(),
                    })
                    .collect())
            }
            _ => Err(QueryError::execution("unexpected expression type")),
        }
    }

    fn raw_matrix(&mut self, window: &Window, grid: Grid) -> Evaluation<Vec<MatrixSeries>> {
        let mut matrix = Vec::new();
        self.each_window_series(window, grid, |evaluator, labels, samples| {
            let extended = extended::extend(window, samples, grid.start);
            let samples = extended.as_ref().unwrap_or(samples);
            if samples.times.is_empty() {
                return Ok(());
            }
            evaluator.samples.look_at(samples.times.len() as u64, samples.times.len() as u64);
            evaluator.samples.hold(samples.times.len())?;
            let samples = samples.times.iter().map(|t| Timestamp(*t)).zip(samples.values.iter().copied()).collect();
            matrix.push(MatrixSeries { labels, samples });
            Ok(())
        })?;
        Ok(matrix)
    }

    /// A subquery's inner expression over its own grid: aligned to multiples of its step, wide enough for all outer steps.
    fn subquery(&mut self, e: &SubqueryNode, grid: Grid) -> Evaluation<(Vec<Series>, Grid)> {
        let step = e.step_ms.unwrap_or(self.options.subquery_step.0).max(1);
        let reference = |at: i64| e.at.map_or(at, |at| at.0).saturating_sub(e.offset_ms);
        let first = reference(grid.start);
        // with `@` every step looks at the same window; upstream evaluates as far as without, and so may meet errors behind it
        let last = first.saturating_add(grid.last().saturating_sub(grid.start));
        let from = first.saturating_sub(e.range_ms);
        let mut start = (from / step).saturating_mul(step);
        if start <= from {
            start = start.saturating_add(step);
        }
        let inner_grid = Grid::new(start, last, step);
        // so many steps of one series would be refused; looking at each of them takes as long when there is none
        if inner_grid.len > self.samples.max() {
            return Err(QueryError::TooManySamples);
        }
        if grid.len == 0 || inner_grid.len == 0 {
            return Ok((Vec::new(), inner_grid));
        }
        let series = self.vector(&e.inner, inner_grid)?;
        Ok((series, inner_grid))
    }

    /// Takes the name from a series, now or at the end of the query.
    fn drop_name(&self, series: &mut Series) {
        series.drop_name = true;
        if !self.delayed_names() {
            series.labels = without_metadata(&series.labels);
        }
    }

    /// The last step of a query: names that were to go do.
    pub(crate) fn names_removed(&self, mut series: Vec<Series>) -> Evaluation<Vec<Series>> {
        if !self.delayed_names() {
            return Ok(series);
        }
        for series in series.iter_mut().filter(|series| series.drop_name) {
            series.labels = without_metadata(&series.labels);
        }
        merged_by_labels(series)
    }

    /// Ends an operator that may have made two series' labels equal.
    fn finished(&self, series: Vec<Series>, grid: Grid) -> Evaluation<Vec<Series>> {
        if grid.len == 1 && self.delayed_names() {
            return Ok(series);
        }
        merged_by_labels(series)
    }
}

pub(crate) const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

/// The labels without those that describe the metric itself: its name, type and unit.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    let metadata = |name: &str| matches!(name, "__name__" | "__type__" | "__unit__");
    if labels.iter().any(|(name, _)| metadata(name)) { labels.retain(|name| !metadata(name)) } else { labels.clone() }
}

/// Takes the metadata from labels being built.
pub(crate) fn remove_metadata(labels: &mut LabelsBuilder) {
    labels.remove("__name__").remove("__type__").remove("__unit__");
}

/// Joins series of equal labels that have no step in common.
pub(crate) fn merged_by_labels(series: Vec<Series>) -> Evaluation<Vec<Series>> {
    let mut seen: hashbrown::HashMap<Labels, usize, foldhash::fast::RandomState> =
        hashbrown::HashMap::with_capacity_and_hasher(series.len(), foldhash::fast::RandomState::default());
    let mut merged: Vec<Series> = Vec::with_capacity(series.len());
    for series in series {
        match seen.get(&series.labels) {
            Some(at) => {
                let kept = &mut merged[*at];
                kept.column = kept.column.merged(&series.column).ok_or(QueryError::execution(SAME_LABELS))?;
            }
            None => {
                seen.insert(series.labels.clone(), merged.len());
                merged.push(series);
            }
        }
    }
    Ok(merged)
}

/// A column's samples with their times.
pub(crate) fn column_samples(column: &Column, grid: Grid, into: &mut Samples) {
    into.clear();
    for (step, value) in column.iter() {
        into.times.push(grid.at(step));
        into.values.push(value);
    }
}
