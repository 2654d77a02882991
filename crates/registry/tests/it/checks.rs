//! Checks against things that really listen, and stop listening.

use crate::client::{Reply, get, put};
use crate::instance::Instance;
use registry::Config;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

fn config(folder: &std::path::Path) -> Config {
    Config { node_name: "n1".to_owned(), data_dir: folder.to_owned(), ..Config::default() }
}

async fn until(to: SocketAddr, path: &str, what: &str, limit: Duration, holds: impl Fn(&Reply) -> bool) -> Duration {
    let begun = Instant::now();
    loop {
        let reply = get(to, path).await;
        if holds(&reply) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < limit, "not {what} within {limit:?}: {}", reply.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn status_is(status: &'static str) -> impl Fn(&Reply) -> bool {
    move |reply| {
        reply.json()[0]["Checks"]
            .as_array()
            .is_some_and(|checks| checks.iter().any(|c| c["CheckID"] == "tcp" && c["Status"] == status))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_dies_is_critical_within_its_interval_and_a_second() {
    let folder = tempfile::tempdir().expect("folder");
    let instance = Instance::start(config(folder.path())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let body = format!(
        r#"{{"Name":"web","Port":{port},"Check":{{"CheckID":"tcp","TCP":"127.0.0.1:{port}","Interval":"1s","Timeout":"500ms"}}}}"#
    );
    assert_eq!(put(instance.address, "/v1/agent/service/register", &body).await.status, 200);
    let second = Duration::from_secs(1);
    until(instance.address, "/v1/health/service/web", "passing", second * 2, status_is("passing")).await;
    drop(listener);
    until(instance.address, "/v1/health/service/web", "critical", second * 2, status_is("critical")).await;
    // the check goes on after a restart, and what it said is still known at once
    instance.stop().await;
    let again = Instance::start(config(folder.path())).await;
    assert!(status_is("critical")(&get(again.address, "/v1/health/service/web").await));
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free again");
    until(again.address, "/v1/health/service/web", "passing", second * 3, status_is("passing")).await;
    drop(listener);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_that_never_answer_hold_up_no_other_check() {
    let folder = tempfile::tempdir().expect("folder");
    let instance = Instance::start(config(folder.path())).await;
    // accepts, says nothing
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let silent_port = silent.local_addr().expect("an address").port();
    let open = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
        }
    });
    for n in 0..200 {
        let body = format!(
            r#"{{"Name":"silent{n}","Check":{{"HTTP":"http://127.0.0.1:{silent_port}/","Interval":"1s","Timeout":"30s"}}}}"#
        );
        assert_eq!(put(instance.address, "/v1/agent/service/register", &body).await.status, 200);
    }
    // every one of them is running by then
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let body = format!(r#"{{"Name":"web","Check":{{"CheckID":"tcp","TCP":"127.0.0.1:{port}","Interval":"1s"}}}}"#);
    assert_eq!(put(instance.address, "/v1/agent/service/register", &body).await.status, 200);
    let limit = Duration::from_secs(3);
    until(instance.address, "/v1/health/service/web", "passing", limit, status_is("passing")).await;
    open.abort();
    instance.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ttl_expires_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().expect("folder");
    let first = Instance::start(config(folder.path())).await;
    let body = r#"{"Name":"t","Check":{"CheckID":"tcp","TTL":"1s","Status":"passing"}}"#;
    assert_eq!(put(first.address, "/v1/agent/service/register", body).await.status, 200);
    assert_eq!(put(first.address, "/v1/agent/check/pass/tcp?note=fine", "").await.status, 200);
    first.stop().await;
    let second = Instance::start(config(folder.path())).await;
    assert!(status_is("passing")(&get(second.address, "/v1/health/service/t").await), "the report is on disk");
    until(second.address, "/v1/health/service/t", "expired", Duration::from_secs(3), status_is("critical")).await;
    let checks = get(second.address, "/v1/agent/checks").await.json();
    assert_eq!(checks["tcp"]["Output"], "TTL expired (last output before timeout follows): fine");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_refuse_and_say_which() {
    let folder = tempfile::tempdir().expect("folder");
    let mut limited = config(folder.path());
    limited.limits.services = 2;
    limited.limits.blocking_queries = 1;
    let instance = Instance::start(limited).await;
    let to = instance.address;
    for (name, status) in [("a", 200), ("b", 200), ("c", 429), ("a", 200)] {
        let body = format!(r#"{{"Name":"{name}"}}"#);
        assert_eq!(put(to, "/v1/agent/service/register", &body).await.status, status, "{name}");
    }
    let waiting = tokio::spawn(async move { get(to, "/v1/catalog/nodes?index=999&wait=1s").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let refused = get(to, "/v1/catalog/nodes?index=999&wait=1s").await;
    assert_eq!((refused.status, refused.text().contains("the limit is 1")), (429, true));
    assert_eq!(waiting.await.expect("it ends").status, 200);
    let large = "x".repeat(600 << 10);
    assert_eq!(put(to, "/v1/agent/service/register", &large).await.status, 413);
    assert_eq!(put(to, "/v1/kv/a", "b").await.status, 501);
    assert_eq!(get(to, "/v1/nope").await.status, 404);
    let metrics = get(to, "/v1/agent/metrics?format=prometheus").await.text();
    assert!(metrics.contains("consul_rpc_queries_blocking_refused_total 1\n"), "{metrics}");
    instance.stop().await;
}
