//! Files of the store and of the registry: chunks, Prometheus' log, blocks, our own log.

use crate::seal;
use model::{Labels, TimeRange, Timestamp};
use runtime::disk::{Disk, FileBytes, OpenMode, SharedDisk, SimDisk};
use runtime::log::{Log, LogOptions, Lsn};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use storage::ChunkPiece;
use tsdb::block::{Block, BlockMeta, Interval, Symbols, Tombstones, write_block};
use tsdb::wal::frame::Framer;
use tsdb::wal::reader::SegmentReader;
use tsdb::wal::record::{self, LogSample, LogTombstone, RecordKind};
use ulid::Ulid;

/// A chunk that is read can be written again, and reads the same.
pub(super) fn xor_chunk(bytes: &[u8]) {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    let read = chunk::xor::decode_into(bytes, &mut times, &mut values);
    assert!(times.len() <= 1 + 8 * bytes.len(), "a sample takes at least two bits");
    let Ok(count) = read else { return };
    assert_eq!((times.len(), values.len()), (count, count));
    // times that go back are read, as the original reads them, but never written
    if count == 0 || !times.windows(2).all(|pair| pair[0] < pair[1]) {
        return;
    }
    let Ok(encoded) = chunk::xor::encode(times.iter().copied().zip(values.iter().copied())) else { return };
    let (mut times_again, mut values_again) = (Vec::new(), Vec::new());
    chunk::xor::decode_into(&encoded, &mut times_again, &mut values_again).expect("just encoded");
    assert_eq!(times_again, times);
    assert!(values.iter().zip(&values_again).all(|(a, b)| a.to_bits() == b.to_bits()));
}

pub(super) fn xor_chunk_seeds() -> Vec<Vec<u8>> {
    let regular = (0..120).map(|n| (n * 15_000, n as f64));
    let ragged = (0..50).map(|n| (n * 15_000 + n * n * 7919 % 4096, (n as f64).sin()));
    let odd = [(i64::MIN / 4, f64::NAN), (0, f64::INFINITY), (1, -0.0), (i64::MAX / 4, 5e-324)];
    let chunks = [chunk::xor::encode(regular), chunk::xor::encode(ragged), chunk::xor::encode(odd)];
    chunks.into_iter().flatten().chain([vec![], vec![0, 0]]).collect()
}

/// Every kind of record: refused, or written again and read the same.
pub(super) fn wal_record(bytes: &[u8]) {
    let mut written = Vec::new();
    match record::kind_of(bytes) {
        RecordKind::Series => {
            let (mut series, mut again) = (Vec::new(), Vec::new());
            if record::decode_series(bytes, &mut series).is_ok() {
                record::encode_series(&mut written, series.iter().map(|(number, labels)| (*number, labels)));
                record::decode_series(&written, &mut again).expect("just encoded");
                assert_eq!(again, series);
            }
        }
        RecordKind::Samples => {
            let (mut samples, mut again) = (Vec::new(), Vec::new());
            if record::decode_samples(bytes, &mut samples).is_ok()
                && let Some(first) = samples.first().copied()
            {
                let base = (first.series, first.at);
                record::start_samples(&mut written, base);
                samples.iter().for_each(|sample| record::encode_sample(&mut written, base, *sample));
                record::decode_samples(&written, &mut again).expect("just encoded");
                let bits = |list: &[LogSample]| -> Vec<_> {
                    list.iter().map(|s| (s.series, s.at, s.value.to_bits())).collect()
                };
                assert_eq!(bits(&again), bits(&samples));
            }
        }
        RecordKind::Tombstones => {
            let (mut tombstones, mut again): (Vec<LogTombstone>, _) = (Vec::new(), Vec::new());
            if record::decode_tombstones(bytes, &mut tombstones).is_ok() {
                record::encode_tombstones(&mut written, &tombstones);
                record::decode_tombstones(&written, &mut again).expect("just encoded");
                assert_eq!(again.len(), tombstones.len());
            }
        }
        _ => {
            let _ = record::check_exemplars(bytes);
            let _ = record::check_metadata(bytes);
        }
    }
}

