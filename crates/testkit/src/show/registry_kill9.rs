//! Must show 4, second part: registrations survive `kill -9` right after the last 200, their checks run, they are scraped.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own files and clock")]

use super::Run;
use crate::harness::exporter::Exporter;
use crate::harness::http::Client;
use crate::harness::isobar;
use crate::harness::machine::now_ms;
use crate::harness::place;
use crate::harness::process::wait_for;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// What a trial saw.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Services there after the kill, equal to what was registered.
    pub back: usize,
    /// Milliseconds until all their checks passed.
    pub passing_ms: u64,
    /// Milliseconds until all were up in a server that finds them there.
    pub scraped_ms: u64,
    /// Milliseconds of the slowest PUT.
    pub slowest_put_ms: u64,
}

pub(super) fn run(run: &mut Run) -> Result<()> {
    let folder = run.fresh_folder("trial")?;
    let outcome = trial(&place::binary()?, &folder, 100)?;
    run.at_least("services back, equal, of 100", outcome.back as f64, "", 100.0);
    run.at_most("all checks passing after the start", outcome.passing_ms as f64, "ms", 5000.0);
    run.at_most("all scraped after the start of a server", outcome.scraped_ms as f64, "ms", 10_000.0);
    run.note("slowest PUT", format!("{} ms", outcome.slowest_put_ms));
    Ok(())
}

/// Registers `services`, kills at once, starts again.
///
/// # Errors
/// When something does not answer; numbers are for the caller to judge.
pub fn trial(binary: &Path, folder: &Path, services: usize) -> Result<Outcome> {
    let exporter = Exporter::rows(0, 3, now_ms())?;
    let mut registry = isobar::registry(binary, folder)?.start()?;
    let mut client = Client::new(registry.port);
    let mut slowest_put_ms = 0;
    for n in 0..services {
        let began = std::time::Instant::now();
        let answer = client.put_json("/v1/agent/service/register", &registration(n, exporter.port))?;
        slowest_put_ms = slowest_put_ms.max(began.elapsed().as_millis() as u64);
        ensure!(answer.status == 200, "PUT {n}: {} {}", answer.status, answer.text());
    }
    registry.process.kill9();
    exporter.take_visits();
    registry.restart()?;
    let mut client = Client::new(registry.port);
    let found = client.get("/v1/agent/services")?.json()?;
    let back = (0..services).filter(|n| is_back(&found, *n, exporter.port)).count();
    let passing = || {
        let checks = Client::new(registry.port).get("/v1/health/state/passing").ok()?.json().ok()?;
        let ours = |check: &&Value| check["ServiceID"].as_str().is_some_and(|id| id.starts_with("s-"));
        (checks.as_array()?.iter().filter(ours).count() == services).then_some(())
    };
    let ((), passed) = wait_for("all checks pass", Duration::from_secs(30), passing)?;
    // passing may be remembered: a check that runs asks the exporter
    let visited = || (exporter.take_visits().len() >= services).then_some(());
    wait_for("the checks run", Duration::from_secs(30), visited)?;
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: found\n  consul_sd_configs: [{{server: \
         '127.0.0.1:{}', refresh_interval: 1s}}]\n  relabel_configs:\n  - source_labels: [__meta_consul_service_metadata_metrics_path]\n    \
         regex: (.+)\n    target_label: __metrics_path__\n  - source_labels: [__meta_consul_service_id]\n    target_label: id\n  \
         - source_labels: [__meta_consul_service]\n    regex: s\n    action: keep\n",
        registry.port
    );
    let server = isobar::server(binary, folder, &config, &[])?.start()?;
    let mut api = server.api();
    let up = || api.count("up == 1").ok().filter(|count| *count == services);
    let (_, scraped) = wait_for("all are scraped", Duration::from_secs(40), up)?;
    let (passing_ms, scraped_ms) = (passed.as_millis() as u64, scraped.as_millis() as u64);
    Ok(Outcome { back, passing_ms, scraped_ms, slowest_put_ms })
}

fn registration(n: usize, port: u16) -> Value {
    json!({
        "ID": format!("s-{n}"), "Name": "s", "Address": "127.0.0.1", "Port": port, "Tags": ["metrics", format!("tag-{n}")],
        "Meta": { "metrics_path": format!("/t/{n}/metrics"), "n": n.to_string() },
        "Check": { "HTTP": format!("http://127.0.0.1:{port}/t/{n}/metrics"), "Interval": "1s", "Timeout": "1s" },
    })
}

fn is_back(found: &Value, n: usize, port: u16) -> bool {
    let wanted = registration(n, port);
    let service = &found[format!("s-{n}")];
    ["Address", "Port", "Tags", "Meta"].iter().all(|key| service[*key] == wanted[*key]) && service["Service"] == "s"
}

/// Asks until the registry lists `id` with a status; how long that took.
///
/// # Errors
/// When it does not come within `limit`.
pub fn wait_status(port: u16, id: &str, status: &str, limit: Duration) -> Result<Duration> {
    let check = || {
        let checks = Client::new(port).get("/v1/agent/checks").ok()?.json().ok()?;
        let all = checks.as_object()?;
        all.values().any(|check| check["ServiceID"] == id && check["Status"] == status).then_some(())
    };
    Ok(wait_for(&format!("{id} is {status}"), limit, check).context("check")?.1)
}
