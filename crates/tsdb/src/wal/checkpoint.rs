//! Checkpoints: the log's older segments, rewritten to what is still needed, so that the segments can go.
//!
//! ```text
//! checkpoint.00000004 + 00000005 00000006 00000007   ──►   checkpoint.00000007
//! kept: series still alive; samples not older than the head; tombstones that reach into it; exemplars and metadata whole
//! order: checkpoint.N.tmp/ written ─► files synced ─► directory synced ─► renamed ─► wal/ synced ─► sources removed
//! ```
//!
//! Memory: one segment's map and one record. A crash at any point leaves either the sources or the new checkpoint;
//! leftovers (`*.tmp`, segments and checkpoints that a newer checkpoint covers) are removed by the next one.

use super::WalError;
use super::frame::Framer;
use super::reader::SegmentReader;
use super::record::{self, LogSample, LogTombstone, RecordKind};
use super::segment::{checkpoint_path, list, segment_path};
use super::writer::WalOptions;
use model::Labels;
use runtime::disk::{Disk, DiskFile, OpenMode};
use std::path::{Path, PathBuf};

/// Makes the checkpoint that covers every segment up to `last`, then removes what it covers.
///
/// `keep` says whether a series (by the log's ref) is still needed; samples before `oldest` are dropped.
///
/// # Errors
/// [`WalError`]; the log reads as before.
pub fn checkpoint(
    disk: &dyn Disk,
    dir: &Path,
    last: u64,
    options: WalOptions,
    keep: &dyn Fn(u64) -> bool,
    oldest: i64,
) -> Result<(), WalError> {
    if let Some(covered) = list(disk, dir)?.checkpoint().filter(|covered| *covered >= last) {
        // an earlier attempt got as far as the removing
        return remove_covered(disk, dir, covered);
    }
    let finished = checkpoint_path(dir, last);
    let temporary = finished.with_extension(format!("{last:08}.tmp"));
    remove_unfinished(disk, &temporary)?;
    let written = write(disk, dir, last, &temporary, options, &mut Filter::new(keep, oldest));
    let renamed = written.and_then(|()| Ok(disk.rename(&temporary, &finished)?));
    if renamed.is_err() {
        let _ = disk.remove_dir_all(&temporary); // the first error is the one to tell
    }
    renamed?;
    if let Err(error) = disk.sync_dir(dir) {
        // a name that may not last: the sources stay, and the next attempt begins anew
        let _ = disk.rename(&finished, &temporary).map(|()| remove_unfinished(disk, &temporary));
        return Err(error.into());
    }
    remove_covered(disk, dir, last)
}

/// Writes what is kept of everything up to segment `last` into the directory `temporary`, and makes it durable.
fn write(
    disk: &dyn Disk,
    dir: &Path,
    last: u64,
    temporary: &Path,
    options: WalOptions,
    filter: &mut Filter<'_>,
) -> Result<(), WalError> {
    let listing = list(disk, dir)?;
    disk.create_dir_all(temporary)?;
    let mut writer = CheckpointWriter::new(disk, temporary, options)?;
    if let Some(number) = listing.checkpoint().filter(|number| *number < last) {
        let covered = checkpoint_path(dir, number);
        for segment in list(disk, &covered)?.segments {
            copy(disk, &segment_path(&covered, segment), filter, &mut writer)?;
        }
    }
    for segment in listing.replayed().filter(|segment| *segment <= last) {
        copy(disk, &segment_path(dir, segment), filter, &mut writer)?;
    }
    writer.finish()?;
    Ok(disk.sync_dir(temporary)?)
}

/// Removes the segments and older checkpoints that checkpoint `last` covers.
///
/// # Errors
/// [`WalError`]; the rest is removed the next time.
pub fn remove_covered(disk: &dyn Disk, dir: &Path, last: u64) -> Result<(), WalError> {
    let listing = list(disk, dir)?;
    // Oldest first: what is left is never a log with a hole.
    for segment in listing.segments.into_iter().filter(|segment| *segment <= last) {
        disk.remove_file(&segment_path(dir, segment))?;
    }
    for older in listing.checkpoints.into_iter().filter(|older| *older < last) {
        disk.remove_dir_all(&checkpoint_path(dir, older))?;
    }
    disk.sync_dir(dir)?;
    Ok(())
}

/// Removes an unfinished checkpoint. Its name is made durable first: else a power loss might bring back the name of a finished
/// one, with half of what it held.
fn remove_unfinished(disk: &dyn Disk, path: &Path) -> Result<(), WalError> {
    if disk.exists(path)? {
        disk.sync_dir(runtime::disk::parent_of(path))?;
        disk.remove_dir_all(path)?;
    }
    Ok(())
}

