//! Classic histograms: quantiles and fractions of `le` buckets.
//!
//! Buckets of a histogram are the series that differ in `le` alone; the groups are made once per series set. At each step
//! the buckets present are sorted, equal bounds added up, counts made monotonic where they are not (noted), and the
//! value interpolated linearly.

use super::column::{Column, Grid, Scalar, Series, span};
use super::{Evaluation, Evaluator};
use crate::annotation::{Annotation, ForcedMonotonicity};
use crate::plan::CallNode;
use crate::syntax::Span;
use model::{Labels, is_stale};
use std::cmp::Ordering;

/// Relative difference of neighbouring counts that is taken for rounding.
const SMALL_DELTA: f64 = 1e-12;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    upper: f64,
    count: f64,
}

/// A histogram's bucket series.
struct Group {
    /// Without `le`.
    labels: Labels,
    drop_name: bool,
    /// Upper bound, and which series.
    members: Vec<(f64, usize)>,
}

impl Evaluator<'_> {
    pub(crate) fn histogram_function(&mut self, call: &CallNode, grid: Grid) -> Evaluation<(Vec<Series>, usize)> {
        let vector_at = match call.name {
            "histogram_quantiles" => 0,
            "histogram_fraction" => 2,
            _ => 1,
        };
        let mut params = Vec::new();
        for (at, arg) in call.args.iter().enumerate() {
            let is_label = call.name == "histogram_quantiles" && at == 1;
            if at != vector_at && !is_label {
                params.push((self.scalar(arg, grid)?, call.arg_spans[at]));
            }
        }
        let series = self.vector(&call.args[vector_at], grid)?;
        let span = call.arg_spans[vector_at];
        let groups = self.bucket_groups(&series, span);
        let work = Work { series: &series, groups: &groups, grid, span };
        let gathered = super::call::present_at_end(&series) + params.len();
        let result = match call.name {
            "histogram_fraction" => {
                let (lower, upper) = (&params[0].0, &params[1].0);
                self.of_groups(&work, |step, buckets, _| fraction(lower.at(step), upper.at(step), buckets))
            }
            "histogram_quantile" => self.quantiles(&work, &params[0].0, params[0].1, None),
            _ => {
                let label = self.text(&call.args[1])?;
                let mut result = Vec::new();
                for (quantile, quantile_span) in &params {
                    result.extend(self.quantiles(&work, quantile, *quantile_span, Some(&label)));
                }
                result
            }
        };
        Ok((result, gathered))
    }

    fn bucket_groups(&mut self, series: &[Series], span: Span) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut known: hashbrown::HashMap<Labels, usize, foldhash::fast::RandomState> = hashbrown::HashMap::default();
        for (at, series) in series.iter().enumerate() {
            let le = series.labels.value("le");
            let Some(upper) = crate::syntax::parse_float(le) else {
                if !series.column.is_empty() {
                    let name = if self.delayed_names() { series.labels.metric_name() } else { "" };
                    self.annotations.add(Annotation::BadBucketLabel(name.to_owned(), le.to_owned()), span);
                }
                continue;
            };
            let labels = series.labels.without("le");
            let group = *known.entry(labels.clone()).or_insert_with(|| {
                groups.push(Group { labels, drop_name: series.drop_name, members: Vec::new() });
                groups.len() - 1
            });
            groups[group].members.push((upper, at));
        }
        for group in &mut groups {
            group.members.sort_by(|a, b| super::quantile::nan_first(&a.0, &b.0));
        }
        groups
    }

    /// One result series per histogram.
    fn of_groups(
        &mut self,
        work: &Work<'_>,
        mut value: impl FnMut(usize, &mut Vec<Bucket>, &mut Option<Forced>) -> f64,
    ) -> Vec<Series> {
        let mut result = Vec::new();
        let mut buckets = Vec::new();
        for group in work.groups {
            let mut column = Column::default();
            let mut forced: Option<Forced> = None;
            for step in span(group.members.iter().map(|(_, at)| &work.series[*at].column)) {
                buckets.clear();
                for (upper, at) in &group.members {
                    let count = work.series[*at].column.get(step);
                    if !is_stale(count) {
                        buckets.push(Bucket { upper: *upper, count });
                    }
                }
                if !buckets.is_empty() {
                    column.push(step, value(step, &mut buckets, &mut forced));
                }
            }
            if let Some(forced) = forced {
                let name = if self.delayed_names() { group.labels.metric_name() } else { "" };
                self.annotations.add(Annotation::ForcedMonotonicity(forced.named(name)), work.span);
            }
            if !column.is_empty() {
                let mut series = Series { labels: group.labels.clone(), drop_name: group.drop_name, column };
                self.drop_name(&mut series);
                result.push(series);
            }
        }
        result
    }

    fn quantiles(&mut self, work: &Work<'_>, quantile: &Scalar, at: Span, label: Option<&str>) -> Vec<Series> {
        for step in 0..work.grid.len {
            let q = quantile.at(step);
            if !(0.0..=1.0).contains(&q) {
                self.annotations.add(Annotation::InvalidQuantile(q), at);
            }
            if matches!(quantile, Scalar::Constant(_)) {
                break;
            }
        }
        let grid = work.grid;
        let mut result = self.of_groups(work, |step, buckets, forced| {
            bucket_quantile(quantile.at(step), buckets, grid.at(step), forced)
        });
        let Some(label) = label else { return result };
        // the label's value changes with the quantile: one series per value
        let mut labelled = Vec::new();
        for series in result.drain(..) {
            let mut columns: Vec<(String, Column)> = Vec::new();
            for (step, value) in series.column.iter() {
                let text = open_metrics_float(quantile.at(step));
                let at = columns.iter().position(|(known, _)| *known == text).unwrap_or_else(|| {
                    columns.push((text, Column::default()));
                    columns.len() - 1
                });
                columns[at].1.push(step, value);
            }
            for (text, column) in columns {
                let mut labels = series.labels.to_builder();
                labels.set(label, &text);
                labelled.push(Series { labels: labels.build(), drop_name: series.drop_name, column });
            }
        }
        labelled
    }
}

