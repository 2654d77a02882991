//! Collector `filefd`: open file handles of the whole machine. Source: `/proc/sys/fs/file-nr`.

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::parse::integer;
use super::source::{Files, KeptFile};
use super::text::{Family, Page, family};

const ALLOCATED: Family = family!("node_filefd_allocated", "gauge", "File descriptor statistics: allocated.");
const MAXIMUM: Family = family!("node_filefd_maximum", "gauge", "File descriptor statistics: maximum.");

pub(crate) struct Filefd {
    file: KeptFile,
}

impl Filefd {
    pub(crate) fn new(files: &Files, roots: &Roots) -> Self {
        Filefd { file: files.keep(roots.procfs.join("sys/fs/file-nr")) }
    }
}

impl Collect for Filefd {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        let text = self.file.read(&mut scrape.content).map_err(CollectError::failed("couldn't get file-nr"))?;
        let (allocated, maximum) = parse(text).ok_or_else(|| {
            CollectError::Failed(format!("unexpected number of file stats in {:?}", self.file.path()))
        })?;
        page.single(&ALLOCATED).integer(allocated);
        page.single(&MAXIMUM).integer(maximum);
        Ok(())
    }
}

/// `allocated \t free \t maximum`.
fn parse(text: &[u8]) -> Option<(u64, u64)> {
    let mut parts = text.trim_ascii().split(|b| *b == b'\t');
    let allocated = integer(parts.next()?)?;
    Some((allocated, integer(parts.nth(1)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocated_and_maximum() {
        assert_eq!(parse(b"1024\t0\t1631329\n"), Some((1024, 1_631_329)));
        assert_eq!((parse(b"1024\t0"), parse(b"")), (None, None));
    }
}
