//! `anchored` and `smoothed`: range selectors that look beyond their edges.
//!
//! `anchored` takes the last sample at or before the range's start as the value there; `smoothed` interpolates the values
//! at both edges between the samples on either side.

use super::select::Samples;
use super::window::Window;
use crate::plan;
use crate::syntax::ast::Edges;

/// The last sample at or before the start, or the first one if there is none; `None` when no sample is behind the start.
pub(crate) fn anchor(times: &[i64], start: i64) -> Option<usize> {
    let behind = times.partition_point(|t| *t <= start);
    (behind < times.len()).then(|| behind.saturating_sub(1))
}

fn interpolated(times: &[i64], values: &[f64], left: usize, at: i64, is_counter: bool) -> f64 {
    let (mut from, to) = (values[left], values[left + 1]);
    if is_counter && to < from {
        // a reset in between: the counter began at zero again
        from = 0.0;
    }
    from + (to - from) * (at - times[left]) as f64 / (times[left + 1] - times[left]) as f64
}

/// The samples that span a range: indices of the first and the last, and the values at both edges.
fn spanned(
    times: &[i64],
    values: &[f64],
    (start, end): (i64, i64),
    smoothed: bool,
    is_counter: bool,
) -> Option<(usize, usize, f64, f64)> {
    let mut last = times.len().checked_sub(1)?;
    let first = times[..last].partition_point(|t| *t <= start).saturating_sub(1);
    if smoothed {
        last = times[..last].partition_point(|t| *t < end);
    }
    if times[last] <= start || (smoothed && times[first] > end) {
        return None;
    }
    let left = if smoothed && times[first] < start {
        interpolated(times, values, first, start, is_counter)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > end {
        interpolated(times, values, last - 1, end, is_counter)
    } else {
        values[last]
    };
    Some((first, last, left, right))
}

/// `rate`, `increase`, `delta` over an extended range: nothing is extrapolated.
pub(crate) fn rate(w: &Window<'_>, is_counter: bool, is_rate: bool) -> Option<f64> {
    let smoothed = w.edges == Edges::Smoothed;
    let (first, last, left, right) = spanned(w.times, w.values, (w.start, w.end), smoothed, is_counter)?;
    let mut result = right - left;
    if is_counter {
        let from = first + usize::from(w.times[first] <= w.start);
        let to = (last + 1).saturating_sub(usize::from(w.times[last] >= w.end));
        let mut previous = left;
        for value in w.values.get(from..to).unwrap_or(&[]) {
            if *value < previous {
                result += previous;
            }
            previous = *value;
        }
        if right < previous {
            result += previous;
        }
    }
    Some(if is_rate { result / w.range_s() } else { result })
}

/// The samples an extended range selector shows by itself: values at both edges and what lies between. `None`: plain.
pub(crate) fn extend(window: &plan::Window, samples: &Samples, at: i64) -> Option<Samples> {
    let smoothed = match window.selector.edges {
        Edges::Plain => return None,
        Edges::Anchored => false,
        Edges::Smoothed => true,
    };
    let end = window.selector.reference(at);
    let start = end.saturating_sub(window.range_ms);
    let mut extended = Samples::default();
    let Some((first, last, left, right)) = spanned(&samples.times, &samples.values, (start, end), smoothed, false)
    else {
        return Some(extended);
    };
    extended.times.push(start);
    extended.values.push(left);
    for at in first..=last {
        let time = samples.times[at];
        if time > start && time < end {
            extended.times.push(time);
            extended.values.push(samples.values[at]);
        }
    }
    extended.times.push(end);
    extended.values.push(right);
    Some(extended)
}

/// `x smoothed` at an instant: on the line between the samples around it, or the last one where none follows.
pub(crate) fn smoothed_at(samples: &Samples, at: i64, lookback: i64) -> Option<f64> {
    let from = samples.times.partition_point(|t| *t <= at.saturating_sub(lookback));
    let to = samples.times.partition_point(|t| *t <= at.saturating_add(lookback));
    let (times, values) = (&samples.times[from..to], &samples.values[from..to]);
    let next = times.partition_point(|t| *t < at);
    match (next.checked_sub(1), times.get(next)) {
        (_, Some(time)) if *time == at => Some(values[next]),
        (Some(before), Some(_)) => Some(interpolated(times, values, before, at, false)),
        (Some(before), None) => Some(values[before]),
        (None, _) => None,
    }
}
