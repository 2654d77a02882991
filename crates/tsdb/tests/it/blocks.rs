//! Blocks that Prometheus wrote: read sample by sample, and written again byte by byte.

use crate::golden::{Samples, blocks_below, conformance, parse_labels, parse_read, parse_sample, text, unpack};
use chunk::Encoding;
use model::{Labels, TimeRange};
use runtime::disk::{Disk, RealDisk, SharedDisk};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use storage::{Piece, QueryContext, Select, Selection, collect};
use tsdb::block::{Block, BlockMeta, Symbols, write_block};

/// Archives of blocks. Of 3.5.3: with label index sections.
const ARCHIVES: &[&str] = &[
    "openmetrics/blocks",
    "openmetrics/blocks-3.14",
    "openmetrics/negative",
    "blocks/day",
    "blocks/day-overlap",
    "corrupt/block-sound",
    "v3.14/xor2/block",
    "v3.14/xor2/compacted",
    "v3.14/st/block",
    "v3.14/st/compacted",
    "v3.14/scraped/blocks",
    "v3.14/scraped/merged",
];

#[test]
fn chunks_of_the_original_are_encoded_again_to_the_same_bytes() {
    let Some(root) = conformance("chunks_of_the_original_are_encoded_again_to_the_same_bytes") else { return };
    let mut chunks = 0;
    for archive in ARCHIVES {
        let unpacked = unpack(&root.join(format!("{archive}.tar.gz")));
        for dir in blocks_below(&unpacked.dir) {
            let block = Block::open(&RealDisk, &dir).expect("sound");
            for series in block.all_series() {
                let series = series.expect("sound");
                for piece in series.chunks.iter().filter(|piece| piece.encoding == Encoding::Xor) {
                    let (mut times, mut values) = (Vec::new(), Vec::new());
                    chunk::decode_into(piece.encoding, &piece.bytes, &mut times, &mut values).expect("sound");
                    assert_eq!((times.first(), times.last()), (Some(&piece.first.0), Some(&piece.last.0)));
                    let again = chunk::xor::encode(times.into_iter().zip(values)).expect("as many as before");
                    assert_eq!(again, &piece.bytes[..], "{archive} {} at {}", series.labels, piece.first);
                    chunks += 1;
                }
            }
        }
    }
    assert!(chunks > 1000, "{chunks}");
}

/// Everything but the two label index sections of versions before 3.14: those are left out, the postings move up by their size,
/// and the offsets to the lists with them.
#[test]
fn blocks_are_written_again_to_the_same_bytes() {
    let Some(root) = conformance("blocks_are_written_again_to_the_same_bytes") else { return };
    for archive in ARCHIVES {
        let unpacked = unpack(&root.join(format!("{archive}.tar.gz")));
        for dir in blocks_below(&unpacked.dir) {
            let holder = tempfile::tempdir().expect("a temporary directory");
            let again = rewrite(&dir, holder.path());
            compare_files(&dir, &again, archive);
        }
    }
}

fn rewrite(dir: &Path, into: &Path) -> std::path::PathBuf {
    let disk: SharedDisk = Arc::new(RealDisk);
    let block = Block::open(&RealDisk, dir).expect("sound");
    let mut symbols = Symbols::new();
    for text in block.symbols() {
        symbols.push(text.expect("sound")).expect("sorted");
    }
    let series = block.all_series().map(|series| series.map(|series| (series.labels, series.chunks)));
    let (_, dir) = write_block(&disk, into, block.meta().clone(), symbols, series).expect("written").expect("samples");
    dir
}

