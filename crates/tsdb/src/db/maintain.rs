//! Maintenance: blocks cut from the head, the log shortened, blocks merged, old ones removed.
//!
//! One thread does it, once a second to once a minute; [`Db::tick`] is one round. Each step is complete in itself: an error
//! ends the round, is counted and said, and a later round begins again: the pause doubles up to a minute, so that a full
//! disk is neither written to nor spoken of every second. Retention has its turn in every round, also when no block could be
//! cut: on a full disk it is what makes room.

use super::open::WAL_DIR;
use super::retention::{Aged, sorted, too_much, too_old};
use super::{Db, LeftAlone, Shared, Upkeep, format, load};
use crate::block::{Block, BlockError, BlockMeta, CREATING, DELETING, delete_block, list_blocks, write_block};
use crate::compact::{block_ranges, compact, plan, superseded};
use crate::head::block_range_end;
use crate::wal::WalError;
use crate::wal::checkpoint::checkpoint;
use crate::wal::segment::{checkpoint_path, list, segment_path};
use crate::wal::writer::WalOptions;
use model::{TimeRange, Timestamp};
use runtime::disk::DiskError;
use runtime::instrument::Registry;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use storage::CommitError;
use thiserror::Error;
use ulid::Ulid;

/// What a round stopped at.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MaintainError {
    /// Cutting, merging or removing a block.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// Shortening the log.
    #[error("cannot shorten the write-ahead log: {0}")]
    Wal(#[from] WalError),
    /// Opening a new log segment.
    #[error("cannot begin a log segment: {0}")]
    Log(#[from] CommitError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Db {
    pub(super) fn start_threads(&self) {
        if !self.shared.options.background {
            return;
        }
        let mut threads = self.threads.lock();
        let flusher = self.shared.flusher.clone();
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
            spawned.expect("a process that starts can start two more threads")
        };
        threads.push(spawn("wal-flush", Box::new(move || flusher.run())));
        let shared = self.shared.clone();
        threads.push(spawn("tsdb-maintain", Box::new(move || shared.run())));
    }

    /// One round of maintenance, on this thread. With `background` off its owner calls it now and then.
    ///
    /// # Errors
    /// What the round stopped at; it was logged and counted.
    pub fn tick(&self) -> Result<(), MaintainError> {
        self.shared.round()
    }
}

/// The longest pause after rounds that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause before the next round, after `failed` rounds in a row that ended with an error.
fn pause_after(failed: u32, usual: Duration) -> Duration {
    usual.saturating_mul(1 << failed.min(10)).min(LONGEST_PAUSE.max(usual))
}

impl Shared {
    /// The maintenance thread.
    fn run(&self) {
        // a block is cut within a sixtieth of its length
        let pause = Duration::from_millis(u64::try_from(self.options.min_block.0 / 60).unwrap_or(1000))
            .clamp(Duration::from_secs(1), self.options.reload_interval.max(Duration::from_secs(1)));
        let mut failed = 0;
        let mut stop = self.waiting.lock();
        while !*stop {
            drop(stop);
            match self.round() {
                Ok(()) if failed > 0 => {
                    tracing::info!(failed_rounds = failed, "maintenance of the data directory goes on");
                    failed = 0;
                }
                Ok(()) => {}
                Err(_) => failed += 1, // logged there
            }
            stop = self.waiting.lock();
            if !*stop {
                self.wake.wait_for(&mut stop, pause_after(failed, pause));
            }
        }
    }

    fn round(&self) -> Result<(), MaintainError> {
        let mut upkeep = self.tick.lock();
        let done = self.steps(&mut upkeep);
        if let Err(error) = &done
            && !matches!(error, MaintainError::Block(BlockError::Cancelled))
        {
            self.instruments.compactions_failed.inc();
            tracing::error!(%error, "maintenance of the data directory stopped; it begins again in a while");
        }
        done
    }

