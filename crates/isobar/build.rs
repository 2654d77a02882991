//! Embeds the built page (`ui/dist`), or nothing when it was not built: then the binary shows a notice in its place.
#![expect(clippy::disallowed_methods, reason = "a build script, not part of the product")]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The page may be built anew while it is read: then it is read again.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

fn main() {
    let ui = PathBuf::from(env("CARGO_MANIFEST_DIR")).join("../../ui");
    let dist = ui.join("dist");
    // a path that is not there would count as changed in every build
    let watched = if dist.is_dir() { &dist } else { &ui };
    println!("cargo::rerun-if-changed={}", watched.display());
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env("OUT_DIR"));
    let mut left = TRIES;
    let table = loop {
        match copied(&dist, &out) {
            Ok(table) => break table,
            Err(e) if left == 0 => panic!("cannot copy the built page from {}: {e}", dist.display()),
            Err(_) => {
                left -= 1;
                std::thread::sleep(PAUSE);
            }
        }
    };
    let path = out.join("page_assets.rs");
    std::fs::write(&path, table).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}

/// Copies the built page to where the compiler reads it; the table of what there is.
fn copied(dist: &Path, out: &Path) -> std::io::Result<String> {
    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        collect(dist, dist, &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for (at, (path, file)) in files.iter().enumerate() {
        // only the compressed forms go into the binary; a client that takes neither is served by unpacking the gzip one
        let form = |ending: &str| -> std::io::Result<Option<String>> {
            let packed = PathBuf::from(format!("{}.{ending}", file.display()));
            if !packed.is_file() {
                return Ok(None);
            }
            let copy = out.join(format!("asset-{at}.{ending}"));
            std::fs::write(&copy, std::fs::read(&packed)?)?;
            Ok(Some(format!("include_bytes!({:?})", copy.display().to_string())))
        };
        let Some(gzip) = form("gz")? else { continue };
        let brotli = form("br")?.map_or("None".to_owned(), |bytes| format!("Some({bytes})"));
        let _ = writeln!(table, "    Asset {{ path: {path:?}, gzip: {gzip}, brotli: {brotli} }},");
    }
    table.push(']');
    Ok(table)
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: this runs under cargo"))
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
            continue;
        }
        let Ok(relative) = path.strip_prefix(root) else { continue };
        let name = relative.display().to_string();
        if !name.ends_with(".br") && !name.ends_with(".gz") && !name.starts_with('.') {
            files.push((format!("/{name}"), path));
        }
    }
    Ok(())
}
