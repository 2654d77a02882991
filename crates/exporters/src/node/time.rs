//! Collector `time`: the wall clock, its zone, and what the kernel takes time from.
//! Source: the clock; `/etc/localtime`; `/sys/devices/system/clocksource/clocksource*`.

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::parse::{fields, str};
use super::source::{Files, KeptFile};
use super::text::{Family, Page, family};
use super::zone::Zone;
use std::path::PathBuf;

const SECONDS: Family = family!("node_time_seconds", "gauge", "System time in seconds since epoch (1970).");
const OFFSET: Family = family!("node_time_zone_offset_seconds", "gauge", "System time zone offset in seconds.");
const AVAILABLE: Family = family!(
    "node_time_clocksource_available_info",
    "gauge",
    "Available clocksources read from '/sys/devices/system/clocksource'."
);
const CURRENT: Family = family!(
    "node_time_clocksource_current_info",
    "gauge",
    "Current clocksource read from '/sys/devices/system/clocksource'."
);

struct Source {
    number: String,
    available_file: KeptFile,
    current_file: KeptFile,
    available: String,
    current: String,
}

pub(crate) struct Time {
    files: Files,
    directory: PathBuf,
    zone: Zone,
    sources: Option<Vec<Source>>,
}

impl Time {
    pub(crate) fn new(files: &Files, roots: &Roots) -> Self {
        Time {
            files: files.clone(),
            directory: roots.sysfs.join("devices/system/clocksource"),
            zone: Zone::local(files.disk()),
            sources: None,
        }
    }

    fn find(files: &Files, directory: &std::path::Path) -> Result<Vec<Source>, CollectError> {
        let entries = files.disk().list(directory).map_err(CollectError::failed("couldn't get clocksources"))?;
        let found = entries.iter().filter(|entry| entry.name.starts_with("clocksource"));
        Ok(found
            .enumerate()
            .map(|(at, entry)| Source {
                number: at.to_string(),
                available_file: files.keep(directory.join(&entry.name).join("available_clocksource")),
                current_file: files.keep(directory.join(&entry.name).join("current_clocksource")),
                available: String::new(),
                current: String::new(),
            })
            .collect())
    }
}

impl Collect for Time {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        let now = scrape.clock.now();
        page.single(&SECONDS).number(now.seconds());
        let (name, offset) = self.zone.at(now.millis().div_euclid(1000));
        page.begin(&OFFSET);
        page.sample(&[("time_zone", name)]).signed(i64::from(offset));
        let sources = match &mut self.sources {
            Some(sources) => sources,
            none => none.insert(Self::find(&self.files, &self.directory)?),
        };
        for source in sources.iter_mut() {
            for (file, value) in
                [(&mut source.available_file, &mut source.available), (&mut source.current_file, &mut source.current)]
            {
                let text = file.read_attribute(&mut scrape.content);
                let text = text.map_err(CollectError::failed("couldn't get clocksources"))?;
                value.clear();
                value.push_str(str(text).unwrap_or_default());
            }
        }
        page.begin(&AVAILABLE);
        for source in sources.iter() {
            for name in fields(source.available.as_bytes()) {
                let labels = [("clocksource", str(name).unwrap_or_default()), ("device", source.number.as_str())];
                page.sample(&labels).integer(1);
            }
        }
        page.begin(&CURRENT);
        for source in sources.iter() {
            page.sample(&[("clocksource", source.current.trim()), ("device", &source.number)]).integer(1);
        }
        Ok(())
    }
}
