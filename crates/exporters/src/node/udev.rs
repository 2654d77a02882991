//! What udev found out about a device: properties in `/run/udev/data/b<major>:<minor>`, a line `E:NAME=value` each.
//!
//! udev writes such a file anew and renames it into its place, so inode, size and time tell whether it changed: in the steady
//! state a device costs one `stat`.
//! Limits: [`PROPERTIES_MAX`] properties.

use super::parse::{lines, str};
use runtime::disk::{Disk, Metadata};
use std::path::PathBuf;

/// At most this many properties of a device are kept; real ones have 30 to 80.
const PROPERTIES_MAX: usize = 1024;

#[derive(Debug)]
pub(crate) struct Udev {
    path: PathBuf,
    seen: Option<Metadata>,
    properties: Vec<(String, String)>,
}

impl Udev {
    pub(crate) fn new(path: PathBuf) -> Self {
        Udev { path, seen: None, properties: Vec::new() }
    }

    /// Reads the file if it changed. A file that is not there has no properties.
    pub(crate) fn update(&mut self, disk: &dyn Disk) {
        let metadata = disk.metadata(&self.path).ok();
        if metadata.is_some() && metadata == self.seen {
            return;
        }
        self.seen = metadata;
        self.properties = match metadata.and_then(|_| disk.read(&self.path).ok()) {
            Some(text) => parse(&text),
            None => Vec::new(),
        };
    }

    /// A property's value, if the device has it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.properties.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

fn parse(text: &[u8]) -> Vec<(String, String)> {
    lines(text)
        .filter_map(|line| str(line.strip_prefix(b"E:")?)?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .take(PROPERTIES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::disk::RealDisk;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test replaces the file")]
    fn properties_follow_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b8:0");
        let mut udev = Udev::new(path.clone());
        udev.update(&RealDisk);
        assert_eq!(udev.get("ID_MODEL"), None);
        std::fs::write(&path, "S:disk/x\nE:ID_MODEL=a=b\nE:x\nE:ID_SERIAL=\n").unwrap();
        udev.update(&RealDisk);
        assert_eq!((udev.get("ID_MODEL"), udev.get("ID_SERIAL"), udev.get("x")), (Some("a=b"), Some(""), None));
        std::fs::remove_file(&path).unwrap();
        udev.update(&RealDisk);
        assert_eq!(udev.get("ID_MODEL"), None);
    }
}
