//! Appending to, selecting from and replaying the head. Run: `cargo bench -p tsdb --bench head`.
//! Times of appends and replay are this thread's time on a processor: what other programs take away does not count.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use model::{Labels, Matcher, TimeRange, Timestamp};
use runtime::clock::Clock;
use runtime::disk::{Disk, RealDisk};
use runtime::instrument::{Registry, process};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use storage::{Append, Durability, LaneKey, QueryContext, Row, Select, Selection, SeriesRef, Tenant};
use tsdb::{Db, DbOptions};

const TARGETS: usize = 200;
const PER_TARGET: usize = 1_000;
const ROWS: i64 = 120;

fn open(dir: &Path) -> Db {
    let clock = Clock::system();
    let registry = Registry::new(clock.clone());
    Db::open(Arc::new(RealDisk), dir, DbOptions { retention: None, ..DbOptions::default() }, clock, &registry).unwrap()
}

fn labels(target: usize, n: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("node_some_metric_{}_total", n / 10)),
        ("cluster", "production".to_owned()),
        ("device", format!("eth{}", n % 10)),
        ("env", format!("env-{}", target % 3)),
        ("instance", format!("10.0.{}.{}:9100", target / 256, target % 256)),
        ("job", format!("job-{}", target % 10)),
        ("mode", "idle".to_owned()),
        ("namespace", format!("ns-{}", target % 50)),
        ("pod", format!("pod-{target:05}")),
        ("zone", format!("zone-{}", target % 4)),
    ])
}

/// Counters, gauges with two decimals, constants.
fn value(n: usize, row: i64) -> f64 {
    match n % 4 {
        0 => (row * (n as i64 % 97) * 13) as f64,
        1 => ((row * 31 + n as i64) % 1_000) as f64 / 100.0,
        _ => n as f64,
    }
}

/// Nanoseconds this thread has run.
fn spent() -> u64 {
    let text = RealDisk.read(Path::new("/proc/thread-self/schedstat")).unwrap();
    String::from_utf8(text).unwrap().split(' ').next().unwrap().parse().unwrap()
}

fn at(row: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + row * 15_000)
}

fn born(db: &Db, sets: &[Labels]) -> Vec<SeriesRef> {
    let mut appender = db.begin(Tenant::DEFAULT).unwrap();
    let declared: Vec<SeriesRef> = sets.iter().map(|labels| appender.declare(labels).unwrap()).collect();
    for (n, series) in declared.iter().enumerate() {
        appender.sample(*series, at(0), value(n, 0), Timestamp(0)).unwrap();
    }
    let done = appender.commit(Durability::Soon).unwrap();
    declared.iter().map(|series| done.resolve(*series).unwrap()).collect()
}

fn append(db: &Db, refs: &[SeriesRef], row: i64) {
    let values: Vec<f64> = (0..refs.len()).map(|n| value(n, row)).collect();
    let mut appender = db.begin(Tenant::DEFAULT).unwrap();
    appender.row(Row { lane: LaneKey(0), at: at(row), series: refs, values: &values, starts: &[] }).unwrap();
    appender.commit(Durability::Soon).unwrap();
}

fn main() {
    one_target();
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let sets: Vec<Vec<Labels>> =
        (0..TARGETS).map(|target| (0..PER_TARGET).map(|n| labels(target, n)).collect()).collect();
    let before = process::resident_bytes();
    let series = (TARGETS * PER_TARGET) as f64;
    let memory = |samples: i64| {
        let held = (process::resident_bytes() - before) as f64 / series;
        println!("memory without label texts, {samples} samples each: {held:.0} B a series");
    };
    let began = spent();
    let refs: Vec<Vec<SeriesRef>> = sets.iter().map(|sets| born(&db, sets)).collect();
    println!("new series: {:.0} ns each", (spent() - began) as f64 / series);
    memory(1);
    let began = spent();
    for row in 1..ROWS {
        refs.iter().for_each(|refs| append(&db, refs, row));
    }
    let samples = series * (ROWS - 1) as f64;
    println!("append, {TARGETS} targets of {PER_TARGET}: {:.1} ns a sample", (spent() - began) as f64 / samples);
    memory(ROWS);
    select(&db, "one name, all targets (2 000 series)", vec![Matcher::equal("__name__", "node_some_metric_7_total")]);
    select(&db, "one target (1 000 series)", vec![Matcher::equal("pod", "pod-00007")]);
    select(&db, "everything (200 000 series)", Vec::new());
    db.close();
    drop(db);
    let began = spent();
    let db = open(dir.path());
    println!("replay: {:.1} M samples/s", series * ROWS as f64 / (spent() - began) as f64 * 1e3);
    db.close();
}

/// One target: everything stays in the second cache.
fn one_target() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let sets: Vec<Labels> = (0..PER_TARGET).map(|n| labels(0, n)).collect();
    let refs = born(&db, &sets);
    let began = spent();
    (1..1_000).for_each(|row| append(&db, &refs, row));
    println!("append, one target of {PER_TARGET}: {:.1} ns a sample", (spent() - began) as f64 / 999e3);
    db.close();
}

fn select(db: &Db, what: &str, matchers: Vec<Matcher>) {
    let selection = Selection::new(matchers, TimeRange::ALL);
    let started = Instant::now();
    let mut stream = db.select(&selection, &QueryContext::default()).unwrap();
    let snapshot = started.elapsed();
    let mut series = 0;
    while let Some(batch) = stream.next().unwrap() {
        series += batch.series.len();
    }
    println!("select {what}: snapshot {snapshot:.2?}, read {:.2?}, {series} series", started.elapsed());
}
