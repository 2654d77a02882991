//! Must show 7, first part: bad input gets one clear line; the process ends with an error and nothing is lost, or it goes on.
//!
//! The cases are a table; the binary's integration tests run the same one.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own files and sockets")]

use super::Run;
use crate::harness::exporter::{Exporter, Reply};
use crate::harness::http::Client;
use crate::harness::isobar;
use crate::harness::kill::Trial;
use crate::harness::machine::now_ms;
use crate::harness::place;
use crate::harness::process::{self, wait_for};
use anyhow::{Context, Result, bail, ensure};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A case: its name, and what it does with the binary in an empty folder.
pub type Case = (&'static str, fn(&Path, &Path) -> Result<String>);

/// Every case; each gives the line that was said.
pub const CASES: &[Case] = &[
    ("bad YAML", bad_yaml),
    ("bad value of a key", bad_value),
    ("unknown key", unknown_key),
    ("unknown flag", unknown_flag),
    ("port taken", port_taken),
    ("ports of `up` taken", up_ports_taken),
    ("data directory locked", data_locked),
    ("data directory unreadable", data_unreadable),
    ("configuration unreadable", config_unreadable),
    ("data directory with head chunks", head_chunks),
    ("torn log tail", torn_tail),
    ("SIGHUP with bad YAML", bad_reload),
    ("a body that is no metrics", no_metrics),
    ("hostile Host header", hostile_host),
];

const LIMIT: Duration = Duration::from_secs(20);
const EMPTY: &str = "global: {scrape_interval: 15s}\n";
/// `nobody` on every Linux.
const NOBODY: u32 = 65534;

pub(super) fn run(run: &mut Run) -> Result<()> {
    let binary = place::binary()?;
    for (name, case) in CASES {
        let folder = run.fresh_folder("case")?;
        match case(&binary, &folder) {
            Ok(line) => run.figure(name, format!("`{line}`"), "one clear line", true),
            Err(error) => run.figure(name, format!("{error:#}"), "one clear line", false),
        }
    }
    Ok(())
}

/// Runs `command` to its end: an exit code that is not zero, and one line that says every word of `needs`.
fn refused(command: Command, folder: &Path, needs: &[&str]) -> Result<String> {
    let ended = process::run("isobar", command, &folder.join("refused.log"), LIMIT)?;
    let code = ended.code.context("it was ended by a signal")?;
    ensure!(code != 0, "it ended with code 0: {}", process::tail(&ended.output));
    // news are not complaints
    let lines: Vec<&str> = ended.output.lines().filter(|line| !line.contains("level=INFO")).collect();
    ensure!(lines.len() == 1, "{} lines instead of one: {}", lines.len(), process::tail(&ended.output));
    says(lines[0], needs)
}

fn says(line: &str, needs: &[&str]) -> Result<String> {
    match needs.iter().find(|need| !line.contains(**need)) {
        Some(lacking) => bail!("the line does not say {lacking:?}: {line}"),
        None => Ok(line.to_owned()),
    }
}

/// The one complaint (warning or error) in a running role's log that says `about`.
fn complaint(role: &isobar::Role, about: &str, needs: &[&str]) -> Result<String> {
    let log = role.process.output();
    let complains = |line: &&str| line.contains("level=WARN") || line.contains("level=ERROR");
    let lines: Vec<&str> = log.lines().filter(complains).filter(|line| line.contains(about)).collect();
    ensure!(lines.len() == 1, "{} complaints about {about:?} instead of one: {}", lines.len(), process::tail(&log));
    says(lines[0], needs)
}

fn server_with(binary: &Path, folder: &Path, config: &str, needs: &[&str]) -> Result<String> {
    let launch = isobar::server(binary, folder, config, &[])?;
    let line = refused(launch.command(), folder, needs)?;
    ensure!(!folder.join("data/wal").exists(), "a log was begun");
    Ok(line)
}

fn bad_yaml(binary: &Path, folder: &Path) -> Result<String> {
    let config = "scrape_configs:\n- job_name: a\n  static_configs: [{targets: ['a:1']\n  sample_limit: 1\n";
    server_with(binary, folder, config, &["prometheus.yml:3:20", "static_configs"])
}

fn bad_value(binary: &Path, folder: &Path) -> Result<String> {
    let config = "scrape_configs:\n- job_name: a\n  sample_limit: many\n";
    server_with(binary, folder, config, &["prometheus.yml:3:17", "sample_limit"])
}

fn unknown_key(binary: &Path, folder: &Path) -> Result<String> {
    let config = "scrape_configs:\n- job_name: a\n  scrape_intervall: 5s\n";
    server_with(binary, folder, config, &["prometheus.yml:3:3", "scrape_intervall"])
}

fn unknown_flag(binary: &Path, folder: &Path) -> Result<String> {
    let launch = isobar::server(binary, folder, EMPTY, &["--web.listen-adress=127.0.0.1:1"])?;
    refused(launch.command(), folder, &["--web.listen-adress"])
}

fn port_taken(binary: &Path, folder: &Path) -> Result<String> {
    let holder = TcpListener::bind("127.0.0.1:0")?;
    let port = holder.local_addr()?.port();
    let flag = format!("--web.listen-address=127.0.0.1:{port}");
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, EMPTY)?;
    let mut command = Command::new(binary);
    command.arg("server").arg(format!("--config.file={}", file.display())).arg(flag).current_dir(folder);
    command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
    let pid = std::process::id().to_string();
    refused(command, folder, &[&port.to_string(), "--web.listen-address", &pid])
}

