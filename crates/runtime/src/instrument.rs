//! Instruments: what the program measures about itself.
//!
//! ```text
//! Registry ── "prometheus_http_requests_total" ── CounterVec ── {handler="/",code="200"} ── Counter   (an atomic)
//!         ├── "prometheus_tsdb_head_series"    ── a closure, asked when gathered
//!         └── "process_…"                      ── a collector, adds whole families when gathered
//! gather() ──► Vec<Family>, sorted by name: plain values, turned into text by whoever serves them
//! ```
//!
//! One registry is made at start and passed by constructor; there are no globals. A handle ([`Counter`], …) is a
//! reference count over atomics: made once, kept by its user, one to two atomic additions a call, no lock.
//! A name may be registered again with the same type and label names: both registrants then share the instrument,
//! which is what a reload needs. Registering it differently is a programming error and panics at start.
//!
//! Limits: a vector holds at most [`SERIES_MAX`] series; further label values share one series whose labels all say
//! `other`, and `isobar_instrument_overflows_total` counts the calls. A summary keeps [`summary::WINDOW_MAX`] observations.

mod histogram;
mod number;
pub mod process;
mod summary;
mod vector;

pub use histogram::{Histogram, exponential_buckets, linear_buckets};
pub use number::{Counter, Gauge};
pub use summary::{Summary, WINDOW_MAX};
pub use vector::{CounterVec, GaugeVec, HistogramVec, SERIES_MAX, SummaryVec};

use crate::clock::Clock;
use model::{Labels, MetricType};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use vector::Vector;

/// A metric family as gathered.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The family's name, as in `# TYPE`; histograms and summaries without `_bucket`, `_sum`, `_count`.
    pub name: String,
    /// What it means, unescaped.
    pub help: String,
    /// Its type.
    pub kind: MetricType,
    /// Its series, sorted by labels.
    pub series: Vec<Series>,
}

/// One series of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Labels without the name, `le` and `quantile`.
    pub labels: Labels,
    /// What it shows.
    pub value: Value,
}

/// What one series shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A counter's or gauge's number.
    Number(f64),
    /// A classic histogram.
    Histogram {
        /// Upper bounds, ascending, and how many observations were at or below each; `+Inf` is not among them.
        buckets: Vec<(f64, u64)>,
        /// Sum of all observations.
        sum: f64,
        /// Number of all observations.
        count: u64,
    },
    /// Quantiles over a window; NaN when nothing was observed in it.
    Summary {
        /// Quantile and value.
        quantiles: Vec<(f64, f64)>,
        /// Sum of all observations ever.
        sum: f64,
        /// Number of all observations ever.
        count: u64,
    },
}

impl Family {
    /// A family of counters or gauges; series are sorted by their labels.
    pub fn numbers(name: &str, help: &str, kind: MetricType, series: impl IntoIterator<Item = (Labels, f64)>) -> Self {
        let mut series: Vec<Series> =
            series.into_iter().map(|(labels, value)| Series { labels, value: Value::Number(value) }).collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Family { name: name.to_owned(), help: help.to_owned(), kind, series }
    }
}

type Ask = Arc<dyn Fn() -> f64 + Send + Sync>;
type Collector = Box<dyn Fn(&mut Vec<Family>) + Send + Sync>;

enum Source {
    Counter(CounterVec),
    Gauge(GaugeVec),
    Histogram(HistogramVec),
    Summary(SummaryVec),
    Asked(MetricType, BTreeMap<Labels, Ask>),
}

struct Entry {
    help: String,
    source: Source,
}

#[derive(Default)]
struct Entries {
    named: BTreeMap<String, Entry>,
    collectors: Vec<Collector>,
}

struct Inner {
    clock: Clock,
    entries: Mutex<Entries>,
    overflows: Counter,
}

/// The registry; clones share it. Who writes: constructors, under one lock. Who reads: `gather`, under the same lock
/// (closures and collectors must not call the registry).
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

impl Registry {
    /// An empty registry; summaries age by `clock`.
    pub fn new(clock: Clock) -> Self {
        let overflows = Counter::default();
        let registry = Registry(Arc::new(Inner { clock, entries: Mutex::default(), overflows: overflows.clone() }));
        registry.counter_fn(
            "isobar_instrument_overflows_total",
            "Times an instrument's labels were replaced by \"other\" because its vector was full.",
            move || overflows.value(),
        );
        registry
    }

