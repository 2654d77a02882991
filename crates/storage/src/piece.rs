//! A piece: some samples of one series, as a selection hands them over.
//!
//! Either an encoded chunk as it lies on disk (nobody decodes what nobody looks at; the global store ships it unopened),
//! or raw columns (the open head, a merge of overlaps). The consumer decodes chunks with crate `chunk`.
//!
//! Invariants: samples ascend strictly in time; `first`/`last` are those of the piece's own first and last sample; a piece
//! may reach beyond the range asked for (a chunk is not cut): **the consumer clips**.

use bytes::Bytes;
use model::{FloatHistogram, TimeRange, Timestamp};
use std::sync::Arc;

/// Some samples of one series.
#[derive(Clone, Debug)]
pub enum Piece {
    /// An encoded chunk.
    Chunk(ChunkPiece),
    /// Decoded float samples.
    Columns(ColumnsPiece),
    /// Decoded native histograms.
    Histograms(HistogramsPiece),
}

/// An encoded chunk, without length and checksum (verified by the store that hands it over).
#[derive(Clone, Debug)]
pub struct ChunkPiece {
    /// How `bytes` are encoded.
    pub encoding: chunk::Encoding,
    /// Its first sample's time.
    pub first: Timestamp,
    /// Its last sample's time.
    pub last: Timestamp,
    /// The chunk's data; shares the map it lies in.
    pub bytes: Bytes,
}

/// Float samples as columns of equal length.
#[derive(Clone, Debug)]
pub struct ColumnsPiece {
    /// Milliseconds since the epoch, ascending strictly; never empty.
    pub times: Arc<[i64]>,
    /// The values, staleness markers included.
    pub values: Arc<[f64]>,
    /// When each counter began (0 = not known), where the store keeps it.
    pub starts: Option<Arc<[i64]>>,
}

/// Native histograms with their times.
#[derive(Clone, Debug)]
pub struct HistogramsPiece {
    /// Ascending strictly; never empty.
    pub samples: Arc<[(Timestamp, FloatHistogram)]>,
}

impl Piece {
    /// Time of the first sample.
    pub fn first(&self) -> Timestamp {
        match self {
            Piece::Chunk(piece) => piece.first,
            Piece::Columns(piece) => Timestamp(piece.times[0]),
            Piece::Histograms(piece) => piece.samples[0].0,
        }
    }

    /// Time of the last sample.
    pub fn last(&self) -> Timestamp {
        match self {
            Piece::Chunk(piece) => piece.last,
            Piece::Columns(piece) => Timestamp(piece.times[piece.times.len() - 1]),
            Piece::Histograms(piece) => piece.samples[piece.samples.len() - 1].0,
        }
    }

    /// From the first sample to just behind the last.
    pub fn range(&self) -> TimeRange {
        TimeRange::closed(self.first(), self.last())
    }
}
