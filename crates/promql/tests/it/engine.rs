//! The engine's own promises: limits, cancellation, honest refusals, counted samples.

use model::{FloatHistogram, Labels, Matcher, Millis, TimeRange, Timestamp};
use promql::{Engine, EngineOptions, QueryError, Stats, Value};
use runtime::cancel::{Cancel, Reason};
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::{
    Abilities, Append, Durability, HistogramsPiece, LabelQuery, Piece, QueryContext, Select, SelectError, Selection,
    SeriesBatch, SeriesPieces, SeriesStream, Tenant, Warnings,
};
use testkit::model_store::ModelStore;

/// `m{n="0"}` … with a sample every 15 s from 0, value = its number, up to `samples`.
pub(crate) fn store(series: usize, samples: i64) -> ModelStore {
    let store = ModelStore::new();
    let mut appender = store.begin(Tenant::DEFAULT).expect("the default tenant");
    for n in 0..series {
        let labels = Labels::from_pairs([("__name__", "m_total"), ("n", &n.to_string())]);
        let series = appender.declare(&labels).expect("legal labels");
        for at in 0..samples {
            appender.sample(series, Timestamp(at * 15_000), at as f64, Timestamp(0)).expect("known series");
        }
    }
    appender.commit(Durability::Os).expect("a model store");
    store
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1000)
}

#[test]
fn the_sample_limit_has_the_originals_text() {
    let (store, context) = (store(10, 100), QueryContext::default());
    let engine = Engine::new(EngineOptions { max_samples: 50, ..EngineOptions::default() });
    for query in ["m_total", "rate(m_total[20m])", "sum_over_time(m_total[5m:10s])", "m_total + m_total", "vector(1)"] {
        let range = (at(0), at(1500));
        let outcome = engine.range(&store, &context, query, range, Millis(15_000));
        let error = outcome.expect_err(query);
        assert_eq!(error, QueryError::TooManySamples, "{query}");
        assert_eq!(error.to_string(), "query processing would load too many samples into memory in query execution");
    }
    assert!(engine.instant(&store, &context, "m_total", at(60)).is_ok());
}

#[test]
fn label_values_that_multiply_end_at_their_limit() {
    let (store, context, engine) = (store(1, 10), QueryContext::default(), Engine::default());
    let replace = |levels: usize| {
        let begin = r#"label_replace(m_total, "k", "xxxxxxxxxxxxxxxx", "", "")"#;
        let around = r#", "k", "$1$1$1$1", "k", "(.*)")"#;
        format!("{}{begin}{}", "label_replace(".repeat(levels), around.repeat(levels))
    };
    let join = |levels: usize| {
        let begin = r#"label_replace(m_total, "k", "xxxxxxxxxxxxxxxx", "", "")"#;
        let around = r#", "k", "", "k", "k", "k", "k")"#;
        format!("{}{begin}{}", "label_join(".repeat(levels), around.repeat(levels))
    };
    // once 16 bytes, four times as many a level: 64 KiB after six, 64 GiB after sixteen
    for query in [replace(6), join(6)] {
        assert!(engine.instant(&store, &context, &query, at(60)).is_ok());
    }
    for query in [replace(16), join(16)] {
        let error = engine.instant(&store, &context, &query, at(60)).expect_err("64 GiB");
        assert!(error.to_string().contains("more than 256 MiB of label values"), "{error}");
    }
}

#[test]
fn a_cancelled_query_ends_with_its_reason() {
    let (store, engine) = (store(1, 10), Engine::default());
    for (reason, text) in [
        (Reason::Deadline, "query timed out in expression evaluation"),
        (Reason::Gone, "query was canceled in expression evaluation"),
    ] {
        let cancel = Cancel::new();
        cancel.cancel(reason);
        let context = QueryContext { cancel, ..QueryContext::default() };
        let outcome = engine.instant(&store, &context, "m_total", at(60));
        assert_eq!(outcome.map_err(|e| e.to_string()), Err(text.to_owned()));
    }
}