fn up_ports_taken(binary: &Path, folder: &Path) -> Result<String> {
    let holders =
        [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let mut command = Command::new(binary);
    command.arg("up").arg("--data-dir=data").current_dir(folder);
    let mut needs = vec![std::process::id().to_string()];
    for (holder, flag) in holders.iter().zip(["web", "registry", "exporter"]) {
        let address = holder.local_addr()?;
        command.arg(format!("--{flag}.listen-address={address}"));
        needs.extend([format!("--{flag}.listen-address"), address.port().to_string()]);
    }
    let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
    let line = refused(command, folder, &needs)?;
    ensure!(!folder.join("data").exists(), "a data directory was made");
    Ok(line)
}

fn data_locked(binary: &Path, folder: &Path) -> Result<String> {
    let first = isobar::server(binary, folder, EMPTY, &[])?.start()?;
    let second = isobar::server(binary, folder, EMPTY, &[])?;
    let line = refused(second.command(), folder, &["data", "in use", &first.process.id().to_string()])?;
    ensure!(first.api().query("1", "").is_ok(), "the first server suffered");
    Ok(line)
}

/// A copy of the binary that `nobody` may run, and a folder of his; `None` without the right to become another user.
fn as_nobody(binary: &Path, folder: &Path, command: &Command) -> Result<Option<Command>> {
    let is_root = std::fs::metadata("/proc/self")?.permissions().mode() != 0 && {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata("/proc/self")?.uid() == 0
    };
    if !is_root {
        return Ok(None);
    }
    let public = std::env::temp_dir().join(format!("isobar-nobody-{}", std::process::id()));
    if !public.exists() {
        std::fs::copy(binary, &public)?;
        std::fs::set_permissions(&public, std::fs::Permissions::from_mode(0o755))?;
    }
    for ancestor in folder.ancestors() {
        // other folders on the way belong to the machine
        if ancestor == place::target() || !ancestor.starts_with(place::target()) {
            break;
        }
        std::fs::set_permissions(ancestor, std::fs::Permissions::from_mode(0o755))?;
    }
    let mut other = Command::new(&public);
    other.args(command.get_args()).current_dir(folder).uid(NOBODY).gid(NOBODY);
    Ok(Some(other))
}

fn forget_copy() {
    let _ = std::fs::remove_file(std::env::temp_dir().join(format!("isobar-nobody-{}", std::process::id())));
}

/// Runs the server as somebody who may not read `secret`.
fn unreadable(binary: &Path, folder: &Path, secret: &Path, needs: &[&str]) -> Result<String> {
    let launch = isobar::server(binary, folder, EMPTY, &[])?;
    if secret.extension().is_none() {
        std::fs::create_dir_all(secret)?;
        std::fs::write(secret.join("kept"), "kept")?;
    }
    let before = std::fs::metadata(secret)?.permissions();
    std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o000))?;
    let command = as_nobody(binary, folder, &launch.command())?.unwrap_or_else(|| launch.command());
    let outcome = refused(command, folder, needs);
    std::fs::set_permissions(secret, before)?;
    forget_copy();
    outcome
}

