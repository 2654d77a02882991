//! Vectors: instruments of one family told apart by label values, of bounded number.

use super::{Counter, Gauge, Histogram, Summary, Value};
use model::{Labels, LabelsBuilder};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// How many series a vector holds before further label values share one.
pub const SERIES_MAX: usize = 1000;

/// Counters told apart by labels.
pub type CounterVec = Vector<Counter>;
/// Gauges told apart by labels.
pub type GaugeVec = Vector<Gauge>;
/// Histograms told apart by labels.
pub type HistogramVec = Vector<Histogram>;
/// Summaries told apart by labels.
pub type SummaryVec = Vector<Summary>;

/// Instruments of one family; clones share it. [`Vector::with`] takes a read lock and a hash: keep what it gives
/// where it is called often.
pub struct Vector<T>(Arc<Inner<T>>);

struct Inner<T> {
    names: Vec<&'static str>,
    series: RwLock<HashMap<Vec<String>, T>>,
    overflow: Counter,
    make: Box<dyn Fn() -> T + Send + Sync>,
}

impl<T: Clone> Vector<T> {
    pub(super) fn new(names: &[&'static str], overflow: Counter, make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Vector(Arc::new(Inner { names: names.to_vec(), series: RwLock::default(), overflow, make: Box::new(make) }))
    }

    pub(super) fn has_labels(&self, names: &[&'static str]) -> bool {
        self.0.names == names
    }

    /// The instrument with these label values, made if it is new. Values are in the order of the label names; missing
    /// ones are empty.
    pub fn with(&self, values: &[&str]) -> T {
        debug_assert_eq!(values.len(), self.0.names.len(), "label values for {:?}", self.0.names);
        let mut key: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        key.resize(self.0.names.len(), String::new());
        if let Some(found) = self.0.series.read().get(&key) {
            return found.clone();
        }
        let mut series = self.0.series.write();
        if series.len() >= SERIES_MAX && !series.contains_key(&key) {
            self.0.overflow.inc();
            key.fill("other".to_owned());
        }
        series.entry(key).or_insert_with(|| (self.0.make)()).clone()
    }

    /// Forgets the instrument with these label values; true when it was there. Handles kept elsewhere count on unseen.
    pub fn remove(&self, values: &[&str]) -> bool {
        let key: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        self.0.series.write().remove(&key).is_some()
    }

    pub(super) fn values(&self, value: impl Fn(&T) -> Value) -> Vec<(Labels, Value)> {
        let series = self.0.series.read();
        series.iter().map(|(key, instrument)| (self.labels(key), value(instrument))).collect()
    }

    fn labels(&self, values: &[String]) -> Labels {
        let mut builder = LabelsBuilder::new();
        for (name, value) in self.0.names.iter().zip(values) {
            builder.set(name, value);
        }
        builder.build()
    }
}

impl<T> Clone for Vector<T> {
    fn clone(&self) -> Self {
        Vector(self.0.clone())
    }
}

impl<T> std::fmt::Debug for Vector<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vector").field("names", &self.0.names).finish_non_exhaustive()
    }
}
