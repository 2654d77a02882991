//! The head with its log on a simulated disk: the waist's contract, atomicity, refusals, truncation, replay.

use super::*;
use crate::wal::segment::{list, segment_path};
use crate::wal::writer::{WalOptions, WalWriter};
use model::{Labels, TimeRange};
use runtime::clock::Clock;
use runtime::disk::{Disk, SharedDisk, SimDisk};
use runtime::instrument::Registry;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use storage::{
    Append, AppendError, CommitError, Committed, Durability, LaneKey, Piece, QueryContext, Row, Select, Selection,
    Tenant, collect,
};
use testkit::contract::{self, Subject};

const RANGE: i64 = 7_200_000;
const WAL: &str = "/data/wal";

pub(super) fn open(disk: &SimDisk) -> (Head, ReplayStats) {
    open_from(disk, i64::MIN)
}

fn open_from(disk: &SimDisk, oldest: i64) -> (Head, ReplayStats) {
    let clock = Clock::manual(Timestamp(0));
    let instruments = Instruments::new(&Registry::new(clock.clone()));
    let flusher = Arc::new(Flusher::new(clock, instruments.wal_fsync.clone(), true));
    let options = HeadOptions { chunk_range: RANGE, samples_per_chunk: 120, seed: 1 };
    let head = Head::new(options, oldest, flusher.clone(), instruments);
    let segments = list(disk, Path::new(WAL)).expect("no gap").segments;
    let mut replay = head.replay();
    for segment in &segments {
        replay.segment(disk, &segment_path(Path::new(WAL), *segment)).expect("sound");
    }
    let next = segments.last().map_or(0, |last| last + 1);
    let stats = replay.finish(next).expect("numbers left");
    let options = WalOptions { segment_bytes: 1 << 20, compress: true };
    let shared: SharedDisk = Arc::new(disk.clone());
    head.start_logging(WalWriter::open(shared, Path::new(WAL), next, options, flusher).expect("writable"));
    (head, stats)
}

fn labels(n: usize) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("n", &format!("{n:04}"))])
}

fn put(head: &Head, samples: &[(usize, i64, f64)]) -> Result<Committed, CommitError> {
    let mut appender = head.begin(Tenant::DEFAULT).expect("taken");
    for (n, at, value) in samples {
        let series = appender.declare(&labels(*n)).expect("legal");
        appender.sample(series, Timestamp(*at), *value, Timestamp(0)).expect("known");
    }
    appender.commit(Durability::Synced)
}

/// Everything, as `n → [(time, value)]`.
pub(super) fn all(head: &Head) -> Vec<(String, Vec<(i64, f64)>)> {
    let selection = Selection::new(Vec::new(), TimeRange::ALL);
    let mut stream = head.select(&selection, &QueryContext::default()).expect("selects");
    let (series, _) = collect(stream.as_mut()).expect("reads");
    series.into_iter().map(|s| (s.labels.value("n").to_owned(), samples(&s.pieces))).collect()
}

fn samples(pieces: &[Piece]) -> Vec<(i64, f64)> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for piece in pieces {
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
    times.into_iter().zip(values).collect()
}

fn series(list: &[(&str, &[(i64, f64)])]) -> Vec<(String, Vec<(i64, f64)>)> {
    list.iter().map(|(n, s)| ((*n).to_owned(), s.to_vec())).collect()
}

#[test]
fn the_waists_contract() {
    contract::check(|| {
        let disk = SimDisk::new();
        let head = Arc::new(open(&disk).0);
        Subject { append: head.clone(), select: head, keep: Box::new(disk) }
    });
}

#[test]
fn refusals_are_prometheus_own() {
    let disk = SimDisk::new();
    let (head, _) = open(&disk);
    let base = 100 * RANGE;
    put(&head, &[(0, base, 1.0)]).expect("good");
    let done = put(
        &head,
        &[
            (0, base, 1.0),                 // the same again: no effect, accepted
            (0, base, 2.0),                 // duplicate
            (0, base - 1, 1.0),             // out of order
            (1, base - RANGE / 2 - 1, 1.0), // out of bounds
            (1, base - RANGE / 2, 1.0),
            (1, base - RANGE / 2, 2.0), // duplicate within the commit
            (2, i64::MAX, 1.0),
        ],
    )
    .expect("good");
    assert_eq!(done.accepted, 2);
    let refusals = &done.refusals;
    assert_eq!((refusals.duplicate, refusals.out_of_order, refusals.out_of_bounds), (2, 1, 2));
    assert_eq!(refusals.first.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2, 3, 5, 6]);
    assert_eq!(done.born[1], None, "a series without an accepted sample is not born");
    assert_eq!(all(&head), series(&[("0000", &[(base, 1.0)]), ("0001", &[(base - RANGE / 2, 1.0)])]));
}

