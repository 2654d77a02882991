//! Selecting from the head: a snapshot, taken at once, handed out in batches.
//!
//! ```text
//! 1  index read-locked: which series match                      (regular expressions may take long: nobody waits for data)
//! 2  sorted by labels, no lock
//! 3  data read-locked once: sealed chunks by reference, open chunks copied into one arena; series born since 1 are looked
//!    at too, so that a commit is in the snapshot whole or not at all
//! ```
//!
//! Commits wait during step 3, other readers do not. Cost (bench `head`): most of a selection is the sorting of step 2.

use super::index::Known;
use super::{Data, Head, Inner};
use crate::answer::{cut, only_tenant, without_deleted};
use crate::block::Interval;
use bytes::Bytes;
use chunk::Encoding;
use model::{Labels, TimeRange, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::{
    Abilities, Append, ChunkPiece, LabelQuery, Piece, QueryContext, Select, SelectError, Selection, SeriesBatch,
    SeriesPieces, SeriesStream, Warnings,
};

/// One series of a snapshot; its chunks are `chunks` of the snapshot's list.
struct Taken {
    labels: Labels,
    chunks: std::ops::Range<usize>,
    deleted: Option<Vec<Interval>>,
}

enum ChunkBytes {
    Sealed(Arc<[u8]>),
    /// A part of the arena.
    Open(std::ops::Range<usize>),
}

struct TakenChunk {
    first: i64,
    last: i64,
    bytes: ChunkBytes,
}

/// What a selection saw.
#[derive(Default)]
struct Snapshot {
    series: Vec<Taken>,
    chunks: Vec<TakenChunk>,
    arena: Vec<u8>,
}

impl Select for Head {
    fn select(&self, selection: &Selection, context: &QueryContext) -> Result<Box<dyn SeriesStream>, SelectError> {
        only_tenant(selection.tenant)?;
        let mut snapshot = self.0.snapshot(selection, context)?;
        let held = snapshot.bytes();
        context.budget.take(held)?;
        let mut warnings = Warnings::default();
        let limit = selection.hints.series_max;
        if limit > 0 && snapshot.series.len() > limit {
            snapshot.series.truncate(limit);
            warnings.add(storage::CUT);
        }
        Ok(Box::new(HeadStream {
            series: snapshot.series.into_iter(),
            chunks: snapshot.chunks,
            arena: Bytes::from(snapshot.arena),
            warnings,
            context: context.clone(),
            held,
        }))
    }

    fn label_names(
        &self,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        only_tenant(query.tenant)?;
        let mut names = BTreeSet::new();
        if self.overlaps(query.range) {
            let index = self.0.index.read();
            if query.matchers.is_empty() {
                names.extend(index.label_names().map(str::to_owned));
            } else {
                for slot in index.matching_slots(&query.matchers, context)? {
                    for (name, _) in index.labels(slot) {
                        if !names.contains(name) {
                            names.insert(name.to_owned());
                        }
                    }
                }
            }
        }
        cut(&mut names, query.limit);
        Ok((names, Warnings::default()))
    }

    fn label_values(
        &self,
        name: &str,
        query: &LabelQuery,
        context: &QueryContext,
    ) -> Result<(BTreeSet<String>, Warnings), SelectError> {
        only_tenant(query.tenant)?;
        let mut values = BTreeSet::new();
        if self.overlaps(query.range) {
            let index = self.0.index.read();
            if query.matchers.is_empty() {
                values.extend(index.label_values(name).map(|(value, _)| value.to_owned()));
            } else {
                for slot in index.matching_slots(&query.matchers, context)? {
                    let value = index.labels(slot).value(name);
                    if !value.is_empty() && !values.contains(value) {
                        values.insert(value.to_owned());
                    }
                }
            }
        }
        cut(&mut values, query.limit);
        Ok((values, Warnings::default()))
    }

    fn abilities(&self) -> Abilities {
        Append::abilities(self)
    }

    fn covers(&self) -> Option<TimeRange> {
        Some(TimeRange::closed(self.min_time()?, self.max_time()?))
    }
}

impl Head {
    fn overlaps(&self, range: TimeRange) -> bool {
        self.covers().is_some_and(|covered| covered.overlaps(&range))
    }
}

impl Inner {
    fn snapshot(&self, selection: &Selection, context: &QueryContext) -> Result<Snapshot, SelectError> {
        loop {
            let index = self.index.read();
            let seen = index.seen();
            let mut known = index.matching(&selection.matchers, context)?;
            drop(index);
            known.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
            context.check()?;

            let data = self.data.read();
            let index = self.index.read();
            let Some(born) = index.born_since(seen) else { continue };
            let mut late: Vec<Known> =
                born.filter(|known| selection.matchers.iter().all(|m| m.matches_labels(&known.labels))).collect();
            drop(index);
            if !late.is_empty() {
                known.append(&mut late);
                known.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
            }
            let mut snapshot = Snapshot::default();
            for known in known {
                snapshot.take(&data, known, selection);
            }
            return Ok(snapshot);
        }
    }
}

impl Snapshot {
    /// Takes what a series has in the range; a series without any is left out.
    fn take(&mut self, data: &Data, known: Known, selection: &Selection) {
        let Some(row) = data.rows.get(known.slot).filter(|row| row.generation == known.generation) else { return };
        let range = selection.range;
        let wanted = |first: i64, last: i64| first < range.end.0 && last >= range.start.0;
        let deleted = data.deleted.get(&known.slot);
        let hidden =
            |first: i64, last: i64| deleted.is_some_and(|d| d.iter().any(|i| i.first <= first && last <= i.last));
        let begin = self.chunks.len();
        let mut any = false;
        let from = row.sealed.partition_point(|chunk| chunk.last < range.start.0);
        for chunk in &row.sealed[from..] {
            if chunk.first >= range.end.0 {
                break;
            }
            if !hidden(chunk.first, chunk.last) {
                any = true;
                if !selection.hints.labels_only {
                    let bytes = ChunkBytes::Sealed(chunk.bytes.clone());
                    self.chunks.push(TakenChunk { first: chunk.first, last: chunk.last, bytes });
                }
            }
        }
        if let Some((first, last)) = row.open_span()
            && let Some(open) = &row.open
            && wanted(first, last)
            && !hidden(first, last)
        {
            any = true;
            if !selection.hints.labels_only {
                let start = self.arena.len();
                self.arena.extend_from_slice(open.bytes());
                self.chunks.push(TakenChunk { first, last, bytes: ChunkBytes::Open(start..self.arena.len()) });
            }
        }
        if any {
            let chunks = begin..self.chunks.len();
            self.series.push(Taken { labels: known.labels, chunks, deleted: deleted.cloned() });
        }
    }

    /// What the snapshot holds of its own; sealed chunks are the head's.
    fn bytes(&self) -> u64 {
        let lists = self.series.len() * size_of::<Taken>() + self.chunks.len() * size_of::<TakenChunk>();
        (lists + self.arena.len()) as u64
    }
}

struct HeadStream {
    series: std::vec::IntoIter<Taken>,
    chunks: Vec<TakenChunk>,
    arena: Bytes,
    warnings: Warnings,
    context: QueryContext,
    held: u64,
}

impl Drop for HeadStream {
    fn drop(&mut self) {
        self.context.budget.give_back(self.held);
    }
}

impl SeriesStream for HeadStream {
    fn next(&mut self) -> Result<Option<SeriesBatch>, SelectError> {
        self.context.check()?;
        let mut batch = SeriesBatch::default();
        for taken in self.series.by_ref().take(SeriesBatch::SERIES_MAX) {
            let mut pieces = Vec::with_capacity(taken.chunks.len());
            for chunk in &self.chunks[taken.chunks] {
                let bytes = match &chunk.bytes {
                    ChunkBytes::Sealed(bytes) => Bytes::from_owner(bytes.clone()),
                    ChunkBytes::Open(range) => self.arena.slice(range.clone()),
                };
                let (first, last) = (Timestamp(chunk.first), Timestamp(chunk.last));
                let piece = ChunkPiece { encoding: Encoding::Xor, first, last, bytes };
                match &taken.deleted {
                    Some(deleted) if deleted.iter().any(|i| i.first <= chunk.last && chunk.first <= i.last) => {
                        let kept = without_deleted(&piece, deleted);
                        pieces.extend(kept.map_err(|found| {
                            SelectError::Corrupt(format!("cannot read a chunk in memory: {found}"))
                        })?);
                    }
                    _ => pieces.push(Piece::Chunk(piece)),
                }
            }
            batch.series.push(SeriesPieces { labels: taken.labels, pieces });
        }
        Ok(if batch.series.is_empty() { None } else { Some(batch) })
    }

    fn take_warnings(&mut self) -> Warnings {
        std::mem::take(&mut self.warnings)
    }
}
