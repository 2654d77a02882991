//! Replay: the log back into memory, at start, before anything else touches the head.
//!
//! Series come to life with their first sample that counts: a series record alone (its samples are in blocks, or the crash came
//! between the two records of a commit) makes nothing visible. A second series record for the same labels under a new
//! number names the same series. What is older than the blocks, or not newer than what the series has, is passed over,
//! as is what names a series nobody defined.
//! Memory: the head itself, and the labels of series without samples until the replay ends.
//! Cost (bench `head`): 118 ns a sample, 8.5 million a second, on one thread.

use super::commit::Writer;
use super::index::Index;
use super::series::{SeriesRow, TOUCHED};
use super::{Data, Head, Inner};
use crate::block::Interval;
use crate::wal::WalError;
use crate::wal::reader::SegmentReader;
use crate::wal::record::{self, CodecFailure, LogSample, LogTombstone, RecordKind};
use hashbrown::HashMap;
use model::Labels;
use runtime::disk::Disk;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::Ordering;

/// What a replay found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayStats {
    /// Samples now in the head.
    pub samples: u64,
    /// Samples passed over: older than the blocks, or not newer than their series' newest.
    pub passed_over: u64,
    /// Samples of series that no record defines.
    pub unknown: u64,
    /// Records of a type no version has written.
    pub skipped_records: u64,
    /// Exemplars and metadata entries, which are not kept.
    pub not_kept: u64,
}

/// A replay under way; the head is locked until it is dropped.
pub(crate) struct Replay<'a> {
    head: &'a Inner,
    writer: parking_lot::MutexGuard<'a, Writer>,
    data: parking_lot::RwLockWriteGuard<'a, Data>,
    index: parking_lot::RwLockWriteGuard<'a, Index>,
    slots: Slots,
    accepted: Vec<(u32, LogSample)>,
    defined: HashMap<u64, Labels, foldhash::fast::RandomState>,
    oldest: i64,
    min: i64,
    max: i64,
    series: Vec<(u64, Labels)>,
    samples: Vec<LogSample>,
    tombstones: Vec<LogTombstone>,
    /// Deletions of series that have no sample yet.
    waiting: Vec<LogTombstone>,
    stats: ReplayStats,
    chunks: u64,
    born: u64,
}

impl Head {
    pub(crate) fn replay(&self) -> Replay<'_> {
        let inner = &*self.0;
        Replay {
            head: inner,
            writer: inner.writer.lock(),
            data: inner.data.write(),
            index: inner.index.write(),
            slots: Slots::default(),
            accepted: Vec::new(),
            defined: HashMap::default(),
            oldest: inner.bounds.oldest_valid.load(Ordering::Acquire),
            min: i64::MAX,
            max: i64::MIN,
            series: Vec::new(),
            samples: Vec::new(),
            tombstones: Vec::new(),
            waiting: Vec::new(),
            stats: ReplayStats::default(),
            chunks: 0,
            born: 0,
        }
    }
}

