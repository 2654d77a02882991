//! Killing a server and counting what it lost: the durability trial.
//!
//! ```text
//! exporter ── visits (target, stamp, when answered) ──┐
//!    │ every second                                    ├─ every visit answered ≥ 100 ms before the kill is in the store,
//! server ── kill -9 ── start again ── raw samples ─────┘  and every time stamp of a target has all of its series
//! ```
//! Values are stamp × 1000 + series, so that a sample read back names its visit.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own clock")]

use crate::harness::api::{Api, parse, rows};
use crate::harness::exporter::{Exporter, Visit};
use crate::harness::isobar::{self, Role};
use crate::harness::machine::now_ms;
use crate::harness::place;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What a kill may lose: visits younger than this (issue: "a scrape taken in ≥ 100 ms before the kill is there").
pub const GRACE_MS: i64 = 100;

/// A sample's time is when its visit began, which is before its stamp: so much more is read than is asked about.
const EDGE_MS: i64 = 2000;

/// A server that scrapes a scripted exporter, and what it must know.
pub struct Trial {
    /// The server.
    pub role: Role,
    /// Its data directory.
    pub data: PathBuf,
    exporter: Exporter,
    targets: usize,
    series: usize,
    epoch_ms: i64,
    /// Stamps that must be there, by target.
    expected: BTreeMap<usize, BTreeSet<i64>>,
}

/// How a kill went.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// When the signal was sent, milliseconds since 1970.
    pub at_ms: i64,
    /// Whether a block was being written: its unfinished folder is still there.
    pub in_cut: bool,
    /// Visits that must have survived it.
    pub visits: usize,
}

/// What the store holds of the trial.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Scrapes found.
    pub scrapes: usize,
    /// Visits that must be there and are not.
    pub lost: Vec<String>,
    /// Scrapes of which a part is there.
    pub torn: Vec<String>,
}

impl Trial {
    /// Starts exporter and server; `epoch_ms` is where stamps begin (kept over a cut run).
    ///
    /// # Errors
    /// When one cannot start.
    pub fn start(
        binary: &Path,
        folder: &Path,
        targets: usize,
        series: usize,
        block: &str,
        epoch_ms: i64,
    ) -> Result<Self> {
        let exporter = Exporter::rows(0, series, epoch_ms)?;
        let config = isobar::scrape_config("1s", exporter.port, targets);
        let flag = format!("--storage.tsdb.min-block-duration={block}");
        let role = isobar::server(binary, folder, &config, &[&flag, "--storage.tsdb.retention.time=1d"])?.start()?;
        let data = folder.join("data");
        Ok(Trial { role, data, exporter, targets, series, epoch_ms, expected: BTreeMap::new() })
    }

    /// Kills after `delay` and starts again.
    ///
    /// # Errors
    /// When it does not start again.
    pub fn kill_after(&mut self, delay: Duration) -> Result<Kill> {
        sleep(delay);
        self.kill()
    }

    /// Kills `delay` after an unfinished block has appeared.
    ///
    /// # Errors
    /// When none appears within `limit`.
    pub fn kill_in_cut(&mut self, delay: Duration, limit: Duration) -> Result<Kill> {
        let end = Instant::now() + limit;
        while !cutting(&self.data) {
            if Instant::now() > end {
                bail!("no block was cut within {limit:?}; the data directory holds {:?}", place::names(&self.data));
            }
            sleep(Duration::from_micros(200));
        }
        sleep(delay);
        self.kill()
    }

    /// kill -9 now.
    fn kill(&mut self) -> Result<Kill> {
        if let Some(status) = self.role.process.try_wait()? {
            bail!("the server ended by itself ({status}): {}", self.role.process.output());
        }
        let at_ms = now_ms();
        self.role.process.kill9();
        let in_cut = cutting(&self.data);
        let mut visits = 0;
        for visit in self.exporter.take_visits() {
            if visit.answered_ms <= at_ms - GRACE_MS {
                visits += 1;
                self.expect(visit);
            }
        }
        Ok(Kill { at_ms, in_cut, visits })
    }

    fn expect(&mut self, visit: Visit) {
        self.expected.entry(visit.target).or_default().insert(visit.stamp);
    }

    /// Starts the server again; how long until it was ready.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn restart(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.role.restart()?;
        Ok(began.elapsed())
    }

    /// The exporter's epoch.
    pub fn epoch_ms(&self) -> i64 {
        self.epoch_ms
    }

    /// The stamps that must be there, to be kept over a cut run.
    pub fn expected(&self) -> Value {
        json!(self.expected)
    }

    /// Takes over what [`Trial::expected`] gave.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn take_expected(&mut self, kept: &Value) -> Result<()> {
        for (target, stamps) in kept.as_object().context("no map")? {
            let stamps = stamps.as_array().context("no list")?.iter().filter_map(Value::as_i64);
            self.expected.entry(target.parse()?).or_default().extend(stamps);
        }
        Ok(())
    }

    /// Reads back all samples since `from_ms` (and the [`EDGE_MS`] before it) and compares.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn survey(&self, from_ms: i64) -> Result<Survey> {
        let mut survey = Survey::default();
        let mut api = self.role.api();
        for target in 0..self.targets {
            self.survey_target(&mut api, target, from_ms, &mut survey)?;
        }
        Ok(survey)
    }

    fn survey_target(&self, api: &mut Api, target: usize, from_ms: i64, survey: &mut Survey) -> Result<()> {
        // stamp → time → how many series carry it
        let mut found: BTreeMap<i64, BTreeMap<i64, usize>> = BTreeMap::new();
        let to_ms = now_ms();
        let window = to_ms - from_ms + EDGE_MS;
        let time = format!("{}.{:03}", to_ms / 1000, to_ms % 1000);
        let raw = rows(&api.query(&format!("script_row{{target=\"{target}\"}}[{window}ms]"), &time)?)?;
        for (labels, samples) in &raw {
            let labels: Value = serde_json::from_str(labels)?;
            let number: i64 = labels["i"].as_str().context("a series without i")?.parse()?;
            for (at, value) in samples {
                let value = parse(value).context("a value")? as i64;
                if value.rem_euclid(1000) != number {
                    survey
                        .torn
                        .push(format!("target {target} series {number} at {at}: value {value} is of another series"));
                }
                *found.entry(value.div_euclid(1000)).or_default().entry(*at).or_default() += 1;
            }
        }
        survey.scrapes += found.len();
        for (stamp, times) in &found {
            if times.len() != 1 || times.values().any(|series| *series != self.series) {
                survey.torn.push(format!("target {target} stamp {stamp}: {times:?} of {} series", self.series));
            }
        }
        let wanted = self.expected.get(&target).into_iter().flatten();
        for stamp in wanted.filter(|stamp| **stamp + self.epoch_ms > from_ms && !found.contains_key(stamp)) {
            survey.lost.push(format!("target {target}: visit of {} ms", stamp + self.epoch_ms));
        }
        Ok(())
    }
}

/// Whether an unfinished block lies in the data directory.
fn cutting(data: &Path) -> bool {
    place::names(data).iter().any(|name| name.ends_with(".tmp-for-creation"))
}
