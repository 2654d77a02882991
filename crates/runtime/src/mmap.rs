//! Read-only maps of sealed files: the only module of the workspace that holds unsafe code.
//!
//! A sealed file is one that nobody writes, shortens or replaces in place any more (it may be unlinked). The caller of
//! [`crate::disk::Disk::map`] promises that; a file shortened under a map ends the process with SIGBUS by design.
//! The safe twin is [`FileBytes::held`], which keeps the content in memory (the simulated disk, tests, empty files).

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The bytes of one sealed file; cloning is a reference count.
#[derive(Clone)]
pub struct FileBytes(Arc<Inner>);

enum Inner {
    Map(memmap2::Mmap),
    Held(Vec<u8>),
}

impl FileBytes {
    /// Bytes held in memory.
    pub fn held(content: Vec<u8>) -> Self {
        FileBytes(Arc::new(Inner::Held(content)))
    }

    /// Maps a file; an empty one, which can not be mapped, is held.
    pub(crate) fn map(file: &std::fs::File) -> std::io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(FileBytes::held(Vec::new()));
        }
        Ok(FileBytes(Arc::new(Inner::Map(map_file(file)?))))
    }
}

#[expect(unsafe_code, reason = "a map is unsafe because others may change the file; sealed files are never changed")]
fn map_file(file: &std::fs::File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the map is read-only and private to this process. Undefined behaviour needs somebody to change the bytes
    // while a slice of them is borrowed; only sealed files are mapped (module docs), which no part of the product writes
    // again, and the data directory's lock keeps other servers out of it.
    unsafe { memmap2::MmapOptions::new().map(file) }
}

impl Deref for FileBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &*self.0 {
            Inner::Map(map) => map,
            Inner::Held(content) => content,
        }
    }
}

impl AsRef<[u8]> for FileBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileBytes({} bytes)", self.len())
    }
}