impl Replay<'_> {
    /// Replays one segment.
    ///
    /// # Errors
    /// [`WalError::Damaged`]: what stands before the damage was replayed. [`WalError::Unsupported`]: the head must not be used.
    pub(crate) fn segment(&mut self, disk: &dyn Disk, path: &Path) -> Result<(), WalError> {
        let mut reader = SegmentReader::open(disk, path)?;
        while let Some((offset, record)) = reader.next_record()? {
            let kind = record::kind_of(record);
            if let RecordKind::Unsupported(what) = kind {
                return Err(reader.unsupported(offset, what));
            }
            if let Err(failure) = self.record(kind, record) {
                return Err(reader.undecodable(offset, failure));
            }
        }
        Ok(())
    }

    fn record(&mut self, kind: RecordKind, bytes: &[u8]) -> Result<(), CodecFailure> {
        match kind {
            RecordKind::Series => {
                self.series.clear();
                record::decode_series(bytes, &mut self.series)?;
                self.define();
            }
            RecordKind::Samples => {
                self.samples.clear();
                record::decode_samples(bytes, &mut self.samples)?;
                self.append();
            }
            RecordKind::Tombstones => {
                self.tombstones.clear();
                record::decode_tombstones(bytes, &mut self.tombstones)?;
                let mut tombstones = std::mem::take(&mut self.tombstones);
                tombstones.drain(..).for_each(|tombstone| self.delete(tombstone));
                self.tombstones = tombstones;
            }
            RecordKind::Exemplars => self.stats.not_kept += record::check_exemplars(bytes)? as u64,
            RecordKind::Metadata => self.stats.not_kept += record::check_metadata(bytes)? as u64,
            RecordKind::Unknown | RecordKind::Unsupported(_) => self.stats.skipped_records += 1,
        }
        Ok(())
    }

    fn define(&mut self) {
        for (number, labels) in self.series.drain(..) {
            self.writer.last_wal_ref = self.writer.last_wal_ref.max(number);
            // an empty set names nothing; of a number defined twice the first stands
            if !labels.is_empty() && self.slots.get(number).is_none() {
                self.defined.entry(number).or_insert(labels);
            }
        }
    }

    fn append(&mut self) {
        let samples = std::mem::take(&mut self.samples);
        for some in samples.chunks(TOUCHED) {
            self.accepted.clear();
            let mut touched = 0;
            for sample in some {
                if let Some(slot) = self.check(sample) {
                    touched += self.data.rows.get(slot).map_or(0, SeriesRow::touch);
                    self.accepted.push((slot, *sample));
                }
            }
            black_box(touched);
            for (slot, sample) in &self.accepted {
                let row = self.data.rows.get_mut(*slot).expect("a slot in use has a row");
                self.chunks += u64::from(row.append(sample.at, sample.value, self.head.rules));
                self.min = self.min.min(sample.at);
                self.max = self.max.max(sample.at);
            }
            self.stats.samples += self.accepted.len() as u64;
        }
        self.samples = samples;
    }

    /// The slot of a sample that counts; its tail moves on.
    #[inline]
    fn check(&mut self, sample: &LogSample) -> Option<u32> {
        if sample.at < self.oldest || sample.at == i64::MIN || sample.at == i64::MAX {
            self.stats.passed_over += 1;
            return None;
        }
        let Some(slot) = self.slots.get(sample.series).or_else(|| self.birth(sample.series)) else {
            self.stats.unknown += 1;
            return None;
        };
        let tail = self.writer.tails.get_mut(slot).expect("a slot in use has a tail");
        if sample.at <= tail.last_at {
            self.stats.passed_over += 1;
            return None;
        }
        tail.last_at = sample.at;
        tail.last_bits = sample.value.to_bits();
        Some(slot)
    }

    /// Makes the series that the log calls `number`, or finds it under another number.
    #[cold]
    fn birth(&mut self, number: u64) -> Option<u32> {
        let labels = self.defined.remove(&number)?;
        let hash = self.index.hash(&labels);
        let slot = match self.index.find(&labels, hash) {
            Some((slot, _)) => {
                // the log's samples name it by both numbers: a checkpoint must keep both
                self.writer.expiries.insert(number, u64::MAX);
                slot
            }
            None => {
                let slot = self.writer.take_slot(number);
                let generation = self.writer.tails.get(slot).map_or(0, |tail| tail.generation);
                self.data.rows.put(slot, SeriesRow::new(generation));
                self.index.add(slot, generation, labels, hash);
                self.born += 1;
                slot
            }
        };
        self.slots.insert(number, slot);
        Some(slot)
    }

    fn delete(&mut self, tombstone: LogTombstone) {
        match self.slots.get(tombstone.series) {
            Some(slot) => {
                let interval = Interval { first: tombstone.first, last: tombstone.last };
                self.data.deleted.entry(slot).or_default().push(interval);
            }
            None if self.defined.contains_key(&tombstone.series) => self.waiting.push(tombstone),
            None => self.stats.unknown += 1,
        }
    }

    /// Ends the replay; the head is ready for its log. `last_segment`: the highest number seen.
    ///
    /// # Errors
    /// [`RefsExhausted`] when the log has used up the numbers of series.
    pub(crate) fn finish(mut self, last_segment: u64) -> Result<ReplayStats, RefsExhausted> {
        for tombstone in std::mem::take(&mut self.waiting) {
            if self.slots.get(tombstone.series).is_some() {
                self.delete(tombstone);
            }
        }
        for expiry in self.writer.expiries.values_mut() {
            *expiry = last_segment;
        }
        if self.writer.last_wal_ref > MAX_WAL_REF {
            return Err(RefsExhausted { highest: self.writer.last_wal_ref });
        }
        let bounds = &self.head.bounds;
        bounds.min.store(self.min, Ordering::Release);
        bounds.max.store(self.max, Ordering::Release);
        self.head.chunks.store(self.chunks, Ordering::Relaxed);
        let instruments = &self.head.instruments;
        instruments.chunks_created.inc_by(self.chunks);
        instruments.series_created.inc_by(self.born);
        instruments.unknown_refs.inc_by(self.stats.unknown);
        Ok(self.stats)
    }
}

/// Slots by the log's numbers. Numbers are given one after the other, so a table finds them without hashing; a number far beyond
/// what that many series need goes to a map, so that a hostile log can not make the table large.
#[derive(Default)]
struct Slots {
    near: Vec<u32>,
    far: HashMap<u64, u32, foldhash::fast::RandomState>,
    count: usize,
}

const NO_SLOT: u32 = u32::MAX;

impl Slots {
    #[inline]
    fn get(&self, number: u64) -> Option<u32> {
        let near = usize::try_from(number).ok().and_then(|number| self.near.get(number)).copied();
        match near {
            Some(slot) if slot != NO_SLOT => Some(slot),
            _ => self.far.get(&number).copied(),
        }
    }

    fn insert(&mut self, number: u64, slot: u32) {
        self.count += 1;
        match usize::try_from(number) {
            Ok(near) if near < 64 * 1024 + 8 * self.count => {
                if self.near.len() <= near {
                    self.near.resize(near + 1, NO_SLOT);
                }
                self.near[near] = slot;
            }
            _ => {
                self.far.insert(number, slot);
            }
        }
    }
}

/// A log whose numbers are beyond this leaves no room to count on.
const MAX_WAL_REF: u64 = 1 << 62;

/// The log numbers its series so high that no new number can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the write-ahead log numbers a series {highest}, which leaves no number for new ones")]
pub struct RefsExhausted {
    /// The highest number found.
    pub highest: u64,
}
