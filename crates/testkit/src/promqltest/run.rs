//! Running scripts against a store.

use super::expectation::{compare, compare_annotations};
use super::script::{Command, Eval, Load, parse};
use model::{Labels, LabelsBuilder, Matcher, Millis, Timestamp};
use promql::syntax::ast::{At, Expr};
use promql::syntax::{SequenceValue, Switches};
use promql::{Answer, Engine, EngineOptions, Features, QueryError, Value};
use storage::{Append, Durability, QueryContext, Select, Tenant};

/// Functions whose value may change with the evaluation time although the selectors are pinned.
const UNSTEADY: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// What became of one evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed(String),
    /// It touches native histograms and was not run.
    Native,
}

/// What became of a script.
#[derive(Debug, Default)]
pub struct Report {
    /// Evaluations: line, query, outcome.
    pub evals: Vec<(usize, String, Outcome)>,
    /// Native series that were not loaded.
    pub native_series: usize,
}

impl Report {
    /// How many evaluations passed, failed, were native.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Outcome) -> bool| self.evals.iter().filter(|(_, _, o)| wanted(o)).count();
        (count(|o| *o == Outcome::Passed), count(|o| matches!(o, Outcome::Failed(_))), count(|o| *o == Outcome::Native))
    }
}

/// The engine that upstream's scripts assume.
pub fn test_engine() -> Engine {
    Engine::new(EngineOptions {
        max_samples: 10_000,
        features: Features {
            language: Switches::ALL,
            delayed_name_removal: true,
            use_start_timestamps: true,
            ..Features::default()
        },
        ..EngineOptions::default()
    })
}

/// A store a script can run against.
pub trait Store: Append + Select {}
impl<T: Append + Select> Store for T {}

/// Runs a script; `open` makes an empty store, at the beginning and at every `clear`.
///
/// # Errors
/// The script cannot be read, or the store does not take what it loads.
pub fn run(script: &str, engine: &Engine, open: &dyn Fn() -> Box<dyn Store>) -> Result<Report, String> {
    let mut report = Report::default();
    let mut store = open();
    let mut native: Vec<Labels> = Vec::new();
    for command in parse(script)? {
        match command {
            Command::Clear => {
                store = open();
                native.clear();
            }
            Command::Load(load) => {
                let before = native.len();
                fill(&load, store.as_ref(), &mut native)?;
                report.native_series += native.len() - before;
            }
            Command::Eval(eval) => {
                let outcome = if touches_native(&eval, engine, &native) {
                    Outcome::Native
                } else {
                    match evaluate(&eval, engine, store.as_ref()) {
                        Ok(()) => Outcome::Passed,
                        Err(difference) => Outcome::Failed(difference),
                    }
                };
                report.evals.push((eval.line, eval.query.clone(), outcome));
            }
        }
    }
    Ok(report)
}

fn fill(load: &Load, store: &dyn Store, native: &mut Vec<Labels>) -> Result<(), String> {
    let mut appender = store.begin(Tenant::DEFAULT).map_err(|e| e.to_string())?;
    for (row, starts) in &load.rows {
        if load.with_nhcb {
            let made = nhcb_labels(&row.labels).filter(|labels| !native.contains(labels));
            native.extend(made);
        }
        if row.values.iter().any(|value| matches!(value, SequenceValue::Histogram(_))) {
            native.push(row.labels.clone());
            continue;
        }
        let series = appender.declare(&row.labels).map_err(|e| e.to_string())?;
        for (at, value) in row.values.iter().enumerate() {
            let SequenceValue::Float(value) = value else { continue };
            let time = load.gap.0 * at as i64;
            let start = starts.as_ref().and_then(|starts| starts[at]).map_or(0, |offset| time + offset);
            appender
                .sample(series, Timestamp(time), *value, Timestamp(start))
                .map_err(|e| format!("cannot load {}: {e}", row.labels))?;
        }
    }
    let committed = appender.commit(Durability::Os).map_err(|e| e.to_string())?;
    match committed.refusals.total() {
        0 => Ok(()),
        n => Err(format!("{n} samples of a load were refused: {:?}", committed.refusals.first)),
    }
}

/// The native histogram that `load_with_nhcb` makes of a classic series.
fn nhcb_labels(labels: &Labels) -> Option<Labels> {
    let name = labels.metric_name();
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix))?;
    let mut native: LabelsBuilder = labels.to_builder();
    native.remove("le").set("__name__", base);
    Some(native.build())
}

fn touches_native(eval: &Eval, engine: &Engine, native: &[Labels]) -> bool {
    let expects_one =
        eval.series.iter().any(|(_, values)| values.iter().any(|value| matches!(value, SequenceValue::Histogram(_))));
    expects_one || engine.parse(&eval.query).is_ok_and(|expr| selects_any(&expr, native))
}

/// Whether a selector of an expression, or what `info` looks for, matches one of these label sets.
pub fn selects_any(expr: &Expr, series: &[Labels]) -> bool {
    let mut found = false;
    each_selector(expr, &mut |matchers: &[Matcher]| {
        found |= series.iter().any(|labels| matchers.iter().all(|m| m.matches_labels(labels)));
    });
    found
}

