//! The same requests to us and to the original, both with an empty store: status and body must be equal.
//!
//! The original is found by the command in `ISOBAR_PEERS` (default `../shared/tools/peers` beside the repository), which
//! prints the path of the program named.

use crate::memory_store::MemoryStore;
use crate::served::{Nobody, Served, escape, serve_with};
use axum::body::Body;
use axum::http::Request;
use net::client::{Client, Pool};
use query::QueryConfig;
use runtime::clock::Clock;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use url::Url;

const PORT: u16 = 29_290;

struct Original(Child);

impl Drop for Original {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn find() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let peers = std::env::var_os("ISOBAR_PEERS").map_or_else(|| root.join("../shared/tools/peers"), PathBuf::from);
    let output = Command::new(peers).arg("prometheus").output().ok().filter(|output| output.status.success())?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.exists().then_some(path)
}

fn start(program: PathBuf, folder: &std::path::Path) -> Original {
    let config = folder.join("prometheus.yml");
    std::fs::write(&config, "global: {}\n").expect("written");
    let child = Command::new(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{PORT}"))
        .arg(format!("--web.console.templates={}", folder.display()))
        .arg(format!("--web.console.libraries={}", folder.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the original starts");
    Original(child)
}

async fn ask_original(pool: &Pool, path: &str) -> Option<(u16, String)> {
    let url = Url::parse(&format!("http://127.0.0.1:{PORT}/api/v1/{path}")).expect("a URL");
    let fetched = pool.fetch(&net::client::Request::get(url), Duration::from_secs(10), 0).await.ok()?;
    Some((fetched.status.as_u16(), String::from_utf8_lossy(&fetched.body).into_owned()))
}

async fn ask_us(served: &Served, path: &str) -> (u16, String) {
    served.send(Request::get(format!("/api/v1/{path}")).body(Body::empty()).expect("a request")).await
}

/// Paths with their parameters, malformed in every way a client may think of.
fn requests() -> Vec<String> {
    let mut all = Vec::new();
    let times = [
        "",
        "4",
        "1.0005",
        "1.9999",
        "-1.5",
        "1_000",
        "abc",
        "1e400",
        "0x10",
        "2026-11-21",
        "2026-11-21T12:00:00.5Z",
        "2026-11-21T12:00:00+02:00",
        "2026-02-30T00:00:00Z",
        " 1",
        "1 ",
        "+1",
        "--1",
        "1e3",
        ".5",
        "5.",
        "_1",
        "1__0",
        "2026-11-21T24:00:00Z",
        "2026-11-21t12:00:00Z",
    ];
    let lengths = [
        "",
        "1",
        "0",
        "-1",
        "x",
        "1m",
        "1m30s",
        "1s1m",
        "-1s",
        "1e18",
        "1e30",
        "0.5",
        "1.5s",
        "5",
        "99999999999999",
        "1y1y",
        "0s",
        "100000y",
        " 1m",
        "1M",
    ];
    let numbers = ["", "1", "0", "-1", "x", "1.5", "99999999999999999999", "+2", "1e3", " 1", "0x1"];
    let queries = [
        "",
        "1",
        "up",
        "up{",
        "(1",
        "\"a\"",
        "\"<&>\"",
        "up[5m]",
        "1 +",
        "sum by (",
        "up{a=~\"(\"}",
        "{}",
        "foo{a=\"b\"",
        "-Inf",
        "NaN",
        "1e-7",
        "1e21",
        "0.1+0.2",
        "x y",
        "rate(up)",
        "'a",
        "#",
        "up offset",
        "up @ 1",
        "topk(up, 1)",
        "\u{e9}",
        "vector(1)",
        "1 # c",
    ];
    let selectors = [
        "",
        "{}",
        "{job=~\".*\"}",
        "{job=~\".+\"}",
        "up",
        "up{",
        "up offset 5m",
        "up[5m]",
        "sum(up)",
        "1",
        "{a=\"\"}",
        "{a!=\"\"}",
        "up{a=~\"(\"}",
    ];
    for time in times {
        // no time is now, and now differs
        if !time.is_empty() {
            all.push(format!("query?query=1&time={}", escape(time)));
        }
        all.push(format!("query_range?query=1&end=1e4&step=1e3&start={}", escape(time)));
        for path in ["labels?x=", "label/job/values?x=", "series?match[]=up", "query_exemplars?query=up"] {
            all.push(format!("{path}&start={}", escape(time)));
            all.push(format!("{path}&end={}", escape(time)));
        }
    }
    for length in lengths {
        all.push(format!("query?query=1&time=1&timeout={}", escape(length)));
        all.push(format!("query?query=1&time=1&lookback_delta={}", escape(length)));
        all.push(format!("query_range?query=1&start=0&end=2&step={}", escape(length)));
    }
    for number in numbers {
        for path in [
            "query?query=1&time=1",
            "query_range?query=1&start=0&end=1&step=1",
            "labels?x=",
            "label/job/values?x=",
            "series?match[]=up",
            "metadata?x=",
        ] {
            all.push(format!("{path}&limit={}", escape(number)));
        }
        all.push(format!("metadata?limit_per_metric={}", escape(number)));
    }
    for query in queries {
        all.push(format!("query?time=1&query={}", escape(query)));
        all.push(format!("query_range?start=1&end=2&step=1&query={}", escape(query)));
        all.push(format!("format_query?query={}", escape(query)));
        all.push(format!("query_exemplars?query={}", escape(query)));
    }
    for selector in selectors {
        for path in ["labels?x=", "label/job/values?x=", "series?x="] {
            all.push(format!("{path}&match[]={}", escape(selector)));
            all.push(format!("{path}&match[]=up&match[]={}", escape(selector)));
        }
    }
    let odd = [
        "query",
        "query_range",
        "series",
        "labels",
        "metadata",
        "format_query",
        "parse_query",
        "query_exemplars",
        "query?query=up%zz",
        "query?time=1&query=1;2",
        "series?match[]=up&%zz=1",
        "series?a;b",
        "labels?%zz",
        "series?match%5B%5D=up",
        "label/a-b/values",
        "label/U__a_2d_b/values",
        "label/U__bad_zz_/values",
        "label/1a/values",
        "label/a%20b/values",
        "query_range?query=1&start=0&end=11000&step=1",
        "query_range?query=1&start=0&end=11001&step=1",
        "query_range?query=1&start=2&end=1&step=1",
        "query?query=1&time=1&limit=x&timeout=x",
        "query?query=(&time=x",
        "query_exemplars?query=(&start=2&end=1",
        "parse_query?query=(",
        // every text is read before any is judged
        "series?match[]={}&match[]={",
        "labels?match[]={}&match[]={",
        "label/job/values?match[]={}&match[]={",
        "nosuch",
    ];
    all.extend(odd.map(str::to_owned));
    // brackets in a query string are not accepted by every parser of URLs
    all.iter_mut().for_each(|path| *path = path.replace('[', "%5B").replace(']', "%5D"));
    all
}

/// Where we differ on purpose, or copy 3.14 while the original here is older.
fn differs_on_purpose(path: &str) -> bool {
    let parts = [
        // no time at all: the original answers 400, 422 or 503, whichever of its checks comes first
        "timeout=0",
        "timeout=-1",
        // 3.14 names more of what it expects
        "query=up%20offset",
        // the router's own 404 is made by the server around the routes
        "nosuch",
    ];
    parts.iter().any(|part| path.contains(part))
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_get_the_originals_answers() {
    let Some(program) = find() else {
        println!("SKIP malformed_requests_get_the_originals_answers: no original (ISOBAR_PEERS)");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let _original = start(program, folder.path());
    let pool = Pool::new(Client::new(Clock::system()));
    let mut ready = false;
    for _ in 0..300 {
        ready = ask_original(&pool, "query?query=1").await.is_some_and(|(code, _)| code == 200);
        if ready {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(ready, "the original did not start");
    let served = serve_with(MemoryStore::default(), QueryConfig::default(), std::sync::Arc::new(Nobody));
    let (mut equal, mut different) = (0, Vec::new());
    for path in requests() {
        let theirs = ask_original(&pool, &path).await.expect("the original answers");
        let ours = ask_us(&served, &path).await;
        if ours == theirs {
            equal += 1;
        } else if !differs_on_purpose(&path) {
            different.push(format!(
                "{path}\n  theirs {} {}\n  ours   {} {}",
                theirs.0,
                theirs.1.trim(),
                ours.0,
                ours.1.trim()
            ));
        }
    }
    println!("{equal} requests answered equally");
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}
