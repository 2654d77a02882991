//! Comparing what came out with what was said.

use super::script::{Eval, Wanted};
use model::{Labels, Millis, Timestamp, is_stale};
use promql::syntax::SequenceValue;
use promql::{Answer, MatrixSeries, Value, VectorSample};

/// Relative difference that is still equal.
const EPSILON: f64 = 1e-6;

/// Equal for a test: the same, both NaN, or closer than a millionth of their sum. A staleness marker equals only itself.
pub fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// Compares an answer's value.
///
/// # Errors
/// What differs.
pub fn compare(eval: &Eval, value: &Value) -> Result<(), String> {
    match value {
        Value::String { value, .. } => match &eval.string {
            Some(expected) if expected == value => Ok(()),
            expected => Err(format!("expected string {expected:?}, got {value:?}")),
        },
        Value::Scalar { value, .. } => match eval.scalar {
            Some(expected) if almost_equal(expected, *value) => Ok(()),
            expected => Err(format!("expected scalar {expected:?}, got {value}")),
        },
        Value::Vector { samples, .. } => vector(eval, samples),
        Value::Matrix(series) => matrix(eval, series),
    }
}

fn float(value: &SequenceValue) -> Option<f64> {
    match value {
        SequenceValue::Float(value) => Some(*value),
        SequenceValue::Omitted | SequenceValue::Histogram(_) => None,
    }
}

fn position(eval: &Eval, labels: &Labels) -> Option<usize> {
    // the last of equal rows stands
    eval.series.iter().rposition(|(expected, _)| expected == labels)
}

fn vector(eval: &Eval, samples: &[VectorSample]) -> Result<(), String> {
    if eval.scalar.is_some() {
        return Err(format!("expected a scalar, got a vector of {}", samples.len()));
    }
    let mut seen = vec![false; eval.series.len()];
    for (at, sample) in samples.iter().enumerate() {
        let Some(place) = position(eval, &sample.labels) else {
            return Err(format!("unexpected series {} with value {}", sample.labels, sample.value));
        };
        if eval.also.ordered && place != at {
            return Err(format!("expected {} at position {place}, got it at {at}", sample.labels));
        }
        // a row without values expects 0, as upstream's does
        let expected = eval.series[place].1.first().map_or(Some(0.0), float);
        if !expected.is_some_and(|expected| almost_equal(expected, sample.value)) {
            return Err(format!("expected {expected:?} for {}, got {}", sample.labels, sample.value));
        }
        seen[place] = true;
    }
    missing(eval, &seen)
}

fn missing(eval: &Eval, seen: &[bool]) -> Result<(), String> {
    for (at, (labels, _)) in eval.series.iter().enumerate() {
        if !seen[at] && position(eval, labels) == Some(at) {
            return Err(format!("expected series {labels} is not there"));
        }
    }
    Ok(())
}

fn matrix(eval: &Eval, series: &[MatrixSeries]) -> Result<(), String> {
    if eval.also.ordered {
        return Err("an order is expected of a matrix".to_owned());
    }
    if let Some(pair) = series.windows(2).find(|pair| pair[0].labels > pair[1].labels) {
        return Err(format!("{} comes before {}", pair[0].labels, pair[1].labels));
    }
    let (start, _, step) = eval.range_vector.unwrap_or((eval.start, eval.end, eval.step));
    let mut seen = vec![false; eval.series.len()];
    if let Some(expected) = eval.scalar {
        // a scalar over a range is one series without labels
        let all = series.iter().flat_map(|series| &series.samples).all(|(_, value)| almost_equal(*value, expected));
        return if all { Ok(()) } else { Err(format!("expected {expected} throughout")) };
    }
    for series in series {
        let Some(place) = position(eval, &series.labels) else {
            return Err(format!("unexpected series {} with {:?}", series.labels, series.samples));
        };
        seen[place] = true;
        samples(&eval.series[place], series, start, step)?;
    }
    missing(eval, &seen)
}

fn samples(
    (labels, values): &(Labels, Vec<SequenceValue>),
    series: &MatrixSeries,
    start: Millis,
    step: Millis,
) -> Result<(), String> {
    let expected: Vec<(Timestamp, f64)> = values
        .iter()
        .enumerate()
        .filter_map(|(at, value)| float(value).map(|value| (Timestamp(start.0 + step.0 * at as i64), value)))
        .collect();
    let equal = expected.len() == series.samples.len()
        && expected.iter().zip(&series.samples).all(|(a, b)| a.0 == b.0 && almost_equal(a.1, b.1));
    if equal {
        return Ok(());
    }
    Err(format!("expected {expected:?} for {labels}, got {:?}", series.samples))
}

/// Compares warnings and infos.
///
/// # Errors
/// What differs.
pub fn compare_annotations(eval: &Eval, answer: &Answer) -> Result<(), String> {
    all_of("warning", &eval.also.warn, eval.also.no_warn, &answer.warnings)?;
    all_of("info", &eval.also.info, eval.also.no_info, &answer.infos)
}

fn all_of(kind: &str, wanted: &[Wanted], none: bool, got: &[String]) -> Result<(), String> {
    if none && !got.is_empty() {
        return Err(format!("unexpected {kind}s {got:?}"));
    }
    if wanted.is_empty() {
        return Ok(());
    }
    if let Some(wanted) = wanted.iter().find(|wanted| !got.iter().any(|text| wanted.fits(text))) {
        return Err(format!("no {kind} is {wanted:?}: {got:?}"));
    }
    match got.iter().find(|text| !wanted.iter().any(|wanted| wanted.fits(text))) {
        Some(text) => Err(format!("unexpected {kind} {text:?}")),
        None => Ok(()),
    }
}
