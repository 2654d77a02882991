//! Time, concurrency, clients that leave.

use crate::served::{serve, ten_minutes};
use query::QueryConfig;
use runtime::instrument::Value;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn late_queries_are_stopped_and_say_so() {
    let mut store = ten_minutes();
    store.delay = Duration::from_secs(30);
    let served = serve(store, QueryConfig { timeout: Duration::from_millis(150), ..QueryConfig::default() });
    for (path, form) in [
        ("query", vec![("query", "up")]),
        ("query", vec![("query", "up"), ("timeout", "1h")]),
        ("query", vec![("query", "up"), ("timeout", "50ms")]),
        ("series", vec![("match[]", "up")]),
        ("labels", vec![]),
    ] {
        let start = Instant::now();
        let (code, text) = served.get(path, &form).await;
        assert_eq!(code, 503, "{path} {form:?}: {text}");
        assert!(text.contains(r#""errorType":"timeout","error":"query timed out in expression evaluation"#), "{text}");
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_queries_run_than_allowed_and_a_client_that_leaves_frees_its_place() {
    let mut store = ten_minutes();
    store.delay = Duration::from_secs(20);
    let served = serve(store, QueryConfig { max_concurrency: 1, ..QueryConfig::default() });
    let running = || {
        let families = served.registry.gather();
        let family = families.iter().find(|f| f.name == "prometheus_engine_queries").expect("the gauge");
        family.series[0].value.clone()
    };
    let routes = served.routes.clone();
    let first = tokio::spawn(async move {
        let request =
            axum::http::Request::get("/api/v1/query?query=up").body(axum::body::Body::empty()).expect("a request");
        tower::ServiceExt::oneshot(routes, request).await
    });
    while running() != Value::Number(1.0) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (code, text) = served.get("query", &[("query", "1"), ("timeout", "100ms")]).await;
    assert_eq!((code, text.contains("query timed out in query queue")), (503, true), "{text}");
    first.abort();
    let (code, text) = served.get("query", &[("query", "1"), ("timeout", "5s"), ("time", "0")]).await;
    assert_eq!((code, text.as_str()), (200, r#"{"status":"success","data":{"resultType":"scalar","result":[0,"1"]}}"#));
    assert_eq!(running(), Value::Number(0.0));
}
