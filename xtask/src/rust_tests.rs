//! The Rust tests: built once, then the test binaries run two at a time.
//!
//! Many tests wait (for an interval, for a process that starts): one binary after the other left both cores idle for half of
//! a warm run. The longest begin first, by the order that the last run left in `target/test-times`.

use crate::step;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

/// Test binaries at work at the same time.
const WORKERS: usize = 2;

/// What all binaries together said.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: BTreeSet<String>,
    pub(crate) broken: Vec<String>,
}

/// A test binary.
struct Program {
    path: PathBuf,
    /// Where cargo would start it.
    folder: PathBuf,
    /// `crate target`.
    name: String,
}

/// Builds and runs every test of the workspace; `binary` is the product that integration tests start.
pub(crate) fn run(binary: &Path) -> Result<Outcome> {
    let mut programs = build()?;
    let times = Mutex::new(read_times());
    let last = |program: &Program| times.lock().ok().and_then(|t| t.get(&program.name).copied()).unwrap_or(u64::MAX);
    programs.sort_by_key(|program| std::cmp::Reverse(last(program)));
    eprintln!("── tests");
    let began = Instant::now();
    let queue = Mutex::new(programs.into_iter());
    let outcome = Mutex::new(Outcome::default());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(program) = queue.lock().ok().and_then(|mut queue| queue.next()) {
                    let began = Instant::now();
                    let text = start(&program, binary);
                    if let Ok(mut times) = times.lock() {
                        times.insert(program.name.clone(), began.elapsed().as_millis() as u64);
                    }
                    if let Ok(mut outcome) = outcome.lock() {
                        outcome.read(&program, text);
                    }
                }
            });
        }
    });
    eprintln!("── tests done in {:.1} s", began.elapsed().as_secs_f64());
    let times = times.into_inner().unwrap_or_default();
    let text: String = times.iter().map(|(name, ms)| format!("{ms} {name}\n")).collect();
    let _ = std::fs::write(times_file(), text); // an order to begin in, nothing more
    Ok(outcome.into_inner().unwrap_or_default())
}

/// No doc tests: examples live in tests, and starting rustdoc fifteen times costs half a minute. The binary is built too, which
/// integration tests and the browser start; `cargo build --package isobar` would choose other features for shared dependencies
/// and build them a second time.
fn build() -> Result<Vec<Program>> {
    let arguments = ["test", "--workspace", "--lib", "--bins", "--tests", "--no-run"];
    step::run("build", step::cargo(&arguments))?;
    let text = step::read(step::cargo(&[&arguments[..], &["--quiet", "--message-format=json"]].concat()))?;
    let mut programs = Vec::new();
    for line in text.lines() {
        let message: Value = serde_json::from_str(line).context("cannot read what cargo says")?;
        let is_test = message["profile"]["test"].as_bool().unwrap_or(false);
        let (Some(path), true) = (message["executable"].as_str(), is_test) else { continue };
        let manifest = PathBuf::from(message["manifest_path"].as_str().context("a target without a manifest")?);
        let folder = manifest.parent().context("a manifest without a folder")?.to_owned();
        let package = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = message["target"]["kind"][0].as_str().unwrap_or_default();
        let name = format!("{package} {kind} {}", message["target"]["name"].as_str().unwrap_or_default());
        programs.push(Program { path: path.into(), folder, name });
    }
    Ok(programs)
}

/// Runs one binary to its end; its whole output, or why there is none.
fn start(program: &Program, binary: &Path) -> Result<(bool, String)> {
    let mut command = Command::new(&program.path);
    command.arg("--show-output").current_dir(&program.folder).env("CARGO_MANIFEST_DIR", &program.folder);
    command.env("ISOBAR_BINARY", binary);
    let output = command.output().with_context(|| format!("cannot start {}", program.path.display()))?;
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok((output.status.success(), text))
}

impl Outcome {
    /// Counts what a binary said, and shows what is more than "ok".
    fn read(&mut self, program: &Program, text: Result<(bool, String)>) {
        let (success, text) = match text {
            Ok(said) => said,
            Err(error) => (false, format!("{error:#}")),
        };
        println!("── {}", program.name);
        let failed = self.failed;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("test result: ") {
                self.passed += number_before(rest, " passed");
                self.failed += number_before(rest, " failed");
            } else if line.starts_with("SKIP ") {
                self.skipped.insert(line.to_owned());
            } else if line.starts_with("test ") && line.ends_with("FAILED") {
                self.broken.push(format!("{}: {line}", program.name));
            }
            // the names of passed tests come once more behind the output that some of them have
            if !line.ends_with("... ok") && !line.is_empty() && !line.starts_with("    ") {
                println!("{line}");
            }
        }
        if !success && self.failed == failed {
            self.failed += 1;
            self.broken.push(format!("{}: ended before its tests did", program.name));
        }
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    let Some(at) = text.find(word) else { return 0 };
    text[..at].rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn times_file() -> PathBuf {
    step::target().join("test-times")
}

/// Milliseconds by name.
fn read_times() -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(times_file()).unwrap_or_default();
    let times = text.lines().filter_map(|line| line.split_once(' '));
    times.filter_map(|(ms, name)| Some((name.to_owned(), ms.parse().ok()?))).collect()
}
