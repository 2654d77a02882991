//! Collector `netdev`: traffic and errors of each network device.
//!
//! ```text
//! rtnetlink (default)   24 counters a device ─┬─ legacy: 17 families, several counters summed in one
//!                                             └─ --collector.netdev.enable-detailed-metrics: 24 families
//! /proc/net/dev         16 counters a device, summed by the kernel      (--no-collector.netdev.netlink)
//! ```

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::filter::Filter;
use super::parse::{fields, integer, lines, str};
use super::source::{Files, KeptFile};
use super::text::{Family, Page, family};
use net::rtnetlink::{Counters, Link};
use std::net::IpAddr;

/// Flags of this collector.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NetdevConfig {
    /// Which devices.
    pub(crate) devices: Filter,
    /// Ask over rtnetlink; otherwise read `/proc/net/dev`.
    pub(crate) netlink: bool,
    /// A family a counter.
    pub(crate) detailed: bool,
    /// Label `ifalias`.
    pub(crate) label_alias: bool,
    /// Family `node_network_address_info`.
    pub(crate) address_info: bool,
}

const ADDRESS: Family = family!("node_network_address_info", "gauge", "node network address by device");

macro_rules! statistic {
    ($name:literal) => {
        family!(concat!("node_network_", $name, "_total"), "counter", concat!("Network device statistic ", $name, "."))
    };
}

/// Families in the kernel's order of counters.
const DETAILED: [Family; 24] = [
    statistic!("receive_packets"),
    statistic!("transmit_packets"),
    statistic!("receive_bytes"),
    statistic!("transmit_bytes"),
    statistic!("receive_errors"),
    statistic!("transmit_errors"),
    statistic!("receive_dropped"),
    statistic!("transmit_dropped"),
    statistic!("multicast"),
    statistic!("collisions"),
    statistic!("receive_length_errors"),
    statistic!("receive_over_errors"),
    statistic!("receive_crc_errors"),
    statistic!("receive_frame_errors"),
    statistic!("receive_fifo_errors"),
    statistic!("receive_missed_errors"),
    statistic!("transmit_aborted_errors"),
    statistic!("transmit_carrier_errors"),
    statistic!("transmit_fifo_errors"),
    statistic!("transmit_heartbeat_errors"),
    statistic!("transmit_window_errors"),
    statistic!("receive_compressed"),
    statistic!("transmit_compressed"),
    statistic!("receive_nohandler"),
];

/// Families in name order, each with the counters it sums.
const LEGACY: [(Family, &[usize]); 17] = [
    (statistic!("receive_bytes"), &[2]),
    (statistic!("receive_compressed"), &[21]),
    (statistic!("receive_drop"), &[6, 15]),
    (statistic!("receive_errs"), &[4]),
    (statistic!("receive_fifo"), &[14]),
    (statistic!("receive_frame"), &[13, 10, 11, 12]),
    (statistic!("receive_multicast"), &[8]),
    (statistic!("receive_nohandler"), &[23]),
    (statistic!("receive_packets"), &[0]),
    (statistic!("transmit_bytes"), &[3]),
    (statistic!("transmit_carrier"), &[17, 16, 19, 20]),
    (statistic!("transmit_colls"), &[9]),
    (statistic!("transmit_compressed"), &[22]),
    (statistic!("transmit_drop"), &[7]),
    (statistic!("transmit_errs"), &[5]),
    (statistic!("transmit_fifo"), &[18]),
    (statistic!("transmit_packets"), &[1]),
];

/// Families of `/proc/net/dev`'s columns with `--collector.netdev.enable-detailed-metrics`, as the original names them then;
/// without, the second name is the legacy one.
const COLUMNS: [(Family, Family); 16] = [
    (statistic!("receive_bytes"), statistic!("receive_bytes")),
    (statistic!("receive_packets"), statistic!("receive_packets")),
    (statistic!("receive_errors"), statistic!("receive_errs")),
    (statistic!("receive_dropped"), statistic!("receive_drop")),
    (statistic!("receive_fifo"), statistic!("receive_fifo")),
    (statistic!("receive_frame"), statistic!("receive_frame")),
    (statistic!("receive_compressed"), statistic!("receive_compressed")),
    (statistic!("receive_multicast"), statistic!("receive_multicast")),
    (statistic!("transmit_bytes"), statistic!("transmit_bytes")),
    (statistic!("transmit_packets"), statistic!("transmit_packets")),
    (statistic!("transmit_errors"), statistic!("transmit_errs")),
    (statistic!("transmit_dropped"), statistic!("transmit_drop")),
    (statistic!("transmit_fifo"), statistic!("transmit_fifo")),
    (statistic!("transmit_colls"), statistic!("transmit_colls")),
    (statistic!("transmit_carrier"), statistic!("transmit_carrier")),
    (statistic!("transmit_compressed"), statistic!("transmit_compressed")),
];

#[derive(Debug, Default)]
struct Device {
    name: String,
    alias: String,
    index: u32,
    counters: Counters,
}

pub(crate) struct Netdev {
    config: NetdevConfig,
    file: KeptFile,
    devices: Vec<Device>,
    used: usize,
}

impl Netdev {
    pub(crate) fn new(files: &Files, roots: &Roots, config: NetdevConfig) -> Self {
        Netdev { config, file: files.keep(roots.procfs.join("net/dev")), devices: Vec::new(), used: 0 }
    }

    /// The next place in the list of devices, its texts emptied but not freed.
    fn next_device(devices: &mut Vec<Device>, used: &mut usize) -> usize {
        if *used == devices.len() {
            devices.push(Device::default());
        }
        *used += 1;
        let device = &mut devices[*used - 1];
        device.name.clear();
        device.alias.clear();
        *used - 1
    }

