//! Asking file systems for their sizes without ever waiting longer than allowed.
//!
//! ```text
//! ext4, xfs, tmpfs, …     asked at once: the answer is in memory
//! nfs, fuse, cifs, …      asked by a thread ──answer──► within the time
//!                                          └─none─────► the mount is stuck: not asked again until that thread comes back
//! ```
//!
//! A system call on a dead server can not be interrupted, so the thread that hangs is left behind and another takes over.
//! Limits: one waiting thread per stuck mount. A scrape waits for [`Statfs::begin`]'s time in all, and [`GRACE`] for each
//! further mount that does not answer.
//! Cost: 1 µs for a mount in memory, 20 µs for one that goes through the thread.

use super::source::Files;
use parking_lot::Mutex;
use runtime::clock::{Clock, Instant};
use runtime::disk::FilesystemStat;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// How long a mount may take when another has used up the scrape's time.
const GRACE: Duration = Duration::from_millis(50);

/// What a mount that does not answer is told with, as the original does.
const STUCK: &str = "mountpoint timeout";

/// Types whose superblock is in this machine's memory.
const IN_MEMORY: &[&str] = &[
    "bcachefs",
    "btrfs",
    "devtmpfs",
    "erofs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "hugetlbfs",
    "iso9660",
    "jfs",
    "msdos",
    "ntfs3",
    "overlay",
    "ramfs",
    "squashfs",
    "tmpfs",
    "udf",
    "vfat",
    "xfs",
];

type Answer = Result<FilesystemStat, String>;
type Stuck = Arc<Mutex<HashSet<PathBuf>>>;

#[derive(Debug)]
struct Worker {
    ask: SyncSender<PathBuf>,
    answers: Receiver<Answer>,
}

#[derive(Debug)]
pub(crate) struct Statfs {
    files: Files,
    timeout: Duration,
    deadline: Instant,
    stuck: Stuck,
    worker: Option<Worker>,
}

impl Statfs {
    pub(crate) fn new(files: Files, timeout: Duration) -> Self {
        Statfs { files, timeout, deadline: Instant::default(), stuck: Stuck::default(), worker: None }
    }

    /// A scrape begins.
    pub(crate) fn begin(&mut self, clock: &Clock) {
        self.deadline = clock.instant() + self.timeout;
    }

    /// The sizes of the file system at `path`, or what to say in their place.
    pub(crate) fn ask(&mut self, path: &Path, kind: &str, clock: &Clock) -> Answer {
        if IN_MEMORY.contains(&kind) {
            return sizes(&self.files, path);
        }
        if self.stuck.lock().contains(path) {
            return Err(STUCK.to_owned());
        }
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.start()?,
        };
        if worker.ask.send(path.to_owned()).is_err() {
            return Err("statfs thread has ended".to_owned());
        }
        let patience = self.deadline.since(clock.instant()).max(GRACE);
        match worker.answers.recv_timeout(patience) {
            Ok(answer) => {
                self.worker = Some(worker);
                answer
            }
            Err(_) => {
                self.stuck.lock().insert(path.to_owned());
                tracing::debug!(mountpoint = %path.display(), "mount point does not answer: not asked again until it does");
                Err(STUCK.to_owned())
            }
        }
    }

    fn start(&self) -> Result<Worker, String> {
        let (ask, asked) = sync_channel::<PathBuf>(1);
        let (answer, answers) = sync_channel(1);
        let (files, stuck) = (self.files.clone(), self.stuck.clone());
        let run = move || {
            while let Ok(path) = asked.recv() {
                let sizes = sizes(&files, &path);
                if answer.send(sizes).is_err() {
                    // given up on meanwhile; now it may be asked again
                    stuck.lock().remove(&path);
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("statfs".to_owned())
            .spawn(run)
            .map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Worker { ask, answers })
    }
}

fn sizes(files: &Files, path: &Path) -> Answer {
    files.disk().filesystem(path).map_err(|error| message(error.io()))
}

/// An error's text as Go's `syscall.Errno` has it: lower case, without a number.
fn message(error: &std::io::Error) -> String {
    if error.raw_os_error() == Some(rustix::io::Errno::STALE.raw_os_error()) {
        return "stale NFS file handle".to_owned();
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::disk::RealDisk;

    #[test]
    fn answers_and_errors() {
        let clock = Clock::system();
        let mut statfs = Statfs::new(Files::new(Arc::new(RealDisk)), Duration::from_secs(5));
        statfs.begin(&clock);
        for kind in ["ext4", "nfs"] {
            assert!(statfs.ask(Path::new("/"), kind, &clock).unwrap().blocks > 0);
            assert_eq!(statfs.ask(Path::new("/no/such"), kind, &clock), Err("no such file or directory".to_owned()));
        }
    }

    #[test]
    fn a_mount_that_hangs_is_left_alone_until_it_answers() {
        let clock = Clock::system();
        let mut statfs = Statfs::new(Files::new(Arc::new(RealDisk)), Duration::from_millis(20));
        // a worker whose thread hangs: the test holds both far ends
        let (ask, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        statfs.worker = Some(Worker { ask, answers });
        statfs.begin(&clock);
        assert_eq!(statfs.ask(Path::new("/"), "nfs", &clock), Err(STUCK.to_owned()));
        assert_eq!(asked.recv().unwrap(), Path::new("/"));
        assert!(answer.send(Err(String::new())).is_err(), "nobody waits any more");
        assert_eq!(statfs.ask(Path::new("/"), "nfs", &clock), Err(STUCK.to_owned()));
        assert!(statfs.ask(Path::new("/proc"), "nfs", &clock).is_ok(), "another thread asks the others");
        statfs.stuck.lock().clear();
        assert!(statfs.ask(Path::new("/"), "nfs", &clock).is_ok());
    }
}