fn copy(
    disk: &dyn Disk,
    path: &Path,
    filter: &mut Filter<'_>,
    writer: &mut CheckpointWriter<'_>,
) -> Result<(), WalError> {
    let mut reader = SegmentReader::open(disk, path)?;
    loop {
        let offset = match reader.next_record()? {
            None => return Ok(()),
            Some((offset, record)) => match filter.apply(record) {
                Ok(Some(kept)) => {
                    writer.write(kept)?;
                    continue;
                }
                Ok(None) => continue,
                Err(failure) => (offset, failure),
            },
        };
        return Err(reader.undecodable(offset.0, offset.1));
    }
}

/// Decides record by record what a checkpoint keeps; buffers are reused.
struct Filter<'a> {
    keep: &'a dyn Fn(u64) -> bool,
    oldest: i64,
    series: Vec<(u64, Labels)>,
    samples: Vec<LogSample>,
    tombstones: Vec<LogTombstone>,
    out: Vec<u8>,
}

impl<'a> Filter<'a> {
    fn new(keep: &'a dyn Fn(u64) -> bool, oldest: i64) -> Self {
        Filter { keep, oldest, series: Vec::new(), samples: Vec::new(), tombstones: Vec::new(), out: Vec::new() }
    }

    /// What to write in place of `record`.
    fn apply<'b>(&'b mut self, record: &'b [u8]) -> Result<Option<&'b [u8]>, record::CodecFailure> {
        self.out.clear();
        match record::kind_of(record) {
            RecordKind::Series => {
                self.series.clear();
                record::decode_series(record, &mut self.series)?;
                self.series.retain(|(number, _)| (self.keep)(*number));
                if !self.series.is_empty() {
                    record::encode_series(&mut self.out, self.series.iter().map(|(number, labels)| (*number, labels)));
                }
            }
            RecordKind::Samples => {
                self.samples.clear();
                record::decode_samples(record, &mut self.samples)?;
                self.samples.retain(|sample| sample.at >= self.oldest && (self.keep)(sample.series));
                if let Some(first) = self.samples.first() {
                    let base = (first.series, first.at);
                    record::start_samples(&mut self.out, base);
                    for sample in &self.samples {
                        record::encode_sample(&mut self.out, base, *sample);
                    }
                }
            }
            RecordKind::Tombstones => {
                self.tombstones.clear();
                record::decode_tombstones(record, &mut self.tombstones)?;
                self.tombstones.retain(|tombstone| tombstone.last >= self.oldest && (self.keep)(tombstone.series));
                if !self.tombstones.is_empty() {
                    record::encode_tombstones(&mut self.out, &self.tombstones);
                }
            }
            RecordKind::Exemplars | RecordKind::Metadata | RecordKind::Unsupported(_) => return Ok(Some(record)),
            RecordKind::Unknown => {}
        }
        Ok((!self.out.is_empty()).then_some(&self.out[..]))
    }
}

/// Writes the segments of a checkpoint.
struct CheckpointWriter<'a> {
    disk: &'a dyn Disk,
    dir: PathBuf,
    options: WalOptions,
    framer: Framer,
    file: Box<dyn DiskFile>,
    segment: u64,
    len: u64,
    out: Vec<u8>,
}

/// Frames are handed to the disk in pieces of this size.
const WRITE_STEP: usize = 1 << 20;

impl<'a> CheckpointWriter<'a> {
    fn new(disk: &'a dyn Disk, dir: &Path, options: WalOptions) -> Result<Self, WalError> {
        let file = disk.open(&segment_path(dir, 0), OpenMode::Create)?;
        let framer = Framer::new(options.compress);
        Ok(CheckpointWriter { disk, dir: dir.to_owned(), options, framer, file, segment: 0, len: 0, out: Vec::new() })
    }

    fn write(&mut self, record: &[u8]) -> Result<(), WalError> {
        if self.len + self.out.len() as u64 > self.options.segment_bytes {
            self.finish()?;
            self.segment += 1;
            self.file = self.disk.open(&segment_path(&self.dir, self.segment), OpenMode::Create)?;
            self.len = 0;
        }
        self.framer.frame(record, self.len, &mut self.out);
        if self.out.len() >= WRITE_STEP {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), WalError> {
        self.file.append(&self.out)?;
        self.len += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), WalError> {
        let end = self.len as usize + self.out.len();
        self.out.resize(self.out.len() + end.next_multiple_of(super::PAGE) - end, 0);
        self.flush()?;
        self.file.sync_all()?;
        Ok(())
    }
}
