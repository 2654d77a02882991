use super::*;
use crate::block::tombstones::TOMBSTONES_FILE;
use crate::block::{Interval, Tombstones, delete_block, list_blocks, remove_leftovers, write_block};
use bytes::Bytes;
use chunk::Encoding;
use model::{Labels, TimeRange, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use runtime::cancel::Reason;
use runtime::disk::SimDisk;
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::ChunkPiece;

const DIR: &str = "/data";

type Samples = BTreeMap<i64, u64>;
type Content = BTreeMap<Labels, Samples>;

/// Writes a block, `per_chunk` samples a chunk.
fn write(disk: &SharedDisk, n: u128, content: &Content, per_chunk: usize) -> Option<Block> {
    let times = || content.values().flat_map(|samples| samples.keys().copied());
    let range = TimeRange::new(Timestamp(times().min()?), Timestamp(times().max()? + 1));
    let symbols = Symbols::collect(content.keys()).expect("small");
    let series = content.iter().map(|(labels, samples)| {
        let samples: Vec<(i64, f64)> = samples.iter().map(|(at, bits)| (*at, f64::from_bits(*bits))).collect();
        let chunk = |samples: &[(i64, f64)]| ChunkPiece {
            encoding: Encoding::Xor,
            first: Timestamp(samples[0].0),
            last: Timestamp(samples[samples.len() - 1].0),
            bytes: Bytes::from(chunk::xor::encode(samples.iter().copied()).expect("few")),
        };
        Ok((labels.clone(), samples.chunks(per_chunk).map(chunk).collect()))
    });
    let meta = BlockMeta::of_head(Ulid(n), range);
    let (_, dir) = write_block(disk, Path::new(DIR), meta, symbols, series).expect("written")?;
    Some(Block::open(&**disk, &dir).expect("sound"))
}

fn read(block: &Block) -> Content {
    block
        .all_series()
        .map(|series| {
            let series = series.expect("sound");
            let (mut times, mut values) = (Vec::new(), Vec::new());
            for pair in series.chunks.windows(2) {
                assert!(pair[0].last < pair[1].first, "chunks overlap");
            }
            for chunk in &series.chunks {
                let from = times.len();
                chunk::decode_into(chunk.encoding, &chunk.bytes, &mut times, &mut values).expect("sound");
                assert_eq!((Some(&chunk.first.0), Some(&chunk.last.0)), (times.get(from), times.last()));
            }
            (series.labels, times.into_iter().zip(values.into_iter().map(f64::to_bits)).collect())
        })
        .collect()
}

fn content() -> impl Strategy<Value = Content> {
    let labels = btree_map("[a-b]", "[x-z]", 1..3).prop_map(Labels::from_pairs);
    btree_map(labels, btree_map(0..60i64, any::<u64>(), 1..12), 0..5)
}

proptest! {
    #[test]
    fn merged_blocks_hold_what_their_parents_held(
        contents in vec((content(), 1..5usize), 1..5),
        deleted in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..60i64, 0..20i64), 0..5),
    ) {
        let disk: SharedDisk = Arc::new(SimDisk::new());
        let mut blocks = Vec::new();
        let mut held = Vec::new();
        for (n, (content, per_chunk)) in contents.into_iter().enumerate() {
            if let Some(block) = write(&disk, n as u128 + 1, &content, per_chunk) {
                blocks.push(block);
                held.push(content);
            }
        }
        prop_assume!(!blocks.is_empty());
        let mut tombstones = vec![Tombstones::default(); blocks.len()];
        for (which, series, first, len) in deleted {
            let which = which.index(blocks.len());
            let all: Vec<_> = blocks[which].all_series().map(|s| s.expect("sound")).collect();
            let series = &all[series.index(all.len())];
            tombstones[which].add(u64::from(series.id), Interval { first, last: first + len });
            let samples = held[which].get_mut(&series.labels).expect("written");
            samples.retain(|at, _| *at < first || *at > first + len);
        }
        for (block, tombstones) in blocks.iter_mut().zip(&tombstones) {
            disk.replace_file(&block.dir().join(TOMBSTONES_FILE), &tombstones.encode()).expect("written");
            *block = Block::open(&*disk, block.dir()).expect("sound");
        }
        let mut expected = Content::new();
        for content in held {
            for (labels, samples) in content {
                expected.entry(labels).or_default().extend(samples);
            }
        }
        expected.retain(|_, samples| !samples.is_empty());
        let merged = compact(&disk, Path::new(DIR), Ulid(99), &blocks, &Cancel::new()).expect("merged");
        match merged {
            None => {
                prop_assert!(expected.is_empty());
                let metas: Vec<_> = blocks.iter().map(|b| BlockMeta::load(&*disk, b.dir()).expect("there")).collect();
                prop_assert_eq!(superseded(&metas).len(), blocks.len());
            }
            Some((meta, dir)) => {
                let block = Block::open(&*disk, &dir).expect("sound");
                prop_assert_eq!(read(&block), expected);
                prop_assert_eq!(block.meta(), &meta);
                prop_assert_eq!((meta.compaction.level, meta.compaction.parents.len()), (2, blocks.len()));
                prop_assert!(block.tombstones().is_empty());
                let gone = superseded(blocks.iter().chain([&block]).map(Block::meta).collect::<Vec<_>>());
                prop_assert_eq!(gone, blocks.iter().map(|b| b.meta().ulid).collect());
            }
        }
    }
}

