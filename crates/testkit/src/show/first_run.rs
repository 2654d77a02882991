//! Must show 1, without the browser's part: from the start of the binary to samples, charts and services; the first screen's weight.
//!
//! Paint, contrast and keyboard are the browser's to judge: `npm run browser` is run against the same binary, its verdict is a
//! figure.

use super::Run;
use crate::harness::http::Client;
use crate::harness::isobar;
use crate::harness::machine::now_ms;
use crate::harness::place;
use crate::harness::process::wait_for;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const RUNS: usize = 5;
/// What the Overview's six tiles draw, in the form of their queries: the families they stand on.
const CHARTS: &[&str] = &[
    "rate(node_cpu_seconds_total{mode=\"idle\"}[15s])",
    "node_memory_MemAvailable_bytes",
    "node_load1",
    "node_filesystem_avail_bytes",
    "rate(node_disk_read_bytes_total[15s])",
    "rate(node_network_receive_bytes_total[15s])",
];

pub(super) fn run(run: &mut Run) -> Result<()> {
    let binary = place::binary()?;
    let (mut times, mut fewest, mut listed) = (Vec::new(), usize::MAX, true);
    let mut weight = 0;
    for _ in 0..RUNS {
        let folder = run.fresh_folder("up")?;
        let (launch, _, _) = isobar::up(&binary, &folder, &[])?;
        let up = launch.start_unready()?;
        let started = up.process.started();
        let mut api = up.api();
        let first = || api.count("node_load1").ok().filter(|n| *n > 0);
        wait_for("the first sample", Duration::from_secs(20), first)?;
        times.push(started.elapsed().as_secs_f64());
        sleep(Duration::from_secs(5).saturating_sub(started.elapsed()));
        for chart in CHARTS {
            let points = points(&mut api, chart)?;
            if points < 3 {
                run.say(&format!("{points} points of {chart}"));
            }
            fewest = fewest.min(points);
        }
        let services = Client::new(up.port).get("/ui/services")?.json()?;
        let text = services.to_string();
        listed &= text.contains("node-exporter") && text.contains("isobar");
        weight = first_screen(up.port)?;
    }
    times.sort_by(f64::total_cmp);
    run.at_most(&format!("first sample queryable after the start, slowest of {RUNS}"), times[RUNS - 1], "s", 2.0);
    run.note("median", format!("{:.2} s", times[RUNS / 2]));
    run.at_least("points in each chart's query at 5 s, fewest", fewest as f64, "", 3.0);
    run.figure("services found are listed at 5 s", listed.to_string(), "true", listed);
    run.at_most("first screen as sent", weight as f64 / 1000.0, "kB", 90.0);
    browser(run, &binary)
}

fn points(api: &mut crate::harness::api::Api, query: &str) -> Result<usize> {
    let now = now_ms() as f64 / 1000.0;
    let (start, end) = (format!("{:.3}", now - 60.0), format!("{now:.3}"));
    let data = api.query_range(query, &start, &end, "1")?;
    let series = data["result"].as_array().into_iter().flatten();
    Ok(series.filter_map(|one| one["values"].as_array().map(Vec::len)).max().unwrap_or(0))
}

/// Bytes of the page and everything it names, each as a browser would be sent it.
fn first_screen(port: u16) -> Result<usize> {
    let mut client = Client::new(port);
    let mut get = |path: &str| -> Result<(usize, String)> {
        let answer = client.request("GET", path, &[("Accept-Encoding", "gzip")], b"")?;
        ensure!(answer.status == 200, "{path}: {}", answer.status);
        Ok((answer.sent, answer.text()))
    };
    let (mut total, page) = get("/")?;
    let mut waiting: Vec<String> = named(&page);
    ensure!(!waiting.is_empty(), "the page names no script: was the binary built without it?");
    let mut seen = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let (bytes, text) = get(&path)?;
        total += bytes;
        if path.ends_with(".css") {
            // fonts
            let fonts = text.split("url(").skip(1).filter_map(|rest| rest.split(')').next());
            waiting.extend(
                fonts.map(|url| url.trim_matches(['"', '\'']).to_owned()).filter(|url| url.contains(".woff2")).map(
                    |url| {
                        if url.starts_with('/') { url } else { format!("/assets/{}", url.trim_start_matches("./")) }
                    },
                ),
            );
        }
    }
    Ok(total)
}

/// What the HTML names in `src` and `href`, icons left out.
fn named(page: &str) -> Vec<String> {
    let quoted = ["src=\"", "href=\""].into_iter().flat_map(|mark| page.split(mark).skip(1));
    let paths = quoted.filter_map(|rest| rest.split('"').next());
    let own = paths.filter(|path| path.ends_with(".js") || path.ends_with(".css") || path.ends_with(".woff2"));
    own.map(|path| format!("/{}", path.trim_start_matches("./").trim_start_matches('/'))).collect()
}

fn browser(run: &mut Run, binary: &std::path::Path) -> Result<()> {
    let folder = run.fresh_folder("browser")?;
    let up = isobar::start_up(binary, &folder, &[])?;
    let output = Command::new("npm")
        .args(["run", "--silent", "browser"])
        .current_dir(place::root().join("ui"))
        .env("ISOBAR_URL", format!("http://127.0.0.1:{}", up.role.port))
        .env("ISOBAR_BINARY", binary)
        .output()
        .context("cannot start npm")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(str::trim);
    for line in lines.filter(|line| line.contains("paint") || line.starts_with('✖')) {
        run.note("browser", line.trim_start_matches(['✔', '✖', ' ']));
    }
    run.figure(
        "browser: flow, axe, keyboard, weight, paint",
        if output.status.success() { "pass" } else { "fail" },
        "pass",
        output.status.success(),
    );
    Ok(())
}
