//! Compaction: several blocks become one.
//!
//! ```text
//! 2 h  ▇ ▇ ▇ ▇ ▇ ▇ ▇ ▇      plan: which blocks                 compact/plan.rs
//! 6 h  ▇▇▇▇▇ ▇▇▇▇▇           merge: series by series, chunks    compact/merge.rs
//! 18 h ▇▇▇▇▇▇▇▇▇▇▇▇▇ …         copied unopened unless they overlap or hold deleted samples
//! ```
//!
//! The new block is published before its parents are removed; it names them, so that a crash in between leaves parents that
//! [`superseded`] finds. Planning, levels, sources and parents are those of Prometheus, so that other tools plan alike.
//! Memory: the symbols of all parents, and one series of each; see [`crate::block::BlockWriter`] for the writer's part.

mod merge;
mod plan;

pub use plan::{block_ranges, plan};

use crate::block::{Block, BlockError, BlockMeta, BlockWriter, BlockWriterOptions, Symbols};
use merge::Merge;
use runtime::cancel::Cancel;
use runtime::disk::{Disk, SharedDisk};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use ulid::Ulid;

/// Merges `parents` into the block `ulid` and publishes it. `None` when no sample is left; the parents are then marked
/// deletable. Of two samples of one series at one instant the one of the later parent in the list stands: give the list in
/// the order in which queries see the blocks.
///
/// The caller removes the parents afterwards, once its readers know the new block.
///
/// # Errors
/// [`BlockError::Cancelled`]; the disk's; damage in a parent, which is then marked as failed, so that planning leaves it alone.
pub fn compact(
    disk: &SharedDisk,
    data_dir: &Path,
    ulid: Ulid,
    parents: &[Block],
    cancel: &Cancel,
) -> Result<Option<(BlockMeta, PathBuf)>, BlockError> {
    let published = merge_blocks(disk, data_dir, ulid, parents, cancel, BlockWriterOptions::default());
    match &published {
        Ok(None) => mark(&**disk, parents, |meta| meta.compaction.deletable = true)?,
        // trying again would fail again; a full disk would not
        Err(BlockError::Corrupt { .. } | BlockError::Chunk { .. }) => {
            mark(&**disk, parents, |meta| meta.compaction.failed = true)?;
        }
        _ => {}
    }
    published
}

/// The blocks that another block was made from, or whose samples were all deleted: to be removed.
pub fn superseded<'a>(metas: impl IntoIterator<Item = &'a BlockMeta> + Clone) -> BTreeSet<Ulid> {
    let present: BTreeSet<Ulid> = metas.clone().into_iter().map(|meta| meta.ulid).collect();
    let mut gone = BTreeSet::new();
    for meta in metas {
        if meta.compaction.deletable {
            gone.insert(meta.ulid);
        }
        gone.extend(meta.compaction.parents.iter().map(|parent| parent.ulid).filter(|parent| present.contains(parent)));
    }
    gone
}

fn mark(disk: &dyn Disk, blocks: &[Block], change: impl Fn(&mut BlockMeta)) -> Result<(), BlockError> {
    for block in blocks {
        let mut meta = block.meta().clone();
        change(&mut meta);
        meta.store(disk, block.dir())?;
    }
    Ok(())
}

fn merge_blocks(
    disk: &SharedDisk,
    data_dir: &Path,
    ulid: Ulid,
    parents: &[Block],
    cancel: &Cancel,
    options: BlockWriterOptions,
) -> Result<Option<(BlockMeta, PathBuf)>, BlockError> {
    let metas: Vec<&BlockMeta> = parents.iter().map(Block::meta).collect();
    let meta = BlockMeta::of_merge(ulid, &metas);
    let symbols = merge_symbols(parents)?;
    let mut writer = BlockWriter::create(disk, data_dir, ulid, symbols, options)?;
    let mut copy = || {
        for series in Merge::new(parents) {
            if cancel.is_cancelled() {
                return Err(BlockError::Cancelled);
            }
            let (labels, chunks) = series?;
            writer.add(&labels, &chunks)?;
        }
        Ok(())
    };
    match copy() {
        Ok(()) => writer.publish(meta),
        Err(error) => {
            let _ = writer.abandon(); // the first error is the one to tell
            Err(error)
        }
    }
}

/// The symbols of all blocks, as one sorted table.
fn merge_symbols(blocks: &[Block]) -> Result<Symbols, BlockError> {
    let mut sources: Vec<_> = blocks.iter().map(|block| block.symbols().peekable()).collect();
    let mut merged = Symbols::new();
    loop {
        let mut least: Option<&str> = None;
        for source in &mut sources {
            match source.next_if(Result::is_err) {
                Some(Err(error)) => return Err(error),
                _ => {
                    if let Some(Ok(text)) = source.peek()
                        && least.is_none_or(|least| *text < least)
                    {
                        least = Some(text);
                    }
                }
            }
        }
        let Some(least) = least else { return Ok(merged) };
        merged.push(least)?;
        for source in &mut sources {
            source.next_if(|text| text.as_ref().is_ok_and(|text| *text == least));
        }
    }
}

#[cfg(test)]
mod tests;
