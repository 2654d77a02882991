//! The log: numbered records on disk, in order, each there entirely or not at all.
//!
//! ```text
//!  owners ── append(kind, bytes) → (LSN, ticket)          one lock, one copy, no system call
//!                   │
//!             pending buffer ── writer thread: pwrite, fdatasync, mark.advance(LSN)      all that queued meanwhile
//!                   │                                                                    shares one fdatasync
//!  dir/ 00000000000000000001.log   full, synced, never written again
//!       00000000000000000873.log   open: frames, then preallocated zeros
//!       snapshot-00000000000000000901   the owner's state as of LSN 901; segments wholly before it are deleted
//! ```
//!
//! Invariants
//! - LSNs are consecutive from 1; a ticket is settled only when its record and all before it are on disk;
//! - a segment is created only when everything in the one before it is synced; so after a crash only the last can be
//!   torn, and what is torn was never acknowledged: it is cut off. Damage anywhere else refuses to open, unless the owner
//!   has damaged records passed over;
//! - after a failed write or fsync the log is poisoned: it takes no record any more and says why. The one exception is
//!   a full disk while writing (not while syncing): the writer keeps its batch and tries again after
//!   [`LogOptions::full_disk_pause`]; until it succeeds appends are refused ([`LogError::Full`]), said once at each end.
//!
//! Limits: [`LogOptions::record_bytes_max`] for one record, [`LogOptions::pending_bytes_max`] for what waits
//! (beyond it [`LogError::Busy`]). Who writes what: `state` is guarded by one mutex, held for a copy at most; the open
//! segment belongs to the writer thread alone.
//!
//! Cost: an append is a copy and a CRC; a batch is one pwrite and one fdatasync. Format: `docs/format/log.md`.

mod frame;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

pub use frame::{FRAME_HEADER, Found, decode, encode};
pub use segment::SEGMENT_HEADER;

use crate::disk::{Disk, DiskError, SharedDisk, parent_of};
use crate::ticket::{DurableMark, Ticket};
use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use writer::{OpenSegment, Writer};

/// Log sequence number: 1 for the first record ever, then one more each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The number behind this one.
    pub fn next(self) -> Lsn {
        Lsn(self.0.saturating_add(1))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What can go wrong with a log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file is not what was written there.
    #[error("log is damaged: {what} ({path}, offset {offset})", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What was found.
        what: String,
    },
    /// A write or fsync failed before; nothing is taken any more.
    #[error("log is poisoned: {0}")]
    Poisoned(Arc<str>),
    /// Too much is waiting to be written; try again.
    #[error("log is busy: {pending} bytes wait to be written, the limit is {limit}")]
    Busy {
        /// Bytes waiting.
        pending: usize,
        /// [`LogOptions::pending_bytes_max`].
        limit: usize,
    },
    /// The disk is full: what was taken before waits for room, nothing more is taken until there is some.
    #[error("the disk is full, nothing is taken until there is room: {0}")]
    Full(Arc<str>),
    /// The record is longer than the log takes.
    #[error("record of {len} bytes is above the log's limit of {limit}")]
    TooLarge {
        /// Bytes of the record.
        len: usize,
        /// [`LogOptions::record_bytes_max`].
        limit: usize,
    },
    /// The owner could not use what the log gave back.
    #[error("cannot replay record {lsn}: {what}")]
    Replay {
        /// The record.
        lsn: Lsn,
        /// What the owner said.
        what: String,
    },
    /// A snapshot was offered for records that are not on disk yet.
    #[error("cannot keep a snapshot of record {lsn}: only {durable} is on disk")]
    SnapshotAhead {
        /// The snapshot's record.
        lsn: Lsn,
        /// What is durable.
        durable: Lsn,
    },
}

impl LogError {
    fn corrupt(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        LogError::Corrupt { path: path.to_owned(), offset, what: what.into() }
    }
}

/// Sizes of a log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Names the writer thread (`log-<name>`).
    pub name: &'static str,
    /// Bytes preallocated per segment; a segment is left when a batch does not fit any more. Default 4 MiB.
    pub segment_bytes: u64,
    /// Longest payload of one record. Default 8 MiB.
    pub record_bytes_max: usize,
    /// Most bytes that may wait for the writer. Default 16 MiB.
    pub pending_bytes_max: usize,
    /// How long the writer waits for room on a full disk before it tries again. Default 500 ms.
    pub full_disk_pause: Duration,
    /// Whether a damaged record with intact ones behind it is passed over, for owners whose records stand for themselves.
    /// Else the last segment is cut there, and damage in another one refuses to open. Default false.
    pub skip_damaged: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            name: "log",
            segment_bytes: 4 << 20,
            record_bytes_max: 8 << 20,
            pending_bytes_max: 16 << 20,
            full_disk_pause: Duration::from_millis(500),
            skip_damaged: false,
        }
    }
}

