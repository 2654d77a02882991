//! Rates, differences, resets and changes of counters and gauges. Exact: the same bits as Prometheus.

use super::Evaluation;
use super::extended;
use super::window::{Window, first_sample};
use crate::annotation::{Annotation, Annotations};
use crate::syntax::ast::Edges;

/// `rate`, `increase`, `delta`: last minus first, resets added, stretched to the edges of the range.
///
/// An edge closer than 1.1 times the average distance of samples is taken to be reached; a farther one by half that
/// distance. A counter is not stretched to where it would be below zero.
pub(crate) fn extrapolated(
    w: &Window<'_>,
    is_counter: bool,
    is_rate: bool,
    notes: &mut Annotations,
) -> Evaluation<Option<f64>> {
    if w.edges != Edges::Plain {
        return Ok(extended::rate(w, is_counter, is_rate));
    }
    let gaps = w.values.len() - 1;
    let mut result = w.values[gaps] - w.values[0];
    if is_counter {
        result = with_resets(w, result, notes);
    }
    let (first, last) = (w.times[0], w.times[gaps]);
    let mut to_start = (first - w.start) as f64 / 1000.0;
    let mut to_end = (w.end - last) as f64 / 1000.0;
    let mut sampled = (last - first) as f64 / 1000.0;
    let average = if gaps > 0 { sampled / gaps as f64 } else { 0.0 };
    let threshold = average * 1.1;
    match w.starts.first() {
        Some(began) if is_counter && *began != 0 && *began > w.start && *began < first => {
            // the counter is known to have begun at zero inside the range
            to_start = 0.0;
            sampled = (last - began) as f64 / 1000.0;
            result += w.values[0];
        }
        _ if gaps == 0 => return Ok(None),
        _ => {
            if to_start >= threshold {
                to_start = average / 2.0;
            }
            if is_counter && result > 0.0 && w.values[0] >= 0.0 {
                let to_zero = sampled * (w.values[0] / result);
                if to_zero < to_start {
                    to_start = to_zero;
                }
            }
        }
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = 1.0;
    if sampled != 0.0 {
        factor = (sampled + to_start + to_end) / sampled;
    }
    if is_rate {
        factor /= w.range_s();
    }
    Ok(Some(result * factor))
}

fn with_resets(w: &Window<'_>, mut result: f64, notes: &mut Annotations) -> f64 {
    let mut overlap = false;
    for at in 1..w.values.len() {
        overlap |= w.starts.len() > at && overlaps(w, at);
        if w.values[at] < w.values[at - 1] || began_anew(w, at) {
            result += w.values[at - 1];
        }
    }
    if overlap {
        notes.add(Annotation::StartTimeOverlap(w.labels.metric_name().to_owned(), 1), w.span);
    }
    result
}

/// The sample's counter began before the sample in front of it was taken, and is another one.
fn overlaps(w: &Window<'_>, at: usize) -> bool {
    let (began, began_before) = (w.starts[at], w.starts[at - 1]);
    began != 0 && began < w.times[at - 1] && began != began_before
}

/// The sample's counter began after the sample in front of it was taken.
fn began_anew(w: &Window<'_>, at: usize) -> bool {
    let (Some(began), Some(began_before)) = (w.starts.get(at), w.starts.get(at - 1)) else { return false };
    let (before, now) = (w.times[at - 1], w.times[at]);
    if *began == 0 || *began >= now || *began < before {
        return false;
    }
    if *began > before {
        return true;
    }
    // it begins exactly where the one before was taken: a reset, unless that one had no usable start itself
    *began_before <= before && *began_before != 0 && *began_before != before
}

/// `irate`, `idelta`: of the last two samples.
pub(crate) fn instant(w: &Window<'_>, is_rate: bool) -> Option<f64> {
    let last = w.values.len().checked_sub(1)?;
    let before = last.checked_sub(1)?;
    let interval = w.times[last] - w.times[before];
    if interval == 0 {
        return None;
    }
    let reset = is_rate && (w.values[last] < w.values[before] || began_anew(w, last));
    let value = if reset { w.values[last] } else { w.values[last] - w.values[before] };
    Some(if is_rate { value / (interval as f64 / 1000.0) } else { value })
}

/// How often a counter went back.
pub(crate) fn resets(w: &Window<'_>) -> Option<f64> {
    let first = first_sample(w)?;
    let resets = (first + 1..w.values.len()).filter(|at| w.values[*at] < w.values[at - 1] || began_anew(w, *at));
    Some(resets.count() as f64)
}

/// How often a value changed; NaN stays NaN.
pub(crate) fn changes(w: &Window<'_>) -> Option<f64> {
    let first = first_sample(w)?;
    let pairs = w.values[first..].windows(2);
    Some(pairs.filter(|pair| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan())).count() as f64)
}
