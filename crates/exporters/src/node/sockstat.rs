//! Collector `sockstat`: sockets in use by protocol and the memory they hold. Source: `/proc/net/sockstat`, `sockstat6`.

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::name_cache::NameCache;
use super::parse::{fields, integer, lines, str};
use super::source::{Files, KeptFile};
use super::text::{Family, Page, family, prepare};

const USED: Family = family!("node_sockstat_sockets_used", "gauge", "Number of IPv4 sockets in use.");

/// The counters of a protocol that are shown.
const STATES: [&[u8]; 6] = [b"inuse", b"orphan", b"tw", b"alloc", b"mem", b"memory"];

pub(crate) struct Sockstat {
    files: [(KeptFile, NameCache); 2],
    page_size: u64,
}

impl Sockstat {
    pub(crate) fn new(files: &Files, roots: &Roots) -> Self {
        let keep = |name: &str| (files.keep(roots.procfs.join("net").join(name)), NameCache::default());
        Sockstat { files: [keep("sockstat"), keep("sockstat6")], page_size: rustix::param::page_size() as u64 }
    }
}

impl Collect for Sockstat {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        for (file, names) in &mut self.files {
            let text = match file.read(&mut scrape.content) {
                Ok(text) => text,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(CollectError::failed("failed to get sockstat data")(error)),
            };
            show(text, names, self.page_size, page)?;
        }
        Ok(())
    }
}

fn show(text: &[u8], names: &mut NameCache, page_size: u64, page: &mut Page<'_>) -> Result<(), CollectError> {
    let malformed = |line: &[u8]| {
        CollectError::Failed(format!("failed to get sockstat data: malformed line {:?}", String::from_utf8_lossy(line)))
    };
    names.rewind();
    for line in lines(text) {
        let mut parts = fields(line);
        let protocol = parts.next().and_then(|p| p.strip_suffix(b":")).ok_or_else(|| malformed(line))?;
        names.next(protocol, |_| None);
        while let Some(state) = parts.next() {
            let value = parts.next().and_then(integer).ok_or_else(|| malformed(line))?;
            if protocol == b"sockets" {
                if state == b"used" {
                    page.single(&USED).integer(value);
                }
                continue;
            }
            if !STATES.contains(&state) {
                continue;
            }
            if let Some(prepared) = names.next(state, |state| family_of(protocol, state)) {
                page.prepared(prepared).integer(value);
            }
            if state == b"mem"
                && let Some(prepared) = names.next(b"mem_bytes", |state| family_of(protocol, state))
            {
                page.prepared(prepared).integer(value.saturating_mul(page_size));
            }
        }
    }
    Ok(())
}

fn family_of(protocol: &[u8], state: &str) -> Option<Box<str>> {
    let protocol = str(protocol)?;
    let help = format!("Number of {protocol} sockets in state {state}.");
    Some(prepare(&format!("node_sockstat_{protocol}_{state}"), "gauge", &help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(text: &str) -> Result<Vec<String>, String> {
        let mut out = Vec::new();
        show(text.as_bytes(), &mut NameCache::default(), 4096, &mut Page::new(&mut out)).map_err(|e| e.to_string())?;
        let text = String::from_utf8(out).unwrap();
        Ok(text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect())
    }

    #[test]
    fn protocols_and_their_memory() {
        assert_eq!(
            samples("sockets: used 229\nTCP: inuse 4 tw 4 new 9 mem 2\nFRAG: inuse 0 memory 1\n").unwrap(),
            [
                "node_sockstat_sockets_used 229",
                "node_sockstat_TCP_inuse 4",
                "node_sockstat_TCP_tw 4",
                "node_sockstat_TCP_mem 2",
                "node_sockstat_TCP_mem_bytes 8192",
                "node_sockstat_FRAG_inuse 0",
                "node_sockstat_FRAG_memory 1",
            ]
        );
        for broken in ["TCP inuse 4", "TCP: inuse", "TCP: inuse x", "\n"] {
            assert!(samples(broken).is_err(), "{broken:?}");
        }
    }
}
