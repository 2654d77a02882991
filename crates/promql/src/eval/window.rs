//! Range functions: a window slides over each series' samples, a function makes one value of what it sees.
//!
//! ```text
//! samples   ·  ·   ·  · ·   ·   ·  ·      ascending
//! step k       (start ─────────── end]    left-open: `lo` behind the samples at or before start, `hi` behind those up to end
//! step k+1          (start ─────────── end]
//! ```
//!
//! Cost: every sample is passed once by each cursor; what the function itself costs per step is its own.

use super::column::{Column, Grid, Scalar, Series};
use super::select::Samples;
use super::{
    Evaluation, Evaluator, SAME_LABELS, column_samples, extended, over_time, rate, regression, without_metadata,
};
use crate::annotation::{Annotation, Annotations};
use crate::engine::QueryError;
use crate::plan::{CallNode, Node, Selector};
use crate::syntax::Span;
use crate::syntax::ast::Edges;
use model::{Labels, MatchOp, Matcher};

/// What a function sees at one step.
pub(crate) struct Window<'a> {
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
    /// When counters began, or empty.
    pub(crate) starts: &'a [i64],
    /// The range asked for, `(start, end]`; with `anchored` or `smoothed` there are samples outside it.
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) edges: Edges,
    /// The step's own instant.
    pub(crate) at: i64,
    /// The scalar arguments.
    pub(crate) params: [f64; 2],
    pub(crate) labels: &'a Labels,
    /// Where the first argument stands.
    pub(crate) span: Span,
}

impl Window<'_> {
    pub(crate) fn range_s(&self) -> f64 {
        (self.end - self.start) as f64 / 1000.0
    }
}

pub(crate) type WindowFunction = fn(&Window<'_>, &mut Annotations) -> Evaluation<Option<f64>>;

fn window_function(name: &str) -> Option<WindowFunction> {
    Some(match name {
        "rate" => |w, notes| rate::extrapolated(w, true, true, notes),
        "increase" => |w, notes| rate::extrapolated(w, true, false, notes),
        "delta" => |w, notes| rate::extrapolated(w, false, false, notes),
        "irate" => |w, _| Ok(rate::instant(w, true)),
        "idelta" => |w, _| Ok(rate::instant(w, false)),
        "resets" => |w, _| Ok(rate::resets(w)),
        "changes" => |w, _| Ok(rate::changes(w)),
        "deriv" => |w, _| Ok(regression::deriv(w)),
        "predict_linear" => |w, _| Ok(regression::predict_linear(w)),
        "double_exponential_smoothing" => |w, _| regression::double_exponential_smoothing(w),
        "avg_over_time" => |w, _| Ok(over_time::avg(w)),
        "sum_over_time" => |w, _| Ok(over_time::sum(w)),
        "count_over_time" => |w, _| Ok(Some(w.values.len() as f64)),
        "min_over_time" => |w, _| Ok(over_time::min(w)),
        "max_over_time" => |w, _| Ok(over_time::max(w)),
        "first_over_time" => |w, _| Ok(w.values.first().copied()),
        "last_over_time" => |w, _| Ok(w.values.last().copied()),
        "present_over_time" | "absent_over_time" => |_, _| Ok(Some(1.0)),
        "mad_over_time" => |w, _| Ok(over_time::mad(w)),
        "quantile_over_time" => |w, notes| Ok(over_time::quantile(w, notes)),
        "stddev_over_time" => |w, _| Ok(Some(over_time::variance(w).sqrt())),
        "stdvar_over_time" => |w, _| Ok(Some(over_time::variance(w))),
        "ts_of_first_over_time" => |w, _| Ok(w.times.first().map(|t| *t as f64 / 1000.0)),
        "ts_of_last_over_time" => |w, _| Ok(w.times.last().map(|t| *t as f64 / 1000.0)),
        "ts_of_max_over_time" => |w, _| Ok(over_time::time_of(w, |value, best| value >= best)),
        "ts_of_min_over_time" => |w, _| Ok(over_time::time_of(w, |value, best| value <= best)),
        _ => return None,
    })
}

/// How many samples functions are shown before a cancelled query ends: tens of milliseconds, where they are sorted.
const CHECK_EVERY: usize = 1 << 18;

const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

/// Where windows lie.
struct Frame {
    range_ms: i64,
    offset_ms: i64,
    at: Option<i64>,
    edges: Edges,
    lookback: i64,
    /// Samples were counted as read when the subquery ran.
    counted: bool,
}

impl Frame {
    /// The range asked for at a step.
    fn asked(&self, at: i64) -> (i64, i64) {
        let end = self.at.unwrap_or(at).saturating_sub(self.offset_ms);
        (end.saturating_sub(self.range_ms), end)
    }

    /// The range looked at.
    fn seen(&self, (start, end): (i64, i64)) -> (i64, i64) {
        match self.edges {
            Edges::Plain => (start, end),
            Edges::Anchored => (start.saturating_sub(self.lookback), end),
            Edges::Smoothed => (start.saturating_sub(self.lookback), end.saturating_add(self.lookback)),
        }
    }
}

struct Work<'c> {
    call: &'c CallNode,
    function: WindowFunction,
    params: [Scalar; 2],
    frame: Frame,
    result: Vec<Series>,
}