    fn ask(&mut self, scrape: &mut Scrape) -> Result<(), CollectError> {
        let Netdev { config, devices, used, .. } = self;
        *used = 0;
        scrape.rtnetlink(|socket| {
            socket.links(|link: Link<'_>| {
                let Some(counters) = link.counters else { return };
                if config.devices.ignores(link.name) {
                    return;
                }
                let at = Self::next_device(devices, used);
                devices[at].name.push_str(link.name);
                devices[at].alias.push_str(link.alias);
                devices[at].index = link.index;
                devices[at].counters = counters;
            })
        })
    }

    fn read(&mut self, scrape: &mut Scrape) -> Result<(), CollectError> {
        let Netdev { config, devices, used, file, .. } = self;
        *used = 0;
        let text = file.read(&mut scrape.content).map_err(CollectError::failed("couldn't get netstats"))?;
        for line in lines(text).skip(2) {
            let (name, columns) = parse(line).ok_or_else(|| {
                let line = String::from_utf8_lossy(line);
                CollectError::Failed(format!(
                    "couldn't get netstats: failed to parse /proc/net/dev: invalid line {line:?}"
                ))
            })?;
            if config.devices.ignores(name) {
                continue;
            }
            let at = Self::next_device(devices, used);
            devices[at].name.push_str(name);
            devices[at].counters[..16].copy_from_slice(&columns);
        }
        Ok(())
    }

    fn show(&self, page: &mut Page<'_>, family: &'static Family, value: impl Fn(&Counters) -> u64) {
        page.begin(family);
        for device in &self.devices[..self.used] {
            let labels = [("device", device.name.as_str()), ("ifalias", device.alias.as_str())];
            let labels = if self.config.label_alias { &labels[..] } else { &labels[..1] };
            page.sample(labels).integer(value(&device.counters));
        }
    }

    fn show_addresses(&self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        let mut names: Vec<(u32, String)> = Vec::new();
        let mut addresses = Vec::new();
        scrape.rtnetlink(|socket| socket.links(|link| names.push((link.index, link.name.to_owned()))))?;
        scrape.rtnetlink(|socket| socket.addresses(|address| addresses.push(address)))?;
        page.begin(&ADDRESS);
        for address in addresses {
            let Some((_, name)) = names.iter().find(|(index, _)| *index == address.index) else { continue };
            if self.config.devices.ignores(name) {
                continue;
            }
            let labels = [
                ("address", &*address.ip.to_string()),
                ("device", name),
                ("netmask", &*address.prefix.to_string()),
                ("scope", scope(address.ip)),
            ];
            page.sample(&labels).integer(1);
        }
        Ok(())
    }
}

impl Collect for Netdev {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        let detailed = self.config.detailed;
        if self.config.netlink {
            self.ask(scrape)?;
            if detailed {
                for (at, family) in DETAILED.iter().enumerate() {
                    self.show(page, family, |counters| counters[at]);
                }
            } else {
                for (family, summed) in &LEGACY {
                    self.show(page, family, |counters| {
                        summed.iter().fold(0, |sum, at| sum.wrapping_add(counters[*at]))
                    });
                }
            }
        } else {
            self.read(scrape)?;
            for (at, (long, short)) in COLUMNS.iter().enumerate() {
                self.show(page, if detailed { long } else { short }, |counters| counters[at]);
            }
        }
        if self.config.address_info { self.show_addresses(page, scrape) } else { Ok(()) }
    }
}

/// Name and columns of a line of `/proc/net/dev`; the name ends at the last colon.
fn parse(line: &[u8]) -> Option<(&str, [u64; 16])> {
    let at = memchr::memrchr(b':', line)?;
    let mut columns = [0; 16];
    let mut parts = fields(&line[at + 1..]);
    for column in &mut columns {
        *column = integer(parts.next()?)?;
    }
    Some((str(line[..at].trim_ascii())?, columns))
}

/// How far an address reaches, in the words of the original (a loopback address is told as link-local there).
fn scope(ip: IpAddr) -> &'static str {
    let (link_local, interface_local) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local() || ip.octets()[..3] == [224, 0, 0], false),
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.octets();
            let multicast_scope = if first == 0xff { second & 0x0f } else { 0 };
            (ip.is_unicast_link_local() || multicast_scope == 2, multicast_scope == 1)
        }
    };
    match ip {
        _ if ip.is_loopback() || link_local => "link-local",
        _ if interface_local => "interface-local",
        IpAddr::V4(ip) if ip.is_broadcast() => "",
        _ if ip.is_unspecified() || ip.is_multicast() => "",
        _ => "global",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_net_dev() {
        let (name, columns) =
            parse(b"  eth0:1: 68210035552 520993275    0   39    0     0          0 0 9315587528 43451486 0 0 0 0 0 7")
                .unwrap();
        assert_eq!((name, columns[0], columns[3], columns[15]), ("eth0:1", 68_210_035_552, 39, 7));
        for broken in [&b""[..], b"lo: 1 2", b"lo 1", b"lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 x"] {
            assert_eq!(parse(broken), None);
        }
    }

    #[test]
    fn scopes() {
        for (ip, expected) in [
            ("127.0.0.1", "link-local"),
            ("169.254.1.1", "link-local"),
            ("fe80::1", "link-local"),
            ("ff01::1", "interface-local"),
            ("10.0.0.1", "global"),
            ("2001:db8::1", "global"),
            ("0.0.0.0", ""),
        ] {
            assert_eq!(scope(ip.parse().unwrap()), expected, "{ip}");
        }
    }
}
