//! The original's own tool on blocks that we wrote.

use crate::golden::{blocks_below, conformance, peer, text, unpack};
use runtime::cancel::Cancel;
use runtime::disk::{Disk, RealDisk, SharedDisk};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tsdb::block::{Block, BlockMeta, Symbols, delete_block, write_block};
use tsdb::compact::compact;
use ulid::Ulid;

fn run(promtool: &Path, words: &[&str], dir: &Path) -> String {
    let output = Command::new(promtool).args(words).arg(dir).output().expect("promtool runs");
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {words:?}: {out}{error}");
    out.into_owned()
}

/// The blocks in `from`, written by us into a new data directory with symbols that we gathered ourselves.
fn rewritten(from: &Path) -> tempfile::TempDir {
    let disk: SharedDisk = Arc::new(RealDisk);
    let holder = tempfile::tempdir().expect("a temporary directory");
    for dir in blocks_below(from) {
        let block = Block::open(&RealDisk, &dir).expect("sound");
        let labels: Vec<_> = block.all_series().map(|series| series.expect("sound").labels).collect();
        let meta = BlockMeta { extra: serde_json::Map::new(), ..block.meta().clone() };
        let series = block.all_series().map(|series| series.map(|series| (series.labels, series.chunks)));
        let symbols = Symbols::collect(&labels).expect("small");
        write_block(&disk, holder.path(), meta, symbols, series).expect("written").expect("samples");
    }
    RealDisk.create_dir_all(&holder.path().join("wal")).expect("made"); // `dump` wants one
    holder
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn promtool_reads_our_blocks_as_it_read_its_own() {
    let test = "promtool_reads_our_blocks_as_it_read_its_own";
    let (Some(root), Some(promtool)) = (conformance(test), peer(test, "promtool")) else { return };
    let unpacked = unpack(&root.join("openmetrics/blocks.tar.gz"));
    let ours = rewritten(&unpacked.dir);
    let without_size = |list: &str| -> Vec<Vec<String>> {
        let columns = |line: &str| line.split_whitespace().map(str::to_owned).take(7).collect();
        list.lines().filter(|line| line.starts_with("01")).map(columns).collect()
    };
    let list = run(&promtool, &["tsdb", "list"], ours.path());
    assert_eq!(without_size(&list), without_size(&text(&root.join("openmetrics/list.txt"))));
    // equal counts come in no promised order
    let analysis = run(&promtool, &["tsdb", "analyze"], ours.path());
    let recorded = text(&root.join("openmetrics/analyze.txt"));
    let head = |text: &str| text.lines().take(6).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(head(&analysis), head(&recorded));
    let dump = run(&promtool, &["tsdb", "dump"], ours.path());
    assert!(sorted(&dump) == sorted(&text(&root.join("openmetrics/dump.txt.gz"))), "dumps differ");
}

/// Three blocks merged into one hold the same samples, in the eyes of the original.
#[test]
fn promtool_reads_a_merged_block() {
    let test = "promtool_reads_a_merged_block";
    let (Some(root), Some(promtool)) = (conformance(test), peer(test, "promtool")) else { return };
    let unpacked = unpack(&root.join("openmetrics/blocks.tar.gz"));
    let ours = rewritten(&unpacked.dir);
    let disk: SharedDisk = Arc::new(RealDisk);
    let parents: Vec<Block> =
        blocks_below(ours.path()).iter().map(|dir| Block::open(&RealDisk, dir).expect("sound")).collect();
    let merged = compact(&disk, ours.path(), Ulid(1 << 100), &parents, &Cancel::new()).expect("merged");
    let (meta, _) = merged.expect("samples");
    assert_eq!((meta.stats.num_samples, meta.stats.num_chunks, meta.compaction.level), (17_685, 304, 2));
    for parent in &parents {
        delete_block(&RealDisk, parent.dir()).expect("deleted");
    }
    assert_eq!(run(&promtool, &["tsdb", "list"], ours.path()).lines().count(), 2);
    run(&promtool, &["tsdb", "analyze"], ours.path());
    let dump = run(&promtool, &["tsdb", "dump"], ours.path());
    assert!(sorted(&dump) == sorted(&text(&root.join("openmetrics/dump.txt.gz"))), "dumps differ");
}
