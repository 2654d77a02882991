//! Collector `uname`: names and versions of kernel and machine. Source: uname(2).

use super::collector::{Collect, CollectError, Scrape};
use super::text::{Family, Page, family};

const INFO: Family =
    family!("node_uname_info", "gauge", "Labeled system information as provided by the uname system call.");

pub(crate) struct Uname;

impl Collect for Uname {
    fn collect(&mut self, page: &mut Page<'_>, _: &mut Scrape) -> Result<(), CollectError> {
        let uname = rustix::system::uname();
        page.begin(&INFO);
        page.sample(&[
            ("domainname", &uname.domainname().to_string_lossy()),
            ("machine", &uname.machine().to_string_lossy()),
            ("nodename", &uname.nodename().to_string_lossy()),
            ("release", &uname.release().to_string_lossy()),
            ("sysname", &uname.sysname().to_string_lossy()),
            ("version", &uname.version().to_string_lossy()),
        ])
        .integer(1);
        Ok(())
    }
}
