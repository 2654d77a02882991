//! Style as a test: each rule is one function over the tracked files.

use crate::step;
use anyhow::{Result, bail};
use std::process::Command;

/// Files longer than the limit, each with its reason.
const LONG: &[(&str, &str)] = &[];
const LINES_MAX: usize = 600;
const FILE_NAMES_BANNED: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc", "types", "base"];

struct Source {
    path: String,
    text: String,
}

/// Runs every rule and lists all offenders.
pub(crate) fn run() -> Result<()> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files: Vec<Source> = step::read(git)?
        .lines()
        .filter_map(|path| std::fs::read_to_string(path).ok().map(|text| Source { path: path.to_owned(), text }))
        .collect();
    let mut wrong = Vec::new();
    for file in &files {
        no_machine_paths(file, &mut wrong);
        if file.path.ends_with(".rs") {
            module_docs(file, &mut wrong);
            length(file, &mut wrong);
            names(file, &mut wrong);
            no_unfinished(file, &mut wrong);
        }
    }
    if wrong.is_empty() {
        eprintln!("── {} files are tidy", files.len());
        return Ok(());
    }
    bail!("not tidy:\n  {}", wrong.join("\n  "))
}

fn module_docs(file: &Source, wrong: &mut Vec<String>) {
    // a file of unit tests stands beside the code that its module docs explain
    if !file.text.starts_with("//!") && !file.path.ends_with("/tests.rs") {
        wrong.push(format!("{}: begins without module docs (`//! …`)", file.path));
    }
}

fn length(file: &Source, wrong: &mut Vec<String>) {
    if file.path.contains("/tests/") || file.path.ends_with("/tests.rs") {
        return;
    }
    let code = file.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count();
    if code > LINES_MAX && !LONG.iter().any(|(path, _)| *path == file.path) {
        wrong.push(format!("{}: {code} lines without tests, limit {LINES_MAX} (or list it with a reason)", file.path));
    }
}

fn names(file: &Source, wrong: &mut Vec<String>) {
    let stem = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
    if FILE_NAMES_BANNED.contains(&stem) || stem == "mod" {
        wrong.push(format!("{}: `{stem}` names no concept", file.path));
    }
}

fn no_unfinished(file: &Source, wrong: &mut Vec<String>) {
    if file.path.starts_with("xtask/") {
        return;
    }
    for (number, line) in file.text.lines().enumerate() {
        if ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("].iter().any(|mark| line.contains(mark)) {
            wrong.push(format!("{}:{}: unfinished: {}", file.path, number + 1, line.trim()));
        }
    }
}

fn no_machine_paths(file: &Source, wrong: &mut Vec<String>) {
    // spelled in two halves so that this file does not find itself
    let marks = [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("registry", ".npmjs")];
    for (number, line) in file.text.lines().enumerate() {
        if let Some(mark) = marks.iter().find(|mark| line.contains(**mark)) {
            wrong.push(format!("{}:{}: names a place of one machine: {mark}", file.path, number + 1));
        }
    }
}
