//! Opening a data directory: everything that can refuse comes before anything that changes a byte.

use super::{Db, DbOptions, LeftAlone, Shared, Upkeep, format, random_seed};
use crate::block::{Block, BlockError, list_blocks, remove_leftovers};
use crate::compact::superseded;
use crate::head::{Head, HeadOptions, RefsExhausted, ReplayStats};
use crate::instruments::Instruments;
use crate::wal::WalError;
use crate::wal::flush::Flusher;
use crate::wal::repair::repair;
use crate::wal::segment::{Listing, checkpoint_path, list, segment_path};
use crate::wal::writer::{WalOptions, WalWriter};
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use runtime::cancel::Cancel;
use runtime::clock::Clock;
use runtime::disk::{Disk, DiskError, DiskLock, FileKind, SharedDisk, parent_of};
use runtime::instrument::Registry;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use thiserror::Error;

pub(super) const WAL_DIR: &str = "wal";
const LOCK_FILE: &str = "lock";

/// Why a data directory cannot be opened. Nothing in it was changed, but for damage in the log, whose repair may have begun.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Somebody else has it open.
    #[error("data directory {} is in use: {holder}", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// Who, where the system says it.
        holder: String,
    },
    /// It holds something that this version cannot read, and would hide by going on.
    #[error("data directory {} is left untouched: {reason}", dir.display())]
    Refused {
        /// The directory.
        dir: PathBuf,
        /// What is in it.
        reason: String,
    },
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log cannot be read.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// A block is damaged.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The log leaves no room for new series.
    #[error(transparent)]
    Refs(#[from] RefsExhausted),
}

impl Db {
    /// Opens a data directory, making it if missing.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        disk: SharedDisk,
        dir: &Path,
        options: DbOptions,
        clock: Clock,
        registry: &Registry,
    ) -> Result<Self, OpenError> {
        let begun = clock.instant();
        if !disk.exists(dir)? {
            disk.create_dir_all(dir)?;
            disk.sync_dir(parent_of(dir))?;
        }
        let had_lock = disk.exists(&dir.join(LOCK_FILE))?;
        let lock = take_lock(&*disk, dir, &options)?;
        let opened = Opening::new(&disk, dir, &options, &clock, registry).and_then(Opening::finish);
        let shared = match opened {
            Ok(parts) => parts.share(disk, dir, options, clock, lock),
            Err(error) => {
                if !had_lock && lock.is_some() {
                    let _ = disk.remove_file(&dir.join(LOCK_FILE)); // the refusal is what matters
                }
                return Err(error);
            }
        };
        shared.instruments.replay_seconds.set(shared.clock.elapsed(begun).as_secs_f64());
        let db = Db { shared: Arc::new(shared), threads: Mutex::new(Vec::new()) };
        db.shared.clone().register_gauges(registry);
        db.start_threads();
        Ok(db)
    }
}

fn take_lock(disk: &dyn Disk, dir: &Path, options: &DbOptions) -> Result<Option<DiskLock>, OpenError> {
    if options.no_lockfile {
        return Ok(None);
    }
    match disk.lock(&dir.join(LOCK_FILE)) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(OpenError::Locked { dir: dir.to_owned(), holder: error.io().to_string() })
        }
        Err(error) => Err(error.into()),
    }
}

/// A directory that was read and not refused; nothing in it has been changed.
struct Opening {
    disk: SharedDisk,
    dir: PathBuf,
    wal_dir: PathBuf,
    wal_options: WalOptions,
    ours: bool,
    blocks: Vec<Block>,
    left_alone: LeftAlone,
    head: Head,
    flusher: Arc<Flusher>,
    instruments: Instruments,
    last_segment: Option<u64>,
    damage: Option<(u64, WalError)>,
    seed: u64,
}

/// What an open directory consists of.
struct Parts {
    blocks: Vec<Block>,
    left_alone: LeftAlone,
    head: Head,
    flusher: Arc<Flusher>,
    instruments: Instruments,
    seed: u64,
}