fn data_unreadable(binary: &Path, folder: &Path) -> Result<String> {
    let line = unreadable(binary, folder, &folder.join("data"), &["data", "ermission denied"])?;
    ensure!(place::names(&folder.join("data")) == ["kept"], "the directory was changed");
    Ok(line)
}

fn config_unreadable(binary: &Path, folder: &Path) -> Result<String> {
    unreadable(binary, folder, &folder.join("prometheus.yml"), &["prometheus.yml", "ermission denied"])
}

fn head_chunks(binary: &Path, folder: &Path) -> Result<String> {
    let chunks = folder.join("data/chunks_head");
    std::fs::create_dir_all(&chunks)?;
    std::fs::write(chunks.join("000001"), b"\x01\x30\xbc\x91\x01\x00\x00\x00and some chunks")?;
    let launch = isobar::server(binary, folder, EMPTY, &[])?;
    let line = refused(launch.command(), folder, &["chunks_head"])?;
    ensure!(place::names(&folder.join("data")) == ["chunks_head"], "the directory was touched");
    Ok(line)
}

fn torn_tail(binary: &Path, folder: &Path) -> Result<String> {
    let mut trial = Trial::start(binary, folder, 5, 20, "2h", now_ms())?;
    trial.kill_after(Duration::from_millis(3500))?;
    let wal = trial.data.join("wal");
    let last = place::names(&wal).pop().context("no segment")?;
    let file = std::fs::OpenOptions::new().append(true).open(wal.join(&last))?;
    // a record that promises more than comes: type full, 2000 bytes, a checksum, 37 of them
    use std::io::Write;
    (&file).write_all(&[&[1u8, 7, 208, 1, 2, 3, 4][..], &[9u8; 37][..]].concat())?;
    trial.restart()?;
    let survey = trial.survey(trial.epoch_ms())?;
    ensure!(survey.lost.is_empty() && survey.torn.is_empty() && survey.scrapes > 0, "samples were lost: {survey:?}");
    complaint(&trial.role, "log is damaged", &[&last, "offset="])
}

