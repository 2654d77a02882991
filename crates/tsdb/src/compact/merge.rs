//! Merging the series of several blocks.
//!
//! Chunks are copied unopened where they can be: they overlap no other chunk of their series and nothing in them was
//! deleted. Copies of one chunk in several blocks count once. The rest is decoded, merged by time and encoded anew in chunks of
//! [`SAMPLES_PER_CHUNK`].

use crate::block::{Block, BlockError, BlockSeries, Interval};
use bytes::Bytes;
use chunk::{ChunkError, Encoding, OpenXor};
use model::{Labels, Timestamp};
use std::collections::BTreeMap;
use std::iter::Peekable;
use storage::ChunkPiece;

/// Samples of a chunk that is encoded anew, as in Prometheus.
const SAMPLES_PER_CHUNK: u16 = 120;

type Series = (Labels, Vec<ChunkPiece>);
type Source = Peekable<Box<dyn Iterator<Item = Result<BlockSeries, BlockError>>>>;

/// The series of all blocks in label order, without what was deleted. Series of which nothing is left are passed over.
pub(super) struct Merge {
    sources: Vec<(Block, Source)>,
}

impl Merge {
    pub(super) fn new(blocks: &[Block]) -> Self {
        let source = |block: &Block| {
            let series: Box<dyn Iterator<Item = _>> = Box::new(block.all_series());
            (block.clone(), series.peekable())
        };
        Merge { sources: blocks.iter().map(source).collect() }
    }

    fn next_series(&mut self) -> Result<Option<Series>, BlockError> {
        let mut least: Option<Labels> = None;
        for (_, source) in &mut self.sources {
            if let Some(Err(error)) = source.next_if(Result::is_err) {
                return Err(error);
            }
            if let Some(Ok(series)) = source.peek()
                && least.as_ref().is_none_or(|least| series.labels < *least)
            {
                least = Some(series.labels.clone());
            }
        }
        let Some(labels) = least else { return Ok(None) };
        let failed = |source| BlockError::Chunk { series: labels.to_string(), source };
        let mut chunks = Vec::new();
        for (block, source) in &mut self.sources {
            let same = source.next_if(|series| series.as_ref().is_ok_and(|series| series.labels == labels));
            let Some(series) = same.transpose()? else { continue };
            let deleted = block.tombstones().of(u64::from(series.id));
            for chunk in series.chunks {
                chunks.extend(without_deleted(chunk, deleted).map_err(failed)?);
            }
        }
        let merged = merge_chunks(chunks).map_err(failed)?;
        Ok(Some((labels, merged)))
    }
}

impl Iterator for Merge {
    type Item = Result<Series, BlockError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_series() {
                Ok(Some((_, chunks))) if chunks.is_empty() => {}
                Ok(found) => return found.map(Ok),
                Err(error) => {
                    self.sources.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// A chunk without its deleted samples; `None` when none is left.
fn without_deleted(chunk: ChunkPiece, deleted: &[Interval]) -> Result<Option<ChunkPiece>, ChunkError> {
    let (first, last) = (chunk.first.0, chunk.last.0);
    if deleted.iter().any(|i| i.first <= first && last <= i.last) {
        return Ok(None);
    }
    if !deleted.iter().any(|i| i.first <= last && first <= i.last) {
        return Ok(Some(chunk));
    }
    let (mut times, mut values) = (Vec::new(), Vec::new());
    chunk::decode_into(chunk.encoding, &chunk.bytes, &mut times, &mut values)?;
    let kept = times.into_iter().zip(values).filter(|(at, _)| !deleted.iter().any(|i| i.contains(*at)));
    let mut encoded = encode(kept, u16::MAX)?;
    Ok(encoded.pop()) // no more samples than before fit one chunk
}

/// Puts the chunks of one series in time order without overlap. Of two samples at one instant the one of the chunk later in
/// the list stands.
fn merge_chunks(chunks: Vec<ChunkPiece>) -> Result<Vec<ChunkPiece>, ChunkError> {
    if chunks.windows(2).all(|pair| pair[0].last < pair[1].first) {
        return Ok(chunks);
    }
    let mut ranked: Vec<(usize, ChunkPiece)> = chunks.into_iter().enumerate().collect();
    ranked.sort_by_key(|(rank, chunk)| (chunk.first, chunk.last, *rank));
    ranked.dedup_by(|(_, next), (_, chunk)| {
        next.first == chunk.first
            && next.last == chunk.last
            && next.encoding == chunk.encoding
            && next.bytes == chunk.bytes
    });
    let mut merged = Vec::with_capacity(ranked.len());
    let mut cluster: Vec<(usize, ChunkPiece)> = Vec::new();
    let mut reach = Timestamp::MIN;
    for (rank, chunk) in ranked {
        if !cluster.is_empty() && chunk.first > reach {
            close(&mut cluster, &mut merged)?;
        }
        reach = if cluster.is_empty() { chunk.last } else { reach.max(chunk.last) };
        cluster.push((rank, chunk));
    }
    close(&mut cluster, &mut merged)?;
    Ok(merged)
}

fn close(cluster: &mut Vec<(usize, ChunkPiece)>, merged: &mut Vec<ChunkPiece>) -> Result<(), ChunkError> {
    if cluster.len() < 2 {
        merged.extend(cluster.drain(..).map(|(_, chunk)| chunk));
        return Ok(());
    }
    cluster.sort_by_key(|(rank, _)| *rank);
    let mut samples = BTreeMap::new();
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for (_, chunk) in cluster.drain(..) {
        times.clear();
        values.clear();
        chunk::decode_into(chunk.encoding, &chunk.bytes, &mut times, &mut values)?;
        samples.extend(times.iter().copied().zip(values.iter().copied()));
    }
    merged.extend(encode(samples, SAMPLES_PER_CHUNK)?);
    Ok(())
}

fn encode(
    samples: impl IntoIterator<Item = (i64, f64)>,
    samples_per_chunk: u16,
) -> Result<Vec<ChunkPiece>, ChunkError> {
    let mut chunks = Vec::new();
    let mut open = OpenXor::new();
    let mut first = 0;
    for (at, value) in samples {
        if open.count() == samples_per_chunk {
            chunks.push(finish(std::mem::take(&mut open), first));
        }
        if open.is_empty() {
            first = at;
        }
        open.append(at, value)?;
    }
    if !open.is_empty() {
        chunks.push(finish(open, first));
    }
    Ok(chunks)
}

fn finish(open: OpenXor, first: i64) -> ChunkPiece {
    let last = Timestamp(open.last_time());
    ChunkPiece { encoding: Encoding::Xor, first: Timestamp(first), last, bytes: Bytes::from(open.into_bytes()) }
}