    fn steps(&self, upkeep: &mut Upkeep) -> Result<(), MaintainError> {
        self.instruments.compactions_triggered.inc();
        self.look_after_log();
        self.remove_unfinished(&mut upkeep.unfinished)?;
        self.reload(&mut upkeep.left_alone)?;
        let compacted = self.cut_and_merge(upkeep);
        let removed = self.remove_old();
        let measured = self.log_bytes().map(|bytes| self.wal_bytes.store(bytes, Ordering::Relaxed));
        compacted.and(removed).and(measured)
    }

    /// A log whose file was removed goes on taking writes, into a file without a name: what it acknowledged would be gone at
    /// the next start. It is poisoned instead.
    fn look_after_log(&self) {
        let Some(current) = self.head.wal_segment() else { return };
        let path = segment_path(&self.dir.join(WAL_DIR), current);
        // a segment is removed by us only when a later one is written to
        if self.flusher.failed().is_none() && matches!(self.disk.exists(&path), Ok(false)) {
            let reason = format!("the write-ahead log {} was removed by somebody; start again", path.display());
            tracing::error!(reason, "samples are refused from now on");
            self.flusher.poison(&reason);
        }
    }

    /// Removes what blocks left that could not be written or removed whole. Unfinished blocks of others (promtool writes them
    /// into a directory in use) stay.
    fn remove_unfinished(&self, unfinished: &mut Vec<Ulid>) -> Result<(), MaintainError> {
        let mut left = Vec::new();
        for entry in self.disk.list(&self.dir)? {
            let stem = |suffix| entry.name.strip_suffix(suffix).and_then(|stem| Ulid::from_string(stem).ok());
            if stem(DELETING).is_some() || stem(CREATING).is_some_and(|ulid| unfinished.contains(&ulid)) {
                left.push(self.dir.join(&entry.name));
            }
        }
        if !left.is_empty() {
            // else a power loss might bring a block's own name back, with half of the block
            self.disk.sync_dir(&self.dir)?;
        }
        for path in left {
            self.disk.remove_dir_all(&path)?;
        }
        unfinished.clear();
        Ok(())
    }

    fn cut_and_merge(&self, upkeep: &mut Upkeep) -> Result<(), MaintainError> {
        let mut cut = false;
        while self.head.is_compactable() && !self.cancel.is_cancelled() {
            self.cut_block(upkeep)?;
            cut = true;
            upkeep.log_is_long = true;
        }
        if upkeep.log_is_long {
            self.shorten_log(cut)?;
            upkeep.log_is_long = false;
        }
        while !self.head.is_compactable() && self.merge_blocks(upkeep)? {}
        Ok(())
    }

    /// Writes the head's oldest range as a block, then lets the head forget it.
    fn cut_block(&self, upkeep: &mut Upkeep) -> Result<(), MaintainError> {
        let Some(min) = self.head.min_time() else { return Ok(()) };
        let end = block_range_end(min.0, self.options.min_block.0);
        let range = TimeRange::new(min, Timestamp(end));
        let begun = self.clock.instant();
        let chunks = self.head.chunks_within(range);
        let ulid = upkeep.ulids.next(&self.clock);
        let meta = BlockMeta::of_head(ulid, range);
        let symbols = chunks.symbols()?;
        let series =
            chunks.map(|series| if self.cancel.is_cancelled() { Err(BlockError::Cancelled) } else { Ok(series) });
        let written =
            write_block(&self.disk, &self.dir, meta, symbols, series).inspect_err(|_| upkeep.unfinished.push(ulid))?;
        if let Some((meta, path)) = &written {
            self.publish(Block::open(&*self.disk, path)?, &BTreeSet::new());
            tracing::info!(
                block = %meta.ulid, from = meta.min_time, to = meta.max_time,
                series = meta.stats.num_series, samples = meta.stats.num_samples, "block written"
            );
        }
        self.instruments.compactions.inc();
        self.instruments.compaction_duration.observe_duration(self.clock.elapsed(begun));
        self.instruments.truncations.inc();
        let begun = self.clock.instant();
        let removed = self.head.truncate(end);
        debug_assert!(self.head.min_time().is_none_or(|min| min.0 >= end), "chunks do not cross block borders");
        self.instruments.gc_duration.observe_duration(self.clock.elapsed(begun));
        tracing::debug!(series = removed.series, chunks = removed.chunks, "head truncated");
        Ok(())
    }

