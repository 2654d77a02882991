//! The log: records as an independent reader saw them, verdicts on damaged logs, directories that are refused.

use crate::golden::{conformance, parse_labels, text, unpack};
use model::Labels;
use runtime::clock::Clock;
use runtime::disk::{Disk, RealDisk};
use runtime::instrument::Registry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use tsdb::wal::WalError;
use tsdb::wal::reader::SegmentReader;
use tsdb::wal::record::{self, RecordKind};
use tsdb::wal::repair::repair;
use tsdb::wal::segment::{checkpoint_path, list, segment_path};
use tsdb::{Db, DbOptions, OpenError};

/// The float part of a record, a line an entry, as the recorded texts print it.
fn entries(kind: RecordKind, bytes: &[u8]) -> Vec<String> {
    match kind {
        RecordKind::Series => {
            let mut series = Vec::new();
            record::decode_series(bytes, &mut series).expect("decodes");
            series.iter().map(|(number, labels)| format!("ref={number} {}", quoted(labels))).collect()
        }
        RecordKind::Samples => {
            let mut samples = Vec::new();
            record::decode_samples(bytes, &mut samples).expect("decodes");
            samples.iter().map(|s| format!("ref={} t={} v={:016x}", s.series, s.at, s.value.to_bits())).collect()
        }
        RecordKind::Tombstones => {
            let mut tombstones = Vec::new();
            record::decode_tombstones(bytes, &mut tombstones).expect("decodes");
            tombstones.iter().map(|t| format!("ref={} mint={} maxt={}", t.series, t.first, t.last)).collect()
        }
        RecordKind::Exemplars => vec![record::check_exemplars(bytes).expect("decodes").to_string()],
        RecordKind::Metadata => vec![record::check_metadata(bytes).expect("decodes").to_string()],
        RecordKind::Unsupported(_) | RecordKind::Unknown => Vec::new(),
    }
}

fn quoted(labels: &Labels) -> String {
    let quote = |text: &str| serde_json::to_string(text).expect("a string");
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{}={}", quote(name), quote(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// Records of a text: offset and kind, with the lines of those whose entries we read.
fn recorded(text: &str) -> Vec<(String, Vec<String>)> {
    let mut records: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix('@') {
            let head: Vec<&str> = head.split(' ').take(2).collect();
            records.push((head.join(" "), Vec::new()));
        } else if let (Some(entry), Some((_, entries))) = (line.strip_prefix("  "), records.last_mut()) {
            entries.push(entry.to_owned());
        }
    }
    for (head, entries) in &mut records {
        match head.split(' ').nth(1).expect("a kind") {
            "series" | "samples" | "tombstones" => {}
            "exemplars" | "metadata" => *entries = vec![entries.len().to_string()],
            _ => entries.clear(),
        }
    }
    records
}

fn name_of(kind: RecordKind, bytes: &[u8]) -> &'static str {
    match (kind, bytes[0]) {
        (RecordKind::Series, _) => "series",
        (RecordKind::Samples, _) => "samples",
        (RecordKind::Tombstones, _) => "tombstones",
        (RecordKind::Exemplars, _) => "exemplars",
        (RecordKind::Metadata, _) => "metadata",
        (_, 7) => "histograms",
        (_, 8) => "float-histograms",
        (_, 9) => "custom-histograms",
        (_, 10) => "custom-float-histograms",
        _ => "unknown",
    }
}

fn read_segment(path: &Path, records: &mut Vec<(String, Vec<String>)>) {
    let mut reader = SegmentReader::open(&RealDisk, path).expect("readable");
    while let Some((offset, bytes)) = reader.next_record().expect("sound") {
        let kind = record::kind_of(bytes);
        records.push((format!("{offset} {}", name_of(kind, bytes)), entries(kind, bytes)));
    }
}

#[test]
fn records_are_read_as_an_independent_reader_read_them() {
    let Some(root) = conformance("records_are_read_as_an_independent_reader_read_them") else { return };
    let cases = [
        ("clean-snappy", "clean-snappy"),
        ("kill9", "clean-snappy"),
        ("checkpoint", "checkpoint"),
        ("scraped", "scraped"),
        ("agent", "agent"),
    ];
    for (archive, said) in cases {
        let unpacked = unpack(&root.join(format!("live/{archive}.tar.gz")));
        let wal = unpacked.dir.join("wal");
        let listing = list(&RealDisk, &wal).expect("no gap");
        let mut records = Vec::new();
        if let Some(number) = listing.checkpoint() {
            let checkpoint = checkpoint_path(&wal, number);
            for segment in list(&RealDisk, &checkpoint).expect("no gap").segments {
                read_segment(&segment_path(&checkpoint, segment), &mut records);
            }
        }
        for segment in listing.replayed() {
            read_segment(&segment_path(&wal, segment), &mut records);
        }
        let said = recorded(&text(&root.join(format!("live/{said}.wal.txt.gz"))));
        assert_eq!(records.len(), said.len(), "{archive}");
        for (ours, said) in records.iter().zip(&said) {
            assert_eq!(ours, said, "{archive}");
        }
    }
}

/// What a log gives before its damage.
#[derive(Default)]
struct Replayed {
    labels: BTreeMap<u64, Labels>,
    samples: BTreeMap<Labels, BTreeSet<i64>>,
}

impl Replayed {
    fn segment(&mut self, path: &Path) -> Result<(), WalError> {
        let mut reader = SegmentReader::open(&RealDisk, path)?;
        while let Some((offset, bytes)) = reader.next_record()? {
            let (mut series, mut samples) = (Vec::new(), Vec::new());
            let decoded = match record::kind_of(bytes) {
                RecordKind::Series => record::decode_series(bytes, &mut series),
                RecordKind::Samples => record::decode_samples(bytes, &mut samples),
                _ => Ok(()),
            };
            if let Err(failure) = decoded {
                return Err(reader.undecodable(offset, failure));
            }
            self.labels.extend(series);
            for sample in samples {
                if let Some(labels) = self.labels.get(&sample.series) {
                    self.samples.entry(labels.clone()).or_default().insert(sample.at);
                }
            }
        }
        Ok(())
    }
}

