//! Where the numbers come from: files of /proc and /sys, kept open and read again from their start.
//!
//! ```text
//! Files ── budget of open files ──► KeptFile ── pread(0) ──► one buffer shared by all collectors of a scrape
//! ```
//!
//! The kernel makes such a file's content anew at each read from offset 0, so an open descriptor saves the walk along
//! the path: 1 µs instead of 4 for an attribute of /sys.
//! A descriptor whose device has gone answers ENODEV; it is then opened again by its path, once.
//! Limits: [`KEPT_MAX`] descriptors are kept, further files are opened at each read; [`CONTENT_MAX`] bytes a file.

use runtime::disk::{Disk, DiskError, DiskFile, OpenMode, SharedDisk};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Descriptors kept open; a machine with 20 network devices needs about 450.
pub(crate) const KEPT_MAX: usize = 512;

/// A file of /proc that is longer is cut here; `/proc/1/mountinfo` with 20 000 mounts has 4 MB.
pub(crate) const CONTENT_MAX: usize = 16 << 20;

/// An attribute of /sys has at most one page.
const ATTRIBUTE_MAX: usize = 4096;

/// The disk, and how many more descriptors may be kept.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    disk: SharedDisk,
    kept: Arc<AtomicUsize>,
}

impl Files {
    pub(crate) fn new(disk: SharedDisk) -> Self {
        Files { disk, kept: Arc::new(AtomicUsize::new(0)) }
    }

    /// The disk itself, for what is not read again and again.
    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// A file that will be read at each scrape; nothing is opened yet.
    pub(crate) fn keep(&self, path: impl Into<PathBuf>) -> KeptFile {
        KeptFile { files: self.clone(), path: path.into(), open: None }
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Content {
    bytes: Vec<u8>,
    used: usize,
}

impl Content {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    fn grow(&mut self) {
        let len = (self.bytes.len() * 2).clamp(8192, CONTENT_MAX);
        self.bytes.resize(len, 0);
    }
}

/// A file read at each scrape, open between the scrapes as long as the budget allows.
#[derive(Debug)]
pub(crate) struct KeptFile {
    files: Files,
    path: PathBuf,
    open: Option<Box<dyn DiskFile>>,
}

impl KeptFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole file.
    pub(crate) fn read<'c>(&mut self, content: &'c mut Content) -> Result<&'c [u8], DiskError> {
        self.read_by(content, read_all)
    }

    /// Reads an attribute of /sys: one system call.
    pub(crate) fn read_attribute<'c>(&mut self, content: &'c mut Content) -> Result<&'c [u8], DiskError> {
        self.read_by(content, read_once)
    }

    /// The number in an attribute of /sys, `None` when it is not there, can not be read or is no number.
    pub(crate) fn attribute_number(&mut self, content: &mut Content) -> Option<u64> {
        super::parse::integer(self.read_attribute(content).ok()?.trim_ascii())
    }

    fn read_by<'c>(
        &mut self,
        content: &'c mut Content,
        read: fn(&dyn DiskFile, &mut Content) -> Result<(), DiskError>,
    ) -> Result<&'c [u8], DiskError> {
        if let Some(file) = &self.open
            && read(&**file, content).is_ok()
        {
            return Ok(content.bytes());
        }
        self.close();
        let file = self.files.disk.open(&self.path, OpenMode::Read)?;
        read(&*file, content)?;
        if self.files.kept.fetch_add(1, Ordering::Relaxed) < KEPT_MAX {
            self.open = Some(file);
        } else {
            self.files.kept.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(content.bytes())
    }

    fn close(&mut self) {
        if self.open.take().is_some() {
            self.files.kept.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        self.close();
    }
}

fn read_all(file: &dyn DiskFile, content: &mut Content) -> Result<(), DiskError> {
    content.used = 0;
    loop {
        if content.used == content.bytes.len() {
            if content.used >= CONTENT_MAX {
                return Ok(());
            }
            content.grow();
        }
        let read = file.read_at(&mut content.bytes[content.used..], content.used as u64)?;
        if read == 0 {
            return Ok(());
        }
        content.used += read;
    }
}

fn read_once(file: &dyn DiskFile, content: &mut Content) -> Result<(), DiskError> {
    if content.bytes.len() < ATTRIBUTE_MAX {
        content.grow();
    }
    content.used = 0;
    content.used = file.read_at(&mut content.bytes[..ATTRIBUTE_MAX], 0)?;
    Ok(())
}
