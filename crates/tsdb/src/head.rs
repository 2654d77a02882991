//! The head: every series that still receives samples, and the samples that are in no block yet.
//!
//! ```text
//!            declare, row, sample: staged in the appender, nothing shared is touched
//! appender ───────────────────────────────────────────────────────────────────────┐ commit
//!                                                                                 ▼
//!  writer (one commit at a time)        tails: newest time and value of each series, 32 bytes, side by side
//!     1 check each sample against the tails      ── refusals are decided here
//!     2 one log record of new series, one of samples, one write()
//!     3 data and index locked: new series, samples into open chunks    ── the commit becomes visible here, whole
//!
//!  select: index read-locked: which series; then data read-locked once: chunks shared, open chunks copied ── a snapshot
//! ```
//!
//! Locks, in the order they are taken: `writer` → `data` → `index`. The appender's staging takes `index` alone, a selection `index`,
//! then (after giving it back) `data` and `index`.
//! Invariants
//! - a series is in `index` exactly when it has samples in `data`; both change under `data`'s write lock;
//! - a ref is a slot and the slot's generation: a slot that changed hands never answers to an old ref;
//! - chunks of one series ascend and do not cross a multiple of `chunk_range`.
//!
//! Limits: 2^32 slots at once. Memory (bench `head`): 280 bytes a series and its label text, 720 with 120 samples.
//! Costs: see `commit`.

mod appender;
mod commit;
mod drain;
mod index;
mod postings;
mod replay;
mod select;
mod series;
mod slab;
mod truncate;

#[cfg(test)]
mod tests;

pub use drain::{HeadChunks, HeadSeries};
pub use replay::{RefsExhausted, ReplayStats};
pub(crate) use series::range_end as block_range_end;
pub use truncate::Truncated;

use crate::block::Interval;
use crate::instruments::Instruments;
use crate::wal::flush::Flusher;
use crate::wal::writer::WalWriter;
use commit::Writer;
use hashbrown::HashMap;
use index::Index;
use model::Timestamp;
use parking_lot::{Mutex, RwLock};
use series::{CutRules, SeriesRow};
use slab::Slab;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use storage::{CommitError, SeriesRef};

/// What is in memory; clones share it.
#[derive(Clone)]
pub struct Head(Arc<Inner>);

/// How the head behaves.
#[derive(Clone, Copy, Debug)]
pub struct HeadOptions {
    /// Length of the blocks cut from it, milliseconds: chunks do not cross its multiples, samples older than half of it are
    /// refused.
    pub chunk_range: i64,
    /// Samples wanted in a chunk.
    pub samples_per_chunk: u16,
    /// Seed of the identity hash, so that nobody outside can choose labels that collide.
    pub seed: u64,
}

struct Inner {
    rules: CutRules,
    writer: Mutex<Writer>,
    data: RwLock<Data>,
    index: RwLock<Index>,
    bounds: Bounds,
    appenders: Mutex<Appenders>,
    pool: Mutex<Vec<appender::Staging>>,
    flusher: Arc<Flusher>,
    instruments: Instruments,
    refusing: RwLock<Option<Arc<str>>>,
    /// Why the last commit could not be logged, when the next one may.
    unavailable: RwLock<Option<Arc<str>>>,
    chunks: AtomicU64,
}

/// Samples by slot.
struct Data {
    rows: Slab<SeriesRow>,
    deleted: HashMap<u32, Vec<Interval>>,
}

/// The head's range, for readers; written by commits and truncations under the writer's lock.
struct Bounds {
    /// `i64::MAX` while empty.
    min: AtomicI64,
    /// `i64::MIN` before the first sample.
    max: AtomicI64,
    /// Samples before this are in blocks.
    oldest_valid: AtomicI64,
}

/// Open appenders by the collection they began after: a collection keeps what they may still name.
#[derive(Default)]
struct Appenders {
    open: BTreeMap<u64, usize>,
    collections: u64,
}

/// How the head is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Takes samples.
    Good,
    /// The disk is full (or no log segment can be begun): each commit tries again, and succeeds once there is room.
    Full(Arc<str>),
    /// The log failed, or the store is closing: no samples are taken any more, queries are answered.
    Refusing(Arc<str>),
}

impl Head {
    pub(crate) fn new(
        options: HeadOptions,
        oldest_valid: i64,
        flusher: Arc<Flusher>,
        instruments: Instruments,
    ) -> Self {
        Head(Arc::new(Inner {
            rules: CutRules { range: options.chunk_range, samples: options.samples_per_chunk },
            writer: Mutex::new(Writer::new()),
            data: RwLock::new(Data { rows: Slab::new(), deleted: HashMap::new() }),
            index: RwLock::new(Index::new(options.seed)),
            bounds: Bounds {
                min: AtomicI64::new(i64::MAX),
                max: AtomicI64::new(i64::MIN),
                oldest_valid: AtomicI64::new(oldest_valid),
            },
            appenders: Mutex::new(Appenders::default()),
            pool: Mutex::new(Vec::new()),
            flusher,
            instruments,
            refusing: RwLock::new(None),
            unavailable: RwLock::new(None),
            chunks: AtomicU64::new(0),
        }))
    }

    /// Gives the head its log; before that it only replays.
    pub(crate) fn start_logging(&self, wal: WalWriter) {
        self.0.writer.lock().wal = Some(wal);
    }

