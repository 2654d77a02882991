//! Must show 6 and 8: the binary's size, and how long the suite takes.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own files and clock")]

use super::Run;
use crate::harness::place;
use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::time::Instant;

/// The release binary, stripped.
pub(super) fn size(run: &mut Run) -> Result<()> {
    let binary = place::binary()?;
    let bytes = std::fs::metadata(&binary)?.len();
    let head = std::fs::read(&binary)?;
    // section names stand at the end; a symbol table would be among them
    let stripped = !head.windows(8).rev().take(4096).any(|window| window == b".symtab\0");
    run.figure("stripped", stripped.to_string(), "true", stripped);
    run.at_most("binary", bytes as f64 / 1e6, "MB", 40.0);
    Ok(())
}

/// `cargo xtask test` with nothing built (in a target folder of its own), then once more.
pub(super) fn suite(run: &mut Run) -> Result<()> {
    let target = run.folder().join("target");
    for (name, bound) in [("cold", 25.0), ("warm", 5.0)] {
        let left = run.step(name, |run| {
            if name == "cold" && target.exists() {
                std::fs::remove_dir_all(&target)?;
            }
            // xtask itself is not part of what it times
            let began = Instant::now();
            let output = Command::new("cargo")
                .args(["xtask", "test"])
                .current_dir(place::root())
                .env("CARGO_TARGET_DIR", &target)
                .output()
                .context("cannot start cargo")?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            std::fs::write(run.folder().join(format!("{name}.log")), &text)?;
            let count = text.lines().rev().find(|line| line.contains(" passed, ")).unwrap_or("no count").to_owned();
            ensure!(output.status.success(), "the suite fails: {count}");
            Ok(serde_json::json!({ "minutes": began.elapsed().as_secs_f64() / 60.0, "count": count }))
        })?;
        run.at_most(name, left["minutes"].as_f64().context("no time")?, "minutes", bound);
        run.note(&format!("{name}, said"), left["count"].as_str().unwrap_or_default());
    }
    Ok(())
}