pub(super) fn wal_record_seeds() -> Vec<Vec<u8>> {
    let labels = [
        Labels::from_pairs([("__name__", "up"), ("job", "node")]),
        Labels::from_pairs([("__name__", "ä"), ("le", "+Inf")]),
    ];
    let mut series = Vec::new();
    record::encode_series(&mut series, [(1, &labels[0]), (70_000, &labels[1])]);
    let mut samples = Vec::new();
    record::start_samples(&mut samples, (1, 1_000));
    for (n, value) in [(1, 1.5), (2, f64::NAN), (70_000, -0.0)] {
        record::encode_sample(&mut samples, (1, 1_000), LogSample { series: n, at: 1_000 + n as i64, value });
    }
    let mut tombstones = Vec::new();
    record::encode_tombstones(&mut tombstones, &[LogTombstone { series: 3, first: -5, last: i64::MAX }]);
    vec![series, samples, tombstones, vec![4, 0], vec![6, 1, 2, 1, 4, b'H', b'E', b'L', b'P', 1, b'x']]
}

/// A segment of the log, checksums right or not: read to its end, or to the damage, which lies inside it.
pub(super) fn wal_segment(bytes: &[u8]) {
    read_segment(bytes.to_vec());
    let mut sealed = bytes.to_vec();
    seal::wal(&mut sealed);
    read_segment(sealed);
}

fn read_segment(bytes: Vec<u8>) {
    let len = bytes.len() as u64;
    let mut reader = SegmentReader::over(Path::new("00000000"), FileBytes::held(bytes));
    let mut behind = 0;
    while let Ok(Some((offset, record))) = reader.next_record() {
        assert!(offset >= behind);
        behind = offset;
        wal_record(record);
    }
    assert!(reader.sound() <= len.next_multiple_of(32 << 10));
}

pub(super) fn wal_segment_seeds() -> Vec<Vec<u8>> {
    [false, true]
        .into_iter()
        .map(|compress| {
            let mut framer = Framer::new(compress);
            let mut segment = Vec::new();
            for record in wal_record_seeds().into_iter().chain([vec![9; 40_000], vec![2]]) {
                let mut framed = Vec::new();
                framer.frame(&record, segment.len() as u64, &mut framed);
                segment.append(&mut framed);
            }
            segment
        })
        .collect()
}

/// A small block as it was written, and where.
struct Written {
    files: Vec<(PathBuf, Vec<u8>)>,
    dir: PathBuf,
}

static BLOCK: LazyLock<Written> = LazyLock::new(|| {
    let disk: SharedDisk = Arc::new(SimDisk::new());
    let data = Path::new("/data");
    disk.create_dir_all(data).expect("made");
    let mut series: Vec<(Labels, Vec<ChunkPiece>)> = (0..20)
        .map(|n| {
            let number = format!("{n:02}");
            let labels = Labels::from_pairs([
                ("__name__", "requests"),
                ("code", if n % 2 == 0 { "200" } else { "500" }),
                ("n", &number),
            ]);
            let chunks = (0..2).map(|half| {
                let times = (0..30).map(|at| (half * 1_000_000 + at * 15_000, (at * n) as f64));
                ChunkPiece {
                    encoding: chunk::Encoding::Xor,
                    first: Timestamp(half * 1_000_000),
                    last: Timestamp(half * 1_000_000 + 29 * 15_000),
                    bytes: chunk::xor::encode(times).expect("in order").into(),
                }
            });
            (labels, chunks.collect())
        })
        .collect();
    series.sort_by(|a, b| a.0.cmp(&b.0));
    let symbols = Symbols::collect(series.iter().map(|(labels, _)| labels)).expect("few");
    let meta = BlockMeta::of_head(Ulid::from_parts(1, 1), TimeRange { start: Timestamp(0), end: Timestamp(7_200_000) });
    let (_, dir) =
        write_block(&disk, data, meta, symbols, series.into_iter().map(Ok)).expect("written").expect("samples");
    let names = ["meta.json", "index", "tombstones", "chunks/000001"];
    let files =
        names.iter().map(|name| dir.join(name)).map(|path| (path.clone(), disk.read(&path).expect("there"))).collect();
    Written { files, dir }
});

fn file_of_block(name: &str) -> Vec<u8> {
    let found = BLOCK.files.iter().find(|(path, _)| path.ends_with(name));
    found.expect("one of its files").1.clone()
}

fn put(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    disk.open(path, OpenMode::CreateNew).and_then(|file| file.write_at(bytes, 0)).expect("written");
}

