//! Answers: typed values with what accompanies them.

use model::{Labels, Timestamp};

/// One series of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// What names it.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// One series of a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSeries {
    /// What names it.
    pub labels: Labels,
    /// Its samples, in time order.
    pub samples: Vec<(Timestamp, f64)>,
}

/// What a query yields.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar {
        /// The instant asked for.
        at: Timestamp,
        /// Its value.
        value: f64,
    },
    /// A text.
    String {
        /// The instant asked for.
        at: Timestamp,
        /// Its value.
        value: String,
    },
    /// Series at one instant, in no particular order but that of `sort`, `topk` and the like.
    Vector {
        /// The instant asked for.
        at: Timestamp,
        /// The series.
        samples: Vec<VectorSample>,
    },
    /// Series over time, in label order.
    Matrix(Vec<MatrixSeries>),
}

impl Value {
    /// The type's name in the HTTP API's `resultType`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Scalar { .. } => "scalar",
            Value::String { .. } => "string",
            Value::Vector { .. } => "vector",
            Value::Matrix(_) => "matrix",
        }
    }
}

/// How many samples a query touched, counted as Prometheus counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Samples looked at: a sample inside n windows counts n times.
    pub total_queryable_samples: u64,
    /// Samples read: a sample inside n windows counts once.
    pub samples_read: u64,
    /// Most samples in memory at once.
    pub peak_samples: u64,
}

/// A query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// Warnings, ascending.
    pub warnings: Vec<String>,
    /// Infos, ascending.
    pub infos: Vec<String>,
    /// What it cost.
    pub stats: Stats,
}
