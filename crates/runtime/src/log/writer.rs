//! The writer thread: takes everything that waits, writes it at once, syncs once, settles the tickets.
//!
//! ```text
//! wait for frames ─► take them all ─► (roll to a new segment if they do not fit) ─► pwrite ─► fdatasync ─► advance
//!      ▲                                     │ disk full: pause, try again          │ any other error, or a failed sync
//!      └─────────────────────────────────────┘                                      └─► poison: the thread ends
//! ```

use super::segment::{self, SEGMENT_HEADER};
use super::{LogError, LogOptions, Lsn, Shared};
use crate::disk::{Disk, DiskError, DiskFile, DiskOp, OpenMode};
use std::path::Path;
use std::sync::Arc;

/// The segment being written.
#[derive(Debug)]
pub(super) struct OpenSegment {
    file: Box<dyn DiskFile>,
    /// Where the next frame goes.
    end: u64,
    /// True while no record was written: it is never left for being too small.
    empty: bool,
}

impl OpenSegment {
    /// Makes a segment whose first record will be `first`: preallocated, header synced, name synced.
    pub(super) fn create(disk: &dyn Disk, dir: &Path, options: &LogOptions, first: Lsn) -> Result<Self, DiskError> {
        let path = segment::path(dir, first);
        let made = Self::create_file(disk, &path, options, first);
        if made.is_err() {
            // half a file without records must not stay in the way of the next try
            let _ = disk.remove_file(&path);
        }
        let file = made?;
        disk.sync_dir(dir)?;
        Ok(OpenSegment { file, end: SEGMENT_HEADER as u64, empty: true })
    }

    fn create_file(
        disk: &dyn Disk,
        path: &Path,
        options: &LogOptions,
        first: Lsn,
    ) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = disk.open(path, OpenMode::Create)?;
        file.allocate(0, options.segment_bytes)?;
        file.set_len(options.segment_bytes)?;
        file.write_at(&segment::encode_header(first), 0)?;
        file.sync_all()?;
        Ok(file)
    }

    /// Opens the last segment of a log again; `torn` cuts what stands behind `end`.
    pub(super) fn resume(
        disk: &dyn Disk,
        dir: &Path,
        options: &LogOptions,
        first: Lsn,
        end: u64,
        torn: bool,
    ) -> Result<Self, DiskError> {
        let file = disk.open(&segment::path(dir, first), OpenMode::Write)?;
        if torn {
            file.set_len(end)?;
            file.sync_all()?;
        }
        if file.len()? < options.segment_bytes {
            match file.allocate(0, options.segment_bytes) {
                // a full disk must not keep what is there from being read; the writer will wait for room
                Err(error) if error.is_no_space() => {}
                other => {
                    other?;
                    file.set_len(options.segment_bytes)?;
                    file.sync_all()?;
                }
            }
        }
        Ok(OpenSegment { file, end, empty: end == SEGMENT_HEADER as u64 })
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    open: OpenSegment,
    /// First LSN of the batch being written.
    batch_first: Lsn,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, open: OpenSegment) -> Self {
        let batch_first = shared.state.lock().next;
        Writer { shared, open, batch_first }
    }

    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let behind = {
                let mut state = self.shared.state.lock();
                while state.pending.is_empty() && !state.closing {
                    self.shared.wake.wait(&mut state);
                }
                if state.pending.is_empty() {
                    return;
                }
                std::mem::swap(&mut batch, &mut state.pending);
                state.next
            };
            if let Err(error) = self.write(&batch) {
                tracing::error!(log = self.shared.options.name, %error, "nothing is taken until a restart");
                let reason: Arc<str> = Arc::from(error.to_string());
                self.shared.state.lock().poisoned = Some(Arc::clone(&reason));
                self.shared.mark.fail(&reason);
                return;
            }
            self.batch_first = behind;
            self.shared.mark.advance(behind.0 - 1);
            batch.clear();
            // a burst must not keep its megabytes for ever
            batch.shrink_to(64 << 10);
        }
    }

    fn write(&mut self, batch: &[u8]) -> Result<(), LogError> {
        loop {
            match self.try_write(batch) {
                Err(error) if self.may_retry(&error) => {
                    let mut state = self.shared.state.lock();
                    if state.full.is_none() {
                        tracing::warn!(log = self.shared.options.name, %error, "nothing is taken until there is room on the disk again");
                        state.full = Some(Arc::from(error.to_string()));
                    }
                    self.shared.wake.wait_for(&mut state, self.shared.options.full_disk_pause);
                }
                other => {
                    if self.shared.state.lock().full.take().is_some() && other.is_ok() {
                        tracing::info!(log = self.shared.options.name, "there is room on the disk again");
                    }
                    return other.map_err(LogError::from);
                }
            }
        }
    }

    /// A full disk is worth waiting for, unless the process stops or a sync has failed: then pages may be lost.
    fn may_retry(&self, error: &DiskError) -> bool {
        let synced = matches!(error.op(), DiskOp::Sync | DiskOp::SyncDir);
        error.is_no_space() && !synced && !self.shared.state.lock().closing
    }

    fn try_write(&mut self, batch: &[u8]) -> Result<(), DiskError> {
        let options = &self.shared.options;
        if !self.open.empty && self.open.end + batch.len() as u64 > options.segment_bytes {
            self.open = OpenSegment::create(&*self.shared.disk, &self.shared.dir, options, self.batch_first)?;
            self.shared.state.lock().segments.push(self.batch_first);
        }
        self.open.file.write_at(batch, self.open.end)?;
        self.open.file.sync_data()?;
        self.open.end += batch.len() as u64;
        self.open.empty = false;
        let mut state = self.shared.state.lock();
        state.stats.batches += 1;
        state.stats.bytes += batch.len() as u64;
        Ok(())
    }
}
