//! Truncation: what went into a block leaves the head, and series without samples leave the index.
//!
//! Everything happens under the writer's and the data's lock: commits and new selections wait, for
//! one look at every series and, when some are dead, one copy of every posting list.
//! Selections under way keep what they took. A series that is collected while an appender is open keeps its labels in the
//! graveyard until no appender can name it any more; such a commit makes the series anew.

use super::Head;
use crate::wal::writer::WalWriter;
use std::sync::atomic::Ordering;

/// What a truncation removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truncated {
    /// Series without samples left.
    pub series: u64,
    /// Chunks.
    pub chunks: u64,
}

impl Head {
    /// Drops the samples before `oldest`, chunk by chunk; none is taken before it any more.
    pub(crate) fn truncate(&self, oldest: i64) -> Truncated {
        let inner = &*self.0;
        let mut writer = inner.writer.lock();
        let mut data = inner.data.write();
        let (mut chunks, mut min) = (0, i64::MAX);
        let mut dead = Vec::new();
        for (slot, row) in data.rows.iter_mut() {
            if row.open.is_none() {
                continue; // a free slot: a series in use always has an open chunk
            }
            chunks += row.truncate(oldest);
            match (row.first(), row.open.is_some()) {
                (Some(first), true) => min = min.min(first),
                _ => dead.push(slot),
            }
        }
        inner.bounds.oldest_valid.fetch_max(oldest, Ordering::AcqRel);
        inner.bounds.min.store(min, Ordering::Release);
        inner.chunks.fetch_sub(chunks, Ordering::Relaxed);
        inner.instruments.chunks_removed.inc_by(chunks);
        data.deleted.retain(|_, intervals| {
            intervals.retain(|interval| interval.last >= oldest);
            !intervals.is_empty()
        });
        if !dead.is_empty() {
            let segment = writer.wal.as_ref().map_or(0, WalWriter::segment);
            let gone = inner.index.write().collect(&dead);
            let mut appenders = inner.appenders.lock();
            let collections = appenders.collections;
            appenders.collections += 1;
            let (none_open, older_open) =
                (appenders.open.is_empty(), appenders.open.keys().any(|began| *began < collections));
            drop(appenders);
            if !older_open {
                // what former collections kept can not be named by anybody any more
                writer.graveyard.clear();
            }
            for (slot, labels) in gone {
                data.deleted.remove(&slot);
                if let Some(row) = data.rows.get_mut(slot) {
                    row.sealed = Vec::new();
                }
                let Some(tail) = writer.tails.get_mut(slot) else { continue };
                tail.alive = false;
                let (wal_ref, old) = (tail.wal_ref, super::make_ref(slot, tail.generation));
                if !none_open {
                    writer.graveyard.insert(old.0, labels);
                }
                writer.expiries.insert(wal_ref, segment);
                writer.free.push(slot);
            }
            // the lowest free slot is handed out first: births then come in ascending order
            writer.free.sort_unstable_by(|a, b| b.cmp(a));
        }
        let series = dead.len() as u64;
        inner.instruments.series_removed.inc_by(series);
        Truncated { series, chunks }
    }

    /// The log numbers a checkpoint of everything up to `last_segment` must keep: series alive, and series gone whose samples
    /// stand in later segments.
    pub(crate) fn log_numbers_kept(&self, last_segment: u64) -> KeptNumbers {
        let mut writer = self.0.writer.lock();
        writer.expiries.retain(|_, segment| *segment > last_segment);
        let expiring = writer.expiries.keys().copied();
        let mut numbers: Vec<u64> = expiring.collect();
        numbers.extend(writer.tails.iter_mut().filter(|(_, tail)| tail.alive).map(|(_, tail)| tail.wal_ref));
        numbers.sort_unstable();
        KeptNumbers(numbers)
    }
}

/// Log numbers of series, ascending.
pub(crate) struct KeptNumbers(Vec<u64>);

impl KeptNumbers {
    pub(crate) fn has(&self, number: u64) -> bool {
        self.0.binary_search(&number).is_ok()
    }
}
