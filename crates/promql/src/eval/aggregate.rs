//! Aggregations: many series to one per group.
//!
//! Groups are found once per series; then each series is added, step by step, to its group's row of accumulators. Series
//! are added in their order, so that the same data give the same bits.

use super::column::{Column, Grid, Scalar, Series, span};
use super::kahan::{Mean, Sum};
use super::quantile::quantile_of;
use super::{Evaluated, Evaluation, Evaluator};
use crate::annotation::Annotation;
use crate::engine::QueryError;
use crate::plan::AggregateNode;
use crate::syntax::ast::AggregateOp;
use model::Labels;

/// Which group each series is in, and the groups' labels.
pub(crate) struct Groups {
    pub(crate) of_series: Vec<usize>,
    pub(crate) labels: Vec<Labels>,
}

/// The labels a group keeps of its members'.
pub(crate) fn group_labels(labels: &Labels, grouping: &[String], without: bool) -> Labels {
    let listed = |name: &str| grouping.binary_search_by(|known| known.as_str().cmp(name)).is_ok();
    if without {
        labels.retain(|name| name != model::labels::METRIC_NAME && !listed(name))
    } else if grouping.is_empty() {
        Labels::empty()
    } else {
        labels.retain(listed)
    }
}

impl Groups {
    pub(crate) fn of(series: &[Series], grouping: &[String], without: bool) -> Self {
        let mut known: hashbrown::HashMap<Labels, usize, foldhash::fast::RandomState> = hashbrown::HashMap::default();
        let mut groups = Groups { of_series: Vec::with_capacity(series.len()), labels: Vec::new() };
        for series in series {
            let labels = group_labels(&series.labels, grouping, without);
            let next = groups.labels.len();
            let group = *known.entry(labels).or_insert_with_key(|labels| {
                groups.labels.push(labels.clone());
                next
            });
            groups.of_series.push(group);
        }
        groups
    }
}

/// One group at one step.
#[derive(Clone, Debug)]
enum Cell {
    Empty,
    Sum(Sum),
    Mean(Mean),
    /// `min`, `max`, `group`.
    Value(f64),
    Count(f64),
    /// Welford: count, mean, squared distances.
    Spread(f64, f64, f64),
    Values(Vec<f64>),
}

impl Cell {
    fn first(op: AggregateOp, value: f64) -> Cell {
        match op {
            AggregateOp::Sum => Cell::Sum(Sum::of(value)),
            AggregateOp::Avg => Cell::Mean(Mean::of(value)),
            AggregateOp::Count => Cell::Count(1.0),
            AggregateOp::Group => Cell::Value(1.0),
            AggregateOp::Stddev | AggregateOp::Stdvar => {
                Cell::Spread(1.0, value, if value.is_finite() { 0.0 } else { f64::NAN })
            }
            AggregateOp::Quantile => Cell::Values(vec![value]),
            _ => Cell::Value(value),
        }
    }

    #[inline]
    fn add(&mut self, op: AggregateOp, value: f64) {
        match self {
            Cell::Empty => *self = Cell::first(op, value),
            Cell::Sum(sum) => *sum = sum.plus(value),
            Cell::Mean(mean) => mean.add(value),
            Cell::Count(count) => *count += 1.0,
            Cell::Values(values) => values.push(value),
            Cell::Spread(count, mean, squares) => {
                *count += 1.0;
                let delta = value - *mean;
                *mean += delta / *count;
                *squares += delta * (value - *mean);
            }
            Cell::Value(best) => {
                let better = match op {
                    AggregateOp::Max => *best < value || best.is_nan(),
                    AggregateOp::Min => *best > value || best.is_nan(),
                    _ => false,
                };
                if better {
                    *best = value;
                }
            }
        }
    }

    fn total(&mut self, op: AggregateOp, q: f64) -> Option<f64> {
        Some(match self {
            Cell::Empty => return None,
            Cell::Sum(sum) => sum.total(),
            Cell::Mean(mean) => mean.total(),
            Cell::Count(value) | Cell::Value(value) => *value,
            Cell::Spread(count, _, squares) if op == AggregateOp::Stdvar => *squares / *count,
            Cell::Spread(count, _, squares) => (*squares / *count).sqrt(),
            Cell::Values(values) => quantile_of(q, values),
        })
    }
}

