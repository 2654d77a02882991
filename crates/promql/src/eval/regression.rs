//! Lines through samples, and smoothing.

use super::Evaluation;
use super::kahan::Sum;
use super::window::Window;
use crate::engine::QueryError;
use model::go_text::format_float;

/// Least squares: slope per second, and the value at `origin`. Exactly constant values give exactly no slope.
fn linear_regression(times: &[i64], values: &[f64], origin: i64) -> (f64, f64) {
    let first = values[0];
    if values.iter().all(|value| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (mut n, mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (0.0, Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for (time, y) in times.iter().zip(values) {
        n += 1.0;
        let x = (time - origin) as f64 / 1e3;
        x_sum = x_sum.plus(x);
        y_sum = y_sum.plus(*y);
        xy_sum = xy_sum.plus(x * y);
        xx_sum = xx_sum.plus(x * x);
    }
    let (x_sum, y_sum, xy_sum, xx_sum) = (x_sum.total(), y_sum.total(), xy_sum.total(), xx_sum.total());
    let covariance = xy_sum - x_sum * y_sum / n;
    let variance = xx_sum - x_sum * x_sum / n;
    let slope = covariance / variance;
    (slope, y_sum / n - slope * x_sum / n)
}

pub(crate) fn deriv(w: &Window<'_>) -> Option<f64> {
    (w.values.len() >= 2).then(|| linear_regression(w.times, w.values, w.times[0]).0)
}

pub(crate) fn predict_linear(w: &Window<'_>) -> Option<f64> {
    if w.values.len() < 2 {
        return None;
    }
    let (slope, intercept) = linear_regression(w.times, w.values, w.at);
    Some(slope * w.params[0] + intercept)
}

/// Holt and Winters without seasons.
pub(crate) fn double_exponential_smoothing(w: &Window<'_>) -> Evaluation<Option<f64>> {
    let [smoothing, trend] = w.params;
    for (what, short, factor) in [("smoothing", "sf", smoothing), ("trend", "tf", trend)] {
        if factor <= 0.0 || factor >= 1.0 {
            let shown = if factor.is_infinite() { format_float(factor) } else { format!("{factor:.6}") };
            let text = format!("invalid {what} factor. Expected: 0 < {short} < 1, got: {shown}");
            return Err(QueryError::execution(text));
        }
    }
    if w.values.len() < 2 {
        return Ok(None);
    }
    let (mut before, mut level, mut slope) = (0.0, w.values[0], w.values[1] - w.values[0]);
    for (at, value) in w.values.iter().enumerate().skip(1) {
        let scaled = smoothing * value;
        if at > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let carried = (1.0 - smoothing) * (level + slope);
        (before, level) = (level, scaled + carried);
    }
    Ok(Some(level))
}