impl Evaluator<'_> {
    /// A call with a range vector among its arguments; `None` when there is none.
    pub(crate) fn window_call(&mut self, call: &CallNode, grid: Grid) -> Evaluation<Option<Vec<Series>>> {
        let is_range = |node: &Node| matches!(node, Node::Matrix(_) | Node::Subquery(_));
        let Some(range_at) = call.args.iter().position(is_range) else { return Ok(None) };
        let Some(function) = window_function(call.name) else { return Ok(None) };
        let held = self.samples.held();
        let result = match &call.args[range_at] {
            Node::Matrix(window) => {
                check_edges(window.selector.edges, call.name)?;
                let frame = Frame {
                    range_ms: window.range_ms,
                    offset_ms: window.selector.offset_ms,
                    at: window.selector.at.map(|at| at.0),
                    edges: window.selector.edges,
                    lookback: self.lookback_ms(),
                    counted: false,
                };
                let params = self.window_params(call, range_at, grid)?;
                let mut work = Work { call, function, params, frame, result: Vec::new() };
                self.each_window_series(window, grid, |evaluator, labels, samples| {
                    evaluator.slide(&mut work, labels, false, samples, grid)
                })?;
                work.result
            }
            Node::Subquery(subquery) => {
                let before = self.samples.totals();
                let (series, inner_grid) = self.subquery(subquery, grid)?;
                self.samples.forget_looks_since(before);
                let frame = Frame {
                    range_ms: subquery.range_ms,
                    offset_ms: subquery.offset_ms,
                    at: subquery.at.map(|at| at.0),
                    edges: Edges::Plain,
                    lookback: 0,
                    counted: true,
                };
                let params = self.window_params(call, range_at, grid)?;
                let mut work = Work { call, function, params, frame, result: Vec::new() };
                let mut samples = Samples::default();
                for series in series {
                    column_samples(&series.column, inner_grid, &mut samples);
                    self.slide(&mut work, series.labels, series.drop_name, &samples, grid)?;
                }
                work.result
            }
            _ => return Ok(None),
        };
        let count = result.iter().map(|series| series.column.count()).sum();
        self.samples.finish(held, count)?;
        if call.name == "absent_over_time" {
            let Some(column) = self.absence(&result, grid)? else { return Ok(Some(Vec::new())) };
            let labels = match &call.args[range_at] {
                Node::Matrix(window) => absent_labels(&window.selector),
                _ => Labels::empty(),
            };
            return Ok(Some(vec![Series { labels, drop_name: true, column }]));
        }
        if !self.delayed_names() && has_same_labels(&result) {
            return Err(QueryError::execution(SAME_LABELS));
        }
        Ok(Some(result))
    }

    fn window_params(&mut self, call: &CallNode, range_at: usize, grid: Grid) -> Evaluation<[Scalar; 2]> {
        let mut params = [Scalar::Constant(0.0), Scalar::Constant(0.0)];
        let others = call.args.iter().enumerate().filter(|(at, _)| *at != range_at);
        for (slot, (_, arg)) in params.iter_mut().zip(others) {
            *slot = self.scalar(arg, grid)?;
        }
        Ok(params)
    }

    fn slide(
        &mut self,
        work: &mut Work<'_>,
        labels: Labels,
        input_drops_name: bool,
        samples: &Samples,
        grid: Grid,
    ) -> Evaluation<()> {
        self.context.check()?;
        let (mut lo, mut hi, mut widest, mut latest) = (0, 0, 0, 0);
        let (mut total, mut read, mut unchecked) = (0u64, 0u64, 0usize);
        let mut column = Column::default();
        for step in 0..grid.len {
            let at = grid.at(step);
            let asked = work.frame.asked(at);
            let (from, to) = work.frame.seen(asked);
            while samples.times.get(hi).is_some_and(|t| *t <= to) {
                hi += 1;
            }
            while lo < hi && samples.times[lo] <= from {
                lo += 1;
            }
            if lo == hi {
                latest = 0;
                continue;
            }
            latest = hi - lo;
            unchecked += latest;
            if unchecked > CHECK_EVERY {
                self.context.check()?;
                unchecked = 0;
            }
            widest = widest.max(latest);
            total += latest as u64;
            read += new_samples(&samples.times[lo..hi], step, to, grid, &work.frame);
            let window = Window {
                times: &samples.times[lo..hi],
                values: &samples.values[lo..hi],
                starts: samples.starts.get(lo..hi).unwrap_or(&[]),
                start: asked.0,
                end: asked.1,
                edges: work.frame.edges,
                at,
                params: [work.params[0].at(step), work.params[1].at(step)],
                labels: &labels,
                span: work.call.arg_spans[0],
            };
            if let Some(value) = (work.function)(&window, &mut self.annotations)? {
                column.push(step, value);
            }
        }
        self.samples.look_at(total, read);
        self.samples.touch(widest)?;
        let count = column.count();
        if count > 0 {
            self.samples.touch(latest + count)?;
            self.samples.leave_gaps(column.steps().len() - count)?;
            self.samples.hold(count)?;
            self.note_no_counter(work.call, &labels);
            let keeps_name = matches!(work.call.name, "last_over_time" | "first_over_time");
            let mut series = Series { labels, drop_name: false, column };
            if !keeps_name || input_drops_name {
                series.drop_name = true;
                if !self.delayed_names() {
                    series.labels = without_metadata(&series.labels);
                }
            }
            work.result.push(series);
        }
        Ok(())
    }

    /// `rate` of something that is named like no counter.
    fn note_no_counter(&mut self, call: &CallNode, labels: &Labels) {
        let name = labels.metric_name();
        if !matches!(call.name, "rate" | "increase") || name.is_empty() {
            return;
        }
        let span = call.arg_spans[0];
        if self.options.features.type_and_unit_labels {
            let label = labels.value("__type__");
            if label != "counter" && label != "histogram" {
                let note = Annotation::PossibleNonCounterLabel(name.to_owned(), label.to_owned());
                self.annotations.add(note, span);
            }
        } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
            self.annotations.add(Annotation::PossibleNonCounter(name.to_owned()), span);
        }
    }
}

