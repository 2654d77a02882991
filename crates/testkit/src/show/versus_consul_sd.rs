//! Must show 3, first part: Prometheus 2.24.1 with `consul_sd_configs` on our registry finds what ours finds.
//!
//! The registry holds services of every shape (tags, meta, own and node address, tagged addresses, failing checks); both servers
//! read it through the same jobs. Targets and their `__meta_consul_*` labels must be equal; ours, being of 3.14, also has the
//! labels later versions added.

use super::Run;
use crate::harness::api::Api;
use crate::harness::http::Client;
use crate::harness::isobar;
use crate::harness::place;
use crate::harness::process::wait_for;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Labels that came after 2.24.
const LATER: &[&str] = &["__meta_consul_health", "__meta_consul_namespace", "__meta_consul_partition"];
const SERVICES: usize = 8;

pub(super) fn run(run: &mut Run) -> Result<()> {
    let binary = place::binary()?;
    let theirs = place::original("prometheus-2.24")?;
    let folder = run.fresh_folder("ours")?;
    let registry = isobar::registry(&binary, &folder)?.start()?;
    register(registry.port)?;
    let config = config(registry.port);
    let ours = isobar::server(&binary, &folder, &config, &[])?.start()?;
    let theirs = isobar::prometheus(&theirs, &run.fresh_folder("theirs")?, &config, &[])?.start()?;
    let full = |api: &mut Api| found(api).ok().filter(|found| found.0.len() >= SERVICES);
    wait_for("ours finds them", Duration::from_secs(40), || full(&mut ours.api()))?;
    wait_for("theirs finds them", Duration::from_secs(40), || full(&mut theirs.api()))?;
    let same = || {
        let (a, b) = (found(&mut ours.api()).ok()?, found(&mut theirs.api()).ok()?);
        (a == b).then_some(())
    };
    let _ = wait_for("both agree", Duration::from_secs(20), same);
    let (a, b) = (found(&mut ours.api())?, found(&mut theirs.api())?);
    for (what, ours, theirs) in [("targets", &a.0, &b.0), ("dropped targets", &a.1, &b.1)] {
        let odd: Vec<&String> = ours.symmetric_difference(theirs).collect();
        odd.iter().take(6).for_each(|target| {
            run.say(&format!("{what}: only {}: {target}", if ours.contains(*target) { "ours" } else { "theirs" }));
        });
        run.figure(&format!("{what} on one side only"), odd.len().to_string(), "0", odd.is_empty());
        run.at_least(&format!("{what} in both"), ours.intersection(theirs).count() as f64, "", 1.0);
    }
    Ok(())
}

fn config(registry: u16) -> String {
    let server = format!("server: '127.0.0.1:{registry}'");
    format!(
        "global: {{scrape_interval: 30s}}\nscrape_configs:\n\
         - job_name: all\n  consul_sd_configs: [{{{server}, refresh_interval: 1s}}]\n\
         - job_name: some\n  consul_sd_configs: [{{{server}, services: [web, bare], tag_separator: ';', refresh_interval: 1s}}]\n\
         - job_name: tagged\n  consul_sd_configs: [{{{server}, tags: [metrics, eu], refresh_interval: 1s, allow_stale: false}}]\n\
         - job_name: kept\n  consul_sd_configs: [{{{server}, refresh_interval: 1s}}]\n  relabel_configs:\n  \
         - {{source_labels: [__meta_consul_tags], regex: '.*,metrics,.*', action: keep}}\n  \
         - {{source_labels: [__meta_consul_service], target_label: job}}\n"
    )
}

fn register(port: u16) -> Result<()> {
    let mut client = Client::new(port);
    let services = [
        json!({ "Name": "web", "ID": "web-1", "Address": "127.0.0.1", "Port": 7001, "Tags": ["metrics", "eu"], "Meta": { "version": "1.2", "a-b": "dash" } }),
        json!({ "Name": "web", "ID": "web-2", "Address": "127.0.0.2", "Port": 7002, "Tags": ["metrics", "us", "a,b"] }),
        json!({ "Name": "bare" }),
        json!({ "Name": "no-address", "Port": 7003, "Tags": [] }),
        json!({ "Name": "tagged-addresses", "Address": "10.0.0.5", "Port": 7004,
            "TaggedAddresses": { "lan": { "address": "10.0.0.5", "port": 7004 }, "wan": { "address": "198.51.100.5", "port": 80 } } }),
        json!({ "Name": "v6", "Address": "::1", "Port": 7005, "Tags": ["metrics"] }),
        json!({ "Name": "failing", "Address": "127.0.0.1", "Port": 7006, "Tags": ["metrics", "eu"],
            "Check": { "TCP": "127.0.0.1:1", "Interval": "1s", "Timeout": "1s" } }),
        json!({ "Name": "ttl", "Address": "host.example", "Port": 7007, "EnableTagOverride": true, "Weights": { "Passing": 3, "Warning": 1 },
            "Check": { "TTL": "30s", "Status": "warning" } }),
    ];
    ensure!(services.len() == SERVICES, "the count in the code is off");
    for service in &services {
        let answer = client.put_json("/v1/agent/service/register", service)?;
        ensure!(answer.status == 200, "register {service}: {} {}", answer.status, answer.text());
    }
    Ok(())
}

/// Active and dropped targets as text: pool, URL, labels, and what discovery said.
fn found(api: &mut Api) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let data = api.get("/api/v1/targets", &[])?;
    let meta = |target: &Value| -> Value {
        let all = target["discoveredLabels"].as_object().cloned().unwrap_or_default();
        let kept = all.into_iter().filter(|(name, _)| {
            name.starts_with("__meta_") && !LATER.contains(&name.as_str()) || name == "__address__" || name == "job"
        });
        Value::Object(kept.collect())
    };
    let list = |key: &str, active: bool| -> BTreeSet<String> {
        let all = data[key].as_array().into_iter().flatten();
        all.map(|target| match active {
            true => format!("{} {} {} {}", target["scrapePool"], target["scrapeUrl"], target["labels"], meta(target)),
            false => meta(target).to_string(),
        })
        .collect()
    };
    Ok((list("activeTargets", true), list("droppedTargets", false)))
}
