//! The page: builds `ui/` into `ui/dist`, once per state of its sources.

use crate::{machine, step};
use anyhow::{Context, Result};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the page unless `ui/dist` was built from these very sources.
pub(crate) fn build() -> Result<()> {
    let folder = step::root().join("ui");
    let state = format!("{:016x}", fingerprint(&folder)?);
    let stamp = folder.join("dist/.built-from");
    if std::fs::read_to_string(&stamp).is_ok_and(|built| built == state) {
        return Ok(());
    }
    install(&folder)?;
    step::run("page", npm(&["run", "--silent", "build"])?)?;
    std::fs::write(&stamp, state).with_context(|| format!("cannot write {}", stamp.display()))
}

/// An npm command inside `ui/`, with a Node that is new enough.
pub(crate) fn npm(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(step::root().join("ui"));
    if let Some(folder) = machine::node_folder()? {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let joined = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path)))?;
        command.env("PATH", joined);
    }
    Ok(command)
}

/// Installs the page's packages as locked, once per lock file.
pub(crate) fn install(folder: &Path) -> Result<()> {
    let lock = std::fs::read_to_string(folder.join("package-lock.json")).context("cannot read ui/package-lock.json")?;
    let stamp = folder.join("node_modules/.installed-from");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    step::run("page's packages", npm(&["ci", "--no-audit", "--no-fund", "--ignore-scripts"])?)?;
    std::fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))
}

fn fingerprint(folder: &Path) -> Result<u64> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.strip_prefix(folder)?.hash(&mut hasher);
        std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if matches!(name, "node_modules" | "dist" | "test" | "browser" | "dev" | "test-results")
            || name.starts_with('.')
        {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
