//! The log against a disk that fails: what was acknowledged is there, and nothing is invented.

use super::*;
use crate::disk::{Fault, RealDisk, SimDisk};
use proptest::prelude::*;

const SMALL: LogOptions = LogOptions {
    name: "test",
    segment_bytes: 256,
    record_bytes_max: 1000,
    pending_bytes_max: 4000,
    full_disk_pause: Duration::from_millis(1),
    skip_damaged: false,
};

fn dir() -> &'static Path {
    Path::new("/data/log")
}

/// What an owner would hold after opening: the snapshot's records, then the others.
fn reopen(disk: &SimDisk) -> Result<(Log, Vec<String>, Recovery), LogError> {
    let mut seen = Vec::new();
    let (log, recovery) = Log::open(Arc::new(disk.clone()), dir(), SMALL, &mut |entry| {
        match entry {
            Entry::Snapshot { lsn, body } => {
                seen = String::from_utf8_lossy(body).split(' ').map(str::to_owned).collect();
                assert_eq!(seen.len() as u64, lsn.0);
            }
            Entry::Record { lsn, kind, payload } => {
                assert_eq!(kind, 1);
                seen.push(String::from_utf8_lossy(payload).into_owned());
                assert_eq!(seen.len() as u64, lsn.0, "LSNs are consecutive");
            }
        }
        Ok(())
    })?;
    Ok((log, seen, recovery))
}

fn record(n: usize) -> String {
    format!("record-{n}-{}", "x".repeat(n % 40))
}

/// Appends records one by one, waiting for each; a snapshot every seventh. Returns (acknowledged, tried).
fn workload(log: &Log, from: usize, to: usize) -> (usize, usize) {
    for n in from..to {
        let Ok((_, ticket)) = log.append(1, record(n).as_bytes()) else { return (n, n) };
        if ticket.wait_blocking().is_err() {
            return (n, n + 1);
        }
        if n % 7 == 6 {
            let body: Vec<String> = (0..=n).map(record).collect();
            // a failed snapshot loses nothing: the log still has the records
            let _ = log.snapshot(Lsn(n as u64 + 1), body.join(" ").as_bytes());
        }
    }
    (to, to)
}

fn check(seen: &[String], acknowledged: usize, tried: usize, when: &str) {
    let expected: Vec<String> = (0..seen.len()).map(record).collect();
    assert_eq!(seen, expected, "invented or changed records, {when}");
    assert!(seen.len() >= acknowledged, "{} of {acknowledged} acknowledged records left, {when}", seen.len());
    assert!(seen.len() <= tried, "{} records, {tried} were ever appended, {when}", seen.len());
}

#[test]
fn records_come_back_across_segments_and_snapshots() {
    let disk = SimDisk::new();
    let (log, seen, _) = reopen(&disk).unwrap();
    assert!(seen.is_empty());
    assert_eq!(workload(&log, 0, 50), (50, 50));
    assert!(log.stats().segments < 50, "snapshots delete what they cover");
    let mut read = Vec::new();
    log.read_from(Lsn(50), &mut |lsn, _, payload| read.push((lsn, payload.to_vec()))).unwrap();
    assert_eq!(read, [(Lsn(50), record(49).into_bytes())]);
    drop(log);
    let (log, seen, recovery) = reopen(&disk).unwrap();
    check(&seen, 50, 50, "after a clean stop");
    assert_eq!(recovery, Recovery { records: 1, ..Recovery::default() });
    assert_eq!(log.append(1, record(50).as_bytes()).unwrap().0, Lsn(51));
}

