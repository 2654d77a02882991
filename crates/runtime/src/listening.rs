//! Who listens: TCP ports open on this machine, with the process and program behind each.
//!
//! ```text
//! /proc/net/tcp, tcp6     address, state 0A, socket inode
//! /proc/<pid>/fd/*        → "socket:[inode]"          only of processes this user may look into
//! /proc/<pid>/comm        the program
//! ```
//!
//! The answer is a moment's picture: a process may have gone meanwhile. A port whose owner can not be seen (another
//! user's process) has no `pid`.
//! Limits: [`LISTENERS_MAX`] ports; the search for owners ends when all are found, or after [`DESCRIPTORS_MAX`] descriptors.
//! Cost: one system call per open descriptor of the processes searched, newest first; 1 to 10 ms on a small machine. Not for
//! every second. Source: proc(5).

use crate::disk::{Disk, DiskError};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// At most this many ports are told; the lowest ones.
pub const LISTENERS_MAX: usize = 4096;

/// After this many descriptors the owners not found yet stay unknown: 0.2 s.
pub const DESCRIPTORS_MAX: usize = 200_000;

/// One listening TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Address and port it is bound to.
    pub address: SocketAddr,
    /// The socket's inode number.
    pub inode: u64,
    /// The user it belongs to.
    pub user: u32,
    /// The process that holds it, where this user may see that.
    pub pid: Option<u32>,
    /// That process' name, as `ps` shows it.
    pub program: Option<String>,
}

impl Listener {
    /// `prometheus (pid 812)`, or who may be asked when the owner can not be seen.
    pub fn owner(&self) -> String {
        match (&self.program, self.pid) {
            (Some(program), Some(pid)) => format!("{program} (pid {pid})"),
            (None, Some(pid)) => format!("pid {pid}"),
            _ => format!("a process of user {}", self.user),
        }
    }
}

/// All listening TCP sockets of this network namespace, sorted by port and address.
pub fn listening(disk: &dyn Disk, procfs: &Path) -> Result<Vec<Listener>, DiskError> {
    let mut listeners = sockets(disk, procfs)?;
    listeners.truncate(LISTENERS_MAX);
    find_owners(disk, procfs, &mut listeners);
    Ok(listeners)
}

/// Who listens on `port`, if anyone does: for the message when it is taken.
pub fn holder(disk: &dyn Disk, procfs: &Path, port: u16) -> Option<Listener> {
    let mut listeners = sockets(disk, procfs).ok()?;
    listeners.retain(|listener| listener.address.port() == port);
    find_owners(disk, procfs, &mut listeners);
    let seen = listeners.iter().position(|listener| listener.pid.is_some()).unwrap_or(0);
    (!listeners.is_empty()).then(|| listeners.swap_remove(seen))
}

fn sockets(disk: &dyn Disk, procfs: &Path) -> Result<Vec<Listener>, DiskError> {
    let mut listeners = Vec::new();
    let mut text = Vec::new();
    disk.read_into(&procfs.join("net/tcp"), &mut text)?;
    parse(&text, &mut listeners);
    match disk.read_into(&procfs.join("net/tcp6"), &mut text) {
        Ok(()) => parse(&text, &mut listeners),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    listeners.sort_by_key(|listener| (listener.address.port(), listener.address.ip()));
    Ok(listeners)
}

/// Adds the listening sockets of a `/proc/net/tcp` or `tcp6`; lines that can not be read are left out.
fn parse(text: &[u8], into: &mut Vec<Listener>) {
    let text = String::from_utf8_lossy(text);
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
        if fields.get(3) != Some(&"0A") {
            continue;
        }
        let (Some(address), Some(user), Some(inode)) = (
            fields.get(1).and_then(|field| parse_address(field)),
            fields.get(7).and_then(|field| field.parse().ok()),
            fields.get(9).and_then(|field| field.parse().ok()),
        ) else {
            continue;
        };
        into.push(Listener { address, inode, user, pid: None, program: None });
    }
}

/// `0100007F:1F90`: each 32-bit word of the address in the machine's byte order, then the port.
fn parse_address(field: &str) -> Option<SocketAddr> {
    let (ip, port) = field.split_once(':')?;
    if !ip.is_ascii() {
        return None;
    }
    let word = |at: usize| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

fn find_owners(disk: &dyn Disk, procfs: &Path, listeners: &mut [Listener]) {
    let mut wanted: HashMap<u64, usize> = listeners.iter().enumerate().map(|(at, l)| (l.inode, at)).collect();
    let Ok(entries) = disk.list(procfs) else { return };
    let mut pids: Vec<u32> = entries.iter().filter_map(|entry| entry.name.parse().ok()).collect();
    // services tend to be younger than the kernel's own threads
    pids.sort_unstable_by(|a, b| b.cmp(a));
    let mut searched = 0;
    for pid in pids {
        if wanted.is_empty() || searched > DESCRIPTORS_MAX {
            return;
        }
        let process = procfs.join(pid.to_string());
        // another user's process, or one that has just ended
        let Ok(descriptors) = disk.list(&process.join("fd")) else { continue };
        searched += descriptors.len();
        for descriptor in descriptors {
            let Ok(target) = disk.read_link(&process.join("fd").join(&descriptor.name)) else { continue };
            let Some(at) = socket_inode(&target).and_then(|inode| wanted.remove(&inode)) else { continue };
            listeners[at].pid = Some(pid);
            listeners[at].program = disk
                .read(&process.join("comm"))
                .ok()
                .map(|name| String::from_utf8_lossy(name.trim_ascii_end()).into_owned());
        }
    }
}

fn socket_inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn addresses() {
        for (field, address) in [
            ("0100007F:1F90", Some("127.0.0.1:8080")),
            ("00000000:0016", Some("0.0.0.0:22")),
            ("00000000000000000000000001000000:238C", Some("[::1]:9100")),
            ("0000000000000000FFFF00000100007F:0050", Some("[::ffff:127.0.0.1]:80")),
            ("0100007F", None),
            ("0100007:1F90", None),
            ("x100007F:1F90", None),
            ("é00007F:1F90", None),
            ("0100007F:1F901", None),
        ] {
            assert_eq!(parse_address(field), address.map(|a| a.parse().unwrap()), "{field}");
        }
    }

    #[test]
    fn only_listening_sockets_count() {
        let text = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 x 100 0\n\
            \x20  1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1 x 100 0\n\
            \x20  2: 0100007F:1F9";
        let mut found = Vec::new();
        parse(text, &mut found);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].inode, found[0].user, found[0].address.port()), (4242, 1000, 8080));
        assert_eq!(found[0].owner(), "a process of user 1000");
        for cut in 0..text.len() {
            parse(&text[..cut], &mut Vec::new());
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test needs a listening socket")]
    fn our_own_port_is_found_with_its_owner() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = holder(&RealDisk, Path::new("/proc"), port).expect("our own port listens");
        assert_eq!(found.pid, Some(std::process::id()));
        assert!(found.program.is_some());
        assert_eq!(found.address.to_string(), format!("127.0.0.1:{port}"));
    }
}