/// Counted by hand from the original's rules: a look per sample and window; read once; the peak includes results.
#[test]
fn samples_are_counted_as_the_original_counts() {
    let (store, context, engine) = (store(2, 100), QueryContext::default(), Engine::default());
    let stats = |total, read, peak| Stats { total_queryable_samples: total, samples_read: read, peak_samples: peak };
    let instant = |query: &str| engine.instant(&store, &context, query, at(600)).expect(query).stats;
    assert_eq!(instant("m_total"), stats(2, 2, 2));
    // 20 samples in five minutes, left-open
    assert_eq!(instant("rate(m_total[5m])").total_queryable_samples, 40);
    assert_eq!(instant("1 + 1"), stats(0, 0, 5));
    let ranged =
        |query: &str| engine.range(&store, &context, query, (at(600), at(660)), Millis(30_000)).expect(query).stats;
    assert_eq!(ranged("m_total"), stats(6, 6, 6));
    // three windows of 20 a series; two new samples with each later step
    let rate = ranged("rate(m_total[5m])");
    assert_eq!((rate.total_queryable_samples, rate.samples_read), (120, 48));
    // invariant: evaluated once, counted at every step
    assert_eq!(ranged("m_total @ 600").total_queryable_samples, 6);
}

/// One series with a native histogram at 0.
struct Histograms;

struct Once(Option<SeriesBatch>);

impl SeriesStream for Once {
    fn next(&mut self) -> Result<Option<SeriesBatch>, SelectError> {
        Ok(self.0.take())
    }
    fn take_warnings(&mut self) -> Warnings {
        let mut warnings = Warnings::default();
        warnings.add("block 01 is damaged");
        warnings
    }
}

impl Select for Histograms {
    fn select(&self, _: &Selection, _: &QueryContext) -> Result<Box<dyn SeriesStream>, SelectError> {
        let samples = Arc::from(vec![(Timestamp(0), FloatHistogram::default())]);
        let pieces = vec![Piece::Histograms(HistogramsPiece { samples })];
        let labels = Labels::from_pairs([("__name__", "h")]);
        Ok(Box::new(Once(Some(SeriesBatch { series: vec![SeriesPieces { labels, pieces }] }))))
    }
    fn label_names(&self, _: &LabelQuery, _: &QueryContext) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        Ok(Default::default())
    }
    fn label_values(
        &self,
        _: &str,
        _: &LabelQuery,
        _: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        Ok(Default::default())
    }
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }
    fn covers(&self) -> Option<TimeRange> {
        None
    }
}

#[test]
fn native_histograms_are_refused_not_guessed() {
    let (context, engine) = (QueryContext::default(), Engine::default());
    for query in ["h", "histogram_count(h)", "rate(h[5m])", "count(h)", "h[5m]", "timestamp(h)"] {
        let error = engine.instant(&Histograms, &context, query, at(60)).expect_err(query);
        assert_eq!(error.to_string(), "native histograms are not supported yet", "{query}");
    }
    // none of them is looked at here; the store's warning is passed on
    let answer = engine.instant(&Histograms, &context, "h", at(600)).expect("nothing in the lookback");
    assert_eq!(answer.value, Value::Vector { at: at(600), samples: Vec::new() });
    assert_eq!(answer.warnings, ["block 01 is damaged"]);
}

#[test]
fn ranges_and_lookbacks_are_the_callers() {
    let (store, context, engine) = (store(1, 3), QueryContext::default(), Engine::default());
    let count = |engine: &Engine, t: i64| match engine.instant(&store, &context, "m_total", at(t)).map(|a| a.value) {
        Ok(Value::Vector { samples, .. }) => samples.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!((count(&engine, 329), count(&engine, 330)), (1, 0), "five minutes, left-open");
    let short = engine.with_lookback(Millis(10_000));
    assert_eq!((count(&short, 39), count(&short, 40)), (1, 0));
    assert!(engine.range(&store, &context, "m_total", (at(0), at(60)), Millis(0)).is_err());
    let outcome = engine.range(&store, &context, "m_total[5m]", (at(0), at(60)), Millis(1000));
    let text = "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector";
    assert_eq!(outcome.map_err(|e| e.to_string()), Err(text.to_owned()));
    let empty = engine.range(&store, &context, "m_total", (at(60), at(0)), Millis(1000)).expect("an empty range");
    assert_eq!(empty.value, Value::Matrix(Vec::new()));
    assert!(promql::syntax::parse_selector("m{a=\"b\"}").is_ok_and(|m| m[0] == Matcher::equal("a", "b")));
}
