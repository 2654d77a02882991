//! Must show 6, second part: the node exporter beside the original, its cost per scrape and its page on the fixture tree.

use super::Run;
use crate::harness::http::Client;
use crate::harness::isobar::{self, Launch, Role};
use crate::harness::place;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The collectors ours has.
const COLLECTORS: &[&str] = &[
    "cpu",
    "diskstats",
    "filefd",
    "filesystem",
    "loadavg",
    "meminfo",
    "netclass",
    "netdev",
    "netstat",
    "pressure",
    "sockstat",
    "stat",
    "textfile",
    "time",
    "uname",
    "vmstat",
];
const ROUNDS: usize = 10;
const SCRAPES: usize = 100;

/// Families whose values depend on the moment or on this machine.
const OF_THE_MOMENT: &[&str] = &[
    "node_scrape_collector_duration_seconds",
    "node_textfile_mtime_seconds",
    "node_time_seconds",
    "node_time_zone_offset_seconds",
    "node_network_receive_bytes_total",
    "node_network_receive_packets_total",
    "node_network_transmit_bytes_total",
    "node_network_transmit_packets_total",
    "node_exporter_build_info",
];

fn flags(leave_out: &[&str]) -> Vec<String> {
    let mut flags = vec!["--collector.disable-defaults".to_owned(), "--web.disable-exporter-metrics".to_owned()];
    flags.extend(COLLECTORS.iter().filter(|name| !leave_out.contains(name)).map(|name| format!("--collector.{name}")));
    flags
}

fn both(run: &Run, flags: &[String]) -> Result<(Role, Role)> {
    let folder = run.fresh_folder("exporters")?;
    let given: Vec<&str> = flags.iter().map(String::as_str).collect();
    let ours = isobar::node_exporter(&place::binary()?, &folder, &given)?.start()?;
    let port = place::free_port()?;
    let theirs = Launch::new("node-exporter", &place::original("node-exporter")?, &folder, port, "/metrics")
        .with([format!("--web.listen-address=127.0.0.1:{port}")])
        .with(flags.to_vec())
        .start()?;
    Ok((ours, theirs))
}

/// CPU per scrape, both in turns.
pub(super) fn cpu(run: &mut Run) -> Result<()> {
    let mut flags = flags(&[]);
    // Debian's defaults of these differ from upstream's
    flags.push("--collector.textfile.directory=".into());
    flags.push("--collector.filesystem.mount-points-exclude=^/(dev|proc|sys)($|/)".into());
    let (ours, theirs) = both(run, &flags)?;
    let (mut a, mut b) = (Client::new(ours.port), Client::new(theirs.port));
    let mut lines = (0, 0);
    let (mut own, mut other) = (0.0, 0.0);
    for _ in 0..ROUNDS {
        own += spent(&ours, &mut a, &mut lines.0)?;
        other += spent(&theirs, &mut b, &mut lines.1)?;
    }
    let each = |seconds: f64| seconds * 1000.0 / (ROUNDS * SCRAPES) as f64;
    run.note("original, per scrape", format!("{:.3} ms, {} lines", each(other), lines.1));
    run.note("ours, per scrape", format!("{:.3} ms, {} lines", each(own), lines.0));
    run.at_most("ours, of the original's CPU (aim 0.2)", own / other, "", 0.25);
    ensure!(lines.0.abs_diff(lines.1) * 50 <= lines.1, "the pages differ in length: this compares nothing");
    Ok(())
}

fn spent(role: &Role, client: &mut Client, lines: &mut usize) -> Result<f64> {
    let before = role.process.cpu()?;
    for _ in 0..SCRAPES {
        let answer = client.request("GET", "/metrics", &[("Accept-Encoding", "gzip")], b"")?;
        ensure!(answer.status == 200, "status {}", answer.status);
        *lines = answer.body.iter().filter(|byte| **byte == b'\n').count();
    }
    Ok((role.process.cpu()? - before).as_secs_f64())
}

/// Names, types, help, labels and values on the fixture tree.
pub(super) fn fixture(run: &mut Run) -> Result<()> {
    let data = place::conformance().context("the recordings are not to be had (ISOBAR_CONFORMANCE)")?;
    let tree = run.fresh_folder("tree")?;
    let archive = data.join("node_exporter/fixtures.tar.gz");
    let status = Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(&tree).status()?;
    ensure!(status.success(), "tar does not unpack {}", archive.display());
    let mut flags = flags(&["filesystem", "uname"]);
    flags.extend(fixture_flags(&tree));
    let (ours, theirs) = both(run, &flags)?;
    let page = |role: &Role| -> Result<_> { Ok(families(&Client::new(role.port).get("/metrics")?.text())) };
    let (a, b) = (page(&ours)?, page(&theirs)?);
    let differ: Vec<&String> = a.keys().chain(b.keys()).filter(|name| a.get(*name) != b.get(*name)).collect();
    let differ: BTreeSet<&String> = differ.into_iter().collect();
    differ
        .iter()
        .take(10)
        .for_each(|name| run.say(&format!("{name}: {:?}\n      theirs {:?}", a.get(*name), b.get(*name))));
    let samples: usize = b.values().map(BTreeSet::len).sum();
    run.figure(
        "families that differ from the original's on the fixture tree",
        differ.len().to_string(),
        "0",
        differ.is_empty(),
    );
    run.at_least("families compared", b.len() as f64, "", 150.0);
    run.note("lines compared", samples.to_string());
    Ok(())
}

fn fixture_flags(tree: &Path) -> Vec<String> {
    let at = |path: &str| tree.join(path).display().to_string();
    vec![
        format!("--path.procfs={}", at("proc")),
        format!("--path.sysfs={}", at("sys")),
        "--path.rootfs=/".to_owned(),
        format!("--path.udev.data={}", at("udev/data")),
        "--collector.cpu.info".to_owned(),
        "--collector.cpu.info.bugs-include=^(cpu_meltdown|spectre_.*|mds)$".to_owned(),
        "--collector.cpu.info.flags-include=^(aes|avx.?|constant_tsc)$".to_owned(),
        "--collector.netclass.ignore-invalid-speed".to_owned(),
        "--collector.netclass.ignored-devices=(dmz|int)".to_owned(),
        "--collector.netdev.device-include=lo".to_owned(),
        "--collector.stat.softirq".to_owned(),
        format!("--collector.textfile.directory={}", at("textfile/two_metric_files/")),
    ]
}

/// A page as families: HELP, TYPE and samples, each line once, without what depends on the moment.
fn families(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut families: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut family = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")) {
            family = rest.split(' ').next().unwrap_or_default().to_owned();
        }
        families.entry(family.clone()).or_default().insert(line.to_owned());
    }
    families.retain(|name, _| !OF_THE_MOMENT.contains(&name.as_str()));
    families
}