    /// Replaces the older two thirds of the log by a checkpoint. `cut`: a new segment is begun first; a second attempt does
    /// not, or a log that can not be shortened would gain a segment a minute.
    fn shorten_log(&self, cut: bool) -> Result<(), MaintainError> {
        let begun = self.clock.instant();
        let dir = self.dir.join(WAL_DIR);
        let current = if cut { Some(self.head.cut_log()?) } else { self.head.wal_segment() };
        let Some(current) = current else { return Ok(()) };
        let listing = list(&*self.disk, &dir)?;
        let Some(first) = listing.replayed().next() else { return Ok(()) };
        let last = first + current.saturating_sub(1).saturating_sub(first) * 2 / 3;
        if last <= first {
            return Ok(());
        }
        self.instruments.wal_truncations.inc();
        self.instruments.checkpoints.inc();
        let kept = self.head.log_numbers_kept(last);
        let options =
            WalOptions { segment_bytes: self.options.wal_segment_bytes, compress: self.options.wal_compression };
        let oldest = self.head.oldest_valid();
        checkpoint(&*self.disk, &dir, last, options, &|number| kept.has(number), oldest).inspect_err(|_| {
            self.instruments.checkpoints_failed.inc();
            self.instruments.wal_truncations_failed.inc();
        })?;
        self.instruments.wal_truncate_duration.observe_duration(self.clock.elapsed(begun));
        tracing::info!(segments = %format_args!("{first}..={last}"), "log shortened to a checkpoint");
        Ok(())
    }

    /// Merges one set of blocks; false when there is nothing to merge.
    fn merge_blocks(&self, upkeep: &mut Upkeep) -> Result<bool, MaintainError> {
        let ranges = block_ranges(self.options.min_block, self.options.max_block);
        let blocks = self.blocks.load_full();
        let planned = plan(blocks.iter().map(Block::meta), &ranges, self.options.overlapping_compaction);
        if planned.is_empty() || self.cancel.is_cancelled() {
            return Ok(false);
        }
        let begun = self.clock.instant();
        let gone: BTreeSet<Ulid> = planned.into_iter().collect();
        let parents: Vec<Block> = blocks.iter().filter(|block| gone.contains(&block.meta().ulid)).cloned().collect();
        let ulid = upkeep.ulids.next(&self.clock);
        let merged = compact(&self.disk, &self.dir, ulid, &parents, &self.cancel)
            .inspect_err(|_| upkeep.unfinished.push(ulid))?;
        if let Some((meta, path)) = &merged {
            self.publish(Block::open(&*self.disk, path)?, &gone);
            tracing::info!(block = %meta.ulid, parents = parents.len(), level = meta.compaction.level, "blocks merged");
        } else {
            self.forget(&gone);
        }
        self.instruments.compactions.inc();
        self.instruments.compaction_duration.observe_duration(self.clock.elapsed(begun));
        for parent in &parents {
            delete_block(&*self.disk, parent.dir())?;
        }
        Ok(true)
    }

