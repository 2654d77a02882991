//! Where recorded behaviour of the originals is found.

use std::path::PathBuf;

/// A file or folder of the conformance data, or `None` (said aloud) where they are not installed.
pub(crate) fn find(test: &str, path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ISOBAR_CONFORMANCE")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"));
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!("SKIP {test}: no {path} below the conformance folder (ISOBAR_CONFORMANCE)");
    None
}