#[test]
fn truncation_keeps_everything_from_the_lsn_on() {
    let disk = SimDisk::new();
    let (log, _, _) = reopen(&disk).unwrap();
    for n in 0..40 {
        log.append(1, record(n).as_bytes()).unwrap().1.wait_blocking().unwrap();
    }
    let before = log.stats().segments;
    log.truncate_below(Lsn(20)).unwrap();
    assert!(log.stats().segments < before);
    let mut first = None;
    log.read_from(Lsn(1), &mut |lsn, _, _| first = first.or(Some(lsn))).unwrap();
    assert!(first.unwrap() <= Lsn(20));
    log.truncate_below(Lsn(u64::MAX)).unwrap();
    assert_eq!(log.stats().segments, 1, "the open segment stays");
    assert!(matches!(log.snapshot(Lsn(99), b""), Err(LogError::SnapshotAhead { .. })));
}

#[test]
fn the_nth_call_fails_for_every_n_then_power_is_lost() {
    let calls = {
        let disk = SimDisk::new();
        workload(&reopen(&disk).unwrap().0, 0, 24);
        disk.calls()
    };
    assert!(calls > 60, "the workload is too small: {calls} calls");
    for n in 0..calls {
        for (seed, fault) in [(n, Fault::Io), (n + 7, Fault::ShortWrite), (n + 99, Fault::Io)] {
            let disk = SimDisk::new();
            if seed == n + 99 {
                disk.halt_at(n);
            } else {
                disk.fail_call(n, fault);
            }
            let (acknowledged, tried) = match reopen(&disk) {
                Ok((log, _, _)) => workload(&log, 0, 24),
                Err(_) => (0, 0),
            };
            let when = format!("call {n} of {calls} failed with {fault:?}, seed {seed}");
            disk.power_loss(seed);
            let (log, seen, _) = reopen(&disk).unwrap_or_else(|e| panic!("{when}: {e}"));
            check(&seen, acknowledged, tried, &when);
            let kept = seen.len();
            assert_eq!(workload(&log, kept, kept + 5), (kept + 5, kept + 5), "{when}");
            drop(log);
            disk.power_loss(seed + 1);
            let (_, seen, _) = reopen(&disk).unwrap_or_else(|e| panic!("{when}, second: {e}"));
            check(&seen, kept + 5, kept + 5, &when);
        }
    }
}

#[test]
fn a_failed_sync_poisons_and_the_reason_is_kept() {
    let disk = SimDisk::new();
    let (log, _, _) = reopen(&disk).unwrap();
    log.append(1, record(0).as_bytes()).unwrap().1.wait_blocking().unwrap();
    disk.fail_call(disk.calls() + 1, Fault::Io);
    let (_, ticket) = log.append(1, record(1).as_bytes()).unwrap();
    assert!(ticket.wait_blocking().unwrap_err().to_string().contains("sync"));
    assert!(matches!(log.append(1, b"more"), Err(LogError::Poisoned(_))));
    assert!(log.poisoned().unwrap().contains("sync"));
    assert_eq!(log.durable(), Lsn(1));
}

#[test]
fn a_full_disk_is_waited_for() {
    let disk = SimDisk::new();
    let (log, _, _) = reopen(&disk).unwrap();
    for n in 0..4 {
        disk.fail_call(disk.calls(), Fault::NoSpace);
        log.append(1, record(n).as_bytes()).unwrap().1.wait_blocking().unwrap();
    }
    assert_eq!(log.poisoned(), None);
    drop(log);
    assert_eq!(reopen(&disk).unwrap().1.len(), 4);
}

