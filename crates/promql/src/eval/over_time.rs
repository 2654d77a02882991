//! What one value says about many samples: sums, means, extremes, quantiles.

use super::kahan::{Mean, Sum};
use super::quantile::quantile_of;
use super::window::Window;
use crate::annotation::{Annotation, Annotations};

pub(crate) fn sum(w: &Window<'_>) -> Option<f64> {
    let sum = w.values.iter().fold(Sum::default(), |sum, value| sum.plus(*value));
    Some(if sum.value.is_infinite() { sum.value } else { sum.total() })
}

pub(crate) fn avg(w: &Window<'_>) -> Option<f64> {
    let (first, rest) = w.values.split_first()?;
    let mut mean = Mean::of(*first);
    rest.iter().for_each(|value| mean.add(*value));
    Some(mean.total())
}

pub(crate) fn min(w: &Window<'_>) -> Option<f64> {
    w.values.iter().copied().reduce(|best, value| if value < best || best.is_nan() { value } else { best })
}

pub(crate) fn max(w: &Window<'_>) -> Option<f64> {
    w.values.iter().copied().reduce(|best, value| if value > best || best.is_nan() { value } else { best })
}

/// When the extreme value was, in seconds; of equals the last.
pub(crate) fn time_of(w: &Window<'_>, better: fn(f64, f64) -> bool) -> Option<f64> {
    let (mut best, mut time) = (*w.values.first()?, w.times[0]);
    for (value, at) in w.values.iter().zip(w.times) {
        if better(*value, best) || best.is_nan() {
            (best, time) = (*value, *at);
        }
    }
    Some(time as f64 / 1000.0)
}

/// Median of the distances from the median.
pub(crate) fn mad(w: &Window<'_>) -> Option<f64> {
    if w.values.iter().any(|value| value.is_nan()) {
        return Some(f64::NAN);
    }
    let mut values = w.values.to_vec();
    let median = quantile_of(0.5, &mut values);
    values.iter_mut().for_each(|value| *value = (*value - median).abs());
    Some(quantile_of(0.5, &mut values))
}

pub(crate) fn quantile(w: &Window<'_>, notes: &mut Annotations) -> Option<f64> {
    let q = w.params[0];
    if !(0.0..=1.0).contains(&q) {
        notes.add(Annotation::InvalidQuantile(q), w.span);
    }
    Some(quantile_of(q, &mut w.values.to_vec()))
}

/// Population variance by Welford's method, compensated.
pub(crate) fn variance(w: &Window<'_>) -> f64 {
    let (mut count, mut mean, mut aux) = (0.0, Sum::default(), Sum::default());
    for value in w.values {
        count += 1.0;
        let delta = value - mean.total();
        mean = mean.plus(delta / count);
        aux = aux.plus(delta * (value - mean.total()));
    }
    aux.total() / count
}
