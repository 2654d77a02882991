//! The same targets with the same labels as Prometheus 2.24 finds, both asking a real Consul.

use crate::setting::{Setting, addresses, consul, eventually};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const CONSUL: u16 = 22_931;
const PROMETHEUS: u16 = 22_937;

/// Labels that Prometheus has learned since 2.24.
const NEWER: &[&str] = &["__meta_consul_health", "__meta_consul_partition", "__meta_consul_namespace"];

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The path of an original; says why and answers `None` when it is not within reach.
fn original(test: &str, name: &str) -> Option<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let peers = std::env::var("ISOBAR_PEERS").unwrap_or_else(|_| format!("{root}/../shared/tools/peers"));
    let output = Command::new(&peers).arg(name).output().ok().filter(|output| output.status.success());
    let path = output.map(|output| String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("").to_owned());
    if path.is_none() {
        println!("SKIP {test}: {name} is not within reach (ISOBAR_PEERS={peers})");
    }
    path
}

fn run(program: &str, args: &[&str], directory: &Path) -> Running {
    let quiet =
        Command::new(program).args(args).current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Running(quiet.expect("the original starts"))
}

fn http(port: u16, method: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let head = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

type Target = BTreeMap<String, String>;

fn kept(labels: impl IntoIterator<Item = (String, String)>) -> Target {
    let labels = labels.into_iter();
    let wanted = |name: &str| (name == "__address__" || name.starts_with("__meta_")) && !NEWER.contains(&name);
    labels.filter(|(name, value)| wanted(name) && !value.is_empty()).collect()
}

/// What Prometheus has discovered, before relabeling.
fn theirs() -> BTreeSet<Target> {
    let Some(body) = http(PROMETHEUS, "GET", "/api/v1/targets", "") else { return BTreeSet::new() };
    let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let targets = answer["data"]["activeTargets"].as_array().expect("a list").iter();
    targets
        .map(|target| {
            let labels = target["discoveredLabels"].as_object().expect("labels").iter();
            kept(labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())))
        })
        .collect()
}

const SERVICES: &[&str] = &[
    r#"{"Name":"web","ID":"web-1","Port":8080,"Tags":["metrics","v2"],"Meta":{"metrics_path":"/m","x-y":"1"}}"#,
    r#"{"Name":"web","ID":"web-2","Address":"10.1.2.3","Port":8081,"Check":{"TTL":"1h"}}"#,
    r#"{"Name":"six","Address":"fd00::1","Port":1}"#,
    r#"{"Name":"a b/c","Address":"db.local","Tags":["a,b"]}"#,
    r#"{"Name":"warned","Port":7,"Check":{"TTL":"1h","Status":"warning"}}"#,
];

#[tokio::test]
async fn prometheus_finds_the_same_targets_on_a_real_consul() {
    const TEST: &str = "prometheus_finds_the_same_targets_on_a_real_consul";
    let (Some(consul_path), Some(prometheus)) = (original(TEST, "consul"), original(TEST, "prometheus-2.24")) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let port = format!("-http-port={CONSUL}");
    let ports = ["-dns-port=-1", "-grpc-port=-1", "-server-port=22933", "-serf-lan-port=22934", "-serf-wan-port=22935"];
    let args = [&["agent", "-dev", "-bind=127.0.0.1", "-node=n1", "-node-meta=rack-id:r1", &port][..], &ports].concat();
    let _consul = run(&consul_path, &args, dir.path());
    let register = |body: &str| http(CONSUL, "PUT", "/v1/agent/service/register", body).is_some();
    eventually("consul answers", || register(SERVICES[0])).await;
    assert!(SERVICES.iter().all(|service| register(service)));

    let block = |server: u16| format!("server: 127.0.0.1:{server}\nrefresh_interval: 1s\n");
    let indented = block(CONSUL).replace('\n', "\n        ");
    let file = format!("scrape_configs:\n  - job_name: c\n    consul_sd_configs:\n      - {}\n", indented.trim_end());
    std::fs::write(dir.path().join("prometheus.yml"), file).unwrap();
    let listen = format!("--web.listen-address=127.0.0.1:{PROMETHEUS}");
    let _prometheus =
        run(&prometheus, &["--config.file=prometheus.yml", &listen, "--storage.tsdb.path=data"], dir.path());

    let mut setting = Setting::new();
    let receiver = setting.job(vec![consul(&block(CONSUL))]);
    let ours = || -> BTreeSet<Target> {
        let groups = receiver.current().unwrap_or_default();
        let targets = groups.iter().flat_map(|group| group.targets.iter().map(|target| (target, &group.labels)));
        let pairs = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        targets.map(|(target, shared)| kept(target.iter().chain(shared.iter()).map(pairs))).collect()
    };
    // five of ours and Consul itself; Prometheus takes its first set over only after its five seconds
    let mut found = (ours(), theirs());
    for _ in 0..400 {
        if found.0.len() == SERVICES.len() + 1 && found.1.len() == found.0.len() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        found = (ours(), theirs());
    }
    assert_eq!(found.0, found.1);
    assert_eq!(found.0.len(), SERVICES.len() + 1, "{:?}", addresses(&receiver));

    http(CONSUL, "PUT", "/v1/agent/service/deregister/web-2", "").unwrap();
    eventually("it leaves", || !addresses(&receiver).contains(&"10.1.2.3:8081".to_owned())).await;
}
