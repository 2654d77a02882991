//! Where things are: the repository, the build folder, the binary under test, recorded data, the originals.
//!
//! Everything written goes below cargo's target folder. What lies outside the repository is optional: without it the caller
//! skips by name ([`skip`]).
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own files and sockets")]

use anyhow::{Context, Result, bail};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The repository's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where cargo builds, and where everything of ours is written.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The binary under test, from `ISOBAR_BINARY`.
///
/// # Errors
/// When it is not named, or not there.
pub fn binary() -> Result<PathBuf> {
    let path = PathBuf::from(std::env::var_os("ISOBAR_BINARY").context("ISOBAR_BINARY does not name a binary")?);
    if !path.is_file() {
        bail!("ISOBAR_BINARY names {}, which is not there", path.display());
    }
    Ok(path)
}

/// The recorded behavior of the originals, from `ISOBAR_CONFORMANCE`, else beside the repository; `None` when it is not there.
pub fn conformance() -> Option<PathBuf> {
    let named = std::env::var_os("ISOBAR_CONFORMANCE").map(PathBuf::from);
    let path = named.unwrap_or_else(|| root().join("../shared/conformance"));
    path.is_dir().then_some(path)
}

/// The paths of an original's programs, from the command in `ISOBAR_PEERS`; `None` when the command, or what it fetches, is
/// not to be had.
pub fn peer(name: &str) -> Option<Vec<PathBuf>> {
    let named = std::env::var_os("ISOBAR_PEERS").map(PathBuf::from);
    let command = named.unwrap_or_else(|| root().join("../shared/tools/peers"));
    let output = Command::new(command).arg(name).output().ok()?;
    let paths: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

/// As [`peer`], one program of it, for callers that cannot go on without.
///
/// # Errors
/// When the original is not to be had.
pub fn original(name: &str) -> Result<PathBuf> {
    let paths = peer(name).with_context(|| format!("the original {name:?} is not to be had (ISOBAR_PEERS)"))?;
    paths.into_iter().next().with_context(|| format!("{name:?} has no program"))
}

/// Says that the test `name` does not run, and why; `cargo xtask test` counts these lines.
#[expect(clippy::print_stdout, reason = "read from the test's output")]
pub fn skip(name: &str, reason: &str) {
    println!("SKIP {name}: {reason}");
}

/// A port of loopback that was free a moment ago, for TCP and UDP, and that nobody was given before by this process.
///
/// From below the range that the system hands out by itself (from 32768 on Linux): a connection of another test must not take
/// it before the program it is for does.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    // coprime to the count: every port comes once before one comes twice. Processes with neighbouring numbers begin far apart
    const STRIDE: u32 = 7_919;
    for _ in 0..COUNT {
        let place = GIVEN.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(1_237));
        let port = (FIRST + (u64::from(place) * u64::from(STRIDE) % u64::from(COUNT)) as u32) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port of loopback from {FIRST} to {}", FIRST + COUNT - 1)
}

/// A folder of one test below the target folder; removed with the value unless the test is panicking.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A fresh, empty folder whose name begins with `name`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = target().join("scratch").join(unique);
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Scratch { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Copies a folder with everything in it.
///
/// # Errors
/// When something cannot be read or written.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Bytes of all files below a folder; files that vanish meanwhile count nothing.
pub fn folder_bytes(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => folder_bytes(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// Names in a folder, sorted; none when it is not there.
pub fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The finished blocks of a data directory.
pub fn blocks(data: &Path) -> Vec<String> {
    let mut found = names(data);
    found.retain(|name| name.len() == 26 && name.bytes().all(|b| b.is_ascii_alphanumeric()));
    found
}
