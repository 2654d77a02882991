//! `topk`, `bottomk`, `limitk`, `limit_ratio`: some of each group's series, with their own labels.

use super::aggregate::Groups;
use super::column::{Column, Grid, Scalar, Series};
use super::ranking::{self, Wanted};
use super::{Evaluation, Evaluator};
use crate::annotation::Annotation;
use crate::engine::QueryError;
use crate::plan::AggregateNode;
use crate::syntax::ast::AggregateOp;
use model::Labels;
use model::go_text::format_float_general;

/// The largest float below 2^63.
const COUNT_MAX: f64 = 9_223_372_036_854_774_784.0;

impl Evaluator<'_> {
    pub(crate) fn limited(
        &mut self,
        e: &AggregateNode,
        param: &Scalar,
        input: Vec<Series>,
        grid: Grid,
    ) -> Evaluation<Vec<Series>> {
        if !checked_count(param, grid)? {
            return Ok(Vec::new());
        }
        let groups = Groups::of(&input, &e.grouping, e.without);
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); groups.labels.len()];
        groups.of_series.iter().enumerate().for_each(|(series, group)| members[*group].push(series));
        let mut chosen: Vec<Column> = vec![Column::default(); input.len()];
        let mut order = Vec::new();
        let wanted = if e.op == AggregateOp::Bottomk { Wanted::Smallest } else { Wanted::Largest };
        let mut heap: Vec<(usize, f64)> = Vec::new();
        for step in 0..grid.len {
            self.context.check()?;
            let k = param.at(step).min(input.len() as f64);
            if k < 1.0 {
                continue;
            }
            let k = k as usize;
            for members in &members {
                heap.clear();
                for member in members {
                    if let Some(value) = input[*member].column.present(step) {
                        ranking::offer(&mut heap, (*member, value), k, wanted);
                        if e.op == AggregateOp::Limitk && heap.len() == k {
                            break;
                        }
                    }
                }
                if e.op != AggregateOp::Limitk {
                    ranking::rank(&mut heap, wanted, |entry| entry.1);
                }
                for (member, value) in &heap {
                    chosen[*member].push(step, *value);
                    if grid.len == 1 {
                        order.push(*member);
                    }
                }
            }
        }
        Ok(picked(input, chosen, order))
    }

    pub(crate) fn limit_ratio(
        &mut self,
        e: &AggregateNode,
        param: &Scalar,
        input: Vec<Series>,
        grid: Grid,
    ) -> Evaluation<Vec<Series>> {
        let (low, high, nan) = param.extent(grid.len);
        if low == 0.0 && high == 0.0 && !nan {
            return Ok(Vec::new());
        }
        if nan {
            return Err(QueryError::execution("Ratio value is NaN"));
        }
        if high > 1.0 {
            self.annotations.add(Annotation::InvalidRatio(high, 1.0), e.param_span);
        }
        if low < -1.0 {
            self.annotations.add(Annotation::InvalidRatio(low, -1.0), e.param_span);
        }
        let mut chosen: Vec<Column> = vec![Column::default(); input.len()];
        for (series, column) in input.iter().zip(&mut chosen) {
            let place = sampling_place(&series.labels);
            for (step, value) in series.column.iter() {
                let ratio = param.at(step).clamp(-1.0, 1.0);
                let inside = if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio };
                if inside {
                    column.push(step, value);
                }
            }
        }
        let order = if grid.len == 1 { heaped(e, &input, &chosen) } else { Vec::new() };
        Ok(picked(input, chosen, order))
    }
}

/// Order in which an instant shows what was chosen: group by group, each as a heap that nothing was taken from.
fn heaped(e: &AggregateNode, input: &[Series], chosen: &[Column]) -> Vec<usize> {
    let groups = Groups::of(input, &e.grouping, e.without);
    let mut heaps = vec![Vec::new(); groups.labels.len()];
    for (member, group) in groups.of_series.iter().enumerate() {
        if let Some(value) = chosen[member].present(0) {
            ranking::push(&mut heaps[*group], (member, value), Wanted::Largest);
        }
    }
    heaps.into_iter().flatten().map(|(member, _)| member).collect()
}

/// False when no step asks for any series.
fn checked_count(param: &Scalar, grid: Grid) -> Evaluation<bool> {
    let (low, high, nan) = param.extent(grid.len);
    if high < 1.0 && !nan {
        return Ok(false);
    }
    if nan {
        return Err(QueryError::execution("Parameter value is NaN"));
    }
    if low <= i64::MIN as f64 {
        let text = format!("Scalar value {} underflows int64", format_float_general(low));
        return Err(QueryError::execution(text));
    }
    if high >= COUNT_MAX {
        let text = format!("Scalar value {} overflows int64", format_float_general(high));
        return Err(QueryError::execution(text));
    }
    Ok(true)
}

/// The series with what was chosen of them; of an instant in the order of choice.
fn picked(input: Vec<Series>, chosen: Vec<Column>, order: Vec<usize>) -> Vec<Series> {
    let mut series: Vec<Option<Series>> =
        input.into_iter().zip(chosen).map(|(series, column)| Some(Series { column, ..series })).collect();
    let ordered: Vec<Series> = if order.is_empty() {
        series.into_iter().flatten().collect()
    } else {
        order.into_iter().filter_map(|at| series[at].take()).collect()
    };
    ordered.into_iter().filter(|series| !series.column.is_empty()).collect()
}

/// Where in 0 … 1 a label set lies: its hash as Prometheus computes it, so that both sample the same series.
fn sampling_place(labels: &Labels) -> f64 {
    let mut bytes = Vec::with_capacity(labels.byte_len() + 16);
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        let len = text.len();
        if len < 255 {
            bytes.push(len as u8);
        } else {
            bytes.extend_from_slice(&[255, len as u8, (len >> 8) as u8, (len >> 16) as u8]);
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    xxhash_rust::xxh64::xxh64(&bytes, 0) as f64 / u64::MAX as f64
}
