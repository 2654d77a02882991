//! What every collector is, and the table of all collectors of the original.

use super::source::{Content, Files, KeptFile};
use super::text::Page;
use net::rtnetlink::Rtnetlink;
use runtime::clock::Clock;
use runtime::disk::DiskError;
use std::path::PathBuf;

/// Looks at one part of the machine and writes what it sees.
pub(crate) trait Collect: Send {
    /// Writes families behind what the page holds. What was written before an error stays, as in the original.
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError>;
}

/// Why a collector could not tell all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    /// The machine does not have it: no error worth a line, but no success either.
    #[error("collector returned no data")]
    NoData,
    /// It has it, and it could not be read.
    #[error("{0}")]
    Failed(String),
}

impl CollectError {
    /// `doing: error`.
    pub(crate) fn failed(doing: &'static str) -> impl FnOnce(DiskError) -> CollectError {
        move |error| CollectError::Failed(format!("{doing}: {error}"))
    }
}

/// Where the kernel's trees are mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// `/proc`.
    pub procfs: PathBuf,
    /// `/sys`.
    pub sysfs: PathBuf,
    /// `/`: in front of every mount point.
    pub rootfs: PathBuf,
    /// `/run/udev/data`.
    pub udev_data: PathBuf,
}

/// What the collectors of one scrape share.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) files: Files,
    pub(crate) content: Content,
    pub(crate) clock: Clock,
    stat: KeptFile,
    stat_content: Content,
    stat_read: bool,
    rtnetlink: Option<Rtnetlink>,
}

impl Scrape {
    pub(crate) fn new(files: Files, clock: Clock, roots: &Roots) -> Self {
        Scrape {
            content: Content::default(),
            clock,
            stat: files.keep(roots.procfs.join("stat")),
            stat_content: Content::default(),
            stat_read: false,
            rtnetlink: None,
            files,
        }
    }

    /// The next scrape begins: what was read belongs to the last one.
    pub(crate) fn begin(&mut self) {
        self.stat_read = false;
    }

    /// `/proc/stat`, read once a scrape for the two collectors that show parts of it.
    pub(crate) fn stat(&mut self) -> Result<&[u8], DiskError> {
        if !self.stat_read {
            self.stat.read(&mut self.stat_content)?;
            self.stat_read = true;
        }
        Ok(self.stat_content.bytes())
    }

    /// Runs `ask` on the rtnetlink socket, which is opened at first and again after an error.
    pub(crate) fn rtnetlink<T>(
        &mut self,
        ask: impl FnOnce(&mut Rtnetlink) -> Result<T, net::rtnetlink::RtnetlinkError>,
    ) -> Result<T, CollectError> {
        let failed = |error: net::rtnetlink::RtnetlinkError| CollectError::Failed(error.to_string());
        let mut socket = match self.rtnetlink.take() {
            Some(socket) => socket,
            None => Rtnetlink::open().map_err(failed)?,
        };
        let answer = ask(&mut socket).map_err(failed)?;
        self.rtnetlink = Some(socket);
        Ok(answer)
    }
}

/// One collector of the original.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its name, as in `--collector.<name>` and the label `collector`.
    pub name: &'static str,
    /// Name of the flag that switches it.
    pub flag: &'static str,
    /// What `--help` says about that flag.
    pub help: &'static str,
    /// Whether it runs unless switched off.
    pub default: bool,
    /// Whether we have it.
    pub built: bool,
}

macro_rules! known {
    ($($name:literal $default:ident $built:ident),* $(,)?) => {
        &[$(Known {
            name: $name,
            flag: concat!("collector.", $name),
            help: concat!("Enable the ", $name, " collector (default: ", known!(@word $default), ").", known!(@state $built)),
            default: known!(@on $default),
            built: known!(@built $built),
        }),*]
    };
    (@word on) => { "enabled" };
    (@word off) => { "disabled" };
    (@on on) => { true };
    (@on off) => { false };
    (@state built) => { "" };
    (@state missing) => { " Without effect: not built yet." };
    (@built built) => { true };
    (@built missing) => { false };
}

/// Every collector that node_exporter 1.11.1 (and 1.12.1) has on Linux, in name order, with its upstream default.
pub const KNOWN: &[Known] = known![
    "arp" on missing,
    "bcache" on missing,
    "bcachefs" on missing,
    "bonding" on missing,
    "btrfs" on missing,
    "buddyinfo" off missing,
    "cgroups" off missing,
    "conntrack" on missing,
    "cpu" on built,
    "cpu_vulnerabilities" off missing,
    "cpufreq" on missing,
    "diskstats" on built,
    "dmi" on missing,
    "dmmultipath" on missing,
    "drbd" off missing,
    "drm" off missing,
    "edac" on missing,
    "entropy" on missing,
    "ethtool" off missing,
    "fibrechannel" on missing,
    "filefd" on built,
    "filesystem" on built,
    "hwmon" on missing,
    "infiniband" on missing,
    "interrupts" off missing,
    "ipvs" on missing,
    "kernel_hung" on missing,
    "ksmd" off missing,
    "lnstat" off missing,
    "loadavg" on built,
    "logind" off missing,
    "mdadm" on missing,
    "meminfo" on built,
    "meminfo_numa" off missing,
    "mountstats" off missing,
    "netclass" on built,
    "netdev" on built,
    "netstat" on built,
    "network_route" off missing,
    "nfs" on missing,
    "nfsd" on missing,
    "ntp" off missing,
    "nvme" on missing,
    "nvmesubsystem" off missing,
    "os" on missing,
    "pcidevice" off missing,
    "perf" off missing,
    "powersupplyclass" on missing,
    "pressure" on built,
    "processes" off missing,
    "qdisc" off missing,
    "rapl" on missing,
    "runit" off missing,
    "schedstat" on missing,
    "selinux" on missing,
    "slabinfo" off missing,
    "sockstat" on built,
    "softirqs" off missing,
    "softnet" on missing,
    "stat" on built,
    "supervisord" off missing,
    "swap" off missing,
    "sysctl" off missing,
    "systemd" off missing,
    "tapestats" on missing,
    "tcpstat" off missing,
    "textfile" on built,
    "thermal_zone" on missing,
    "time" on built,
    "timex" on missing,
    "udp_queues" on missing,
    "uname" on built,
    "vmstat" on built,
    "watchdog" on missing,
    "wifi" off missing,
    "xfrm" off missing,
    "xfs" on missing,
    "zfs" on missing,
    "zoneinfo" off missing,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_the_built_ones_are_on() {
        assert!(KNOWN.is_sorted_by_key(|known| known.name));
        assert_eq!(KNOWN.iter().filter(|known| known.built).count(), 16);
        assert!(KNOWN.iter().all(|known| known.default || !known.built));
    }
}
