//! Must show 6, first part: what `isobar up` costs in minutes 2 to 10 with the page closed.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own clock")]

use super::Run;
use crate::harness::isobar;
use crate::harness::place;
use anyhow::{Result, ensure};
use std::thread::sleep;
use std::time::{Duration, Instant};

const FROM: Duration = Duration::from_secs(120);
const TO: Duration = Duration::from_secs(600);

pub(super) fn run(run: &mut Run) -> Result<()> {
    let folder = run.fresh_folder("up")?;
    let up = isobar::start_up(&place::binary()?, &folder, &[])?;
    let process = &up.role.process;
    run.say("waits for minute 2");
    sleep(FROM.saturating_sub(process.started().elapsed()));
    let (began, cpu) = (Instant::now(), process.cpu()?);
    let (mut most, mut sum, mut readings) = (0u64, 0u64, 0u64);
    while process.started().elapsed() < TO {
        sleep(Duration::from_secs(5));
        let now = process.resident_kib()?;
        (most, sum, readings) = (most.max(now), sum + now, readings + 1);
        if readings % 12 == 0 {
            run.say(&format!("{:.1} MB", megabytes(now)));
        }
    }
    let share = (process.cpu()? - cpu).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    let mut api = up.role.api();
    ensure!(api.targets()?.len() >= 2, "too few targets: this proves nothing");
    ensure!(api.count("up == 1")? >= 2, "targets are down: this proves nothing");
    run.at_most("resident memory, minutes 2 to 10, most", megabytes(most), "MB", 45.0);
    run.note("resident memory, mean", format!("{:.1} MB (aim 25)", megabytes(sum / readings.max(1))));
    run.at_most("processor", share, "% of a core", 0.5);
    run.note("series in the head", api.own_metric("prometheus_tsdb_head_series")?.to_string());
    Ok(())
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}
