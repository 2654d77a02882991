//! A data directory of ours in the eyes of the original: blocks, log and checkpoint together, as a kill leaves them; and one
//! of the original's in ours.
#![expect(clippy::disallowed_methods, reason = "a test asks the original over a socket of its own")]

use crate::golden::{conformance, peer};
use model::{Labels, Millis, TimeRange, Timestamp};
use runtime::clock::Clock;
use runtime::disk::RealDisk;
use runtime::instrument::Registry;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use storage::{Append, Durability, Piece, QueryContext, Select, Selection, Tenant, collect};
use tsdb::{Db, DbOptions, OpenError};

/// Bits of values, every NaN the same, by labels and time.
type Samples = BTreeMap<String, BTreeMap<i64, u64>>;

fn open(dir: &Path) -> Db {
    try_open(dir, true).expect("opens")
}

fn try_open(dir: &Path, no_lockfile: bool) -> Result<Db, OpenError> {
    let clock = Clock::system();
    let registry = Registry::new(clock.clone());
    let options = DbOptions {
        min_block: Millis(60_000),
        max_block: Millis(540_000),
        retention: None,
        wal_segment_bytes: 1 << 16,
        background: false,
        no_lockfile,
        ..DbOptions::default()
    };
    Db::open(Arc::new(RealDisk), dir, options, clock, &registry)
}

fn labels(n: usize) -> Labels {
    Labels::from_pairs([("__name__", "dir_total".to_owned()), ("job", "a b\"c".to_owned()), ("n", n.to_string())])
}

/// Forty minutes of scrapes every five seconds, every fifth series new each minute.
fn fill(db: &Db) {
    for step in 0..480i64 {
        let mut appender = db.begin(Tenant::DEFAULT).expect("taken");
        for n in (0..20).chain((0..5).map(|n| 100 + (step / 12) as usize * 5 + n)) {
            let series = appender.declare(&labels(n)).expect("legal");
            let at = Timestamp(1_700_000_000_000 + step * 5_000);
            appender.sample(series, at, (step * 7 + n as i64) as f64 / 4.0, Timestamp(0)).expect("known");
        }
        let done = appender.commit(Durability::Os).expect("written");
        assert_eq!((done.accepted, done.refusals.total()), (25, 0));
        if step % 8 == 0 {
            db.tick().expect("healthy");
        }
    }
}

fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

fn ours(db: &Db) -> Samples {
    let mut stream = db.select(&Selection::new(Vec::new(), TimeRange::ALL), &QueryContext::default()).expect("selects");
    let (series, _) = collect(stream.as_mut()).expect("reads");
    let mut all = Samples::new();
    for series in series {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for piece in series.pieces {
            match piece {
                Piece::Chunk(p) => drop(chunk::decode_into(p.encoding, &p.bytes, &mut times, &mut values)),
                Piece::Columns(p) => {
                    times.extend_from_slice(&p.times);
                    values.extend_from_slice(&p.values);
                }
                Piece::Histograms(_) => panic!("no histograms here"),
            }
        }
        all.insert(series.labels.to_string(), times.into_iter().zip(values.into_iter().map(bits)).collect());
    }
    all
}

/// `{labels} value time` lines.
fn dumped(promtool: &Path, dir: &Path) -> Samples {
    let output = Command::new(promtool).args(["tsdb", "dump"]).arg(dir).output().expect("promtool runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut all = Samples::new();
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        let (rest, at) = line.rsplit_once(' ').expect("a time");
        let (labels, value) = rest.rsplit_once(' ').expect("a value");
        let samples = all.entry(labels.to_owned()).or_default();
        samples.insert(at.parse().expect("a time"), bits(value.parse().expect("a number")));
    }
    all
}

