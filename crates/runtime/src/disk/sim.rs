//! A disk in memory that fails on command: the double under every crash test.
//!
//! ```text
//!  inode (file)   live     what a running process reads
//!                 durable  what survives a power loss for certain: the content at the last good sync
//!                 dirty    pages written since; a power loss keeps any of them, and may tear one
//!  inode (dir)    live / durable names, and a list of changes since the last `sync_dir`; a power loss keeps a prefix
//! ```
//!
//! Calls that change something are counted ([`SimDisk::calls`]), and so are those that read ([`SimDisk::reads`],
//! [`SimDisk::fail_read`]). [`SimDisk::fail_call`] makes the n-th of the former fail,
//! [`SimDisk::halt_at`] lets the n-th and everything after it fail: the process is dead from there on. What the next
//! process finds is decided by [`SimDisk::power_loss`], or by nothing at all: `kill -9` keeps what was written.
//!
//! As on Linux, a failed sync leaves pages clean but not durable: syncing again succeeds and saves nothing.

mod state;

use super::{
    DirEntry, Disk, DiskError, DiskFile, DiskLock, DiskOp, FileBytes, FileKind, FilesystemStat, Metadata, OpenMode,
};
use parking_lot::Mutex;
use state::{Inode, State};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An input/output error; nothing happens.
    Io,
    /// The disk is full; nothing happens.
    NoSpace,
    /// Half of the bytes are written, then the disk is full; a call that writes nothing fails with an I/O error.
    ShortWrite,
}

