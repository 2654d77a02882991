//! A block: an immutable directory that holds all samples of a range of time, in Prometheus' format.
//!
//! ```text
//! 01HF…Z/                  named by its ULID
//!   meta.json              what it is, where it comes from          block/meta.rs
//!   index                  series, labels, where the chunks are     block/index.rs
//!   chunks/000001 …        the encoded samples                      block/segment.rs
//!   tombstones             what was deleted and still stands there  block/tombstones.rs
//!
//! 01HF…Z.tmp-for-creation  being written   ─ files synced, directory synced ─► renamed ─► parent synced: published
//! 01HF…Z.tmp-for-deletion  being removed
//! ```
//!
//! Reading order: [`meta`] → [`tombstones`] → [`segment`] → [`index`] → [`writer`] → [`reader`] → `select`.
//! Invariants: a published directory never changes but for `meta.json` and `tombstones`, which are replaced whole; series are
//! in label order; a chunk's checksum is verified every time it is handed out.
//! Byte for byte what Prometheus 3.14 writes for the same input; older versions (2.x, 3.5) read it.

pub(crate) mod error;
pub(crate) mod file_writer;
pub(crate) mod index;
pub mod meta;
pub(crate) mod reader;
pub(crate) mod section;
pub(crate) mod segment;
pub(crate) mod select;
pub mod tombstones;
pub(crate) mod writer;

pub use error::{BlockError, Damage};
pub use index::Symbols;
pub use meta::{BlockCompaction, BlockDesc, BlockMeta, BlockStats};
pub use reader::{Block, BlockSeries};
pub use tombstones::{Interval, Tombstones};
pub use writer::{BlockWriter, BlockWriterOptions, write_block};

use runtime::disk::Disk;
use std::path::{Path, PathBuf};
use ulid::Ulid;

/// Behind the name of a block that is being written.
pub const CREATING: &str = ".tmp-for-creation";
/// Behind the name of a block that is being removed.
pub const DELETING: &str = ".tmp-for-deletion";
/// What versions before 2.20 put behind both.
const LEGACY_TEMPORARY: &str = ".tmp";

/// The directories of `data_dir` that are named like blocks, in order of their names.
///
/// # Errors
/// The disk's.
pub fn list_blocks(disk: &dyn Disk, data_dir: &Path) -> Result<Vec<(Ulid, PathBuf)>, BlockError> {
    let mut found = Vec::new();
    for entry in disk.list(data_dir)? {
        if let Ok(ulid) = Ulid::from_string(&entry.name) {
            let path = data_dir.join(&entry.name);
            if disk.metadata(&path)?.is_dir() {
                found.push((ulid, path));
            }
        }
    }
    Ok(found)
}

/// Removes what a crash left of blocks being written or removed; says what it was.
///
/// # Errors
/// The disk's.
pub fn remove_leftovers(disk: &dyn Disk, data_dir: &Path) -> Result<Vec<PathBuf>, BlockError> {
    let mut removed = Vec::new();
    let mut synced = false;
    for entry in disk.list(data_dir)? {
        let stem = [CREATING, DELETING, LEGACY_TEMPORARY].iter().find_map(|suffix| entry.name.strip_suffix(suffix));
        if stem.is_some_and(|stem| Ulid::from_string(stem).is_ok()) {
            let path = data_dir.join(&entry.name);
            if !synced {
                // else a power loss might bring the old name back, with half of what it named
                disk.sync_dir(data_dir)?;
                synced = true;
            }
            disk.remove_dir_all(&path)?;
            removed.push(path);
        }
    }
    if !removed.is_empty() {
        disk.sync_dir(data_dir)?;
    }
    Ok(removed)
}

/// Removes a block so that a crash leaves it whole or a leftover, never half a block. Maps of its files stay valid.
///
/// # Errors
/// The disk's; the block may be there still.
pub fn delete_block(disk: &dyn Disk, dir: &Path) -> Result<(), BlockError> {
    let parent = runtime::disk::parent_of(dir);
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(DELETING);
    let condemned = dir.with_file_name(name);
    if disk.exists(&condemned)? {
        disk.remove_dir_all(&condemned)?;
    }
    disk.rename(dir, &condemned)?;
    disk.sync_dir(parent)?;
    disk.remove_dir_all(&condemned)?;
    disk.sync_dir(parent)?;
    Ok(())
}

#[cfg(test)]
mod tests;
