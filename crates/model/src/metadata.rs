//! What an exporter says about a metric family: type, help, unit.

/// The type of a metric family, as OpenMetrics names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricType {
    /// Nothing was said.
    #[default]
    Unknown,
    /// Only ever grows, but for resets.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
    /// A histogram whose buckets go up and down.
    GaugeHistogram,
    /// Quantiles computed by the exporter.
    Summary,
    /// Constant 1, information in labels.
    Info,
    /// One of several states.
    StateSet,
}

impl MetricType {
    /// The word the text formats and the HTTP API use.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricType::Unknown => "unknown",
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::GaugeHistogram => "gaugehistogram",
            MetricType::Summary => "summary",
            MetricType::Info => "info",
            MetricType::StateSet => "stateset",
        }
    }

    /// The type a text format's word names; `untyped` is the old word for unknown.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "unknown" | "untyped" => MetricType::Unknown,
            "counter" => MetricType::Counter,
            "gauge" => MetricType::Gauge,
            "histogram" => MetricType::Histogram,
            "gaugehistogram" => MetricType::GaugeHistogram,
            "summary" => MetricType::Summary,
            "info" => MetricType::Info,
            "stateset" => MetricType::StateSet,
            _ => return None,
        })
    }
}

/// Type, help and unit of one metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// The family's type.
    pub kind: MetricType,
    /// The family's help text, unescaped.
    pub help: String,
    /// The family's unit, empty when none was said.
    pub unit: String,
}