fn compare_files(original: &Path, ours: &Path, archive: &str) {
    let place = format!("{archive} {}", original.display());
    let read = |path: std::path::PathBuf| RealDisk.read(&path).expect("there");
    for segment in RealDisk.list(&original.join("chunks")).expect("there") {
        let name = Path::new("chunks").join(segment.name);
        assert!(read(original.join(&name)) == read(ours.join(&name)), "{place}: {} differs", name.display());
    }
    let (theirs, mine) = (read(original.join("index")), read(ours.join("index")));
    let toc = |index: &[u8]| -> Vec<usize> {
        let start = index.len() - 52;
        let offset =
            |at: usize| u64::from_be_bytes(index[start + at * 8..start + at * 8 + 8].try_into().expect("eight"));
        (0..6).map(|at| offset(at) as usize).collect()
    };
    let (their_toc, my_toc) = (toc(&theirs), toc(&mine));
    if their_toc[2] == their_toc[4] {
        assert!(theirs == mine, "{place}: index differs, TOC {their_toc:?} and {my_toc:?}");
    } else {
        let old_sections = their_toc[4] - my_toc[4];
        assert!(theirs[..their_toc[2]] == mine[..my_toc[2]], "{place}: symbols or series differ");
        let lists = |index: &[u8], from: usize, end: usize| index[from.next_multiple_of(4)..end].to_vec();
        assert!(
            lists(&theirs, their_toc[4], their_toc[3]) == lists(&mine, my_toc[4], my_toc[5]),
            "{place}: postings differ"
        );
        assert!(theirs.len() - mine.len() >= old_sections, "{place}");
    }
    let mut meta = BlockMeta::load(&RealDisk, original).expect("sound");
    let mine = BlockMeta::load(&RealDisk, ours).expect("sound");
    if meta.stats.num_float_samples + meta.stats.num_histogram_samples == 0 {
        meta.stats.num_float_samples = mine.stats.num_float_samples; // 3.5.3 does not count by kind
        meta.stats.num_histogram_samples = mine.stats.num_histogram_samples;
    } else if meta.stats.num_tombstones == 0 {
        assert_eq!(text(&original.join("meta.json")), text(&ours.join("meta.json")), "{place}");
    }
    if meta.stats.num_tombstones > 0 {
        meta.stats.num_tombstones = 0; // all_series applies none and the new block has none
    } else {
        assert_eq!(read(original.join("tombstones")), read(ours.join("tombstones")), "{place}");
    }
    assert_eq!(meta, mine, "{place}");
}

/// Our 3.14 index from what 3.5.3 stored is the index that 3.14 itself wrote for the same input.
#[test]
fn an_index_is_what_the_newest_original_writes_for_the_same_input() {
    let Some(root) = conformance("an_index_is_what_the_newest_original_writes_for_the_same_input") else { return };
    let (old, new) =
        (unpack(&root.join("openmetrics/blocks.tar.gz")), unpack(&root.join("openmetrics/blocks-3.14.tar.gz")));
    let (old, new) = (blocks_below(&old.dir), blocks_below(&new.dir));
    assert_eq!((old.len(), new.len()), (3, 3));
    for (old, new) in old.iter().zip(&new) {
        let holder = tempfile::tempdir().expect("a temporary directory");
        let ours = rewrite(old, holder.path());
        for name in ["index", "chunks/000001", "tombstones"] {
            let (ours, theirs) = (RealDisk.read(&ours.join(name)), RealDisk.read(&new.join(name)));
            assert!(ours.expect("there") == theirs.expect("there"), "{name} of {}", new.display());
        }
    }
}

