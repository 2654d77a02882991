//! What random expressions found beside the original (3.5.3, and 3.14 by its rules): a row each. And what hostile ones found.

use crate::engine::{at, store};
use model::{Labels, Millis, Timestamp};
use promql::syntax::ast::ValueType;
use promql::syntax::function_table::FUNCTIONS;
use promql::syntax::parse;
use promql::{Engine, EngineOptions, Features, QueryError, Switches, Value};
use runtime::cancel::{Cancel, Reason};
use storage::{Append, Durability, QueryContext, Tenant};
use testkit::model_store::ModelStore;

fn engine() -> Engine {
    Engine::new(EngineOptions {
        features: Features { language: Switches::ALL, ..Features::default() },
        ..EngineOptions::default()
    })
}

/// Labels and values, one line a series; the store has `m_total{n="0"}` = seconds / 15, every 15 s from 0 to 1485.
fn shown(query: &str, (start, end, step): (i64, i64, i64)) -> Vec<String> {
    let (store, context) = (store(1, 100), QueryContext::default());
    let answer = if start == end {
        engine().instant(&store, &context, query, at(start))
    } else {
        engine().range(&store, &context, query, (at(start), at(end)), Millis(step * 1000))
    };
    match answer.unwrap_or_else(|e| panic!("{query}: {e}")).value {
        Value::Vector { samples, .. } => samples.iter().map(|s| format!("{} {}", s.labels, s.value)).collect(),
        Value::Matrix(series) => series
            .iter()
            .map(|s| {
                format!("{} {}", s.labels, s.samples.iter().map(|(_, v)| v.to_string()).collect::<Vec<_>>().join(" "))
            })
            .collect(),
        other => panic!("{query}: {other:?}"),
    }
}

