//! Collector `netclass`: state and settings of each network device. Source: `/sys/class/net/<device>/*`.
//!
//! The attributes of a device stay open between scrapes. A device may take another's name; so its `ifindex` is opened by path
//! at each scrape, and when it differs from the kept one everything about that device is opened anew.
//! An attribute that the device does not have, or does not tell in its state (`speed` of one that is down), is left out.

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::filter::Pattern;
use super::parse::{attribute, str};
use super::source::{Content, Files, KeptFile};
use super::text::{Family, Page, family};
use runtime::disk::{DiskError, FileKind};
use std::io::ErrorKind;
use std::path::PathBuf;

const UP: Family = family!("node_network_up", "gauge", "Value is 1 if operstate is 'up', 0 otherwise.");
const INFO: Family =
    family!("node_network_info", "gauge", "Non-numeric data from /sys/class/net/<iface>, value is always 1.");

macro_rules! property {
    ($name:literal, $kind:literal) => {
        family!(concat!("node_network_", $name), $kind, concat!("Network device property: ", $name))
    };
}

/// Families with the attribute each shows.
const NUMBERS: [(Family, &str); 17] = [
    (property!("address_assign_type", "gauge"), "addr_assign_type"),
    (property!("carrier", "gauge"), "carrier"),
    (property!("carrier_changes_total", "counter"), "carrier_changes"),
    (property!("carrier_down_changes_total", "counter"), "carrier_down_count"),
    (property!("carrier_up_changes_total", "counter"), "carrier_up_count"),
    (property!("device_id", "gauge"), "dev_id"),
    (property!("dormant", "gauge"), "dormant"),
    (property!("flags", "gauge"), "flags"),
    (property!("iface_id", "gauge"), "ifindex"),
    (property!("iface_link", "gauge"), "iflink"),
    (property!("iface_link_mode", "gauge"), "link_mode"),
    (property!("mtu_bytes", "gauge"), "mtu"),
    (property!("name_assign_type", "gauge"), "name_assign_type"),
    (property!("net_dev_group", "gauge"), "netdev_group"),
    (property!("protocol_type", "gauge"), "type"),
    (property!("speed_bytes", "gauge"), "speed"),
    (property!("transmit_queue_length", "gauge"), "tx_queue_len"),
];
const FLAGS: usize = 7;
const INDEX: usize = 8;
const SPEED: usize = 15;

const TEXTS: [&str; 5] = ["address", "broadcast", "duplex", "ifalias", "operstate"];
const OPERSTATE: usize = 4;

/// IFF_UP
const FLAG_UP: i64 = 1;

/// Flags of this collector.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NetclassConfig {
    /// Devices left out.
    pub(crate) ignored: Pattern,
    /// Leave out a negative speed.
    pub(crate) ignore_invalid_speed: bool,
}

struct Device {
    name: String,
    index: Option<i64>,
    number_files: [KeptFile; NUMBERS.len()],
    text_files: [KeptFile; TEXTS.len()],
    numbers: [Option<i64>; NUMBERS.len()],
    texts: [String; TEXTS.len()],
}

pub(crate) struct Netclass {
    files: Files,
    class: PathBuf,
    config: NetclassConfig,
    devices: Vec<Device>,
}

impl Netclass {
    pub(crate) fn new(files: &Files, roots: &Roots, config: NetclassConfig) -> Self {
        Netclass { files: files.clone(), class: roots.sysfs.join("class/net"), config, devices: Vec::new() }
    }

    /// Brings the list of devices up to date.
    fn list(&mut self, content: &mut Content) -> Result<(), CollectError> {
        let entries = self.files.disk().list(&self.class).map_err(|error| {
            let missing = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied);
            if missing { CollectError::NoData } else { CollectError::failed("could not get net class info")(error) }
        })?;
        let mut at = 0;
        // `bonding_masters` is a file among the devices
        for entry in entries.iter().filter(|entry| entry.kind != FileKind::File) {
            if self.config.ignored.is_match(&entry.name) {
                continue;
            }
            let directory = self.class.join(&entry.name);
            let index = self.files.keep(directory.join(NUMBERS[INDEX].1)).read_attribute(content).ok().and_then(number);
            let kept = self.devices[at..].iter().position(|device| device.name == entry.name && device.index == index);
            match kept {
                Some(ahead) => drop(self.devices.drain(at..at + ahead)),
                None => self.devices.insert(at, Device::new(&self.files, directory, &entry.name, index)),
            }
            at += 1;
        }
        self.devices.truncate(at);
        Ok(())
    }
}

impl Device {
    fn new(files: &Files, directory: PathBuf, name: &str, index: Option<i64>) -> Self {
        Device {
            name: name.to_owned(),
            index,
            number_files: std::array::from_fn(|at| files.keep(directory.join(NUMBERS[at].1))),
            text_files: TEXTS.map(|name| files.keep(directory.join(name))),
            numbers: [None; NUMBERS.len()],
            texts: Default::default(),
        }
    }

    fn read(&mut self, content: &mut Content) -> Result<(), DiskError> {
        for (value, file) in self.numbers.iter_mut().zip(&mut self.number_files) {
            *value = match file.read_attribute(content) {
                Ok(text) => number(text),
                Err(error) => left_out(error)?,
            };
        }
        for (value, file) in self.texts.iter_mut().zip(&mut self.text_files) {
            value.clear();
            match file.read_attribute(content) {
                Ok(text) => value.push_str(str(text.trim_ascii()).unwrap_or_default()),
                Err(error) => left_out(error)?.unwrap_or_default(),
            }
        }
        Ok(())
    }
}

fn number(text: &[u8]) -> Option<i64> {
    attribute(text.trim_ascii())
}

/// Errors that only mean: this device does not tell it, or has just gone.
fn left_out<T>(error: DiskError) -> Result<Option<T>, DiskError> {
    let told = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::InvalidInput);
    let errno = error.io().raw_os_error();
    let gone = [rustix::io::Errno::OPNOTSUPP, rustix::io::Errno::NODEV, rustix::io::Errno::IO];
    if told || gone.iter().any(|gone| errno == Some(gone.raw_os_error())) { Ok(None) } else { Err(error) }
}

impl Collect for Netclass {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        self.list(&mut scrape.content)?;
        for device in &mut self.devices {
            device.read(&mut scrape.content).map_err(CollectError::failed("could not get net class info"))?;
        }
        page.begin(&UP);
        for device in &self.devices {
            page.sample(&[("device", &device.name)]).integer(u64::from(device.texts[OPERSTATE] == "up"));
        }
        page.begin(&INFO);
        for device in &self.devices {
            let [address, broadcast, duplex, alias, operstate] = &device.texts;
            let admin = match device.numbers[FLAGS] {
                None => "unknown",
                Some(flags) if flags & FLAG_UP != 0 => "up",
                Some(_) => "down",
            };
            page.sample(&[
                ("address", address),
                ("adminstate", admin),
                ("broadcast", broadcast),
                ("device", &device.name),
                ("duplex", duplex),
                ("ifalias", alias),
                ("operstate", operstate),
            ])
            .integer(1);
        }
        for (at, (family, _)) in NUMBERS.iter().enumerate() {
            page.begin(family);
            for device in &self.devices {
                let Some(mut value) = device.numbers[at] else { continue };
                if at == SPEED {
                    if value < 0 && self.config.ignore_invalid_speed {
                        continue;
                    }
                    // megabits to bytes, cut as the original's integers are
                    value = value.saturating_mul(1_000_000) / 8;
                }
                page.sample(&[("device", &device.name)]).signed(value);
            }
        }
        Ok(())
    }
}
