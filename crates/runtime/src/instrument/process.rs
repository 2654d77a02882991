//! What the operating system knows about this process, under the names Prometheus' client libraries use.
//!
//! Read from `/proc/self/{stat,fd,limits}` when gathered. Source: proc(5).

use super::{Family, Registry};
use crate::clock::Clock;
use crate::limit::open_files;
use model::{Labels, MetricType};

/// Linux reports CPU time in hundredths of a second to user space, whatever the kernel's own tick.
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds `process_*` to the registry. The start time is the moment of this call.
pub fn register(registry: &Registry, clock: &Clock) {
    let start = clock.now().seconds();
    registry.collector(move |families| collect(families, start));
}

/// Resident memory of this process in bytes; zero where `/proc` does not say.
pub fn resident_bytes() -> u64 {
    stat().map_or(0, |stat| stat.resident_bytes)
}

fn collect(families: &mut Vec<Family>, start: f64) {
    let mut push = |name: &str, help: &str, kind: MetricType, value: f64| {
        families.push(Family::numbers(name, help, kind, [(Labels::empty(), value)]));
    };
    push(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        MetricType::Gauge,
        start,
    );
    push("process_max_fds", "Maximum number of open file descriptors.", MetricType::Gauge, open_files().soft as f64);
    if let Some(open) = open_descriptors() {
        push("process_open_fds", "Number of open file descriptors.", MetricType::Gauge, open as f64);
    }
    if let Some(stat) = stat() {
        push(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            MetricType::Counter,
            stat.cpu_ticks as f64 / TICKS_PER_SECOND,
        );
        push(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            MetricType::Gauge,
            stat.virtual_bytes as f64,
        );
        push(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            MetricType::Gauge,
            stat.resident_bytes as f64,
        );
        push("process_threads", "Number of threads of the process.", MetricType::Gauge, stat.threads as f64);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

#[expect(clippy::disallowed_methods, reason = "/proc/self is not data: no fault injection, no simulation")]
fn stat() -> Option<Stat> {
    parse_stat(&std::fs::read_to_string("/proc/self/stat").ok()?, rustix::param::page_size() as u64)
}

#[expect(clippy::disallowed_methods, reason = "/proc/self is not data: no fault injection, no simulation")]
fn open_descriptors() -> Option<usize> {
    // the directory's own descriptor is among them
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

/// The command name stands in parentheses and may hold anything, so fields are counted from the last `)`.
fn parse_stat(text: &str, page: u64) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // proc(5) numbers the state, first after the name, as field 3
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)?.saturating_add(field(15)?),
        threads: field(20)?,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)?.saturating_mul(page),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let line = "12 (a b) c) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 7 0 99 4096000 300 18446744073709551615";
        let stat = parse_stat(line, 4096);
        assert_eq!(
            stat,
            Some(Stat { cpu_ticks: 200, threads: 7, virtual_bytes: 4_096_000, resident_bytes: 300 * 4096 })
        );
        for cut in 0..line.len() - 25 {
            let _ = parse_stat(&line[..cut], 4096);
        }
    }

    #[test]
    fn this_process_is_described() {
        let registry = Registry::new(Clock::system());
        register(&registry, &Clock::system());
        let names: Vec<_> = registry.gather().into_iter().map(|f| f.name).collect();
        for name in ["process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes"] {
            assert!(names.iter().any(|n| n == name), "{name} missing in {names:?}");
        }
        assert!(resident_bytes() > 1 << 20);
    }
}
