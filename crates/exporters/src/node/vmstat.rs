//! Collector `vmstat`: counters of the memory manager, those whose name `--collector.vmstat.fields` matches.
//! Source: `/proc/vmstat`.

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::filter::Pattern;
use super::name_cache::NameCache;
use super::parse::{fields, integer, lines};
use super::source::{Files, KeptFile};
use super::text::{Page, prepare};

/// The names shown unless the flag says otherwise.
pub(crate) const FIELDS: &str = "^(oom_kill|pgpg|pswp|pg.*fault).*";

pub(crate) struct Vmstat {
    file: KeptFile,
    fields: Pattern,
    names: NameCache,
}

impl Vmstat {
    pub(crate) fn new(files: &Files, roots: &Roots, fields: Pattern) -> Self {
        Vmstat { file: files.keep(roots.procfs.join("vmstat")), fields, names: NameCache::default() }
    }
}

impl Collect for Vmstat {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        let text = self.file.read(&mut scrape.content).map_err(CollectError::failed("couldn't get vmstat"))?;
        self.names.rewind();
        for line in lines(text) {
            let mut parts = fields(line);
            let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
            let prepared = self.names.next(name, |name| {
                self.fields.is_match(name).then(|| {
                    let help = format!("/proc/vmstat information field {name}.");
                    prepare(&format!("node_vmstat_{name}"), "untyped", &help)
                })
            });
            let Some(prepared) = prepared else { continue };
            let value = integer(value).ok_or_else(|| {
                CollectError::Failed(format!("invalid value {} in vmstat", String::from_utf8_lossy(value)))
            })?;
            page.prepared(prepared).integer(value);
        }
        Ok(())
    }
}
