//! `meta.json`: what a block says about itself.
//!
//! Tab-indented JSON without a newline at the end; zeros in `stats` are left out. Keys of other producers (Thanos) are
//! kept. Fields and their order are those of Prometheus 3.14.

use super::error::BlockError;
use model::{TimeRange, Timestamp};
use runtime::disk::Disk;
use serde::{Deserialize, Serialize};
use std::path::Path;
use ulid::Ulid;

/// The name of the file.
pub const META_FILE: &str = "meta.json";
/// More than this is no block's meta: with 31 days of two-hour sources it is about 20 kB.
const META_LEN_MAX: u64 = 16 << 20;

/// What a block says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// Its name; the directory is called the same.
    #[serde(with = "ulid_text")]
    pub ulid: Ulid,
    /// Begin of its range, inclusive, milliseconds.
    pub min_time: i64,
    /// End of its range, exclusive, milliseconds.
    pub max_time: i64,
    /// Counts.
    #[serde(default)]
    pub stats: BlockStats,
    /// Where it comes from.
    pub compaction: BlockCompaction,
    /// Version of this file: always 1. Prometheus takes another number for an old bug and reads the block all the same.
    pub version: u32,
    /// Keys of other producers.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// Counts of what a block holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Samples of every kind.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Float samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Native histograms.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Deleted intervals.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

/// Where a block comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockCompaction {
    /// How often its samples were merged, 1 for a block cut from the head.
    pub level: u32,
    /// The blocks cut from a head that it consists of, ascending.
    #[serde(with = "ulid_texts", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ulid>,
    /// All its samples were deleted: may be removed.
    #[serde(skip_serializing_if = "is_false")]
    pub deletable: bool,
    /// The blocks it was made from directly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BlockDesc>,
    /// Compacting it failed: leave it alone.
    #[serde(skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Additional words, such as `from-out-of-order`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// A block as its child remembers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDesc {
    /// Its name.
    #[serde(with = "ulid_text")]
    pub ulid: Ulid,
    /// Begin of its range, inclusive.
    pub min_time: i64,
    /// End of its range, exclusive.
    pub max_time: i64,
}

impl BlockMeta {
    /// The meta of a block cut from the head: level 1, its own source.
    pub fn of_head(ulid: Ulid, range: TimeRange) -> Self {
        BlockMeta {
            ulid,
            min_time: range.start.0,
            max_time: range.end.0,
            stats: BlockStats::default(),
            compaction: BlockCompaction { level: 1, sources: vec![ulid], ..BlockCompaction::default() },
            version: 1,
            extra: serde_json::Map::new(),
        }
    }

    /// The meta of the block that `parents` merge into: their whole range, one level above the highest.
    pub fn of_merge(ulid: Ulid, parents: &[&BlockMeta]) -> Self {
        let start = parents.iter().map(|meta| meta.min_time).min().unwrap_or(0);
        let end = parents.iter().map(|meta| meta.max_time).max().unwrap_or(0);
        let mut meta = BlockMeta::of_head(ulid, TimeRange::new(Timestamp(start), Timestamp(end)));
        let level = parents.iter().map(|meta| meta.compaction.level).max().unwrap_or(0);
        let mut sources: Vec<Ulid> = parents.iter().flat_map(|meta| meta.compaction.sources.iter().copied()).collect();
        sources.sort_unstable();
        sources.dedup();
        meta.compaction.level = level.saturating_add(1);
        meta.compaction.sources = sources;
        meta.compaction.parents = parents.iter().map(|meta| meta.desc()).collect();
        meta
    }

    /// Its range, half-open.
    pub fn range(&self) -> TimeRange {
        TimeRange::new(Timestamp(self.min_time), Timestamp(self.max_time))
    }

    /// How its children remember it.
    pub fn desc(&self) -> BlockDesc {
        BlockDesc { ulid: self.ulid, min_time: self.min_time, max_time: self.max_time }
    }