/// Samples of a window that no earlier step has read.
fn new_samples(times: &[i64], step: usize, to: i64, grid: Grid, frame: &Frame) -> u64 {
    if frame.counted {
        return 0;
    }
    if step == 0 {
        return times.len() as u64;
    }
    if frame.at.is_some() {
        return 0;
    }
    let known = to.saturating_sub(grid.step);
    (times.len() - times.partition_point(|t| *t <= known)) as u64
}

fn check_edges(edges: Edges, name: &str) -> Evaluation<()> {
    let (word, allowed): (_, &[&str]) = match edges {
        Edges::Plain => return Ok(()),
        Edges::Anchored => ("anchored", &ANCHORED),
        Edges::Smoothed => ("smoothed", &SMOOTHED),
    };
    if allowed.contains(&name) {
        return Ok(());
    }
    let allowed = allowed.join(", ");
    Err(QueryError::execution(format!("{word} modifier can only be used with: {allowed} - not with {name}")))
}

fn has_same_labels(series: &[Series]) -> bool {
    let mut seen = hashbrown::HashSet::with_capacity_and_hasher(series.len(), foldhash::fast::RandomState::default());
    series.iter().any(|series| !seen.insert(&series.labels))
}

/// The labels an absent series would have, as far as its selector says.
///
/// A label with several matchers goes or stays by their order, and that is the one in which Prometheus' store has put them
/// by then: first those that series are looked up by, then those that take series away.
pub(crate) fn absent_labels(selector: &Selector) -> Labels {
    let must_be_set = |name: &str| selector.matchers.iter().any(|m| &*m.name == name && !m.matches(""));
    let takes_away =
        |m: &Matcher| !must_be_set(&m.name) || (matches!(m.op, MatchOp::NotEqual | MatchOp::NotRegex) && m.matches(""));
    let (later, sooner): (Vec<&Matcher>, Vec<&Matcher>) = selector.matchers.iter().partition(|m| takes_away(m));
    let mut labels = model::LabelsBuilder::new();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in sooner.into_iter().chain(later).filter(|m| &*m.name != model::labels::METRIC_NAME) {
        if matcher.op == MatchOp::Equal && !seen.contains(&&*matcher.name) {
            labels.set(&matcher.name, &matcher.value);
            seen.push(&matcher.name);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels.build()
}

/// Used by `resets` and `changes` with `anchored`: where the range's first sample is, the anchor included.
pub(crate) fn first_sample(window: &Window<'_>) -> Option<usize> {
    if window.edges != Edges::Anchored {
        return Some(0);
    }
    extended::anchor(window.times, window.start)
}
