//! Jobs with several providers, and reloads.

use crate::mini_consul::MiniConsul;
use crate::setting::{Setting, addresses, consul, eventually, file, fixed, until};
use std::time::Duration;

#[tokio::test]
async fn providers_of_a_job_make_one_set() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yml"), "- targets: ['file:1']\n").unwrap();
    let mut setting = Setting::new();
    let receiver = setting.job(vec![fixed(&["static:1"]), file("files: [a.yml]", dir.path()), fixed(&["static:2"])]);
    until(&receiver, &["file:1", "static:1", "static:2"]).await;
    assert_eq!(setting.value("prometheus_sd_discovered_targets"), 3.0);
    assert_eq!(setting.value("prometheus_sd_updates_total"), 1.0, "published once, whole");
    let receiver = setting.job(vec![]);
    until(&receiver, &[]).await;
}

#[tokio::test]
async fn a_reload_leaves_unchanged_providers_alone_and_loses_no_target_meanwhile() {
    let server = MiniConsul::start();
    server.register("web", "web-1", "", 1, &[]);
    let watch = |more: &str| consul(&format!("server: 127.0.0.1:{}\nrefresh_interval: 10ms\n{more}", server.port));
    let mut setting = Setting::new();
    let receiver = setting.job(vec![watch(""), fixed(&["a:1"])]);
    until(&receiver, &["10.0.0.1:1", "a:1"]).await;
    assert_eq!(server.asked("agent/self").len(), 1);
    setting.job(vec![fixed(&["b:1"]), watch("")]);
    until(&receiver, &["10.0.0.1:1", "b:1"]).await;
    assert_eq!(server.asked("agent/self").len(), 1, "the same provider goes on");

    let mut steps = receiver.clone();
    steps.next().await;
    setting.job(vec![fixed(&["b:1"]), watch("tag_separator: ';'")]);
    let step = tokio::time::timeout(Duration::from_secs(2), steps.next()).await.expect("a new set").unwrap();
    let tags: Vec<_> = step.iter().flat_map(|group| &group.targets).map(|t| t.value("__meta_consul_tags")).collect();
    assert_eq!(tags, ["", ";;"], "the first set after the reload has the new provider's targets");
    assert_eq!(addresses(&receiver), ["10.0.0.1:1", "b:1"]);
}

#[tokio::test]
async fn a_job_that_is_gone_ends_with_its_providers_and_its_metrics() {
    let server = MiniConsul::start();
    let mut setting = Setting::new();
    let watch = consul(&format!("server: 127.0.0.1:{}\nrefresh_interval: 10ms", server.port));
    let mut receiver = setting.job(vec![watch, fixed(&["a:1"])]);
    until(&receiver, &["a:1"]).await;
    receiver.next().await;
    setting.manager.apply(vec![]);
    let ended = tokio::time::timeout(Duration::from_secs(2), receiver.next()).await.expect("the channel ends");
    assert_eq!(ended, None);
    eventually("no metric is left", || setting.value("prometheus_sd_discovered_targets") == 0.0).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let asked = server.asked("").len();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.asked("").len(), asked, "nobody asks any more");
}

#[tokio::test]
async fn a_slow_provider_does_not_hold_up_the_others() {
    let mut setting = Setting::new();
    // nothing listens there
    let receiver = setting.job(vec![consul("server: 127.0.0.1:9"), fixed(&["a:1"])]);
    until(&receiver, &["a:1"]).await;
}
