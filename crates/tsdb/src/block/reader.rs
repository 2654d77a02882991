//! An open block: its files mapped, verified as far as one look at opening allows.
//!
//! Opening reads `meta.json`, `tombstones`, the index' TOC, symbols and postings table, and the headers of the chunk files, and
//! fails on damage there; damage in a series entry, a postings list or a chunk fails the query that meets it.

use super::error::{BlockError, Damage};
use super::index::{INDEX_FILE, IndexReader, SeriesEntry};
use super::meta::BlockMeta;
use super::segment::{CHUNKS_DIR, Segments};
use super::tombstones::{Interval, TOMBSTONES_FILE, Tombstones};
use bytes::Bytes;
use model::{Labels, TimeRange, Timestamp};
use runtime::disk::Disk;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::ChunkPiece;

/// An open block; clones share it. Removing its directory does not disturb readers.
#[derive(Clone, Debug)]
pub struct Block(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) dir: PathBuf,
    pub(super) meta: BlockMeta,
    pub(super) index: IndexReader,
    segments: Segments,
    pub(super) tombstones: Tombstones,
    size: u64,
}

/// One series of a block with its chunks, tombstones not applied.
#[derive(Clone, Debug)]
pub struct BlockSeries {
    /// Its number within the block.
    pub id: u32,
    /// What names it.
    pub labels: Labels,
    /// Its chunks, in time order.
    pub chunks: Vec<ChunkPiece>,
}

impl Block {
    /// Opens the block in `dir`.
    ///
    /// # Errors
    /// [`BlockError::Meta`] when the directory is no block (skip it), [`BlockError::Corrupt`] when it is a damaged one.
    pub fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, BlockError> {
        let meta = BlockMeta::load(disk, dir)?;
        let segments = Segments::open(disk, &dir.join(CHUNKS_DIR))?;
        let path = dir.join(INDEX_FILE);
        let index = IndexReader::open(Bytes::from_owner(disk.map(&path)?)).map_err(|damage| damage.in_file(&path))?;
        let tombstones = Tombstones::load(disk, dir)?;
        let mut size = segments.len() + index.len();
        for name in [super::meta::META_FILE, TOMBSTONES_FILE] {
            size += disk.metadata(&dir.join(name)).map_or(0, |file| file.len);
        }
        Ok(Block(Arc::new(Inner { dir: dir.to_owned(), meta, index, segments, tombstones, size })))
    }

    /// What it says about itself.
    pub fn meta(&self) -> &BlockMeta {
        &self.0.meta
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Bytes on disk: what retention by size counts.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// What was deleted in it.
    pub fn tombstones(&self) -> &Tombstones {
        &self.0.tombstones
    }

    /// How many different names and values its labels have.
    pub fn symbol_count(&self) -> usize {
        self.0.index.symbol_count()
    }

    /// Its symbols, ascending.
    pub fn symbols(&self) -> impl Iterator<Item = Result<&str, BlockError>> {
        (0..self.symbol_count() as u32).map(|number| self.0.index.symbol(number).map_err(|d| self.0.in_index(d)))
    }

    /// All its series in label order, every chunk verified, tombstones not applied.
    pub fn all_series(&self) -> impl Iterator<Item = Result<BlockSeries, BlockError>> + use<> {
        let block = self.clone();
        let mut entry = SeriesEntry::default();
        let (ids, failed) = match self.0.index.all_series_held() {
            Ok(ids) => (ids, None),
            Err(damage) => (Bytes::new(), Some(Err(self.0.in_index(damage)))),
        };
        let series = (0..ids.len() / 4).map(move |at| {
            let mut id = [0; 4];
            id.copy_from_slice(&ids[at * 4..at * 4 + 4]);
            block.0.series(u32::from_be_bytes(id), &mut entry)
        });
        failed.into_iter().chain(series)
    }
}

impl Inner {
    pub(super) fn all_ids(&self) -> Result<Vec<u32>, Damage> {
        Ok(self.index.all_series()?.map(|ids| ids.iter().collect()).unwrap_or_default())
    }

    fn series(&self, id: u32, entry: &mut SeriesEntry) -> Result<BlockSeries, BlockError> {
        self.index.series(id, entry).map_err(|damage| self.in_index(damage))?;
        let labels = self.index.labels(entry).map_err(|damage| self.in_index(damage))?;
        let chunks = entry.chunks.iter().map(|meta| self.chunk(meta).map_err(|damage| self.in_chunks(damage)));
        Ok(BlockSeries { id, labels, chunks: chunks.collect::<Result<_, _>>()? })
    }

    /// Reads a chunk and verifies it.
    pub(super) fn chunk(&self, meta: &super::index::ChunkMeta) -> Result<ChunkPiece, Damage> {
        let (encoding, bytes) = self.segments.chunk(meta.reference)?;
        Ok(ChunkPiece { encoding, first: Timestamp(meta.first), last: Timestamp(meta.last), bytes })
    }

    pub(super) fn in_index(&self, damage: Damage) -> BlockError {
        damage.in_file(&self.dir.join(INDEX_FILE))
    }

    pub(super) fn in_chunks(&self, damage: Damage) -> BlockError {
        damage.in_file(&self.dir.join(CHUNKS_DIR))
    }

    /// The intervals deleted from a series that touch `range`.
    pub(super) fn deleted(&self, id: u32, range: TimeRange) -> Vec<Interval> {
        let of = self.tombstones.of(u64::from(id));
        of.iter().filter(|i| i.first < range.end.0 && i.last >= range.start.0).copied().collect()
    }
}