/// Opens the block with `name` replaced and reads all that is in it.
fn open_with(name: &str, content: &[u8]) {
    let disk = SimDisk::new();
    disk.create_dir_all(&BLOCK.dir.join("chunks")).expect("made");
    for (path, own) in &BLOCK.files {
        let bytes = if path.ends_with(name) { content } else { own };
        put(&disk, path, bytes);
    }
    let Ok(block) = Block::open(&disk, &BLOCK.dir) else { return };
    assert!(block.symbols().count() <= content.len().max(1_000));
    for series in block.all_series().take(1_000) {
        let Ok(series) = series else { continue };
        for piece in series.chunks.iter().take(1_000) {
            let _ = chunk::decode_into(piece.encoding, &piece.bytes, &mut Vec::new(), &mut Vec::new());
        }
    }
}

/// The index of a block.
pub(super) fn block_index(bytes: &[u8]) {
    open_with("index", bytes);
    let mut sealed = bytes.to_vec();
    seal::index(&mut sealed);
    open_with("index", &sealed);
}

pub(super) fn block_index_seeds() -> Vec<Vec<u8>> {
    vec![file_of_block("index")]
}

/// A chunk file of a block.
pub(super) fn block_chunks(bytes: &[u8]) {
    open_with("chunks/000001", bytes);
    let mut sealed = bytes.to_vec();
    seal::chunks(&mut sealed);
    open_with("chunks/000001", &sealed);
}

pub(super) fn block_chunks_seeds() -> Vec<Vec<u8>> {
    vec![file_of_block("chunks/000001")]
}

/// `meta.json`: what is read is written and reads the same.
pub(super) fn block_meta(bytes: &[u8]) {
    if let Ok(meta) = BlockMeta::decode(bytes) {
        let again = BlockMeta::decode(&meta.encode()).expect("just encoded");
        assert_eq!(again.encode(), meta.encode());
    }
}

pub(super) fn block_meta_seeds() -> Vec<Vec<u8>> {
    vec![file_of_block("meta.json")]
}

/// Tombstones: what is read is written and reads the same.
pub(super) fn tombstones(bytes: &[u8]) {
    let _ = Tombstones::decode(bytes);
    let mut sealed = bytes.to_vec();
    seal::tombstones(&mut sealed);
    if let Ok(read) = Tombstones::decode(&sealed) {
        let again = Tombstones::decode(&read.encode()).expect("just encoded");
        assert_eq!(again.encode(), read.encode());
    }
}

pub(super) fn tombstones_seeds() -> Vec<Vec<u8>> {
    let mut some = Tombstones::default();
    for (series, first, last) in [(1, -5, 9), (1, 20, 30), (900, 0, i64::MAX)] {
        some.add(series, Interval { first, last });
    }
    vec![some.encode(), Tombstones::default().encode()]
}

/// A segment of our own log: opening shows a prefix of its records, cuts off the rest, and goes on behind it.
pub(super) fn log(bytes: &[u8]) {
    let sim = SimDisk::new();
    let disk: SharedDisk = Arc::new(sim.clone());
    let dir = Path::new("/log");
    disk.create_dir_all(dir).expect("made");
    put(&sim, &dir.join(SEGMENT), bytes);
    let seen = |disk: &SharedDisk| {
        let mut records = Vec::new();
        let opened = Log::open(disk.clone(), dir, small(), &mut |entry| {
            if let runtime::log::Entry::Record { lsn, kind, payload } = entry {
                records.push((lsn, kind, payload.to_vec()));
            }
            Ok(())
        });
        opened.map(|(log, _)| (records, log))
    };
    let Ok((records, log)) = seen(&disk) else { return };
    let (lsn, _) = log.append(1, b"next").expect("open");
    assert_eq!(lsn, Lsn(records.len() as u64 + 1));
    drop(log); // writes what waits
    sim.restart();
    let (again, _log) = seen(&disk).expect("repaired");
    assert_eq!(again[..records.len()], records);
    assert_eq!(again.len(), records.len() + 1);
}

const SEGMENT: &str = "00000000000000000001.log";

fn small() -> LogOptions {
    LogOptions { name: "fuzz", segment_bytes: 4096, ..LogOptions::default() }
}

pub(super) fn log_seeds() -> Vec<Vec<u8>> {
    let disk: SharedDisk = Arc::new(SimDisk::new());
    let dir = Path::new("/log");
    let (log, _) = Log::open(disk.clone(), dir, small(), &mut |_| Ok(())).expect("opened");
    for payload in [&b"one"[..], b"", &[7; 300]] {
        log.append(3, payload).expect("taken");
    }
    drop(log);
    vec![disk.read(&dir.join(SEGMENT)).expect("there")]
}