impl Opening {
    fn new(
        disk: &SharedDisk,
        dir: &Path,
        options: &DbOptions,
        clock: &Clock,
        registry: &Registry,
    ) -> Result<Self, OpenError> {
        let ours = format::is_ours(&**disk, dir)?;
        format::check_files(&**disk, dir)?;
        let mut left_alone = LeftAlone::default();
        let blocks = load_blocks(&**disk, dir, &mut left_alone)?;
        if !ours {
            for block in &blocks {
                format::check_block(dir, block)?;
            }
        }
        let instruments = Instruments::new(registry);
        let flusher = Arc::new(Flusher::new(clock.clone(), instruments.wal_fsync.clone(), !options.background));
        let seed = options.seed.unwrap_or_else(random_seed);
        let head_options =
            HeadOptions { chunk_range: options.min_block.0, samples_per_chunk: options.samples_per_chunk, seed };
        let oldest = blocks.iter().map(|block| block.meta().max_time).max().unwrap_or(i64::MIN);
        let head = Head::new(head_options, oldest, flusher.clone(), instruments.clone());
        let mut opening = Opening {
            disk: disk.clone(),
            dir: dir.to_owned(),
            wal_dir: dir.join(WAL_DIR),
            wal_options: WalOptions { segment_bytes: options.wal_segment_bytes, compress: options.wal_compression },
            ours,
            blocks,
            left_alone,
            head,
            flusher,
            instruments,
            last_segment: None,
            damage: None,
            seed,
        };
        opening.replay()?;
        Ok(opening)
    }

    fn replay(&mut self) -> Result<(), OpenError> {
        let listing = list(&*self.disk, &self.wal_dir)?;
        check_gap(&self.wal_dir, &listing)?;
        self.last_segment = listing.segments.last().copied().max(listing.checkpoint());
        let mut replay = self.head.replay();
        if let Some(number) = listing.checkpoint() {
            let checkpoint = checkpoint_path(&self.wal_dir, number);
            for segment in list(&*self.disk, &checkpoint)?.segments {
                replay.segment(&*self.disk, &segment_path(&checkpoint, segment)).map_err(|e| self.refuse(e))?;
            }
        }
        for segment in listing.replayed() {
            match replay.segment(&*self.disk, &segment_path(&self.wal_dir, segment)) {
                Ok(()) => {}
                Err(error @ WalError::Damaged { .. }) => {
                    self.damage = Some((segment, error));
                    self.last_segment = Some(segment);
                    break;
                }
                Err(error) => return Err(self.refuse(error)),
            }
        }
        let stats = replay.finish(self.last_segment.unwrap_or(0))?;
        tell(&stats);
        Ok(())
    }

    fn refuse(&self, error: WalError) -> OpenError {
        match error {
            WalError::Unsupported { .. } => format::refused(&self.dir, error.to_string()),
            other => OpenError::Wal(other),
        }
    }

    /// From here on the directory is ours to change.
    fn finish(mut self) -> Result<Parts, OpenError> {
        if !self.ours {
            format::mark(&*self.disk, &self.dir)?;
        }
        self.remove_leftovers()?;
        if let Some((number, error)) = self.damage.take() {
            self.repair(number, error)?;
        }
        let next = self.last_segment.map_or(0, |last| last + 1);
        let wal = WalWriter::open(self.disk.clone(), &self.wal_dir, next, self.wal_options, self.flusher.clone())?;
        self.head.start_logging(wal);
        Ok(Parts {
            blocks: self.blocks,
            left_alone: self.left_alone,
            head: self.head,
            flusher: self.flusher,
            instruments: self.instruments,
            seed: self.seed,
        })
    }

    fn repair(&self, number: u64, error: WalError) -> Result<(), OpenError> {
        let WalError::Damaged { path, offset, sound, reason } = &error else { return Err(error.into()) };
        tracing::warn!(
            segment = %path.display(), offset, reason, kept = sound,
            "the write-ahead log is damaged: everything before the damage is kept, the rest of the log is dropped"
        );
        self.instruments.wal_corruptions.inc();
        Ok(repair(&*self.disk, &self.wal_dir, number, *sound)?)
    }