fn bad_reload(binary: &Path, folder: &Path) -> Result<String> {
    let exporter = Exporter::rows(0, 3, now_ms())?;
    let config = isobar::scrape_config("1s", exporter.port, 2);
    let role = isobar::server(binary, folder, &config, &[])?.start()?;
    let mut api = role.api();
    let scraped = |n: f64| {
        let mut api = role.api();
        move || api.value("min(count_over_time(up[1m]))").ok().flatten().filter(|count| *count >= n)
    };
    wait_for("two scrapes", LIMIT, scraped(2.0))?;
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, "scrape_configs:\n- job_nam: a\n")?;
    role.process.signal("HUP")?;
    let good = |api: &mut crate::harness::api::Api, wanted: f64| {
        wait_for("the metric of the reload", LIMIT, || {
            api.own_metric("prometheus_config_last_reload_successful").ok().filter(|value| *value == wanted)
        })
    };
    good(&mut api, 0.0)?;
    let line = complaint(&role, "eload", &["prometheus.yml:2:3", "job_nam"])?;
    ensure!(api.targets()?.len() == 2, "the old targets are gone");
    // a good reload: one job more, the two targets as before
    let before = phases(&mut api)?;
    std::fs::write(
        &file,
        format!("{config}- job_name: more\n  static_configs: [{{targets: ['127.0.0.1:{}']}}]\n", exporter.port),
    )?;
    role.process.signal("HUP")?;
    good(&mut api, 1.0)?;
    wait_for("the third target", LIMIT, || api.targets().ok().filter(|all| all.len() == 3))?;
    std::thread::sleep(Duration::from_millis(3200));
    let (after, now) = (phases(&mut api)?, now_ms());
    for (target, (phase, _)) in &before {
        let (later, last) = after.get(target).with_context(|| format!("target {target} has no samples any more"))?;
        let shift = (later - phase).rem_euclid(1000);
        ensure!(
            shift.min(1000 - shift) <= 60,
            "target {target} is visited {shift} ms later in its second: it was reset"
        );
        ensure!(now - last < 2500, "target {target} was visited {} ms ago", now - last);
    }
    let gaps = api.value("max(changes(up{job=\"t\"}[1m])) + max(resets(up{job=\"t\"}[1m]))")?;
    ensure!(gaps == Some(0.0), "up changed: {gaps:?}");
    Ok(line)
}

/// Per target of job t: the millisecond within the second of its last visit, and when that was.
fn phases(api: &mut crate::harness::api::Api) -> Result<std::collections::BTreeMap<String, (i64, i64)>> {
    let rows = api.rows("timestamp(up{job=\"t\"})", "")?;
    let last = |samples: &Vec<(i64, String)>| samples.last().and_then(|(_, value)| value.parse::<f64>().ok());
    let millis =
        rows.iter().filter_map(|(labels, samples)| Some((labels.clone(), (last(samples)? * 1000.0).round() as i64)));
    Ok(millis.map(|(labels, at)| (labels, (at % 1000, at))).collect())
}

fn no_metrics(binary: &Path, folder: &Path) -> Result<String> {
    let exporter = Exporter::start(0, |path| match path {
        "/t/0/metrics" => Reply::Page("good_before 1\n<html><body>Sign in</body></html>\n".to_owned()),
        _ => Reply::Page("good 1\n".to_owned()),
    })?;
    let role = isobar::server(binary, folder, &isobar::scrape_config("1s", exporter.port, 2), &[])?.start()?;
    let mut api = role.api();
    let bad = |targets: Vec<serde_json::Value>| {
        targets.into_iter().find(|target| target["labels"]["target"] == "0" && target["health"] == "down")
    };
    let (target, _) = wait_for("the target is down", LIMIT, || bad(api.targets().ok()?))?;
    let error = target["lastError"].as_str().context("no lastError")?;
    let line = says(error, &["expected a valid start token", "line 2"])?;
    wait_for("the other target is up", LIMIT, || api.count("up{target=\"1\"} == 1").ok().filter(|n| *n == 1))?;
    ensure!(api.count("up{target=\"0\"} == 0")? == 1, "up is not 0");
    ensure!(api.count("good_before")? == 0, "a part of the page was taken in");
    Ok(line)
}

fn hostile_host(binary: &Path, folder: &Path) -> Result<String> {
    let role = isobar::server(binary, folder, EMPTY, &[])?.start()?;
    let mut client = Client::new(role.port);
    let answer = client.request("GET", "/api/v1/query?query=1", &[("Host", "evil.example:9090")], b"")?;
    ensure!(answer.status == 421, "status {}", answer.status);
    let text = answer.text();
    ensure!(text.trim().lines().count() == 1, "more than one line: {text}");
    ensure!(client.get("/api/v1/query?query=1")?.status == 200, "a good Host is refused now");
    says(text.trim(), &["evil.example"])
}
