//! Inodes, names and the two worlds (live, durable) of the simulated disk.

use super::super::{DirEntry, FileKind};
use super::Fault;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Component, Path};

/// What a disk writes at once: a power loss keeps or loses a page, and tears at most one per file.
const PAGE: usize = 4096;
/// The unit of a tear.
const SECTOR: usize = 512;
const ROOT: Inode = Inode(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Inode(pub(super) usize);

#[derive(Debug, Default)]
pub(super) struct FileNode {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Debug, Default)]
struct DirNode {
    live: BTreeMap<String, Inode>,
    durable: BTreeMap<String, Inode>,
}

#[derive(Debug)]
enum Node {
    File(FileNode),
    Dir(DirNode),
}

/// One change of names, possibly in two directories; kept or lost as a whole.
#[derive(Clone, Debug)]
struct Change {
    steps: Vec<(Inode, String, Option<Inode>)>,
}

#[derive(Debug)]
pub(super) struct State {
    nodes: Vec<Node>,
    pending: Vec<Change>,
    pub(super) calls: u64,
    pub(super) fault: Option<(u64, Fault)>,
    pub(super) reads: u64,
    pub(super) read_fault: Option<u64>,
    pub(super) halt_at: Option<u64>,
    pub(super) capacity: Option<u64>,
    pub(super) locked: HashSet<Inode>,
    /// Counts restarts, so that a dead process's lock frees nothing.
    pub(super) life: u64,
}

impl Default for State {
    fn default() -> Self {
        State {
            nodes: vec![Node::Dir(DirNode::default())],
            pending: Vec::new(),
            calls: 0,
            fault: None,
            reads: 0,
            read_fault: None,
            halt_at: None,
            capacity: None,
            locked: HashSet::new(),
            life: 0,
        }
    }
}

impl State {
    pub(super) fn halted(&self) -> bool {
        self.halt_at.is_some_and(|n| self.calls > n)
    }

    /// An error once the process is "dead".
    pub(super) fn alive(&self) -> io::Result<()> {
        if self.halted() { Err(io::Error::other("the simulated process has ended")) } else { Ok(()) }
    }

