//! How often CPUs were slowed down by heat, and which are online: a part of collector `cpu`.
//!
//! ```text
//! /sys/devices/system/cpu/cpu3/topology/{physical_package_id,core_id}      which core of which package
//!                              thermal_throttle/{core,package}_throttle_count
//!                              online                                      absent for a CPU that can not be switched off
//! ```
//!
//! Threads of a core share its count: it is told once. Where the counts can not be read nothing is told.

use super::collector::Scrape;
use super::parse::integer;
use super::source::{Content, Files, KeptFile};
use super::text::{Family, Page, family};
use std::collections::BTreeMap;
use std::path::PathBuf;

const CORE: Family =
    family!("node_cpu_core_throttles_total", "counter", "Number of times this CPU core has been throttled.");
const PACKAGE: Family =
    family!("node_cpu_package_throttles_total", "counter", "Number of times this CPU package has been throttled.");
const ONLINE: Family = family!("node_cpu_online", "gauge", "CPUs that are online and being scheduled.");

struct Inventory {
    /// What `online` said when the directories were searched.
    online: Vec<u8>,
    /// Package, core, file.
    cores: Vec<(String, String, KeptFile)>,
    packages: Vec<(String, KeptFile)>,
    /// Number and file of every CPU; empty when the first CPU has no such file.
    switches: Vec<(String, KeptFile)>,
}

pub(crate) struct Throttle {
    files: Files,
    devices: PathBuf,
    online: KeptFile,
    inventory: Option<Inventory>,
}

impl Throttle {
    pub(crate) fn new(files: &Files, devices: PathBuf) -> Self {
        Throttle { files: files.clone(), online: files.keep(devices.join("online")), devices, inventory: None }
    }

    pub(crate) fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) {
        let online = self.online.read_attribute(&mut scrape.content).unwrap_or_default();
        if self.inventory.as_ref().is_none_or(|inventory| inventory.online != online) {
            let online = online.to_vec();
            self.inventory = Some(self.search(online, &mut scrape.content));
        }
        let Some(inventory) = &mut self.inventory else { return };
        page.begin(&PACKAGE);
        for (package, file) in &mut inventory.packages {
            if let Some(count) = file.attribute_number(&mut scrape.content) {
                page.sample(&[("package", package)]).integer(count);
            }
        }
        page.begin(&CORE);
        for (package, core, file) in &mut inventory.cores {
            if let Some(count) = file.attribute_number(&mut scrape.content) {
                page.sample(&[("core", core), ("package", package)]).integer(count);
            }
        }
        page.begin(&ONLINE);
        for (cpu, file) in &mut inventory.switches {
            let on = file.attribute_number(&mut scrape.content) == Some(1);
            page.sample(&[("cpu", cpu)]).integer(u64::from(on));
        }
    }

    fn search(&self, online: Vec<u8>, content: &mut Content) -> Inventory {
        let mut cores = BTreeMap::new();
        let mut packages = BTreeMap::new();
        let mut switches = Vec::new();
        let entries = self.files.disk().list(&self.devices).unwrap_or_default();
        for entry in &entries {
            let Some(number) = entry.name.strip_prefix("cpu").filter(|number| is_number(number)) else { continue };
            let cpu = self.devices.join(&entry.name);
            switches.push((number.to_owned(), self.files.keep(cpu.join("online"))));
            let mut topology = |name| self.files.keep(cpu.join("topology").join(name)).attribute_number(content);
            let (Some(package), Some(core)) = (topology("physical_package_id"), topology("core_id")) else { continue };
            let mut count = |name| {
                let mut file = self.files.keep(cpu.join("thermal_throttle").join(name));
                file.attribute_number(content).map(|_| file)
            };
            if !cores.contains_key(&(package, core))
                && let Some(file) = count("core_throttle_count")
            {
                cores.insert((package, core), file);
            }
            if !packages.contains_key(&package)
                && let Some(file) = count("package_throttle_count")
            {
                packages.insert(package, file);
            }
        }
        if switches.first_mut().is_some_and(|(_, file)| file.read_attribute(content).is_err_and(|e| e.is_not_found())) {
            switches.clear();
        }
        Inventory {
            online,
            cores: cores.into_iter().map(|((p, c), file)| (p.to_string(), c.to_string(), file)).collect(),
            packages: packages.into_iter().map(|(package, file)| (package.to_string(), file)).collect(),
            switches,
        }
    }
}

fn is_number(text: &str) -> bool {
    integer(text.as_bytes()).is_some()
}
