//! The exporter's routes.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use exporters::node::api::routes;
use runtime::clock::Clock;
use runtime::instrument::Registry;
use tower::ServiceExt;

async fn get(flags: &[&str], path: &str) -> (u16, String, String) {
    let registry = Registry::new(Clock::system());
    let router = routes(crate::page::exporter(flags), &registry);
    let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let kind = response.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn metrics_and_selections() {
    let (status, kind, body) = get(&[], "/metrics").await;
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"));
    assert!(body.contains("\nnode_load1 ") && body.contains("\nnode_scrape_collector_success{collector=\"cpu\"} 1\n"));
    let (_, _, body) = get(&[], "/metrics?collect[]=loadavg&collect%5B%5D=stat").await;
    assert!(body.contains("\nnode_load1 ") && body.contains("\nnode_forks_total ") && !body.contains("node_cpu_"));
    let (_, _, body) = get(&[], "/metrics?exclude[]=loadavg&exclude[]=bogus").await;
    assert!(!body.contains("\nnode_load1 ") && body.contains("\nnode_forks_total "));
}

#[tokio::test]
async fn refusals_in_the_originals_words() {
    let prefix = "Couldn't create filtered metrics handler: couldn't create collector: ";
    for (path, text) in [
        ("/metrics?collect[]=foo", format!("{prefix}missing collector: foo")),
        ("/metrics?collect[]=wifi", format!("{prefix}disabled collector: wifi")),
        ("/metrics?collect[]=cpu", format!("{prefix}disabled collector: cpu")),
        ("/metrics?collect[]=stat&exclude[]=x", "Combined collect and exclude queries are not allowed.".to_owned()),
    ] {
        let (status, _, body) = get(&["--no-collector.cpu"], path).await;
        assert_eq!((status, body), (400, text), "{path}");
    }
}

#[tokio::test]
async fn paths() {
    let (status, kind, body) = get(&[], "/").await;
    assert!(status == 200 && kind.starts_with("text/html") && body.contains("href=\"/metrics\""), "{body}");
    assert_eq!(get(&["--web.telemetry-path=/m"], "/metrics").await.0, 404);
    assert_eq!(get(&["--web.telemetry-path=/m"], "/m").await.0, 200);
    assert!(get(&["--web.telemetry-path=/"], "/").await.2.contains("node_load1"));
}