/// A disk in memory; clones share it.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk without faults and without a limit.
    pub fn new() -> Self {
        SimDisk::default()
    }

    /// How many calls that change something were made so far.
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// Makes the call number `n` (0 is the first ever made) fail once.
    pub fn fail_call(&self, n: u64, fault: Fault) {
        self.state.lock().fault = Some((n, fault));
    }

    /// How many calls that only read were made so far.
    pub fn reads(&self) -> u64 {
        self.state.lock().reads
    }

    /// Makes the reading call number `n` (0 is the first ever made) fail once with an I/O error.
    pub fn fail_read(&self, n: u64) {
        self.state.lock().read_fault = Some(n);
    }

    /// Makes call number `n` and every later one fail, reads too: the process can do nothing any more.
    pub fn halt_at(&self, n: u64) {
        self.state.lock().halt_at = Some(n);
    }

    /// Whether the halt was reached.
    pub fn halted(&self) -> bool {
        self.state.lock().halted()
    }

    /// Limits how many bytes all files together may hold; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// The process was killed, the machine goes on: faults end, locks are free, everything written is there.
    pub fn restart(&self) {
        self.state.lock().restart();
    }

    /// The machine lost its power: of what was not synced any part survives, chosen by `seed`. Faults end, locks are
    /// free; handles opened before must not be used again.
    pub fn power_loss(&self, seed: u64) {
        let mut state = self.state.lock();
        state.restart();
        state.power_loss(seed);
    }

    /// Changes one byte of a file behind everybody's back: a damage.
    pub fn flip(&self, path: &Path, offset: usize, mask: u8) {
        let mut state = self.state.lock();
        if let Ok(inode) = state.find(path)
            && let Some(file) = state.file_mut(inode)
        {
            file.live[offset] ^= mask;
            if let Some(byte) = file.durable.get_mut(offset) {
                *byte ^= mask;
            }
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn DiskFile>, DiskError> {
        let op = if matches!(mode, OpenMode::Read | OpenMode::Write) { DiskOp::Open } else { DiskOp::Create };
        let failed = |e| DiskError::new(op, path, e);
        let mut state = self.state.lock();
        let inode = match (state.find(path), mode) {
            (Ok(_), OpenMode::CreateNew) => return Err(failed(io::ErrorKind::AlreadyExists.into())),
            (Ok(inode), OpenMode::Read | OpenMode::Write | OpenMode::WriteOrCreate) => {
                state.look().map_err(failed)?;
                inode
            }
            (Ok(inode), OpenMode::Create) => {
                state.charge().map_err(|(e, _)| failed(e))?;
                state.set_len(inode, 0).map_err(failed)?;
                inode
            }
            (Err(e), OpenMode::Read | OpenMode::Write) => return Err(failed(e)),
            (Err(e), _) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            (Err(_), _) => {
                state.charge().map_err(|(e, _)| failed(e))?;
                state.create_file(path).map_err(failed)?
            }
        };
        if mode != OpenMode::Read && state.file_mut(inode).is_none() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let end = match mode {
            OpenMode::Write | OpenMode::WriteOrCreate => state.file_mut(inode).map_or(0, |f| f.live.len() as u64),
            _ => 0,
        };
        let file = SimFile { state: self.state.clone(), inode, path: path.to_owned(), end: AtomicU64::new(end) };
        Ok(Box::new(file))
    }

    fn read_into(&self, path: &Path, into: &mut Vec<u8>) -> Result<(), DiskError> {
        into.clear();
        let mut state = self.state.lock();
        let failed = |e| DiskError::new(DiskOp::Open, path, e);
        state.look().map_err(failed)?;
        let inode = state.find(path).map_err(failed)?;
        match state.file_mut(inode) {
            Some(file) => into.extend_from_slice(&file.live),
            None => return Err(DiskError::new(DiskOp::Read, path, io::Error::from(io::ErrorKind::IsADirectory))),
        }
        Ok(())
    }

    fn read_attribute_into(&self, path: &Path, into: &mut Vec<u8>) -> Result<(), DiskError> {
        self.read_into(path, into)?;
        into.truncate(4096);
        Ok(())
    }

    fn map(&self, path: &Path) -> Result<FileBytes, DiskError> {
        self.read(path).map(FileBytes::held)
    }

    fn metadata(&self, path: &Path) -> Result<Metadata, DiskError> {
        let failed = |e| DiskError::new(DiskOp::Stat, path, e);
        let mut state = self.state.lock();
        state.look().map_err(failed)?;
        let inode = state.find(path).map_err(failed)?;
        let (kind, len) = match state.file_mut(inode) {
            Some(file) => (FileKind::File, file.live.len() as u64),
            None => (FileKind::Dir, 0),
        };
        Ok(Metadata { kind, len, modified_ns: 0, mode: 0o644, owner: 0, device: 1, inode: inode.0 as u64 })
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf, DiskError> {
        Err(DiskError::new(DiskOp::ReadLink, path, io::Error::from(io::ErrorKind::InvalidInput)))
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
        let mut state = self.state.lock();
        let failed = |e| DiskError::new(DiskOp::List, path, e);
        state.look().map_err(failed)?;
        state.list(path).map_err(failed)
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        let failed = |e| DiskError::new(DiskOp::CreateDir, path, e);
        state.charge().map_err(|(e, _)| failed(e))?;
        state.create_dir_all(path).map_err(failed)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        let failed = |e| DiskError::new(DiskOp::Rename, from, e);
        state.charge().map_err(|(e, _)| failed(e))?;
        state.rename(from, to).map_err(failed)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        let failed = |e| DiskError::new(DiskOp::Link, from, e);
        state.charge().map_err(|(e, _)| failed(e))?;
        state.hard_link(from, to).map_err(failed)
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        let failed = |e| DiskError::new(DiskOp::Remove, path, e);
        state.charge().map_err(|(e, _)| failed(e))?;
        state.remove(path, FileKind::File).map_err(failed)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        // One call per name, as on a real disk: a crash may leave half a directory behind.
        let failed = |e| DiskError::new(DiskOp::RemoveDir, path, e);
        for entry in self.list(path)? {
            let inner = path.join(&entry.name);
            match entry.kind {
                FileKind::Dir => self.remove_dir_all(&inner)?,
                _ => self.remove_file(&inner)?,
            }
        }
        let mut state = self.state.lock();
        state.charge().map_err(|(e, _)| failed(e))?;
        state.remove(path, FileKind::Dir).map_err(failed)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        let failed = |e| DiskError::new(DiskOp::SyncDir, path, e);
        state.charge().map_err(|(e, _)| failed(e))?;
        let inode = state.find(path).map_err(failed)?;
        state.sync_dir(inode);
        Ok(())
    }

    fn filesystem(&self, path: &Path) -> Result<FilesystemStat, DiskError> {
        let mut state = self.state.lock();
        state.look().map_err(|e| DiskError::new(DiskOp::Filesystem, path, e))?;
        let blocks = state.capacity.unwrap_or(1 << 40) / 4096;
        let free = blocks.saturating_sub(state.used() / 4096);
        Ok(FilesystemStat {
            block_size: 4096,
            blocks,
            blocks_free: free,
            blocks_available: free,
            files: 1 << 20,
            files_free: 1 << 20,
            read_only: false,
        })
    }

    fn lock(&self, path: &Path) -> Result<DiskLock, DiskError> {
        let failed = |e| DiskError::new(DiskOp::Lock, path, e);
        let mut state = self.state.lock();
        let inode = match state.find(path) {
            Ok(inode) => inode,
            Err(_) => {
                state.charge().map_err(|(e, _)| failed(e))?;
                state.create_file(path).map_err(failed)?
            }
        };
        let life = state.life;
        if !state.locked.insert(inode) {
            return Err(failed(io::Error::new(io::ErrorKind::WouldBlock, "held by another process")));
        }
        Ok(DiskLock::new(SimLock { state: self.state.clone(), inode, life }))
    }
}

struct SimLock {
    state: Arc<Mutex<State>>,
    inode: Inode,
    life: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if state.life == self.life {
            state.locked.remove(&self.inode);
        }
    }
}

#[derive(Debug)]
struct SimFile {
    state: Arc<Mutex<State>>,
    inode: Inode,
    path: PathBuf,
    end: AtomicU64,
}

impl SimFile {
    fn changing(
        &self,
        op: DiskOp,
        change: impl FnOnce(&mut State, Option<Fault>) -> io::Result<()>,
    ) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        let done = match state.charge() {
            Ok(()) => change(&mut state, None),
            Err((e, Some(fault))) => change(&mut state, Some(fault)).and(Err(e)),
            Err((e, None)) => Err(e),
        };
        done.map_err(|e| DiskError::new(op, &self.path, e))
    }
}

