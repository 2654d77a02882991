//! What a block cut reads: every series with its chunks of one range, in label order, a few at a time.
//!
//! The range lies half a block range or more behind the newest sample, so no commit changes it: the data lock is taken for
//! 64 series at a time and never for long.

use super::Head;
use super::index::Known;
use crate::block::{BlockError, Interval, Symbols};
use bytes::Bytes;
use chunk::{Encoding, OpenXor};
use model::{Labels, TimeRange, Timestamp};
use std::sync::Arc;
use storage::{ChunkPiece, QueryContext};

/// Series are read in groups of this size under one lock.
const GROUP: usize = 64;

/// One series of the head with its chunks.
pub type HeadSeries = (Labels, Vec<ChunkPiece>);

/// Reads the head's samples of one range.
pub struct HeadChunks {
    head: Head,
    known: std::vec::IntoIter<Known>,
    range: TimeRange,
    ready: std::vec::IntoIter<HeadSeries>,
}

impl Head {
    /// All samples of `range`, cut to it, deleted ones left out.
    pub fn chunks_within(&self, range: TimeRange) -> HeadChunks {
        let index = self.0.index.read();
        let mut known = index.matching(&[], &QueryContext::default()).unwrap_or_default();
        drop(index);
        known.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        HeadChunks { head: self.clone(), known: known.into_iter(), range, ready: Vec::new().into_iter() }
    }
}

impl HeadChunks {
    /// The names and values of all series that may come.
    ///
    /// # Errors
    /// Too many of them for a block.
    pub fn symbols(&self) -> Result<Symbols, BlockError> {
        Symbols::collect(self.known.as_slice().iter().map(|known| &known.labels))
    }

    fn refill(&mut self) -> bool {
        let data = self.head.0.data.read();
        let mut group = Vec::with_capacity(GROUP);
        for known in self.known.by_ref() {
            let Some(row) = data.rows.get(known.slot).filter(|row| row.generation == known.generation) else {
                continue;
            };
            let deleted = data.deleted.get(&known.slot).map_or(&[][..], Vec::as_slice);
            let mut pieces = Vec::new();
            for chunk in &row.sealed {
                let bytes = || Bytes::from_owner(Arc::clone(&chunk.bytes));
                pieces.extend(cut(self.range, deleted, (chunk.first, chunk.last), bytes));
            }
            if let (Some(span), Some(open)) = (row.open_span(), &row.open) {
                pieces.extend(cut(self.range, deleted, span, || Bytes::copy_from_slice(open.bytes())));
            }
            if !pieces.is_empty() {
                group.push((known.labels, pieces));
            }
            if group.len() == GROUP {
                break;
            }
        }
        drop(data);
        self.ready = group.into_iter();
        self.ready.len() > 0
    }
}

/// A chunk as far as it lies in the range and is not deleted.
fn cut(
    range: TimeRange,
    deleted: &[Interval],
    (first, last): (i64, i64),
    bytes: impl FnOnce() -> Bytes,
) -> Option<ChunkPiece> {
    if first >= range.end.0 || last < range.start.0 {
        return None;
    }
    let piece = ChunkPiece { encoding: Encoding::Xor, first: Timestamp(first), last: Timestamp(last), bytes: bytes() };
    let inside = range.start.0 <= first && last < range.end.0;
    if inside && !deleted.iter().any(|i| i.first <= last && first <= i.last) {
        return Some(piece);
    }
    recoded(&piece, |at| range.contains(Timestamp(at)) && !deleted.iter().any(|i| i.contains(at)))
}

/// The samples of a chunk that are wanted, as a chunk; `None` when there is none.
fn recoded(piece: &ChunkPiece, wanted: impl Fn(i64) -> bool) -> Option<ChunkPiece> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    chunk::decode_into(piece.encoding, &piece.bytes, &mut times, &mut values).expect("chunks in memory are whole");
    let mut open = OpenXor::new();
    let (mut first, mut last) = (None, 0);
    for (at, value) in times.into_iter().zip(values).filter(|(at, _)| wanted(*at)) {
        open.append(at, value).expect("no more samples than the chunk had");
        first.get_or_insert(at);
        last = at;
    }
    let bytes = Bytes::from(open.into_bytes());
    first.map(|first| ChunkPiece { encoding: piece.encoding, first: Timestamp(first), last: Timestamp(last), bytes })
}

impl Iterator for HeadChunks {
    type Item = HeadSeries;

    fn next(&mut self) -> Option<HeadSeries> {
        loop {
            if let Some(series) = self.ready.next() {
                return Some(series);
            }
            if !self.refill() {
                return None;
            }
        }
    }
}
