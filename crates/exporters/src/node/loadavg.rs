//! Collector `loadavg`: how many processes run or wait, averaged over 1, 5 and 15 minutes. Source: `/proc/loadavg`.

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::parse::{fields, float};
use super::source::{Files, KeptFile};
use super::text::{Family, Page, family};

const LOADS: [Family; 3] = [
    family!("node_load1", "gauge", "1m load average."),
    family!("node_load5", "gauge", "5m load average."),
    family!("node_load15", "gauge", "15m load average."),
];

pub(crate) struct Loadavg {
    file: KeptFile,
}

impl Loadavg {
    pub(crate) fn new(files: &Files, roots: &Roots) -> Self {
        Loadavg { file: files.keep(roots.procfs.join("loadavg")) }
    }
}

impl Collect for Loadavg {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        let text = self.file.read(&mut scrape.content).map_err(CollectError::failed("couldn't get load"))?;
        let loads = parse(text)
            .ok_or_else(|| CollectError::Failed(format!("unexpected content in {}", self.file.path().display())))?;
        for (family, load) in LOADS.iter().zip(loads) {
            page.single(family).number(load);
        }
        Ok(())
    }
}

fn parse(text: &[u8]) -> Option<[f64; 3]> {
    let mut fields = fields(text);
    Some([float(fields.next()?)?, float(fields.next()?)?, float(fields.next()?)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers() {
        assert_eq!(parse(b"0.21 0.37 0.39 1/719 19737\n"), Some([0.21, 0.37, 0.39]));
        assert_eq!((parse(b"0.21 0.37"), parse(b"a b c"), parse(b"")), (None, None, None));
    }
}