impl DiskFile for SimFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let mut state = self.state.lock();
        state.look().map_err(|e| DiskError::new(DiskOp::Read, &self.path, e))?;
        let live = state.file_mut(self.inode).map(|f| &f.live[..]).unwrap_or_default();
        let from = live.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let read = from.len().min(into.len());
        into[..read].copy_from_slice(&from[..read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.changing(DiskOp::Write, |state, fault| match fault {
            None => state.write(self.inode, bytes, offset),
            Some(Fault::ShortWrite) => state.write(self.inode, &bytes[..bytes.len() / 2], offset),
            Some(_) => Ok(()),
        })
    }

    fn append(&self, bytes: &[u8]) -> Result<(), DiskError> {
        let offset = self.end.load(Ordering::Relaxed);
        self.write_at(bytes, offset)?;
        self.end.store(offset + bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.changing(DiskOp::SetLen, |state, fault| match fault {
            None => state.set_len(self.inode, len),
            Some(_) => Ok(()),
        })
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), DiskError> {
        self.changing(DiskOp::Allocate, |state, fault| match fault {
            None => state.reserve(self.inode, offset + len),
            Some(_) => Ok(()),
        })
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.changing(DiskOp::Sync, |state, fault| {
            state.sync(self.inode, fault.is_none());
            Ok(())
        })
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        self.sync_data()
    }

    fn len(&self) -> Result<u64, DiskError> {
        let mut state = self.state.lock();
        state.look().map_err(|e| DiskError::new(DiskOp::Stat, &self.path, e))?;
        Ok(state.file_mut(self.inode).map_or(0, |f| f.live.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn check(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
        disk.read(Path::new(path)).ok()
    }

    #[test]
    fn what_was_synced_survives_and_the_rest_may_not() {
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let disk = SimDisk::new();
            disk.create_dir_all(Path::new("/d")).expect("made");
            disk.sync_dir(Path::new("/")).expect("synced");
            let file = disk.open(Path::new("/d/f"), OpenMode::Create).expect("made");
            file.append(&[1; 5000]).expect("written");
            file.sync_data().expect("synced");
            disk.sync_dir(Path::new("/d")).expect("synced");
            file.append(&[2; 5000]).expect("written");
            disk.power_loss(seed);
            let left = check(&disk, "/d/f").expect("the entry was synced");
            assert!(left.len() >= 5000 && left[..5000] == [1; 5000], "synced content is there");
            assert!(left[5000..].iter().all(|b| *b == 2 || *b == 0), "nothing invented");
            seen.insert(left.len());
        }
        assert!(seen.len() > 1, "the power losses differ: {seen:?}");
    }

    #[test]
    fn a_rename_without_directory_sync_may_be_lost_but_is_never_half() {
        let mut seen = BTreeSet::new();
        for seed in 0..100 {
            let disk = SimDisk::new();
            disk.create_dir_all(Path::new("/d")).expect("made");
            disk.sync_dir(Path::new("/")).expect("synced");
            disk.replace_file(Path::new("/d/f"), b"old").expect("written");
            let file = disk.open(Path::new("/d/new"), OpenMode::Create).expect("made");
            file.append(b"new").expect("written");
            file.sync_all().expect("synced");
            disk.rename(Path::new("/d/new"), Path::new("/d/f")).expect("renamed");
            disk.power_loss(seed);
            seen.insert(check(&disk, "/d/f").expect("one of both"));
        }
        assert_eq!(seen, BTreeSet::from([b"old".to_vec(), b"new".to_vec()]));
    }

    #[test]
    fn a_failed_sync_is_never_repaired_by_the_next() {
        let disk = SimDisk::new();
        let file = disk.open(Path::new("/f"), OpenMode::Create).expect("made");
        disk.sync_dir(Path::new("/")).expect("synced");
        file.append(b"x").expect("written");
        disk.fail_call(disk.calls(), Fault::Io);
        file.sync_data().expect_err("fails");
        file.sync_data().expect("says yes");
        for seed in 0..20 {
            disk.power_loss(seed);
            assert_ne!(check(&disk, "/f").expect("there"), b"x");
        }
    }

    #[test]
    fn faults_hit_the_call_they_name() {
        let disk = SimDisk::new();
        let file = disk.open(Path::new("/f"), OpenMode::Create).expect("made");
        disk.fail_call(disk.calls(), Fault::ShortWrite);
        assert!(file.append(b"abcd").expect_err("short").is_no_space());
        assert_eq!(check(&disk, "/f").expect("there"), b"ab");
        disk.set_capacity(Some(3));
        file.write_at(b"abcd", 0).expect_err("full");
        disk.set_capacity(None);
        disk.halt_at(disk.calls() + 1);
        file.write_at(b"abcd", 0).expect("written");
        file.sync_data().expect_err("halted");
        assert!(disk.halted() && check(&disk, "/f").is_none());
        disk.restart();
        assert_eq!(check(&disk, "/f").expect("there"), b"abcd");
    }

    #[test]
    fn locks_are_exclusive_until_dropped_or_killed() {
        let disk = SimDisk::new();
        let path = Path::new("/lock");
        let held = disk.lock(path).expect("free");
        disk.lock(path).expect_err("taken");
        disk.restart();
        let again = disk.lock(path).expect("the holder is dead");
        drop(held);
        disk.lock(path).expect_err("the dead holder's drop frees nothing");
        drop(again);
        disk.lock(path).expect("free");
    }
}
