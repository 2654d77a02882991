//! Collector `diskstats`: reads, writes, discards and flushes of each block device, and what device it is.
//!
//! ```text
//! /proc/diskstats                    8 0 sda reads merged sectors ms  writes merged sectors ms  now ms weighted-ms
//!                                    discards merged sectors ms (Linux 4.18)  flushes ms (5.5)
//! /sys/block/<device>/queue/rotational
//! <udev data>/b<major>:<minor>       E:ID_MODEL=…           read again only when it was replaced
//! ```
//!
//! The list of devices is kept between scrapes and made anew from where it differs.

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::filter::Filter;
use super::parse::{fields, integer, lines, str};
use super::source::{Files, KeptFile};
use super::text::{Family, Page, family};
use super::udev::Udev;
use std::path::PathBuf;

/// The devices left out unless the flag says otherwise: partitions and memory.
pub(crate) const EXCLUDE: &str = "^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$";

const INFO: Family = family!("node_disk_info", "gauge", "Info of /sys/block/<block_device>.");
const FILESYSTEM: Family = family!("node_disk_filesystem_info", "gauge", "Info about disk filesystem.");
const MAPPER: Family = family!("node_disk_device_mapper_info", "gauge", "Info about disk device mapper.");
const ATA: [(Family, &str); 3] = [
    (
        family!("node_disk_ata_rotation_rate_rpm", "gauge", "ATA disk rotation rate in RPMs (0 for SSDs)."),
        "ID_ATA_ROTATION_RATE_RPM",
    ),
    (family!("node_disk_ata_write_cache", "gauge", "ATA disk has a write cache."), "ID_ATA_WRITE_CACHE"),
    (
        family!("node_disk_ata_write_cache_enabled", "gauge", "ATA disk has its write cache enabled."),
        "ID_ATA_WRITE_CACHE_ENABLED",
    ),
];

/// How a column becomes a value.
#[derive(Clone, Copy)]
enum Unit {
    Count,
    Sectors,
    Milliseconds,
}

const SECTOR_BYTES: f64 = 512.0;
/// The original multiplies by this; a division by 1000 differs in the last digit.
const SECONDS_PER_MS: f64 = 1.0 / 1000.0;

/// Families in the order of the kernel's columns.
const STATS: [(Family, Unit); 17] = [
    (
        family!("node_disk_reads_completed_total", "counter", "The total number of reads completed successfully."),
        Unit::Count,
    ),
    (family!("node_disk_reads_merged_total", "counter", "The total number of reads merged."), Unit::Count),
    (family!("node_disk_read_bytes_total", "counter", "The total number of bytes read successfully."), Unit::Sectors),
    (
        family!("node_disk_read_time_seconds_total", "counter", "The total number of seconds spent by all reads."),
        Unit::Milliseconds,
    ),
    (
        family!("node_disk_writes_completed_total", "counter", "The total number of writes completed successfully."),
        Unit::Count,
    ),
    (family!("node_disk_writes_merged_total", "counter", "The number of writes merged."), Unit::Count),
    (
        family!("node_disk_written_bytes_total", "counter", "The total number of bytes written successfully."),
        Unit::Sectors,
    ),
    (
        family!(
            "node_disk_write_time_seconds_total",
            "counter",
            "This is the total number of seconds spent by all writes."
        ),
        Unit::Milliseconds,
    ),
    (family!("node_disk_io_now", "gauge", "The number of I/Os currently in progress."), Unit::Count),
    (family!("node_disk_io_time_seconds_total", "counter", "Total seconds spent doing I/Os."), Unit::Milliseconds),
    (
        family!("node_disk_io_time_weighted_seconds_total", "counter", "The weighted # of seconds spent doing I/Os."),
        Unit::Milliseconds,
    ),
    (
        family!(
            "node_disk_discards_completed_total",
            "counter",
            "The total number of discards completed successfully."
        ),
        Unit::Count,
    ),
    (family!("node_disk_discards_merged_total", "counter", "The total number of discards merged."), Unit::Count),
    (
        family!("node_disk_discarded_sectors_total", "counter", "The total number of sectors discarded successfully."),
        Unit::Count,
    ),
    (
        family!(
            "node_disk_discard_time_seconds_total",
            "counter",
            "This is the total number of seconds spent by all discards."
        ),
        Unit::Milliseconds,
    ),
    (
        family!(
            "node_disk_flush_requests_total",
            "counter",
            "The total number of flush requests completed successfully"
        ),
        Unit::Count,
    ),
    (
        family!(
            "node_disk_flush_requests_time_seconds_total",
            "counter",
            "This is the total number of seconds spent by all flush requests."
        ),
        Unit::Milliseconds,
    ),
];

/// A kernel that tells fewer than these columns is not understood, as in the original.
const COLUMNS_MIN: usize = 11;

struct Device {
    major: u64,
    minor: u64,
    name: String,
    /// `None` when the filter leaves it out.
    shown: Option<Shown>,
}

struct Shown {
    major: String,
    minor: String,
    rotational: KeptFile,
    is_rotational: bool,
    udev: Option<Udev>,
    columns: usize,
    values: [u64; STATS.len()],
}

pub(crate) struct Diskstats {
    files: Files,
    file: KeptFile,
    filter: Filter,
    sys_block: PathBuf,
    udev_data: Option<PathBuf>,
    devices: Vec<Device>,
}

