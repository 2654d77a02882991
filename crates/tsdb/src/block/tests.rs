use super::*;
use bytes::Bytes;
use chunk::Encoding;
use model::{Labels, MatchOp, Matcher, TimeRange, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use runtime::disk::{Fault, SharedDisk, SimDisk};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::{ChunkPiece, LabelQuery, Piece, QueryContext, Select, Selection, collect};

type Samples = Vec<(i64, f64)>;

const DIR: &str = "/data";

fn piece(samples: &[(i64, f64)]) -> ChunkPiece {
    let bytes = chunk::xor::encode(samples.iter().copied()).expect("few samples");
    ChunkPiece {
        encoding: Encoding::Xor,
        first: Timestamp(samples[0].0),
        last: Timestamp(samples[samples.len() - 1].0),
        bytes: Bytes::from(bytes),
    }
}

fn write(
    disk: &SharedDisk,
    ulid: Ulid,
    series: &BTreeMap<Labels, Vec<Samples>>,
) -> Result<Option<PathBuf>, BlockError> {
    let meta = BlockMeta::of_head(ulid, TimeRange::new(Timestamp(0), Timestamp(1000)));
    let symbols = Symbols::collect(series.keys())?;
    let items = series.iter().map(|(labels, chunks)| Ok((labels.clone(), chunks.iter().map(|c| piece(c)).collect())));
    Ok(write_block(disk, Path::new(DIR), meta, symbols, items)?.map(|(_, dir)| dir))
}

fn decode(pieces: &[Piece]) -> Samples {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Chunk(c) => {
                chunk::decode_into(c.encoding, &c.bytes, &mut times, &mut values).expect("sound");
            }
            Piece::Columns(c) => {
                times.extend_from_slice(&c.times);
                values.extend_from_slice(&c.values);
            }
            Piece::Histograms(_) => panic!("no histogram was written"),
        }
    }
    times.into_iter().zip(values).collect()
}

fn select(block: &Block, matchers: Vec<Matcher>, range: TimeRange) -> BTreeMap<Labels, Samples> {
    let selection = Selection { partial: false, ..Selection::new(matchers, range) };
    let context = QueryContext::default();
    let mut stream = block.select(&selection, &context).expect("selected");
    let (series, warnings) = collect(&mut *stream).expect("sound");
    assert!(warnings.is_empty() && series.windows(2).all(|pair| pair[0].labels < pair[1].labels));
    drop(stream);
    assert_eq!(context.budget.held(), 0);
    series.into_iter().map(|series| (series.labels, decode(&series.pieces))).collect()
}

fn labels() -> impl Strategy<Value = Labels> {
    btree_map("[a-c]", "[x-z]{1,2}", 1..4).prop_map(Labels::from_pairs)
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let op = prop_oneof![Just(MatchOp::Equal), Just(MatchOp::NotEqual), Just(MatchOp::Regex), Just(MatchOp::NotRegex)];
    let value = prop_oneof![
        "[x-z]{0,2}",
        "[x-z]\\|[x-z]",
        Just(".*".to_owned()),
        Just(".+".to_owned()),
        "[x-z]?",
        "[x-z]\\.\\*",
        "\\|[x-z]",
        "[x-z]{1,2}\\.\\+"
    ];
    ("[a-d]", op, value).prop_map(|(name, op, value)| Matcher::new(&name, op, &value).expect("valid"))
}

/// Up to three chunks of a series: ascending, apart.
fn chunks() -> impl Strategy<Value = Vec<Samples>> {
    vec(vec((1..40i64, any::<u8>()), 1..6), 1..4).prop_map(|chunks| {
        let mut at = 0;
        let mut sample = |(step, value): (i64, u8)| {
            at += step;
            (at, f64::from(value))
        };
        chunks.into_iter().map(|chunk| chunk.into_iter().map(&mut sample).collect()).collect()
    })
}