    /// The content of `meta.json`.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut text, tabs))
            .expect("a meta has text keys and finite numbers only");
        text
    }

    /// Reads the content of `meta.json`.
    ///
    /// # Errors
    /// What is wrong with the JSON, and where.
    pub fn decode(text: &[u8]) -> Result<Self, String> {
        let meta: BlockMeta = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        if meta.max_time < meta.min_time {
            return Err(format!("maxTime {} lies before minTime {}", meta.max_time, meta.min_time));
        }
        Ok(meta)
    }

    /// Reads `meta.json` of a block directory.
    ///
    /// # Errors
    /// [`BlockError::Meta`] when it is missing or unreadable, which makes the directory no block.
    pub fn load(disk: &dyn Disk, dir: &Path) -> Result<Self, BlockError> {
        let path = dir.join(META_FILE);
        let refused = |found: String| BlockError::Meta { path: path.clone(), found };
        match disk.metadata(&path) {
            Err(error) if error.is_not_found() => return Err(refused("it does not exist".to_owned())),
            Err(error) => return Err(error.into()),
            Ok(file) if file.len > META_LEN_MAX => return Err(refused(format!("{} bytes are too many", file.len))),
            Ok(_) => {}
        }
        BlockMeta::decode(&disk.read(&path)?).map_err(refused)
    }

    /// Replaces `meta.json` of a block directory.
    ///
    /// # Errors
    /// The disk's; the old file is there then.
    pub fn store(&self, disk: &dyn Disk, dir: &Path) -> Result<(), BlockError> {
        Ok(disk.replace_file(&dir.join(META_FILE), &self.encode())?)
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

mod ulid_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use ulid::Ulid;

    pub(super) fn serialize<S: Serializer>(ulid: &Ulid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(ulid)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ulid, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ulid::from_string(&text).map_err(|e| D::Error::custom(format!("{text:?} is no ULID: {e}")))
    }
}

mod ulid_texts {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use ulid::Ulid;

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Text(#[serde(with = "super::ulid_text")] Ulid);

    pub(super) fn serialize<S: Serializer>(ulids: &[Ulid], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ulids.iter().map(|ulid| Text(*ulid)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Ulid>, D::Error> {
        Ok(Vec::<Text>::deserialize(deserializer)?.into_iter().map(|text| text.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merged_meta_reads_as_prometheus_writes_it() {
        let parent = |n: u128, start, end, level| {
            let range = TimeRange::new(Timestamp(start), Timestamp(end));
            let mut meta = BlockMeta::of_head(Ulid(n), range);
            meta.compaction.level = level;
            meta
        };
        let (a, b) = (parent(2, 0, 10, 3), parent(1, 10, 20, 1));
        let mut merged = BlockMeta::of_merge(Ulid(7), &[&a, &b]);
        merged.stats = BlockStats { num_samples: 5, num_float_samples: 5, ..BlockStats::default() };
        let text = String::from_utf8(merged.encode()).expect("JSON is text");
        let expected = "{\n\t\"ulid\": \"00000000000000000000000007\",\n\t\"minTime\": 0,\n\t\"maxTime\": 20,\n\
            \t\"stats\": {\n\t\t\"numSamples\": 5,\n\t\t\"numFloatSamples\": 5\n\t},\n\t\"compaction\": {\n\
            \t\t\"level\": 4,\n\t\t\"sources\": [\n\t\t\t\"00000000000000000000000001\",\n\
            \t\t\t\"00000000000000000000000002\"\n\t\t],\n\t\t\"parents\": [\n\t\t\t{\n\
            \t\t\t\t\"ulid\": \"00000000000000000000000002\",\n\t\t\t\t\"minTime\": 0,\n\t\t\t\t\"maxTime\": 10\n\
            \t\t\t},\n\t\t\t{\n\t\t\t\t\"ulid\": \"00000000000000000000000001\",\n\t\t\t\t\"minTime\": 10,\n\
            \t\t\t\t\"maxTime\": 20\n\t\t\t}\n\t\t]\n\t},\n\t\"version\": 1\n}";
        assert_eq!(text, expected);
        assert_eq!(BlockMeta::decode(text.as_bytes()), Ok(merged));
    }

    #[test]
    fn keys_of_other_producers_stay() {
        let text =
            br#"{"ulid":"00000000000000000000000007","minTime":0,"maxTime":20,"compaction":{"level":1},"version":1,
            "thanos":{"labels":{"a":"b"}}}"#;
        let meta = BlockMeta::decode(text).expect("valid");
        let again = String::from_utf8(meta.encode()).expect("text");
        assert!(
            again.ends_with("\"version\": 1,\n\t\"thanos\": {\n\t\t\"labels\": {\n\t\t\t\"a\": \"b\"\n\t\t}\n\t}\n}"),
            "{again}"
        );
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("[]", "invalid"),
            (r#"{"ulid":"x","minTime":0,"maxTime":1,"compaction":{},"version":1}"#, "no ULID"),
            (r#"{"ulid":"00000000000000000000000007","minTime":2,"maxTime":1,"compaction":{},"version":1}"#, "before"),
        ] {
            let error = BlockMeta::decode(text.as_bytes()).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
