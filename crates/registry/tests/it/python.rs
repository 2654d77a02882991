//! py-consul, a client we did not write: one call registers, and it understands what it reads.

use crate::instance::Instance;
use registry::Config;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the client does: register with a check, wait for it to pass, block on a change, deregister.
const SCRIPT: &str = r#"
import sys, consul, time
c = consul.Consul(host="127.0.0.1", port=int(sys.argv[1]))
assert c.agent.self()["Config"]["NodeName"] == "pynode"
assert c.agent.service.register("web", service_id="web-1", address="127.0.0.1", port=int(sys.argv[1]), tags=["metrics"],
    check=consul.Check.tcp("127.0.0.1", int(sys.argv[1]), "1s"))
for _ in range(40):
    index, nodes = c.health.service("web", passing=True)
    if nodes: break
    time.sleep(0.1)
assert [n["Service"]["ID"] for n in nodes] == ["web-1"], nodes
assert nodes[0]["Service"]["Tags"] == ["metrics"]
assert "web" in c.catalog.services()[1]
assert c.agent.service.register("ttl", check=consul.Check.ttl("30s"))
assert c.agent.check.ttl_pass("service:ttl", "fine")
assert c.agent.checks()["service:ttl"]["Output"] == "fine"
index, _ = c.health.service("web")
begun = time.time()
later, nodes = c.health.service("web", index=index, wait="1s")
assert later == index and time.time() - begun >= 1, (later, index)
assert c.catalog.register("ext", "192.0.2.1", service={"Service": "db", "Port": 5432})
assert [s["ServicePort"] for s in c.catalog.service("db")[1]] == [5432]
assert c.agent.service.deregister("web-1")
assert c.health.service("web")[1] == []
assert c.status.leader()
print("ok")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn py_consul_registers_and_reads() {
    let python = match tokio::task::spawn_blocking(environment).await.expect("set-up ends") {
        Ok(python) => python,
        Err(why) => {
            eprintln!("SKIP py_consul_registers_and_reads: {why}");
            return;
        }
    };
    let folder = tempfile::tempdir().expect("folder");
    let config = Config { node_name: "pynode".to_owned(), data_dir: folder.path().to_owned(), ..Config::default() };
    let instance = Instance::start(config).await;
    let port = instance.address.port().to_string();
    let run = tokio::task::spawn_blocking(move || Command::new(python).args(["-c", SCRIPT, &port]).output());
    let output = run.await.expect("it runs").expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("ok"), "{said}");
    instance.stop().await;
}

/// A virtual environment with the client, made once and kept in the user's cache.
fn environment() -> Result<PathBuf, String> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let folder = cache.or(home).ok_or("no cache folder")?.join("isobar-tests/py-consul");
    let python = folder.join("bin/python");
    if !knows_consul(&python) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "py-consul==1.8.0"]))?;
    }
    if knows_consul(&python) { Ok(python) } else { Err("py-consul can not be imported".to_owned()) }
}

fn knows_consul(python: &Path) -> bool {
    Command::new(python).args(["-c", "import consul"]).output().is_ok_and(|output| output.status.success())
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default()))
}
