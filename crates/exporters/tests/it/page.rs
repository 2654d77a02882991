//! A metrics page taken apart, so that two can be compared whatever their order.

use exporters::node::{Config, NodeExporter};
use runtime::clock::Clock;
use runtime::disk::RealDisk;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// One family: type, help, and its samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) help: String,
    /// Name and labels as written (with sorted labels), and the value.
    pub(crate) samples: BTreeMap<String, String>,
}

impl Family {
    /// The label names of all samples.
    pub(crate) fn label_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .samples
            .keys()
            .flat_map(|sample| {
                let labels = sample.split_once('{').map_or("", |(_, labels)| labels);
                // values of these pages have no `",` inside
                labels.split("\",").filter_map(|label| label.split_once("=\"")).map(|(name, _)| name.to_owned())
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

pub(crate) type Page = BTreeMap<String, Family>;

pub(crate) fn parse(text: &str) -> Page {
    let mut page = Page::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            let before = page.insert(name.to_owned(), Family { help: help.to_owned(), ..Family::default() });
            assert!(before.is_none(), "family {name} twice");
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, current, "TYPE follows HELP");
            page.get_mut(name).expect("HELP came first").kind = kind.to_owned();
        } else {
            let at = line.rfind(' ').unwrap_or_else(|| panic!("no value in {line:?}"));
            assert!(line.starts_with(&current), "{line} in family {current}");
            let family = page.get_mut(&current).expect("a family");
            let before = family.samples.insert(line[..at].to_owned(), line[at + 1..].to_owned());
            assert!(before.is_none(), "sample twice: {line}");
        }
    }
    page
}

/// Our page for these flags.
pub(crate) fn ours(flags: &[&str]) -> Page {
    let mut out = Vec::new();
    exporter(flags).gather_text(&mut out);
    parse(&String::from_utf8(out).expect("UTF-8"))
}

pub(crate) fn exporter(flags: &[&str]) -> NodeExporter {
    let config = Config::parse_flags(flags).expect("valid flags");
    NodeExporter::new(config, Arc::new(RealDisk), Clock::system(), None, "0.0.0")
}

/// A file or folder of the conformance data; says why and answers `None` when it is not there.
pub(crate) fn conformance(test: &str, path: &str) -> Option<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let base = std::env::var("ISOBAR_CONFORMANCE").unwrap_or_else(|_| format!("{root}/../shared/conformance"));
    let path = PathBuf::from(base).join(path);
    if path.exists() {
        return Some(path);
    }
    println!("SKIP {test}: {} is not there (ISOBAR_CONFORMANCE)", path.display());
    None
}

/// The fixture tree, unpacked into a directory that goes with the test.
pub(crate) fn fixtures(test: &str) -> Option<tempfile::TempDir> {
    let archive = conformance(test, "node_exporter/fixtures.tar.gz")?;
    let dir = tempfile::tempdir().expect("a directory");
    let status = std::process::Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(dir.path()).status();
    match status {
        Ok(status) if status.success() => Some(dir),
        other => {
            println!("SKIP {test}: tar does not unpack {}: {other:?}", archive.display());
            None
        }
    }
}
