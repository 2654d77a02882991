//! Writing a block: series in label order, each with its encoded chunks, then all of it at once becomes visible.
//!
//! Whoever writes needs the symbols first: [`Symbols::collect`] over the label sets (the head), or the merged tables of the
//! parents (compaction). Memory: see [`super::index`]; chunks pass through.
//! Cost (bench `block`, one core): 3.9 µs a series of ten labels and two chunks; merging three such blocks 10 µs a series.
//! A crash at any point leaves either no block or the whole block; what is left of an attempt ends in [`super::CREATING`] and is
//! removed by [`super::remove_leftovers`].

use super::error::BlockError;
use super::file_writer::FileWriter;
use super::index::writer::HELD_MAX;
use super::index::{ChunkMeta, INDEX_FILE, IndexWriter, Symbols};
use super::meta::{BlockMeta, BlockStats, META_FILE};
use super::segment::{CHUNKS_DIR, SEGMENT_SIZE, SegmentWriter};
use super::tombstones::{TOMBSTONES_FILE, Tombstones};
use super::{CREATING, delete_block};
use model::Labels;
use runtime::disk::SharedDisk;
use std::path::{Path, PathBuf};
use storage::ChunkPiece;
use ulid::Ulid;

/// Sizes that tests make small.
#[derive(Clone, Copy, Debug)]
pub struct BlockWriterOptions {
    /// Bytes of a chunk file, 512 MiB by default.
    pub segment_size: u64,
    /// Postings of eight bytes held in memory before the index is read back, 8 Mi by default.
    pub postings_held_max: usize,
}

impl Default for BlockWriterOptions {
    fn default() -> Self {
        BlockWriterOptions { segment_size: SEGMENT_SIZE, postings_held_max: HELD_MAX }
    }
}

/// A block being written. Dropped without [`BlockWriter::publish`] it leaves a directory that counts for nothing;
/// [`BlockWriter::abandon`] removes it at once, and so does a `publish` that fails.
pub struct BlockWriter {
    disk: SharedDisk,
    data_dir: PathBuf,
    dir: PathBuf,
    ulid: Ulid,
    index: IndexWriter,
    segments: SegmentWriter,
    stats: BlockStats,
    references: Vec<u64>,
    metas: Vec<ChunkMeta>,
}

