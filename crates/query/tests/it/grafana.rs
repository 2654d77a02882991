//! What a real Grafana's Prometheus data source sends, and what it must get.

use crate::served::{serve, ten_minutes};
use query::QueryConfig;
use serde_json::Value;

#[tokio::test]
async fn every_call_of_the_data_source_is_answered() {
    let served = serve(ten_minutes(), QueryConfig::default());
    let health = served.post("query", &[("query", "1+1"), ("time", "4")]).await;
    assert_eq!(health, (200, r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#.to_owned()));
    let panel = [("query", "rate(c_total[1m])"), ("start", "60"), ("end", "600"), ("step", "15"), ("timeout", "60s")];
    let (code, text) = served.post("query_range", &panel).await;
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let points = answer["data"]["result"][0]["values"].as_array().expect("points");
    assert_eq!((code, points.len()), (200, 37));
    for point in points {
        let rate: f64 = point[1].as_str().and_then(|text| text.parse().ok()).expect("a number in a text");
        assert!((rate - 0.2).abs() < 1e-9, "{point}");
    }
    let again: Value = serde_json::from_str(&served.get("query_range", &panel).await.1).expect("JSON");
    assert_eq!(answer, again);
    let window = [("start", "0"), ("end", "600"), ("limit", "40000")];
    let with = |more: (&'static str, &'static str)| [window.as_slice(), &[more]].concat();
    for (path, form) in [
        ("labels", with(("match[]", "up"))),
        ("series", with(("match[]", "{__name__!=\"\"}"))),
        ("query_exemplars", vec![("query", "up"), ("start", "0"), ("end", "600")]),
    ] {
        let (code, text) = served.post(path, &form).await;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (code, &answer["status"], answer["data"].is_array()),
            (200, &Value::from("success"), true),
            "{path}: {text}"
        );
        assert!(answer.get("warnings").is_none());
    }
    for path in ["label/__name__/values", "label/U__job/values", "metadata"] {
        let (code, text) = served.get(path, &window).await;
        assert_eq!((code, text.contains("\"success\"")), (200, true), "{path}");
    }
    // label values are asked by GET alone: a POST must be 405
    assert_eq!(served.post("label/job/values", &window).await.0, 405);
    for (path, form) in [("format_query", [("query", "up+1")]), ("parse_query", [("query", "up+1")])] {
        assert_eq!(served.post(path, &form).await.0, 200, "{path}");
    }
}
