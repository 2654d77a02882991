//! Must show 4, first part: ten kills at random moments, at least three inside a block cut.
//!
//! 50 targets of 100 series each second, blocks of a minute. After each kill the server is started again and every sample since
//! the round began is read back; at the end all of them, and the originals read the directory.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own files")]

use super::Run;
use crate::harness::api::{Api, difference, rows};
use crate::harness::dice::Dice;
use crate::harness::isobar;
use crate::harness::kill::Trial;
use crate::harness::machine::now_ms;
use crate::harness::place;
use crate::harness::process;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const TARGETS: usize = 50;
const SERIES: usize = 100;
const KILLS: usize = 10;
const CUTS: usize = 3;

pub(super) fn run(run: &mut Run) -> Result<()> {
    let binary = place::binary()?;
    if run.finished("epoch").is_none() {
        run.fresh_folder("server")?;
    }
    let epoch = run.step("epoch", |_| Ok(json!(now_ms())))?.as_i64().context("no epoch")?;
    let folder = run.folder().join("server");
    let mut trial = Trial::start(&binary, &folder, TARGETS, SERIES, "1m", epoch)?;
    for number in 0..KILLS {
        if let Some(kept) = run.finished(&format!("kill {number}")) {
            trial.take_expected(&kept["expected"])?;
        }
    }
    let mut last_kill = epoch;
    for number in 0..KILLS {
        let left = run.step(&format!("kill {number}"), |run| round(run, &mut trial, number))?;
        last_kill = left["at_ms"].as_i64().context("no time of the kill")?;
    }
    verdicts(run, &trial, epoch)?;
    originals(run, &trial, last_kill)
}

/// One kill, the start after it, and the survey of its round.
fn round(run: &Run, trial: &mut Trial, number: usize) -> Result<Value> {
    let mut dice = Dice::new(now_ms() as u64);
    let began = now_ms();
    // every second waits for a cut; writing a block of a minute takes some tens of milliseconds, and some kills miss it
    let kill = match number % 2 == 1 {
        true => trial.kill_in_cut(Duration::from_micros(dice.between(0, 8_000)), Duration::from_secs(200))?,
        false => trial.kill_after(Duration::from_millis(dice.between(3_000, 40_000)))?,
    };
    if number == KILLS - 1 {
        let copy = run.fresh_folder("copy")?;
        place::copy_folder(&trial.data, &copy.join("data"))?;
    }
    let ready = trial.restart()?;
    let survey = trial.survey(began)?;
    run.say(&format!(
        "kill {number}: {} visits, {} lost, {} torn, in a cut: {}, ready again after {ready:?}",
        kill.visits,
        survey.lost.len(),
        survey.torn.len(),
        kill.in_cut
    ));
    Ok(json!({
        "at_ms": kill.at_ms, "in_cut": kill.in_cut, "visits": kill.visits, "lost": survey.lost, "torn": survey.torn,
        "ready_ms": ready.as_millis() as u64, "expected": trial.expected(),
    }))
}

fn verdicts(run: &mut Run, trial: &Trial, epoch: i64) -> Result<()> {
    let rounds: Vec<Value> = (0..KILLS).filter_map(|n| run.finished(&format!("kill {n}")).cloned()).collect();
    let sum = |key: &str| rounds.iter().map(|round| round[key].as_u64().unwrap_or(0)).sum::<u64>();
    let lists = |key: &str| rounds.iter().map(|round| round[key].as_array().map_or(0, Vec::len)).sum::<usize>();
    let in_cut = rounds.iter().filter(|round| round["in_cut"] == true).count();
    let slowest = rounds.iter().filter_map(|round| round["ready_ms"].as_u64()).max().unwrap_or(0);
    run.at_least("kills", rounds.len() as f64, "", KILLS as f64);
    run.at_least("of them inside a block cut", in_cut as f64, "", CUTS as f64);
    run.note("visits that had to survive", sum("visits").to_string());
    run.at_most("scrapes lost, counted after each kill", lists("lost") as f64, "", 0.0);
    run.at_most("scrapes torn, counted after each kill", lists("torn") as f64, "", 0.0);
    run.note("slowest start after a kill", format!("{slowest} ms"));
    let survey = trial.survey(epoch)?;
    run.note("scrapes in the store at the end", survey.scrapes.to_string());
    run.at_most("scrapes lost, counted at the end over everything", survey.lost.len() as f64, "", 0.0);
    run.at_most("scrapes torn, counted at the end over everything", survey.torn.len() as f64, "", 0.0);
    for line in survey.lost.iter().chain(&survey.torn).take(10) {
        run.say(line);
    }
    Ok(())
}

