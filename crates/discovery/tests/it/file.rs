//! `file_sd_configs`: files that come, change, break and go.

use crate::setting::{Setting, addresses, eventually, file, until};
use std::time::Duration;

#[tokio::test]
async fn files_come_change_break_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("a.yml"), "- targets: ['a:1']\n  labels: {env: prod}\n").unwrap();
    let mut setting = Setting::new();
    let receiver = setting.job(vec![file("files: ['*.yml', b.json, '*.yml']\nrefresh_interval: 1h", dir.path())]);
    until(&receiver, &["a:1"]).await;
    let shown = receiver.current().unwrap()[0].labels.to_string();
    assert_eq!(shown, format!(r#"{{__meta_filepath="{}", env="prod"}}"#, path("a.yml").display()));

    std::fs::write(path("b.json"), r#"[{"targets":["b:1","b:2"]}]"#).unwrap();
    until(&receiver, &["a:1", "b:1", "b:2"]).await;
    std::fs::write(path("a.yml"), "- targets: ['a:1', 'a:22']\n").unwrap();
    until(&receiver, &["a:1", "a:22", "b:1", "b:2"]).await;

    std::fs::write(path("b.json"), r#"[{"targets":["b:1"#).unwrap();
    eventually("the error is counted", || setting.value("prometheus_sd_file_read_errors_total") >= 1.0).await;
    assert_eq!(addresses(&receiver), ["a:1", "a:22", "b:1", "b:2"], "a broken file keeps what it said");
    assert!(setting.value("prometheus_sd_file_mtime_seconds") > 2.0 * 1.7e9, "two files");

    std::fs::remove_file(path("b.json")).unwrap();
    until(&receiver, &["a:1", "a:22"]).await;
    // something that never ends
    std::os::unix::fs::symlink("/dev/zero", path("b.json")).unwrap();
    eventually("the error is counted", || setting.value("prometheus_sd_file_read_errors_total") >= 2.0).await;
    std::fs::remove_file(path("b.json")).unwrap();
    assert!(setting.value("prometheus_sd_file_mtime_seconds") < 2.0 * 1.7e9, "one file");
    assert!(setting.value("prometheus_sd_file_scan_duration_seconds") >= 1.0);
}

#[tokio::test]
async fn unchanged_files_are_read_again_after_the_interval_at_the_latest() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yml"), "broken: [").unwrap();
    let mut setting = Setting::new();
    let _receiver = setting.job(vec![file("files: [a.yml]\nrefresh_interval: 50ms", dir.path())]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    eventually("read again and again", || setting.value("prometheus_sd_file_read_errors_total") >= 3.0).await;
}
