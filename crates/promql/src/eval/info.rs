//! `info`: adds labels of info metrics to series that share `instance` and `job` with them.
//!
//! Per step the newest sample of each info metric with the same identifying labels counts. Which label goes where is settled
//! once per combination of base series and info series, not per step.

use super::column::{Column, Grid, Series};
use super::{Evaluation, Evaluator};
use crate::engine::QueryError;
use crate::plan::{CallNode, Node, Selector};
use crate::syntax::ast::Edges;
use model::labels::METRIC_NAME;
use model::{Labels, MatchOp, Matcher, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// What the second argument asks for.
struct Wanted {
    name_matchers: Vec<Matcher>,
    /// By label.
    data_matchers: BTreeMap<String, Vec<Matcher>>,
}

impl Wanted {
    fn of(selector: Option<&Selector>) -> Evaluation<Self> {
        let mut given: Vec<Matcher> = Vec::new();
        let mut data_matchers: BTreeMap<String, Vec<Matcher>> = BTreeMap::new();
        for matcher in selector.map(|selector| selector.matchers.as_slice()).unwrap_or_default() {
            if &*matcher.name == METRIC_NAME {
                given.push(matcher.clone());
            } else {
                data_matchers.entry(matcher.name.to_string()).or_default().push(matcher.clone());
            }
        }
        let positive = given.iter().any(|m| matches!(m.op, MatchOp::Equal | MatchOp::Regex));
        let mut name_matchers = Vec::new();
        if given.is_empty() {
            name_matchers.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if !positive {
            let any_info = Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info");
            name_matchers.push(any_info.map_err(|e| QueryError::execution(e.to_string()))?);
        }
        name_matchers.extend(given);
        Ok(Wanted { name_matchers, data_matchers })
    }

    fn is_info(&self, labels: &Labels) -> bool {
        self.name_matchers.iter().all(|matcher| matcher.matches(labels.metric_name()))
    }

    fn all_match_empty(&self) -> bool {
        self.data_matchers.values().flatten().all(Matcher::matches_empty)
    }
}

/// The time and offset that govern the first selector of an expression: info series are looked up as of then.
fn reference(node: &Node) -> Option<(Option<Timestamp>, i64)> {
    match node {
        Node::Vector(selector) => Some((selector.at, selector.offset_ms)),
        Node::Matrix(window) => Some((window.selector.at, window.selector.offset_ms)),
        Node::Subquery(e) => {
            let (at, offset) = reference(&e.inner)?;
            Some(if at.is_some() { (at, offset) } else { (e.at, offset + e.offset_ms) })
        }
        Node::Call(e) => e.args.iter().find_map(reference),
        Node::Aggregate(e) => reference(&e.inner).or_else(|| e.param.as_ref().and_then(reference)),
        Node::Binary(e) => reference(&e.lhs).or_else(|| reference(&e.rhs)),
        Node::Negate(inner) | Node::Plus(inner) | Node::Invariant(inner) => reference(inner),
        Node::Number(_) | Node::Text(_) => None,
    }
}

impl Evaluator<'_> {
    pub(crate) fn info(&mut self, call: &CallNode, grid: Grid) -> Evaluation<Vec<Series>> {
        let held = self.samples.held();
        let wanted = match call.args.get(1) {
            None => Wanted::of(None)?,
            Some(node) => Wanted::of(Some(selector_of(node)?))?,
        };
        let (at, offset_ms) = reference(&call.args[0]).unwrap_or((None, 0));
        let base = self.vector(&call.args[0], grid)?;
        let enriched: Vec<bool> = base.iter().map(|series| !wanted.is_info(&series.labels)).collect();
        let infos = self.info_series(&wanted, &base, &enriched, (at, offset_ms), grid)?;
        let gathered = super::call::present_at_end(&base);
        let mut result = Vec::new();
        for (series, enrich) in base.into_iter().zip(enriched) {
            self.context.check()?;
            if enrich {
                enrich_series(&wanted, &series, &infos, &mut result)?;
            } else {
                result.push(series);
            }
        }
        let result = super::merged_by_labels(result)?;
        let count = result.iter().map(|series| series.column.count()).sum();
        self.samples.settle(held, gathered, count)?;
        Ok(result)
    }

    /// Info series by identifying labels and name; values are the times of the samples, in milliseconds.
    fn info_series(
        &mut self,
        wanted: &Wanted,
        base: &[Series],
        enriched: &[bool],
        (at, offset_ms): (Option<Timestamp>, i64),
        grid: Grid,
    ) -> Evaluation<Infos> {
        let mut matchers = wanted.name_matchers.clone();
        let mut identified = false;
        for name in IDENTIFYING {
            let values: BTreeSet<&str> = base
                .iter()
                .zip(enriched)
                .filter(|(_, enrich)| **enrich)
                .map(|(series, _)| series.labels.value(name))
                .filter(|value| !value.is_empty())
                .collect();
            if !values.is_empty() {
                identified = true;
                let pattern: Vec<String> = values.into_iter().map(escaped).collect();
                let matcher = Matcher::new(name, MatchOp::Regex, &pattern.join("|"));
                matchers.push(matcher.map_err(|e| QueryError::execution(e.to_string()))?);
            }
        }
        let mut infos = Infos::default();
        if !identified {
            return Ok(infos);
        }
        matchers.extend(wanted.data_matchers.values().flatten().cloned());
        let selector = Selector { matchers, offset_ms, at, edges: Edges::Plain };
        let series = self.latest(&selector, grid, |time, _, _| time as f64).map_err(|error| match error {
            QueryError::NativeHistogram => QueryError::execution("this should be an info metric, with float samples"),
            error => error,
        })?;
        for series in series {
            infos.add(series)?;
        }
        Ok(infos)
    }
}

fn selector_of(node: &Node) -> Evaluation<&Selector> {
    match node {
        Node::Vector(selector) => Ok(selector),
        Node::Invariant(inner) => selector_of(inner),
        _ => Err(QueryError::execution("expected label selectors only")),
    }
}

fn identity(labels: &Labels) -> [String; 2] {
    IDENTIFYING.map(|name| labels.value(name).to_owned())
}

/// By step: which series is the newest, and when its sample was taken.
type Newest = BTreeMap<usize, (usize, i64)>;

/// The newest info series of each name and identity at each step.
#[derive(Default)]
struct Infos {
    series: Vec<Labels>,
    /// identity → name
    newest: BTreeMap<[String; 2], BTreeMap<String, Newest>>,
}

impl Infos {
    fn add(&mut self, series: Series) -> Evaluation<()> {
        let at = self.series.len();
        let by_name = self.newest.entry(identity(&series.labels)).or_default();
        let steps = by_name.entry(series.labels.metric_name().to_owned()).or_default();
        for (step, time) in series.column.iter() {
            let time = time as i64;
            match steps.get(&step).copied() {
                Some((_, known)) if known > time => {}
                Some((existing, known)) if known == time => {
                    return Err(QueryError::execution(format!(
                        "found duplicate series for info metric: existing {} @ {known}, new {} @ {time}",
                        self.series[existing], series.labels
                    )));
                }
                _ => {
                    steps.insert(step, (at, time));
                }
            }
        }
        self.series.push(series.labels);
        Ok(())
    }
}

fn enrich_series(wanted: &Wanted, series: &Series, infos: &Infos, result: &mut Vec<Series>) -> Evaluation<()> {
    let by_name = infos.newest.get(&identity(&series.labels));
    // which info series apply → the column with those labels
    let mut variants: BTreeMap<Vec<usize>, Column> = BTreeMap::new();
    for (step, value) in series.column.iter() {
        let applying: Vec<usize> = by_name
            .into_iter()
            .flat_map(|by_name| by_name.values())
            .filter_map(|steps| steps.get(&step).map(|(at, _)| *at))
            .collect();
        variants.entry(applying).or_default().push(step, value);
    }
    for (applying, column) in variants {
        if applying.is_empty() && !wanted.all_match_empty() {
            continue;
        }
        let labels = combined(wanted, &series.labels, applying.iter().map(|at| &infos.series[*at]))?;
        result.push(Series { labels, drop_name: series.drop_name, column });
    }
    Ok(())
}

/// The base labels with the info labels that are wanted; labels the series has itself stay.
fn combined<'l>(wanted: &Wanted, base: &Labels, infos: impl Iterator<Item = &'l Labels>) -> Evaluation<Labels> {
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    for info in infos {
        for (name, value) in info.iter() {
            let unwanted = !wanted.data_matchers.is_empty() && !wanted.data_matchers.contains_key(name);
            if name == METRIC_NAME || unwanted {
                continue;
            }
            if added.get(name).is_some_and(|known| *known != value) {
                return Err(QueryError::execution(format!("conflicting label: {name}")));
            }
            if base.get(name).is_none() {
                added.insert(name, value);
            }
        }
    }
    let mut labels = base.to_builder();
    added.into_iter().for_each(|(name, value)| {
        labels.set(name, value);
    });
    Ok(labels.build())
}

/// A text as a regular expression that matches it alone.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