fn pair(disk: &SharedDisk) -> Vec<Block> {
    let content = |start: i64| -> Content {
        (0..5)
            .map(|n| {
                let samples = (0..10).map(|s| (start + s, (s as f64).to_bits())).collect();
                (Labels::from_pairs([("n", &n.to_string())]), samples)
            })
            .collect()
    };
    [(1, 0), (2, 5)].iter().filter_map(|(n, start)| write(disk, *n, &content(*start), 4)).collect()
}

/// The process dies at every call that changes the disk, with and without power: the samples are all there at the next start,
/// in the parents or in the merged block.
#[test]
fn a_crash_while_merging_loses_nothing() {
    for call in 0.. {
        let mut halted = false;
        for lost in [false, true] {
            let sim = SimDisk::new();
            let disk: SharedDisk = Arc::new(sim.clone());
            disk.create_dir_all(Path::new(DIR)).expect("made");
            disk.sync_dir(Path::new("/")).expect("synced");
            let blocks = pair(&disk);
            let expected = blocks.iter().flat_map(read).fold(Content::new(), |mut all, (labels, samples)| {
                all.entry(labels).or_default().extend(samples);
                all
            });
            sim.halt_at(sim.calls() + call);
            let merged = compact(&disk, Path::new(DIR), Ulid(99), &blocks, &Cancel::new());
            if matches!(merged, Ok(Some(_))) {
                for block in &blocks {
                    let _ = delete_block(&*disk, block.dir());
                }
            }
            halted = sim.halted();
            if lost {
                sim.power_loss(call)
            } else {
                sim.restart()
            }
            remove_leftovers(&*disk, Path::new(DIR)).expect("removed");
            let found: Vec<Block> = list_blocks(&*disk, Path::new(DIR))
                .expect("listed")
                .iter()
                .map(|(_, dir)| Block::open(&*disk, dir).expect("whole"))
                .collect();
            let gone = superseded(found.iter().map(Block::meta).collect::<Vec<_>>());
            let mut all = Content::new();
            for block in found.iter().filter(|block| !gone.contains(&block.meta().ulid)) {
                for (labels, samples) in read(block) {
                    all.entry(labels).or_default().extend(samples);
                }
            }
            assert_eq!(all, expected, "call {call}, power loss {lost}");
        }
        if !halted {
            assert!(call > 10);
            return;
        }
    }
}

#[test]
fn a_cancelled_merge_leaves_nothing() {
    let disk: SharedDisk = Arc::new(SimDisk::new());
    let blocks = pair(&disk);
    let cancel = Cancel::new();
    cancel.cancel(Reason::Shutdown);
    let error = compact(&disk, Path::new(DIR), Ulid(99), &blocks, &cancel).expect_err("cancelled");
    assert!(matches!(error, BlockError::Cancelled), "{error}");
    assert_eq!(disk.list(Path::new(DIR)).expect("listed").len(), 2);
}

#[test]
fn a_damaged_parent_is_marked_and_kept() {
    let disk: SharedDisk = Arc::new(SimDisk::new());
    let blocks = pair(&disk);
    let path = blocks[1].dir().join("chunks/000001");
    let mut bytes = disk.read(&path).expect("there");
    bytes[14] ^= 1;
    disk.replace_file(&path, &bytes).expect("written");
    let blocks: Vec<Block> = blocks.iter().map(|b| Block::open(&*disk, b.dir()).expect("headers are sound")).collect();
    let error = compact(&disk, Path::new(DIR), Ulid(99), &blocks, &Cancel::new()).expect_err("damaged");
    assert!(error.to_string().contains("checksum"), "{error}");
    let metas: Vec<_> = blocks.iter().map(|b| BlockMeta::load(&*disk, b.dir()).expect("there")).collect();
    assert!(metas.iter().all(|meta| meta.compaction.failed) && superseded(&metas).is_empty());
    assert_eq!(plan(&metas, &[1, 3], true), []);
}
