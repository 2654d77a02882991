//! Data format 1, as the first release wrote it: every later binary opens it.
//!
//! `testdata/format-1.tar.gz` holds the data directories of a `server` (two blocks and a log, killed with -9) and of a
//! `registry` (three registrations, killed with -9). It is never written again: a change that cannot open it is a new format.

use crate::binary;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use testkit::harness::isobar::{registry, server};
use testkit::harness::place::Scratch;

/// Unpacks the kept directories into `into`.
fn unpack(into: &Path) {
    let archive = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/testdata/format-1.tar.gz");
    let status = Command::new("tar").args(["xzf", archive, "-C"]).arg(into).status().expect("tar is there");
    assert!(status.success(), "tar: {status}");
}

#[test]
fn metrics_of_format_1_open_and_answer() {
    let folder = Scratch::new("format-1-metrics").expect("a folder");
    unpack(folder.path());
    std::fs::rename(folder.join("metrics"), folder.join("data")).expect("renamed");
    let role = server(&binary(), folder.path(), "", &["--storage.tsdb.retention.time=100y"]).expect("a launch").start();
    let role = role.expect("the server opens what an older one wrote");
    let mut api = role.api();
    let mut value = |query: &str| {
        let answer = api.query(query, "1795268000").expect("an answer");
        answer["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    // 134 scrapes: two blocks of 17 and 60 scrapes, the rest in the log
    assert_eq!(value(r#"count_over_time(up{kept="fixture"}[1h])"#).as_deref(), Some("134"));
    assert_eq!(value(r#"sum(sum_over_time(process_open_fds{kept="fixture"}[1h]))"#).as_deref(), Some("2278"));
}

#[test]
fn a_registry_of_format_1_opens_and_answers() {
    let folder = Scratch::new("format-1-registry").expect("a folder");
    unpack(folder.path());
    let launch = registry(&binary(), folder.path()).expect("a launch").with(["-node=kept"]);
    let role = launch.start().expect("the registry opens what an older one wrote");
    let mut api = role.api();
    let answer = api.client().get("/v1/health/service/shop?passing").expect("an answer").json().expect("json");
    let found: Vec<_> = answer.as_array().into_iter().flatten().map(|i| i["Service"]["Meta"]["n"].clone()).collect();
    assert_eq!(json!(found), json!(["1", "2", "3"]));
}
