//! Calls: which family a function belongs to, and the functions of one value.

use super::column::{Column, Grid, Scalar, Series, StepSet};
use super::math::{go_max, go_min};
use super::window::absent_labels;
use super::{Evaluated, Evaluation, Evaluator, date};
use crate::annotation::Annotation;
use crate::engine::QueryError;
use crate::plan::{CallNode, Node};
use model::Labels;

/// Functions of one float, applied to every value; the name goes.
fn float_function(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => super::math::go_ln,
        "log2" => super::math::go_log2,
        "log10" => super::math::go_log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => super::math::asinh,
        "acosh" => super::math::acosh,
        "atanh" => f64::atanh,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "sgn" => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        _ => return None,
    })
}

impl Evaluator<'_> {
    pub(crate) fn call(&mut self, call: &CallNode, grid: Grid) -> Evaluation<Evaluated> {
        if matches!(call.name, "timestamp" | "start_timestamp")
            && let Node::Vector(selector) = &call.args[0]
        {
            let of_start = call.name == "start_timestamp";
            if of_start && !self.options.features.use_start_timestamps {
                return Ok(Evaluated::Vector(Vec::new()));
            }
            let held = self.samples.held();
            let mut series =
                self.taken_at(selector, grid, |time, _, start| (if of_start { start } else { time }) as f64 / 1000.0)?;
            series.iter_mut().for_each(|series| self.drop_name(series));
            let looked_at = self.samples.held() - held;
            self.samples.release(looked_at);
            let gathered = present_at_end(&series);
            return self.ended(series, held, gathered, grid);
        }
        if let Some(series) = self.window_call(call, grid)? {
            return Ok(Evaluated::Vector(series));
        }
        let held = self.samples.held();
        match call.name {
            "label_replace" => self.label_replace(call, grid).map(Evaluated::Vector),
            "label_join" => self.label_join(call, grid).map(Evaluated::Vector),
            "info" => self.info(call, grid).map(Evaluated::Vector),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => {
                if grid.len > 1 {
                    self.annotations.add(Annotation::SortInRangeQuery, call.span);
                }
                self.sort(call, grid).map(Evaluated::Vector)
            }
            "histogram_quantile" | "histogram_fraction" | "histogram_quantiles" => {
                let (series, gathered) = self.histogram_function(call, grid)?;
                self.ended(series, held, gathered, grid)
            }
            "time" | "pi" | "scalar" | "max_of" | "min_of" => self.scalar_call(call, grid),
            "vector" => {
                let scalar = self.scalar(&call.args[0], grid)?;
                self.samples.touch(grid.len)?;
                let mut column = Column::default();
                (0..grid.len).for_each(|step| column.push(step, scalar.at(step)));
                let series = vec![Series { labels: Labels::empty(), drop_name: false, column }];
                self.ended(series, held, 1, grid)
            }
            "absent" => {
                let series = self.vector(&call.args[0], grid)?;
                let gathered = present_at_end(&series);
                let labels = match &call.args[0] {
                    Node::Vector(selector) => absent_labels(selector),
                    _ => Labels::empty(),
                };
                let column = self.absence(&series, grid)?;
                let absent = column.map(|column| Series { labels, drop_name: false, column });
                self.ended(absent.into_iter().collect(), held, gathered, grid)
            }
            "histogram_avg" | "histogram_count" | "histogram_sum" | "histogram_stddev" | "histogram_stdvar" => {
                // floats have none of these
                let gathered = present_at_end(&self.vector(&call.args[0], grid)?);
                self.ended(Vec::new(), held, gathered, grid)
            }
            _ => self.values_changed(call, grid),
        }
    }

    /// Functions that change every value of a vector.
    fn values_changed(&mut self, call: &CallNode, grid: Grid) -> Evaluation<Evaluated> {
        let held = self.samples.held();
        let is_date = matches!(
            call.name,
            "days_in_month" | "day_of_month" | "day_of_week" | "day_of_year" | "hour" | "minute" | "month" | "year"
        );
        if is_date && call.args.is_empty() {
            self.samples.touch(grid.len)?;
            let mut column = Column::default();
            for step in 0..grid.len {
                column.push(step, date::part(call.name, grid.at(step).div_euclid(1000) as f64));
            }
            let series = vec![Series { labels: Labels::empty(), drop_name: false, column }];
            return self.ended(series, held, 0, grid);
        }
        let mut series = self.vector(&call.args[0], grid)?;
        let gathered = present_at_end(&series) + call.args.len() - 1;
        let params: Vec<Scalar> = call.args[1..].iter().map(|arg| self.scalar(arg, grid)).collect::<Evaluation<_>>()?;
        if let Some(function) = float_function(call.name) {
            series.iter_mut().for_each(|series| series.column.map(function));
        } else if is_date {
            series.iter_mut().for_each(|series| series.column.map(|value| date::part(call.name, value)));
        } else {
            match call.name {
                "clamp" => by_step(&mut series, |step, v| clamped(v, params[0].at(step), params[1].at(step))),
                "clamp_min" => by_step(&mut series, |step, v| clamped(v, params[0].at(step), f64::INFINITY)),
                "clamp_max" => by_step(&mut series, |step, v| clamped(v, f64::NEG_INFINITY, params[0].at(step))),
                "round" => by_step(&mut series, |step, v| {
                    let inverse = 1.0 / params.first().map_or(1.0, |nearest| nearest.at(step));
                    Some((v * inverse + 0.5).floor() / inverse)
                }),
                "timestamp" => by_step(&mut series, |step, _| Some(grid.at(step) as f64 / 1000.0)),
                // the start of a computed value is not known
                "start_timestamp" => series.clear(),
                name => return Err(QueryError::execution(format!("function {name} is not implemented"))),
            }
        }
        series.iter_mut().for_each(|series| self.drop_name(series));
        self.ended(series, held, gathered, grid)
    }

    fn scalar_call(&mut self, call: &CallNode, grid: Grid) -> Evaluation<Evaluated> {
        let held = self.samples.held();
        let mut gathered = 0;
        self.samples.touch(grid.len)?;
        let value = match call.name {
            "time" => Scalar::Steps((0..grid.len).map(|step| grid.at(step) as f64 / 1000.0).collect()),
            "pi" => Scalar::Constant(std::f64::consts::PI),
            "scalar" => {
                let series = self.vector(&call.args[0], grid)?;
                gathered = present_at_end(&series);
                Scalar::Steps((0..grid.len).map(|step| only_value(&series, step)).collect())
            }
            name => {
                let (a, b) = (self.scalar(&call.args[0], grid)?, self.scalar(&call.args[1], grid)?);
                a.zip(&b, grid.len, if name == "max_of" { go_max } else { go_min })
            }
        };
        self.samples.settle(held, gathered, grid.len)?;
        Ok(Evaluated::Scalar(value))
    }

    /// 1 at every step at which no series has a value; `None` when there is no such step.
    pub(crate) fn absence(&mut self, series: &[Series], grid: Grid) -> Evaluation<Option<Column>> {
        let present = StepSet::of(series.iter().map(|series| &series.column));
        self.samples.touch(grid.len - present.count())?;
        let mut column = Column::default();
        (0..grid.len).filter(|step| !present.contains(*step)).for_each(|step| column.push(step, 1.0));
        Ok((!column.is_empty()).then_some(column))
    }

    /// Ends a vector function: equal labels are joined or refused, samples counted.
    pub(crate) fn ended(
        &mut self,
        series: Vec<Series>,
        held: usize,
        gathered: usize,
        grid: Grid,
    ) -> Evaluation<Evaluated> {
        let series = self.finished(series, grid)?;
        let count = series.iter().map(|series| series.column.count()).sum();
        self.samples.settle(held, gathered, count)?;
        Ok(Evaluated::Vector(series))
    }
}

/// How many series have a value at the last step that has any: what upstream gathers beside the result when it peaks.
pub(crate) fn present_at_end(series: &[Series]) -> usize {
    let Some(end) = series.iter().map(|series| series.column.steps().end).max() else { return 0 };
    let Some(last) = end.checked_sub(1) else { return 0 };
    series.iter().filter(|series| series.column.present(last).is_some()).count()
}

fn clamped(value: f64, low: f64, high: f64) -> Option<f64> {
    if high < low { None } else { Some(go_max(low, go_min(high, value))) }
}

/// Changes values with a function that knows the step; it may take them away.
fn by_step(series: &mut Vec<Series>, change: impl Fn(usize, f64) -> Option<f64>) {
    for series in series.iter_mut() {
        let mut column = Column::default();
        for (step, value) in series.column.iter() {
            if let Some(value) = change(step, value) {
                column.push(step, value);
            }
        }
        series.column = column;
    }
    series.retain(|series| !series.column.is_empty());
}

fn only_value(series: &[Series], step: usize) -> f64 {
    let mut values = series.iter().filter_map(|series| series.column.present(step));
    match (values.next(), values.next()) {
        (Some(value), None) => value,
        _ => f64::NAN,
    }
}