struct Work<'a> {
    series: &'a [Series],
    groups: &'a [Group],
    grid: Grid,
    span: Span,
}

/// What had to be mended, over all steps.
struct Forced(ForcedMonotonicity);

impl Forced {
    fn note(into: &mut Option<Forced>, at: i64, buckets: (f64, f64), difference: f64) {
        let forced = into.get_or_insert_with(|| {
            Forced(ForcedMonotonicity { name: String::new(), times: (at, at), buckets, difference, count: 0 })
        });
        let kept = &mut forced.0;
        kept.times = (kept.times.0.min(at), kept.times.1.max(at));
        kept.buckets = (kept.buckets.0.min(buckets.0), kept.buckets.1.max(buckets.1));
        kept.difference = kept.difference.max(difference);
        kept.count += 1;
    }

    fn named(self, name: &str) -> ForcedMonotonicity {
        ForcedMonotonicity { name: name.to_owned(), ..self.0 }
    }
}

/// Adds up buckets of equal bounds; they come sorted.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|bucket, kept| {
        let same = bucket.upper == kept.upper;
        if same {
            kept.count += bucket.count;
        }
        same
    });
}

fn ends_at_infinity(buckets: &[Bucket]) -> bool {
    buckets.last().is_some_and(|bucket| bucket.upper == f64::INFINITY)
}

fn bucket_quantile(q: f64, buckets: &mut Vec<Bucket>, at: i64, forced: &mut Option<Forced>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if !ends_at_infinity(buckets) {
        return f64::NAN;
    }
    coalesce(buckets);
    make_monotonic(buckets, at, forced);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * observations;
    // a rank that is NaN lies behind every bucket
    let found = buckets[..last].partition_point(|bucket| bucket.count.partial_cmp(&rank).is_none_or(Ordering::is_lt));
    if found == last {
        return buckets[last - 1].upper;
    }
    if found == 0 && buckets[0].upper <= 0.0 {
        return buckets[0].upper;
    }
    let (mut start, mut count) = (0.0, buckets[found].count);
    if found > 0 {
        start = buckets[found - 1].upper;
        count -= buckets[found - 1].count;
        rank -= buckets[found - 1].count;
    }
    start + (buckets[found].upper - start) * (rank / count)
}