/// Chunk by chunk: times, counts and every bit of every float.
#[test]
fn blocks_hold_what_their_record_says() {
    let Some(root) = conformance("blocks_hold_what_their_record_says") else { return };
    for archive in
        ["openmetrics/blocks", "blocks/day", "blocks/day-overlap", "v3.14/xor2/compacted", "v3.14/st/compacted"]
    {
        let unpacked = unpack(&root.join(format!("{archive}.tar.gz")));
        let record = root.join(format!("{}.blocks.txt.gz", archive.trim_end_matches("/blocks")));
        let record = if record.exists() { record } else { root.join("openmetrics/blocks.txt.gz") };
        let mut said = Vec::new();
        for line in text(&record).lines() {
            if let Some(series) = line.strip_prefix("series ") {
                let (id, labels) = series.split_once(' ').expect("id and labels");
                said.push((id.parse::<u32>().expect("a number"), parse_labels(labels), Vec::new()));
            } else if let (Some(chunk), Some(series)) = (line.strip_prefix("  chunk "), said.last_mut()) {
                series.2.push((chunk.to_owned(), Vec::new()));
            } else if let (true, Some(sample), Some(series)) =
                (line.starts_with("    "), parse_sample(line), said.last_mut())
            {
                series.2.last_mut().expect("a chunk").1.push(sample);
            }
        }
        let mut said = said.into_iter();
        for dir in blocks_below(&unpacked.dir) {
            let block = Block::open(&RealDisk, &dir).expect("sound");
            for series in block.all_series() {
                let series = series.expect("sound");
                let (id, labels, chunks) = said.next().expect("recorded");
                assert_eq!((series.id, &series.labels, series.chunks.len()), (id, &labels, chunks.len()), "{archive}");
                for (piece, (line, samples)) in series.chunks.iter().zip(chunks) {
                    let count = piece.encoding.sample_count(&piece.bytes).expect("sound");
                    let expected = format!(
                        "mint={} maxt={} encoding={} bytes={} samples={count}",
                        piece.first,
                        piece.last,
                        piece.encoding.id(),
                        piece.bytes.len()
                    );
                    assert!(line.contains(&expected), "{line} against {expected}");
                    if piece.encoding == Encoding::Xor {
                        let (mut times, mut values) = (Vec::new(), Vec::new());
                        chunk::decode_into(piece.encoding, &piece.bytes, &mut times, &mut values).expect("sound");
                        let found: Vec<_> = times.into_iter().zip(values.into_iter().map(f64::to_bits)).collect();
                        assert_eq!(found, samples, "{archive} {labels}");
                    }
                }
            }
        }
        assert!(said.next().is_none(), "{archive}: more was recorded");
    }
}

/// What a selection over all blocks gives is what the original's remote read gave, deletions applied.
#[test]
fn selections_answer_as_the_original_did() {
    let Some(root) = conformance("selections_answer_as_the_original_did") else { return };
    for (archive, record) in [
        ("openmetrics/blocks", "openmetrics/read.txt.gz"),
        ("openmetrics/negative", "openmetrics/negative.read.txt"),
        ("blocks/day", "blocks/day.read.txt.gz"),
        ("blocks/day-overlap", "blocks/day-overlap.read.txt.gz"),
    ] {
        let unpacked = unpack(&root.join(format!("{archive}.tar.gz")));
        let mut found: BTreeMap<Labels, Samples> = BTreeMap::new();
        for dir in blocks_below(&unpacked.dir) {
            let block = Block::open(&RealDisk, &dir).expect("sound");
            for (labels, samples) in floats(&block) {
                found.entry(labels).or_default().extend(samples);
            }
        }
        found.retain(|_, samples| !samples.is_empty());
        // the protocol of 3.5.3 lost the sign of zero
        let unsigned = |bits: &u64| if *bits == (-0.0f64).to_bits() { 0 } else { *bits };
        let found: BTreeMap<Labels, Samples> = found
            .into_iter()
            .map(|(labels, samples)| (labels, samples.iter().map(|(at, bits)| (*at, unsigned(bits))).collect()))
            .collect();
        let said = parse_read(&text(&root.join(record)));
        assert_eq!(found.len(), said.len(), "{archive}");
        for (labels, samples) in said {
            assert_eq!(found.get(&labels), Some(&samples), "{archive} {labels}");
        }
    }
}

/// The float samples of a block, tombstones applied; histogram chunks are left out.
fn floats(block: &Block) -> Vec<(Labels, Samples)> {
    let selection = Selection::new(Vec::new(), TimeRange::ALL);
    let mut stream = block.select(&selection, &QueryContext::default()).expect("selected");
    let (series, warnings) = collect(&mut *stream).expect("sound");
    // deletions inside histogram chunks cannot be applied yet, and that is said
    assert!(warnings.iter().all(|warning| warning.contains("not supported yet")), "{warnings:?}");
    series
        .into_iter()
        .map(|series| {
            let (mut times, mut values) = (Vec::new(), Vec::new());
            for piece in &series.pieces {
                match piece {
                    Piece::Chunk(c) if c.encoding == Encoding::Xor => {
                        chunk::decode_into(c.encoding, &c.bytes, &mut times, &mut values).map(drop).expect("sound");
                    }
                    Piece::Columns(c) => {
                        times.extend_from_slice(&c.times);
                        values.extend_from_slice(&c.values);
                    }
                    _ => {}
                }
            }
            (series.labels, times.into_iter().zip(values.into_iter().map(f64::to_bits)).collect())
        })
        .collect()
}
