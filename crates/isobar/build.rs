//! Embeds the built page (`ui/dist`), or nothing when it was not built: then the binary shows a notice in its place.
#![expect(clippy::disallowed_methods, reason = "a build script, not part of the product")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let dist = PathBuf::from(env("CARGO_MANIFEST_DIR")).join("../../ui/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        collect(&dist, &dist, &mut files);
    }
    files.sort();
    let mut table = String::from("&[\n");
    for (path, file) in &files {
        // only the compressed forms go into the binary; a client that takes neither is served by unpacking the gzip one
        let form = |ending: &str| {
            let packed = PathBuf::from(format!("{}.{ending}", file.display()));
            packed.is_file().then_some(packed)
        };
        let Some(gzip) = form("gz") else { continue };
        let brotli = form("br").map_or("None".to_owned(), |p| format!("Some(include_bytes!({:?}))", absolute(&p)));
        let _ = writeln!(
            table,
            "    Asset {{ path: {path:?}, gzip: include_bytes!({:?}), brotli: {brotli} }},",
            absolute(&gzip)
        );
    }
    table.push(']');
    let out = PathBuf::from(env("OUT_DIR")).join("page_assets.rs");
    std::fs::write(&out, table).unwrap_or_else(|e| panic!("cannot write {}: {e}", out.display()));
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: this runs under cargo"))
}

fn absolute(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
            continue;
        }
        let Ok(relative) = path.strip_prefix(root) else { continue };
        let name = relative.display().to_string();
        if !name.ends_with(".br") && !name.ends_with(".gz") && !name.starts_with('.') {
            files.push((format!("/{name}"), path));
        }
    }
}
