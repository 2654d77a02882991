//! Why a block cannot be read or written.

use runtime::disk::DiskError;
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Damage in one file of a block: what part, where, what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The part of the format: `symbols`, `postings table`, `chunk` …
    pub part: &'static str,
    /// Bytes from the beginning of the file.
    pub offset: u64,
    /// What was found there.
    pub found: Cow<'static, str>,
}

impl Damage {
    pub(crate) fn new(part: &'static str, offset: usize, found: impl Into<Cow<'static, str>>) -> Self {
        Damage { part, offset: offset as u64, found: found.into() }
    }

    pub(crate) fn ends_early(part: &'static str, offset: usize) -> Self {
        Damage::new(part, offset, "the file ends inside it")
    }

    pub(crate) fn in_file(self, path: &Path) -> BlockError {
        BlockError::Corrupt { path: path.to_owned(), damage: self }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.part, self.offset, self.found)
    }
}

impl std::error::Error for Damage {}

/// Why a block cannot be opened, written or merged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The disk failed. Nothing is known about the block.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// `meta.json` is missing or is no block's meta: the directory is not a block (yet). Prometheus skips it.
    #[error("cannot read {}: {found}", path.display())]
    Meta {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// A file is damaged or of a version that is not read.
    #[error("cannot read {}: {damage}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
    /// Series were handed to a writer out of order, or a label was not announced.
    #[error("cannot write block: {0}")]
    Misuse(String),
    /// A limit of the format.
    #[error("cannot write block: {what} would take more than {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit, in words.
        limit: &'static str,
    },
    /// Samples have to be decoded and cannot be.
    #[error("cannot merge chunks of series {series}: {source}")]
    Chunk {
        /// The series.
        series: String,
        /// Why.
        source: chunk::ChunkError,
    },
    /// The work was cancelled; what was written is gone.
    #[error("writing the block was cancelled")]
    Cancelled,
}
