//! Writing, opening, asking and merging blocks of 100 000 series with ten labels and two chunks each.
//! Run: `cargo bench -p tsdb --bench block`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its figures")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use bytes::Bytes;
use chunk::Encoding;
use model::{Labels, MatchOp, Matcher, TimeRange, Timestamp};
use runtime::cancel::Cancel;
use runtime::disk::{RealDisk, SharedDisk};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use storage::{ChunkPiece, QueryContext, Select, Selection};
use tsdb::block::{Block, BlockMeta, Symbols, write_block};
use ulid::Ulid;

const SERIES: usize = 100_000;
const STEP: i64 = 30_000;
const SAMPLES: i64 = 120;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let disk: SharedDisk = Arc::new(RealDisk);
    let mut sets: Vec<Labels> = (0..SERIES).map(labels).collect();
    sets.sort_unstable();
    let blocks: Vec<Block> = (0..3).map(|n| write(&disk, dir.path(), n, &sets)).collect();
    let block = &blocks[0];
    println!("open: {}", timed(|| drop(Block::open(&RealDisk, block.dir()).unwrap())));
    let equal = |name: &str, value: &str| Matcher::equal(name, value);
    let by = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
    select(block, "one series", vec![equal("__name__", "metric_7"), equal("pod", "pod-00007")]);
    select(block, "one name (1 000 series)", vec![equal("__name__", "metric_7")]);
    select(block, "a prefix of pods (100 series)", vec![by("pod", MatchOp::Regex, "pod-000.*[0-9]")]);
    select(block, "a suffix of pods (10 000 series)", vec![by("pod", MatchOp::Regex, ".*7")]);
    select(
        block,
        "all but one job (90 000 series)",
        vec![equal("cluster", "c"), by("job", MatchOp::NotEqual, "job-1")],
    );
    select(block, "all", Vec::new());
    let started = Instant::now();
    let merged = tsdb::compact::compact(&disk, dir.path(), Ulid(99), &blocks, &Cancel::new()).unwrap().unwrap();
    println!("merge of 3: {:.0?}, {} chunks", started.elapsed(), merged.0.stats.num_chunks);
}

fn labels(n: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("metric_{}", n % 100)),
        ("cluster", "c".to_owned()),
        ("container", format!("container-{}", n % 20)),
        ("endpoint", "http".to_owned()),
        ("env", format!("env-{}", n % 3)),
        ("instance", format!("10.0.{}.{}:9100", n / 256 % 256, n % 256)),
        ("job", format!("job-{}", n % 10)),
        ("namespace", format!("ns-{}", n % 50)),
        ("pod", format!("pod-{n:05}")),
        ("zone", format!("zone-{}", n % 4)),
    ])
}

fn write(disk: &SharedDisk, dir: &Path, n: i64, sets: &[Labels]) -> Block {
    let start = n * 7_200_000;
    let chunk = |first: i64| ChunkPiece {
        encoding: Encoding::Xor,
        first: Timestamp(first),
        last: Timestamp(first + (SAMPLES - 1) * STEP),
        bytes: Bytes::from(chunk::xor::encode((0..SAMPLES).map(|s| (first + s * STEP, (s * 3) as f64))).unwrap()),
    };
    let chunks = vec![chunk(start), chunk(start + SAMPLES * STEP)];
    let started = Instant::now();
    let symbols = Symbols::collect(sets).unwrap();
    let gathered = started.elapsed();
    let meta = BlockMeta::of_head(Ulid(n as u128 + 1), TimeRange::new(Timestamp(start), Timestamp(start + 7_200_000)));
    let series = sets.iter().map(|labels| Ok((labels.clone(), chunks.clone())));
    let (_, dir) = write_block(disk, dir, meta, symbols, series).unwrap().unwrap();
    let block = Block::open(&RealDisk, &dir).unwrap();
    println!("write: {:.0?} (symbols {gathered:.0?}), {} bytes", started.elapsed(), block.size());
    block
}

fn select(block: &Block, name: &str, matchers: Vec<Matcher>) {
    let selection = Selection::new(matchers, TimeRange::ALL);
    let mut count = 0;
    let took = timed(|| {
        count = 0;
        let mut stream = block.select(&selection, &QueryContext::default()).unwrap();
        while let Some(batch) = stream.next().unwrap() {
            count += batch.series.len();
        }
    });
    println!("select {name}: {took}, {count} series");
}

/// The best of five.
fn timed(mut work: impl FnMut()) -> String {
    let best = (0..5)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed()
        })
        .min()
        .unwrap();
    format!("{best:.1?}")
}
