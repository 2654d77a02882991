//! Faults: the n-th disk call fails, or the machine loses its power there, for every n of a workload that commits, cuts blocks,
//! shortens the log, merges, removes and starts anew. Afterwards the directory is opened again and compared with a model:
//! acknowledged and synced scrapes are there, nothing is invented, no scrape is there by half, a further start finds the same.

use super::tests::{DIR, RANGE, STEP, by_step, names, open, open_with, options, scrape};
use super::*;
use runtime::disk::{Disk, Fault, SimDisk};
use std::collections::BTreeMap;
use storage::{Append, Durability};

const SERIES: usize = 6;
const STEPS: i64 = 64;
/// The workload stops and starts anew before this step.
const RESTART: i64 = 40;

fn small() -> DbOptions {
    DbOptions { wal_segment_bytes: 2048, ..options() }
}

/// Blocks of the range of the head only, and few of them: retention has something to remove.
fn forgetful() -> DbOptions {
    DbOptions { retention: Some(Millis(RANGE)), max_block: Millis(RANGE), ..small() }
}

/// Runs the workload as far as the disk lets it; returns the steps that were acknowledged as durable.
fn workload(disk: &SimDisk) -> Vec<i64> {
    run(disk, &small()).1
}

/// Runs the workload; the store comes back open when it could be opened.
fn run(disk: &SimDisk, options: &DbOptions) -> (Option<Db>, Vec<i64>) {
    let mut durable = Vec::new();
    let Ok(mut db) = open_with(disk, options.clone()) else { return (None, durable) };
    for step in 0..STEPS {
        if step == RESTART {
            db.close();
            drop(db);
            // somebody who starts it looks at the reason and starts it again
            match open_with(disk, options.clone()).or_else(|_| open_with(disk, options.clone())) {
                Ok(again) => db = again,
                Err(_) => return (None, durable),
            }
        }
        let of = (0..SERIES - 1).chain([10 + (step / 12) as usize]);
        let durability = if step % 3 == 0 { Durability::Soon } else { Durability::Synced };
        if scrape(&db, step, of, durability) {
            durable.push(step);
        }
        if step % 7 == 6 {
            let _ = db.tick();
        }
    }
    (Some(db), durable)
}

/// What must be there: whole scrapes of this workload, the durable ones among them.
fn compare(seen: &BTreeMap<i64, BTreeMap<String, f64>>, durable: &[i64], what: &str) {
    for step in durable {
        assert!(seen.contains_key(step), "{what}: durable step {step} is lost; there are {:?}", seen.keys());
    }
    for (step, row) in seen {
        assert!((0..STEPS).contains(step), "{what}: step {step} was invented");
        assert_eq!(row.len(), SERIES, "{what}: step {step} is there by half: {row:?}");
        assert!(row.values().all(|value| *value == *step as f64), "{what}: step {step}: {row:?}");
    }
}

fn check(disk: &SimDisk, durable: &[i64], what: &str) {
    check_with(disk, &options(), durable, what);
}

