//! Annotations: what a query's answer is accompanied by. Warnings may mean a wrong query, infos an odd one.
//!
//! Equal texts are one annotation, wherever they came from; the place shown is that of the latest. Texts are Prometheus' own.
//! Limit: [`ANNOTATIONS_MAX`] different ones; what is more is counted.

use crate::syntax::Span;
use model::go_text::{format_float_general, quote};
use std::collections::BTreeMap;

/// Most different annotations kept for one query.
pub const ANNOTATIONS_MAX: usize = 10_000;

/// What an annotation is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Annotation {
    /// A quantile outside 0 … 1.
    InvalidQuantile(f64),
    /// A ratio outside -1 … 1: the ratio, what it is cut to.
    InvalidRatio(f64, f64),
    /// A bucket without a usable `le`: the metric's name (or empty), the label's value.
    BadBucketLabel(String, String),
    /// `sort` where order is by labels anyway.
    SortInRangeQuery,
    /// A rate of something not named like a counter.
    PossibleNonCounter(String),
    /// A rate of something whose `__type__` is no counter: name, type.
    PossibleNonCounterLabel(String, String),
    /// Buckets that had to be made monotonic.
    ForcedMonotonicity(ForcedMonotonicity),
    /// An operator that floats do not have: the operator.
    IncompatibleTypes(&'static str),
    /// A start time inside the sample before: the metric's name, how often.
    StartTimeOverlap(String, u64),
    /// A warning of the store.
    Store(String),
}

/// Where and by how much buckets were not monotonic.
#[derive(Clone, Debug, PartialEq)]
pub struct ForcedMonotonicity {
    /// The metric's name, or empty.
    pub name: String,
    /// First and last time, in milliseconds.
    pub times: (i64, i64),
    /// Lowest and highest bucket.
    pub buckets: (f64, f64),
    /// Largest difference.
    pub difference: f64,
    /// In how many samples.
    pub count: u64,
}

impl Annotation {
    fn is_info(&self) -> bool {
        matches!(
            self,
            Annotation::PossibleNonCounter(_)
                | Annotation::PossibleNonCounterLabel(..)
                | Annotation::ForcedMonotonicity(_)
                | Annotation::IncompatibleTypes(_)
        )
    }

    /// The text without place and counts: what tells annotations apart.
    fn key(&self) -> String {
        let named = |text: String, name: &str| {
            if name.is_empty() { text } else { format!("{text} for metric name {}", quote(name)) }
        };
        let number = |value: f64| format_float_general(value);
        match self {
            Annotation::InvalidQuantile(q) => {
                format!("PromQL warning: quantile value should be between 0 and 1, got {}", number(*q))
            }
            Annotation::InvalidRatio(ratio, to) => format!(
                "PromQL warning: ratio value should be between -1 and 1, got {}, capping to {}",
                number(*ratio),
                number(*to)
            ),
            Annotation::BadBucketLabel(name, value) => named(
                format!(
                    "PromQL warning: bucket label \"le\" is missing or has a malformed value of {}",
                    quote(value)
                ),
                name,
            ),
            Annotation::SortInRangeQuery => {
                "PromQL warning: sort is ineffective for range queries since results are always ordered by labels"
                    .to_owned()
            }
            Annotation::PossibleNonCounter(name) => format!(
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
                quote(name)
            ),
            Annotation::PossibleNonCounterLabel(name, label) => format!(
                "PromQL info: metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
                quote(label),
                quote(name)
            ),
            Annotation::ForcedMonotonicity(forced) => named(
                "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
                    .to_owned(),
                &forced.name,
            ),
            Annotation::IncompatibleTypes(op) => format!(
                "PromQL info: incompatible sample types encountered for binary operator {}: float {op} float",
                quote(op)
            ),
            Annotation::StartTimeOverlap(name, _) => format!(
                "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric {}",
                quote(name)
            ),
            Annotation::Store(text) => text.clone(),
        }
    }

