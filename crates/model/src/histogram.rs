//! A native histogram, as the waist carries it: absolute bucket counts as floats, layout in spans.
//!
//! Integer histograms are kept exactly by floats up to 2^53 in a bucket; `integer` remembers the form they came in, so
//! that a store can write them back as integers. Source: Prometheus' native histogram specification, `model/histogram`.

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Gap to the previous span's end (to index 0 for the first).
    pub offset: i32,
    /// Buckets in this run.
    pub length: u32,
}

/// What is known about a counter reset before this histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CounterReset {
    /// Must be found by comparing with the one before.
    #[default]
    Unknown,
    /// A reset lies between the one before and this.
    Reset,
    /// None lies between.
    NoReset,
    /// A gauge: resets mean nothing.
    Gauge,
}

/// One native histogram sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatHistogram {
    /// Whether it arrived with integer counts.
    pub integer: bool,
    /// What is known about resets.
    pub reset: CounterReset,
    /// Resolution: -4 … 8, or -53 for custom bounds.
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observations; the staleness marker here makes the sample stale.
    pub sum: f64,
    /// Layout of `positive`.
    pub positive_spans: Vec<Span>,
    /// Layout of `negative`.
    pub negative_spans: Vec<Span>,
    /// Absolute counts of the positive buckets.
    pub positive: Vec<f64>,
    /// Absolute counts of the negative buckets.
    pub negative: Vec<f64>,
    /// Upper bounds, for schema -53 only.
    pub custom_bounds: Vec<f64>,
}
