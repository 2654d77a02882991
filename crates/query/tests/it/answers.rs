//! Answers and refusals, byte for byte.

use crate::memory_store::MemoryStore;
use crate::served::{serve, ten_minutes};
use model::{Exemplar, Labels, Timestamp};
use query::QueryConfig;

/// Names and values.
type Form<'a> = &'a [(&'a str, &'a str)];

fn success(data: &str) -> (u16, String) {
    (200, format!("{{\"status\":\"success\",\"data\":{data}}}"))
}

fn refused(code: u16, kind: &str, text: &str) -> (u16, String) {
    (code, format!("{{\"status\":\"error\",\"errorType\":\"{kind}\",\"error\":\"{}\"}}", text.replace('"', "\\\"")))
}

#[tokio::test]
async fn queries_answer_as_the_original() {
    let served = serve(ten_minutes(), QueryConfig::default());
    let table = [
        ("1", "4", r#"{"resultType":"scalar","result":[4,"1"]}"#),
        ("\"<\"", "4.25", r#"{"resultType":"string","result":[4.25,"\u003c"]}"#),
        (
            "up",
            "60.5",
            r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","instance":"a","job":"j"},"value":[60.500,"1"]},{"metric":{"__name__":"up","instance":"b","job":"j"},"value":[60.500,"0"]}]}"#,
        ),
        ("nosuch", "60", r#"{"resultType":"vector","result":[]}"#),
        (
            "c_total[31s]",
            "60",
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"c_total","instance":"a","job":"j"},"values":[[30,"6"],[45,"9"],[60,"12"]]}]}"#,
        ),
    ];
    for (query, time, data) in table {
        let form = [("query", query), ("time", time)];
        assert_eq!(served.get("query", &form).await, success(data), "GET {query}");
        assert_eq!(served.post("query", &form).await, success(data), "POST {query}");
    }
    let form = [("query", "c_total"), ("start", "0"), ("end", "1970-01-01T00:00:30Z"), ("step", "15s")];
    let data = r#"{"resultType":"matrix","result":[{"metric":{"__name__":"c_total","instance":"a","job":"j"},"values":[[0,"0"],[15,"3"],[30,"6"]]}]}"#;
    assert_eq!(served.post("query_range", &form).await, success(data));
}