#[test]
fn a_restart_brings_everything_back() {
    let disk = SimDisk::new();
    let (head, _) = open(&disk);
    for step in 0..500i64 {
        let row: Vec<_> = (0..20).map(|n| (n, step * 15_000, (step * n as i64) as f64)).collect();
        put(&head, &row).expect("good");
    }
    let before = all(&head);
    drop(head);
    disk.restart();
    let (head, stats) = open(&disk);
    assert_eq!(stats, ReplayStats { samples: 10_000, ..ReplayStats::default() });
    assert_eq!(all(&head), before);
    assert_eq!((head.min_time(), head.max_time()), (Some(Timestamp(0)), Some(Timestamp(499 * 15_000))));
    let refused = put(&head, &[(3, 499 * 15_000, 7.0)]).expect("good");
    assert_eq!(refused.refusals.duplicate, 1, "the newest value is known again");
    // only what is newer than the blocks comes back
    disk.restart();
    let (head, stats) = open_from(&disk, 400 * 15_000);
    assert_eq!((stats.samples, stats.passed_over), (2_000, 8_000));
    assert_eq!(head.min_time(), Some(Timestamp(400 * 15_000)));
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let disk = SimDisk::new();
    let (head, _) = open(&disk);
    put(&head, &[(0, 1000, 1.0)]).expect("good");
    disk.set_capacity(Some(200));
    let mut refused = false;
    for step in 2..50 {
        match put(&head, &[(0, step * 1000, step as f64), (step as usize, step * 1000, 0.5)]) {
            Ok(_) => assert!(!refused, "a larger commit succeeded after a smaller one failed"),
            Err(CommitError::Unavailable(reason)) => {
                assert!(reason.contains("No space left"), "{reason}");
                refused = true;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused && matches!(head.health(), Health::Full(_)));
    let kept = all(&head);
    disk.set_capacity(None);
    put(&head, &[(0, 60_000, 60.0)]).expect("there is room again");
    assert_eq!(head.health(), Health::Good);
    let mut expected = kept;
    expected[0].1.push((60_000, 60.0));
    assert_eq!(all(&head), expected);
    drop(head);
    disk.restart();
    assert_eq!(all(&open(&disk).0), expected);
}

#[test]
fn a_failed_sync_poisons_and_queries_go_on() {
    let disk = SimDisk::new();
    let (head, _) = open(&disk);
    put(&head, &[(0, 1000, 1.0)]).expect("good");
    disk.fail_call(disk.calls() + 1, runtime::disk::Fault::Io); // the write, then the sync
    let ticket = put(&head, &[(0, 2000, 2.0)]).expect("written").ticket;
    assert!(ticket.state().expect("settled").is_err());
    assert!(matches!(put_begin(&head), Err(AppendError::Poisoned(_))));
    assert!(matches!(head.health(), Health::Refusing(_)));
    assert_eq!(all(&head).len(), 1);
}

fn put_begin(head: &Head) -> Result<(), AppendError> {
    head.begin(Tenant::DEFAULT).map(drop)
}

#[test]
fn truncation_forgets_dead_series_and_their_refs() {
    let disk = SimDisk::new();
    let (head, _) = open(&disk);
    let mut appender = head.begin(Tenant::DEFAULT).expect("taken");
    let declared = appender.declare(&labels(0)).expect("legal");
    appender.sample(declared, Timestamp(1), 1.0, Timestamp(0)).expect("known");
    let old = appender.commit(Durability::Os).expect("good").resolve(declared).expect("born");
    put(&head, &[(1, 1, 1.0)]).expect("good");
    put(&head, &[(1, RANGE / 2, 1.0)]).expect("good");
    put(&head, &[(1, RANGE, 1.0), (2, RANGE, 2.0)]).expect("good");
    // this appender names series 0 before it is collected
    let mut late = head.begin(Tenant::DEFAULT).expect("taken");
    late.sample(old, Timestamp(RANGE + 5), 5.0, Timestamp(0)).expect("known");
    let removed = head.truncate(RANGE);
    assert_eq!(removed, crate::head::truncate::Truncated { series: 1, chunks: 2 });
    assert_eq!(head.0.bounds.oldest_valid.load(Ordering::Acquire), RANGE);
    assert_eq!(all(&head), series(&[("0001", &[(RANGE, 1.0)]), ("0002", &[(RANGE, 2.0)])]));
    let mut appender = head.begin(Tenant::DEFAULT).expect("taken");
    let row = Row { lane: LaneKey(0), at: Timestamp(RANGE + 1), series: &[old], values: &[1.0], starts: &[] };
    assert_eq!(appender.row(row), Err(AppendError::UnknownSeries(old)));
    // a new series takes over the slot, and the old ref still does not answer
    put(&head, &[(3, RANGE + 1, 3.0)]).expect("good");
    assert_eq!(appender.row(row), Err(AppendError::UnknownSeries(old)));
    let done = late.commit(Durability::Os).expect("good");
    assert_eq!(done.accepted, 1, "the series is made anew");
    let expected = series(&[
        ("0000", &[(RANGE + 5, 5.0)]),
        ("0001", &[(RANGE, 1.0)]),
        ("0002", &[(RANGE, 2.0)]),
        ("0003", &[(RANGE + 1, 3.0)]),
    ]);
    assert_eq!(all(&head), expected);
    drop(head);
    disk.restart();
    assert_eq!(all(&open_from(&disk, RANGE).0), expected);
}

#[test]
fn churn_levels_off() {
    let disk = SimDisk::new();
    let (head, _) = open(&disk);
    let mut slots = Vec::new();
    for generation in 0..20usize {
        for step in 0..10 {
            let at = generation as i64 * RANGE + step * 600_000;
            let row: Vec<_> =
                (0..100).map(|n| if n < 80 { n } else { 1000 + generation * 100 + n }).map(|n| (n, at, 1.0)).collect();
            put(&head, &row).expect("good");
        }
        head.truncate(generation as i64 * RANGE);
        slots.push(head.0.data.read().rows.len());
        assert_eq!(head.series_count(), 100);
    }
    assert!(slots[19] <= 120, "slots are used again: {slots:?}");
}

#[test]
fn tombstones_of_a_log_hide_samples() {
    let disk = SimDisk::new();
    let (head, _) = open(&disk);
    for step in 0..300i64 {
        put(&head, &[(0, step * 15_000, step as f64)]).expect("good");
    }
    let mut record = Vec::new();
    let gone = crate::wal::record::LogTombstone { series: 1, first: 100 * 15_000, last: 199 * 15_000 };
    crate::wal::record::encode_tombstones(&mut record, &[gone]);
    head.0.writer.lock().wal.as_mut().expect("open").write(&[&record], Durability::Synced).expect("good");
    drop(head);
    disk.restart();
    let (head, _) = open(&disk);
    let kept: Vec<i64> = all(&head)[0].1.iter().map(|(at, _)| at / 15_000).collect();
    assert_eq!(kept, (0..100).chain(200..300).collect::<Vec<_>>());
    let drained: usize = head
        .chunks_within(TimeRange::ALL)
        .flat_map(|(_, chunks)| chunks)
        .map(|c| usize::from(chunk::xor::sample_count(&c.bytes).expect("a chunk")))
        .sum();
    assert_eq!(drained, 200, "a block is cut without them");
}

#[test]
fn appends_selections_and_truncations_run_side_by_side() {
    let disk = SimDisk::new();
    let (head, _) = open(&disk);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let appender = scope.spawn(|| {
            for step in 0..2_000i64 {
                let at = step * 60_000;
                // one new series a step, fifty that stay; all of a row have one value
                let row: Vec<_> = (0..50).chain([100 + step as usize]).map(|n| (n, at, step as f64)).collect();
                put(&head, &row).expect("good");
            }
            stop.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                if head.is_compactable() {
                    let min = head.min_time().expect("not empty").0;
                    head.truncate(series::range_end(min, RANGE));
                }
                std::thread::yield_now();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Acquire) {
                    let seen = all(&head);
                    let newest = seen.iter().filter_map(|(_, s)| s.last()).map(|(at, _)| *at).max();
                    let Some(newest) = newest else { continue };
                    let of_newest = seen.iter().filter(|(_, s)| s.last().is_some_and(|(at, _)| *at == newest)).count();
                    assert_eq!(of_newest, 51, "the newest row is there whole");
                }
            });
        }
        appender.join().expect("no panic");
    });
    assert!(head.series_count() < 400, "{}", head.series_count());
}

#[test]
fn a_log_without_its_samples_makes_no_series() {
    let disk = SimDisk::new();
    let (head, _) = open(&disk);
    let mut record = Vec::new();
    crate::wal::record::encode_series(&mut record, [(77, &labels(5))]);
    head.0.writer.lock().wal.as_mut().expect("open").write(&[&record], Durability::Synced).expect("good");
    drop(head);
    disk.restart();
    let (head, _) = open(&disk);
    assert_eq!(head.series_count(), 0);
    assert_eq!(head.covers(), None);
    put(&head, &[(5, 1, 1.0)]).expect("good");
    assert!(disk.list(Path::new(WAL)).expect("there").len() >= 2);
    disk.restart();
    assert_eq!(all(&open(&disk).0), series(&[("0005", &[(1, 1.0)])]));
}
