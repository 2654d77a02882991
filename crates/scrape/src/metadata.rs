//! What a target said about its families: type and help, as of its last visits.
//!
//! Limits: [`FAMILIES_MAX`] families a target (further ones are not kept), [`HELP_MAX`] bytes of help each. A family that was
//! not said for [`KEPT_VISITS`] visits is forgotten.

use model::{Metadata, MetricType};
use std::collections::HashMap;
use wire::exposition::text::unescape_help;

/// Families kept per target.
pub const FAMILIES_MAX: usize = 20_000;
/// Bytes of a help text kept.
pub const HELP_MAX: usize = 4096;
/// Visits without a family until it is forgotten.
const KEPT_VISITS: u32 = 10;

/// The families of one target.
#[derive(Debug, Default)]
pub struct MetadataCache {
    families: HashMap<Box<str>, Entry>,
    visit: u32,
}

#[derive(Debug)]
struct Entry {
    metadata: Metadata,
    /// The help as it stands in the body, to see without work that it has not changed.
    raw_help: Box<str>,
    visit: u32,
}

impl MetadataCache {
    /// What is known of one family.
    pub fn get(&self, family: &str) -> Option<&Metadata> {
        self.families.get(family).map(|entry| &entry.metadata)
    }

    /// Every family, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Metadata)> {
        self.families.iter().map(|(name, entry)| (&**name, &entry.metadata))
    }

    /// How many families are known.
    pub fn len(&self) -> usize {
        self.families.len()
    }

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.families.is_empty()
    }

    pub(crate) fn set_kind(&mut self, family: &[u8], kind: MetricType) {
        if let Some(entry) = self.entry(family) {
            entry.metadata.kind = kind;
        }
    }

    pub(crate) fn set_help(&mut self, family: &[u8], raw: &str) {
        let mut end = raw.len().min(HELP_MAX);
        while !raw.is_char_boundary(end) {
            end -= 1;
        }
        let raw = &raw[..end];
        if let Some(entry) = self.entry(family)
            && *entry.raw_help != *raw
        {
            entry.raw_help = Box::from(raw);
            entry.metadata.help = unescape_help(raw).into_owned();
        }
    }

    /// A visit is over.
    pub(crate) fn end_visit(&mut self) {
        let visit = self.visit;
        self.families.retain(|_, entry| visit.wrapping_sub(entry.visit) < KEPT_VISITS);
        self.visit = visit.wrapping_add(1);
    }

    fn entry(&mut self, family: &[u8]) -> Option<&mut Entry> {
        let family = std::str::from_utf8(family).ok()?;
        if !self.families.contains_key(family) {
            if self.families.len() >= FAMILIES_MAX {
                return None;
            }
            let entry = Entry { metadata: Metadata::default(), raw_help: Box::from(""), visit: self.visit };
            self.families.insert(Box::from(family), entry);
        }
        let visit = self.visit;
        let entry = self.families.get_mut(family)?;
        entry.visit = visit;
        Some(entry)
    }
}
