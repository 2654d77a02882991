//! Must show 4, third part: twelve block cuts with a fifth of the series new each minute, retention by time, then by size.
//!
//! Memory and log are read every two seconds; a cut's figure is the most between it and the next. They level off when the last
//! four cuts need hardly more than the four in the middle. Each phase is a step: a cut run repeats the phase it was in.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own clock")]

use super::Run;
use super::record::short;
use crate::harness::exporter::{Exporter, Reply, target_of};
use crate::harness::isobar;
use crate::harness::machine::now_ms;
use crate::harness::place;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TARGETS: usize = 20;
const SERIES: usize = 500;
const CUTS: usize = 12;
/// The last four against the middle four, at most.
const GROWTH: f64 = 1.15;
const RETAINED_MINUTES: i64 = 4;

pub(super) fn run(run: &mut Run) -> Result<()> {
    let binary = place::binary()?;
    let time = run.step("retention by time", |run| {
        let retention = format!("--storage.tsdb.retention.time={RETAINED_MINUTES}m");
        phase(run, &binary, &run.fresh_folder("time")?, &retention, CUTS)
    })?;
    judge(run, "by time", &time)?;
    let oldest = time["oldest_block_s"].as_f64().context("no age")?;
    // a block goes when its end is past the limit: merged ones span three minutes, and are looked at once a minute
    run.at_most("by time: age of the oldest sample kept", oldest, "s", (RETAINED_MINUTES as f64 + 5.0) * 60.0);
    let block = time["bytes_per_cut"].as_f64().context("no bytes")?;
    let limit = (block * 5.0) as u64;
    let size = run.step("retention by size", |run| {
        let retention = format!("--storage.tsdb.retention.size={limit}B");
        phase(run, &binary, &run.fresh_folder("size")?, &retention, CUTS)
    })?;
    judge(run, "by size", &size)?;
    let bytes = size["bytes_at_end"].as_f64().context("no bytes")?;
    run.at_most("by size: blocks and log at the end", bytes / 1e6, "MB", (limit as f64 + block * 2.0) / 1e6);
    Ok(())
}

fn judge(run: &mut Run, phase: &str, left: &Value) -> Result<()> {
    for (what, unit) in [("rss_mb", "MB"), ("wal_mb", "MB")] {
        let list: Vec<f64> = left[what].as_array().context("no list")?.iter().filter_map(Value::as_f64).collect();
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
        let (middle, last) = (mean(&list[CUTS / 3..CUTS * 2 / 3]), mean(&list[CUTS * 2 / 3..]));
        let all: Vec<String> = list.iter().map(|n| short(*n)).collect();
        run.note(&format!("{phase}: {what} per cut"), all.join(" "));
        run.at_most(&format!("{phase}: {what}, last four of the middle four"), last / middle, "", GROWTH);
        run.note(&format!("{phase}: {what}, mean of the last four"), format!("{} {unit}", short(last)));
    }
    Ok(())
}

/// A page where a fifth of the series carries the minute as a label.
fn page(target: usize, minute: i64, now: i64) -> String {
    let mut page = String::with_capacity(SERIES * 48);
    for i in 0..SERIES {
        let generation = if i % 5 == 0 { minute } else { 0 };
        let _ =
            writeln!(page, "churn{{i=\"{i}\",generation=\"{generation}\"}} {}", now % 100_000 + (target * i) as i64);
    }
    page
}

fn phase(run: &Run, binary: &Path, folder: &Path, retention: &str, cuts: usize) -> Result<Value> {
    let exporter = Exporter::start(0, |path| match target_of(path) {
        Some(target) => Reply::Page(page(target, now_ms() / 60_000, now_ms())),
        None => Reply::Status(404, String::new()),
    })?;
    let config = isobar::scrape_config("2s", exporter.port, TARGETS);
    let flags = ["--storage.tsdb.min-block-duration=1m", retention];
    let mut server = isobar::server(binary, folder, &config, &flags)?.start()?;
    let data = folder.join("data");
    let (mut rss, mut wal, mut bytes_per_cut) = (Vec::new(), Vec::new(), 0.0f64);
    let (mut most_rss, mut most_wal) = (0.0f64, 0.0f64);
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut since = Instant::now();
    while rss.len() < cuts {
        sleep(Duration::from_secs(2));
        if let Some(status) = server.process.try_wait()? {
            bail!("the server ended ({status}): {}", server.process.output());
        }
        most_rss = most_rss.max(server.process.resident_kib()? as f64 * 1024.0 / 1e6);
        most_wal = most_wal.max(place::folder_bytes(&data.join("wal")) as f64 / 1e6);
        // merged blocks are new names too: a cut is a block of one minute
        let fresh: Vec<String> = place::blocks(&data).into_iter().filter(|b| seen.insert(b.clone())).collect();
        let cut: Vec<&String> = fresh.iter().filter(|block| span_ms(&data, block) <= 60_000).collect();
        if !cut.is_empty() {
            let bytes = cut.iter().map(|block| place::folder_bytes(&data.join(block)) as f64);
            bytes_per_cut = bytes.fold(bytes_per_cut, f64::max);
            for _ in &cut {
                rss.push(most_rss);
                wal.push(most_wal);
            }
            run.say(&format!(
                "{retention}: cut {}, {} MB resident, {} MB of log",
                rss.len(),
                short(most_rss),
                short(most_wal)
            ));
            (most_rss, most_wal, since) = (0.0, 0.0, Instant::now());
        }
        if since.elapsed() > Duration::from_secs(240) {
            bail!("no block was cut for four minutes: {}", server.process.output());
        }
    }
    let oldest = place::blocks(&data).iter().filter_map(|block| times(&data, block)).map(|(from, _)| from).min();
    let blocks: u64 = place::blocks(&data).iter().map(|block| place::folder_bytes(&data.join(block))).sum();
    Ok(json!({
        "rss_mb": rss, "wal_mb": wal, "bytes_per_cut": bytes_per_cut,
        "oldest_block_s": oldest.map_or(0.0, |from| (now_ms() - from) as f64 / 1000.0),
        "bytes_at_end": blocks + place::folder_bytes(&data.join("wal")),
    }))
}

fn times(data: &Path, block: &str) -> Option<(i64, i64)> {
    let text = std::fs::read(data.join(block).join("meta.json")).ok()?;
    let meta: Value = serde_json::from_slice(&text).ok()?;
    Some((meta["minTime"].as_i64()?, meta["maxTime"].as_i64()?))
}

fn span_ms(data: &Path, block: &str) -> i64 {
    times(data, block).map_or(i64::MAX, |(from, to)| to - from)
}
