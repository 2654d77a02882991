//! An open directory on a simulated disk: life cycle, refusals, retention, selections across blocks and head.

use super::*;
use crate::block::{CREATING, DELETING};
use model::{Labels, TimeRange, Timestamp};
use runtime::disk::{Disk, OpenMode, SimDisk};
use runtime::instrument::Registry;
use std::collections::BTreeMap;
use storage::{Append, Durability, Piece, QueryContext, Select, Selection, Tenant, collect};
use testkit::contract::{self, Subject};

pub(super) const DIR: &str = "/data";
/// Blocks of a minute, scrapes every five seconds.
pub(super) const RANGE: i64 = 60_000;
pub(super) const STEP: i64 = 5_000;

pub(super) fn options() -> DbOptions {
    DbOptions {
        min_block: Millis(RANGE),
        max_block: Millis(RANGE * 9),
        retention: None,
        wal_segment_bytes: 1 << 16,
        background: false,
        seed: Some(7),
        ..DbOptions::default()
    }
}

pub(super) fn open_with(disk: &SimDisk, options: DbOptions) -> Result<Db, OpenError> {
    let clock = Clock::manual(Timestamp(1_700_000_000_000 + disk.calls() as i64));
    let registry = Registry::new(clock.clone());
    Db::open(Arc::new(disk.clone()), Path::new(DIR), options, clock, &registry)
}

pub(super) fn open(disk: &SimDisk) -> Result<Db, OpenError> {
    open_with(disk, options())
}

pub(super) fn labels(n: usize) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("n", format!("{n:04}"))])
}

/// One scrape of the series `of`, all with the value of the step; true when it is on disk.
pub(super) fn scrape(db: &Db, step: i64, of: impl Iterator<Item = usize>, durability: Durability) -> bool {
    let Ok(mut appender) = db.begin(Tenant::DEFAULT) else { return false };
    for n in of {
        let series = appender.declare(&labels(n)).expect("legal");
        appender.sample(series, Timestamp(step * STEP), step as f64, Timestamp(0)).expect("known");
    }
    match appender.commit(durability) {
        Ok(done) => {
            assert_eq!(done.refusals.total(), 0, "step {step}: {:?}", done.refusals);
            done.ticket.state() == Some(Ok(()))
        }
        Err(_) => false,
    }
}

/// Everything, as `step → series with their value`.
pub(super) fn by_step(db: &Db) -> BTreeMap<i64, BTreeMap<String, f64>> {
    let mut steps: BTreeMap<i64, BTreeMap<String, f64>> = BTreeMap::new();
    let mut stream = db.select(&Selection::new(Vec::new(), TimeRange::ALL), &QueryContext::default()).expect("selects");
    let (series, warnings) = collect(stream.as_mut()).expect("reads");
    assert!(warnings.is_empty(), "{warnings:?}");
    for series in series {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        for piece in series.pieces {
            match piece {
                Piece::Chunk(p) => {
                    chunk::decode_into(p.encoding, &p.bytes, &mut times, &mut values).expect("decodes");
                }
                Piece::Columns(p) => {
                    times.extend_from_slice(&p.times);
                    values.extend_from_slice(&p.values);
                }
                Piece::Histograms(_) => panic!("no histograms here"),
            }
        }
        assert!(times.windows(2).all(|two| two[0] < two[1]), "samples ascend");
        for (at, value) in times.into_iter().zip(values) {
            let known = steps.entry(at / STEP).or_default().insert(series.labels.value("n").to_owned(), value);
            assert_eq!(known, None, "each sample once");
        }
    }
    steps
}

pub(super) fn names(disk: &SimDisk, dir: &str) -> Vec<String> {
    disk.list(Path::new(dir)).expect("there").into_iter().map(|entry| entry.name).collect()
}

fn write(disk: &SimDisk, path: &str, content: &[u8]) {
    let path = Path::new(path);
    disk.create_dir_all(runtime::disk::parent_of(path)).expect("made");
    disk.open(path, OpenMode::Create).expect("made").append(content).expect("written");
}