    fn remove_old(&self) -> Result<(), MaintainError> {
        let blocks = self.blocks.load_full();
        let aged: Vec<Aged> = blocks.iter().map(Aged::of).collect();
        let old = too_old(&aged, self.options.retention);
        let left: Vec<Aged> = aged.into_iter().filter(|block| !old.contains(&block.ulid)).collect();
        let much = match self.options.retention_bytes {
            0 => BTreeSet::new(),
            limit => too_much(&left, self.log_bytes()?, limit),
        };
        for (gone, counter, why) in
            [(&old, &self.instruments.time_retentions, "age"), (&much, &self.instruments.size_retentions, "size")]
        {
            if gone.is_empty() {
                continue;
            }
            counter.inc();
            self.forget(gone);
            for block in blocks.iter().filter(|block| gone.contains(&block.meta().ulid)) {
                delete_block(&*self.disk, block.dir())?;
                tracing::info!(block = %block.meta().ulid, why, "block removed by retention");
            }
        }
        Ok(())
    }

    /// Takes in blocks that somebody put into the directory, lets go of those that were taken away, removes those that others
    /// replace.
    fn reload(&self, left_alone: &mut LeftAlone) -> Result<(), MaintainError> {
        let reread = self.reread(left_alone);
        self.instruments.reloads.inc();
        if reread.is_err() {
            self.instruments.reload_failures.inc();
        }
        reread
    }

    fn reread(&self, left_alone: &mut LeftAlone) -> Result<(), MaintainError> {
        let known = self.blocks.load_full();
        left_alone.0.retain(|path, _| self.disk.exists(path).unwrap_or(true));
        let mut blocks = Vec::new();
        for (ulid, path) in list_blocks(&*self.disk, &self.dir)? {
            match known.iter().find(|block| block.meta().ulid == ulid || block.dir() == path) {
                Some(block) => blocks.push(block.clone()),
                None => blocks.extend(self.adopt(&path, left_alone)),
            }
        }
        let replaced = superseded(blocks.iter().map(Block::meta).collect::<Vec<_>>());
        let (gone, kept): (Vec<Block>, Vec<Block>) =
            blocks.into_iter().partition(|block| replaced.contains(&block.meta().ulid));
        self.blocks.store(Arc::new(sorted(kept)));
        for block in gone {
            delete_block(&*self.disk, block.dir())?;
        }
        Ok(())
    }

    /// Opens a block that appeared; one that cannot be read is named and left alone.
    fn adopt(&self, path: &Path, left_alone: &mut LeftAlone) -> Option<Block> {
        let opened = Block::open(&*self.disk, path).map_err(|error| error.to_string());
        let checked = opened.and_then(|block| {
            format::check_block(&self.dir, &block).map_err(|error| error.to_string())?;
            Ok(block)
        });
        checked
            .map_err(|error| {
                self.instruments.reload_failures.inc();
                left_alone.say(path, error);
            })
            .ok()
    }

    fn publish(&self, block: Block, gone: &BTreeSet<Ulid>) {
        let mut blocks: Vec<Block> =
            self.blocks.load().iter().filter(|block| !gone.contains(&block.meta().ulid)).cloned().collect();
        blocks.push(block);
        self.blocks.store(Arc::new(sorted(blocks)));
    }

    fn forget(&self, gone: &BTreeSet<Ulid>) {
        let left = self.blocks.load().iter().filter(|block| !gone.contains(&block.meta().ulid)).cloned().collect();
        self.blocks.store(Arc::new(left));
    }

    /// Bytes of segments and checkpoints.
    fn log_bytes(&self) -> Result<u64, MaintainError> {
        let dir = self.dir.join(WAL_DIR);
        let listing = list(&*self.disk, &dir)?;
        let mut bytes = 0;
        for number in &listing.segments {
            bytes += self.disk.metadata(&segment_path(&dir, *number)).map_or(0, |file| file.len);
        }
        for number in &listing.checkpoints {
            let inner = checkpoint_path(&dir, *number);
            for segment in list(&*self.disk, &inner)?.segments {
                bytes += self.disk.metadata(&segment_path(&inner, segment)).map_or(0, |file| file.len);
            }
        }
        Ok(bytes)
    }

