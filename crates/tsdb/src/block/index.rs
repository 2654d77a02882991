//! `index`: which series a block holds, where their chunks are, and which series have which label.
//!
//! ```text
//! | BA AA D7 00 | version 2 |
//! | symbols          u32 len · u32 n · n strings ascending · CRC                                |
//! | series           16-byte aligned: uvarint len · labels as symbol pairs · chunk metas · CRC   |
//! | postings         4-byte aligned: u32 len · u32 n · n series ids u32 ascending · CRC          |  first: all series
//! | postings table   u32 len · u32 n · n × (uvarint 2 · name · value · uvarint offset) · CRC     |
//! | TOC              u64 × 6: symbols, series, label indices, label table, postings, table · CRC |
//! ```
//!
//! A series id is the offset of its entry divided by 16. The two label index sections of older versions are not written:
//! their TOC fields point at the postings and their table, as Prometheus 3.14 has it. Versions 1 (Prometheus 2.0) and others
//! are refused with that reason.
//! Limits: 64 GiB (u32 ids), 4 GiB for symbols, lists and table each.

pub(crate) mod reader;
pub(crate) mod symbols;
pub(crate) mod writer;

pub(crate) use reader::{IndexReader, Postings, SeriesEntry};
pub use symbols::Symbols;
pub(crate) use writer::IndexWriter;

pub(crate) const INDEX_FILE: &str = "index";
pub(crate) const MAGIC: u32 = 0xBAAA_D700;
pub(crate) const VERSION: u8 = 2;
pub(crate) const HEADER: u64 = 5;
pub(crate) const SERIES_ALIGN: u64 = 16;
pub(crate) const TOC_LEN: usize = 6 * 8 + 4;

/// Where and when a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkMeta {
    /// Time of the first sample.
    pub(crate) first: i64,
    /// Time of the last sample.
    pub(crate) last: i64,
    /// File and offset, see [`super::segment`].
    pub(crate) reference: u64,
}

/// The six offsets at the end of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Toc {
    pub(crate) symbols: u64,
    pub(crate) series: u64,
    pub(crate) label_indices: u64,
    pub(crate) label_table: u64,
    pub(crate) postings: u64,
    pub(crate) postings_table: u64,
}

#[cfg(test)]
mod tests;