#[test]
fn the_waists_contract() {
    contract::check(|| {
        let disk = SimDisk::new();
        let db = Arc::new(open_with(&disk, DbOptions { background: true, ..options() }).expect("opens"));
        Subject { append: db.clone(), select: db, keep: Box::new(disk) }
    });
}

#[test]
fn blocks_are_cut_merged_and_selected_with_the_head() {
    let disk = SimDisk::new();
    let db = open(&disk).expect("opens");
    for step in 0..200 {
        // a fifth of the series churns every minute
        let churned = 100 + (step / 12) as usize;
        assert!(scrape(&db, step, (0..4).chain([churned]), Durability::Synced));
        if step % 6 == 0 {
            db.tick().expect("healthy");
        }
    }
    db.tick().expect("healthy");
    let metas = db.block_metas();
    assert!(metas.iter().any(|meta| meta.compaction.level > 1), "{metas:?}");
    assert!(metas.windows(2).all(|two| two[0].max_time <= two[1].min_time), "no overlap is left");
    let check = |db: &Db| {
        let seen = by_step(db);
        assert_eq!(seen.len(), 200);
        for (step, row) in seen {
            assert_eq!(row.len(), 5, "step {step}");
            assert!(row.values().all(|value| *value == step as f64));
        }
    };
    check(&db);
    assert!(db.head().series_count() <= 8, "dead series are gone: {}", db.head().series_count());
    let segments = crate::wal::segment::list(&disk, Path::new("/data/wal")).expect("no gap");
    assert!(segments.segments.len() <= 5 && segments.checkpoints.len() == 1, "the log levels off: {segments:?}");
    db.close();
    disk.restart();
    let db = open(&disk).expect("opens again");
    check(&db);
    assert!(scrape(&db, 200, 0..5, Durability::Synced));
}

#[test]
fn retention_removes_whole_blocks() {
    let disk = SimDisk::new();
    let kept = DbOptions { retention: Some(Millis(RANGE * 3)), max_block: Millis(RANGE), ..options() };
    let db = open_with(&disk, kept.clone()).expect("opens");
    for step in 0..200 {
        scrape(&db, step, 0..3, Durability::Synced);
        db.tick().expect("healthy");
    }
    assert_eq!(db.block_metas().len(), 3);
    let by_time = by_step(&db).len();
    assert!((36..=60).contains(&by_time), "{by_time}");
    db.close();
    disk.restart();
    let block = db.shared.blocks.load()[0].size();
    let by_size = DbOptions { retention: None, retention_bytes: block + 60_000, ..kept };
    let db = open_with(&disk, by_size).expect("opens");
    db.tick().expect("healthy");
    assert!(db.block_metas().len() <= 3);
    let tiny = DbOptions { retention: None, retention_bytes: 1, max_block: Millis(RANGE), ..options() };
    db.close();
    disk.restart();
    let db = open_with(&disk, tiny).expect("opens");
    db.tick().expect("healthy");
    assert_eq!(db.block_metas().len(), 0);
    assert!(!by_step(&db).is_empty(), "the head stays");
}

#[test]
fn retention_makes_room_on_a_full_disk() {
    let disk = SimDisk::new();
    let kept = DbOptions { retention: Some(Millis(RANGE * 3)), max_block: Millis(RANGE), ..options() };
    let db = open_with(&disk, kept).expect("opens");
    for step in 0..60 {
        assert!(scrape(&db, step, 0..3, Durability::Synced));
        db.tick().expect("healthy");
    }
    let before = db.block_metas();
    // samples are still taken, but no block can be written any more; the oldest blocks are past their time meanwhile
    for step in 60..200 {
        assert!(scrape(&db, step, 0..3, Durability::Synced));
    }
    let young = db.shared.options.retention.expect("set").0;
    disk.set_capacity(Some(1));
    let error = db.tick().expect_err("no room for a block");
    assert!(error.to_string().contains("o space left"), "{error}");
    let newest = before.last().expect("blocks").max_time;
    let left: Vec<i64> = db.block_metas().iter().map(|block| block.max_time).collect();
    assert!(left.iter().all(|max| newest - max <= young), "{left:?}");
    assert!(left.contains(&newest), "what is younger than the retention stays: {left:?}");
    disk.set_capacity(None);
    db.tick().expect("there is room again");
    assert!(by_step(&db).len() >= 36);
}

