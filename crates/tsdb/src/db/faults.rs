//! Faults: the n-th disk call fails, or the machine loses its power there, for every n of a workload that commits, cuts blocks,
//! shortens the log, merges and removes. Afterwards the directory is opened again and compared with a model:
//! acknowledged and synced scrapes are there, nothing is invented, no scrape is there by half.

use super::tests::{RANGE, STEP, by_step, open, open_with, options, scrape};
use super::*;
use runtime::disk::{Disk, Fault, SimDisk};
use storage::{Append, Durability};

const SERIES: usize = 6;
const STEPS: i64 = 64;

/// Runs the workload as far as the disk lets it; returns the steps that were acknowledged as durable.
fn workload(disk: &SimDisk) -> Vec<i64> {
    let small = DbOptions { wal_segment_bytes: 2048, ..options() };
    run(disk, small)
}

fn run(disk: &SimDisk, options: DbOptions) -> Vec<i64> {
    let mut durable = Vec::new();
    let Ok(db) = open_with(disk, options) else { return durable };
    for step in 0..STEPS {
        let of = (0..SERIES - 1).chain([10 + (step / 12) as usize]);
        let durability = if step % 3 == 0 { Durability::Soon } else { Durability::Synced };
        if scrape(&db, step, of, durability) {
            durable.push(step);
        }
        if step % 7 == 6 {
            let _ = db.tick();
        }
    }
    db.close();
    durable
}

fn check(disk: &SimDisk, durable: &[i64], what: &str) {
    let db = open(disk).unwrap_or_else(|error| panic!("{what}: cannot open: {error}"));
    let seen = by_step(&db);
    for step in durable {
        assert!(seen.contains_key(step), "{what}: durable step {step} is lost; there are {:?}", seen.keys());
    }
    for (step, row) in &seen {
        assert!((0..STEPS).contains(step), "{what}: step {step} was invented");
        assert_eq!(row.len(), SERIES, "{what}: step {step} is there by half: {row:?}");
        assert!(row.values().all(|value| *value == *step as f64), "{what}: step {step}: {row:?}");
    }
    // and it goes on
    assert!(scrape(&db, STEPS + 1, 0..3, Durability::Synced), "{what}: takes no samples");
    db.tick().unwrap_or_else(|error| panic!("{what}: {error}"));
}

fn calls() -> u64 {
    let disk = SimDisk::new();
    let durable = workload(&disk);
    assert!(durable.len() as i64 >= STEPS * 2 / 3, "{durable:?}");
    disk.restart();
    check(&disk, &durable, "without a fault");
    disk.calls()
}

#[test]
fn any_call_may_fail() {
    for n in 0..calls() {
        for fault in [Fault::Io, Fault::NoSpace, Fault::ShortWrite] {
            let disk = SimDisk::new();
            disk.fail_call(n, fault);
            let durable = workload(&disk);
            disk.power_loss(n);
            check(&disk, &durable, &format!("call {n} fails with {fault:?}, then the power"));
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
