//! Random expressions: the same questions to ours and to the original over the same blocks, the same answers.
//!
//! ```text
//! seed ─► request (instant, range, damaged text, series, labels)
//!           ├─► Prometheus 3.5.3 ─┐
//!           └─► our server       ─┴─► status, error, annotations, labels and values compared
//! ```
//!
//! The original decides some things by the order of a hash map (which of equal values `topk` keeps, which of two mistakes is
//! named): where ours differs it is asked up to [`ASKED_AGAIN`] times more, and what it answers otherwise itself does not count.
//! `ISOBAR_SEED` moves the seeds, `ISOBAR_COUNT` says how many.

mod answer;
mod data;
mod expression;

use self::answer::{Verdict, compare};
use self::expression::{Maker, Request};
use super::Run;
use crate::harness::dice::Dice;
use crate::harness::http::{Answer, Client, encode_form};
use crate::harness::isobar::{self, Role};
use crate::harness::place;
use anyhow::{Context, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// Requests of a whole run, and how many are one step of it.
const REQUESTS: u64 = 50_000;
const AT_ONCE: u64 = 5_000;
const ASKED_AGAIN: usize = 5;
const FLAGS: [&str; 2] = ["--storage.tsdb.retention.time=100y", "--enable-feature=promql-experimental-functions"];

/// What asking found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Requests compared.
    pub compared: usize,
    /// Those that the original answered with success.
    pub answered: usize,
    /// Differences that are meant: why, how many.
    pub known: BTreeMap<&'static str, usize>,
    /// Where ours differs, in the order met.
    pub differences: Vec<String>,
}

pub(super) fn run(run: &mut Run) -> Result<()> {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let (first, count) = (number("ISOBAR_SEED").unwrap_or(1), number("ISOBAR_COUNT").unwrap_or(REQUESTS));
    let mut pair = None;
    let (mut compared, mut answered, mut known, mut differences) = (0, 0, 0, 0);
    for from in (first..first + count).step_by(AT_ONCE as usize) {
        let to = (from + AT_ONCE).min(first + count);
        let left = run.step(&format!("requests {from} to {}", to - 1), |run| {
            if pair.is_none() {
                pair = Some(Pair::start(&place::binary()?, &run.fresh_folder("pair")?)?);
            }
            let mut found = Found::default();
            (from..to).try_for_each(|seed| pair.as_mut().context("just made")?.ask(seed, &mut found))?;
            found.differences.iter().for_each(|difference| run.say(difference));
            found.known.iter().for_each(|(why, times)| run.say(&format!("{times} × {why}")));
            Ok(json!({
                "compared": found.compared, "answered": found.answered,
                "known": found.known.values().sum::<usize>(), "differences": found.differences.len(),
            }))
        })?;
        let number = |name: &str| left[name].as_u64().unwrap_or(0);
        compared += number("compared");
        answered += number("answered");
        known += number("known");
        differences += number("differences");
    }
    run.note("requests compared", compared.to_string());
    run.at_least("answered by the original with success", answered as f64, "", compared as f64 / 3.0);
    run.at_most("differ as 3.14 differs from 3.5.3, or as libraries do", known as f64, "", compared as f64 / 20.0);
    run.figure("differences", differences.to_string(), "0", differences == 0);
    Ok(())
}

/// Asks `count` requests from `seed` on.
///
/// # Errors
/// When one of the two does not start or answer.
pub fn trial(binary: &Path, folder: &Path, seed: u64, count: u64) -> Result<Found> {
    let mut pair = Pair::start(binary, folder)?;
    let mut found = Found::default();
    (seed..seed + count).try_for_each(|seed| pair.ask(seed, &mut found))?;
    Ok(found)
}

/// The original and ours over copies of the same blocks.
struct Pair {
    ours: Side,
    theirs: Side,
}

struct Side {
    _role: Role,
    client: Client,
}

impl Side {
    fn ask(&mut self, request: &Request) -> Result<Answer> {
        let path = format!("/api/v1/{}", request.path);
        let form: Vec<(&str, &str)> = request.form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match request.path.starts_with("label/") {
            true => self.client.get(&format!("{path}?{}", encode_form(&form))),
            false => self.client.post_form(&path, &form),
        }
    }
}

impl Pair {
    fn start(binary: &Path, folder: &Path) -> Result<Self> {
        data::make(&folder.join("made"))?;
        for side in ["ours", "theirs"] {
            place::copy_folder(&folder.join("made/blocks"), &folder.join(side).join("data"))?;
        }
        let ours = isobar::server(binary, &folder.join("ours"), "global: {}\n", &FLAGS)?.start()?;
        let original = place::original("prometheus")?;
        let theirs = isobar::prometheus(&original, &folder.join("theirs"), "global: {}\n", &FLAGS)?.start()?;
        let side = |role: Role| Side { client: Client::new(role.port), _role: role };
        Ok(Pair { ours: side(ours), theirs: side(theirs) })
    }

    fn ask(&mut self, seed: u64, found: &mut Found) -> Result<()> {
        // far apart, or neighbouring seeds would roll much the same
        let mut maker = Maker { dice: Dice::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)) };
        let request = maker.request();
        let (ours, theirs) = (self.ours.ask(&request)?, self.theirs.ask(&request)?);
        found.compared += 1;
        found.answered += usize::from(theirs.status == 200);
        let mut verdict = compare(&request, &ours, &theirs);
        for _ in 0..ASKED_AGAIN {
            if !matches!(verdict, Verdict::Differs(_)) {
                break;
            }
            if matches!(compare(&request, &self.theirs.ask(&request)?, &theirs), Verdict::Differs(_)) {
                verdict = Verdict::Known("the original does not answer the same twice");
            }
        }
        match verdict {
            Verdict::Equal => {}
            Verdict::Known(why) => *found.known.entry(why).or_default() += 1,
            Verdict::Differs(how) => {
                found.differences.push(format!("{seed}: {} {:?}\n    {how}", request.path, request.form));
            }
        }
        Ok(())
    }
}
