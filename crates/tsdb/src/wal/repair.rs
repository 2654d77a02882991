//! Repair: what a start does when it finds damage in the log.
//!
//! Records before the damage are kept, the segment is rewritten up to them, later segments are deleted: the verdicts of
//! Prometheus on the same damages. Later segments go first, newest first, so that a crash in between never leaves a log
//! with a hole in it; the damage is found again by the next start.
//! Damage in a checkpoint is not repaired: the start is refused, and nothing is deleted.

use super::segment::{list, segment_path};
use super::{PAGE, WalError};
use runtime::disk::{Disk, OpenMode};
use std::path::Path;

/// Cuts the log in `dir` at `sound` bytes into segment `number`.
///
/// # Errors
/// [`WalError`]; the log is then as damaged as before, or shorter.
pub fn repair(disk: &dyn Disk, dir: &Path, number: u64, sound: u64) -> Result<(), WalError> {
    for later in list(disk, dir)?.segments.into_iter().rev().filter(|later| *later > number) {
        disk.remove_file(&segment_path(dir, later))?;
    }
    disk.sync_dir(dir)?;
    let path = segment_path(dir, number);
    let mut content = disk.read(&path)?;
    let sound = usize::try_from(sound).unwrap_or(usize::MAX).min(content.len());
    content.truncate(sound);
    content.resize(sound.next_multiple_of(PAGE), 0);
    let temporary = path.with_extension("repair");
    let file = disk.open(&temporary, OpenMode::Create)?;
    file.append(&content)?;
    file.sync_all()?;
    drop(file);
    disk.rename(&temporary, &path)?;
    disk.sync_dir(dir)?;
    Ok(())
}
