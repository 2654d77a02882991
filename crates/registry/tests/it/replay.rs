//! The recordings of a real Consul, replayed: every exchange on a path that is built must come out equal under the
//! rules of the recordings' README.

use crate::client::{Reply, ask};
use crate::instance::Instance;
use registry::Config;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Files whose paths are built, wholly or in part.
const FILES: [&str; 8] = [
    "01-agent-self-members",
    "02-agent-service-register",
    "03-agent-checks",
    "04-health-transitions",
    "05-catalog",
    "06-blocking-queries",
    "12-consistency-caching-headers",
    "13-errors",
];

/// Where ours differs on purpose: the README asks to follow newer Consuls, or it is ours to decide.
const DELIBERATE: [(&str, usize, &str); 3] = [
    ("01-agent-self-members", 7, "agent/version is answered, as by newer Consuls"),
    ("01-agent-self-members", 20, "metrics are always on; the original wants a retention time first"),
    ("05-catalog", 19, "a filter on catalog/services is obeyed, as since 1.14"),
];

/// The address the recorded checks went to.
const CHECKED: &str = "127.0.0.1:18080";

pub(crate) fn conformance() -> Option<PathBuf> {
    let root = match std::env::var_os("ISOBAR_CONFORMANCE") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance")),
    };
    root.join("consul").is_dir().then_some(root)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_of_the_original() {
    let Some(root) = conformance() else {
        eprintln!("SKIP recordings_of_the_original: no conformance data (ISOBAR_CONFORMANCE)");
        return;
    };
    let runs: Vec<_> = FILES.iter().map(|file| tokio::spawn(replay_file(root.clone(), file))).collect();
    let (mut all, mut equal, mut failures) = (0, 0, String::new());
    for run in runs {
        let report = run.await.expect("a replay ends");
        println!(
            "{}: {} of {} equal, {} not built, {} on purpose",
            report.file, report.equal, report.built, report.unbuilt, report.deliberate
        );
        all += report.built;
        equal += report.equal;
        failures.push_str(&report.failures);
    }
    println!("recordings 01-06, 12, 13: {equal} of {all} equal");
    assert!(failures.is_empty(), "{equal} of {all} equal\n{failures}");
}

#[derive(Default)]
struct Report {
    file: &'static str,
    built: usize,
    equal: usize,
    unbuilt: usize,
    deliberate: usize,
    failures: String,
}

async fn replay_file(root: PathBuf, file: &'static str) -> Report {
    let text = std::fs::read_to_string(root.join("consul").join(format!("{file}.json"))).expect("recording");
    let exchanges: Vec<Value> = serde_json::from_str(&text).expect("recording is JSON");
    let folder = tempfile::tempdir().expect("folder");
    let config = Config {
        node_name: "node1".to_owned(),
        node_meta: BTreeMap::from([("rack".to_owned(), "r1".to_owned()), ("az".to_owned(), "z1".to_owned())]),
        data_dir: folder.path().to_owned(),
        ..Config::default()
    };
    let instance = Instance::start(config).await;
    let checked = Checked::start().await;
    let mut replay = Replay { to: instance.address, checked, saved: HashMap::new(), matcher: Matcher::default() };
    let mut report = Report { file, ..Report::default() };
    for (at, exchange) in exchanges.iter().enumerate() {
        if exchange.get("method").is_none() {
            continue;
        }
        replay.prepare(file, at).await;
        let found = replay.exchange(exchange).await;
        if !is_built(exchange, found.reply.status) {
            report.unbuilt += 1;
            continue;
        }
        if DELIBERATE.iter().any(|(f, n, _)| *f == file && *n == at) {
            report.deliberate += 1;
            continue;
        }
        report.built += 1;
        if found.differences.is_empty() {
            report.equal += 1;
        } else {
            let (method, path) = (exchange["method"].as_str().unwrap_or(""), exchange["path"].as_str().unwrap_or(""));
            let _ = writeln!(report.failures, "{file} #{at} {method} {path}");
            for difference in found.differences.iter().take(8) {
                let _ = writeln!(report.failures, "    {difference}");
            }
        }
    }
    instance.stop().await;
    report
}