    /// A counter without labels.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        self.counter_vec(name, help, &[]).with(&[])
    }

    /// A gauge without labels.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.gauge_vec(name, help, &[]).with(&[])
    }

    /// A classic histogram without labels; `bounds` ascending, without `+Inf`.
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        self.histogram_vec(name, help, bounds, &[]).with(&[])
    }

    /// A summary without labels.
    pub fn summary(&self, name: &str, help: &str, quantiles: &[f64]) -> Summary {
        self.summary_vec(name, help, quantiles, &[]).with(&[])
    }

    /// Counters told apart by labels.
    pub fn counter_vec(&self, name: &str, help: &str, labels: &[&'static str]) -> CounterVec {
        let make = || Source::Counter(Vector::new(labels, self.0.overflows.clone(), Counter::default));
        self.add(name, help, make, |source| match source {
            Source::Counter(vector) if vector.has_labels(labels) => Some(vector.clone()),
            _ => None,
        })
    }

    /// Gauges told apart by labels.
    pub fn gauge_vec(&self, name: &str, help: &str, labels: &[&'static str]) -> GaugeVec {
        let make = || Source::Gauge(Vector::new(labels, self.0.overflows.clone(), Gauge::default));
        self.add(name, help, make, |source| match source {
            Source::Gauge(vector) if vector.has_labels(labels) => Some(vector.clone()),
            _ => None,
        })
    }

    /// Histograms told apart by labels.
    pub fn histogram_vec(&self, name: &str, help: &str, bounds: &[f64], labels: &[&'static str]) -> HistogramVec {
        let bounds: Arc<[f64]> = Arc::from(bounds);
        let new = move || Histogram::new(bounds.clone());
        let make = || Source::Histogram(Vector::new(labels, self.0.overflows.clone(), new));
        self.add(name, help, make, |source| match source {
            Source::Histogram(vector) if vector.has_labels(labels) => Some(vector.clone()),
            _ => None,
        })
    }

    /// Summaries told apart by labels.
    pub fn summary_vec(&self, name: &str, help: &str, quantiles: &[f64], labels: &[&'static str]) -> SummaryVec {
        let (quantiles, clock): (Arc<[f64]>, Clock) = (Arc::from(quantiles), self.0.clock.clone());
        let new = move || Summary::new(quantiles.clone(), clock.clone());
        let make = || Source::Summary(Vector::new(labels, self.0.overflows.clone(), new));
        self.add(name, help, make, |source| match source {
            Source::Summary(vector) if vector.has_labels(labels) => Some(vector.clone()),
            _ => None,
        })
    }

    /// A counter whose value is asked when gathered. Registered again it replaces the closure.
    pub fn counter_fn(&self, name: &str, help: &str, ask: impl Fn() -> f64 + Send + Sync + 'static) {
        self.ask(name, help, MetricType::Counter, Labels::empty(), Arc::new(ask));
    }

    /// A gauge whose value is asked when gathered. Registered again it replaces the closure.
    pub fn gauge_fn(&self, name: &str, help: &str, ask: impl Fn() -> f64 + Send + Sync + 'static) {
        self.ask(name, help, MetricType::Gauge, Labels::empty(), Arc::new(ask));
    }

    /// One series of a gauge family whose value is asked when gathered; several calls give several series.
    pub fn gauge_fn_with(&self, name: &str, help: &str, labels: Labels, ask: impl Fn() -> f64 + Send + Sync + 'static) {
        self.ask(name, help, MetricType::Gauge, labels, Arc::new(ask));
    }

    /// A gauge that is always `value`, with labels: build information.
    pub fn constant(&self, name: &str, help: &str, labels: Labels, value: f64) {
        self.ask(name, help, MetricType::Gauge, labels, Arc::new(move || value));
    }

    /// Families that are made when gathered.
    pub fn collector(&self, collect: impl Fn(&mut Vec<Family>) + Send + Sync + 'static) {
        self.0.entries.lock().collectors.push(Box::new(collect));
    }

    /// Every family now, sorted by name; families without series are left out.
    pub fn gather(&self) -> Vec<Family> {
        let entries = self.0.entries.lock();
        let mut families: Vec<Family> = entries.named.iter().map(|(name, entry)| entry.family(name)).collect();
        for collect in &entries.collectors {
            collect(&mut families);
        }
        drop(entries);
        families.retain(|family| !family.series.is_empty());
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families
    }

    fn ask(&self, name: &str, help: &str, kind: MetricType, labels: Labels, ask: Ask) {
        let mut entries = self.0.entries.lock();
        let entry = entries
            .named
            .entry(name.to_owned())
            .or_insert_with(|| Entry { help: help.to_owned(), source: Source::Asked(kind, BTreeMap::new()) });
        match &mut entry.source {
            Source::Asked(known, series) if *known == kind => series.insert(labels, ask),
            _ => panic!("instrument {name} is registered twice with different types"),
        };
    }

    fn add<T>(
        &self,
        name: &str,
        help: &str,
        make: impl FnOnce() -> Source,
        take: impl FnOnce(&Source) -> Option<T>,
    ) -> T {
        let mut entries = self.0.entries.lock();
        let entry =
            entries.named.entry(name.to_owned()).or_insert_with(|| Entry { help: help.to_owned(), source: make() });
        take(&entry.source)
            .unwrap_or_else(|| panic!("instrument {name} is registered twice with different types or labels"))
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registry")
    }
}

impl Entry {
    fn family(&self, name: &str) -> Family {
        let (kind, mut series): (MetricType, Vec<(Labels, Value)>) = match &self.source {
            Source::Counter(vector) => (MetricType::Counter, vector.values(|c| Value::Number(c.value()))),
            Source::Gauge(vector) => (MetricType::Gauge, vector.values(|g| Value::Number(g.value()))),
            Source::Histogram(vector) => (MetricType::Histogram, vector.values(Histogram::value)),
            Source::Summary(vector) => (MetricType::Summary, vector.values(Summary::value)),
            Source::Asked(kind, series) => {
                (*kind, series.iter().map(|(labels, ask)| (labels.clone(), Value::Number(ask()))).collect())
            }
        };
        series.sort_by(|a, b| a.0.cmp(&b.0));
        let series = series.into_iter().map(|(labels, value)| Series { labels, value }).collect();
        Family { name: name.to_owned(), help: self.help.clone(), kind, series }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        Registry::new(Clock::manual(model::Timestamp(0)))
    }

    fn family(registry: &Registry, name: &str) -> Family {
        registry.gather().into_iter().find(|f| f.name == name).unwrap_or_else(|| panic!("no family {name}"))
    }

    #[test]
    fn families_are_sorted_and_shared_by_name() {
        let registry = registry();
        registry.counter("b_total", "B.").add(2.5);
        registry.gauge_fn("a", "A.", || 7.0);
        registry.counter("b_total", "B.").inc();
        registry.counter_vec("unused_total", "Never.", &["x"]);
        let families = registry.gather();
        let names: Vec<_> = families.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["a", "b_total", "isobar_instrument_overflows_total"]);
        assert_eq!(families[1].series, [Series { labels: Labels::empty(), value: Value::Number(3.5) }]);
    }

    #[test]
    fn a_full_vector_counts_under_other() {
        let registry = registry();
        let vector = registry.counter_vec("paths_total", "Paths.", &["path"]);
        for n in 0..SERIES_MAX + 50 {
            vector.with(&[&format!("/{n}")]).inc();
        }
        let family = family(&registry, "paths_total");
        assert_eq!(family.series.len(), SERIES_MAX + 1);
        let other = family.series.iter().find(|s| s.labels.value("path") == "other").expect("overflow series");
        assert_eq!(other.value, Value::Number(50.0));
        let overflows = self::family(&registry, "isobar_instrument_overflows_total");
        assert_eq!(overflows.series[0].value, Value::Number(50.0));
    }

    #[test]
    fn constants_of_one_family_keep_their_labels() {
        let registry = registry();
        registry.constant("info", "I.", Labels::from_pairs([("part", "b")]), 1.0);
        registry.constant("info", "I.", Labels::from_pairs([("part", "a")]), 1.0);
        let parts: Vec<_> =
            family(&registry, "info").series.iter().map(|s| s.labels.value("part").to_owned()).collect();
        assert_eq!(parts, ["a", "b"]);
    }
}
