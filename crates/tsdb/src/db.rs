//! A data directory, open: head, log and blocks under one lock file, and the thread that turns one into the other.
//!
//! ```text
//! data/
//!   lock                  held (flock) while open; Prometheus uses the same
//!   isobar-format         version of what we write                        db/format.rs
//!   wal/                  the log, Prometheus' format
//!   01HF…/                blocks, Prometheus' format
//!
//! open:  lock ─► format ─► what we cannot read? refused, nothing touched ─► blocks ─► log replayed, damage repaired
//!        ─► leftovers removed ─► new log segment ─► threads
//! tick:  head spans 1½ ranges ─► block written, published ─► readers switched ─► head truncated ─► log checkpointed
//!        ─► blocks merged ─► retention                                    db/maintain.rs
//! ```
//!
//! Every step of a tick may be the last one before a crash: a block is durable before the head lets go of its samples, the
//! head's range in the blocks before the log does; what overlaps meanwhile is equal and merges to itself.
//! Locks: `tick` (one maintenance at a time) before the head's own. The list of blocks is swapped whole; a selection keeps the
//! list it began with, and removed blocks stay mapped as long.

mod format;
mod maintain;
mod open;
mod retention;
mod select;

pub use maintain::MaintainError;
pub use open::OpenError;

use crate::block::{Block, BlockMeta};
use crate::head::{Head, Health};
use crate::instruments::Instruments;
use crate::wal::SEGMENT_BYTES;
use crate::wal::flush::Flusher;
use arc_swap::ArcSwap;
use model::Millis;
use parking_lot::{Condvar, Mutex};
use runtime::cancel::{Cancel, Reason};
use runtime::clock::Clock;
use runtime::disk::{DiskLock, SharedDisk};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use ulid::Ulid;

/// How a data directory is run; defaults are Prometheus' own.
#[derive(Clone, Debug)]
pub struct DbOptions {
    /// Length of the blocks cut from the head (`--storage.tsdb.min-block-duration`). At least one second.
    pub min_block: Millis,
    /// Longest block that merging makes (`--storage.tsdb.max-block-duration`); see [`DbOptions::max_block_for`].
    pub max_block: Millis,
    /// Blocks whose newest sample is older than the newest block's by this much are removed; `None` keeps them.
    pub retention: Option<Millis>,
    /// Oldest blocks are removed while all data takes more bytes than this; 0 keeps them.
    pub retention_bytes: u64,
    /// Size of a log segment (`--storage.tsdb.wal-segment-size`).
    pub wal_segment_bytes: u64,
    /// Whether the log is compressed with snappy (`--storage.tsdb.wal-compression`).
    pub wal_compression: bool,
    /// Whether the lock file is left alone (`--storage.tsdb.no-lockfile`).
    pub no_lockfile: bool,
    /// Samples wanted in a chunk (`--storage.tsdb.samples-per-chunk`).
    pub samples_per_chunk: u16,
    /// Whether overlapping blocks are merged (`--storage.tsdb.allow-overlapping-compaction`).
    pub overlapping_compaction: bool,
    /// How often block directories are looked at anew (`--storage.tsdb.block-reload-interval`).
    pub reload_interval: Duration,
    /// Whether threads sync the log and run [`Db::tick`]. Without, the owner does both: tests on a simulated disk.
    pub background: bool,
    /// Seed of block names and identity hashes; `None` takes one from the operating system.
    pub seed: Option<u64>,
}

impl Default for DbOptions {
    fn default() -> Self {
        let retention = Millis(15 * 24 * 3_600_000);
        let min_block = Millis(2 * 3_600_000);
        DbOptions {
            min_block,
            max_block: DbOptions::max_block_for(min_block, Some(retention)),
            retention: Some(retention),
            retention_bytes: 0,
            wal_segment_bytes: SEGMENT_BYTES,
            wal_compression: true,
            no_lockfile: false,
            samples_per_chunk: 120,
            overlapping_compaction: true,
            reload_interval: Duration::from_secs(60),
            background: true,
            seed: None,
        }
    }
}

