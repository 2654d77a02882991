//! What a figure was measured on: machine, kernel, load, commit, the hour.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own clock and files")]

use crate::harness::place;
use model::{Timestamp, rfc3339};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The hour, in UTC.
pub fn now_text() -> String {
    rfc3339::format(Timestamp(now_ms() / 1000 * 1000))
}

/// Cores and kernel: `2 cores, Linux 6.18.5`.
pub fn describe() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{cores} cores, Linux {}", kernel.trim())
}

/// The one-minute load average.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

/// The commit the tree stands on, with `+` when tracked files differ from it.
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(place::root()).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(short) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    // the record of figures itself is written by the run
    let dirty = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/evidence.md"]);
    format!("{short}{}", if dirty.is_some_and(|list| !list.is_empty()) { "+" } else { "" })
}
