//! Collector `cpu`: what each CPU spent its time on, and what kind of CPU it is.
//!
//! ```text
//! /proc/stat                                   cpu0 user nice system idle iowait irq softirq steal guest guest_nice   (1/100 s)
//! /sys/devices/system/cpu/isolated             read once, at the first scrape
//! /sys/devices/system/cpu/cpu*/                topology and thermal throttling, whether online
//! /proc/cpuinfo                                with --collector.cpu.info only
//! ```
//!
//! Counters never go backwards: the kernel's idle and iowait may, by a little; they are held until it has caught up. A CPU
//! whose idle time jumps back by 3 s was unplugged and plugged again: it starts anew.
//! The CPUs' directories are searched again only when `/sys/devices/system/cpu/online` changes.

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::cpu_info::CpuInfo;
use super::parse::{cpu_list, fields, integer, lines};
use super::source::{Files, KeptFile};
use super::text::{Family, Page, family};
use super::throttle::Throttle;

const SECONDS: Family = family!("node_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode.");
const GUEST: Family =
    family!("node_cpu_guest_seconds_total", "counter", "Seconds the CPUs spent in guests (VMs) for each mode.");
const ISOLATED: Family = family!(
    "node_cpu_isolated",
    "gauge",
    "Whether each core is isolated, information from /sys/devices/system/cpu/isolated."
);

/// Modes in the order shown, each with its column in the kernel's line.
const MODES: [(&str, usize); 8] =
    [("idle", IDLE), ("iowait", 4), ("irq", 5), ("nice", 1), ("softirq", 6), ("steal", 7), ("system", 2), ("user", 0)];
const GUEST_MODES: [(&str, usize); 2] = [("nice", 9), ("user", 8)];
const IDLE: usize = 3;
const COLUMNS: usize = 10;

/// An idle time that falls by this much, in 1/100 s, belongs to a CPU that was plugged again.
const JUMP_BACK: u64 = 300;

/// Flags of this collector.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CpuConfig {
    /// Family `node_cpu_guest_seconds_total`.
    pub(crate) guest: bool,
    /// Families of `/proc/cpuinfo`, and which.
    pub(crate) info: Option<super::cpu_info::CpuInfoConfig>,
}

#[derive(Debug, Default)]
struct CpuTime {
    number: u32,
    ticks: [u64; COLUMNS],
}

pub(crate) struct Cpu {
    guest: bool,
    info: Option<CpuInfo>,
    isolated_file: KeptFile,
    isolated: Option<Vec<String>>,
    throttle: Throttle,
    times: Vec<CpuTime>,
}

impl Cpu {
    pub(crate) fn new(files: &Files, roots: &Roots, config: CpuConfig) -> Self {
        let devices = roots.sysfs.join("devices/system/cpu");
        Cpu {
            guest: config.guest,
            info: config.info.map(|info| CpuInfo::new(files, roots, info)),
            isolated_file: files.keep(devices.join("isolated")),
            isolated: None,
            throttle: Throttle::new(files, devices),
            times: Vec::new(),
        }
    }

    fn show_times(&self, page: &mut Page<'_>, family: &'static Family, modes: &[(&str, usize)]) {
        page.begin(family);
        let mut digits = itoa::Buffer::new();
        for time in &self.times {
            let number = digits.format(time.number);
            for (mode, column) in modes {
                page.sample(&[("cpu", number), ("mode", mode)]).hundredths(time.ticks[*column]);
            }
        }
    }

    fn show_isolated(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) {
        let isolated = self.isolated.get_or_insert_with(|| {
            let list = self.isolated_file.read_attribute(&mut scrape.content).map(cpu_list);
            list.unwrap_or_default().iter().map(u32::to_string).collect()
        });
        page.begin(&ISOLATED);
        for cpu in isolated {
            page.sample(&[("cpu", cpu)]).integer(1);
        }
    }
}

impl Collect for Cpu {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        if let Some(info) = &mut self.info {
            info.collect(page, scrape)?;
        }
        let text = scrape.stat().map_err(CollectError::failed("couldn't get stat"))?;
        update(text, &mut self.times).ok_or_else(|| CollectError::Failed("couldn't parse stat".to_owned()))?;
        self.show_times(page, &SECONDS, &MODES);
        if self.guest {
            self.show_times(page, &GUEST, &GUEST_MODES);
        }
        self.show_isolated(page, scrape);
        self.throttle.collect(page, scrape);
        Ok(())
    }
}

/// Brings the times up to a new `/proc/stat`: one entry for each of its CPUs.
fn update(text: &[u8], times: &mut Vec<CpuTime>) -> Option<()> {
    let mut seen = 0;
    for line in lines(text) {
        // the line "cpu " has the sum; CPUs come first in the file
        let Some(line) = line.strip_prefix(b"cpu") else { break };
        let mut parts = fields(line);
        if line.first() == Some(&b' ') {
            continue;
        }
        let number = u32::try_from(integer(parts.next()?)?).ok()?;
        let mut ticks = [0; COLUMNS];
        for (ticks, field) in ticks.iter_mut().zip(parts) {
            *ticks = integer(field)?;
        }
        match times[seen..].iter().position(|time| time.number == number) {
            // those between went offline
            Some(ahead) => drop(times.drain(seen..seen + ahead)),
            None => times.insert(seen, CpuTime { number, ..CpuTime::default() }),
        }
        let old = &mut times[seen].ticks;
        if old[IDLE].saturating_sub(ticks[IDLE]) >= JUMP_BACK {
            *old = [0; COLUMNS];
        }
        for (old, new) in old.iter_mut().zip(ticks) {
            *old = new.max(*old);
        }
        seen += 1;
    }
    times.truncate(seen);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(times: &mut Vec<CpuTime>, text: &str) -> Vec<(u32, u64, u64)> {
        update(text.as_bytes(), times).unwrap();
        times.iter().map(|time| (time.number, time.ticks[0], time.ticks[IDLE])).collect()
    }

    #[test]
    fn counters_do_not_go_back_until_a_cpu_was_plugged_again() {
        let mut times = Vec::new();
        let all = "cpu  9 9 9 9\ncpu0 100 0 0 1000 0 0 0 0 0 0\ncpu1 200 0 0 2000\nintr 5\n";
        assert_eq!(after(&mut times, all), [(0, 100, 1000), (1, 200, 2000)]);
        assert_eq!(after(&mut times, "cpu0 99 0 0 999\ncpu1 201 0 0 2001\n"), [(0, 100, 1000), (1, 201, 2001)]);
        assert_eq!(after(&mut times, "cpu0 5 0 0 700\ncpu1 201 0 0 2001\n"), [(0, 5, 700), (1, 201, 2001)]);
        assert_eq!(after(&mut times, "cpu1 202 0 0 2001\n"), [(1, 202, 2001)], "cpu0 offline");
        assert_eq!(after(&mut times, "cpu0 1 0 0 1\ncpu1 203 0 0 2001\n"), [(0, 1, 1), (1, 203, 2001)]);
        assert_eq!(after(&mut times, ""), []);
        assert_eq!(update(b"cpu0 x", &mut times), None);
    }

    proptest! {
        #[test]
        fn any_text(texts in proptest::collection::vec("(cpu[0-9]{0,2} [0-9 x]{0,30}\n){0,4}", 0..4)) {
            let mut times = Vec::new();
            for text in texts {
                let _ = update(text.as_bytes(), &mut times);
            }
        }
    }
}