impl Evaluator<'_> {
    pub(crate) fn aggregate(&mut self, e: &AggregateNode, grid: Grid) -> Evaluation<Vec<Series>> {
        let held = self.samples.held();
        if e.op == AggregateOp::CountValues {
            return self.count_values(e, grid);
        }
        let param = match &e.param {
            Some(param) => self.scalar(param, grid)?,
            None => Scalar::Constant(0.0),
        };
        let input = self.vector(&e.inner, grid)?;
        let result = match e.op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => self.limited(e, &param, input, grid)?,
            AggregateOp::LimitRatio => self.limit_ratio(e, &param, input, grid)?,
            _ => {
                if e.op == AggregateOp::Quantile {
                    self.note_quantile(e, &param, grid);
                }
                self.grouped(e, &param, &input)?
            }
        };
        let count = result.iter().map(|series| series.column.count()).sum();
        self.samples.finish(held, count)?;
        Ok(result)
    }

    fn note_quantile(&mut self, e: &AggregateNode, param: &Scalar, grid: Grid) {
        let (low, high, nan) = param.extent(grid.len);
        let mut note = |q| self.annotations.add(Annotation::InvalidQuantile(q), e.param_span);
        if nan {
            note(f64::NAN);
        }
        if high > 1.0 {
            note(high);
        }
        if low < 0.0 {
            note(low);
        }
    }

    fn grouped(&mut self, e: &AggregateNode, param: &Scalar, input: &[Series]) -> Evaluation<Vec<Series>> {
        let groups = Groups::of(input, &e.grouping, e.without);
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); groups.labels.len()];
        for (series, group) in groups.of_series.iter().enumerate() {
            members[*group].push(series);
        }
        let mut result = Vec::with_capacity(members.len());
        let mut cells = Vec::new();
        for (labels, members) in groups.labels.into_iter().zip(members) {
            self.context.check()?;
            let span = span(members.iter().map(|member| &input[*member].column));
            cells.clear();
            cells.resize(span.len(), Cell::Empty);
            let mut drop_name = false;
            for member in members {
                drop_name |= input[member].drop_name;
                for (step, value) in input[member].column.iter() {
                    cells[step - span.start].add(e.op, value);
                }
            }
            let mut column = Column::default();
            for (step, cell) in span.zip(&mut cells) {
                if let Some(value) = cell.total(e.op, param.at(step)) {
                    column.push(step, value);
                }
            }
            if !column.is_empty() {
                result.push(Series { labels, drop_name, column });
            }
        }
        Ok(result)
    }

    /// One series per group and value, counting how often the value occurs.
    fn count_values(&mut self, e: &AggregateNode, grid: Grid) -> Evaluation<Vec<Series>> {
        let held = self.samples.held();
        let label = match &e.param {
            Some(param) => self.text(param)?,
            None => String::new(),
        };
        if !crate::syntax::is_label_name(&label) {
            let text = format!("invalid label name {}", model::go_text::quote(&label));
            return Err(QueryError::execution(text));
        }
        let mut grouping = e.grouping.clone();
        if !e.without {
            grouping.push(label.clone());
            grouping.sort();
        }
        let input = self.vector(&e.inner, grid)?;
        let gathered = super::call::present_at_end(&input);
        let mut known: hashbrown::HashMap<Labels, usize, foldhash::fast::RandomState> = hashbrown::HashMap::default();
        let mut rows: Vec<Labels> = Vec::new();
        // one per sample: its row, its step
        let mut seen: Vec<(usize, usize)> = Vec::new();
        for series in &input {
            self.context.check()?;
            let mut last: Option<(u64, usize)> = None;
            for (step, value) in series.column.iter() {
                let row = match last {
                    Some((bits, row)) if bits == value.to_bits() => row,
                    _ => {
                        let mut labels = series.labels.to_builder();
                        labels.set(&label, &model::go_text::format_float(value));
                        let labels = group_labels(&labels.build(), &grouping, e.without);
                        *known.entry(labels).or_insert_with_key(|labels| {
                            rows.push(labels.clone());
                            rows.len() - 1
                        })
                    }
                };
                last = Some((value.to_bits(), row));
                seen.push((row, step));
            }
        }
        seen.sort_unstable();
        let mut seen = seen.chunk_by(|a, b| a == b).peekable();
        let mut series = Vec::with_capacity(rows.len());
        for (row, labels) in rows.into_iter().enumerate() {
            let mut column = Column::default();
            while let Some(equal) = seen.next_if(|equal| equal[0].0 == row) {
                let step = equal[0].1;
                if !column.steps().is_empty() {
                    self.samples.leave_gaps(step - column.steps().end)?;
                }
                column.push(step, equal.len() as f64);
            }
            series.push(Series { labels, drop_name: false, column });
        }
        match self.ended(series, held, gathered, grid)? {
            Evaluated::Vector(series) => Ok(series),
            Evaluated::Scalar(_) => Ok(Vec::new()),
        }
    }
}
