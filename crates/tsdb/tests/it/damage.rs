//! Damaged blocks: what the original refuses we refuse, what it reads we read, and the reason is said.

use crate::golden::{blocks_below, conformance, parse_labels, text, unpack};
use model::{Labels, TimeRange};
use runtime::disk::{Disk, RealDisk};
use std::collections::BTreeMap;
use std::path::Path;
use storage::{Piece, QueryContext, Select, Selection, collect};
use tsdb::block::{Block, BlockError, remove_leftovers};
use tsdb::compact::superseded;

/// What becomes of a directory.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// A block is damaged so that nothing of it can be trusted: the server does not start.
    Refused,
    /// Some query fails.
    QueryFails,
    /// Samples by series.
    Reads(BTreeMap<Labels, u64>),
}

#[test]
fn damaged_blocks_are_judged_as_the_original_judges_them() {
    let Some(root) = conformance("damaged_blocks_are_judged_as_the_original_judges_them") else { return };
    let mut cases = 0;
    for entry in RealDisk.list(&root.join("corrupt")).expect("readable") {
        let Some(case) = entry.name.strip_suffix(".txt") else { continue };
        // write-ahead logs, head chunks and snapshots are judged elsewhere
        if ["wal-", "wbl-", "head-", "snapshot-"].iter().any(|prefix| case.starts_with(prefix)) {
            continue;
        }
        let unpacked = unpack(&root.join(format!("corrupt/{case}.tar.gz")));
        let said = recorded(&text(&root.join(format!("corrupt/{case}.txt"))));
        let (found, reason) = judge(&unpacked.dir);
        assert_eq!(found, said, "{case}: {reason}");
        cases += 1;
    }
    assert!(cases >= 35, "{cases}");
}

/// The verdict that the record of a case tells.
fn recorded(record: &str) -> Verdict {
    let mut lines = record.lines().skip_while(|line| !line.starts_with("server:"));
    if !lines.next().expect("a verdict").starts_with("server: ready") {
        return Verdict::Refused;
    }
    let answer = lines.next().expect("an answer");
    if answer.contains(": remote read: 500") {
        return Verdict::QueryFails;
    }
    let series = lines.take_while(|line| line.starts_with("  {"));
    let counts = series.map(|line| {
        let (labels, rest) = line.trim().split_once("} ").expect("labels and counts");
        let count = rest.split(' ').next().expect("a count").parse().expect("a number");
        (parse_labels(&format!("{labels}}}")), count)
    });
    Verdict::Reads(counts.collect())
}

fn judge(dir: &Path) -> (Verdict, String) {
    remove_leftovers(&RealDisk, dir).expect("removed");
    let mut blocks = Vec::new();
    let mut skipped = String::new();
    for dir in blocks_below(dir) {
        match Block::open(&RealDisk, &dir) {
            Ok(block) => blocks.push(block),
            Err(BlockError::Meta { path, found }) => skipped = format!("{}: {found}", path.display()),
            Err(error) => return (Verdict::Refused, error.to_string()),
        }
    }
    let gone = superseded(blocks.iter().map(Block::meta).collect::<Vec<_>>());
    let mut counts = BTreeMap::new();
    for block in blocks.iter().filter(|block| !gone.contains(&block.meta().ulid)) {
        if let Err(reason) = count(block, &mut counts) {
            return (Verdict::QueryFails, reason);
        }
    }
    (Verdict::Reads(counts), skipped)
}

fn count(block: &Block, counts: &mut BTreeMap<Labels, u64>) -> Result<(), String> {
    // a matcher, as remote read had one: without it the list of all series is read, and verified
    let matcher = model::Matcher::new("__name__", model::MatchOp::Regex, ".+").expect("valid");
    let selection = Selection { partial: false, ..Selection::new(vec![matcher], TimeRange::ALL) };
    let mut stream = block.select(&selection, &QueryContext::default()).map_err(|e| e.to_string())?;
    let (series, _) = collect(&mut *stream).map_err(|e| e.to_string())?;
    for series in series {
        for piece in &series.pieces {
            let samples = match piece {
                Piece::Chunk(c) if c.encoding.is_supported() => {
                    chunk::decode_into(c.encoding, &c.bytes, &mut Vec::new(), &mut Vec::new())
                        .map_err(|e| e.to_string())?
                }
                Piece::Chunk(c) => usize::from(c.encoding.sample_count(&c.bytes).map_err(|e| e.to_string())?),
                Piece::Columns(c) => c.times.len(),
                Piece::Histograms(h) => h.samples.len(),
            };
            *counts.entry(series.labels.clone()).or_default() += samples as u64;
        }
    }
    Ok(())
}
