//! `tombstones`: intervals of series that were deleted and still stand in the chunks.
//!
//! ```text
//! | 01 30 BA 30 | version 1 | (uvarint series id, varint first, varint last)* | CRC of the triples |
//! ```
//!
//! Intervals are closed at both ends. A missing file means none; an empty set is a file of nine bytes.

use super::error::{BlockError, Damage};
use super::section::{Cursor, check_crc, crc32c, put_uvarint, put_varint};
use runtime::disk::Disk;
use std::collections::BTreeMap;
use std::path::Path;

/// The name of the file.
pub const TOMBSTONES_FILE: &str = "tombstones";
const MAGIC: u32 = 0x0130_BA30;
const VERSION: u8 = 1;
const PART: &str = "tombstones";

/// A deleted interval, both ends inclusive, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// First instant deleted.
    pub first: i64,
    /// Last instant deleted.
    pub last: i64,
}

impl Interval {
    /// True when the instant is deleted.
    pub fn contains(&self, at: i64) -> bool {
        self.first <= at && at <= self.last
    }
}

/// Deleted intervals by series; the intervals of a series ascend and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tombstones {
    of: BTreeMap<u64, Vec<Interval>>,
}

impl Tombstones {
    /// Adds an interval, joining those it overlaps or touches.
    pub fn add(&mut self, series: u64, added: Interval) {
        if added.last < added.first {
            return;
        }
        let intervals = self.of.entry(series).or_default();
        let start = intervals.partition_point(|i| i.last < added.first.saturating_sub(1));
        let end = start + intervals[start..].partition_point(|i| i.first <= added.last.saturating_add(1));
        let joined = intervals[start..end]
            .iter()
            .fold(added, |joined, i| Interval { first: joined.first.min(i.first), last: joined.last.max(i.last) });
        intervals.splice(start..end, [joined]);
    }

    /// The intervals of one series, ascending.
    pub fn of(&self, series: u64) -> &[Interval] {
        self.of.get(&series).map_or(&[], Vec::as_slice)
    }

    /// How many intervals there are in all.
    pub fn count(&self) -> u64 {
        self.of.values().map(|intervals| intervals.len() as u64).sum()
    }

    /// True when nothing is deleted.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The content of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_be_bytes().to_vec();
        bytes.push(VERSION);
        for (series, intervals) in &self.of {
            for interval in intervals {
                put_uvarint(&mut bytes, *series);
                put_varint(&mut bytes, interval.first);
                put_varint(&mut bytes, interval.last);
            }
        }
        let crc = crc32c(&bytes[5..]);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads the content of the file.
    ///
    /// # Errors
    /// Wrong magic number, version, checksum, or triples that do not end where the file does.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let early = |at| Damage::ends_early(PART, at);
        let mut cursor = Cursor::new(bytes, 0);
        let magic = cursor.u32().ok_or_else(|| early(0))?;
        if magic != MAGIC {
            return Err(Damage::new(PART, 0, format!("the magic number is {magic:08x}, not {MAGIC:08x}")));
        }
        let version = cursor.take(1).ok_or_else(|| early(4))?[0];
        if version != VERSION {
            return Err(Damage::new(PART, 4, format!("version {version} is not known")));
        }
        let body = cursor.remaining().checked_sub(4).and_then(|len| cursor.take(len)).ok_or_else(|| early(5))?;
        let crc = cursor.u32().ok_or_else(|| early(5))?;
        check_crc(body, crc, PART, 5)?;
        let mut tombstones = Tombstones::default();
        let mut triples = Cursor::new(body, 0);
        while triples.remaining() > 0 {
            let at = 5 + triples.position();
            let mut triple = || Some((triples.uvarint()?, triples.varint()?, triples.varint()?));
            let (series, first, last) = triple().ok_or_else(|| Damage::new(PART, at, "an entry does not end"))?;
            tombstones.add(series, Interval { first, last });
        }
        Ok(tombstones)
    }

    /// Reads the file of a block directory; none when it is missing.
    ///
    /// # Errors
    /// [`BlockError::Corrupt`] for a damaged file.
    pub fn load(disk: &dyn Disk, dir: &Path) -> Result<Self, BlockError> {
        let path = dir.join(TOMBSTONES_FILE);
        match disk.read(&path) {
            Ok(bytes) => Tombstones::decode(&bytes).map_err(|damage| damage.in_file(&path)),
            Err(error) if error.is_not_found() => Ok(Tombstones::default()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(series: u64, intervals: &[(i64, i64)]) -> Tombstones {
        let mut tombstones = Tombstones::default();
        for (first, last) in intervals {
            tombstones.add(series, Interval { first: *first, last: *last });
        }
        tombstones
    }

    #[test]
    fn touching_intervals_join() {
        let join = |intervals: &[(i64, i64)]| -> Vec<(i64, i64)> {
            set(1, intervals).of(1).iter().map(|i| (i.first, i.last)).collect()
        };
        assert_eq!(join(&[(1, 2), (5, 6), (3, 4)]), [(1, 6)]);
        assert_eq!(join(&[(5, 6), (1, 2)]), [(1, 2), (5, 6)]);
        assert_eq!(join(&[(1, 10), (3, 4)]), [(1, 10)]);
        assert_eq!(join(&[(1, 2), (4, 5), (7, 8), (2, 7)]), [(1, 8)]);
        assert_eq!(join(&[(i64::MIN, 0), (2, i64::MAX), (9, 3)]), [(i64::MIN, 0), (2, i64::MAX)]);
    }

    proptest! {
        #[test]
        fn files_round_trip(entries in proptest::collection::vec((0..9u64, any::<i64>(), any::<i64>()), 0..50)) {
            let mut tombstones = Tombstones::default();
            for (series, first, last) in entries {
                tombstones.add(series, Interval { first, last });
            }
            prop_assert_eq!(Tombstones::decode(&tombstones.encode()), Ok(tombstones));
        }

        #[test]
        fn damaged_files_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), fix: bool) {
            let _ = Tombstones::decode(&bytes);
            if fix && bytes.len() >= 9 {
                bytes[..5].copy_from_slice(&[1, 0x30, 0xba, 0x30, 1]);
                let body = bytes.len() - 4;
                let crc = crc32c(&bytes[5..body]);
                bytes[body..].copy_from_slice(&crc.to_be_bytes());
                let _ = Tombstones::decode(&bytes);
            }
        }
    }

    #[test]
    fn an_empty_set_takes_nine_bytes() {
        assert_eq!(Tombstones::default().encode(), [1, 0x30, 0xba, 0x30, 1, 0, 0, 0, 0]);
    }
}