    /// Counts a reading call; an error when it must fail.
    pub(super) fn look(&mut self) -> io::Result<()> {
        let number = self.reads;
        self.reads += 1;
        self.alive()?;
        match self.read_fault {
            Some(n) if n == number => {
                self.read_fault = None;
                Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()))
            }
            _ => Ok(()),
        }
    }

    /// Counts a changing call; says whether and how it must fail.
    pub(super) fn charge(&mut self) -> Result<(), (io::Error, Option<Fault>)> {
        let number = self.calls;
        self.calls += 1;
        self.alive().map_err(|e| (e, None))?;
        match self.fault {
            Some((n, fault)) if n == number => {
                self.fault = None;
                let error = match fault {
                    Fault::Io => io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()),
                    Fault::NoSpace | Fault::ShortWrite => no_space(),
                };
                Err((error, Some(fault)))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn restart(&mut self) {
        self.fault = None;
        self.read_fault = None;
        self.halt_at = None;
        self.locked.clear();
        self.life += 1;
    }

    pub(super) fn file_mut(&mut self, inode: Inode) -> Option<&mut FileNode> {
        match &mut self.nodes[inode.0] {
            Node::File(file) => Some(file),
            Node::Dir(_) => None,
        }
    }

    fn dir(&self, inode: Inode) -> io::Result<&DirNode> {
        match &self.nodes[inode.0] {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Inode> {
        let mut at = ROOT;
        for name in names(path) {
            at = *self.dir(at)?.live.get(&name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    fn find_parent(&self, path: &Path) -> io::Result<(Inode, String)> {
        let mut all: Vec<String> = names(path).collect();
        let name = all.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let mut at = ROOT;
        for name in all {
            at = *self.dir(at)?.live.get(&name).ok_or(io::ErrorKind::NotFound)?;
        }
        self.dir(at)?;
        Ok((at, name))
    }

    fn change(&mut self, steps: Vec<(Inode, String, Option<Inode>)>) {
        for (dir, name, inode) in &steps {
            if let Node::Dir(dir) = &mut self.nodes[dir.0] {
                apply(&mut dir.live, name, *inode);
            }
        }
        self.pending.push(Change { steps });
    }

    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<Inode> {
        let (dir, name) = self.find_parent(path)?;
        self.nodes.push(Node::File(FileNode::default()));
        let inode = Inode(self.nodes.len() - 1);
        self.change(vec![(dir, name, Some(inode))]);
        Ok(inode)
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut at = ROOT;
        for name in names(path) {
            at = match self.dir(at)?.live.get(&name) {
                Some(inode) => *inode,
                None => {
                    self.nodes.push(Node::Dir(DirNode::default()));
                    let inode = Inode(self.nodes.len() - 1);
                    self.change(vec![(at, name, Some(inode))]);
                    inode
                }
            };
        }
        self.dir(at).map(drop)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let moved = self.find(from)?;
        let (from_dir, from_name) = self.find_parent(from)?;
        let (to_dir, to_name) = self.find_parent(to)?;
        if let Ok(target) = self.find(to)
            && let Ok(dir) = self.dir(target)
            && !dir.live.is_empty()
        {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.change(vec![(from_dir, from_name, None), (to_dir, to_name, Some(moved))]);
        Ok(())
    }

    pub(super) fn hard_link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let linked = self.find(from)?;
        let (dir, name) = self.find_parent(to)?;
        if self.dir(dir)?.live.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.change(vec![(dir, name, Some(linked))]);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path, kind: FileKind) -> io::Result<()> {
        let inode = self.find(path)?;
        match (&self.nodes[inode.0], kind) {
            (Node::Dir(dir), FileKind::Dir) if dir.live.is_empty() => {}
            (Node::Dir(_), FileKind::Dir) => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
            (Node::Dir(_), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (Node::File(_), _) => {}
        }
        let (dir, name) = self.find_parent(path)?;
        self.change(vec![(dir, name, None)]);
        Ok(())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let dir = self.dir(self.find(path)?)?;
        let kind = |inode: &Inode| match self.nodes[inode.0] {
            Node::File(_) => FileKind::File,
            Node::Dir(_) => FileKind::Dir,
        };
        Ok(dir.live.iter().map(|(name, inode)| DirEntry { name: name.clone(), kind: kind(inode) }).collect())
    }

    /// Bytes held by the files that have a name.
    pub(super) fn used(&self) -> u64 {
        let mut open = vec![ROOT];
        let mut seen = HashSet::new();
        let mut used = 0;
        while let Some(inode) = open.pop() {
            if !seen.insert(inode) {
                continue;
            }
            match &self.nodes[inode.0] {
                Node::File(file) => used += file.live.len() as u64,
                Node::Dir(dir) => open.extend(dir.live.values()),
            }
        }
        used
    }

    pub(super) fn reserve(&mut self, inode: Inode, len: u64) -> io::Result<()> {
        let grows = len.saturating_sub(self.file_mut(inode).map_or(0, |f| f.live.len() as u64));
        match self.capacity {
            Some(capacity) if grows > 0 && self.used() + grows > capacity => Err(no_space()),
            _ => Ok(()),
        }
    }

    pub(super) fn write(&mut self, inode: Inode, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let end = offset + bytes.len();
        self.reserve(inode, end as u64)?;
        let file = self.file_mut(inode).ok_or(io::ErrorKind::IsADirectory)?;
        let from = offset.min(file.live.len());
        if file.live.len() < end {
            file.live.resize(end, 0);
        }
        file.live[offset..end].copy_from_slice(bytes);
        file.dirty.extend(from / PAGE..end.div_ceil(PAGE));
        Ok(())
    }

    pub(super) fn set_len(&mut self, inode: Inode, len: u64) -> io::Result<()> {
        self.reserve(inode, len)?;
        let file = self.file_mut(inode).ok_or(io::ErrorKind::IsADirectory)?;
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        let from = file.live.len().min(len);
        file.live.resize(len, 0);
        let touched = from / PAGE..len.max(from + 1).div_ceil(PAGE);
        file.dirty.extend(touched);
        Ok(())
    }

    /// A good sync makes everything durable. A failed one leaves clean pages that were never written.
    pub(super) fn sync(&mut self, inode: Inode, good: bool) {
        if let Some(file) = self.file_mut(inode) {
            if good {
                file.sync();
            } else {
                file.dirty.clear();
            }
        }
    }

    /// Makes the changes of a directory durable, with those they build on.
    pub(super) fn sync_dir(&mut self, dir: Inode) {
        let mut wanted = BTreeSet::from([dir]);
        let mut kept = Vec::new();
        // Backwards, so that a change spanning two directories pulls in the earlier changes of both.
        for change in std::mem::take(&mut self.pending).into_iter().rev() {
            if change.steps.iter().any(|(dir, ..)| wanted.contains(dir)) {
                wanted.extend(change.steps.iter().map(|(dir, ..)| *dir));
                kept.push((change, true));
            } else {
                kept.push((change, false));
            }
        }
        for (change, durable) in kept.into_iter().rev() {
            if durable {
                self.make_durable(&change);
            } else {
                self.pending.push(change);
            }
        }
    }

    fn make_durable(&mut self, change: &Change) {
        for (dir, name, inode) in &change.steps {
            if let Node::Dir(dir) = &mut self.nodes[dir.0] {
                apply(&mut dir.durable, name, *inode);
            }
        }
    }

    pub(super) fn power_loss(&mut self, seed: u64) {
        let mut random = SmallRng::seed_from_u64(seed);
        // A directory keeps a prefix of its changes: once one is lost, all later ones there are.
        let keep = random.random_range(0..=4u32);
        let mut lost: BTreeSet<Inode> = BTreeSet::new();
        for change in std::mem::take(&mut self.pending) {
            let touches_lost = change.steps.iter().any(|(dir, ..)| lost.contains(dir));
            if touches_lost || random.random_range(0..4) >= keep {
                lost.extend(change.steps.iter().map(|(dir, ..)| *dir));
            } else {
                self.make_durable(&change);
            }
        }
        for node in &mut self.nodes {
            match node {
                Node::File(file) => file.power_loss(&mut random),
                Node::Dir(dir) => dir.live = dir.durable.clone(),
            }
        }
    }
}

impl FileNode {
    /// Brings the dirty pages over. Pages cleaned by a failed sync stay as they are on the medium.
    fn sync(&mut self) {
        let len = self.live.len();
        self.durable.resize(len, 0);
        for page in std::mem::take(&mut self.dirty) {
            self.keep_page(page, PAGE);
        }
    }

    fn keep_page(&mut self, page: usize, bytes: usize) {
        let from = (page * PAGE).min(self.live.len());
        let to = (page * PAGE + bytes).min(self.live.len());
        if to > from {
            if self.durable.len() < to {
                self.durable.resize(to, 0);
            }
            self.durable[from..to].copy_from_slice(&self.live[from..to]);
        }
    }

    fn power_loss(&mut self, random: &mut SmallRng) {
        if self.live.len() < self.durable.len() && !self.dirty.is_empty() && random.random_bool(0.5) {
            self.durable.truncate(self.live.len());
        }
        let style = random.random_range(0..4u32);
        let dirty: Vec<usize> = std::mem::take(&mut self.dirty).into_iter().collect();
        let cut = random.random_range(0..=dirty.len());
        for (at, page) in dirty.iter().enumerate() {
            let kept = match style {
                0 => false,
                1 => true,
                2 => at < cut,
                _ => random.random_bool(0.5),
            };
            if kept {
                self.keep_page(*page, PAGE);
            } else if style >= 2 && at == cut {
                self.keep_page(*page, SECTOR * random.random_range(0..PAGE / SECTOR));
            }
        }
        self.live = self.durable.clone();
    }
}

fn apply(names: &mut BTreeMap<String, Inode>, name: &str, inode: Option<Inode>) {
    match inode {
        Some(inode) => names.insert(name.to_owned(), inode),
        None => names.remove(name),
    };
}

fn names(path: &Path) -> impl Iterator<Item = String> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    })
}

fn no_space() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error())
}