/// The page, and what ours says is not built. A path that is built and answers 501 would be a failure elsewhere.
fn is_built(exchange: &Value, status: u16) -> bool {
    exchange["path"].as_str().is_some_and(|path| path.starts_with("/v1/")) && status != 501
}

/// The service that the recorded checks asked; its answer is changed on the way.
struct Checked {
    address: SocketAddr,
    status: Arc<AtomicU16>,
}

impl Checked {
    async fn start() -> Checked {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let status = Arc::new(AtomicU16::new(200));
        let current = Arc::clone(&status);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let status = current.load(Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut asked = [0; 2048];
                    if !matches!(stream.read(&mut asked).await, Ok(1..)) {
                        return;
                    }
                    let body = if status == 204 { "" } else { "hello from the checked service" };
                    let length =
                        if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
                    let answer = format!("HTTP/1.1 {status} X\r\n{length}Connection: close\r\n\r\n{body}");
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Checked { address, status }
    }
}

struct Replay {
    to: SocketAddr,
    checked: Checked,
    saved: HashMap<String, String>,
    matcher: Matcher,
}

struct Found {
    reply: Reply,
    differences: Vec<String>,
}

impl Replay {
    /// What the recorder did to the surroundings before an exchange, as its notes say.
    async fn prepare(&self, file: &str, at: usize) {
        if (file, at) == ("03-agent-checks", 29) {
            // every check of one second must have met the 429 before
            tokio::time::sleep(Duration::from_millis(1300)).await;
        }
        let status = match (file, at) {
            ("03-agent-checks", 28) => 429,
            ("03-agent-checks", 29) => 500,
            ("03-agent-checks", 31) => 302,
            ("03-agent-checks", 32) => 204,
            _ => return,
        };
        self.checked.status.store(status, Ordering::Relaxed);
    }