/// What a log shows its owner while it opens, in order: the snapshot if there is one, then every record behind it.
#[derive(Debug)]
pub enum Entry<'a> {
    /// The owner's state as of `lsn`.
    Snapshot {
        /// The last record inside.
        lsn: Lsn,
        /// What the owner stored.
        body: &'a [u8],
    },
    /// One record.
    Record {
        /// Its number.
        lsn: Lsn,
        /// What the owner calls it.
        kind: u8,
        /// The owner's bytes.
        payload: &'a [u8],
    },
}

/// What opening found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records shown to the owner.
    pub records: u64,
    /// Bytes at the end that were cut off, or left behind in a segment that is not written to any more: a torn write, of
    /// which nothing was ever acknowledged, or damage that reaches to the end.
    pub torn_bytes: u64,
    /// Damaged records that were passed over ([`LogOptions::skip_damaged`]).
    pub damaged_records: u64,
    /// There is a snapshot, but no segment that could have been written to after it: somebody removed or emptied it.
    pub last_segment_missing: bool,
}

/// Counters since the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Records appended.
    pub records: u64,
    /// Batches written, each with one fdatasync.
    pub batches: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Segments there are now.
    pub segments: usize,
    /// Bytes waiting for the writer.
    pub pending_bytes: usize,
    /// Bytes appended since the last snapshot: what a replay would read.
    pub bytes_since_snapshot: u64,
}

/// An open log. Dropping it writes what waits and ends the writer thread.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    disk: SharedDisk,
    dir: PathBuf,
    options: LogOptions,
    mark: DurableMark,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    /// Frames that the writer has not taken yet.
    pending: Vec<u8>,
    next: Lsn,
    /// First LSN of every segment; the last one is open.
    segments: Vec<Lsn>,
    snapshot: Option<Lsn>,
    poisoned: Option<Arc<str>>,
    /// Why the batch that the writer holds cannot be written yet.
    full: Option<Arc<str>>,
    closing: bool,
    stats: LogStats,
}

