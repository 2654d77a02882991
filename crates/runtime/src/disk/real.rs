//! The machine's own file system.

#![expect(clippy::disallowed_methods, reason = "this module is the door to the operating system's files")]

use super::{
    DirEntry, Disk, DiskError, DiskFile, DiskLock, DiskOp, FileBytes, FileKind, FilesystemStat, Metadata, OpenMode,
};
use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags, StatVfsMountFlags};
use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// An attribute of /sys is at most one page.
const ATTRIBUTE_LEN_MAX: usize = 4096;
/// Room asked for before each read of a file whose size nobody asked for; most files of /proc fit into one.
const READ_STEP: usize = 16 * 1024;

/// The machine's own file system; has no state.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn DiskFile>, DiskError> {
        let (flags, op) = match mode {
            OpenMode::Read => (OFlags::RDONLY, DiskOp::Open),
            OpenMode::Write => (OFlags::RDWR, DiskOp::Open),
            OpenMode::WriteOrCreate => (OFlags::RDWR | OFlags::CREATE, DiskOp::Create),
            OpenMode::Create => (OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC, DiskOp::Create),
            OpenMode::CreateNew => (OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, DiskOp::Create),
        };
        let mut file = open(path, flags, op)?;
        if matches!(mode, OpenMode::Write | OpenMode::WriteOrCreate) {
            file.seek(SeekFrom::End(0)).map_err(|e| DiskError::new(op, path, e))?;
        }
        Ok(Box::new(RealFile { file, path: path.to_owned() }))
    }

    fn read_into(&self, path: &Path, into: &mut Vec<u8>) -> Result<(), DiskError> {
        into.clear();
        let file = open(path, OFlags::RDONLY, DiskOp::Open)?;
        loop {
            if into.capacity() - into.len() < READ_STEP / 4 {
                into.reserve(READ_STEP.max(into.len()));
            }
            if read_once(&file, path, into)? == 0 {
                return Ok(());
            }
        }
    }

    fn read_attribute_into(&self, path: &Path, into: &mut Vec<u8>) -> Result<(), DiskError> {
        into.clear();
        into.reserve(ATTRIBUTE_LEN_MAX);
        let file = open(path, OFlags::RDONLY, DiskOp::Open)?;
        read_once(&file, path, into).map(drop)
    }

    fn map(&self, path: &Path) -> Result<FileBytes, DiskError> {
        let file = open(path, OFlags::RDONLY, DiskOp::Open)?;
        FileBytes::map(&file).map_err(|e| DiskError::new(DiskOp::Map, path, e))
    }

    fn metadata(&self, path: &Path) -> Result<Metadata, DiskError> {
        let found = fs::metadata(path).map_err(|e| DiskError::new(DiskOp::Stat, path, e))?;
        Ok(Metadata {
            kind: kind_of(found.file_type()),
            len: found.len(),
            modified_ns: i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec()),
            mode: found.mode() & 0o7777,
            owner: found.uid(),
            device: found.dev(),
            inode: found.ino(),
        })
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf, DiskError> {
        fs::read_link(path).map_err(|e| DiskError::new(DiskOp::ReadLink, path, e))
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>, DiskError> {
        let failed = |e| DiskError::new(DiskOp::List, path, e);
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = kind_of(entry.file_type().map_err(failed)?);
            entries.push(DirEntry { name: entry.file_name().to_string_lossy().into_owned(), kind });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        fs::create_dir_all(path).map_err(|e| DiskError::new(DiskOp::CreateDir, path, e))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        fs::rename(from, to).map_err(|e| DiskError::new(DiskOp::Rename, from, e))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        fs::hard_link(from, to).map_err(|e| DiskError::new(DiskOp::Link, from, e))
    }

    fn remove_file(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_file(path).map_err(|e| DiskError::new(DiskOp::Remove, path, e))
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_dir_all(path).map_err(|e| DiskError::new(DiskOp::RemoveDir, path, e))
    }

    fn sync_dir(&self, path: &Path) -> Result<(), DiskError> {
        let dir = open(path, OFlags::RDONLY | OFlags::DIRECTORY, DiskOp::SyncDir)?;
        dir.sync_all().map_err(|e| DiskError::new(DiskOp::SyncDir, path, e))
    }

    fn filesystem(&self, path: &Path) -> Result<FilesystemStat, DiskError> {
        let stat = rustix::fs::statvfs(path).map_err(|e| DiskError::new(DiskOp::Filesystem, path, e))?;
        Ok(FilesystemStat {
            block_size: stat.f_frsize,
            blocks: stat.f_blocks,
            blocks_free: stat.f_bfree,
            blocks_available: stat.f_bavail,
            files: stat.f_files,
            files_free: stat.f_ffree,
            read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }

    fn lock(&self, path: &Path) -> Result<DiskLock, DiskError> {
        let file = open(path, OFlags::RDWR | OFlags::CREATE, DiskOp::Lock)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DiskLock::new(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let inode = file.metadata().map(|m| m.ino()).unwrap_or_default();
                let holder = match lock_holder(inode) {
                    Some((pid, name)) => format!("held by process {pid} ({name})"),
                    None => "held by another process".to_owned(),
                };
                Err(DiskError::new(DiskOp::Lock, path, io::Error::new(io::ErrorKind::WouldBlock, holder)))
            }
            Err(errno) => Err(DiskError::new(DiskOp::Lock, path, errno)),
        }
    }
}

/// A file of the machine's own file system.
#[derive(Debug)]
struct RealFile {
    file: fs::File,
    path: PathBuf,
}

impl RealFile {
    fn failed(&self, op: DiskOp) -> impl FnOnce(io::Error) -> DiskError + '_ {
        move |e| DiskError::new(op, &self.path, e)
    }
}