/// What promtool and Prometheus say of the directory as the last kill left it.
fn originals(run: &mut Run, trial: &Trial, last_kill: i64) -> Result<()> {
    let promtool = place::original("promtool")?;
    let copy = run.folder().join("copy");
    let (blocks, bad) = check_blocks(&promtool, &copy.join("data"), run.folder())?;
    run.at_least("blocks that promtool read", blocks as f64, "", 3.0);
    run.figure("blocks that list, analyze or dump refused", bad.len().to_string(), "0", bad.is_empty());
    bad.iter().for_each(|line| run.say(line));
    let prometheus = place::original("prometheus")?;
    let theirs_folder = run.fresh_folder("prometheus")?;
    std::fs::rename(copy.join("data"), theirs_folder.join("data"))?;
    let theirs = isobar::prometheus(
        &prometheus,
        &theirs_folder,
        "global: {scrape_interval: 1m}\n",
        &["--storage.tsdb.min-block-duration=1m", "--storage.tsdb.retention.time=1d"],
    )?
    .start()?;
    let log = theirs.process.output();
    let complaints: Vec<&str> = log.lines().filter(|l| l.contains("level=ERROR") || l.contains("level=WARN")).collect();
    complaints.iter().for_each(|line| run.say(line));
    let mut equal = 0;
    let answers = queries(last_kill);
    for (query, time, range) in &answers {
        match compare(&mut trial.role.api(), &mut theirs.api(), query, time, range.as_deref())? {
            None => equal += 1,
            Some(difference) => run.say(&format!("{query}: {difference}")),
        }
    }
    run.at_least(
        &format!("queries that Prometheus answers equally on the directory with its WAL, of {}", answers.len()),
        equal as f64,
        "",
        answers.len() as f64,
    );
    Ok(())
}

/// Query, time, and for a range query its start.
fn queries(last_kill: i64) -> Vec<(&'static str, String, Option<String>)> {
    let before = |seconds: i64| format!("{:.3}", (last_kill - seconds * 1000) as f64 / 1000.0);
    vec![
        ("count(script_row)", before(1), None),
        ("sum by (target) (script_row)", before(2), None),
        ("sum(rate(script_row[10s]))", before(1), None),
        ("max_over_time(script_row{target=\"7\"}[1m])", before(30), None),
        ("count_over_time(script_row{i=~\"1.\"}[5m])", before(1), None),
        ("up", before(1), None),
        ("sum(scrape_samples_scraped)", before(90), None),
        ("topk(5, script_row)", before(3), None),
        ("quantile by (target) (0.9, script_row)", before(100), None),
        ("count(script_row) by (target)", before(1), Some(before(400))),
        ("max(script_row) - min(script_row)", before(1), Some(before(300))),
        ("changes(script_row{i=\"5\"}[30s])", before(1), Some(before(120))),
    ]
}

fn compare(ours: &mut Api, theirs: &mut Api, query: &str, time: &str, start: Option<&str>) -> Result<Option<String>> {
    let ask = |api: &mut Api| match start {
        Some(start) => api.query_range(query, start, time, "5"),
        None => api.query(query, time),
    };
    let (a, b) = (rows(&ask(ours)?)?, rows(&ask(theirs)?)?);
    if b.is_empty() {
        bail!("the query {query} finds nothing: it proves nothing");
    }
    Ok(difference(&a, &b, 1e-12))
}

/// Lists, analyzes and dumps every block; how many there are, and the complaints.
pub(super) fn check_blocks(promtool: &Path, data: &Path, folder: &Path) -> Result<(usize, Vec<String>)> {
    let blocks = place::blocks(data);
    let only = folder.join("blocks");
    let mut bad = Vec::new();
    for block in &blocks {
        let _ = std::fs::remove_dir_all(&only);
        place::copy_folder(&data.join(block), &only.join(block))?;
        // promtool wants a log, were it empty
        std::fs::create_dir_all(only.join("wal"))?;
        let meta: Value = serde_json::from_slice(&std::fs::read(only.join(block).join("meta.json"))?)?;
        let samples = meta["stats"]["numSamples"].as_u64().unwrap_or(0);
        let here = only.to_string_lossy().into_owned();
        for (what, arguments) in [
            ("list", vec!["tsdb", "list", &here]),
            ("analyze", vec!["tsdb", "analyze", &here, block]),
            ("dump", vec!["tsdb", "dump", &here]),
        ] {
            let mut command = Command::new(promtool);
            command.args(&arguments);
            let ended = process::run("promtool", command, &folder.join("promtool.log"), Duration::from_secs(120))?;
            let right = match what {
                "list" => ended.output.contains(block.as_str()),
                "dump" => ended.output.lines().filter(|line| line.starts_with('{')).count() as u64 == samples,
                _ => ended.output.contains(&format!("Block ID: {block}")),
            };
            if ended.code != Some(0) || !right {
                bad.push(format!("{what} of {block} ({samples} samples): {}", process::tail(&ended.output)));
            }
        }
    }
    Ok((blocks.len(), bad))
}
