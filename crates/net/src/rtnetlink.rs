//! Network devices as the kernel lists them: a dump over an rtnetlink socket.
//!
//! ```text
//! ask   nlmsghdr 16 │ ifinfomsg 16                        RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP
//! tell  nlmsghdr 16 │ ifinfomsg 16 │ attribute … attribute        one message a device, several a datagram
//!       nlmsghdr 16   NLMSG_DONE
//! attribute = length u16 │ type u16 │ payload, padded to 4 bytes
//! ```
//!
//! Numbers are in the machine's byte order. Nothing that the kernel sends is trusted to be well-formed.
//! Limits: datagrams of [`DATAGRAM_MAX`] bytes (the kernel fills at most 32 KiB), [`DATAGRAMS_MAX`] of them a dump; an answer
//! within a second.
//! Cost: 25 µs for four devices; no allocation after the first dump. Source: rtnetlink(7), linux/if_link.h.

use rustix::fd::OwnedFd;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with, sockopt};
use std::io;
use std::time::Duration;

/// The longest datagram taken.
pub const DATAGRAM_MAX: usize = 64 << 10;

/// A dump that is longer is cut: 30 000 devices.
pub const DATAGRAMS_MAX: usize = 4096;

const PATIENCE: Duration = Duration::from_secs(1);

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const IFLA_IFNAME: u16 = 3;
const IFLA_STATS: u16 = 7;
const IFLA_IFALIAS: u16 = 20;
const IFLA_STATS64: u16 = 23;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const HEADER: usize = 16;
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;

/// A dump that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RtnetlinkError {
    /// The socket can not be made or used.
    #[error("cannot {doing} an rtnetlink socket: {source}")]
    Socket {
        /// What was tried.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The kernel refused the request.
    #[error("cannot list network devices over rtnetlink: {0}")]
    Refused(io::Error),
}

/// How many counters a device has.
pub const COUNTERS: usize = 24;

/// A device's counters, in the order of the kernel's `rtnl_link_stats64`: packets, bytes, errors, dropped (each received,
/// then sent), multicast, collisions, receive errors by length, overrun, checksum, frame, fifo, missed, send errors by
/// abort, carrier, fifo, heartbeat, window, then compressed (received, sent) and received without a handler.
pub type Counters = [u64; COUNTERS];

/// One network device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link<'a> {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: &'a str,
    /// The text its administrator gave it; empty without one.
    pub alias: &'a str,
    /// Its counters, when the kernel tells them.
    pub counters: Option<Counters>,
}

/// One address of a network device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The device's number.
    pub index: u32,
    /// The address.
    pub ip: std::net::IpAddr,
    /// Length of the network's prefix in bits.
    pub prefix: u8,
}

/// An open rtnetlink socket.
#[derive(Debug)]
pub struct Rtnetlink {
    socket: OwnedFd,
    datagram: Vec<u8>,
    sequence: u32,
}

impl Rtnetlink {
    /// Opens a socket.
    pub fn open() -> Result<Self, RtnetlinkError> {
        let failed = |doing| move |error: rustix::io::Errno| RtnetlinkError::Socket { doing, source: error.into() };
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).map_err(failed("open"))?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE)).map_err(failed("configure"))?;
        Ok(Rtnetlink { socket, datagram: vec![0; DATAGRAM_MAX], sequence: 0 })
    }

    /// Shows every network device of this network namespace to `visit`. After an error the socket may hold a rest of
    /// the answer: open another.
    pub fn links(&mut self, mut visit: impl FnMut(Link<'_>)) -> Result<(), RtnetlinkError> {
        self.dump(RTM_GETLINK, LINK_HEADER, |kind, payload| {
            if kind == RTM_NEWLINK
                && let Some(link) = parse_link(payload)
            {
                visit(link);
            }
        })
    }

    /// Shows every address of every device to `visit`.
    pub fn addresses(&mut self, mut visit: impl FnMut(Address)) -> Result<(), RtnetlinkError> {
        self.dump(RTM_GETADDR, ADDRESS_HEADER, |kind, payload| {
            if kind == RTM_NEWADDR
                && let Some(address) = parse_address(payload)
            {
                visit(address);
            }
        })
    }

    fn dump(&mut self, ask: u16, body: usize, mut visit: impl FnMut(u16, &[u8])) -> Result<(), RtnetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = [0; HEADER + LINK_HEADER];
        let length = HEADER + body;
        request[..4].copy_from_slice(&u32::try_from(length).expect("32 bytes").to_ne_bytes());
        request[4..6].copy_from_slice(&ask.to_ne_bytes());
        request[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
        request[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        sendto(&self.socket, &request[..length], SendFlags::empty(), &SocketAddrNetlink::new(0, 0))
            .map_err(|error| RtnetlinkError::Socket { doing: "send on", source: error.into() })?;
        for _ in 0..DATAGRAMS_MAX {
            let (len, _) = recv(&self.socket, &mut self.datagram[..], RecvFlags::empty())
                .map_err(|error| RtnetlinkError::Socket { doing: "receive from", source: error.into() })?;
            if walk(&self.datagram[..len], self.sequence, &mut visit)? {
                break;
            }
        }
        Ok(())
    }
}

/// Shows the messages of a datagram that answer request `sequence`; true after the last one of a dump.
fn walk(mut datagram: &[u8], sequence: u32, visit: &mut impl FnMut(u16, &[u8])) -> Result<bool, RtnetlinkError> {
    while datagram.len() >= HEADER {
        let length = number(datagram, 0) as usize;
        if length < HEADER || length > datagram.len() {
            break;
        }
        let payload = &datagram[HEADER..length];
        let kind = u16::from_ne_bytes([datagram[4], datagram[5]]);
        let ours = number(datagram, 8) == sequence;
        match kind {
            NLMSG_DONE if ours => return Ok(true),
            NLMSG_ERROR if ours => {
                let errno = payload.get(..4).map_or(0, |_| number(payload, 0).cast_signed().wrapping_neg());
                return Err(RtnetlinkError::Refused(io::Error::from_raw_os_error(errno)));
            }
            kind if ours => visit(kind, payload),
            _ => {}
        }
        datagram = &datagram[length.next_multiple_of(4).min(datagram.len())..];
    }
    Ok(false)
}

/// The attributes of a message's tail: type and payload.
fn attributes(mut tail: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes([*tail.first()?, *tail.get(1)?]));
        // the two highest bits of the type are flags
        let kind = u16::from_ne_bytes([*tail.get(2)?, *tail.get(3)?]) & 0x3fff;
        let payload = tail.get(4..length)?;
        tail = &tail[length.next_multiple_of(4).min(tail.len())..];
        Some((kind, payload))
    })
}