impl DiskFile for RealFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        loop {
            match self.file.read_at(into, offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(self.failed(DiskOp::Read)),
            }
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.file.write_all_at(bytes, offset).map_err(self.failed(DiskOp::Write))
    }

    fn append(&self, bytes: &[u8]) -> Result<(), DiskError> {
        (&self.file).write_all(bytes).map_err(self.failed(DiskOp::Write))
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.file.set_len(len).map_err(self.failed(DiskOp::SetLen))
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<(), DiskError> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, len) {
            // A file system that can not reserve takes the room when it is written; that is no error.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            Err(errno) => Err(DiskError::new(DiskOp::Allocate, &self.path, errno)),
        }
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(self.failed(DiskOp::Sync))
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        self.file.sync_all().map_err(self.failed(DiskOp::Sync))
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.file.metadata().map(|m| m.len()).map_err(self.failed(DiskOp::Stat))
    }
}

fn open(path: &Path, flags: OFlags, op: DiskOp) -> Result<fs::File, DiskError> {
    loop {
        match rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o666)) {
            Ok(descriptor) => return Ok(descriptor.into()),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(DiskError::new(op, path, errno)),
        }
    }
}

/// One read into the spare room of `into`.
fn read_once(file: &fs::File, path: &Path, into: &mut Vec<u8>) -> Result<usize, DiskError> {
    loop {
        match rustix::io::read(file, rustix::buffer::spare_capacity(into)) {
            Ok(read) => return Ok(read),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(DiskError::new(DiskOp::Read, path, errno)),
        }
    }
}

fn kind_of(kind: fs::FileType) -> FileKind {
    if kind.is_file() {
        FileKind::File
    } else if kind.is_dir() {
        FileKind::Dir
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Other
    }
}

/// Who holds the `flock` of an inode, from /proc/locks (`1: FLOCK  ADVISORY  WRITE 812 fe:01:1234 0 EOF`). The device is
/// not compared: file systems with sub-volumes show another number there than `stat` does.
fn lock_holder(inode: u64) -> Option<(u32, String)> {
    let mut text = Vec::new();
    RealDisk.read_into(Path::new("/proc/locks"), &mut text).ok()?;
    let pid = String::from_utf8_lossy(&text).lines().find_map(|line| parse_lock_line(line, inode))?;
    let name = RealDisk.read(&PathBuf::from(format!("/proc/{pid}/comm"))).unwrap_or_default();
    Some((pid, String::from_utf8_lossy(&name).trim().to_owned()))
}

fn parse_lock_line(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != "FLOCK" {
        return None;
    }
    let mut words = words.skip(2);
    let pid = words.next()?.parse().ok()?;
    let place = words.next()?;
    (place.rsplit(':').next()?.parse() == Ok(inode)).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary directory")
    }

    #[test]
    fn a_second_lock_names_the_holder() {
        let dir = scratch();
        let path = dir.path().join("lock");
        let held = RealDisk.lock(&path).expect("free");
        let error = RealDisk.lock(&path).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        RealDisk.lock(&path).expect("free again");
    }

    #[test]
    fn proc_and_sys_are_read_whole_into_a_reused_buffer() {
        let mut buffer = vec![1, 2, 3];
        RealDisk.read_into(Path::new("/proc/self/maps"), &mut buffer).expect("readable");
        assert!(buffer.ends_with(b"\n") && buffer.len() > 100);
        RealDisk.read_into(Path::new("/proc/sys/kernel/ostype"), &mut buffer).expect("readable");
        assert_eq!(buffer, b"Linux\n");
    }

    #[test]
    fn errors_name_operation_and_path() {
        let error = RealDisk.open(Path::new("/nonexistent/x"), OpenMode::Read).expect_err("missing");
        assert!(error.is_not_found());
        assert!(error.to_string().starts_with("cannot open /nonexistent/x: No such file"), "{error}");
    }

    #[test]
    fn append_goes_on_where_the_file_ends() {
        let dir = scratch();
        let path = dir.path().join("a");
        RealDisk.replace_file(&path, b"one").expect("written");
        let file = RealDisk.open(&path, OpenMode::Write).expect("there");
        file.append(b"two").expect("written");
        file.write_at(b"O", 0).expect("written");
        file.append(b"3").expect("written");
        assert_eq!(RealDisk.read(&path).expect("there"), b"Onetwo3");
        assert_eq!(&*RealDisk.map(&path).expect("mapped"), b"Onetwo3");
        assert_eq!(RealDisk.list(dir.path()).expect("listed").len(), 1, "no temporary file stays");
    }

    #[test]
    fn lock_lines() {
        let line = "2: FLOCK  ADVISORY  WRITE 812 fe:01:1234 0 EOF";
        assert_eq!(parse_lock_line(line, 1234), Some(812));
        assert_eq!(parse_lock_line(line, 1235), None);
        assert_eq!(parse_lock_line("2: POSIX  ADVISORY  WRITE 812 fe:01:1234 0 EOF", 1234), None);
        assert_eq!(parse_lock_line("2: -> FLOCK", 1234), None);
    }
}