#[test]
fn a_full_disk_is_said_and_nothing_more_is_taken() {
    let disk = SimDisk::new();
    let (log, _, _) = reopen(&disk).unwrap();
    disk.set_capacity(Some(0));
    let mut waiting = Vec::new();
    let refused = loop {
        match log.append(1, record(waiting.len()).as_bytes()) {
            Ok((_, ticket)) => waiting.push(ticket),
            Err(error) => break error,
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(waiting.len() < 100, "a full disk goes unnoticed");
    };
    assert!(matches!(&refused, LogError::Full(reason) if reason.contains("o space left")), "{refused}");
    disk.set_capacity(None);
    let taken = waiting.len();
    for ticket in waiting {
        ticket.wait_blocking().unwrap();
    }
    log.append(1, record(taken).as_bytes()).unwrap().1.wait_blocking().unwrap();
    drop(log);
    assert_eq!(reopen(&disk).unwrap().1.len(), taken + 1, "what was taken is there");
}

#[test]
fn limits_refuse() {
    let disk = SimDisk::new();
    let (log, _, _) = reopen(&disk).unwrap();
    assert!(matches!(log.append(1, &[0; 1001]), Err(LogError::TooLarge { len: 1001, limit: 1000 })));
    disk.set_capacity(Some(0));
    let mut taken = 0;
    let busy = loop {
        match log.append(1, &[7; 900]) {
            Ok(_) if taken < 20 => taken += 1,
            Ok(_) => panic!("no limit on what waits"),
            Err(error) => break error,
        }
    };
    // which one comes first depends on when the writer finds the disk full
    assert!(matches!(busy, LogError::Busy { limit: 4000, .. } | LogError::Full(_)), "{busy}");
    disk.set_capacity(None);
}

#[test]
fn a_torn_end_is_cut_and_damage_before_it_refuses() {
    let disk = SimDisk::new();
    let (log, _, _) = reopen(&disk).unwrap();
    for n in 0..40 {
        log.append(1, record(n).as_bytes()).unwrap().1.wait_blocking().unwrap();
    }
    let segments = log.shared.state.lock().segments.clone();
    drop(log);
    assert!(segments.len() > 2);
    let last = segment::path(dir(), *segments.last().unwrap());
    disk.flip(&last, SEGMENT_HEADER + FRAME_HEADER + 2, 1);
    let (log, seen, recovery) = reopen(&disk).unwrap();
    assert_eq!(seen.len() as u64, segments.last().unwrap().0 - 1);
    assert!(recovery.torn_bytes > 0);
    drop(log);
    disk.flip(&segment::path(dir(), segments[1]), SEGMENT_HEADER + FRAME_HEADER + 2, 1);
    let error = reopen(&disk).unwrap_err();
    assert!(matches!(error, LogError::Corrupt { .. }), "{error}");
    disk.remove_file(&segment::path(dir(), segments[1])).unwrap();
    assert!(matches!(reopen(&disk).unwrap_err(), LogError::Corrupt { .. }), "a hole is damage too");
}

/// Opens the log as an owner does whose records stand for themselves; returns the LSNs shown.
fn salvage(disk: &SimDisk) -> Result<(Vec<u64>, Recovery), LogError> {
    let mut seen = Vec::new();
    let options = LogOptions { skip_damaged: true, ..SMALL };
    let (_log, recovery) = Log::open(Arc::new(disk.clone()), dir(), options, &mut |entry| {
        if let Entry::Record { lsn, payload, .. } = entry {
            assert_eq!(payload, record(lsn.0 as usize - 1).as_bytes());
            seen.push(lsn.0);
        }
        Ok(())
    })?;
    Ok((seen, recovery))
}

#[test]
fn one_damaged_record_costs_one_record() {
    let fresh = |count: usize| {
        let disk = SimDisk::new();
        let (log, _, _) = reopen(&disk).unwrap();
        for n in 0..count {
            log.append(1, record(n).as_bytes()).unwrap().1.wait_blocking().unwrap();
        }
        disk
    };
    let file = segment::path(dir(), Lsn(1));
    let frame = |n: usize| FRAME_HEADER + 1 + record(n).len();
    let second = SEGMENT_HEADER + frame(0);
    for at in second..second + frame(1) {
        for bit in 0..8 {
            let disk = fresh(4);
            disk.flip(&file, at, 1 << bit);
            let (seen, recovery) = salvage(&disk).unwrap();
            assert_eq!(
                (seen, recovery.damaged_records, recovery.torn_bytes),
                (vec![1, 3, 4], 1, 0),
                "byte {at} bit {bit}"
            );
            let (seen, _) = salvage(&disk).unwrap();
            assert_eq!(seen, [1, 3, 4], "a second start finds the same");
        }
    }
    // the last one is as good as torn
    let disk = fresh(2);
    disk.flip(&file, second + FRAME_HEADER + 2, 1);
    let (seen, recovery) = salvage(&disk).unwrap();
    assert_eq!((seen, recovery.damaged_records, recovery.torn_bytes), (vec![1], 0, frame(1) as u64));
    // an older segment: passed over as well
    let disk = fresh(40);
    disk.flip(&file, second + FRAME_HEADER + 2, 1);
    let (seen, recovery) = salvage(&disk).unwrap();
    assert_eq!((seen.len(), recovery.damaged_records), (39, 1));
    // the last record of an older segment, with a whole segment behind it
    let disk = fresh(40);
    let (log, _, _) = reopen(&disk).unwrap();
    let behind = log.shared.state.lock().segments[1].0 as usize;
    drop(log);
    let at = SEGMENT_HEADER + (0..behind - 2).map(frame).sum::<usize>();
    disk.flip(&file, at + FRAME_HEADER + 2, 1);
    let (seen, recovery) = salvage(&disk).unwrap();
    assert_eq!((seen.len(), recovery.damaged_records, seen.contains(&(behind as u64 - 1))), (39, 1, false));
}

#[test]
fn a_last_segment_that_was_removed_or_emptied_is_noticed() {
    for emptied in [false, true] {
        let disk = SimDisk::new();
        let (log, _, _) = reopen(&disk).unwrap();
        assert_eq!(workload(&log, 0, 12), (12, 12));
        log.snapshot(Lsn(12), (0..12).map(record).collect::<Vec<_>>().join(" ").as_bytes()).unwrap();
        let last = *log.shared.state.lock().segments.last().unwrap();
        assert_eq!(log.stats().segments, 1);
        drop(log);
        let (log, seen, recovery) = reopen(&disk).unwrap();
        assert_eq!((seen.len(), recovery.last_segment_missing), (12, false));
        drop(log);
        let path = segment::path(dir(), last);
        if emptied {
            disk.replace_file(&path, b"").unwrap()
        } else {
            disk.remove_file(&path).unwrap()
        }
        let (_, seen, recovery) = reopen(&disk).unwrap();
        assert_eq!((seen.len(), recovery.last_segment_missing), (12, true));
    }
}

#[test]
fn concurrent_appends_share_their_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(Arc::new(RealDisk), folder.path(), LogOptions::default(), &mut |_| Ok(())).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for n in 0..50 {
                    log.append(1, record(n).as_bytes()).unwrap().1.wait_blocking().unwrap();
                }
            });
        }
    });
    let stats = log.stats();
    assert_eq!((stats.records, log.durable()), (800, Lsn(800)));
    assert!(stats.batches < 500, "{} syncs for 800 records of 16 threads", stats.batches);
    drop(log);
    let mut count = 0;
    Log::open(Arc::new(RealDisk), folder.path(), LogOptions::default(), &mut |_| {
        count += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(count, 800);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_files_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), keep in 0usize..200) {
        let disk = SimDisk::new();
        workload(&reopen(&disk).unwrap().0, 0, 3);
        let path = segment::path(dir(), Lsn(1));
        let mut content = disk.read(&path).unwrap();
        content.truncate(keep);
        content.extend_from_slice(&bytes);
        disk.replace_file(&path, &content).unwrap();
        if let Ok((_, seen, _)) = reopen(&disk) {
            check(&seen, 0, 3, "mutated file");
        }
    }

    #[test]
    fn arbitrary_snapshots_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let disk = SimDisk::new();
        workload(&reopen(&disk).unwrap().0, 0, 8);
        disk.replace_file(&snapshot::path(dir(), Lsn(7)), &bytes).unwrap();
        prop_assert!(reopen(&disk).is_err());
    }
}