impl Diskstats {
    pub(crate) fn new(files: &Files, roots: &Roots, filter: Filter) -> Self {
        let has_udev = files.disk().metadata(&roots.udev_data).is_ok_and(|metadata| metadata.is_dir());
        if !has_udev {
            tracing::debug!(path = %roots.udev_data.display(), "no udev data: disks are shown without udev's properties");
        }
        Diskstats {
            files: files.clone(),
            file: files.keep(roots.procfs.join("diskstats")),
            filter,
            sys_block: roots.sysfs.join("block"),
            udev_data: has_udev.then(|| roots.udev_data.clone()),
            devices: Vec::new(),
        }
    }

    fn update(&mut self, text: &[u8]) -> Option<()> {
        let mut at = 0;
        for line in lines(text) {
            let mut parts = fields(line);
            let (major, minor) = (integer(parts.next()?)?, integer(parts.next()?)?);
            let name = str(parts.next()?)?;
            let known = |device: &Device| device.name == name && device.major == major && device.minor == minor;
            if !self.devices.get(at).is_some_and(known) {
                self.devices.truncate(at);
                let shown = (!self.filter.ignores(name)).then(|| self.show(name, major, minor));
                self.devices.push(Device { major, minor, name: name.to_owned(), shown });
            }
            at += 1;
            let Some(shown) = &mut self.devices[at - 1].shown else { continue };
            shown.columns = 0;
            for (value, field) in shown.values.iter_mut().zip(parts) {
                *value = integer(field)?;
                shown.columns += 1;
            }
        }
        self.devices.truncate(at);
        Some(())
    }

    fn show(&self, name: &str, major: u64, minor: u64) -> Shown {
        let udev = self.udev_data.as_ref().map(|dir| Udev::new(dir.join(format!("b{major}:{minor}"))));
        Shown {
            major: major.to_string(),
            minor: minor.to_string(),
            rotational: self.files.keep(self.sys_block.join(name).join("queue/rotational")),
            is_rotational: false,
            udev,
            columns: 0,
            values: [0; STATS.len()],
        }
    }
}

impl Collect for Diskstats {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        self.file.read(&mut scrape.content).map_err(CollectError::failed("couldn't get diskstats"))?;
        self.update(scrape.content.bytes())
            .ok_or_else(|| CollectError::Failed("couldn't get diskstats: malformed line".to_owned()))?;
        let mut shown: Vec<(&str, &mut Shown)> = Vec::with_capacity(self.devices.len());
        for device in &mut self.devices {
            if let Some(show) = device.shown.as_mut().filter(|show| show.columns >= COLUMNS_MIN) {
                show.is_rotational = show.rotational.attribute_number(&mut scrape.content) == Some(1);
                if let Some(udev) = &mut show.udev {
                    udev.update(self.files.disk());
                }
                shown.push((&device.name, show));
            }
        }
        show_info(page, &shown);
        for (at, (family, unit)) in STATS.iter().enumerate() {
            page.begin(family);
            for (name, device) in shown.iter().filter(|(_, device)| device.columns > at) {
                let sample = page.sample(&[("device", name)]);
                let value = device.values[at];
                match unit {
                    Unit::Count => sample.integer(value),
                    Unit::Sectors => sample.number(value as f64 * SECTOR_BYTES),
                    Unit::Milliseconds => sample.number(value as f64 * SECONDS_PER_MS),
                }
            }
        }
        show_udev(page, &shown);
        Ok(())
    }
}

fn show_info(page: &mut Page<'_>, devices: &[(&str, &mut Shown)]) {
    page.begin(&INFO);
    for (name, device) in devices {
        let property = |name| device.udev.as_ref().and_then(|udev| udev.get(name)).unwrap_or("");
        let serial = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"].map(property);
        page.sample(&[
            ("device", name),
            ("major", &device.major),
            ("minor", &device.minor),
            ("model", property("ID_MODEL")),
            ("path", property("ID_PATH")),
            ("revision", property("ID_REVISION")),
            ("rotational", if device.is_rotational { "1" } else { "0" }),
            ("serial", serial.iter().find(|serial| !serial.is_empty()).unwrap_or(&"")),
            ("wwn", property("ID_WWN")),
        ])
        .integer(1);
    }
}

fn show_udev(page: &mut Page<'_>, devices: &[(&str, &mut Shown)]) {
    let found = || devices.iter().filter_map(|(name, device)| Some((*name, device.udev.as_ref()?)));
    page.begin(&FILESYSTEM);
    for (name, udev) in found() {
        let property = |name| udev.get(name).unwrap_or("");
        if property("ID_FS_TYPE").is_empty() {
            continue;
        }
        page.sample(&[
            ("device", name),
            ("type", property("ID_FS_TYPE")),
            ("usage", property("ID_FS_USAGE")),
            ("uuid", property("ID_FS_UUID")),
            ("version", property("ID_FS_VERSION")),
        ])
        .integer(1);
    }
    page.begin(&MAPPER);
    for (name, udev) in found() {
        let property = |name| udev.get(name).unwrap_or("");
        if property("DM_NAME").is_empty() {
            continue;
        }
        page.sample(&[
            ("device", name),
            ("lv_layer", property("DM_LV_LAYER")),
            ("lv_name", property("DM_LV_NAME")),
            ("name", property("DM_NAME")),
            ("uuid", property("DM_UUID")),
            ("vg_name", property("DM_VG_NAME")),
        ])
        .integer(1);
    }
    for (family, property) in &ATA {
        page.begin(family);
        for (name, udev) in found().filter(|(_, udev)| udev.get("ID_ATA").is_some_and(|ata| !ata.is_empty())) {
            if let Some(value) = udev.get(property).and_then(|value| value.parse().ok()) {
                page.sample(&[("device", name)]).number(value);
            }
        }
    }
}