impl BlockWriter {
    /// Begins the directory of block `ulid` within `data_dir`.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(
        disk: &SharedDisk,
        data_dir: &Path,
        ulid: Ulid,
        symbols: Symbols,
        options: BlockWriterOptions,
    ) -> Result<Self, BlockError> {
        let dir = data_dir.join(format!("{ulid}{CREATING}"));
        if disk.exists(&dir)? {
            disk.remove_dir_all(&dir)?;
        }
        let made = Self::begin(disk, &dir, symbols, options);
        let (segments, index) = made.inspect_err(|_| {
            let _ = disk.remove_dir_all(&dir); // the first error is the one to tell
        })?;
        Ok(BlockWriter {
            disk: disk.clone(),
            data_dir: data_dir.to_owned(),
            dir,
            ulid,
            index,
            segments,
            stats: BlockStats::default(),
            references: Vec::new(),
            metas: Vec::new(),
        })
    }

    fn begin(
        disk: &SharedDisk,
        dir: &Path,
        symbols: Symbols,
        options: BlockWriterOptions,
    ) -> Result<(SegmentWriter, IndexWriter), BlockError> {
        disk.create_dir_all(dir)?;
        let segments = SegmentWriter::create(disk.clone(), dir.join(CHUNKS_DIR), options.segment_size)?;
        let index = IndexWriter::create(&**disk, &dir.join(INDEX_FILE), symbols, options.postings_held_max)?;
        Ok((segments, index))
    }

    /// Writes the next series. Its chunks ascend in time; a series without chunks is left out.
    ///
    /// # Errors
    /// [`BlockError::Misuse`] for a series out of order or a label that is not among the symbols; the disk's.
    pub fn add(&mut self, labels: &Labels, chunks: &[ChunkPiece]) -> Result<(), BlockError> {
        if chunks.is_empty() {
            return Ok(());
        }
        self.references.clear();
        self.segments.write(chunks, &mut self.references)?;
        self.metas.clear();
        for (chunk, reference) in chunks.iter().zip(&self.references) {
            self.metas.push(ChunkMeta { first: chunk.first.0, last: chunk.last.0, reference: *reference });
            let samples = chunk
                .encoding
                .sample_count(&chunk.bytes)
                .map_err(|source| BlockError::Chunk { series: labels.to_string(), source })?;
            self.stats.num_samples += u64::from(samples);
            if chunk.encoding.is_float() {
                self.stats.num_float_samples += u64::from(samples);
            } else {
                self.stats.num_histogram_samples += u64::from(samples);
            }
        }
        self.index.add(labels, &self.metas)?;
        self.stats.num_chunks += chunks.len() as u64;
        self.stats.num_series += 1;
        Ok(())
    }

    /// What was written so far.
    pub fn stats(&self) -> BlockStats {
        self.stats
    }

    /// Makes everything durable, then visible under its own name. `meta` says range and origin; its ULID and counts are
    /// filled in. A block without samples is not made: `None`.
    ///
    /// # Errors
    /// The disk's. What was written is removed then, as far as the disk lets us; so is a block whose name could not be made
    /// durable, because nobody may let go of samples for it.
    pub fn publish(self, mut meta: BlockMeta) -> Result<Option<(BlockMeta, PathBuf)>, BlockError> {
        if self.stats.num_samples == 0 {
            self.abandon()?;
            return Ok(None);
        }
        meta.ulid = self.ulid;
        meta.stats = self.stats;
        let (disk, data_dir, dir) = (self.disk.clone(), self.data_dir.clone(), self.dir.clone());
        let published = data_dir.join(self.ulid.to_string());
        let written = self.write_out(&meta).and_then(|()| Ok(disk.rename(&dir, &published)?));
        if let Err(error) = written {
            let _ = disk.remove_dir_all(&dir); // the first error is the one to tell
            return Err(error);
        }
        if let Err(error) = disk.sync_dir(&data_dir) {
            let _ = delete_block(&*disk, &published);
            return Err(error.into());
        }
        Ok(Some((meta, published)))
    }

    /// Writes what is still to be written and makes the whole directory durable.
    fn write_out(self, meta: &BlockMeta) -> Result<(), BlockError> {
        self.segments.finish()?;
        self.index.finish()?;
        for (name, content) in [(TOMBSTONES_FILE, Tombstones::default().encode()), (META_FILE, meta.encode())] {
            let mut file = FileWriter::create(&*self.disk, &self.dir.join(name))?;
            file.write(&content)?;
            file.finish()?;
        }
        Ok(self.disk.sync_dir(&self.dir)?)
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// The disk's; the leftover is removed at the next start.
    pub fn abandon(self) -> Result<(), BlockError> {
        Ok(self.disk.remove_dir_all(&self.dir)?)
    }
}

/// Writes a block from series in label order and publishes it; `None` when there is no sample.
///
/// `symbols` must hold every name and value of the series; more does not harm.
///
/// # Errors
/// The first of the series' own or of the writer's; what was written is removed as far as the disk lets us.
pub fn write_block(
    disk: &SharedDisk,
    data_dir: &Path,
    meta: BlockMeta,
    symbols: Symbols,
    series: impl IntoIterator<Item = Result<(Labels, Vec<ChunkPiece>), BlockError>>,
) -> Result<Option<(BlockMeta, PathBuf)>, BlockError> {
    let mut writer = BlockWriter::create(disk, data_dir, meta.ulid, symbols, BlockWriterOptions::default())?;
    for item in series {
        let added = item.and_then(|(labels, chunks)| writer.add(&labels, &chunks));
        if let Err(error) = added {
            let _ = writer.abandon(); // the first error is the one to tell
            return Err(error);
        }
    }
    writer.publish(meta)
}