fn check_with(disk: &SimDisk, options: &DbOptions, durable: &[i64], what: &str) {
    let db = open_with(disk, options.clone()).unwrap_or_else(|error| panic!("{what}: cannot open: {error}"));
    let seen = by_step(&db);
    compare(&seen, durable, what);
    no_litter(disk, what);
    drop(db);
    let db = open_with(disk, options.clone()).unwrap_or_else(|error| panic!("{what}: cannot open again: {error}"));
    assert_eq!(by_step(&db), seen, "{what}: a further start finds the same");
    // and it goes on
    assert!(scrape(&db, STEPS + 1, 0..3, Durability::Synced), "{what}: takes no samples");
    db.tick().unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Nothing unfinished lies about.
fn no_litter(disk: &SimDisk, what: &str) {
    let all: Vec<String> = names(disk, DIR).into_iter().chain(names(disk, "/data/wal")).collect();
    assert!(all.iter().all(|name| !name.contains(".tmp") && !name.ends_with(".repair")), "{what}: {all:?}");
}

fn calls() -> u64 {
    let disk = SimDisk::new();
    let durable = workload(&disk);
    assert!(durable.len() as i64 >= STEPS * 2 / 3, "{durable:?}");
    disk.restart();
    check(&disk, &durable, "without a fault");
    disk.calls()
}

const FAULTS: [Fault; 3] = [Fault::Io, Fault::NoSpace, Fault::ShortWrite];

/// One call fails; the process goes on, says so, and leaves no litter; then the power fails, and it starts again.
#[test]
fn any_call_may_fail() {
    for n in 0..calls() {
        for fault in FAULTS {
            let what = format!("call {n} fails with {fault:?}");
            let disk = SimDisk::new();
            disk.fail_call(n, fault);
            let (db, durable) = run(&disk, &small());
            if let Some(db) = db {
                // a log that failed can not be shortened; everything else is as good as before
                match db.health() {
                    Health::Refusing(_) => drop(db.tick()),
                    _ => db.tick().unwrap_or_else(|error| panic!("{what}: {error}")),
                }
                no_litter(&disk, &what);
                compare(&by_step(&db), &durable, &what);
                disk.halt_at(disk.calls()); // nothing is closed
            }
            disk.power_loss(n);
            check(&disk, &durable, &format!("{what}, then the power"));
        }
    }
}

/// The disk is full from one call on, for a while: it goes on by itself, with everything.
#[test]
fn the_disk_may_be_full_for_a_while() {
    for capacity in (0..40_000).step_by(1000) {
        let what = format!("{capacity} bytes");
        let disk = SimDisk::new();
        let db = open_with(&disk, small()).expect("opens");
        let mut durable = Vec::new();
        let (mut refused, mut taken) = (0, 0);
        for step in 0..STEPS {
            match step {
                10 => disk.set_capacity(Some(capacity)),
                50 => disk.set_capacity(None),
                _ => {}
            }
            let done = scrape(&db, step, (0..SERIES - 1).chain([10 + (step / 12) as usize]), Durability::Synced);
            if done {
                durable.push(step);
            }
            refused += u64::from(!done);
            taken += u64::from(done && step >= 50);
            let _ = db.tick();
        }
        assert!(refused <= 40 && taken == STEPS as u64 - 50, "{what}: {refused} refused, {taken} taken afterwards");
        db.tick().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(db.health(), Health::Good, "{what}");
        no_litter(&disk, &what);
        assert_eq!(by_step(&db).into_keys().collect::<Vec<_>>(), durable, "{what}");
        disk.halt_at(disk.calls());
        disk.power_loss(capacity);
        check(&disk, &durable, &what);
    }
}

/// What retention may not remove stays, whatever fails; what it removed does not come back by half.
#[test]
fn any_call_may_fail_while_retention_removes() {
    let calls = {
        let disk = SimDisk::new();
        run(&disk, &forgetful());
        disk.calls()
    };
    for n in 0..calls {
        let disk = SimDisk::new();
        let fault = match n % 3 {
            0 => Fault::Io,
            1 => Fault::NoSpace,
            _ => Fault::ShortWrite,
        };
        let halted = n % 2 == 0;
        if halted {
            disk.halt_at(n)
        } else {
            disk.fail_call(n, fault)
        }
        let (db, mut durable) = run(&disk, &forgetful());
        disk.halt_at(disk.calls());
        drop(db);
        disk.power_loss(n);
        let newest = durable.last().copied().unwrap_or(0);
        durable.retain(|step| step * STEP > newest * STEP - RANGE);
        check_with(&disk, &forgetful(), &durable, &format!("call {n} fails with {fault:?}, {halted}, then the power"));
    }
}

/// A reading call fails: the start says so, or does without, and the next one finds everything.
#[test]
fn any_read_may_fail() {
    let mut refused = 0;
    for n in 0..1000 {
        let what = format!("read {n} of a start fails");
        let disk = SimDisk::new();
        let (db, durable) = run(&disk, &small());
        disk.halt_at(disk.calls());
        drop(db);
        disk.restart();
        let number = disk.reads() + n;
        disk.fail_read(number);
        match open(&disk) {
            Ok(db) => {
                let _ = db.tick();
                if disk.reads() <= number {
                    assert!(refused > 10, "{refused}");
                    return;
                }
                db.tick().unwrap_or_else(|error| panic!("{what}: {error}"));
                compare(&by_step(&db), &durable, &what);
                disk.halt_at(disk.calls());
            }
            Err(_) => refused += 1,
        }
        disk.restart();
        check(&disk, &durable, &what);
    }
    panic!("a start reads more than a thousand times");
}

/// A checkpoint whose leftovers could not be removed is made again with everything in it.
#[test]
fn a_checkpoint_may_fail_at_any_call_and_is_made_again() {
    for fault in [Fault::Io, Fault::NoSpace] {
        for n in 0.. {
            let what = format!("call {n} fails with {fault:?}");
            let disk = SimDisk::new();
            let db = open_with(&disk, DbOptions { min_block: Millis(1 << 40), wal_segment_bytes: 400, ..small() })
                .expect("opens");
            let durable: Vec<i64> =
                (0..STEPS).filter(|step| scrape(&db, *step, 0..SERIES, Durability::Synced)).collect();
            let wal = Path::new(DIR).join("wal");
            let last = db.head().wal_segment().expect("a log") / 2;
            assert!(last > 2);
            let shorten = || {
                let options = crate::wal::writer::WalOptions { segment_bytes: 400, compress: true };
                crate::wal::checkpoint::checkpoint(&disk, &wal, last, options, &|_| true, i64::MIN)
            };
            disk.fail_call(disk.calls() + n, fault);
            let failed = shorten().is_err();
            if !failed {
                assert!(n > 20, "{what}");
                break;
            }
            no_litter(&disk, &what);
            shorten().unwrap_or_else(|error| panic!("{what}: {error}"));
            disk.halt_at(disk.calls());
            drop(db);
            disk.power_loss(n);
            check(&disk, &durable, &what);
        }
    }
}

#[test]
fn the_process_may_be_killed_at_any_call() {
    for n in 0..calls() {
        let disk = SimDisk::new();
        disk.halt_at(n);
        let durable = workload(&disk);
        disk.restart();
        check(&disk, &durable, &format!("killed at call {n}"));
    }
}

#[test]
fn power_may_be_lost_at_any_call() {
    for n in 0..calls() {
        for seed in 0..3 {
            let disk = SimDisk::new();
            disk.halt_at(n);
            let durable = workload(&disk);
            disk.power_loss(n * 3 + seed);
            check(&disk, &durable, &format!("power lost at call {n}, seed {seed}"));
        }
    }
}

/// One long segment, most commits unsynced: a power loss takes pages from its middle.
#[test]
fn pages_of_the_log_may_be_lost_out_of_order() {
    let mut lost = 0;
    for seed in 0..300 {
        let disk = SimDisk::new();
        let options =
            DbOptions { wal_segment_bytes: 1 << 20, wal_compression: false, min_block: Millis(1 << 40), ..options() };
        let db = open_with(&disk, options).expect("opens");
        for step in 0..STEPS {
            let of = (0..SERIES - 1).chain([10 + (step / 2) as usize]);
            // a long label, so that a few commits fill a page of the disk
            let mut appender = db.begin(storage::Tenant::DEFAULT).expect("taken");
            for n in of {
                let labels = model::Labels::from_pairs([("n", format!("{n:04}")), ("long", format!("{n:01000}"))]);
                let series = appender.declare(&labels).expect("legal");
                let at = model::Timestamp(step * STEP);
                appender.sample(series, at, step as f64, model::Timestamp(0)).expect("known");
            }
            appender.commit(Durability::Os).expect("written");
        }
        disk.halt_at(disk.calls());
        drop(db);
        disk.power_loss(seed);
        let db = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: cannot open: {error}"));
        let seen = by_step(&db);
        lost += usize::from((seen.len() as i64) < STEPS);
        for (at, (step, row)) in seen.iter().enumerate() {
            assert_eq!(*step, at as i64, "seed {seed}: what is there is a prefix");
            assert_eq!(row.len(), SERIES, "seed {seed}: step {step} is there by half");
        }
    }
    assert!(lost > 50, "the power losses take something: {lost}");
}

#[test]
fn power_may_be_lost_again_while_recovering() {
    for n in (0..calls()).step_by(5) {
        for again in 0..40 {
            let disk = SimDisk::new();
            disk.halt_at(n);
            let durable = workload(&disk);
            disk.power_loss(n);
            disk.halt_at(disk.calls() + again);
            drop(open(&disk));
            let ended = !disk.halted();
            disk.power_loss(n + again);
            check(&disk, &durable, &format!("power lost at call {n}, and {again} calls into the next start"));
            if ended {
                break;
            }
        }
    }
}

#[test]
fn the_workload_does_what_it_should() {
    let disk = SimDisk::new();
    workload(&disk);
    disk.restart();
    let db = open(&disk).expect("opens");
    assert!(db.block_metas().iter().any(|meta| meta.compaction.level > 1), "merges");
    assert!(disk.exists(Path::new("/data/wal/00000000")).is_ok_and(|there| !there), "shortens the log");
    const { assert!(STEPS * STEP > 4 * RANGE) }
}
