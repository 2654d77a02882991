//! The one door to files: everything the product reads from or writes to a disk passes through [`Disk`].
//!
//! ```text
//!   tsdb  log  exporters  discovery …
//!        │  dyn Disk, dyn DiskFile
//!   ┌────┴─────┐
//! RealDisk   SimDisk      RealDisk: std and rustix, one system call per method
//!   kernel    memory      SimDisk: fails the n-th call, loses power, keeps any part of what was not synced
//! ```
//!
//! Both are synchronous: a caller that must not block hands the work to the CPU pool.
//! Invariants
//! - an error names the operation and the path ([`DiskError`]);
//! - `write_at` and `append` write everything or fail; after a failure any prefix may have been written;
//! - nothing is durable before `sync_data`/`sync_all` of the file *and* `sync_dir` of every directory whose entries changed;
//! - a handle stays usable after its path was renamed or removed, as on any Unix.
//!
//! Cost: [`Disk::read_into`] is open, read until the end, close, and no allocation once the caller's buffer has grown;
//! [`Disk::read_attribute_into`] saves the second read, for the one-page files of /sys.

mod error;
mod real;
mod sim;

pub use crate::mmap::FileBytes;
pub use error::{DiskError, DiskOp};
pub use real::RealDisk;
pub use sim::{Fault, SimDisk};

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A disk, shared by everything that reads or writes files.
pub type SharedDisk = Arc<dyn Disk>;

/// What kind of thing a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link (only from calls that do not follow links).
    Symlink,
    /// A device, socket or pipe.
    Other,
}

/// What the file system knows about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// File, directory or something else.
    pub kind: FileKind,
    /// Size in bytes.
    pub len: u64,
    /// Last change of the content, nanoseconds since the epoch.
    pub modified_ns: i128,
    /// Permission bits (`0o7777`).
    pub mode: u32,
    /// Owner's user id.
    pub owner: u32,
    /// Device number (`st_dev`).
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

impl Metadata {
    /// True for a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Dir
    }

    /// True for a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name; bytes that are no UTF-8 are replaced, such a name can not be opened.
    pub name: String,
    /// What it names, links not followed.
    pub kind: FileKind,
}

/// What `statfs` says about the file system a path is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilesystemStat {
    /// Fragment size in bytes: the unit of the block counts.
    pub block_size: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Free blocks that an ordinary user may take.
    pub blocks_available: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
    /// Mounted read-only.
    pub read_only: bool,
}

/// How [`Disk::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Existing file, reading only.
    Read,
    /// Existing file, reading and writing; `append` goes to its end.
    Write,
    /// Made if missing, kept if there; reading and writing; `append` goes to its end.
    WriteOrCreate,
    /// Made, or emptied if there; reading and writing.
    Create,
    /// Made; an error when it exists.
    CreateNew,
}

/// A file system.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn DiskFile>, DiskError>;

    /// Replaces `into` by the whole content of a file. Open, read, close; no stat, so it is right for /proc too.
    fn read_into(&self, path: &Path, into: &mut Vec<u8>) -> Result<(), DiskError>;

    /// As [`Disk::read_into`] with a single read of at most 4096 bytes: an attribute of /sys is never longer and
    /// always comes whole. Never for other files.
    fn read_attribute_into(&self, path: &Path, into: &mut Vec<u8>) -> Result<(), DiskError>;

    /// The whole file as one read-only slice: mapped on a real disk, held in memory otherwise. For sealed files only:
    /// a file that shrinks under a mapping ends the process (SIGBUS).
    fn map(&self, path: &Path) -> Result<FileBytes, DiskError>;

    /// Metadata; links are followed.
    fn metadata(&self, path: &Path) -> Result<Metadata, DiskError>;

    /// The target of a symbolic link.
    fn read_link(&self, path: &Path) -> Result<PathBuf, DiskError>;

    /// The names in a directory, sorted, without `.` and `..`.
    fn list(&self, path: &Path) -> Result<Vec<DirEntry>, DiskError>;

    /// Makes a directory and its missing parents; not an error when it exists.
    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError>;

    /// Renames a file or directory, replacing a file (or empty directory) at `to`.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// A second name for a file.
    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> Result<(), DiskError>;

    /// Removes a directory and everything in it.
    fn remove_dir_all(&self, path: &Path) -> Result<(), DiskError>;

    /// Makes the entries of a directory durable.
    fn sync_dir(&self, path: &Path) -> Result<(), DiskError>;

    /// Sizes of the file system a path is on.
    fn filesystem(&self, path: &Path) -> Result<FilesystemStat, DiskError>;

    /// Takes the exclusive lock (`flock`) of a file, which is made if missing; held until the value is dropped.
    /// Does not wait: an error of kind `WouldBlock`, naming the holder where that can be found, when it is taken.
    fn lock(&self, path: &Path) -> Result<DiskLock, DiskError>;

    /// The whole content of a file, in a new buffer.
    fn read(&self, path: &Path) -> Result<Vec<u8>, DiskError> {
        let mut content = Vec::new();
        self.read_into(path, &mut content)?;
        Ok(content)
    }

    /// Whether something is there; an error counts as "no" only when it says "not found".
    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        match self.metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes a whole file so that after a crash either the old content or the new one is there: `<path>.tmp`,
    /// synced, renamed, directory synced.
    fn replace_file(&self, path: &Path, content: &[u8]) -> Result<(), DiskError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let file = self.open(&temporary, OpenMode::Create)?;
        file.append(content)?;
        file.sync_all()?;
        drop(file);
        self.rename(&temporary, path)?;
        self.sync_dir(parent_of(path))
    }
}

/// An open file. Methods take `&self`: positions are given by the caller, but for `append`.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// The path it was opened under.
    fn path(&self) -> &Path;

    /// Reads up to `into.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, DiskError>;

    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError>;

    /// Writes all of `bytes` behind what this handle appended before (behind the end of the file at first, for modes
    /// that keep content).
    fn append(&self, bytes: &[u8]) -> Result<(), DiskError>;

    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> Result<(), DiskError>;

    /// Reserves room for `len` bytes from `offset` on, without changing the file's size; a full disk is found now.
    fn allocate(&self, offset: u64, len: u64) -> Result<(), DiskError>;

    /// Content durable (`fdatasync`).
    fn sync_data(&self) -> Result<(), DiskError>;

    /// Content and metadata durable (`fsync`).
    fn sync_all(&self) -> Result<(), DiskError>;

    /// Size in bytes.
    fn len(&self) -> Result<u64, DiskError>;

    /// True when the file holds nothing.
    fn is_empty(&self) -> Result<bool, DiskError> {
        Ok(self.len()? == 0)
    }

    /// Fills all of `into` from `offset`; an end of file before that is an error.
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> Result<(), DiskError> {
        let mut done = 0;
        while done < into.len() {
            let read = self.read_at(&mut into[done..], offset + done as u64)?;
            if read == 0 {
                let source = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                return Err(DiskError::new(DiskOp::Read, self.path(), source));
            }
            done += read;
        }
        Ok(())
    }
}

/// A held file lock; dropping it gives the lock back (and leaves the file).
pub struct DiskLock {
    _held: Box<dyn Send + Sync>,
}

impl DiskLock {
    fn new(held: impl Send + Sync + 'static) -> Self {
        DiskLock { _held: Box::new(held) }
    }
}

impl fmt::Debug for DiskLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskLock")
    }
}

/// The directory a path is in; `.` for a bare name.
pub fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
