//! Collector `meminfo`: where the memory is. Source: `/proc/meminfo`.
//!
//! Only the fields that the original knows are shown: a new kernel's new line would be a family that no dashboard made
//! for the original expects.

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::name_cache::NameCache;
use super::parse::{fields, integer, lines};
use super::source::{Files, KeptFile};
use super::text::{Page, prepare};

/// The fields shown, as the kernel names them.
const SHOWN: &[&str] = &[
    "Active",
    "Active(anon)",
    "Active(file)",
    "AnonHugePages",
    "AnonPages",
    "Bounce",
    "Buffers",
    "Cached",
    "CmaFree",
    "CmaTotal",
    "CommitLimit",
    "Committed_AS",
    "DirectMap1G",
    "DirectMap2M",
    "DirectMap4k",
    "Dirty",
    "HardwareCorrupted",
    "HugePages_Free",
    "HugePages_Rsvd",
    "HugePages_Surp",
    "HugePages_Total",
    "Hugepagesize",
    "Inactive",
    "Inactive(anon)",
    "Inactive(file)",
    "KernelStack",
    "Mapped",
    "MemAvailable",
    "MemFree",
    "MemTotal",
    "Mlocked",
    "NFS_Unstable",
    "PageTables",
    "Percpu",
    "SReclaimable",
    "SUnreclaim",
    "Shmem",
    "ShmemHugePages",
    "ShmemPmdMapped",
    "Slab",
    "SwapCached",
    "SwapFree",
    "SwapTotal",
    "Unevictable",
    "VmallocChunk",
    "VmallocTotal",
    "VmallocUsed",
    "Writeback",
    "WritebackTmp",
    "Zswap",
    "Zswapped",
];

pub(crate) struct Meminfo {
    file: KeptFile,
    names: NameCache,
}

impl Meminfo {
    pub(crate) fn new(files: &Files, roots: &Roots) -> Self {
        Meminfo { file: files.keep(roots.procfs.join("meminfo")), names: NameCache::default() }
    }
}

impl Collect for Meminfo {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        let text = self.file.read(&mut scrape.content).map_err(CollectError::failed("couldn't get meminfo"))?;
        self.names.rewind();
        for line in lines(text) {
            let (name, value) = parse(line).ok_or_else(|| {
                CollectError::Failed(format!(
                    "couldn't get meminfo: malformed line {:?}",
                    String::from_utf8_lossy(line)
                ))
            })?;
            if let Some(prepared) = self.names.next(name, family_of) {
                page.prepared(prepared).integer(value);
            }
        }
        Ok(())
    }
}

/// Name and value of a line; a value in kB becomes bytes.
fn parse(line: &[u8]) -> Option<(&[u8], u64)> {
    let mut parts = fields(line);
    let name = parts.next()?.strip_suffix(b":")?;
    let value = integer(parts.next()?)?;
    match parts.next() {
        Some(b"kB") => Some((name, value.checked_mul(1024)?)),
        Some(_) => None,
        None => Some((name, value)),
    }
}

fn family_of(field: &str) -> Option<Box<str>> {
    SHOWN.binary_search(&field).ok()?;
    let mut name = field.replace('(', "_").replace(')', "");
    if !name.starts_with("HugePages_") {
        name.push_str("_bytes");
    }
    let help = format!("Memory information field {name}.");
    Some(prepare(&format!("node_memory_{name}"), "gauge", &help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_names() {
        assert!(SHOWN.is_sorted());
        assert_eq!(parse(b"MemTotal:        3742148 kB"), Some((&b"MemTotal"[..], 3_742_148 * 1024)));
        assert_eq!(parse(b"HugePages_Total:       7"), Some((&b"HugePages_Total"[..], 7)));
        for broken in [&b"MemTotal: x kB"[..], b"MemTotal 1 kB", b"MemTotal:", b"", b"A: 18446744073709551615 kB"] {
            assert_eq!(parse(broken), None);
        }
        let family = family_of("Active(anon)").unwrap();
        assert!(family.ends_with("\nnode_memory_Active_anon_bytes "), "{family}");
        assert!(family_of("HugePages_Free").unwrap().ends_with("\nnode_memory_HugePages_Free "));
        assert_eq!(family_of("KReclaimable"), None);
    }
}