#[test]
fn promtool_reads_blocks_and_log_as_we_do() {
    let test = "promtool_reads_blocks_and_log_as_we_do";
    let (Some(_), Some(promtool)) = (conformance(test), peer(test, "promtool")) else { return };
    let holder = tempfile::tempdir().expect("a temporary directory");
    let db = open(holder.path());
    fill(&db);
    let before = ours(&db);
    assert_eq!(before.values().map(BTreeMap::len).sum::<usize>(), 480 * 25);
    assert!(db.block_metas().len() >= 4 && db.head().series_count() < 60);
    // not closed: what a kill leaves
    let theirs = dumped(&promtool, holder.path());
    assert!(theirs == before, "{} series there, {} here", theirs.len(), before.len());
    let db = open(holder.path());
    assert!(ours(&db) == before, "another start reads something else");
}

/// The original, running on a data directory until dropped.
struct Prometheus {
    process: Child,
    port: u16,
}

impl Prometheus {
    fn start(program: &Path, data: &Path, scrapes_itself: bool) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let config = data.with_extension("yml");
        let jobs = format!("[{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]");
        let jobs = if scrapes_itself { jobs } else { "[]".to_owned() };
        let text = format!("global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs: {jobs}\n");
        runtime::disk::Disk::replace_file(&RealDisk, &config, text.as_bytes()).expect("written");
        let process = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .args([
                "--scrape.discovery-reload-interval=100ms",
                "--storage.tsdb.retention.time=100y",
                &format!("--web.listen-address=127.0.0.1:{port}"),
            ])
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let prometheus = Prometheus { process, port };
        let ready = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            prometheus.get("/-/ready").is_some_and(|answer| answer.contains("200 OK"))
        });
        assert!(ready, "the original does not become ready on {}", data.display());
        prometheus
    }

    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_original_and_we_take_turns_on_one_directory() {
    let test = "the_original_and_we_take_turns_on_one_directory";
    let (Some(program), Some(promtool)) = (peer(test, "prometheus"), peer(test, "promtool")) else { return };
    let promtool = promtool.with_file_name("promtool");
    let holder = tempfile::tempdir().expect("a temporary directory");
    let data = holder.path().join("data");
    let original = Prometheus::start(&program, &data, true);
    let scraped = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let up = original.get("/api/v1/query?query=count_over_time(up%5B1m%5D)%3E3");
        up.is_some_and(|answer| answer.contains("\"job\":\"self\""))
    });
    assert!(scraped, "the original does not scrape itself");
    drop(original);
    let theirs = dumped(&promtool, &data);
    assert!(theirs.len() > 300, "{}", theirs.len());
    let db = open(&data);
    assert!(ours(&db) == theirs, "we read its log differently");
    // our samples behind its own, with a block cut; then the original again
    let newest = db.head().max_time().expect("samples").0;
    for step in 1..=40i64 {
        let mut appender = db.begin(Tenant::DEFAULT).expect("taken");
        let series = appender.declare(&labels(1)).expect("legal");
        appender.sample(series, Timestamp(newest + step * 5_000), step as f64, Timestamp(0)).expect("known");
        appender.commit(Durability::Os).expect("written");
    }
    db.tick().expect("healthy");
    assert!(!db.block_metas().is_empty());
    let count: usize = ours(&db).values().map(BTreeMap::len).sum();
    db.close();
    let original = Prometheus::start(&program, &data, false);
    let query = format!("/api/v1/query?query=%7B__name__%3D~%22.%2B%22%7D%5B1h%5D&time={}", newest / 1000 + 300);
    let answer = original.get(&query).expect("answers");
    // a sample is `[time,"value"]`; a range selector does not show stale markers
    assert_eq!(answer.matches("\"]").count(), count - stale(&db));
    let taken = try_open(&data, false).expect_err("the original holds the lock");
    assert!(taken.to_string().contains("is in use: held by process"), "{taken}");
}

fn stale(db: &Db) -> usize {
    let mut stream = db.select(&Selection::new(Vec::new(), TimeRange::ALL), &QueryContext::default()).expect("selects");
    let (series, _) = collect(stream.as_mut()).expect("reads");
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for piece in series.into_iter().flat_map(|series| series.pieces) {
        if let Piece::Chunk(p) = piece {
            chunk::decode_into(p.encoding, &p.bytes, &mut times, &mut values).expect("decodes");
        }
    }
    values.into_iter().filter(|value| model::is_stale(*value)).count()
}
