//! Must show 3 and 5: the suites that replay what the originals recorded, and their counts.
//!
//! These run as tests of their crates; here the same tests are run once more and their own lines are the figures.

use super::Run;
use crate::harness::place;
use anyhow::{Context, Result, ensure};
use std::process::Command;

/// Runs one test of a crate's integration tests and gives the lines it printed.
fn test(package: &str, name: &str) -> Result<(bool, Vec<String>)> {
    let mut command = Command::new("cargo");
    command.args(["test", "--package", package, "--test", "it", "--", "--show-output", "--include-ignored", name]);
    // the variables of the cargo that runs this would make everything look changed
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(variable);
    }
    let output = command.current_dir(place::root()).output().context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(!text.contains("running 0 tests"), "{package} has no test {name}");
    if let Some(line) = text.lines().find(|line| line.starts_with("SKIP ")) {
        anyhow::bail!("{line}");
    }
    Ok((output.status.success(), text.lines().map(str::to_owned).collect()))
}

/// The numbers of a line, in order.
fn numbers(line: &str) -> Vec<f64> {
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Consul's recordings: n of m.
pub(super) fn consul(run: &mut Run) -> Result<()> {
    let (passed, lines) = test("registry", "recordings_of_the_original")?;
    for line in lines.iter().filter(|line| line.contains(" equal, ")) {
        let (file, said) = line.split_once(": ").context("a line without colon")?;
        run.note(file, said);
    }
    let line = lines.iter().find(|line| line.starts_with("recordings ")).context("no sum was printed")?;
    let counts = numbers(line.split_once(": ").context("no sum")?.1);
    let (equal, all) = (counts.first().context("no sum")?, counts.get(1).context("no sum")?);
    run.figure("exchanges equal", format!("{equal} of {all}"), "all", equal == all && passed);
    Ok(())
}

/// Prometheus' scripts of its language.
pub(super) fn promqltest(run: &mut Run) -> Result<()> {
    let (passed, lines) = test("promql", "upstreams_scripts_pass")?;
    for line in lines.iter().filter(|line| line.contains(" passed, ") && line.contains("native histograms")) {
        let Some((file, said)) = line.split_once(": ") else { continue };
        match file {
            "all" => {
                let counts = numbers(said);
                run.at_least("evaluations passed", counts.first().copied().unwrap_or(0.0), "", 1250.0);
                run.note("all files", said);
            }
            _ => run.note(file, said),
        }
    }
    run.figure("the ten files without native histograms pass whole", passed.to_string(), "true", passed);
    Ok(())
}