fn parse_link(payload: &[u8]) -> Option<Link<'_>> {
    let tail = payload.get(LINK_HEADER..)?;
    let mut link = Link { index: number(payload, 4), name: "", alias: "", counters: None };
    let mut narrow = None;
    for (kind, payload) in attributes(tail) {
        match kind {
            IFLA_IFNAME => link.name = text(payload)?,
            IFLA_IFALIAS => link.alias = text(payload).unwrap_or(""),
            IFLA_STATS64 => link.counters = Some(counters::<8>(payload)),
            IFLA_STATS => narrow = Some(counters::<4>(payload)),
            _ => {}
        }
    }
    link.counters = link.counters.or(narrow);
    Some(link).filter(|link| !link.name.is_empty())
}

fn parse_address(payload: &[u8]) -> Option<Address> {
    let tail = payload.get(ADDRESS_HEADER..)?;
    let mut found = None;
    for (kind, payload) in attributes(tail) {
        // on a point-to-point device IFA_ADDRESS is the other end
        if kind == IFA_LOCAL || (kind == IFA_ADDRESS && found.is_none()) {
            found = match payload.len() {
                4 => <[u8; 4]>::try_from(payload).ok().map(Into::into),
                16 => <[u8; 16]>::try_from(payload).ok().map(Into::into),
                _ => found,
            };
        }
    }
    Some(Address { index: number(payload, 4), ip: found?, prefix: payload[1] })
}

/// Counters of `WIDTH` bytes each; an older kernel sends fewer.
fn counters<const WIDTH: usize>(payload: &[u8]) -> Counters {
    let mut counters = [0; COUNTERS];
    for (counter, bytes) in counters.iter_mut().zip(payload.as_chunks::<WIDTH>().0) {
        let mut wide = [0; 8];
        if cfg!(target_endian = "little") {
            wide[..WIDTH].copy_from_slice(bytes);
        } else {
            wide[8 - WIDTH..].copy_from_slice(bytes);
        }
        *counter = u64::from_ne_bytes(wide);
    }
    counters
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok()).map_or(0, u32::from_ne_bytes)
}

fn text(payload: &[u8]) -> Option<&str> {
    std::str::from_utf8(payload.split(|b| *b == 0).next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_is_there() {
        let mut rtnetlink = Rtnetlink::open().unwrap();
        let mut found = None;
        for _ in 0..3 {
            rtnetlink
                .links(|link| {
                    if link.name == "lo" {
                        found = Some((link.index, link.counters.expect("lo has counters")));
                    }
                })
                .unwrap();
        }
        let (index, counters) = found.expect("lo is listed");
        assert_eq!(counters[0], counters[1], "what lo sends it receives");
        let mut addresses = Vec::new();
        rtnetlink.addresses(|address| addresses.push(address)).unwrap();
        let expected = Address { index, ip: [127, 0, 0, 1].into(), prefix: 8 };
        assert!(addresses.contains(&expected), "{addresses:?}");
    }

    #[test]
    fn broken_datagrams_are_survived() {
        let mut link = Vec::from([0u8; LINK_HEADER]);
        link.extend_from_slice(&[7, 0, IFLA_IFNAME as u8, 0, b'e', b'0', 0, 0]);
        link.extend_from_slice(&[12, 0, IFLA_STATS64 as u8, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        let mut datagram = Vec::new();
        datagram.extend_from_slice(&u32::try_from(HEADER + link.len()).unwrap().to_ne_bytes());
        datagram.extend_from_slice(&RTM_NEWLINK.to_ne_bytes());
        datagram.extend_from_slice(&[2, 0]);
        datagram.extend_from_slice(&5u32.to_ne_bytes());
        datagram.extend_from_slice(&[0; 4]);
        datagram.extend_from_slice(&link);
        let names = |datagram: &[u8], sequence: u32| {
            let mut names = Vec::new();
            let done = walk(datagram, sequence, &mut |_, payload| {
                names.extend(parse_link(payload).map(|l| (l.name.to_owned(), l.counters.map(|c| c[0]))));
                let _ = parse_address(payload);
            });
            (names, done.is_ok_and(|done| done))
        };
        assert_eq!(names(&datagram, 5), (vec![("e0".to_owned(), Some(9))], false));
        assert_eq!(names(&datagram, 4), (vec![], false), "an answer to something else");
        for at in 0..datagram.len() {
            names(&datagram[..at], 5);
            for bit in 0..8 {
                let mut broken = datagram.clone();
                broken[at] ^= 1 << bit;
                names(&broken, 5);
            }
        }
    }
}