/// Runs `each` over the matchers of every selector.
fn each_selector(expr: &Expr, each: &mut dyn FnMut(&[Matcher])) {
    match expr {
        Expr::Vector(e) => each(&e.matchers),
        Expr::Matrix(e) => each(&e.vector.matchers),
        Expr::Subquery(e) => each_selector(&e.expr, each),
        Expr::Paren(e) => each_selector(&e.expr, each),
        Expr::Unary(e) => each_selector(&e.expr, each),
        Expr::Call(e) => {
            if e.function.name == "info" && e.args.len() == 1 {
                each(&[Matcher::equal("__name__", "target_info")]);
            }
            e.args.iter().for_each(|arg| each_selector(arg, each));
        }
        Expr::Binary(e) => {
            each_selector(&e.lhs, each);
            each_selector(&e.rhs, each);
        }
        Expr::Aggregate(e) => {
            e.param.iter().for_each(|param| each_selector(param, each));
            each_selector(&e.expr, each);
        }
        Expr::Number(_) | Expr::String(_) => {}
    }
}

fn evaluate(eval: &Eval, engine: &Engine, store: &dyn Store) -> Result<(), String> {
    let context = QueryContext::default();
    if eval.is_range {
        let range = (Timestamp(eval.start.0), Timestamp(eval.end.0));
        let answer = engine.range(store, &context, &eval.query, range, eval.step);
        return judged(eval, answer).map(|_| ());
    }
    let at = eval.range_vector.map_or(eval.start, |(_, end, _)| end);
    instant(eval, engine, store, &eval.query, Timestamp(at.0))?;
    for (query, at) in pinned(eval, engine, at)? {
        instant(eval, engine, store, &query, at).map_err(|e| format!("as {query} at {at}: {e}"))?;
    }
    Ok(())
}

/// Checks an answer or an error; `None` when the error was expected.
fn judged(eval: &Eval, answer: Result<Answer, QueryError>) -> Result<Option<Answer>, String> {
    match (answer, &eval.also.fail) {
        (Err(error), Some(wanted)) if wanted.fits(&error.to_string()) => Ok(None),
        (Err(error), Some(wanted)) => Err(format!("expected error {wanted:?}, got {error}")),
        (Err(error), None) => Err(format!("error: {error}")),
        (Ok(_), Some(_)) => Err("expected an error, got none".to_owned()),
        (Ok(answer), None) => {
            compare_annotations(eval, &answer)?;
            compare(eval, &answer.value)?;
            Ok(Some(answer))
        }
    }
}

/// At an instant, and as the middle step of a range.
fn instant(eval: &Eval, engine: &Engine, store: &dyn Store, query: &str, at: Timestamp) -> Result<(), String> {
    let context = QueryContext::default();
    let Some(answer) = judged(eval, engine.instant(store, &context, query, at))? else { return Ok(()) };
    let own_times = ["start()", "end()", "range()", "step()"].iter().any(|word| query.contains(word));
    if eval.range_vector.is_some() || eval.string.is_some() || own_times || eval.also.ordered {
        return Ok(());
    }
    let range = (Timestamp(at.0 - 60_000), Timestamp(at.0 + 60_000));
    let ranged =
        engine.range(store, &context, query, range, Millis(60_000)).map_err(|e| format!("as a range query: {e}"))?;
    let Value::Matrix(series) = ranged.value else { return Err("a range query without a matrix".to_owned()) };
    let samples: Vec<promql::VectorSample> = series
        .into_iter()
        .filter_map(|series| {
            let (_, value) = series.samples.iter().find(|(time, _)| *time == at)?;
            Some(promql::VectorSample { labels: series.labels, value: *value })
        })
        .collect();
    let value = match answer.value {
        Value::Scalar { .. } => match samples.first() {
            Some(sample) => Value::Scalar { at, value: sample.value },
            None => return Err("as a range query: no value".to_owned()),
        },
        _ => Value::Vector { at, samples },
    };
    compare(eval, &value).map_err(|e| format!("as a range query: {e}"))
}

/// The query with `@ t` on every selector, to be asked at other instants with the same answer.
fn pinned(eval: &Eval, engine: &Engine, at: Millis) -> Result<Vec<(String, Timestamp)>, String> {
    let Ok(mut expr) = engine.parse(&eval.query) else { return Ok(Vec::new()) };
    let mut unsteady = false;
    pin(&mut expr, Timestamp(at.0), &mut unsteady);
    if unsteady {
        return Ok(Vec::new());
    }
    let query = expr.to_string();
    let t = at.0;
    let instants = if t == 0 { vec![-1000, 0, 1000] } else { vec![-10 * t, 0, t / 5, t, 10 * t] };
    Ok(instants.into_iter().map(|instant| (query.clone(), Timestamp(instant))).collect())
}

fn pin(expr: &mut Expr, at: Timestamp, unsteady: &mut bool) {
    let set = |target: &mut Option<At>| {
        if !matches!(target, Some(At::Time(_))) {
            *target = Some(At::Time(at));
        }
    };
    match expr {
        Expr::Vector(e) => set(&mut e.at),
        Expr::Matrix(e) => set(&mut e.vector.at),
        // what is inside is evaluated relative to the subquery's own time
        Expr::Subquery(e) => set(&mut e.at),
        Expr::Paren(e) => pin(&mut e.expr, at, unsteady),
        Expr::Unary(e) => pin(&mut e.expr, at, unsteady),
        Expr::Call(e) => {
            *unsteady |= UNSTEADY.contains(&e.function.name);
            e.args.iter_mut().for_each(|arg| pin(arg, at, unsteady));
        }
        Expr::Binary(e) => {
            pin(&mut e.lhs, at, unsteady);
            pin(&mut e.rhs, at, unsteady);
        }
        Expr::Aggregate(e) => {
            e.param.iter_mut().for_each(|param| pin(param, at, unsteady));
            pin(&mut e.expr, at, unsteady);
        }
        Expr::Number(_) | Expr::String(_) => {}
    }
}
