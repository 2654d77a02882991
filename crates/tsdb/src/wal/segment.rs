//! Names of segments and checkpoints, and what of them a directory holds.

use super::WalError;
use runtime::disk::{Disk, FileKind};
use std::path::{Path, PathBuf};

/// What a log directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Numbers of the segments, ascending without a gap.
    pub segments: Vec<u64>,
    /// Numbers of the finished checkpoints, ascending: the last segment each one covers.
    pub checkpoints: Vec<u64>,
}

impl Listing {
    /// The newest checkpoint.
    pub fn checkpoint(&self) -> Option<u64> {
        self.checkpoints.last().copied()
    }

    /// The segments that a replay reads: those behind the newest checkpoint.
    pub fn replayed(&self) -> impl Iterator<Item = u64> + '_ {
        let covered = self.checkpoint();
        self.segments.iter().copied().filter(move |number| covered.is_none_or(|covered| *number > covered))
    }
}

/// Path of a segment.
pub fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}"))
}

/// Path of a checkpoint's directory.
pub fn checkpoint_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("checkpoint.{number:08}"))
}

/// Lists a log directory; names that mean nothing to us are ignored, as Prometheus does. A missing directory is empty.
///
/// # Errors
/// [`WalError::Gap`] when numbers are missing between two segments.
pub fn list(disk: &dyn Disk, dir: &Path) -> Result<Listing, WalError> {
    let entries = match disk.list(dir) {
        Ok(entries) => entries,
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut listing = Listing::default();
    for entry in entries {
        if entry.kind == FileKind::Dir {
            listing.checkpoints.extend(entry.name.strip_prefix("checkpoint.").and_then(number_of));
        } else {
            listing.segments.extend(number_of(&entry.name));
        }
    }
    listing.segments.sort_unstable();
    listing.checkpoints.sort_unstable();
    match listing.segments.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        Some(pair) => Err(WalError::Gap { dir: dir.to_owned(), missing: pair[0] + 1 }),
        None => Ok(listing),
    }
}

fn number_of(name: &str) -> Option<u64> {
    // 18 digits never overflow, also when something is added
    let digits = !name.is_empty() && name.len() <= 18 && name.bytes().all(|b| b.is_ascii_digit());
    if digits { name.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::disk::{OpenMode, SimDisk};

    fn check(names: &[&str], dirs: &[&str]) -> Result<Listing, WalError> {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/wal")).expect("made");
        for name in names {
            disk.open(&Path::new("/wal").join(name), OpenMode::Create).expect("made");
        }
        for name in dirs {
            disk.create_dir_all(&Path::new("/wal").join(name)).expect("made");
        }
        list(&disk, Path::new("/wal"))
    }

    #[test]
    fn foreign_names_are_ignored() {
        let listing =
            check(&["00000002", "00000003", "README", "+1"], &["foo", "checkpoint.00000001", "checkpoint.9.tmp"]);
        assert_eq!(listing.expect("no gap"), Listing { segments: vec![2, 3], checkpoints: vec![1] });
        assert_eq!(check(&[], &[]).expect("no gap"), Listing::default());
    }

    #[test]
    fn a_gap_is_an_error() {
        let error = check(&["00000000", "00000002"], &[]).expect_err("a gap");
        assert_eq!(error.to_string(), "/wal has no segment 00000001, but later ones");
    }
}
