//! A data directory of ours in the eyes of the original: blocks, log and checkpoint together, as a kill leaves them.

use crate::golden::{conformance, peer};
use model::{Labels, Millis, TimeRange, Timestamp};
use runtime::clock::Clock;
use runtime::disk::RealDisk;
use runtime::instrument::Registry;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use storage::{Append, Durability, Piece, QueryContext, Select, Selection, Tenant, collect};
use tsdb::{Db, DbOptions};

type Samples = BTreeMap<String, BTreeMap<i64, f64>>;

fn open(dir: &Path) -> Db {
    let clock = Clock::system();
    let registry = Registry::new(clock.clone());
    let options = DbOptions {
        min_block: Millis(60_000),
        max_block: Millis(540_000),
        retention: None,
        wal_segment_bytes: 1 << 16,
        background: false,
        no_lockfile: true,
        ..DbOptions::default()
    };
    Db::open(Arc::new(RealDisk), dir, options, clock, &registry).expect("opens")
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
        all.insert(series.labels.to_string(), times.into_iter().zip(values).collect());
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
        samples.insert(at.parse().expect("a time"), value.parse().expect("a number"));
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