impl DbOptions {
    /// The longest block Prometheus makes when nobody says: 31 days or a tenth of the retention, at least `min_block`.
    pub fn max_block_for(min_block: Millis, retention: Option<Millis>) -> Millis {
        let month = 31 * 24 * 3_600_000;
        Millis(retention.map_or(month, |retention| month.min(retention.0 / 10)).max(min_block.0))
    }
}

/// An open data directory; implements [`storage::Append`] and [`storage::Select`].
pub struct Db {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    disk: SharedDisk,
    dir: PathBuf,
    options: DbOptions,
    clock: Clock,
    head: Head,
    blocks: ArcSwap<Vec<Block>>,
    flusher: Arc<Flusher>,
    instruments: Instruments,
    cancel: Cancel,
    tick: Mutex<Upkeep>,
    waiting: Mutex<bool>,
    wake: Condvar,
    wal_bytes: AtomicU64,
    lock: Mutex<Option<DiskLock>>,
}

impl Db {
    /// The head: its health, counts, cardinality.
    pub fn head(&self) -> &Head {
        &self.shared.head
    }

    /// Whether samples are taken, and why not.
    pub fn health(&self) -> Health {
        self.shared.head.health()
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// What the blocks say about themselves, oldest first.
    pub fn block_metas(&self) -> Vec<BlockMeta> {
        self.shared.blocks.load().iter().map(|block| block.meta().clone()).collect()
    }

    /// Makes every commit so far durable, now.
    ///
    /// # Errors
    /// Why the log takes nothing any more.
    pub fn sync(&self) -> Result<(), Arc<str>> {
        self.shared.flusher.sync()
    }

    /// Stops taking samples, ends the threads, fills up and syncs the log, gives the lock back. Queries go on. A second call
    /// does nothing.
    pub fn close(&self) {
        self.shared.head.refuse("the store is closed");
        self.shared.cancel.cancel(Reason::Shutdown);
        *self.shared.waiting.lock() = true;
        self.shared.wake.notify_all();
        self.shared.flusher.stop();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // a thread that panicked has ended the process (panics abort), or a test shows its message
            let _ = thread.join();
        }
        if let Err(error) = self.shared.head.close_log() {
            tracing::error!(%error, "the write-ahead log could not be closed");
        }
        self.shared.lock.lock().take();
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

/// What one round of maintenance leaves for the next.
struct Upkeep {
    ulids: Ulids,
    /// Blocks whose writing failed, and whose files may be there still.
    unfinished: Vec<Ulid>,
    /// A block was cut, and the log could not be shortened after it.
    log_is_long: bool,
    left_alone: LeftAlone,
}

impl Upkeep {
    fn new(seed: u64, left_alone: LeftAlone) -> Self {
        Upkeep { ulids: Ulids::new(seed), unfinished: Vec::new(), log_is_long: false, left_alone }
    }
}

/// Directories named like blocks that can not be read, with the reason, so that each is complained about once.
#[derive(Default)]
struct LeftAlone(BTreeMap<PathBuf, String>);

impl LeftAlone {
    fn say(&mut self, path: &Path, reason: String) {
        if self.0.get(path) != Some(&reason) {
            tracing::error!(error = reason, "a directory that is named like a block is left alone");
            self.0.insert(path.to_owned(), reason);
        }
    }
}

/// Names blocks: the time, and numbers nobody else has.
struct Ulids {
    state: u64,
}

impl Ulids {
    fn new(seed: u64) -> Self {
        Ulids { state: seed }
    }

    fn next(&mut self, clock: &Clock) -> Ulid {
        let random = u128::from(self.number()) << 64 | u128::from(self.number());
        Ulid::from_parts(u64::try_from(clock.now().0).unwrap_or(0), random)
    }

    /// splitmix64: every number once before one comes again.
    fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

/// A seed that the operating system chose.
fn random_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

fn load(number: &AtomicU64) -> f64 {
    number.load(Ordering::Relaxed) as f64
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
