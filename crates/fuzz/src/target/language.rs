//! PromQL: the parser, and the evaluator over a small store.

use model::{Labels, Millis, STALE_NAN, Timestamp};
use promql::syntax::{SeriesDescription, parse as parse_query, parse_selector};
use promql::{Engine, EngineOptions, Switches};
use std::sync::LazyLock;
use storage::{Append, Durability, QueryContext, Tenant};
use testkit::model_store::ModelStore;

/// No text makes the parsers panic; what is printed reads back to the same.
pub(super) fn parse(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = parse_selector(text);
    let _ = SeriesDescription::parse(text);
    let _ = parse_query(text, Switches::default());
    let Ok(expr) = parse_query(text, Switches::ALL) else { return };
    let printed = expr.to_string();
    for shown in [&printed, &expr.pretty()] {
        match parse_query(shown, Switches::ALL) {
            Ok(again) => assert_eq!(again.to_string(), printed, "{text:?}"),
            Err(error) => panic!("{text:?} was printed as {shown:?}, which is refused: {error}"),
        }
    }
}

/// No expression makes the evaluator panic, or hold more than its budget.
pub(super) fn evaluate(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let engine = Engine::new(EngineOptions { max_samples: 20_000, ..EngineOptions::default() });
    let engine = Engine::new(EngineOptions {
        features: promql::Features { language: Switches::ALL, ..engine.options().features },
        ..*engine.options()
    });
    let context = QueryContext::default();
    let _ = engine.instant(&*STORE, &context, text, Timestamp(600_000));
    let _ = engine.range(&*STORE, &context, text, (Timestamp(0), Timestamp(600_000)), Millis(60_000));
}

/// Six series over ten minutes: a counter with a reset, a gauge with a gap and a stale end, a histogram.
static STORE: LazyLock<ModelStore> = LazyLock::new(|| {
    type Series = (&'static [(&'static str, &'static str)], fn(i64) -> f64);
    let store = ModelStore::new();
    let series: [Series; 6] = [
        (&[("__name__", "a"), ("b", "c")], |n| (n % 25) as f64),
        (&[("__name__", "a"), ("b", "d")], |n| n as f64 * 0.1),
        (&[("__name__", "g"), ("b", "c")], |n| if n == 39 { STALE_NAN } else { -(n as f64) }),
        (&[("__name__", "h_bucket"), ("le", "1")], |n| n as f64),
        (&[("__name__", "h_bucket"), ("le", "+Inf")], |n| n as f64 * 2.0),
        (&[("__name__", "h_bucket"), ("le", "x")], |_| f64::NAN),
    ];
    let mut appender = store.begin(Tenant::DEFAULT).expect("the only tenant");
    for (labels, value) in series {
        let series = appender.declare(&Labels::from_pairs(labels.iter().copied())).expect("valid");
        for n in (0..40).filter(|n| *n < 20 || *n > 28) {
            appender.sample(series, Timestamp(n * 15_000), value(n), Timestamp(0)).expect("in order");
        }
    }
    appender.commit(Durability::Soon).expect("in memory");
    store
});

pub(super) fn seeds() -> Vec<Vec<u8>> {
    super::texts(&[
        "sum by (b) (rate(a[5m])) / on (b) group_left (c) a",
        "histogram_quantile(0.9, h_bucket) or -g{b=~\"c.*\",b!=\"\"} offset 5m @ end()",
        "max_over_time((a > bool 1)[5m:30s] @ 300) unless on () topk(2, {__name__=~\"a|g\"})",
        "label_replace(a, \"x\", \"$1-${n}\", \"b\", \"(?P<n>.)(.*)\")",
        "count_values without (b) (\"v\", round(a ^ 0.5, 0.25)) == 1e3",
        "predict_linear(g[5m], 3600) + deriv(g[5m]) - holt_winters(g[5m], .5, .5)",
        "quantile_over_time(.5, g[1h30m]) % atan2(vector(0x1F), scalar(a)) # comment",
        "sort_by_label_desc({\"a\", 'b'=\"c\"}, `b`) and absent_over_time(nothing[1m]) fill (3)",
        "limitk(1, a) + limit_ratio(-.5, a) + info(a, {x=\"y\"}) + increase(a[5m] anchored)",
    ])
}
