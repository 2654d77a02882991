use super::*;
use crate::block::section::crc32c;
use bytes::Bytes;
use model::Labels;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use runtime::disk::{Disk, SimDisk};
use std::collections::BTreeMap;
use std::path::Path;

type Series = BTreeMap<Labels, Vec<ChunkMeta>>;

fn write(series: &Series, held_max: usize) -> Vec<u8> {
    let disk = SimDisk::new();
    let path = Path::new("/index");
    let symbols = Symbols::collect(series.keys()).expect("small");
    let mut writer = IndexWriter::create(&disk, path, symbols, held_max).expect("created");
    for (labels, chunks) in series {
        writer.add(labels, chunks).expect("added");
    }
    let len = writer.finish().expect("finished");
    let bytes = disk.read(path).expect("there");
    assert_eq!(len, bytes.len() as u64);
    bytes
}

fn labels() -> impl Strategy<Value = Labels> {
    btree_map("[a-c]{1,2}", "[x-zü]{0,2}", 1..5).prop_map(Labels::from_pairs)
}

fn chunks() -> impl Strategy<Value = Vec<ChunkMeta>> {
    vec((any::<i32>(), any::<u32>(), any::<u64>()), 0..4).prop_map(|parts| {
        let chunk = |(first, len, reference): (i32, u32, u64)| ChunkMeta {
            first: i64::from(first),
            last: i64::from(first) + i64::from(len),
            reference,
        };
        parts.into_iter().map(chunk).collect()
    })
}

fn series() -> impl Strategy<Value = Series> {
    btree_map(labels(), chunks(), 0..40)
}

proptest! {
    #[test]
    fn what_is_written_is_read(series in series()) {
        let bytes = write(&series, usize::MAX);
        let reader = IndexReader::open(Bytes::from(bytes)).expect("sound");
        let all: Vec<u32> = reader.all_series().expect("sound").expect("listed").iter().collect();
        prop_assert_eq!(all.len(), series.len());
        let mut entry = SeriesEntry::default();
        let mut by_pair: BTreeMap<(String, String), Vec<u32>> = BTreeMap::new();
        for (id, (labels, chunks)) in all.iter().zip(&series) {
            reader.series(*id, &mut entry).expect("sound");
            prop_assert_eq!(&reader.labels(&entry).expect("sound"), labels);
            prop_assert_eq!(&entry.chunks, chunks);
            for (name, value) in labels {
                prop_assert_eq!(reader.label_value(&entry, name).expect("sound"), value);
                by_pair.entry((name.to_owned(), value.to_owned())).or_default().push(*id);
            }
        }
        let mut listed = Vec::new();
        for name in reader.names() {
            for value in reader.values(name) {
                let (value, at) = value.expect("sound");
                let ids: Vec<u32> = reader.postings_at(at).expect("sound").iter().collect();
                let again: Vec<u32> = reader.postings(name, value).expect("sound").expect("there").iter().collect();
                prop_assert_eq!(&ids, &again);
                listed.push(((name.to_owned(), value.to_owned()), ids));
            }
        }
        prop_assert_eq!(listed, by_pair.into_iter().collect::<Vec<_>>());
        prop_assert!(reader.postings("a", "missing").expect("sound").is_none());
    }

    #[test]
    fn reading_back_gives_the_same_bytes(series in series(), held_max in 0..60usize) {
        prop_assert_eq!(write(&series, held_max), write(&series, usize::MAX));
    }

    #[test]
    fn damaged_indexes_never_panic(
        series in series(),
        hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        names in btree_set("[a-c]{1,2}", 3),
    ) {
        let mut bytes = write(&series, usize::MAX);
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        mend(&mut bytes);
        walk(bytes, &names);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..300), offsets in vec(0..300u64, 6)) {
        if bytes.len() > 60 {
            bytes[..5].copy_from_slice(&[0xba, 0xaa, 0xd7, 0, 2]);
            let toc = bytes.len() - TOC_LEN;
            for (at, offset) in offsets.iter().enumerate() {
                bytes[toc + at * 8..toc + at * 8 + 8].copy_from_slice(&offset.to_be_bytes());
            }
            mend(&mut bytes);
        }
        walk(bytes, &["a".to_owned()].into());
    }
}

/// Makes every checksum right again, so that what lies behind them is tried.
fn mend(bytes: &mut [u8]) {
    let Some(toc) = bytes.len().checked_sub(TOC_LEN) else { return };
    let crc = crc32c(&bytes[toc..toc + 48]);
    bytes[toc + 48..].copy_from_slice(&crc.to_be_bytes());
    for at in [0, 40] {
        let offset = u64::from_be_bytes(bytes[toc + at..toc + at + 8].try_into().expect("eight"));
        let Ok(offset) = usize::try_from(offset) else { continue };
        let Some(four) = bytes.get(offset..).and_then(|tail| tail.first_chunk::<4>()) else { continue };
        let len = u32::from_be_bytes(*four) as usize;
        let Some(body) = bytes.get(offset + 4..offset + 4 + len) else { continue };
        let crc = crc32c(body);
        if let Some(stands) = bytes.get_mut(offset + 4 + len..offset + 8 + len) {
            stands.copy_from_slice(&crc.to_be_bytes());
        }
    }
}

fn walk(bytes: Vec<u8>, names: &std::collections::BTreeSet<String>) {
    let len = bytes.len() as u32;
    let Ok(reader) = IndexReader::open(Bytes::from(bytes)) else { return };
    let mut entry = SeriesEntry::default();
    for id in 0..len / 16 + 2 {
        if reader.series(id, &mut entry).is_ok() {
            let _ = (reader.labels(&entry), reader.label_value(&entry, "a"), reader.label_names_of(&entry).count());
        }
    }
    let _ = reader.all_series();
    for name in names {
        for value in reader.values(name).flatten() {
            let _ = reader.postings_at(value.1);
        }
        let _ = reader.postings(name, "x");
    }
    for number in 0..200 {
        let _ = reader.symbol(number);
    }
}

#[test]
fn order_and_symbols_are_demanded() {
    let disk = SimDisk::new();
    let set = |name: &str| Labels::from_pairs([("a", name)]);
    let symbols = Symbols::collect([&set("x"), &set("y")]).expect("small");
    let mut writer = IndexWriter::create(&disk, Path::new("/index"), symbols, 10).expect("created");
    writer.add(&set("y"), &[]).expect("first");
    for (labels, reason) in [(set("x"), "order"), (set("y"), "order"), (set("z"), "not among")] {
        let error = writer.add(&labels, &[]).expect_err("refused").to_string();
        assert!(error.contains(reason), "{error}");
    }
}
