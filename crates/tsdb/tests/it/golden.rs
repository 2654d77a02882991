//! Finding and unpacking recorded data, and its text forms.

use model::Labels;
use runtime::disk::{Disk, RealDisk};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Samples by time, as the bits of their values.
pub(crate) type Samples = BTreeMap<i64, u64>;

/// The folder of recorded TSDB data, or a line that says what is skipped.
pub(crate) fn conformance(test: &str) -> Option<PathBuf> {
    let root = from_environment("ISOBAR_CONFORMANCE", "conformance").join("tsdb");
    if root.join("README.md").exists() {
        return Some(root);
    }
    skip(test, &format!("no recorded data at {} (ISOBAR_CONFORMANCE)", root.display()));
    None
}

/// The path of one of the originals' programs, or a line that says what is skipped.
pub(crate) fn peer(test: &str, name: &str) -> Option<PathBuf> {
    let command = from_environment("ISOBAR_PEERS", "tools/peers");
    let found = Command::new(&command).arg(name).output().ok().filter(|output| output.status.success());
    let path = found.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    if path.is_none() {
        skip(test, &format!("{} does not give {name} (ISOBAR_PEERS)", command.display()));
    }
    path
}

#[expect(clippy::print_stdout, reason = "the suite counts these lines")]
fn skip(test: &str, reason: &str) {
    println!("SKIP {test}: {reason}");
}

fn from_environment(variable: &str, default: &str) -> PathBuf {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os(variable).map_or_else(|| shared.join(default), PathBuf::from)
}

/// An archive unpacked; removed when dropped.
pub(crate) struct Unpacked {
    pub(crate) dir: PathBuf,
    _holder: tempfile::TempDir,
}

/// Unpacks `archive` (`NAME.tar.gz`, holding `NAME/`).
pub(crate) fn unpack(archive: &Path) -> Unpacked {
    let holder = tempfile::tempdir().expect("a temporary directory");
    let status = Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(holder.path()).status().expect("tar runs");
    assert!(status.success(), "{}", archive.display());
    let name = archive.file_name().expect("a name").to_string_lossy().replace(".tar.gz", "");
    Unpacked { dir: holder.path().join(name), _holder: holder }
}

/// The content of a text, which may be gzipped.
pub(crate) fn text(path: &Path) -> String {
    if path.extension().is_some_and(|extension| extension == "gz") {
        let output = Command::new("gzip").arg("-dc").arg(path).output().expect("gzip runs");
        return String::from_utf8(output.stdout).expect("text");
    }
    String::from_utf8(RealDisk.read(path).expect("readable")).expect("text")
}

/// Every block directory below `dir`, in order of names.
pub(crate) fn blocks_below(dir: &Path) -> Vec<PathBuf> {
    tsdb::block::list_blocks(&RealDisk, dir).expect("readable").into_iter().map(|(_, dir)| dir).collect()
}

/// `{"name"="value",…}` with JSON strings, at the beginning of `line`.
pub(crate) fn parse_labels(line: &str) -> Labels {
    let mut rest = line.strip_prefix('{').expect("labels");
    let mut texts = Vec::new();
    while !rest.starts_with('}') {
        let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        texts.push(strings.next().expect("a string").expect("valid"));
        rest = rest[strings.byte_offset()..].trim_start_matches(['=', ',']);
    }
    Labels::from_pairs(texts.chunks(2).map(|pair| (&pair[0], &pair[1])))
}

/// The float samples of a `read.txt` by series; histograms are left out.
pub(crate) fn parse_read(text: &str) -> BTreeMap<Labels, Samples> {
    let mut all = BTreeMap::new();
    let mut series = None;
    for line in text.lines() {
        if line.starts_with('{') {
            series = Some(all.entry(parse_labels(line)).or_insert_with(Samples::new));
        } else if let (Some(series), Some((at, bits))) = (&mut series, parse_sample(line)) {
            series.insert(at, bits);
        }
    }
    all.retain(|_, samples| !samples.is_empty());
    all
}

/// `<spaces>TIME f BITS`.
pub(crate) fn parse_sample(line: &str) -> Option<(i64, u64)> {
    let mut words = line.split_whitespace();
    let at = words.next()?.parse().ok()?;
    (words.next()? == "f").then(|| u64::from_str_radix(words.next()?, 16).ok()).flatten().map(|bits| (at, bits))
}
