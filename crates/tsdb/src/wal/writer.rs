//! Writing the log: one `write` a commit, behind the last one, in the newest segment.
//!
//! Invariants
//! - a failed commit leaves the segment as it was (cut back to the old end), or the log is poisoned: then its end is unknown
//!   and nothing is appended again in this process;
//! - a segment is made, and its name durable, before its first record;
//! - all records of a commit stand in one segment;
//! - a segment is durable before the next one begins, so that what a power loss takes is always the end of the log.

use super::flush::Flusher;
use super::frame::{Framer, framed_bound};
use super::segment::segment_path;
use super::{PAGE, WalError};
use runtime::disk::{DiskError, DiskFile, OpenMode, SharedDisk, parent_of};
use runtime::ticket::Ticket;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::{CommitError, Durability};

/// How the log is written.
#[derive(Clone, Copy, Debug)]
pub struct WalOptions {
    /// Size of a segment.
    pub segment_bytes: u64,
    /// Whether records are compressed with snappy.
    pub compress: bool,
}

/// The log's only writer.
pub struct WalWriter {
    disk: SharedDisk,
    dir: PathBuf,
    options: WalOptions,
    framer: Framer,
    out: Vec<u8>,
    segment: u64,
    file: Arc<dyn DiskFile>,
    len: u64,
    writes: u64,
    bytes: u64,
    flusher: Arc<Flusher>,
}

impl WalWriter {
    /// Opens the log for writing in a new segment numbered `segment`; the directory is made if missing.
    ///
    /// # Errors
    /// [`WalError::Disk`].
    pub fn open(
        disk: SharedDisk,
        dir: &Path,
        segment: u64,
        options: WalOptions,
        flusher: Arc<Flusher>,
    ) -> Result<Self, WalError> {
        disk.create_dir_all(dir)?;
        disk.sync_dir(parent_of(dir))?;
        let file = create_segment(&disk, dir, segment)?;
        Ok(WalWriter {
            disk,
            dir: dir.to_owned(),
            options,
            framer: Framer::new(options.compress),
            out: Vec::new(),
            segment,
            file,
            len: 0,
            writes: 0,
            bytes: 0,
            flusher,
        })
    }

    /// Number of the segment written to.
    pub fn segment(&self) -> u64 {
        self.segment
    }

    /// Bytes written since the start.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that compression saved since the start.
    pub fn saved(&self) -> u64 {
        self.framer.saved
    }

    /// Writes the records of one commit.
    ///
    /// # Errors
    /// [`CommitError::Unavailable`] when the disk is full: nothing was written, the next commit may try again.
    /// [`CommitError::Poisoned`] after any other failure.
    pub fn write(&mut self, records: &[&[u8]], durability: Durability) -> Result<Ticket, CommitError> {
        if let Some(reason) = self.flusher.failed() {
            return Err(CommitError::Poisoned(reason));
        }
        let bytes = records.iter().map(|record| record.len()).sum();
        if self.len > 0 && self.len + framed_bound(bytes, records.len()) > self.options.segment_bytes {
            self.cut()?;
        }
        self.out.clear();
        for record in records {
            self.framer.frame(record, self.len, &mut self.out);
        }
        if let Err(error) = self.file.write_at(&self.out, self.len) {
            return Err(self.undo(error));
        }
        self.len += self.out.len() as u64;
        self.bytes += self.out.len() as u64;
        self.writes += 1;
        if self.out.capacity() > OUT_KEPT_MAX {
            self.out = Vec::new();
        }
        Ok(self.flusher.wrote(self.writes, &self.file, durability))
    }

    /// Goes on in a new segment.
    ///
    /// # Errors
    /// As [`WalWriter::write`].
    pub fn cut(&mut self) -> Result<(), CommitError> {
        let padding = (PAGE - self.len as usize % PAGE) % PAGE;
        if padding > 0
            && let Err(error) = self.file.write_at(&vec![0; padding], self.len)
        {
            return Err(self.undo(error));
        }
        // Else a power loss might keep the new segment and lose the end of this one: a hole that nothing shows.
        if self.len > 0 {
            self.flusher.wrote(self.writes, &self.file, Durability::Os);
            self.flusher.sync().map_err(CommitError::Poisoned)?;
        }
        self.file = create_segment(&self.disk, &self.dir, self.segment + 1).map_err(|error| self.refused(&error))?;
        self.segment += 1;
        self.len = 0;
        Ok(())
    }

    /// Fills up the last page and syncs: what a clean stop leaves.
    ///
    /// # Errors
    /// As [`WalWriter::write`].
    pub fn close(&mut self) -> Result<(), CommitError> {
        let padding = (PAGE - self.len as usize % PAGE) % PAGE;
        // A page that can not be filled up reads as if it were: not worth an error.
        if padding > 0 && self.flusher.failed().is_none() && self.file.write_at(&vec![0; padding], self.len).is_ok() {
            self.flusher.wrote(self.writes, &self.file, Durability::Os);
        }
        self.flusher.sync().map_err(CommitError::Poisoned)
    }

    /// A write failed: cut off what may have been written of it. Only a full disk can be got over.
    fn undo(&self, error: DiskError) -> CommitError {
        if error.is_no_space() && self.file.set_len(self.len).is_ok() {
            return CommitError::Unavailable(Arc::from(error.to_string()));
        }
        tracing::error!(%error, "the write-ahead log could not be written: no samples are taken until a restart");
        CommitError::Poisoned(self.flusher.poison(&error.to_string()))
    }

    /// A segment could not be made. Without a sync in play nothing is lost: the next commit tries again.
    fn refused(&self, error: &DiskError) -> CommitError {
        match error.op() {
            runtime::disk::DiskOp::SyncDir => CommitError::Poisoned(self.flusher.poison(&error.to_string())),
            _ => CommitError::Unavailable(Arc::from(error.to_string())),
        }
    }
}

/// A commit's frames are built in a buffer that is kept up to this size.
const OUT_KEPT_MAX: usize = 4 << 20;

/// Makes a segment. One left behind empty by an attempt that failed half-way is taken over.
fn create_segment(disk: &SharedDisk, dir: &Path, number: u64) -> Result<Arc<dyn DiskFile>, DiskError> {
    let file = disk.open(&segment_path(dir, number), OpenMode::Create)?;
    disk.sync_dir(dir)?;
    Ok(Arc::from(file))
}