proptest! {
    #[test]
    fn selections_agree_with_trying_every_series(
        series in btree_map(labels(), chunks(), 1..30),
        matchers in vec(matcher(), 0..4),
        start in 0..400i64,
        len in 1..400i64,
        deleted in vec((any::<prop::sample::Index>(), 0..300i64, 0..80i64), 0..4),
    ) {
        let disk: SharedDisk = Arc::new(SimDisk::new());
        let dir = write(&disk, Ulid(1), &series).expect("written").expect("samples");
        let block = Block::open(&*disk, &dir).expect("sound");
        let ids: Vec<u32> = block.all_series().map(|s| s.expect("sound").id).collect();
        let mut tombstones = Tombstones::default();
        for (which, first, len) in deleted {
            tombstones.add(u64::from(ids[which.index(ids.len())]), Interval { first, last: first + len });
        }
        disk.replace_file(&dir.join(tombstones::TOMBSTONES_FILE), &tombstones.encode()).expect("written");
        let block = Block::open(&*disk, &dir).expect("sound");
        let range = TimeRange::new(Timestamp(start), Timestamp(start + len));
        let clip = |samples: &Samples| -> Samples { samples.iter().copied().filter(|s| range.contains(Timestamp(s.0))).collect() };
        let expected: BTreeMap<Labels, Samples> = series
            .iter()
            .zip(&ids)
            .filter(|((labels, _), _)| matchers.iter().all(|m| m.matches_labels(labels)))
            .map(|((labels, chunks), id)| {
                let gone = tombstones.of(u64::from(*id));
                let stays = |s: &(i64, f64)| !gone.iter().any(|i| i.contains(s.0));
                (labels.clone(), clip(&chunks.iter().flatten().copied().filter(stays).collect()))
            })
            .filter(|(_, samples)| !samples.is_empty())
            .collect();
        let got: BTreeMap<Labels, Samples> = select(&block, matchers.clone(), range)
            .into_iter()
            .map(|(labels, samples)| (labels, clip(&samples)))
            .filter(|(_, samples)| !samples.is_empty())
            .collect();
        prop_assert_eq!(got, expected);

        // labels are asked for without samples: tombstones do not count
        let context = QueryContext::default();
        let matching = || series.keys().filter(|labels| matchers.iter().all(|m| m.matches_labels(labels)));
        let mut query = LabelQuery::new(TimeRange::ALL);
        query.matchers = matchers.clone();
        let (names, _) = block.label_names(&query, &context).expect("sound");
        let expected = matching().flat_map(|l| l.iter().map(|(n, _)| n.to_owned())).collect();
        prop_assert_eq!(names, expected);
        let (values, _) = block.label_values("a", &query, &context).expect("sound");
        let expected = matching().filter_map(|l| l.get("a").map(str::to_owned)).collect();
        prop_assert_eq!(values, expected);
    }
}

fn small() -> BTreeMap<Labels, Vec<Samples>> {
    (0..5)
        .map(|n| {
            let labels = Labels::from_pairs([("__name__", "up"), ("n", &n.to_string())]);
            (labels, vec![vec![(n, 1.0), (n + 10, 2.0)], vec![(n + 20, 3.0)]])
        })
        .collect()
}

#[test]
fn a_block_without_samples_is_not_made() {
    let disk: SharedDisk = Arc::new(SimDisk::new());
    let series = BTreeMap::from([(Labels::from_pairs([("a", "b")]), Vec::new())]);
    assert_eq!(write(&disk, Ulid(1), &series).expect("fine"), None);
    assert_eq!(disk.list(Path::new(DIR)).expect("there"), []);
}

/// Every call that changes the disk fails once, with every fault, and the process dies at every call: a published block is
/// whole, an unpublished one is a leftover, and whoever was told "published" finds it after a power loss.
#[test]
fn a_failing_disk_never_leaves_half_a_block() {
    let clean = SimDisk::new();
    let begun = clean.calls();
    write(&(Arc::new(clean.clone()) as SharedDisk), Ulid(1), &small()).expect("written");
    let calls = clean.calls() - begun;
    assert!(calls > 10, "{calls}");
    for call in 0..calls {
        for fault in [Some(Fault::Io), Some(Fault::NoSpace), Some(Fault::ShortWrite), None] {
            for lost in [false, true] {
                let sim = SimDisk::new();
                let disk: SharedDisk = Arc::new(sim.clone());
                match fault {
                    Some(fault) => sim.fail_call(call, fault),
                    None => sim.halt_at(call),
                }
                let told = write(&disk, Ulid(1), &small());
                if lost {
                    sim.power_loss(call)
                } else {
                    sim.restart()
                }
                let place = format!("call {call}, {fault:?}, power loss {lost}: {told:?}");
                if disk.exists(Path::new(DIR)).expect(&place) {
                    remove_leftovers(&*disk, Path::new(DIR)).expect(&place);
                    let found = list_blocks(&*disk, Path::new(DIR)).expect(&place);
                    for (_, dir) in &found {
                        let block = Block::open(&*disk, dir).expect(&place);
                        let series: Vec<_> = block.all_series().collect::<Result<_, _>>().expect(&place);
                        assert_eq!(series.len(), 5, "{place}");
                        assert_eq!(block.meta().stats.num_samples, 15, "{place}");
                    }
                    assert!(!matches!(told, Ok(Some(_))) || found.len() == 1, "{place}");
                } else {
                    assert!(told.is_err(), "{place}");
                }
            }
        }
    }
}