    fn remove_leftovers(&self) -> Result<(), OpenError> {
        for path in remove_leftovers(&*self.disk, &self.dir)? {
            tracing::info!(path = %path.display(), "removed what an earlier run left unfinished");
        }
        for (dir, suffixes) in [(&self.dir, &[".tmp"][..]), (&self.wal_dir, &[".tmp", ".repair"][..])] {
            let entries = match self.disk.list(dir) {
                Ok(entries) => entries,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            };
            for entry in entries {
                let unfinished = suffixes.iter().any(|suffix| entry.name.ends_with(suffix));
                let known = ["checkpoint.", "chunk_snapshot.", format::FORMAT_FILE, "0"];
                if !unfinished || !known.iter().any(|prefix| entry.name.starts_with(prefix)) {
                    continue;
                }
                let path = dir.join(&entry.name);
                match entry.kind {
                    FileKind::Dir => {
                        // else a power loss might bring a finished name back, with half of what it named
                        self.disk.sync_dir(dir)?;
                        self.disk.remove_dir_all(&path)?;
                    }
                    _ => self.disk.remove_file(&path)?,
                }
                tracing::info!(path = %path.display(), "removed what an earlier run left unfinished");
            }
        }
        for block in &self.blocks {
            for name in ["meta.json.tmp", "tombstones.tmp"] {
                let path = block.dir().join(name);
                if self.disk.exists(&path)? {
                    self.disk.remove_file(&path)?;
                }
            }
        }
        Ok(())
    }
}

impl Parts {
    fn share(self, disk: SharedDisk, dir: &Path, options: DbOptions, clock: Clock, lock: Option<DiskLock>) -> Shared {
        let kept = super::retention::sorted(self.blocks);
        Shared {
            disk,
            dir: dir.to_owned(),
            options,
            clock,
            head: self.head,
            blocks: ArcSwap::from_pointee(kept),
            flusher: self.flusher,
            instruments: self.instruments,
            cancel: Cancel::new(),
            tick: Mutex::new(Upkeep::new(self.seed, self.left_alone)),
            waiting: Mutex::new(false),
            wake: Condvar::new(),
            wal_bytes: AtomicU64::new(0),
            lock: Mutex::new(lock),
        }
    }
}

/// Opens every block that is one and that no other replaces. What is no block is named and left alone, as in the original;
/// a damaged block is an error.
fn load_blocks(disk: &dyn Disk, dir: &Path, left_alone: &mut LeftAlone) -> Result<Vec<Block>, OpenError> {
    let mut blocks = Vec::new();
    for (_, path) in list_blocks(disk, dir)? {
        match Block::open(disk, &path) {
            Ok(block) => blocks.push(block),
            Err(error @ BlockError::Meta { .. }) => left_alone.say(&path, error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    let replaced = superseded(blocks.iter().map(Block::meta).collect::<Vec<_>>());
    blocks.retain(|block| !replaced.contains(&block.meta().ulid));
    Ok(blocks)
}

/// Segments must go on where the checkpoint ends.
fn check_gap(dir: &Path, listing: &Listing) -> Result<(), WalError> {
    match (listing.checkpoint(), listing.replayed().next()) {
        (Some(covered), Some(first)) if first > covered + 1 => {
            Err(WalError::Gap { dir: dir.to_owned(), missing: covered + 1 })
        }
        _ => Ok(()),
    }
}

fn tell(stats: &ReplayStats) {
    tracing::info!(samples = stats.samples, passed_over = stats.passed_over, "write-ahead log replayed");
    if stats.skipped_records > 0 {
        let records = stats.skipped_records;
        tracing::warn!(records, "the log holds records of a kind that nobody writes: passed over");
    }
    if stats.unknown > 0 {
        tracing::warn!(samples = stats.unknown, "the log holds samples of series that it does not define: passed over");
    }
}