    /// Takes in an earlier annotation of the same key.
    fn absorb(&mut self, earlier: Annotation) {
        match (self, earlier) {
            (Annotation::ForcedMonotonicity(mine), Annotation::ForcedMonotonicity(other)) => {
                mine.times = (mine.times.0.min(other.times.0), mine.times.1.max(other.times.1));
                mine.buckets = (mine.buckets.0.min(other.buckets.0), mine.buckets.1.max(other.buckets.1));
                mine.difference = mine.difference.max(other.difference);
                mine.count += other.count;
            }
            (Annotation::StartTimeOverlap(_, mine), Annotation::StartTimeOverlap(_, other)) => *mine += other,
            _ => {}
        }
    }

    fn show(&self, span: Option<Span>, query: &str) -> String {
        let key = self.key();
        let Some(span) = span else { return key };
        let place = span.line_column(query);
        match self {
            Annotation::ForcedMonotonicity(forced) => {
                let rfc3339 = |ms: i64| crate::eval::date::rfc3339(ms.div_euclid(1000));
                format!(
                    "{key}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {} ({place})",
                    format_float_general(forced.buckets.0),
                    format_float_general(forced.buckets.1),
                    two_digits(forced.difference),
                    forced.count,
                    rfc3339(forced.times.0),
                    rfc3339(forced.times.1),
                )
            }
            Annotation::StartTimeOverlap(_, count) if *count > 1 => format!("{key} ({count} occurrences) ({place})"),
            _ => format!("{key} ({place})"),
        }
    }
}

/// Go's `%.2g`.
fn two_digits(value: f64) -> String {
    let shown = format!("{value:.1e}");
    let Some((mantissa, exponent)) = shown.split_once('e') else { return shown };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..2).contains(&exponent) {
        let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let decimals = usize::try_from(1 - exponent).unwrap_or(0);
    let plain = format!("{value:.decimals$}");
    if plain.contains('.') { plain.trim_end_matches('0').trim_end_matches('.').to_owned() } else { plain }
}

/// All annotations of a query.
#[derive(Clone, Debug, Default)]
pub struct Annotations {
    kept: BTreeMap<String, (Annotation, Option<Span>)>,
    left_out: u64,
}

impl Annotations {
    /// Adds one about the place `span`.
    pub fn add(&mut self, annotation: Annotation, span: Span) {
        self.insert(annotation, Some(span));
    }

    /// Adds a warning of a store.
    pub fn add_store_warning(&mut self, text: &str) {
        self.insert(Annotation::Store(text.to_owned()), None);
    }

    fn insert(&mut self, mut annotation: Annotation, span: Option<Span>) {
        let key = annotation.key();
        if let Some((earlier, _)) = self.kept.remove(&key) {
            annotation.absorb(earlier);
        } else if self.kept.len() >= ANNOTATIONS_MAX {
            self.left_out += 1;
            return;
        }
        self.kept.insert(key, (annotation, span));
    }

    /// The texts of warnings and infos, with places in `query`.
    pub fn texts(&self, query: &str) -> (Vec<String>, Vec<String>) {
        let (infos, warnings): (Vec<_>, Vec<_>) = self.kept.values().partition(|(a, _)| a.is_info());
        let show = |list: Vec<&(Annotation, Option<Span>)>| list.iter().map(|(a, span)| a.show(*span, query)).collect();
        let mut warnings: Vec<String> = show(warnings);
        if self.left_out > 0 {
            warnings.push(format!("{} more annotations omitted", self.left_out));
        }
        (warnings, show(infos))
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_the_latest_place_stands() {
        let mut annotations = Annotations::default();
        annotations.add(Annotation::PossibleNonCounter("a".to_owned()), Span::new(5, 6));
        annotations.add(Annotation::PossibleNonCounter("a".to_owned()), Span::new(9, 10));
        annotations.add(Annotation::InvalidQuantile(1.5), Span::new(0, 1));
        annotations.add_store_warning("block damaged");
        let (warnings, infos) = annotations.texts("0123456789");
        assert_eq!(
            warnings,
            ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:1)", "block damaged"]
        );
        assert_eq!(infos.len(), 1);
        assert!(infos[0].ends_with("\"a\" (1:10)"), "{infos:?}");
    }

    #[test]
    fn two_digits_are_shown_as_go_does() {
        for (value, text) in
            [(20.0, "20"), (1.0, "1"), (0.25, "0.25"), (123.0, "1.2e+02"), (0.00001, "1e-05"), (3.64, "3.6")]
        {
            assert_eq!(two_digits(value), text);
        }
    }
}