    fn fill(&self, text: &str) -> String {
        let mut text = text.replace(CHECKED, &self.checked.address.to_string());
        for (name, value) in &self.saved {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        text
    }

    fn body(&self, request: &Value) -> Vec<u8> {
        if let Some(body) = request.get("body") {
            return self.fill(&body.to_string()).into_bytes();
        }
        self.fill(request["body_text"].as_str().unwrap_or_default()).into_bytes()
    }

    async fn exchange(&mut self, recorded: &Value) -> Found {
        if let Some(ms) = recorded["sleep_before_ms"].as_u64() {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        let method = recorded["method"].as_str().expect("a method").to_owned();
        let path = self.fill(recorded["path"].as_str().expect("a path"));
        let headers: Vec<(String, String)> = recorded["request_headers"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        let body = self.body(recorded);
        let blocks = recorded.get("elapsed_ms").is_some();
        // check results come within a second or, with thresholds, three
        let patience = if method == "GET" && !blocks { Duration::from_millis(4500) } else { Duration::ZERO };
        let begun = Instant::now();
        loop {
            let asked = Instant::now();
            let during = self.during(recorded);
            let mut reply = ask(self.to, &method, &path, &headers, &body).await;
            let elapsed = asked.elapsed();
            let mut trial = self.matcher.clone();
            let mut differences = Vec::new();
            if let Some(during) = during {
                let status = during.await.expect("the second request ends");
                if Some(u64::from(status)) != recorded["during"]["status"].as_u64() {
                    differences.push(format!("the request during it answered {status}"));
                }
            }
            reply.body = String::from_utf8(reply.body.clone())
                .map_or(reply.body, |text| text.replace(&self.checked.address.to_string(), CHECKED).into_bytes());
            trial.compare(recorded, &reply, &mut differences);
            compare_time(recorded, &path, elapsed, &mut differences);
            if differences.is_empty() || begun.elapsed() >= patience || reply.status == 501 {
                self.save(recorded, &reply);
                if differences.is_empty() {
                    self.matcher = trial;
                }
                return Found { reply, differences };
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    fn during(&self, recorded: &Value) -> Option<tokio::task::JoinHandle<u16>> {
        let during = recorded.get("during")?;
        let after = Duration::from_millis(during["after_ms"].as_u64()?);
        let (method, path) = (during["method"].as_str()?.to_owned(), self.fill(during["path"].as_str()?));
        let (to, body) = (self.to, self.body(during));
        Some(tokio::spawn(async move {
            tokio::time::sleep(after).await;
            ask(to, &method, &path, &[], &body).await.status
        }))
    }

    fn save(&mut self, recorded: &Value, reply: &Reply) {
        for (name, from) in recorded["save"].as_object().into_iter().flatten() {
            let from = from.as_str().unwrap_or_default();
            let value = match from.strip_prefix("header:") {
                Some(header) => reply.header(header).map(str::to_owned),
                None => serde_json::from_slice::<Value>(&reply.body)
                    .ok()
                    .and_then(|v| v.pointer(from).and_then(Value::as_str).map(str::to_owned)),
            };
            if let Some(value) = value {
                self.saved.insert(name.clone(), value);
            }
        }
    }
}

fn compare_time(recorded: &Value, path: &str, elapsed: Duration, differences: &mut Vec<String>) {
    let Some(was) = recorded["elapsed_ms"].as_u64() else { return };
    let elapsed = elapsed.as_millis() as u64;
    let wait = path.split(['?', '&']).find_map(|p| p.strip_prefix("wait=")).and_then(|wait| match wait {
        w if w.ends_with("ms") => w.trim_end_matches("ms").parse::<u64>().ok(),
        w if w.ends_with('s') => w.trim_end_matches('s').parse::<u64>().ok().map(|s| s * 1000),
        _ => None,
    });
    let (from, to) = match (wait, recorded["during"]["after_ms"].as_u64()) {
        (Some(wait), _) if was >= wait => (wait, wait * 17 / 16 + 500),
        (_, Some(after)) => (after.min(was), after + 1000),
        _ => (0, 1000),
    };
    if !(from..=to).contains(&elapsed) {
        differences.push(format!("took {elapsed} ms, recorded {was}, expected {from} to {to}"));
    }
}

/// Compares, and remembers how recorded ids and indexes map to ours.
#[derive(Clone, Default)]
struct Matcher {
    indexes: BTreeMap<u64, u64>,
    ids: HashMap<String, String>,
}

/// Keys that newer Consuls send too.
const EXTRA: [&str; 10] = [
    "SocketPath",
    "Locality",
    "PeerName",
    "Partition",
    "Namespace",
    "Interval",
    "Timeout",
    "ExposedPort",
    "Ports",
    "Datacenter",
];
/// Types of checks that run by themselves.
const RUN: [&str; 4] = ["http", "tcp", "grpc", "alias"];
/// Keys whose values are volatile: any value of the same type.
const SHAPE: [&str; 9] = ["Version", "build", "Revision", "Timestamp", "Value", "Count", "Rate", "Sum", "version"];
/// Keys that are not looked into.
const FREE: [&str; 4] = ["Stats", "DebugConfig", "Coord", "Labels"];

impl Matcher {
    fn compare(&mut self, recorded: &Value, reply: &Reply, differences: &mut Vec<String>) {
        if recorded["status"].as_u64() != Some(u64::from(reply.status)) {
            differences.push(format!("status {}, recorded {}: {}", reply.status, recorded["status"], reply.text()));
            return;
        }
        self.headers(recorded, reply, differences);
        if let Some(text) = recorded.get("response_text").and_then(Value::as_str) {
            self.text(text, reply, differences);
        } else if recorded.get("response").is_some() {
            match serde_json::from_slice(&reply.body) {
                Ok(ours) => self.value("", &recorded["response"], &ours, differences),
                Err(error) => differences.push(format!("no JSON ({error}): {}", reply.text())),
            }
        }
    }

    fn headers(&mut self, recorded: &Value, reply: &Reply, differences: &mut Vec<String>) {
        let was = |name: &str| {
            let headers = recorded["headers"].as_object()?;
            headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).and_then(|(_, v)| v.as_str())
        };
        for name in [
            "Content-Type",
            "X-Consul-Effective-Consistency",
            "X-Consul-Knownleader",
            "X-Cache",
            "Location",
            "Allow",
            "X-Consul-Reason",
        ] {
            if was(name) != reply.header(name) {
                differences.push(format!("header {name}: {:?}, recorded {:?}", reply.header(name), was(name)));
            }
        }
        for name in ["X-Consul-Index", "X-Consul-Lastcontact", "Age", "X-Consul-Contenthash"] {
            match (was(name), reply.header(name)) {
                (None, None) => {}
                (Some(was), Some(ours)) if name == "X-Consul-Index" => {
                    let (was, ours) = (was.parse().unwrap_or(0), ours.parse().unwrap_or(0));
                    self.index(name, was, ours, differences);
                }
                (Some(was), Some(ours)) if name == "X-Consul-Contenthash" => self.id(name, was, ours, differences),
                (Some(_), Some(ours)) if ours.parse::<u64>().is_ok() => {}
                (was, ours) => differences.push(format!("header {name}: {ours:?}, recorded {was:?}")),
            }
        }
    }

    fn text(&self, recorded: &str, reply: &Reply, differences: &mut Vec<String>) {
        let exact = [
            "Permission denied",
            "ACL not found",
            "No cluster leader",
            "No path to datacenter",
            "Query not found",
            "ACL support disabled",
            "does not have associated TTL",
            "unknown service ID",
        ];
        let ours = reply.text();
        for sentence in exact.iter().filter(|sentence| recorded.contains(**sentence)) {
            if !ours.contains(sentence) {
                differences.push(format!("text {ours:?}, recorded {recorded:?}"));
            }
        }
        if recorded.is_empty() != ours.is_empty() {
            differences.push(format!("text {ours:?}, recorded {recorded:?}"));
        }
    }

    /// Equal stays equal, smaller stays smaller.
    fn index(&mut self, place: &str, was: u64, ours: u64, differences: &mut Vec<String>) {
        let before = self.indexes.range(..was).next_back().map(|(_, ours)| *ours);
        let after = self.indexes.range(was + 1..).next().map(|(_, ours)| *ours);
        let known = self.indexes.get(&was).copied();
        let fits = known.is_none_or(|known| known == ours)
            && before.is_none_or(|before| before < ours)
            && after.is_none_or(|after| ours < after)
            && (was > 0 || ours == 0);
        if fits {
            self.indexes.insert(was, ours);
        } else {
            differences.push(format!(
                "{place}: index {ours}, recorded {was}, which stood for {known:?} between {before:?} and {after:?}"
            ));
        }
    }

    /// The same wherever the same was recorded, another where another was.
    fn id(&mut self, place: &str, was: &str, ours: &str, differences: &mut Vec<String>) {
        let known = self.ids.entry(was.to_owned()).or_insert_with(|| ours.to_owned()).clone();
        let twice = self.ids.iter().any(|(other, mapped)| other != was && mapped == ours);
        if known != ours || twice || ours.len() != was.len() {
            differences.push(format!("{place}: id {ours}, recorded {was}, which stood for {known}"));
        }
    }

    fn value(&mut self, place: &str, was: &Value, ours: &Value, differences: &mut Vec<String>) {
        match (was, ours) {
            (Value::Object(was), Value::Object(ours)) => {
                for key in was.keys().filter(|key| !ours.contains_key(*key)) {
                    differences.push(format!("{place}/{key} is missing"));
                }
                // when a check is run is chance, and so is the index its first result takes
                let is_run = was.get("Type").and_then(Value::as_str).is_some_and(|kind| RUN.contains(&kind));
                for (key, ours) in ours {
                    let place = format!("{place}/{key}");
                    match was.get(key) {
                        Some(was) if is_run && key == "ModifyIndex" && was.is_u64() == ours.is_u64() => {}
                        None if EXTRA.contains(&key.as_str()) => {}
                        None => differences.push(format!("{place} is extra: {ours}")),
                        Some(was) => self.member(&place, key, was, ours, differences),
                    }
                }
            }
            (Value::Array(was), Value::Array(ours)) => self.list(place, was, ours, differences),
            (was, ours) if was == ours => {}
            (was, ours) => differences.push(format!("{place}: {ours}, recorded {was}")),
        }
    }

    fn member(&mut self, place: &str, key: &str, was: &Value, ours: &Value, differences: &mut Vec<String>) {
        let same_type = std::mem::discriminant(was) == std::mem::discriminant(ours);
        match (key, was, ours) {
            ("CreateIndex" | "ModifyIndex", Value::Number(was), Value::Number(ours)) => {
                self.index(place, was.as_u64().unwrap_or(0), ours.as_u64().unwrap_or(0), differences);
            }
            ("ID" | "NodeID" | "id" | "ContentHash", Value::String(was), Value::String(ours)) if is_random(was) => {
                self.id(place, was, ours, differences);
            }
            ("Output", Value::String(was), Value::String(ours)) => {
                if output_start(was) != output_start(ours) {
                    differences.push(format!("{place}: {ours:?}, recorded {was:?}"));
                }
            }
            // which metrics there are is not of interest, that there are some is
            ("Gauges" | "Counters" | "Samples" | "Points", Value::Array(was), Value::Array(ours)) => {
                let shape = |list: &[Value]| {
                    list.first().and_then(|v| v.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>()))
                };
                if !ours.is_empty() && shape(was) != shape(ours) {
                    differences.push(format!("{place}: {:?}, recorded {:?}", shape(ours), shape(was)));
                }
            }
            (key, ..) if FREE.contains(&key) && same_type => {}
            (key, ..) if SHAPE.contains(&key) && same_type && (key != "version" || was == "1.8.7") => {}
            _ => self.value(place, was, ours, differences),
        }
    }

    fn list(&mut self, place: &str, was: &[Value], ours: &[Value], differences: &mut Vec<String>) {
        if was.len() != ours.len() {
            let ours = Value::Array(ours.to_vec());
            differences.push(format!("{place}: not {} entries: {ours}", was.len()));
            return;
        }
        // agent/health/service/name comes in the order of a Go map
        let is_set = was.iter().all(|item| item.get("AggregatedStatus").is_some());
        let (mut was, mut ours) = (was.to_vec(), ours.to_vec());
        if is_set {
            let key = |item: &Value| item.pointer("/Service/ID").map(Value::to_string);
            was.sort_by_key(key);
            ours.sort_by_key(key);
        }
        for (at, (was, ours)) in was.iter().zip(&ours).enumerate() {
            self.value(&format!("{place}/{at}"), was, ours, differences);
        }
    }
}

fn is_random(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_hexdigit() || c == '-';
    (text.len() == 36 || text.len() == 16) && text.chars().all(hex)
}

/// How the output of a check that was run begins; a TTL check's is compared whole.
fn output_start(output: &str) -> &str {
    if output.starts_with("HTTP ") {
        return output.split_once("Output: ").map_or(output, |(start, _)| start);
    }
    if output.starts_with("rpc error") {
        return output.split(" desc = \"").next().unwrap_or(output);
    }
    output
}