#[test]
fn a_removed_block_leaves_at_most_a_leftover() {
    for call in 0.. {
        let sim = SimDisk::new();
        let disk: SharedDisk = Arc::new(sim.clone());
        let dir = write(&disk, Ulid(1), &small()).expect("written").expect("samples");
        let begun = sim.calls();
        sim.halt_at(begun + call);
        let told = delete_block(&*disk, &dir);
        let halted = sim.halted();
        sim.restart();
        remove_leftovers(&*disk, Path::new(DIR)).expect("removed");
        for (_, dir) in list_blocks(&*disk, Path::new(DIR)).expect("listed") {
            assert!(told.is_err());
            Block::open(&*disk, &dir).expect("whole");
        }
        if !halted {
            assert_eq!(disk.list(Path::new(DIR)).expect("listed"), []);
            return;
        }
    }
}

#[test]
fn damage_is_a_warning_only_for_those_who_take_a_part() {
    let disk: SharedDisk = Arc::new(SimDisk::new());
    let dir = write(&disk, Ulid(1), &small()).expect("written").expect("samples");
    let path = dir.join("chunks/000001");
    let mut bytes = disk.read(&path).expect("there");
    bytes[12] ^= 1;
    disk.replace_file(&path, &bytes).expect("written");
    let block = Block::open(&*disk, &dir).expect("headers are sound");
    let mut selection = Selection::new(vec![Matcher::equal("__name__", "up")], TimeRange::ALL);
    let mut ask = |partial: bool| {
        selection.partial = partial;
        collect(&mut *block.select(&selection, &QueryContext::default()).expect("selected"))
    };
    let error = ask(false).expect_err("refused").to_string();
    for word in ["0..10", "up", "n=\"0\"", &Ulid(1).to_string(), "checksum"] {
        assert!(error.contains(word), "{word} in {error}");
    }
    let (series, warnings) = ask(true).expect("the rest");
    assert_eq!(warnings.iter().collect::<Vec<_>>(), [error]);
    assert_eq!((series.len(), decode(&series[0].pieces), decode(&series[1].pieces).len()), (5, vec![(20, 3.0)], 3));
}

#[test]
fn a_selection_is_cut_at_its_limit_with_a_warning() {
    let disk: SharedDisk = Arc::new(SimDisk::new());
    let dir = write(&disk, Ulid(1), &small()).expect("written").expect("samples");
    let block = Block::open(&*disk, &dir).expect("sound");
    for (max, warned) in [(4, true), (5, false), (0, false)] {
        let mut selection = Selection::new(Vec::new(), TimeRange::ALL);
        selection.hints.series_max = max;
        let mut stream = block.select(&selection, &QueryContext::default()).expect("selected");
        let (series, warnings) = collect(&mut *stream).expect("sound");
        assert_eq!((series.len(), !warnings.is_empty()), (if max == 4 { 4 } else { 5 }, warned));
    }
}

proptest! {
    #[test]
    fn a_damaged_block_is_refused_or_answers(
        hits in vec((0..4usize, any::<prop::sample::Index>(), any::<u8>()), 1..4),
        matchers in vec(matcher(), 0..3),
    ) {
        let disk: SharedDisk = Arc::new(SimDisk::new());
        let dir = write(&disk, Ulid(1), &small()).expect("written").expect("samples");
        for (file, at, byte) in hits {
            let path = dir.join(["index", "chunks/000001", "tombstones", "meta.json"][file]);
            let mut bytes = disk.read(&path).expect("there");
            let at = at.index(bytes.len());
            bytes[at] = byte;
            disk.replace_file(&path, &bytes).expect("written");
        }
        let Ok(block) = Block::open(&*disk, &dir) else { return Ok(()) };
        let _ = (block.all_series().count(), block.symbols().count());
        let context = QueryContext::default();
        let mut query = LabelQuery::new(TimeRange::ALL);
        query.matchers = matchers.clone();
        let _ = (block.label_names(&query, &context), block.label_values("n", &query, &context));
        for partial in [false, true] {
            let selection = Selection { partial, ..Selection::new(matchers.clone(), TimeRange::ALL) };
            let Ok(mut stream) = block.select(&selection, &context) else { continue };
            let answer = collect(&mut *stream);
            prop_assert!(!partial || answer.is_ok(), "{answer:?}");
        }
    }
}
