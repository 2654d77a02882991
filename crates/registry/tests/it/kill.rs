//! `kill -9` of a whole process, right after the last acknowledgement.

use crate::client::{get, put};
use crate::instance::Instance;
use registry::Config;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpListener;

/// Set for the child: `<folder>`. It writes its address to `<folder>/address`.
const CHILD: &str = "ISOBAR_TEST_REGISTRY";

/// The child's side: a registry until it is killed. Without the variable it is no test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_until_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let folder = Path::new(&folder);
    let config = Config { node_name: "n1".to_owned(), data_dir: folder.join("data"), ..Config::default() };
    let instance = Instance::start(config).await;
    std::fs::write(folder.join("address.tmp"), instance.address.to_string()).expect("tell the address");
    std::fs::rename(folder.join("address.tmp"), folder.join("address")).expect("tell the address");
    std::future::pending::<()>().await;
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn start(folder: &Path) -> (Process, SocketAddr) {
    let _ = std::fs::remove_file(folder.join("address"));
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["kill::serve_until_killed", "--exact"])
        .env(CHILD, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let process = Process(child);
    for _ in 0..500 {
        if let Ok(address) = std::fs::read_to_string(folder.join("address")) {
            return (process, address.parse().expect("an address"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the registry did not start");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_puts_then_kill() {
    let folder = tempfile::tempdir().expect("folder");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (process, to) = start(folder.path()).await;
    for n in 0..100 {
        let check = format!(r#"{{"CheckID":"c{n}","TCP":"127.0.0.1:{port}","Interval":"1s"}}"#);
        let body = format!(r#"{{"ID":"s{n}","Name":"web","Port":{n},"Check":{check}}}"#);
        assert_eq!(put(to, "/v1/agent/service/register", &body).await.status, 200);
    }
    drop(process);
    let (process, to) = start(folder.path()).await;
    assert_eq!(get(to, "/v1/agent/services").await.json().as_object().map(serde_json::Map::len), Some(100));
    assert_eq!(get(to, "/v1/health/service/web").await.json().as_array().map(Vec::len), Some(100));
    let mut passing = 0;
    for _ in 0..100 {
        passing = get(to, "/v1/health/service/web?passing").await.json().as_array().map_or(0, Vec::len);
        if passing == 100 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(passing, 100, "the checks run again");
    drop(process);
}
