//! Collector `filesystem`: how full each mounted file system is. Source: `/proc/1/mountinfo` (else `self/mountinfo`), statfs(2).
//!
//! The list of mounts and what the filters say of it are kept as long as the kernel's text stays the same.
//! What each mount answers comes from [`Statfs`](super::statfs::Statfs), so that one that hangs does not hang the scrape: it
//! is told with `device_error="mountpoint timeout"` until it answers again.
//! Limits: [`MOUNTS_MAX`] mounts are shown.

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::filter::Filter;
use super::parse::{fields, lines};
use super::source::{Files, KeptFile};
use super::statfs::Statfs;
use super::text::{Family, Page, family};
use runtime::disk::FilesystemStat;
use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The mount points left out unless the flag says otherwise.
pub(crate) const MOUNT_POINTS_EXCLUDE: &str =
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";

/// The file systems left out unless the flag says otherwise.
pub(crate) const TYPES_EXCLUDE: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs\
|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$";

/// At most this many mounts are shown.
const MOUNTS_MAX: usize = 20_000;

const DEVICE_ERROR: Family = family!(
    "node_filesystem_device_error",
    "gauge",
    "Whether an error occurred while getting statistics for the given device."
);
const READ_ONLY: Family = family!("node_filesystem_readonly", "gauge", "Filesystem read-only status.");
const MOUNT_INFO: Family = family!("node_filesystem_mount_info", "gauge", "Filesystem mount information.");
const PURGEABLE: Family = family!(
    "node_filesystem_purgeable_bytes",
    "gauge",
    "Filesystem space available including purgeable space (MacOS specific)."
);

type Read = fn(&FilesystemStat) -> f64;

const SIZES: [(Family, Read); 5] = [
    (
        family!("node_filesystem_avail_bytes", "gauge", "Filesystem space available to non-root users in bytes."),
        |stat| stat.blocks_available as f64 * stat.block_size as f64,
    ),
    (family!("node_filesystem_files", "gauge", "Filesystem total file nodes."), |stat| stat.files as f64),
    (family!("node_filesystem_files_free", "gauge", "Filesystem total free file nodes."), |stat| {
        stat.files_free as f64
    }),
    (family!("node_filesystem_free_bytes", "gauge", "Filesystem free space in bytes."), |stat| {
        stat.blocks_free as f64 * stat.block_size as f64
    }),
    (family!("node_filesystem_size_bytes", "gauge", "Filesystem size in bytes."), |stat| {
        stat.blocks as f64 * stat.block_size as f64
    }),
];

/// Flags of this collector.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FilesystemConfig {
    /// Which mount points.
    pub(crate) mount_points: Filter,
    /// Which types of file system.
    pub(crate) types: Filter,
    /// How long a mount may take to answer.
    pub(crate) mount_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    device: String,
    point: String,
    kind: String,
    major: String,
    minor: String,
    read_only: bool,
}

struct Shown {
    mount: Mount,
    path: PathBuf,
    stat: Result<FilesystemStat, String>,
}

pub(crate) struct Filesystem {
    config: FilesystemConfig,
    roots: Roots,
    of_init: KeptFile,
    of_self: KeptFile,
    text: Vec<u8>,
    mounts: Vec<Shown>,
    statfs: Statfs,
}

impl Filesystem {
    pub(crate) fn new(files: &Files, roots: &Roots, config: FilesystemConfig) -> Self {
        Filesystem {
            roots: roots.clone(),
            of_init: files.keep(roots.procfs.join("1/mountinfo")),
            of_self: files.keep(roots.procfs.join("self/mountinfo")),
            text: Vec::new(),
            mounts: Vec::new(),
            statfs: Statfs::new(files.clone(), config.mount_timeout),
            config,
        }
    }

    fn update(&mut self, text: &[u8]) -> Result<(), CollectError> {
        if text == self.text {
            return Ok(());
        }
        self.mounts.clear();
        let mut seen = HashSet::new();
        for line in lines(text).take(MOUNTS_MAX) {
            let mount = parse(line, &self.roots.rootfs)
                .ok_or_else(|| CollectError::Failed(format!("malformed mount {:?}", String::from_utf8_lossy(line))))?;
            if self.config.mount_points.ignores(&mount.point) || self.config.types.ignores(&mount.kind) {
                continue;
            }
            // a point mounted over several times shows once
            let key = (mount.device.clone(), mount.point.clone(), mount.kind.clone());
            if !seen.insert(key) {
                continue;
            }
            let path = self.roots.rootfs.join(mount.point.trim_start_matches('/'));
            self.mounts.push(Shown { mount, path, stat: Err(String::new()) });
        }
        self.text.clear();
        self.text.extend_from_slice(text);
        Ok(())
    }
}