    /// Gauges ask the store when they are gathered; a closed store answers 0.
    pub(super) fn register_gauges(self: Arc<Self>, registry: &Registry) {
        let weak = Arc::downgrade(&self);
        let gauge = |name: &str, help: &str, ask: fn(&Shared) -> f64| {
            let weak: Weak<Shared> = weak.clone();
            registry.gauge_fn(name, help, move || weak.upgrade().map_or(0.0, |shared| ask(&shared)));
        };
        gauge("prometheus_tsdb_head_series", "Total number of series in the head.", |s| s.head.series_count() as f64);
        gauge("prometheus_tsdb_head_chunks", "Total number of chunks in the head.", |s| s.head.chunk_count() as f64);
        gauge("prometheus_tsdb_head_min_time", "Time of the head's oldest sample, milliseconds.", |s| {
            s.head.min_time().map_or(i64::MAX as f64, |time| time.0 as f64)
        });
        gauge("prometheus_tsdb_head_max_time", "Time of the head's newest sample, milliseconds.", |s| {
            s.head.max_time().map_or(i64::MIN as f64, |time| time.0 as f64)
        });
        gauge("prometheus_tsdb_head_min_time_seconds", "Time of the head's oldest sample, seconds.", |s| {
            s.head.min_time().map_or((i64::MAX / 1000) as f64, |time| (time.0 / 1000) as f64)
        });
        gauge("prometheus_tsdb_head_max_time_seconds", "Time of the head's newest sample, seconds.", |s| {
            s.head.max_time().map_or((i64::MIN / 1000) as f64, |time| (time.0 / 1000) as f64)
        });
        gauge("prometheus_tsdb_lowest_timestamp", "Lowest timestamp in the store, milliseconds.", |s| s.lowest());
        gauge("prometheus_tsdb_lowest_timestamp_seconds", "Lowest timestamp in the store, seconds.", |s| {
            (s.lowest() / 1000.0).floor()
        });
        gauge("prometheus_tsdb_head_active_appenders", "Number of appenders open.", |s| s.head.open_appenders() as f64);
        gauge("prometheus_tsdb_symbol_table_size_bytes", "Bytes of label names and values in memory.", |s| {
            s.head.symbol_bytes() as f64
        });
        gauge("prometheus_tsdb_blocks_loaded", "Number of blocks open.", |s| s.blocks.load().len() as f64);
        gauge("prometheus_tsdb_storage_blocks_bytes", "Bytes of all blocks on disk.", |s| {
            s.blocks.load().iter().map(Block::size).sum::<u64>() as f64
        });
        gauge("prometheus_tsdb_wal_segment_current", "Number of the log segment written to.", |s| {
            s.head.wal_segment().map_or(-1.0, |segment| segment as f64)
        });
        gauge("prometheus_tsdb_wal_storage_size_bytes", "Bytes of the log on disk, as of the last round.", |s| {
            load(&s.wal_bytes)
        });
        gauge(
            "prometheus_tsdb_retention_limit_bytes",
            "Bytes that data may take before blocks are removed, 0 for any.",
            |s| s.options.retention_bytes as f64,
        );
        gauge("prometheus_tsdb_retention_limit_seconds", "How long data is kept, 0 for ever.", |s| {
            s.options.retention.map_or(0.0, |retention| retention.0 as f64 / 1000.0)
        });
        gauge(
            "isobar_tsdb_takes_samples",
            "1 while samples are taken; 0 with a full disk, after a failed sync, when closed.",
            |s| f64::from(u8::from(s.head.health() == crate::head::Health::Good)),
        );
    }

    /// The lowest timestamp in the store: the oldest block's begin, else the head's.
    fn lowest(&self) -> f64 {
        match self.blocks.load().first() {
            Some(oldest) => oldest.meta().min_time as f64,
            None => self.head.min_time().map_or(i64::MAX as f64, |time| time.0 as f64),
        }
    }
}
