//! Collector `stat`: interrupts, context switches, forks, boot time, runnable processes. Source: `/proc/stat`.

use super::collector::{Collect, CollectError, Scrape};
use super::parse::{fields, integer, lines};
use super::text::{Family, Page, family};

const INTERRUPTS: Family = family!("node_intr_total", "counter", "Total number of interrupts serviced.");
const SWITCHES: Family = family!("node_context_switches_total", "counter", "Total number of context switches.");
const FORKS: Family = family!("node_forks_total", "counter", "Total number of forks.");
const BOOT: Family = family!("node_boot_time_seconds", "gauge", "Node boot time, in unixtime.");
const RUNNING: Family = family!("node_procs_running", "gauge", "Number of processes in runnable state.");
const BLOCKED: Family =
    family!("node_procs_blocked", "gauge", "Number of processes blocked waiting for I/O to complete.");
const SOFTIRQS: Family = family!("node_softirqs_total", "counter", "Number of softirq calls.");

/// The kernel's soft interrupts, in the order of its line.
const VECTORS: [&str; 10] =
    ["hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"];

pub(crate) struct Stat {
    /// `--collector.stat.softirq`.
    pub(crate) softirq: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    interrupts: u64,
    switches: u64,
    forks: u64,
    boot: u64,
    running: u64,
    blocked: u64,
    softirqs: [u64; VECTORS.len()],
}

impl Collect for Stat {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        let text = scrape.stat().map_err(CollectError::failed("couldn't get stat"))?;
        let counts = parse(text).ok_or_else(|| CollectError::Failed("couldn't parse stat".to_owned()))?;
        page.single(&INTERRUPTS).integer(counts.interrupts);
        page.single(&SWITCHES).integer(counts.switches);
        page.single(&FORKS).integer(counts.forks);
        page.single(&BOOT).integer(counts.boot);
        page.single(&RUNNING).integer(counts.running);
        page.single(&BLOCKED).integer(counts.blocked);
        if self.softirq {
            page.begin(&SOFTIRQS);
            for (vector, count) in VECTORS.iter().zip(counts.softirqs) {
                page.sample(&[("vector", vector)]).integer(count);
            }
        }
        Ok(())
    }
}

/// A line that is missing counts 0, as in the original; a number that is none is an error.
fn parse(text: &[u8]) -> Option<Counts> {
    let mut counts = Counts::default();
    for line in lines(text) {
        let mut parts = fields(line);
        let into = match parts.next().unwrap_or_default() {
            b"intr" => &mut counts.interrupts,
            b"ctxt" => &mut counts.switches,
            b"processes" => &mut counts.forks,
            b"btime" => &mut counts.boot,
            b"procs_running" => &mut counts.running,
            b"procs_blocked" => &mut counts.blocked,
            b"softirq" => {
                for (count, field) in counts.softirqs.iter_mut().zip(parts.skip(1)) {
                    *count = integer(field)?;
                }
                continue;
            }
            _ => continue,
        };
        *into = integer(parts.next()?)?;
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let text = b"cpu 1 2\nintr 8885917 17 0\nctxt 38014093\nbtime 1418183276\nprocesses 26442\nprocs_running 2\n\
            procs_blocked 1\nsoftirq 5057579 250191 1481983 1647 211099 186066 0 1783454 622196 12499 508444\n";
        let counts = parse(text).unwrap();
        assert_eq!((counts.interrupts, counts.forks, counts.blocked), (8_885_917, 26_442, 1));
        assert_eq!((counts.softirqs[0], counts.softirqs[9]), (250_191, 508_444));
        assert_eq!(parse(b""), Some(Counts::default()));
        assert_eq!((parse(b"ctxt"), parse(b"ctxt x"), parse(b"softirq 1 x")), (None, None, None));
    }
}
