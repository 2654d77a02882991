//! Must show 7, second part: a scrape body of 1 GB, by length, chunked and gzipped, at a limit of 50 MB and at the default.
//!
//! Each of the six in a fresh server: memory before, peak during, memory after; the target is down, the limit named, no series
//! made.

use super::Run;
use crate::harness::exporter::{Exporter, Reply, Way};
use crate::harness::isobar;
use crate::harness::place;
use crate::harness::process::wait_for;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

const GIGABYTE: u64 = 1 << 30;
/// Memory counts as given back within this of what it was.
const SLACK_MB: f64 = 16.0;

pub(super) fn run(run: &mut Run) -> Result<()> {
    let binary = place::binary()?;
    for (limit, peak_bound) in [(Some("50MB"), 100.0), (None, 300.0)] {
        for way in [Way::Length, Way::Chunked, Way::Gzip] {
            let name = format!("{way:?}, limit {}", limit.unwrap_or("default"));
            let left = run.step(&name, |run| visit(&binary, &run.fresh_folder("server")?, limit, way, GIGABYTE))?;
            let megabytes = |key: &str| left[key].as_f64().unwrap_or(f64::INFINITY);
            run.at_most(&format!("{name}: peak above before"), megabytes("peak_mb"), "MB", peak_bound);
            run.at_most(&format!("{name}: kept after 30 s"), megabytes("kept_mb"), "MB", SLACK_MB);
            run.note(&format!("{name}: said"), left["error"].as_str().unwrap_or_default());
        }
    }
    Ok(())
}

/// One huge body, at a limit, and what it did to the server.
///
/// # Errors
/// When the target does not go down with the limit named, a series was made, or another target suffers.
pub fn visit(binary: &Path, folder: &Path, limit: Option<&str>, way: Way, bytes: u64) -> Result<Value> {
    let now = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&now);
    let exporter = Exporter::start(0, move |path| match path {
        "/t/0/metrics" if switch.load(Ordering::Relaxed) => Reply::Huge { bytes, way },
        _ => Reply::Page("good 1\n".to_owned()),
    })?;
    let mut config = isobar::scrape_config("10s", exporter.port, 2);
    if let Some(limit) = limit {
        config = config.replacen("global:\n", &format!("global:\n  body_size_limit: {limit}\n"), 1);
    }
    let server = isobar::server(binary, folder, &config, &[])?.start()?;
    let mut api = server.api();
    let up = || api.count("up == 1").ok().filter(|n| *n == 2);
    wait_for("both targets are up", Duration::from_secs(30), up)?;
    let before = server.process.resident_kib()?;
    server.process.reset_peak()?;
    now.store(true, Ordering::Relaxed);
    let down =
        |targets: Vec<Value>| targets.into_iter().find(|t| t["labels"]["target"] == "0" && t["health"] == "down");
    let (target, _) = wait_for("the target is down", Duration::from_secs(60), || down(server.api().targets().ok()?))?;
    // the next visits are good ones: what was made of the body stays to be seen
    now.store(false, Ordering::Relaxed);
    let peak = server.process.peak_kib()?;
    let error = target["lastError"].as_str().context("no lastError")?.to_owned();
    ensure!(error.contains("limit"), "the error names no limit: {error}");
    let mut kept = f64::INFINITY;
    for _ in 0..30 {
        sleep(Duration::from_secs(1));
        kept = kept.min(mb(server.process.resident_kib()?) - mb(before));
        if kept <= SLACK_MB {
            break;
        }
    }
    ensure!(server.api().count("{__name__=~\"script_huge.*\"}")? == 0, "series were made of it");
    ensure!(server.api().count("up{target=\"1\"} == 1")? == 1, "the other target suffered");
    Ok(json!({ "peak_mb": mb(peak) - mb(before), "kept_mb": kept, "before_mb": mb(before), "error": error }))
}

fn mb(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}