    /// How it is doing.
    pub fn health(&self) -> Health {
        if let Some(reason) = self.0.flusher.failed().or_else(|| self.0.refusing.read().clone()) {
            return Health::Refusing(reason);
        }
        match self.0.unavailable.read().clone() {
            Some(reason) => Health::Full(reason),
            None => Health::Good,
        }
    }

    /// How many series there are.
    pub fn series_count(&self) -> usize {
        self.0.index.read().len()
    }

    /// How many chunks there are, open ones included.
    pub fn chunk_count(&self) -> u64 {
        self.0.chunks.load(Ordering::Relaxed)
    }

    /// Bytes of all label names and values.
    pub fn symbol_bytes(&self) -> u64 {
        self.0.index.read().text_bytes()
    }

    /// Time of the oldest sample, `None` when there is none.
    pub fn min_time(&self) -> Option<Timestamp> {
        let min = self.0.bounds.min.load(Ordering::Acquire);
        (min != i64::MAX).then_some(Timestamp(min))
    }

    /// Time of the newest sample ever taken, `None` when there was none.
    pub fn max_time(&self) -> Option<Timestamp> {
        let max = self.0.bounds.max.load(Ordering::Acquire);
        (max != i64::MIN).then_some(Timestamp(max))
    }

    /// Whether it holds more than one and a half block ranges: time to cut a block.
    pub fn is_compactable(&self) -> bool {
        match (self.min_time(), self.max_time()) {
            (Some(min), Some(max)) => {
                let range = self.0.rules.range;
                max.0.saturating_sub(min.0) > range.saturating_add(range / 2)
            }
            _ => false,
        }
    }

    /// The number of the log segment written to.
    pub fn wal_segment(&self) -> Option<u64> {
        self.0.writer.lock().wal.as_ref().map(WalWriter::segment)
    }

    /// The time before which no sample is taken: blocks hold it.
    pub(crate) fn oldest_valid(&self) -> i64 {
        self.0.bounds.oldest_valid.load(Ordering::Acquire)
    }

    /// How many appenders are open.
    pub fn open_appenders(&self) -> usize {
        self.0.appenders.lock().open.values().sum()
    }

    /// Goes on in a new log segment; says its number.
    pub(crate) fn cut_log(&self) -> Result<u64, CommitError> {
        let mut writer = self.0.writer.lock();
        match &mut writer.wal {
            Some(wal) => wal.cut().map(|()| wal.segment()),
            None => Err(CommitError::Unavailable(Arc::from("the log is not open"))),
        }
    }

    /// Fills up the log's last page and syncs it.
    pub(crate) fn close_log(&self) -> Result<(), CommitError> {
        match self.0.writer.lock().wal.take() {
            Some(mut wal) => wal.close(),
            None => Ok(()),
        }
    }

    /// The ten (`limit`) label names, metric names, … that stand out: what `status/tsdb` shows.
    pub fn cardinality(&self, limit: usize) -> Cardinality {
        let index = self.0.index.read();
        let mut names: Vec<(String, u64)> = Vec::new();
        let mut bytes: Vec<(String, u64)> = Vec::new();
        let mut pairs: Vec<(String, u64)> = Vec::new();
        let mut metrics: Vec<(String, u64)> = Vec::new();
        for name in index.label_names() {
            names.push((name.to_owned(), index.value_count(name) as u64));
            let mut held = 0;
            for (value, series) in index.label_values(name) {
                held += value.len() as u64;
                pairs.push((format!("{name}={value}"), series as u64));
                if name == model::labels::METRIC_NAME {
                    metrics.push((value.to_owned(), series as u64));
                }
            }
            bytes.push((name.to_owned(), held));
            keep_largest(&mut pairs, limit.max(1) * 4);
        }
        let pair_count = index.label_names().map(|name| index.value_count(name) as u64).sum();
        for list in [&mut names, &mut bytes, &mut pairs, &mut metrics] {
            keep_largest(list, limit);
        }
        Cardinality {
            label_pairs: pair_count,
            values_by_label: names,
            bytes_by_label: bytes,
            series_by_pair: pairs,
            series_by_metric: metrics,
        }
    }

    /// Refuses further samples; queries go on.
    pub(crate) fn refuse(&self, reason: &str) {
        *self.0.refusing.write() = Some(Arc::from(reason));
    }
}

fn keep_largest(list: &mut Vec<(String, u64)>, limit: usize) {
    list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    list.truncate(limit);
}

/// What stands out in the head's labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Different label pairs in all.
    pub label_pairs: u64,
    /// Label names with the most values.
    pub values_by_label: Vec<(String, u64)>,
    /// Label names whose values take the most bytes.
    pub bytes_by_label: Vec<(String, u64)>,
    /// Pairs (`name=value`) with the most series.
    pub series_by_pair: Vec<(String, u64)>,
    /// Metric names with the most series.
    pub series_by_metric: Vec<(String, u64)>,
}

/// A ref for the series that has `slot` in its `generation`.
fn make_ref(slot: u32, generation: u32) -> SeriesRef {
    SeriesRef(u64::from(generation) << 32 | u64::from(slot))
}

/// Slot and generation of a ref that is not provisional.
#[inline]
fn split_ref(series: SeriesRef) -> (u32, u32) {
    (series.0 as u32, (series.0 >> 32) as u32)
}
