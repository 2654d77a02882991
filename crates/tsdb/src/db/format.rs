//! The version of what we write, and what of Prometheus' we cannot read yet.
//!
//! `isobar-format` holds one line, `isobar data format 1`. A directory without it was Prometheus' (or is new) and is looked at once in
//! full: native histograms, out-of-order data, m-mapped head chunks and memory snapshots are refused before anything is
//! touched, because going on without them would hide data. Other tools ignore the file.

use super::open::OpenError;
use crate::block::Block;
use runtime::disk::{Disk, FileKind};
use std::path::Path;

pub(super) const FORMAT_FILE: &str = "isobar-format";
const PREFIX: &str = "isobar data format ";
/// What this version writes, and the newest it reads.
const VERSION: u32 = 1;
/// The file is one line.
const FORMAT_LEN_MAX: u64 = 4096;
/// Header of an m-mapped head chunk file: magic number, version, padding.
const HEAD_CHUNKS_HEADER: usize = 8;

/// Whether the directory is marked as ours.
///
/// # Errors
/// [`OpenError::Refused`] for a version newer than ours.
pub(super) fn is_ours(disk: &dyn Disk, dir: &Path) -> Result<bool, OpenError> {
    let path = dir.join(FORMAT_FILE);
    let len = match disk.metadata(&path) {
        Ok(found) => found.len,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let text = if len > FORMAT_LEN_MAX { Vec::new() } else { disk.read(&path)? };
    let text = String::from_utf8_lossy(&text);
    let version = text.trim().strip_prefix(PREFIX).and_then(|number| number.parse::<u32>().ok());
    match version {
        Some(version) if version <= VERSION => Ok(true),
        Some(version) => Err(refused(dir, format!("its data format is {version}, this version knows {VERSION}"))),
        None => Err(refused(dir, format!("{FORMAT_FILE} does not name a data format"))),
    }
}

pub(super) fn mark(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
    Ok(disk.replace_file(&dir.join(FORMAT_FILE), format!("{PREFIX}{VERSION}\n").as_bytes())?)
}

/// Refuses directories whose files beside log and blocks we cannot read.
pub(super) fn check_files(disk: &dyn Disk, dir: &Path) -> Result<(), OpenError> {
    for entry in disk.list(dir)?.iter().filter(|entry| entry.kind == FileKind::Dir) {
        let path = dir.join(&entry.name);
        let snapshot = entry.name.strip_prefix("chunk_snapshot.").is_some_and(|rest| !rest.ends_with(".tmp"));
        if snapshot {
            return Err(refused(dir, format!("it holds a memory snapshot ({})", entry.name)));
        }
        if entry.name == "chunks_head" && any_file(disk, &path, holds_head_chunk)? {
            return Err(refused(dir, "it holds m-mapped head chunks (chunks_head)"));
        }
        if entry.name == "wbl" && any_file(disk, &path, |content| !content.is_empty())? {
            return Err(refused(dir, "it holds an out-of-order log (wbl)"));
        }
    }
    Ok(())
}

fn any_file(disk: &dyn Disk, dir: &Path, test: impl Fn(&[u8]) -> bool) -> Result<bool, OpenError> {
    for entry in disk.list(dir)? {
        let numbered = entry.name.bytes().all(|b| b.is_ascii_digit());
        if entry.kind == FileKind::File && numbered && test(&disk.map(&dir.join(&entry.name))?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// After a kill a head chunk file may be a header and zeros: everything it would hold is in the log.
fn holds_head_chunk(content: &[u8]) -> bool {
    content.get(HEAD_CHUNKS_HEADER..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0))
}

/// Refuses a block with samples that we cannot read. Counts say it where they are there (Prometheus 3.11 and later, and our
/// own blocks); otherwise every chunk is looked at.
pub(super) fn check_block(dir: &Path, block: &Block) -> Result<(), OpenError> {
    let stats = &block.meta().stats;
    let name = block.meta().ulid;
    if stats.num_histogram_samples > 0 {
        return Err(refused(dir, format!("block {name} holds native histograms")));
    }
    if stats.num_float_samples == stats.num_samples && stats.num_samples > 0 {
        return Ok(());
    }
    for series in block.all_series() {
        // damage is for the query that meets it, as in the original
        let Ok(series) = series else { continue };
        if let Some(chunk) = series.chunks.iter().find(|chunk| !chunk.encoding.is_supported()) {
            return Err(refused(dir, format!("block {name} holds chunks of encoding {}", chunk.encoding)));
        }
    }
    Ok(())
}

pub(super) fn refused(dir: &Path, reason: impl Into<String>) -> OpenError {
    OpenError::Refused { dir: dir.to_owned(), reason: reason.into() }
}
