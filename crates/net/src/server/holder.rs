//! Who holds a port: found through `/proc`, as `ss -ltnp` does.
//!
//! `/proc/net/tcp` and `tcp6` give the inode of the listening socket, `/proc/<pid>/fd/*` the process that has it open.
//! Processes of other users stay unnamed unless we are root. Source: proc(5).

use runtime::disk::Disk;
use std::path::Path;

/// The process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: u32,
    pub(super) program: String,
}

/// How many descriptors are looked at before the search ends without an answer.
const DESCRIPTORS_MAX: usize = 200_000;

/// The process that listens on `port`, if it can be seen.
pub(super) fn find(disk: &dyn Disk, port: u16) -> Option<Holder> {
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let mut text = Vec::new();
        if disk.read_into(Path::new(table), &mut text).is_ok() {
            inodes.extend(listening_inodes(&String::from_utf8_lossy(&text), port));
        }
    }
    let targets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    if targets.is_empty() {
        return None;
    }
    let mut seen = 0;
    for process in disk.list(Path::new("/proc")).ok()? {
        let Some(pid) = process.name.parse::<u32>().ok() else { continue };
        let folder = format!("/proc/{pid}/fd");
        // a process of another user, or one that has just ended
        let Ok(descriptors) = disk.list(Path::new(&folder)) else { continue };
        for descriptor in descriptors {
            seen += 1;
            if seen > DESCRIPTORS_MAX {
                return None;
            }
            let link = disk.read_link(&Path::new(&folder).join(&descriptor.name));
            if link.is_ok_and(|link| targets.iter().any(|target| link.as_os_str() == target.as_str())) {
                return Some(Holder { pid, program: program(disk, pid) });
            }
        }
    }
    None
}

fn program(disk: &dyn Disk, pid: u32) -> String {
    let mut name = Vec::new();
    match disk.read_into(Path::new(&format!("/proc/{pid}/comm")), &mut name) {
        Ok(()) => String::from_utf8_lossy(&name).trim().to_owned(),
        Err(_) => "a program".to_owned(),
    }
}

/// Inodes of the sockets in state `0A` (listen) on `port`. A line is
/// `sl local_address:port rem_address st tx:rx tr:when retrnsmt uid timeout inode …`, numbers in hex.
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let listens = *fields.get(3)? == "0A" && u16::from_str_radix(local_port, 16).ok()? == port;
        fields.get(9)?.parse::<u64>().ok().filter(|inode| listens && *inode != 0)
    };
    table.lines().skip(1).filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
            1: 0100007F:2382 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n\
            2: 0100007F:2383 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0\n\
            3: broken";
        assert_eq!(listening_inodes(table, 0x2382), [4711]);
        assert_eq!(listening_inodes(table, 1), Vec::<u64>::new());
    }
}