#[tokio::test]
async fn limits_and_lookback_are_obeyed_and_stats_given() {
    let served = serve(ten_minutes(), QueryConfig::default());
    let cut = served.get("query", &[("query", "up"), ("time", "0"), ("limit", "1")]).await.1;
    assert!(cut.ends_with(r#"[0,"1"]}]},"warnings":["results truncated due to limit"]}"#), "{cut}");
    let whole = served.get("query", &[("query", "up"), ("time", "0"), ("limit", "2")]).await.1;
    assert!(!whole.contains("warnings"), "{whole}");
    let late = |lookback: &'static str| [("query", "up"), ("time", "620"), ("lookback_delta", lookback)];
    assert_eq!(served.get("query", &late("10s")).await, success(r#"{"resultType":"vector","result":[]}"#));
    assert!(served.get("query", &late("1m")).await.1.contains("\"instance\""));
    let stats = served.get("query", &[("query", "up"), ("time", "0"), ("stats", "all")]).await.1;
    assert!(
        stats.contains(r#""stats":{"timings":{"evalTotalTime":"#)
            && stats.contains(r#""samples":{"totalQueryableSamples":2,"#),
        "{stats}"
    );
    let odd = served.get("query", &[("query", "1"), ("time", "0"), ("stats", "foo")]).await.1;
    assert!(odd.contains(r#""warnings":["value \"foo\" for parameter \"stats\" is deprecated"#), "{odd}");
}

#[tokio::test]
async fn ten_annotations_are_enough() {
    let served = serve(ten_minutes(), QueryConfig::default());
    for (end, more) in [("200", None), ("210", Some("1 more")), ("300", Some("10 more"))] {
        let form =
            [("query", "quantile_over_time(2 + time(), up[5m])"), ("start", "110"), ("end", end), ("step", "10")];
        let body = served.get("query_range", &form).await.1;
        let omitted = body.split('"').find(|text| text.ends_with("annotations omitted")).map(str::to_owned);
        assert_eq!(omitted, more.map(|more| format!("{more} warning annotations omitted")), "{body}");
        assert_eq!(body.matches("quantile value should be").count(), 10, "{body}");
    }
}

#[tokio::test]
async fn a_label_without_a_name_is_refused() {
    let served = serve(ten_minutes(), QueryConfig::default());
    let (status, body) = served.get("label/U__/values", &[]).await;
    assert_eq!(status, 400);
    assert!(body.contains(r#""error":"invalid label name: \"\""#), "{body}");
}

#[tokio::test]
async fn lookups_answer_as_the_original() {
    let served = serve(ten_minutes(), QueryConfig::default());
    let table: &[(&str, Form<'_>, &str)] = &[
        ("labels", &[], r#"["\u003cx\u003e","__name__","instance","job"]"#),
        ("labels", &[("match[]", "up"), ("match[]", "c_total")], r#"["__name__","instance","job"]"#),
        ("labels", &[("match[]", "nosuch")], "[]"),
        ("labels", &[("start", "2"), ("end", "1")], "[]"),
        ("labels", &[("start", "601")], "[]"),
        ("label/instance/values", &[], r#"["a","b"]"#),
        ("label/instance/values", &[("match[]", "c_total")], r#"["a"]"#),
        ("label/U___3c_x_3e_/values", &[], r#"["\u003c\u0026\u003e"]"#),
        ("label/a-b/values", &[], "[]"),
        ("series", &[("match[]", "{instance=\"b\"}")], r#"[{"__name__":"up","instance":"b","job":"j"}]"#),
        ("series", &[("match[]", "{\"odd.name\"}")], r#"[{"<x>":"<&>","__name__":"odd.name"}]"#),
        ("series", &[("match[]", "nosuch")], "[]"),
        (
            "series",
            &[("match[]", "up"), ("match[]", "up{instance=\"a\"}")],
            r#"[{"__name__":"up","instance":"a","job":"j"},{"__name__":"up","instance":"b","job":"j"}]"#,
        ),
        ("format_query", &[("query", "sum(rate(up[5m]))by(job)")], "\"sum by (job) (rate(up[5m]))\""),
        ("query_exemplars", &[("query", "up")], "[]"),
    ];
    for (path, form, data) in table {
        assert_eq!(served.get(path, form).await, success(data), "{path} {form:?}");
        if !path.starts_with("label/") {
            assert_eq!(served.post(path, form).await, success(data), "POST {path} {form:?}");
        }
    }
    for (path, form) in [("labels", [("limit", "1"), ("x", "")]), ("series", [("limit", "1"), ("match[]", "up")])] {
        let cut = served.get(path, &form).await.1;
        assert!(cut.ends_with(r#"],"warnings":["results truncated due to limit"]}"#), "{cut}");
    }
    assert_eq!(served.get("query_exemplars", &[("query", "1")]).await, (204, String::new()));
}

#[tokio::test]
async fn warnings_of_the_store_come_through() {
    let mut store = ten_minutes();
    store.warning = Some("block <01J> damaged");
    let served = serve(store, QueryConfig::default());
    for (path, form) in [("labels", ("x", "")), ("series", ("match[]", "up")), ("label/job/values", ("x", ""))] {
        let answer = served.get(path, &[form]).await.1;
        assert!(answer.ends_with(r#","warnings":["block \u003c01J\u003e damaged"]}"#), "{answer}");
    }
}

#[tokio::test]
async fn exemplars_are_listed_by_series() {
    let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
    let mut store = MemoryStore::default();
    let exemplar = Exemplar { labels: labels(&[("trace_id", "x")]), value: 0.5, at: Timestamp(1500) };
    store.exemplars = vec![
        (labels(&[("__name__", "h_bucket")]), vec![exemplar.clone(), exemplar]),
        (labels(&[("__name__", "no")]), vec![]),
    ];
    let served = serve(store, QueryConfig::default());
    let answer =
        served.post("query_exemplars", &[("query", "rate(h_bucket[5m]) > 1"), ("start", "0"), ("end", "5")]).await;
    let one = r#"{"labels":{"trace_id":"x"},"value":"0.5","timestamp":1.5}"#;
    assert_eq!(
        answer,
        success(&format!(r#"[{{"seriesLabels":{{"__name__":"h_bucket"}},"exemplars":[{one},{one}]}}]"#))
    );
}

#[tokio::test]
async fn metadata_is_grouped_by_metric() {
    let served = serve(MemoryStore::default(), QueryConfig::default());
    let odd = r#""odd":[{"type":"unknown","unit":"","help":""}]"#;
    let up = r#""up":[{"type":"gauge","unit":"","help":"Is it \u003cup\u003e?"}]"#;
    let first = r#"{"type":"counter","unit":"seconds","help":"Waited in all."}"#;
    let second = r#"{"type":"counter","unit":"seconds","help":"Waited."}"#;
    let all = format!(r#"{{{odd},{up},"wait_seconds_total":[{first},{second}]}}"#);
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[], &all),
        (&[("limit", "-1")], &all),
        (&[("limit", "0")], "{}"),
        (&[("limit", "2")], &format!("{{{odd},{up}}}")),
        (&[("metric", "nosuch")], "{}"),
        (
            &[("metric", "wait_seconds_total"), ("limit_per_metric", "1")],
            &format!(r#"{{"wait_seconds_total":[{second}]}}"#),
        ),
    ];
    for (form, data) in table {
        assert_eq!(served.get("metadata", form).await, success(data), "{form:?}");
    }
}

#[tokio::test]
async fn refusals_say_what_the_original_says() {
    let served = serve(ten_minutes(), QueryConfig::default());
    let bad = |text: &str| refused(400, "bad_data", text);
    let table: &[(&str, Form<'_>, (u16, String))] = &[
        (
            "query",
            &[("query", "1"), ("time", "x")],
            bad("invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp"),
        ),
        ("query", &[("query", "1"), ("limit", "-1")], bad("invalid parameter \"limit\": limit must be non-negative")),
        (
            "query",
            &[("query", "1"), ("timeout", "x")],
            bad("invalid parameter \"timeout\": cannot parse \"x\" to a valid duration"),
        ),
        ("query", &[("query", "1"), ("timeout", "0")], bad("invalid parameter \"query\": context deadline exceeded")),
        ("query", &[], bad("invalid parameter \"query\": unknown position: parse error: no expression found in input")),
        (
            "query_range",
            &[("query", "1"), ("start", "0"), ("end", "11001"), ("step", "1")],
            bad(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            ),
        ),
        (
            "query_range",
            &[("query", "1"), ("start", "1"), ("end", "0"), ("step", "1")],
            bad("invalid parameter \"end\": end timestamp must not be before start time"),
        ),
        (
            "query_range",
            &[("query", "up[1m]"), ("start", "0"), ("end", "1"), ("step", "1")],
            bad(
                "invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
            ),
        ),
        ("series", &[], bad("no match[] parameter provided")),
        (
            "series",
            &[("match[]", "{}")],
            bad("invalid parameter \"match[]\": match[] must contain at least one non-empty matcher"),
        ),
        ("labels", &[("match[]", "{}")], bad("match[] must contain at least one non-empty matcher")),
        ("metadata", &[("limit", "x")], bad("limit must be a number")),
        (
            "query_exemplars",
            &[("query", "up"), ("start", "2"), ("end", "1")],
            bad("end timestamp must not be before start timestamp"),
        ),
    ];
    for (path, form, wanted) in table {
        assert_eq!(&served.get(path, form).await, wanted, "{path} {form:?}");
    }
    // the step that makes the original divide by zero
    let tiny = served.get("query_range", &[("query", "1"), ("start", "0"), ("end", "1"), ("step", "0.0001")]).await;
    assert_eq!(tiny.0, 400, "{tiny:?}");
}
