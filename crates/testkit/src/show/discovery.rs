//! Must show 2: a real exporter, registered by a client we did not write, is queryable, shown, and noticed when it dies; the line
//! the Overview shows for an unclaimed port works as pasted.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own clock")]

use super::Run;
use crate::harness::exporter::{Exporter, Reply};
use crate::harness::http;
use crate::harness::isobar::{self, Launch, Up};
use crate::harness::machine::now_ms;
use crate::harness::place;
use crate::harness::process::wait_for;
use crate::harness::python;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);
/// The check's interval.
const INTERVAL: Duration = Duration::from_secs(2);

/// One PUT, by py-consul.
const REGISTER: &str = r#"
import sys, time, consul
port = int(sys.argv[2])
c = consul.Consul(host="127.0.0.1", port=int(sys.argv[1]))
check = consul.Check.http("http://127.0.0.1:%d/metrics" % port, "2s", timeout="1s")
print(int(time.time() * 1000))
assert c.agent.service.register("machine", service_id="machine-1", address="127.0.0.1", port=port, tags=["metrics"], check=check)
"#;

/// Times of what must happen within a limit.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// From the PUT until a sample of the exporter is queryable.
    pub queryable: Duration,
    /// From its death until its check is critical.
    pub critical: Duration,
    /// From the pasted line until its target is up.
    pub pasted: Duration,
}

pub(super) fn run(run: &mut Run) -> Result<()> {
    let python = python::with_consul()?;
    let exporter = place::original("node-exporter")?;
    let folder = run.fresh_folder("up")?;
    let times = trial(&place::binary()?, &folder, &python, &exporter)?;
    run.at_most("registered until queryable", times.queryable.as_secs_f64(), "s", 3.0);
    run.at_most("killed until its check is critical", times.critical.as_secs_f64(), "s", INTERVAL.as_secs_f64() + 1.0);
    run.note("killed, next visit", "up is 0, its series are stale");
    run.at_most("line of an unclaimed port pasted until its target is up", times.pasted.as_secs_f64(), "s", 3.0);
    Ok(())
}

/// Runs it all on a fresh `isobar up`.
///
/// # Errors
/// When something does not happen at all.
pub fn trial(binary: &Path, folder: &Path, python: &Path, exporter: &Path) -> Result<Times> {
    let up = isobar::start_up(binary, folder, &[])?;
    let port = place::free_port()?;
    let launch = Launch::new("node-exporter", exporter, folder, port, "/metrics")
        .with([format!("--web.listen-address=127.0.0.1:{port}")]);
    let mut node = launch.start()?;
    let (queryable, critical) = life_and_death(&up, &mut node, python)?;
    let pasted = paste(&up, folder)?;
    Ok(Times { queryable, critical, pasted })
}

fn life_and_death(up: &Up, node: &mut isobar::Role, python: &Path) -> Result<(Duration, Duration)> {
    let instance = format!("127.0.0.1:{}", node.port);
    let mut api = up.role.api();
    let said = python::script(python, REGISTER, &[&up.registry.to_string(), &node.port.to_string()])?;
    let registered_ms: i64 = said.trim().parse().context("the client says no time")?;
    let sample = format!("node_load1{{instance=\"{instance}\"}}");
    wait_for("a sample of the exporter", LIMIT, || api.count(&sample).ok().filter(|n| *n == 1))?;
    let queryable = Duration::from_millis(u64::try_from(now_ms() - registered_ms).unwrap_or(0));
    let healthy = || {
        let service = service(up, "machine")?;
        (service["instances"] == 1
            && service["passing"] == 1
            && service["scraped"] == true
            && service["targets_up"] == 1)
            .then_some(())
    };
    wait_for("the service is listed, passing and up", LIMIT, healthy)?;
    let targets = api.targets()?;
    let target = targets.iter().find(|t| t["labels"]["instance"] == instance.as_str()).context("not on Targets")?;
    ensure!(target["health"] == "up" && target["labels"]["job"] == "machine", "the target: {target}");

    node.process.kill9();
    let killed = Instant::now();
    let critical = || (service(up, "machine")?["critical"] == 1).then_some(());
    wait_for("the check is critical", LIMIT, critical)?;
    let critical = killed.elapsed();
    let down = format!("up{{instance=\"{instance}\"}} == 0");
    wait_for("up is 0", LIMIT, || api.count(&down).ok().filter(|n| *n == 1))?;
    let left = api.count(&format!("{{instance=\"{instance}\",__name__=~\"node_.*\"}}"))?;
    ensure!(left == 0, "{left} series of the dead exporter are not stale");
    Ok((queryable, critical))
}

fn service(up: &Up, name: &str) -> Option<Value> {
    let answer = http::get(up.role.port, "/ui/services").ok()?.json().ok()?;
    // our own joins may answer with or without Prometheus' frame
    let list = answer.get("services").or_else(|| answer["data"].get("services"))?.as_array()?.clone();
    list.into_iter().find(|service| service["name"] == name)
}

/// Finds the line for a port of ours that no service claims, pastes it into a shell.
fn paste(up: &Up, folder: &Path) -> Result<Duration> {
    let exporter = Exporter::start(0, |_| Reply::Page("pasted 1\n".to_owned()))?;
    let line = || {
        let overview = http::get(up.role.port, "/ui/overview").ok()?.json().ok()?;
        let ports = overview.get("ports").or_else(|| overview["data"].get("ports"))?.as_array()?.clone();
        let found = ports.into_iter().find(|entry| entry["port"] == exporter.port)?;
        found["line"].as_str().map(str::to_owned)
    };
    let (line, _) = wait_for("the Overview lists the unclaimed port", LIMIT, line)?;
    let pasted = Instant::now();
    let output = Command::new("sh").arg("-c").arg(&line).current_dir(folder).output()?;
    ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let mut api = up.role.api();
    let instance = format!("127.0.0.1:{}", exporter.port);
    let query = format!("pasted{{instance=\"{instance}\"}}");
    wait_for("the pasted target is up", LIMIT, || api.count(&query).ok().filter(|n| *n == 1))?;
    Ok(pasted.elapsed())
}
