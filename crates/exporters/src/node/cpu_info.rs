//! What kind of CPU this is: the part of collector `cpu` that `--collector.cpu.info` switches on. Source: `/proc/cpuinfo`.
//!
//! Off by default, here as in the original: on real hardware the kernel measures each core's frequency for it, which takes
//! milliseconds.

use super::collector::{CollectError, Roots, Scrape};
use super::filter::Pattern;
use super::parse::{float, lines, str};
use super::source::{Files, KeptFile};
use super::text::{Family, Page, family};

const INFO: Family = family!("node_cpu_info", "gauge", "CPU information from /proc/cpuinfo.");
const FREQUENCY: Family = family!("node_cpu_frequency_hertz", "gauge", "CPU frequency in hertz from /proc/cpuinfo.");
const FLAGS: Family = family!(
    "node_cpu_flag_info",
    "gauge",
    "The `flags` field of CPU information from /proc/cpuinfo taken from the first core."
);
const BUGS: Family = family!(
    "node_cpu_bug_info",
    "gauge",
    "The `bugs` field of CPU information from /proc/cpuinfo taken from the first core."
);

/// Flags of this part.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CpuInfoConfig {
    /// Which CPU flags are shown; none without a pattern.
    pub(crate) flags: Option<Pattern>,
    /// Which CPU bugs are shown; none without a pattern.
    pub(crate) bugs: Option<Pattern>,
    /// Family `node_cpu_frequency_hertz`, which follows the switch of collector `cpufreq`.
    pub(crate) frequency: bool,
}

pub(crate) struct CpuInfo {
    file: KeptFile,
    config: CpuInfoConfig,
}

#[derive(Debug, Default, PartialEq)]
struct Processor<'a> {
    number: &'a str,
    package: &'a str,
    core: &'a str,
    vendor: &'a str,
    family: &'a str,
    model: &'a str,
    model_name: &'a str,
    microcode: &'a str,
    stepping: &'a str,
    cache: &'a str,
    megahertz: f64,
    flags: &'a str,
    bugs: &'a str,
}

impl CpuInfo {
    pub(crate) fn new(files: &Files, roots: &Roots, config: CpuInfoConfig) -> Self {
        CpuInfo { file: files.keep(roots.procfs.join("cpuinfo")), config }
    }

    pub(crate) fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        let text = self.file.read(&mut scrape.content).map_err(CollectError::failed("couldn't get cpuinfo"))?;
        let processors = parse(text);
        page.begin(&INFO);
        for cpu in &processors {
            page.sample(&[
                ("cachesize", cpu.cache),
                ("core", cpu.core),
                ("cpu", cpu.number),
                ("family", cpu.family),
                ("microcode", cpu.microcode),
                ("model", cpu.model),
                ("model_name", cpu.model_name),
                ("package", cpu.package),
                ("stepping", cpu.stepping),
                ("vendor", cpu.vendor),
            ])
            .integer(1);
        }
        if self.config.frequency {
            page.begin(&FREQUENCY);
            for cpu in &processors {
                let labels = [("core", cpu.core), ("cpu", cpu.number), ("package", cpu.package)];
                page.sample(&labels).number(cpu.megahertz * 1e6);
            }
        }
        if let Some(first) = processors.first() {
            show_words(page, &FLAGS, "flag", first.flags, self.config.flags.as_ref());
            show_words(page, &BUGS, "bug", first.bugs, self.config.bugs.as_ref());
        }
        Ok(())
    }
}

fn show_words(page: &mut Page<'_>, family: &'static Family, label: &str, words: &str, shown: Option<&Pattern>) {
    page.begin(family);
    for word in words.split_ascii_whitespace() {
        if shown.is_some_and(|shown| shown.is_match(word)) {
            page.sample(&[(label, word)]).integer(1);
        }
    }
}

fn parse(text: &[u8]) -> Vec<Processor<'_>> {
    let mut processors: Vec<Processor<'_>> = Vec::new();
    for line in lines(text) {
        let Some((key, value)) = str(line).and_then(|line| line.split_once(':')) else { continue };
        let (key, value) = (key.trim(), value.trim());
        if key == "processor" {
            processors.push(Processor { number: value, ..Processor::default() });
        }
        let Some(cpu) = processors.last_mut() else { continue };
        match key {
            "vendor" | "vendor_id" => cpu.vendor = value,
            "cpu family" => cpu.family = value,
            "model" => cpu.model = value,
            "model name" => cpu.model_name = value,
            "stepping" => cpu.stepping = value,
            "microcode" => cpu.microcode = value,
            "cpu MHz" => cpu.megahertz = float(value.as_bytes()).unwrap_or(0.0),
            "cache size" => cpu.cache = value,
            "physical id" => cpu.package = value,
            "core id" => cpu.core = value,
            "flags" => cpu.flags = value,
            "bugs" => cpu.bugs = value,
            _ => {}
        }
    }
    processors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors() {
        let text = b"processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 142\nmodel name\t: Intel: x\ncpu MHz\t\t: 799.998\n\
            flags\t\t: fpu aes\nbugs\t:\n\nprocessor\t: 1\ncore id\t: 3\n";
        let cpus = parse(text);
        assert_eq!((cpus.len(), cpus[0].model_name, cpus[0].flags, cpus[1].core), (2, "Intel: x", "fpu aes", "3"));
        assert_eq!(parse(b"model : 1\n\xff: 2\n"), []);
    }
}
