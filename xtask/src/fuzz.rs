//! `cargo xtask fuzz`: the targets of `crates/fuzz` under libFuzzer, on the stable toolchain.
//!
//! What a run has found interesting stays in `target/fuzz/corpus`, so the next run goes on from there. An input that fails
//! is put into `crates/fuzz/corpus`, where `make test` replays it: commit it together with the repair.

use crate::step;
use anyhow::{Context, Result, bail};
use std::process::Command;

/// Coverage feedback: what cargo-fuzz asks the compiler for, less the sanitizers that only nightly has.
const FLAGS: &str = "--cfg fuzzing -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Seconds for each target unless said.
const SECONDS: u64 = 60;
/// Memory that a target may take, MiB: none needs a tenth of it.
const MEMORY: u64 = 1024;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let names = names()?;
    let chosen: Vec<&String> = match arguments.first().map(String::as_str) {
        Some("list") => {
            println!("{}", names.join("\n"));
            return Ok(());
        }
        None | Some("all") => names.iter().collect(),
        Some(name) => names.iter().filter(|known| *known == name).collect(),
    };
    if chosen.is_empty() {
        bail!("no such fuzz target; there are {}", names.join(", "));
    }
    let seconds = arguments.get(1).map_or(Ok(SECONDS), |text| text.parse()).context("SECONDS is no number")?;
    if Command::new("c++").arg("--version").output().is_err() {
        bail!("libFuzzer needs a C++ compiler: apt-get install g++");
    }
    let home = step::target().join("fuzz");
    // a triple of its own keeps the flags away from build scripts
    let triple = host()?;
    let mut build =
        step::cargo(&["build", "--release", "--package", "fuzz", "--features", "libfuzzer", "--bin", "fuzz"]);
    build.args(["--target", &triple]).env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &home);
    step::run("fuzz targets", build)?;
    let binary = home.join(&triple).join("release/fuzz");
    let mut failed = Vec::new();
    for name in chosen {
        let found = step::root().join("crates/fuzz/corpus").join(name);
        let (kept, seeds) = (home.join("corpus").join(name), home.join("seeds").join(name));
        for folder in [&found, &kept, &seeds] {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut command = Command::new(&binary);
        command.env("ISOBAR_FUZZ_TARGET", name).env("ISOBAR_FUZZ_SEEDS", &seeds);
        command.arg(format!("-max_total_time={seconds}")).arg(format!("-rss_limit_mb={MEMORY}"));
        command.arg("-timeout=10").arg("-print_final_stats=1").arg("-verbosity=0");
        command.arg(format!("-artifact_prefix={}/", found.display())).args([&kept, &found, &seeds]);
        let outcome = step::run(&format!("fuzz {name}, {seconds} s"), command);
        // git keeps no empty folders, and a run that found nothing should leave no trace
        let _ = std::fs::remove_dir(&found);
        if outcome.is_err() {
            failed.push(name.as_str());
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("inputs that fail are in crates/fuzz/corpus: {}", failed.join(", ")) }
}

/// The names in the table of targets.
fn names() -> Result<Vec<String>> {
    let path = step::root().join("crates/fuzz/src/target.rs");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("Target { name: \"")?.split_once('"'));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}

fn host() -> Result<String> {
    let mut version = Command::new("rustc");
    version.arg("-vV");
    let text = step::read(version)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}