/// Cumulative counts never fall: what falls is raised, and noted unless it is mere rounding.
fn make_monotonic(buckets: &mut [Bucket], at: i64, forced: &mut Option<Forced>) {
    let mut mended: Option<((f64, f64), f64)> = None;
    let mut previous = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == previous {
            continue;
        }
        if super::math::almost_equal(previous, count, SMALL_DELTA) {
            bucket.count = previous;
        } else if count < previous {
            bucket.count = previous;
            let (range, difference) = mended.get_or_insert(((f64::INFINITY, f64::NEG_INFINITY), 0.0));
            *range = (range.0.min(bucket.upper), range.1.max(bucket.upper));
            *difference = difference.max(previous - count);
        } else {
            previous = count;
        }
    }
    if let Some((range, difference)) = mended {
        Forced::note(forced, at, range, difference);
    }
}

/// Which part of the observations lies between two values.
fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !ends_at_infinity(buckets) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets, count) - rank_of(lower, buckets, count)) / count
}

/// How many observations lie below a value.
fn rank_of(value: f64, buckets: &[Bucket], count: f64) -> f64 {
    let mut low = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut rank = 0.0;
    for bucket in buckets {
        if low >= value {
            return if rank > count { count } else { rank };
        }
        if low < value && bucket.upper > value {
            let inside = if low == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + (bucket.count - rank) * (value - low) / (bucket.upper - low)
            };
            return if inside > count { count } else { inside };
        }
        rank = bucket.count;
        low = bucket.upper;
    }
    count
}

/// A float as OpenMetrics writes it in labels: whole numbers keep a fraction.
fn open_metrics_float(value: f64) -> String {
    let text = model::go_text::format_float_general(value);
    if text.contains(['e', '.', 'N', 'I']) { text } else { format!("{text}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(list: &[(f64, f64)]) -> Vec<Bucket> {
        list.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn quantiles_lie_inside_their_bucket() {
        let list = [(1.0, 2.0), (2.0, 4.0), (f64::INFINITY, 4.0)];
        for (q, expected) in [(0.5, 1.0), (0.25, 0.5), (0.75, 1.5), (1.0, 2.0), (-1.0, f64::NEG_INFINITY)] {
            assert_eq!(bucket_quantile(q, &mut buckets(&list), 0, &mut None), expected, "{q}");
        }
        assert!(bucket_quantile(0.5, &mut buckets(&list[..2]), 0, &mut None).is_nan());
    }

    #[test]
    fn falling_counts_are_raised_and_noted() {
        let mut forced = None;
        let list = [(1.0, 4.0), (2.0, 3.0), (3.0, 5.0), (f64::INFINITY, 5.0)];
        bucket_quantile(0.9, &mut buckets(&list), 7, &mut forced);
        let noted = forced.expect("noted").named("x");
        assert_eq!((noted.buckets, noted.difference, noted.times, noted.count), ((2.0, 2.0), 1.0, (7, 7), 1));
    }

    #[test]
    fn fractions_begin_at_zero_where_bounds_do() {
        let list = [(1.0, 2.0), (2.0, 4.0), (f64::INFINITY, 4.0)];
        for (lower, upper, expected) in
            [(0.0, 1.0, 0.5), (-1.0, 1.0, 0.5), (0.0, 0.5, 0.25), (0.5, 1.5, 0.5), (0.0, 3.0, 1.0), (2.0, 1.0, 0.0)]
        {
            assert_eq!(fraction(lower, upper, &mut buckets(&list)), expected, "{lower} {upper}");
        }
        let below = [(-1.0, 1.0), (0.0, 2.0), (f64::INFINITY, 4.0)];
        assert_eq!(fraction(-2.0, -0.5, &mut buckets(&below)), 0.125);
    }
}
