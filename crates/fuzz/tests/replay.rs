//! Every target over its seeds, its corpus, and mutations of both: what `make test` can afford of a fuzzing run.
#![expect(clippy::disallowed_methods, reason = "tests read their corpora themselves")]

use fuzz::mutate::mutate;
use fuzz::{TARGETS, Target};
use std::path::PathBuf;

/// Mutations of one input, at most.
const MUTATIONS: u64 = 400;
/// Bytes that all mutations of one input may have together: a large one gets fewer.
const BYTES: u64 = 1 << 20;

#[test]
fn targets_hold_on_seeds_corpora_and_mutations() {
    let (one, other) = std::thread::scope(|scope| {
        let half =
            |first| scope.spawn(move || TARGETS.iter().skip(first).step_by(2).flat_map(replay).collect::<Vec<_>>());
        let (one, other) = (half(0), half(1));
        (one.join().expect("panics are caught"), other.join().expect("panics are caught"))
    });
    let failed: Vec<String> = one.into_iter().chain(other).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The inputs that a target fails on, at most one for each seed.
fn replay(target: &Target) -> Vec<String> {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{}", target.name);
    let seeds = seeds.into_iter().enumerate().map(|(n, seed)| (format!("seed {n}"), seed));
    let mut failed = Vec::new();
    for (name, input) in seeds.chain(corpus(target.name)) {
        let mutations = MUTATIONS.min(1 + BYTES / (1 + input.len() as u64));
        let changed = (0..mutations).map(|n| (format!(", mutation {n}"), mutate(&input, n)));
        for (how, bytes) in std::iter::once((String::new(), input.clone())).chain(changed) {
            if std::panic::catch_unwind(|| (target.run)(&bytes)).is_err() {
                failed.push(format!("{}: {name}{how}: {}", target.name, bytes.escape_ascii()));
                break;
            }
        }
    }
    failed
}

fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("listed").path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).expect("readable")))
        .collect();
    found.sort();
    found
}
