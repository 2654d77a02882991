//! What one target's body says about its families: type, help and unit, for the API and the page.
//!
//! The newest visit wins; families not seen for [`KEEP_VISITS`] visits are forgotten. A `HELP` or `TYPE` line that is the same
//! as last time costs a comparison. Limits: [`FAMILIES_MAX`] families and [`HELP_MAX`] bytes of help a target; what is beyond is left out.

use model::{Metadata, MetricType};
use std::collections::BTreeMap;

/// Families remembered for one target.
pub const FAMILIES_MAX: usize = 20_000;
/// Bytes of one help text that are kept.
pub const HELP_MAX: usize = 4096;
const KEEP_VISITS: u32 = 10;

#[derive(Clone, Debug, Default)]
struct Known {
    metadata: Metadata,
    seen: u32,
}

/// The families of one target.
#[derive(Clone, Debug, Default)]
pub struct FamilyTable {
    families: BTreeMap<String, Known>,
    visit: u32,
}

impl FamilyTable {
    pub(crate) fn begin(&mut self) {
        self.visit += 1;
        if self.visit.is_multiple_of(KEEP_VISITS) {
            let visit = self.visit;
            self.families.retain(|_, known| visit - known.seen < KEEP_VISITS);
        }
    }

    pub(crate) fn kind(&mut self, name: &str, kind: MetricType) {
        self.change(name, |metadata| metadata.kind = kind);
    }

    pub(crate) fn help(&mut self, name: &str, help: &str) {
        self.change(name, |metadata| {
            if metadata.help != help {
                let cut = (0..=HELP_MAX.min(help.len())).rev().find(|at| help.is_char_boundary(*at)).unwrap_or(0);
                help[..cut].clone_into(&mut metadata.help);
            }
        });
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Metadata)) {
        let visit = self.visit;
        if let Some(known) = self.families.get_mut(name) {
            known.seen = visit;
            change(&mut known.metadata);
        } else if self.families.len() < FAMILIES_MAX {
            let mut known = Known { metadata: Metadata::default(), seen: visit };
            change(&mut known.metadata);
            self.families.insert(name.to_owned(), known);
        }
    }

    /// Families in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Metadata)> {
        self.families.iter().map(|(name, known)| (name.as_str(), &known.metadata))
    }

    /// One family.
    pub fn get(&self, name: &str) -> Option<&Metadata> {
        self.families.get(name).map(|known| &known.metadata)
    }
}
