//! A file being written front to back, through a buffer, synced at the end.

use runtime::disk::{Disk, DiskError, DiskFile, OpenMode};
use std::path::Path;

/// Bytes gathered before a system call.
const BUFFER: usize = 256 * 1024;

/// Writes one file of a block.
pub(crate) struct FileWriter {
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    flushed: u64,
}

impl FileWriter {
    pub(crate) fn create(disk: &dyn Disk, path: &Path) -> Result<Self, DiskError> {
        let file = disk.open(path, OpenMode::Create)?;
        Ok(FileWriter { file, buffer: Vec::new(), flushed: 0 })
    }

    /// Bytes written so far.
    pub(crate) fn position(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    /// Zeros up to the next multiple of `align`.
    pub(crate) fn pad_to(&mut self, align: u64) -> Result<(), DiskError> {
        let over = self.position() % align;
        if over > 0 {
            self.write(&[0; 16][..(align - over) as usize])?;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> Result<(), DiskError> {
        if !self.buffer.is_empty() {
            self.file.append(&self.buffer)?;
            self.flushed += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Reads back what was flushed.
    pub(crate) fn read_back(&self, into: &mut [u8], offset: u64) -> Result<(), DiskError> {
        self.file.read_exact_at(into, offset)
    }

    /// Flushes, syncs, closes; says how long the file is.
    pub(crate) fn finish(mut self) -> Result<u64, DiskError> {
        self.flush()?;
        self.file.sync_all()?;
        Ok(self.flushed)
    }
}