impl Collect for Filesystem {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        match self.of_init.read(&mut scrape.content) {
            Err(error) if error.is_not_found() => self.of_self.read(&mut scrape.content).map(|_| ()),
            read => read.map(|_| ()),
        }
        .map_err(CollectError::failed("couldn't get mounts"))?;
        self.update(scrape.content.bytes())?;
        self.statfs.begin(&scrape.clock);
        for shown in &mut self.mounts {
            shown.stat = self.statfs.ask(&shown.path, &shown.mount.kind, &scrape.clock);
        }
        self.show(page);
        Ok(())
    }
}

impl Filesystem {
    fn show(&self, page: &mut Page<'_>) {
        let mut each = |family, value: &dyn Fn(&Shown) -> Option<f64>| {
            page.begin(family);
            for shown in &self.mounts {
                let Some(value) = value(shown) else { continue };
                let mount = &shown.mount;
                page.sample(&[
                    ("device", &mount.device),
                    ("device_error", shown.stat.as_ref().map_or_else(String::as_str, |_| "")),
                    ("fstype", &mount.kind),
                    ("mountpoint", &mount.point),
                ])
                .number(value);
            }
        };
        each(&DEVICE_ERROR, &|shown| Some(f64::from(u8::from(shown.stat.is_err()))));
        each(&READ_ONLY, &|shown| Some(f64::from(u8::from(shown.mount.read_only))));
        for (family, read) in &SIZES {
            each(family, &|shown| shown.stat.as_ref().ok().map(read));
        }
        each(&PURGEABLE, &|shown| shown.stat.as_ref().ok().map(|_| 0.0));
        page.begin(&MOUNT_INFO);
        for Shown { mount, .. } in self.mounts.iter().filter(|shown| shown.stat.is_ok()) {
            page.sample(&[
                ("device", &mount.device),
                ("major", &mount.major),
                ("minor", &mount.minor),
                ("mountpoint", &mount.point),
            ])
            .integer(1);
        }
    }
}

/// `36 35 98:0 /root /point rw,noatime shared:1 - ext3 /dev/root rw,errors=continue`
fn parse(line: &[u8], rootfs: &Path) -> Option<Mount> {
    let line = String::from_utf8_lossy(line);
    let mut parts = fields(line.as_bytes()).filter_map(|field| std::str::from_utf8(field).ok());
    let (major, minor) = parts.nth(2)?.split_once(':')?;
    let point = parts.nth(1)?;
    let options = parts.next()?;
    // any number of optional fields, ended by a dash
    parts.find(|field| *field == "-")?;
    let kind = parts.next()?;
    let device = parts.next()?;
    let super_options = parts.next().unwrap_or("");
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    if !is_number(major) || !is_number(minor) {
        return None;
    }
    let read_only = options.split(',').any(|option| option == "ro")
        || super_options.split(',').any(|option| matches!(option, "ro" | "emergency_ro"));
    let point = point.replace("\\040", " ").replace("\\011", "\t");
    Some(Mount {
        device: device.to_owned(),
        point: below(&point, rootfs).into_owned(),
        kind: kind.to_owned(),
        major: major.to_owned(),
        minor: minor.to_owned(),
        read_only,
    })
}

/// A mount point as seen from inside `rootfs`.
fn below<'p>(point: &'p str, rootfs: &Path) -> Cow<'p, str> {
    let root = rootfs.to_string_lossy();
    if root == "/" {
        return Cow::Borrowed(point);
    }
    match point.strip_prefix(&*root) {
        Some("") => Cow::Borrowed("/"),
        Some(rest) => Cow::Borrowed(rest),
        None => Cow::Borrowed(point),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mounts() {
        let line = b"36 35 98:0 /mnt1 /mnt\\040two rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue";
        let mount = parse(line, Path::new("/")).unwrap();
        let expected = Mount {
            device: "/dev/root".into(),
            point: "/mnt two".into(),
            kind: "ext3".into(),
            major: "98".into(),
            minor: "0".into(),
            read_only: false,
        };
        assert_eq!(mount, expected);
        let mount = parse(b"1 2 0:21 / /host rw - tmpfs tmpfs ro", Path::new("/host")).unwrap();
        assert_eq!((mount.point.as_str(), mount.read_only), ("/", true));
        let mount = parse(b"1 2 0:21 / /host/var ro - tmpfs tmpfs", Path::new("/host")).unwrap();
        assert_eq!((mount.point.as_str(), mount.read_only), ("/var", true));
        for broken in [&b"1 2 x:1 / / rw - a b c"[..], b"1 2 0:1 / / rw a b c", b"1 2 0 / / rw - a b", b""] {
            assert_eq!(parse(broken, Path::new("/")), None);
        }
    }

    proptest! {
        #[test]
        fn any_line(line in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&line, Path::new("/host"));
        }
    }
}
