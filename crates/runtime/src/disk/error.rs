//! What went wrong on the disk: which operation, on which path, and the system's own error.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The operation that failed, as the message says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskOp {
    /// Opening an existing file.
    Open,
    /// Making a file.
    Create,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Cutting or extending.
    SetLen,
    /// Reserving room.
    Allocate,
    /// Making content durable.
    Sync,
    /// Making directory entries durable.
    SyncDir,
    /// Mapping.
    Map,
    /// Reading metadata.
    Stat,
    /// Reading a link.
    ReadLink,
    /// Listing a directory.
    List,
    /// Making a directory.
    CreateDir,
    /// Renaming.
    Rename,
    /// Linking.
    Link,
    /// Removing a file.
    Remove,
    /// Removing a directory.
    RemoveDir,
    /// Asking for the file system's sizes.
    Filesystem,
    /// Taking a lock.
    Lock,
}

impl fmt::Display for DiskOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiskOp::Open => "open",
            DiskOp::Create => "create",
            DiskOp::Read => "read",
            DiskOp::Write => "write",
            DiskOp::SetLen => "set the length of",
            DiskOp::Allocate => "reserve room for",
            DiskOp::Sync => "sync",
            DiskOp::SyncDir => "sync directory",
            DiskOp::Map => "map",
            DiskOp::Stat => "stat",
            DiskOp::ReadLink => "read link",
            DiskOp::List => "list directory",
            DiskOp::CreateDir => "create directory",
            DiskOp::Rename => "rename",
            DiskOp::Link => "link",
            DiskOp::Remove => "remove",
            DiskOp::RemoveDir => "remove directory",
            DiskOp::Filesystem => "ask for the size of the file system of",
            DiskOp::Lock => "lock",
        })
    }
}

/// A failed disk operation.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {}: {source}", path.display())]
pub struct DiskError {
    op: DiskOp,
    path: PathBuf,
    source: io::Error,
}

impl DiskError {
    /// An error of `op` on `path`.
    pub fn new(op: DiskOp, path: &Path, source: impl Into<io::Error>) -> Self {
        DiskError { op, path: path.to_owned(), source: source.into() }
    }

    /// What was being done.
    pub fn op(&self) -> DiskOp {
        self.op
    }

    /// To which path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The system's error.
    pub fn io(&self) -> &io::Error {
        &self.source
    }

    /// The kind of the system's error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// The path does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// The disk is full or the quota is used up: the same call may succeed once there is room.
    pub fn is_no_space(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}