impl Log {
    /// Opens the log in `dir` (made if missing), shows `visit` what it holds, repairs a torn end.
    /// The caller holds a lock that keeps other processes out.
    pub fn open(
        disk: SharedDisk,
        dir: &Path,
        options: LogOptions,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), String>,
    ) -> Result<(Log, Recovery), LogError> {
        make_dir(&*disk, dir)?;
        let found = find_files(&*disk, dir)?;
        let mut recovery = Recovery::default();
        let (segments, open, next) = replay(&disk, dir, &options, &found, &mut recovery, visit)?;
        let stats = LogStats { segments: segments.len(), ..LogStats::default() };
        let state = State {
            pending: Vec::new(),
            next,
            segments,
            snapshot: found.snapshots.last().copied(),
            poisoned: None,
            full: None,
            closing: false,
            stats,
        };
        let mark = DurableMark::new();
        mark.advance(next.0.saturating_sub(1));
        let name = format!("log-{}", options.name);
        let shared = Arc::new(Shared {
            disk,
            dir: dir.to_owned(),
            options,
            mark,
            state: Mutex::new(state),
            wake: Condvar::new(),
        });
        let mut log = Log { shared: Arc::clone(&shared), writer: None };
        log.drop_covered()?;
        let writer = Writer::new(shared, open);
        let thread = std::thread::Builder::new().name(name).spawn(move || writer.run());
        let thread =
            thread.map_err(|e| LogError::Poisoned(Arc::from(format!("cannot start the log's writer: {e}"))))?;
        log.writer = Some(thread);
        Ok((log, recovery))
    }

    /// Takes a record. The ticket settles when it is on disk.
    pub fn append(&self, kind: u8, payload: &[u8]) -> Result<(Lsn, Ticket), LogError> {
        let options = &self.shared.options;
        if payload.len() > options.record_bytes_max {
            return Err(LogError::TooLarge { len: payload.len(), limit: options.record_bytes_max });
        }
        let mut state = self.shared.state.lock();
        if let Some(reason) = &state.poisoned {
            return Err(LogError::Poisoned(Arc::clone(reason)));
        }
        if let Some(reason) = &state.full {
            return Err(LogError::Full(Arc::clone(reason)));
        }
        let pending = state.pending.len();
        if pending + payload.len() > options.pending_bytes_max {
            return Err(LogError::Busy { pending, limit: options.pending_bytes_max });
        }
        let lsn = state.next;
        frame::encode(lsn, kind, payload, &mut state.pending);
        state.next = lsn.next();
        state.stats.records += 1;
        state.stats.bytes_since_snapshot += (state.pending.len() - pending) as u64;
        drop(state);
        self.shared.wake.notify_one();
        Ok((lsn, self.shared.mark.ticket(lsn.0)))
    }

    /// The LSN of the last record appended; 0 before the first.
    pub fn last(&self) -> Lsn {
        Lsn(self.shared.state.lock().next.0 - 1)
    }

    /// The ticket of the last record appended: settles when everything so far is on disk.
    pub fn ticket_of_last(&self) -> Ticket {
        self.shared.mark.ticket(self.last().0)
    }

    /// The last record that is on disk.
    pub fn durable(&self) -> Lsn {
        Lsn(self.shared.mark.durable())
    }

    /// Why the log takes nothing any more, once that is so.
    pub fn poisoned(&self) -> Option<Arc<str>> {
        self.shared.state.lock().poisoned.clone()
    }

    /// Counters.
    pub fn stats(&self) -> LogStats {
        let state = self.shared.state.lock();
        LogStats { segments: state.segments.len(), pending_bytes: state.pending.len(), ..state.stats }
    }

    /// Shows `visit` every record on disk from `from` on, in order. Records below the oldest kept are not there.
    /// Reads whole segments: a caller that follows the log asks again from behind the last it saw.
    pub fn read_from(&self, from: Lsn, visit: &mut dyn FnMut(Lsn, u8, &[u8])) -> Result<(), LogError> {
        let durable = self.durable();
        let segments = self.shared.state.lock().segments.clone();
        for (at, &first) in segments.iter().enumerate() {
            let behind = segments.get(at + 1).copied();
            if behind.is_some_and(|behind| behind <= from) || first > durable {
                continue;
            }
            let path = segment::path(&self.shared.dir, first);
            segment::scan(
                &*self.shared.disk,
                &path,
                first,
                from,
                self.shared.options.skip_damaged,
                &mut |lsn, kind, payload| {
                    if lsn <= durable {
                        visit(lsn, kind, payload);
                    }
                    Ok(())
                },
            )?;
        }
        Ok(())
    }

    /// The snapshot hook: keeps the owner's state as of `lsn`, then deletes the segments it covers and older snapshots.
    /// `lsn` must be durable. Blocks for the time of the write.
    pub fn snapshot(&self, lsn: Lsn, body: &[u8]) -> Result<(), LogError> {
        let durable = self.durable();
        if lsn > durable {
            return Err(LogError::SnapshotAhead { lsn, durable });
        }
        snapshot::store(&*self.shared.disk, &self.shared.dir, lsn, body)?;
        let before = {
            let mut state = self.shared.state.lock();
            state.stats.bytes_since_snapshot = 0;
            state.snapshot.replace(lsn)
        };
        if let Some(before) = before.filter(|before| *before != lsn) {
            self.shared.disk.remove_file(&snapshot::path(&self.shared.dir, before))?;
        }
        self.drop_covered()
    }

    /// Deletes segments that hold nothing from `lsn` on. The open segment always stays.
    pub fn truncate_below(&self, lsn: Lsn) -> Result<(), LogError> {
        loop {
            let oldest = {
                let state = self.shared.state.lock();
                match state.segments.get(..2) {
                    Some([oldest, second]) if *second <= lsn => *oldest,
                    _ => return Ok(()),
                }
            };
            // oldest first, each durable before the next: a crash leaves no hole
            self.shared.disk.remove_file(&segment::path(&self.shared.dir, oldest))?;
            self.shared.disk.sync_dir(&self.shared.dir)?;
            self.shared.state.lock().segments.retain(|first| *first != oldest);
        }
    }

    fn drop_covered(&self) -> Result<(), LogError> {
        let covered = self.shared.state.lock().snapshot;
        covered.map_or(Ok(()), |lsn| self.truncate_below(lsn.next()))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.shared.state.lock().closing = true;
            self.shared.wake.notify_one();
            // the thread ends by itself; a panic in it has ended the process already
            let _ = writer.join();
        }
    }
}

/// Makes a directory and every missing one above it, durably: a directory that a power loss takes away takes what is in
/// it along. One that is there already is made durable too, as far as its parent may be opened.
pub fn make_dir(disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    let mut parents = Vec::new();
    let mut existing = None;
    for ancestor in dir.ancestors() {
        if ancestor.as_os_str().is_empty() {
            break;
        }
        if disk.exists(ancestor)? {
            existing = Some(parent_of(ancestor));
            break;
        }
        parents.push(parent_of(ancestor));
    }
    disk.create_dir_all(dir)?;
    if let Some(parent) = existing {
        match disk.sync_dir(parent) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            other => other?,
        }
    }
    for parent in parents.into_iter().rev() {
        disk.sync_dir(parent)?;
    }
    Ok(())
}

