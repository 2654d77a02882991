//! What was acknowledged survives.

use crate::client::{get, put};
use crate::instance::Instance;
use registry::Config;
use runtime::disk::{RealDisk, SimDisk};
use std::path::PathBuf;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_registrations_survive_the_loss_of_power() {
    let disk = SimDisk::new();
    let config = || Config { data_dir: PathBuf::from("/data"), node_name: "n1".to_owned(), ..Config::default() };
    let first = Instance::start_on(config(), Arc::new(disk.clone())).await;
    for n in 0..100 {
        let body = format!(r#"{{"ID":"s{n}","Name":"web","Port":{n},"Check":{{"TTL":"1h","Status":"passing"}}}}"#);
        assert_eq!(put(first.address, "/v1/agent/service/register", &body).await.status, 200);
    }
    let before = get(first.address, "/v1/health/service/web").await;
    let own = get(first.address, "/v1/agent/self").await.json()["Config"]["NodeID"].clone();
    // nothing is said to the registry: it is as dead as after kill -9, and what was not synced is gone
    std::mem::forget(first);
    disk.power_loss(42);
    let second = Instance::start_on(config(), Arc::new(disk)).await;
    let after = get(second.address, "/v1/health/service/web").await;
    assert_eq!(after.json().as_array().map(Vec::len), Some(100));
    assert_eq!(before.text(), after.text(), "the same answer, indexes and all");
    assert_eq!(before.header("x-consul-index"), after.header("x-consul-index"));
    assert_eq!(get(second.address, "/v1/agent/self").await.json()["Config"]["NodeID"], own);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_comes_back_through_snapshots_too() {
    let folder = tempfile::tempdir().expect("folder");
    let config = || {
        let mut config = Config { data_dir: folder.path().to_owned(), node_name: "n1".to_owned(), ..Config::default() };
        config.limits.log_bytes_per_snapshot = 10_000;
        config
    };
    let first = Instance::start_on(config(), Arc::new(RealDisk)).await;
    for n in 0..150 {
        let body =
            format!(r#"{{"ID":"s{}","Name":"web","Port":{n},"Checks":[{{"TTL":"1h"}},{{"TTL":"2h"}}]}}"#, n % 50);
        assert_eq!(put(first.address, "/v1/agent/service/register", &body).await.status, 200);
    }
    assert_eq!(put(first.address, "/v1/agent/service/deregister/s7", "").await.status, 200);
    assert_eq!(put(first.address, "/v1/agent/check/pass/service:s8:1?note=fine", "").await.status, 200);
    let paths = ["/v1/health/service/web", "/v1/agent/services", "/v1/agent/checks", "/v1/catalog/nodes"];
    let mut before = Vec::new();
    for path in paths {
        before.push(get(first.address, path).await.text());
    }
    first.stop().await;
    assert!(has_snapshot(&folder.path().join("log")), "no snapshot was written");
    let second = Instance::start_on(config(), Arc::new(RealDisk)).await;
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(get(second.address, path).await.text(), before, "{path}");
    }
    second.stop().await;
}

fn has_snapshot(log: &std::path::Path) -> bool {
    let entries = std::fs::read_dir(log).expect("the log").flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("snapshot-"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_log_refuses_writes_and_goes_on_answering() {
    let disk = SimDisk::new();
    let config = Config { data_dir: PathBuf::from("/data"), node_name: "n1".to_owned(), ..Config::default() };
    let instance = Instance::start_on(config, Arc::new(disk.clone())).await;
    assert_eq!(put(instance.address, "/v1/agent/service/register", r#"{"Name":"a"}"#).await.status, 200);
    disk.fail_call(disk.calls() + 1, runtime::disk::Fault::Io);
    let failed = put(instance.address, "/v1/agent/service/register", r#"{"Name":"b"}"#).await;
    assert_eq!(failed.status, 500, "{}", failed.text());
    let refused = put(instance.address, "/v1/agent/service/register", r#"{"Name":"c"}"#).await;
    assert_eq!((refused.status, refused.text().contains("poisoned")), (500, true), "{}", refused.text());
    assert_eq!(get(instance.address, "/v1/catalog/services").await.status, 200);
    instance.stop().await;
}
