//! Collector `pressure`: time that work waited for CPU, disk, memory, interrupts. Source: `/proc/pressure/*` (PSI).
//!
//! ```text
//! some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781      at least one task waited; microseconds
//! full avg10=0.00 avg60=0.00 avg300=0.00 total=0             all of them did
//! ```

use super::collector::{Collect, CollectError, Roots, Scrape};
use super::parse::{fields, integer, lines};
use super::source::{Files, KeptFile};
use super::text::{Family, Page, family};

const CPU: Family = family!(
    "node_pressure_cpu_waiting_seconds_total",
    "counter",
    "Total time in seconds that processes have waited for CPU time"
);
const IO: Family = family!(
    "node_pressure_io_waiting_seconds_total",
    "counter",
    "Total time in seconds that processes have waited due to IO congestion"
);
const IO_FULL: Family = family!(
    "node_pressure_io_stalled_seconds_total",
    "counter",
    "Total time in seconds no process could make progress due to IO congestion"
);
const MEMORY: Family = family!(
    "node_pressure_memory_waiting_seconds_total",
    "counter",
    "Total time in seconds that processes have waited for memory"
);
const MEMORY_FULL: Family = family!(
    "node_pressure_memory_stalled_seconds_total",
    "counter",
    "Total time in seconds no process could make progress due to memory congestion"
);
const IRQ_FULL: Family = family!(
    "node_pressure_irq_stalled_seconds_total",
    "counter",
    "Total time in seconds no process could make progress due to IRQ congestion"
);

/// A resource's file, and the families for "some" and "full".
const RESOURCES: [(&str, Option<&Family>, Option<&Family>); 4] = [
    ("cpu", Some(&CPU), None),
    ("io", Some(&IO), Some(&IO_FULL)),
    ("memory", Some(&MEMORY), Some(&MEMORY_FULL)),
    ("irq", None, Some(&IRQ_FULL)),
];

pub(crate) struct Pressure {
    files: [KeptFile; RESOURCES.len()],
}

impl Pressure {
    pub(crate) fn new(files: &Files, roots: &Roots) -> Self {
        Pressure { files: RESOURCES.map(|(name, ..)| files.keep(roots.procfs.join("pressure").join(name))) }
    }
}

impl Collect for Pressure {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        let mut found = false;
        for (file, (_, some, full)) in self.files.iter_mut().zip(RESOURCES) {
            let text = match file.read(&mut scrape.content) {
                Ok(text) => text,
                // an older kernel, or one without PSI
                Err(error) if error.is_not_found() => continue,
                // switched off on the kernel's command line
                Err(error) if is_unsupported(error.io()) => return Err(CollectError::NoData),
                Err(error) => return Err(CollectError::failed("failed to retrieve pressure stats")(error)),
            };
            let totals = parse(text);
            for (family, total) in [(some, totals.0), (full, totals.1)] {
                let Some(family) = family else { continue };
                let total = total.ok_or(CollectError::NoData)?;
                // two divisions, as the original does: one by a million differs in the last digit
                page.single(family).number(total as f64 / 1000.0 / 1000.0);
            }
            found = true;
        }
        if found { Ok(()) } else { Err(CollectError::NoData) }
    }
}

fn is_unsupported(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error())
}

/// The totals of "some" and "full" in microseconds.
fn parse(text: &[u8]) -> (Option<u64>, Option<u64>) {
    let total = |kind: &[u8]| {
        let mut parts = fields(lines(text).find(|line| line.starts_with(kind))?);
        integer(parts.find_map(|field| field.strip_prefix(b"total="))?)
    };
    (total(b"some "), total(b"full "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals() {
        let text = b"some avg10=0.18 avg60=0.34 avg300=0.10 total=159886802\nfull avg10=0.18 total=159229614\n";
        assert_eq!(parse(text), (Some(159_886_802), Some(159_229_614)));
        assert_eq!(parse(b"full avg10=0.00 total=8494"), (None, Some(8494)));
        assert_eq!(parse(b"some total=x\nfull"), (None, None));
    }
}