struct Files {
    segments: Vec<Lsn>,
    snapshots: Vec<Lsn>,
}

/// The log's files, oldest first. Leftovers of an interrupted snapshot are removed.
fn find_files(disk: &dyn Disk, dir: &Path) -> Result<Files, LogError> {
    let mut files = Files { segments: Vec::new(), snapshots: Vec::new() };
    for entry in disk.list(dir)? {
        if let Some(first) = segment::parse_name(&entry.name) {
            files.segments.push(first);
        } else if let Some(lsn) = snapshot::parse_name(&entry.name) {
            files.snapshots.push(lsn);
        } else if entry.name.starts_with("snapshot-") && entry.name.ends_with(".tmp") {
            disk.remove_file(&dir.join(&entry.name))?;
        }
    }
    files.segments.sort_unstable();
    files.snapshots.sort_unstable();
    Ok(files)
}

/// Shows everything to the owner and returns the segments, the open one ready for writing, and the next LSN.
fn replay(
    disk: &SharedDisk,
    dir: &Path,
    options: &LogOptions,
    found: &Files,
    recovery: &mut Recovery,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<(), String>,
) -> Result<(Vec<Lsn>, OpenSegment, Lsn), LogError> {
    let mut from = Lsn(1);
    if let Some(&lsn) = found.snapshots.last() {
        let body = snapshot::load(&**disk, dir, lsn)?;
        visit(Entry::Snapshot { lsn, body: &body }).map_err(|what| LogError::Replay { lsn, what })?;
        for &older in &found.snapshots[..found.snapshots.len() - 1] {
            disk.remove_file(&snapshot::path(dir, older))?;
        }
        from = lsn.next();
    }
    let mut expected = found.segments.first().copied();
    if expected.is_some_and(|oldest| oldest > from) {
        return Err(LogError::corrupt(dir, 0, format!("record {from} is missing: the oldest file begins behind it")));
    }
    let mut last = None;
    for (at, &first) in found.segments.iter().enumerate() {
        let path = segment::path(dir, first);
        let is_last = at + 1 == found.segments.len();
        let covered = found.segments.get(at + 1).is_some_and(|behind| *behind <= from);
        if covered {
            expected = None;
            continue;
        }
        if expected.is_some_and(|expected| expected != first) {
            return Err(LogError::corrupt(&path, 0, "records before this file are missing"));
        }
        let scan = segment::scan(&**disk, &path, first, from, options.skip_damaged, &mut |lsn, kind, payload| {
            recovery.records += 1;
            visit(Entry::Record { lsn, kind, payload }).map_err(|what| LogError::Replay { lsn, what })
        })?;
        if let Some(behind) = found.segments.get(at + 1)
            && (options.skip_damaged && scan.end > 0 && scan.torn_bytes > 0)
        {
            // the last records of this file, with a whole file behind them
            recovery.damaged_records += scan.damaged + behind.0.saturating_sub(scan.next.max(from).0);
            expected = Some(*behind);
            continue;
        }
        if !is_last && (scan.torn_bytes > 0 || scan.end == 0) {
            return Err(LogError::corrupt(&path, scan.end, "a record is not what was written, and later files follow"));
        }
        recovery.damaged_records += scan.damaged;
        expected = Some(scan.next);
        last = Some((first, scan));
    }
    let mut segments = found.segments.clone();
    match last {
        Some((first, scan)) if scan.end > 0 && scan.next >= from => {
            recovery.torn_bytes = scan.torn_bytes;
            let open = OpenSegment::resume(&**disk, dir, options, first, scan.end, scan.torn_bytes > 0)?;
            Ok((segments, open, scan.next))
        }
        other => {
            // no file yet, or one whose header never reached the disk, or all of it is inside the snapshot
            recovery.torn_bytes = other.as_ref().map_or(0, |(_, scan)| scan.torn_bytes);
            let headless = other.as_ref().is_none_or(|(_, scan)| scan.end == 0);
            recovery.last_segment_missing = headless && found.segments.len() < 2 && !found.snapshots.is_empty();
            let next = other.map_or(from, |(_, scan)| scan.next.max(from));
            let open = OpenSegment::create(&**disk, dir, options, next)?;
            segments.retain(|first| *first != next);
            segments.push(next);
            Ok((segments, open, next))
        }
    }
}
