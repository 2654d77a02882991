//! py-consul, a registry client we did not write, in a virtual environment below the target folder.
//!
//! Fetched by pip once; without Python, pip or its index the caller skips by name.

use crate::harness::place;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const CLIENT: &str = "py-consul==1.8.0";

/// The interpreter that can import the client.
///
/// # Errors
/// When it cannot be had; the reason is for a skip line.
pub fn with_consul() -> Result<PathBuf> {
    let folder = place::target().join("py-consul");
    let python = folder.join("bin/python");
    if !imports(&python) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", CLIENT]))?;
    }
    if imports(&python) { Ok(python) } else { bail!("{CLIENT} cannot be imported") }
}

/// Runs a script with arguments; its output.
///
/// # Errors
/// When it fails; its last line is named.
pub fn script(python: &Path, text: &str, arguments: &[&str]) -> Result<String> {
    run(Command::new(python).arg("-c").arg(text).args(arguments))
}

fn imports(python: &Path) -> bool {
    Command::new(python).args(["-c", "import consul"]).output().is_ok_and(|output| output.status.success())
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{:?}: {}", command.get_program(), said.lines().last().unwrap_or("failed"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
