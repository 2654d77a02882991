//! One step of a build: a command with a title, its time, and a plain error when it fails.

use anyhow::{Context, Result, bail};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A cargo command. The toolchain variables of the running xtask are cleared, so that every build has one fingerprint.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments);
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// Runs a step to its end, showing its output.
pub(crate) fn run(title: &str, mut command: Command) -> Result<()> {
    eprintln!("── {title}");
    let began = Instant::now();
    let status = command.status().with_context(|| format!("{title}: cannot start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{title} failed ({status})");
    }
    eprintln!("── {title} done in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Runs a command and gives its standard output.
pub(crate) fn read(mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{:?} failed: {}", command.get_program(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Becomes the command: signals reach it directly.
pub(crate) fn replace(command: &mut Command) -> Result<()> {
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {:?}", command.get_program()))
}