#[test]
fn a_log_that_was_removed_takes_nothing_more() {
    let disk = SimDisk::new();
    let db = open(&disk).expect("opens");
    assert!(scrape(&db, 0, 0..3, Durability::Synced));
    db.tick().expect("healthy");
    let wal = Path::new(DIR).join("wal");
    for name in names(&disk, "/data/wal") {
        disk.remove_file(&wal.join(name)).expect("removed");
    }
    db.tick().expect("nothing else is wrong");
    assert!(!scrape(&db, 1, 0..3, Durability::Synced));
    assert!(matches!(db.health(), Health::Refusing(reason) if reason.contains("was removed")));
    assert_eq!(by_step(&db).len(), 1, "queries are answered");
}

#[test]
fn a_directory_is_open_once() {
    let disk = SimDisk::new();
    let db = open(&disk).expect("opens");
    let error = open(&disk).expect_err("taken");
    assert_eq!(error.to_string(), "data directory /data is in use: held by another process");
    db.close();
    open(&disk).expect("free");
}

#[test]
fn what_cannot_be_read_is_refused_untouched() {
    let snappy = |record: &[u8]| {
        let mut out = Vec::new();
        crate::wal::frame::Framer::new(true).frame(record, 0, &mut out);
        out
    };
    let zstd = {
        let mut out = Vec::new();
        crate::wal::frame::Framer::new(false).frame(&[2; 40], 0, &mut out);
        out[0] |= 1 << 4;
        out
    };
    let cases: &[(&str, &[u8], &str)] = &[
        ("/data/chunks_head/000001", &[1, 2, 3, 4, 5, 6, 7, 8, 9], "m-mapped head chunks"),
        ("/data/wbl/00000000", &[1], "out-of-order log"),
        ("/data/chunk_snapshot.000001.0000000002/00000000", &[], "memory snapshot"),
        ("/data/wal/00000000", &snappy(&[7, 1, 2, 3]), "native histograms"),
        ("/data/wal/00000000", &snappy(&[11, 1, 2, 3]), "samples with start times"),
        ("/data/wal/00000000", &zstd, "zstd"),
        ("/data/isobar-format", b"isobar data format 2\n", "its data format is 2, this version knows 1"),
        ("/data/isobar-format", b"", "does not name a data format"),
    ];
    for (path, content, expected) in cases {
        let disk = SimDisk::new();
        write(&disk, path, content);
        write(&disk, "/data/wal/checkpoint.00000001.tmp/00000000", b"x");
        let before = (names(&disk, DIR), names(&disk, "/data/wal"));
        let error = open(&disk).expect_err("refused");
        assert!(matches!(error, OpenError::Refused { .. }), "{path}: {error}");
        assert!(error.to_string().contains(expected), "{path}: {error}");
        assert_eq!((names(&disk, DIR), names(&disk, "/data/wal")), before, "{path}");
    }
    // a head chunk file that was made and never filled, and empty out-of-order segments, hold nothing
    let disk = SimDisk::new();
    write(&disk, "/data/chunks_head/000001", &[1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0]);
    write(&disk, "/data/wbl/00000000", &[]);
    open(&disk).expect("opens");
}

#[test]
fn leftovers_are_removed() {
    let disk = SimDisk::new();
    let ulid = "01HF8Z2Q3W4X5Y6Z7A8B9C0D1E";
    for path in [
        format!("/data/{ulid}{CREATING}/meta.json"),
        format!("/data/{ulid}{DELETING}/meta.json"),
        format!("/data/{ulid}.tmp/meta.json"),
        "/data/wal/checkpoint.00000001.tmp/00000000".to_owned(),
        "/data/wal/00000000.repair".to_owned(),
        "/data/isobar-format.tmp".to_owned(),
        "/data/notes.tmp".to_owned(),
        "/data/wal/README".to_owned(),
    ] {
        write(&disk, &path, b"x");
    }
    let _db = open(&disk).expect("opens");
    assert_eq!(names(&disk, DIR), ["isobar-format", "lock", "notes.tmp", "wal"]);
    assert_eq!(names(&disk, "/data/wal"), ["00000000", "README"]);
}

