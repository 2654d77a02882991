//! The engine: options, limits, and the two questions, an instant and a range.
//!
//! Synchronous: a query runs on the thread that asks, until it is done or its [`QueryContext`] is cancelled. How many run at
//! once is the caller's business.
//! Limits: `max_samples` in memory at once (Prometheus' text when exceeded); time and memory by the context.

use crate::answer::{Answer, MatrixSeries, Value, VectorSample};
use crate::eval::Evaluator;
use crate::eval::column::Grid;
use crate::plan::{Frame, Node, plan};
use crate::syntax::{self, Expr, ParseError, Switches, ast::ValueType};
use model::{Millis, Timestamp};
use runtime::cancel::Reason;
use std::borrow::Cow;
use storage::{QueryContext, Select, SelectError};
use thiserror::Error;

/// What upstream keeps behind `--enable-feature`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The switches of the language.
    pub language: Switches,
    /// `promql-delayed-name-removal`: names go at the end of a query.
    pub delayed_name_removal: bool,
    /// `type-and-unit-labels`: `rate` asks `__type__` whether it got a counter.
    pub type_and_unit_labels: bool,
    /// `use-start-timestamps`: `rate`, `irate`, `increase`, `resets` look at when counters began.
    pub use_start_timestamps: bool,
}

/// How the engine works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How far an instant selector looks back; default 5 minutes. At least 1 ms.
    pub lookback: Millis,
    /// Step of a subquery that names none; default 1 minute (`global.evaluation_interval`).
    pub subquery_step: Millis,
    /// Most samples in memory at once; default 50 million.
    pub max_samples: usize,
    /// Switches.
    pub features: Features,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            lookback: Millis(300_000),
            subquery_step: Millis(60_000),
            max_samples: 50_000_000,
            features: Features::default(),
        }
    }
}

/// Why a query has no answer. Shows as Prometheus' own text.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is no query (400).
    #[error("{0}")]
    Parse(#[from] ParseError),
    /// A duration in it has no usable value (400).
    #[error("{0}")]
    Duration(String),
    /// It cannot be evaluated over these data (422).
    #[error("{0}")]
    Execution(Cow<'static, str>),
    /// It would take too many samples (422).
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// Its time is up (503).
    #[error("query timed out in expression evaluation")]
    TimedOut,
    /// It was cancelled (503).
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// The data hold what this version cannot compute with (422).
    #[error("native histograms are not supported yet")]
    NativeHistogram,
    /// The store failed (500, or 422 as upstream).
    #[error("expanding series: {0}")]
    Storage(SelectError),
}

impl QueryError {
    pub(crate) fn execution(text: impl Into<Cow<'static, str>>) -> Self {
        QueryError::Execution(text.into())
    }
}

impl From<SelectError> for QueryError {
    fn from(error: SelectError) -> Self {
        match error {
            SelectError::Cancelled(Reason::Deadline) => QueryError::TimedOut,
            SelectError::Cancelled(_) => QueryError::Canceled,
            error => QueryError::Storage(error),
        }
    }
}

/// Answers queries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine that works like this.
    pub fn new(options: EngineOptions) -> Self {
        Engine { options }
    }

    /// How it works.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The same engine with another lookback (the API's `lookback_delta`).
    pub fn with_lookback(&self, lookback: Millis) -> Self {
        Engine { options: EngineOptions { lookback, ..self.options } }
    }

    /// Parses a query with this engine's switches.
    ///
    /// # Errors
    /// The first thing wrong with the text.
    pub fn parse(&self, query: &str) -> Result<Expr, ParseError> {
        syntax::parse(query, self.options.features.language)
    }

    /// Answers a query at one instant.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn instant(
        &self,
        store: &dyn Select,
        context: &QueryContext,
        query: &str,
        at: Timestamp,
    ) -> Result<Answer, QueryError> {
        let expr = self.parse(query)?;
        let node = plan(&expr, Frame { start: at, end: at, step: Millis(0) }).map_err(QueryError::Duration)?;
        let grid = Grid::new(at.0, at.0, 1);
        let mut evaluator = Evaluator::new(store, context, &self.options);
        let value = evaluator.instant(&node, expr.value_type(), grid)?;
        Ok(evaluator.into_answer(value, query))
    }

    /// Answers a query at every step from `start` to `end`.
    ///
    /// # Errors
    /// See [`QueryError`]; also a query whose value is neither scalar nor instant vector, and a step that is not positive.
    pub fn range(
        &self,
        store: &dyn Select,
        context: &QueryContext,
        query: &str,
        range: (Timestamp, Timestamp),
        step: Millis,
    ) -> Result<Answer, QueryError> {
        let (start, end) = range;
        let expr = self.parse(query)?;
        let value_type = expr.value_type();
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            let got = value_type.documented();
            let text = format!("invalid expression type \"{got}\" for range query, must be Scalar or instant Vector");
            return Err(QueryError::Duration(text));
        }
        if step.0 <= 0 {
            let text = "zero or negative query resolution step widths are not accepted";
            return Err(QueryError::Duration(text.to_owned()));
        }
        let node = plan(&expr, Frame { start, end, step }).map_err(QueryError::Duration)?;
        let grid = Grid::new(start.0, end.0, step.0);
        let mut evaluator = Evaluator::new(store, context, &self.options);
        let value = evaluator.range(&node, grid)?;
        Ok(evaluator.into_answer(value, query))
    }
}

impl Evaluator<'_> {
    fn into_answer(self, value: Value, query: &str) -> Answer {
        let (warnings, infos) = self.annotations.texts(query);
        Answer { value, warnings, infos, stats: self.samples.stats() }
    }

    fn instant(&mut self, node: &Node, value_type: ValueType, grid: Grid) -> Result<Value, QueryError> {
        let at = Timestamp(grid.start);
        Ok(match value_type {
            ValueType::String => Value::String { at, value: self.text(node)? },
            ValueType::Scalar => Value::Scalar { at, value: self.scalar(node, grid)?.at(0) },
            ValueType::Matrix => Value::Matrix(sorted(self.matrix(node, grid)?)),
            ValueType::Vector => {
                let series = self.vector(node, grid)?;
                let series = self.names_removed(series)?;
                let sample = |series: crate::eval::column::Series| {
                    let value = series.column.present(0)?;
                    Some(VectorSample { labels: series.labels, value })
                };
                Value::Vector { at, samples: series.into_iter().filter_map(sample).collect() }
            }
        })
    }

    fn range(&mut self, node: &Node, grid: Grid) -> Result<Value, QueryError> {
        let series = match self.value(node, grid)? {
            crate::eval::Evaluated::Scalar(scalar) => {
                let samples = (0..grid.len).map(|step| (Timestamp(grid.at(step)), scalar.at(step))).collect();
                return Ok(Value::Matrix(vec![MatrixSeries { labels: model::Labels::empty(), samples }]));
            }
            crate::eval::Evaluated::Vector(series) => self.names_removed(series)?,
        };
        let to_matrix = |series: crate::eval::column::Series| MatrixSeries {
            labels: series.labels,
            samples: series.column.iter().map(|(step, value)| (Timestamp(grid.at(step)), value)).collect(),
        };
        let matrix = series.into_iter().filter(|series| !series.column.is_empty()).map(to_matrix).collect();
        Ok(Value::Matrix(sorted(matrix)))
    }
}

fn sorted(mut matrix: Vec<MatrixSeries>) -> Vec<MatrixSeries> {
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    matrix
}