/// Reads a log as a start does; the number of the damaged segment comes with its damage.
fn replay(wal: &Path) -> Result<(Replayed, Option<(u64, u64)>), WalError> {
    let listing = list(&RealDisk, wal)?;
    let mut replayed = Replayed::default();
    if let Some(number) = listing.checkpoint() {
        let checkpoint = checkpoint_path(wal, number);
        for segment in list(&RealDisk, &checkpoint)?.segments {
            replayed.segment(&segment_path(&checkpoint, segment))?;
        }
    }
    for segment in listing.replayed() {
        match replayed.segment(&segment_path(wal, segment)) {
            Ok(()) => {}
            Err(WalError::Damaged { sound, .. }) => return Ok((replayed, Some((segment, sound)))),
            Err(error) => return Err(error),
        }
    }
    Ok((replayed, None))
}

/// Of each `c_total` series the cases' m-mapped head chunks, which we do not read, hold the answer's first 70 samples; the original
/// takes from the log only what is newer than those.
const IN_HEAD_CHUNKS: usize = 70;
const LAST_IN_HEAD_CHUNKS: i64 = 1_700_010_540_000;

#[test]
fn damaged_logs_are_judged_as_the_original_judges_them() {
    let Some(root) = conformance("damaged_logs_are_judged_as_the_original_judges_them") else { return };
    let mut cases = 0;
    for entry in RealDisk.list(&root.join("corrupt")).expect("readable") {
        let Some(case) = entry.name.strip_suffix(".txt").filter(|name| name.starts_with("wal-")) else { continue };
        let unpacked = unpack(&root.join(format!("corrupt/{case}.tar.gz")));
        check_case(case, &unpacked.dir.join("wal"), &text(&root.join(format!("corrupt/{case}.txt"))));
        cases += 1;
    }
    assert!(cases >= 20, "{cases}");
}

fn check_case(case: &str, wal: &Path, said: &str) {
    let ready = said.lines().any(|line| line == "server: ready");
    let (replayed, damage) = match replay(wal) {
        Ok(found) => found,
        Err(error) => return assert!(!ready, "{case}: {error}"),
    };
    assert!(ready, "{case}: the original does not start");
    assert_eq!(damage.is_some(), said.contains("attempting repair"), "{case}");
    for line in said.lines().filter(|line| line.starts_with("  {")) {
        let (labels, rest) = line.trim().split_once("} ").expect("labels and counts");
        let labels = parse_labels(&format!("{labels}}}"));
        let expected: usize = rest.split(' ').next().expect("a count").parse().expect("a number");
        // the other two series have out-of-order samples and native histograms
        if labels.metric_name() == "c_total" {
            let samples = replayed.samples.get(&labels);
            let found = samples.map_or(0, |samples| samples.range(LAST_IN_HEAD_CHUNKS + 1..).count());
            assert_eq!(found, expected - IN_HEAD_CHUNKS, "{case}: {labels}");
        }
    }
    if let Some((number, sound)) = damage {
        repair(&RealDisk, wal, number, sound).expect("repaired");
        let (again, none) = replay(wal).expect("readable");
        assert_eq!((again.samples, none), (replayed.samples, None), "{case}");
        let after = said.split("files after the server has stopped:").nth(1).expect("a listing");
        let segments = after.lines().filter_map(|line| line.trim().strip_prefix("wal/"));
        let theirs: Vec<&str> = segments.filter_map(|line| line.split(' ').next()).collect();
        let mut ours: Vec<String> = RealDisk.list(wal).expect("readable").into_iter().map(|e| e.name).collect();
        ours.push(format!("{:08}", number + 1)); // the segment that the start opens
        assert_eq!(ours, theirs, "{case}");
    }
}

fn tree(dir: &Path) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    for entry in RealDisk.list(dir).expect("readable") {
        let path = dir.join(&entry.name);
        let found = RealDisk.metadata(&path).expect("there");
        if found.is_dir() {
            files.extend(tree(&path));
        }
        files.push((path.display().to_string(), if found.is_file() { found.len } else { 0 }));
    }
    files
}

#[test]
fn directories_with_what_we_cannot_read_are_left_untouched() {
    let Some(root) = conformance("directories_with_what_we_cannot_read_are_left_untouched") else { return };
    let cases = [
        ("live/clean-snappy", "m-mapped head chunks"),
        ("live/clean-zstd", "m-mapped head chunks"),
        ("live/kill9", "out-of-order log"),
        ("live/snapshot", "memory snapshot"),
        ("live/checkpoint", "head chunks"),
        ("live/scraped", ""),
        ("blocks/day", "native histograms|histogram"),
        ("corrupt/wal-missing-segment", ""),
    ];
    for (archive, reason) in cases {
        let unpacked = unpack(&root.join(format!("{archive}.tar.gz")));
        let before = tree(&unpacked.dir);
        let clock = Clock::system();
        let registry = Registry::new(clock.clone());
        let options = DbOptions { background: false, ..DbOptions::default() };
        let error = Db::open(Arc::new(RealDisk), &unpacked.dir, options, clock, &registry).expect_err(archive);
        assert!(matches!(error, OpenError::Refused { .. }), "{archive}: {error}");
        assert!(reason.split('|').any(|word| error.to_string().contains(word)), "{archive}: {error}");
        assert_eq!(tree(&unpacked.dir), before, "{archive}");
    }
}