/// Query, times, lines.
type Row = (&'static str, (i64, i64, i64), &'static [&'static str]);

#[test]
fn answers_are_the_originals() {
    const RANGE: (i64, i64, i64) = (0, 30, 15);
    let instant = |seconds| (seconds, seconds, 1);
    let table: &[Row] = &[
        // in an aggregation's parameter start() and end() have no effect, times have
        ("count(topk(scalar(m_total @ end()), m_total))", RANGE, &["{} 1 1"]),
        ("count(topk(scalar(m_total @ start()), m_total))", RANGE, &["{} 1 1"]),
        ("count(topk(scalar(m_total @ 15), m_total))", RANGE, &["{} 1 1 1"]),
        // a sign makes a computed value of a selector
        ("timestamp(m_total)", instant(64), &["{n=\"0\"} 60"]),
        ("timestamp((m_total))", instant(64), &["{n=\"0\"} 60"]),
        ("timestamp(+m_total)", instant(64), &["{n=\"0\"} 64"]),
        ("absent(+m_total{n=\"7\"})", instant(64), &["{} 1"]),
        ("+m_total", instant(64), &["{__name__=\"m_total\", n=\"0\"} 4"]),
        // fetched for 300 s before, read at 600: too old from there
        ("timestamp(m_total @ 600)", instant(64), &["{n=\"0\"} 600"]),
        ("timestamp(m_total offset 5m)", instant(664), &["{n=\"0\"} 360"]),
        ("timestamp(m_total @ 600 offset 5m)", instant(64), &[]),
        ("timestamp(m_total @ 600 offset -1m)", instant(64), &["{n=\"0\"} 600"]),
        ("timestamp(m_total @ 600 offset 1m)", instant(64), &["{n=\"0\"} 540"]),
        // of several matchers of a label those that take series away come last
        ("absent(m_total{k=\"a\"})", instant(0), &["{k=\"a\"} 1"]),
        ("absent(m_total{k!=\"b\", k=\"a\"})", instant(0), &["{} 1"]),
        ("absent(m_total{k=~\"a\", k=\"a\"})", instant(0), &["{k=\"a\"} 1"]),
        ("absent(m_total{k=\"a\", k=~\"a\"})", instant(0), &["{} 1"]),
        ("absent_over_time(m_total{k!=\"b\", k=\"a\"}[5m])", instant(0), &["{} 1"]),
        ("count_values(\"v\", m_total)", RANGE, &["{v=\"0\"} 1", "{v=\"1\"} 1", "{v=\"2\"} 1"]),
    ];
    for (query, times, expected) in table {
        assert_eq!(shown(query, *times), *expected, "{query}");
    }
}

#[test]
fn a_side_without_labels_to_take_along_is_named() {
    for (query, expected) in [
        ("a + on (b) group_left == c", Some("1:23: parse error: unexpected <op:==> in grouping opts, expected \"(\"")),
        ("(a + on (b) group_right) c", Some("1:24: parse error: unexpected \")\" in grouping opts, expected \"(\"")),
        ("a + on (b) group_left fill(0) c", None),
        ("a + on (b) group_left -c", None),
        ("a + on (b) group_left", Some("1:22: parse error: unexpected end of input in grouping opts, expected \"(\"")),
    ] {
        assert_eq!(parse(query, Switches::ALL).err().map(|e| e.to_string()).as_deref(), expected, "{query}");
    }
}

/// Every function of the table has something that computes it.
#[test]
fn no_function_is_a_name_alone() {
    let (store, context) = (store(1, 100), QueryContext::default());
    for function in FUNCTIONS {
        let arg = |(at, kind): (usize, &ValueType)| match (kind, at) {
            (ValueType::Matrix, _) => "m_total[5m]",
            (ValueType::Scalar, _) => "0.5",
            (ValueType::String, 4) => "\"(.*)\"",
            (ValueType::String, _) => "\"k\"",
            _ if function.name == "info" && at == 1 => "{k=\"v\"}",
            _ => "m_total",
        };
        let args: Vec<&str> = function.args.iter().enumerate().map(arg).collect();
        for args in [&args[..], &args[..args.len() - usize::from(function.variadic != 0 && args.len() == 1)]] {
            let query = format!("{}({})", function.name, args.join(", "));
            let outcome = engine().instant(&store, &context, &query, at(600));
            assert!(outcome.is_ok(), "{query}: {outcome:?}");
        }
    }
}

/// Grids of more steps than samples may be held are refused before anything of their size is made: each of these took
/// gigabytes, and with them the process.
#[test]
fn huge_subqueries_are_refused() {
    let (store, context) = (store(1, 100), QueryContext::default());
    for query in [
        "absent(nosuch)[100y:1ms]",
        "rate(nosuch[5m])[100y:1ms]",
        "vector(time())[100y:1ms]",
        "hour()[100y:1ms]",
        "sum(m_total)[100y:1ms]",
        "(m_total or m_total)[100y:1ms]",
        "count_values(\"v\", m_total)[100y:1ms]",
        "info(m_total)[100y:1ms]",
    ] {
        let outcome = engine().instant(&store, &context, query, at(600));
        assert_eq!(outcome.err(), Some(QueryError::TooManySamples), "{query}");
    }
    // long, but within the limit: room only for the steps that have values
    for query in ["sum(m_total)[1y:1s]", "count_values(\"v\", m_total)[1y:1s]", "rate(m_total[5m])[1y:1s]"] {
        assert!(engine().instant(&store, &context, query, at(600)).is_ok(), "{query}");
    }
}

/// Two values of a series may lie as far apart as they like; not many series may do so at once.
#[test]
fn gaps_inside_series_are_bounded() {
    let far_apart = |series: usize| {
        let store = ModelStore::new();
        let mut appender = store.begin(Tenant::DEFAULT).expect("the default tenant");
        for n in 0..series {
            let labels = Labels::from_pairs([("__name__", "far"), ("n", &n.to_string())]);
            let series = appender.declare(&labels).expect("legal labels");
            for seconds in [0, 1_000_000] {
                appender.sample(series, at(seconds), 1.0, Timestamp(0)).expect("known series");
            }
        }
        appender.commit(Durability::Os).expect("a model store");
        let engine = Engine::new(EngineOptions { max_samples: 2000, ..*engine().options() });
        let query = "sum_over_time(far[1000001s:1000s])";
        engine.instant(&store, &QueryContext::default(), query, at(1_000_000)).map(|_| ())
    };
    assert_eq!(far_apart(8), Ok(()));
    // a hundred times a thousand steps for two hundred values
    assert_eq!(far_apart(100), Err(QueryError::TooManySamples));
}

#[test]
fn a_long_window_function_ends_when_cancelled() {
    let (store, cancel) = (store(1, 100), Cancel::new());
    let context = QueryContext { cancel: cancel.clone(), ..QueryContext::default() };
    let waiting = std::thread::spawn(move || {
        // 11 000 windows of 1.3 million values, each sorted: minutes
        let query = "quantile_over_time(0.5, m_total[25m:1ms])";
        engine().range(&store, &context, query, (at(1000), at(1110)), Millis(10)).map_err(|e| e.to_string())
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    cancel.cancel(Reason::Deadline);
    let outcome = waiting.join().expect("no panic");
    assert_eq!(outcome.err().as_deref(), Some("query timed out in expression evaluation"));
}

/// Of two mistakes the one at the earlier step is named.
#[test]
fn the_earliest_mistake_is_named() {
    let (store, context) = (store(2, 100), QueryContext::default());
    let query = "m_total == on () (m_total{n=\"0\"} or m_total > 1)";
    for (start, expected) in [(0, "multiple matches for labels"), (30, "found duplicate series for the match group")] {
        let outcome = engine().range(&store, &context, query, (at(start), at(60)), Millis(15_000));
        let text = outcome.expect_err("a mistake").to_string();
        assert!(text.starts_with(expected), "from {start}: {text}");
    }
}
