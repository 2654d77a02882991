//! A run's memory: finished steps, figures, the verdict, the block in `docs/evidence.md`.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a tool on the command line, with its own files")]

use crate::harness::{machine, place};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// One measured thing against its bound.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// What came out, with its unit.
    pub value: String,
    /// What was wanted; empty for a figure that is only noted.
    pub bound: String,
    /// Whether the bound holds.
    pub met: bool,
}

/// A run of one show, possibly one that was cut before.
#[derive(Debug)]
pub struct Run {
    name: &'static str,
    folder: PathBuf,
    steps: Map<String, Value>,
    figures: Vec<Figure>,
}

impl Run {
    /// Opens the run of `name`, with the steps that a cut one finished.
    ///
    /// # Errors
    /// When its folder or state cannot be used.
    pub fn open(name: &'static str) -> Result<Self> {
        let folder = place::target().join("show").join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let steps = match std::fs::read(folder.join("state.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("state.json of the show is damaged: remove it")?,
            Err(_) => Map::new(),
        };
        let run = Run { name, folder, steps, figures: Vec::new() };
        if !run.steps.is_empty() {
            run.say(&format!("goes on after {} finished steps", run.steps.len()));
        }
        Ok(run)
    }

    /// The run's folder; kept over cuts.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A subfolder, emptied.
    ///
    /// # Errors
    /// When it cannot be emptied or made.
    pub fn fresh_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// What the step `name` left, when an earlier part of this run finished it.
    pub fn finished(&self, name: &str) -> Option<&Value> {
        self.steps.get(name)
    }

    /// Keeps what a step left.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn keep(&mut self, step: &str, left: Value) -> Result<()> {
        self.steps.insert(step.to_owned(), left);
        let (path, new) = (self.folder.join("state.json"), self.folder.join("state.json.new"));
        std::fs::write(&new, serde_json::to_vec_pretty(&self.steps)?)?;
        Ok(std::fs::rename(new, path)?)
    }

    /// Runs a step unless an earlier part of this run finished it; what it left either way.
    ///
    /// # Errors
    /// The step's own.
    pub fn step(&mut self, name: &str, body: impl FnOnce(&mut Self) -> Result<Value>) -> Result<Value> {
        if let Some(left) = self.steps.get(name) {
            return Ok(left.clone());
        }
        self.say(name);
        let left = body(self)?;
        self.keep(name, left.clone())?;
        Ok(left)
    }

    /// A line of progress.
    pub fn say(&self, line: &str) {
        eprintln!("   {}: {line}", self.name);
    }

    /// Notes a figure and whether it holds.
    pub fn figure(&mut self, name: &str, value: impl Into<String>, bound: &str, met: bool) {
        let figure = Figure { name: name.to_owned(), value: value.into(), bound: bound.to_owned(), met };
        println!("{}", line(&figure));
        self.figures.push(figure);
    }

    /// Notes a number that must be at most `bound`.
    pub fn at_most(&mut self, name: &str, value: f64, unit: &str, bound: f64) {
        self.figure(name, format!("{} {unit}", short(value)), &format!("≤ {} {unit}", short(bound)), value <= bound);
    }

    /// Notes a number that must be at least `bound`.
    pub fn at_least(&mut self, name: &str, value: f64, unit: &str, bound: f64) {
        self.figure(name, format!("{} {unit}", short(value)), &format!("≥ {} {unit}", short(bound)), value >= bound);
    }

    /// Notes a number that has no bound.
    pub fn note(&mut self, name: &str, value: impl Into<String>) {
        self.figure(name, value, "", true);
    }

    /// Gives the verdict, writes the evidence, forgets the finished steps.
    ///
    /// # Errors
    /// When a figure falls short, none was made, or the evidence cannot be written.
    pub fn finish(self, bound: &str) -> Result<()> {
        let met = !self.figures.is_empty() && self.figures.iter().all(|figure| figure.met);
        let verdict = if met { "met" } else { "short" };
        let mut block = format!("\n## {} {}: {verdict}\n\n{bound}\n\n", machine::now_text(), self.name);
        for figure in &self.figures {
            block.push_str(&line(figure));
            block.push('\n');
        }
        block.push_str(&format!("\n{}; commit {}\n", machine::describe(), machine::commit()));
        // where this machine keeps things is no part of the evidence
        let block = [place::target(), place::root()]
            .iter()
            .zip(["target", "."])
            .fold(block, |text, (from, to)| text.replace(&from.display().to_string(), to));
        let path = place::root().join("docs/evidence.md");
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
        if file.metadata()?.len() == 0 {
            file.write_all(HEADER.as_bytes())?;
        }
        file.write_all(block.as_bytes())?;
        let figures: Vec<Value> = self
            .figures
            .iter()
            .map(|f| json!({ "name": f.name, "value": f.value, "bound": f.bound, "met": f.met }))
            .collect();
        std::fs::write(self.folder.join("result.json"), serde_json::to_vec_pretty(&figures)?)?;
        let _ = std::fs::remove_file(self.folder.join("state.json"));
        println!("{}: {verdict} ({bound})", self.name);
        if met { Ok(()) } else { bail!("{} falls short", self.name) }
    }
}

const HEADER: &str =
    "# Evidence\n\nWritten by `cargo xtask show NAME`, newest last; `cargo xtask show list` names the bounds.\n";

fn line(figure: &Figure) -> String {
    let Figure { name, value, bound, met } = figure;
    match (bound.as_str(), met) {
        ("", _) => format!("- {name}: {value}"),
        (bound, true) => format!("- {name}: {value} ({bound})"),
        (bound, false) => format!("- **{name}: {value} (wanted {bound})**"),
    }
}

/// A number with as many digits as matter.
pub(super) fn short(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}