#[test]
fn a_torn_log_is_repaired_and_a_damaged_checkpoint_is_not() {
    let disk = SimDisk::new();
    let db = open(&disk).expect("opens");
    for step in 0..10 {
        assert!(scrape(&db, step, 0..3, Durability::Synced));
    }
    let path = Path::new("/data/wal/00000000");
    let len = disk.metadata(path).expect("there").len;
    disk.halt_at(disk.calls());
    drop(db);
    disk.restart();
    disk.open(path, OpenMode::Write).expect("there").set_len(len - 14).expect("cut");
    let db = open(&disk).expect("repaired");
    assert_eq!(by_step(&db).len(), 9);
    assert_eq!(db.shared.instruments.wal_corruptions.value(), 1.0);
    assert!(scrape(&db, 10, 0..3, Durability::Synced));
    db.close();
    disk.restart();
    let db = open(&disk).expect("sound");
    assert_eq!(by_step(&db).len(), 10);
    assert_eq!(db.shared.instruments.wal_corruptions.value(), 0.0);
    for step in 11..100 {
        assert!(scrape(&db, step, 0..3, Durability::Synced));
        db.tick().expect("healthy");
    }
    db.close();
    disk.restart();
    let wal = names(&disk, "/data/wal");
    let checkpoint = wal.iter().find(|name| name.starts_with("checkpoint")).expect("a checkpoint");
    disk.flip(&Path::new("/data/wal").join(checkpoint).join("00000000"), 9, 1);
    let error = open(&disk).expect_err("damaged");
    assert!(error.to_string().contains("is damaged at byte 0"), "{error}");
    assert_eq!(names(&disk, "/data/wal"), wal, "nothing was deleted");
}

#[test]
fn threads_sync_and_maintain_by_themselves() {
    let disk = SimDisk::new();
    let db = open_with(&disk, DbOptions { background: true, ..options() }).expect("opens");
    for step in 0..100 {
        scrape(&db, step, 0..3, Durability::Soon);
    }
    let mut appender = db.begin(Tenant::DEFAULT).expect("taken");
    let series = appender.declare(&labels(0)).expect("legal");
    appender.sample(series, Timestamp(100 * STEP), 1.0, Timestamp(0)).expect("known");
    let ticket = appender.commit(Durability::Soon).expect("good").ticket;
    ticket.wait_blocking().expect("synced by the thread");
    for _ in 0..200 {
        if !db.block_metas().is_empty() {
            break;
        }
        db.shared.wake.notify_all();
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!db.block_metas().is_empty(), "the thread cut a block");
    db.close();
    db.close();
}

/// Blocks are cut, merged and removed, the log is shortened, while scrapes come and queries run: every query sees a run of whole
/// scrapes without a gap.
#[test]
fn queries_see_whole_scrapes_while_everything_moves() {
    let disk = SimDisk::new();
    let db = open(&disk).expect("opens");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for step in 0..600 {
                let churned = 100 + (step / 12) as usize;
                scrape(&db, step, (0..8).chain([churned]), Durability::Soon);
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                db.tick().expect("healthy");
            }
        });
        scope.spawn(|| {
            let mut newest = 0;
            while !done.load(Ordering::Acquire) {
                let seen = by_step(&db);
                for (at, (step, row)) in seen.iter().enumerate() {
                    assert_eq!(*step, at as i64, "no gap");
                    assert_eq!(row.len(), 9, "step {step} is there whole");
                }
                assert!(seen.len() >= newest, "nothing disappears");
                newest = seen.len();
            }
        });
    });
    db.tick().expect("healthy");
    assert_eq!(by_step(&db).len(), 600);
    assert!(db.block_metas().len() < 30);
}
