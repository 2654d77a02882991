//! What a store does and does not do: asked beforehand by [`Abilities`], told afterwards by `Unsupported`.
//!
//! Both exist because both moments do: a router plans by abilities; a caller that did not ask gets a typed error and
//! never a silent drop or an answer that is empty for ever.

use std::fmt;

/// One thing a store may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ability {
    /// Takes float samples.
    AppendFloats = 0,
    /// Takes native histograms.
    AppendHistograms = 1,
    /// Takes exemplars.
    AppendExemplars = 2,
    /// Takes metadata.
    AppendMetadata = 3,
    /// Takes start times beside samples. Without it a start time is refused with its row or sample: callers leave it out.
    AppendStartTimes = 4,
    /// Takes samples older than the newest of their series.
    AppendOutOfOrder = 5,
    /// Answers exemplar queries.
    SelectExemplars = 6,
    /// Keeps tenants apart.
    Tenants = 7,
    /// Deletes by matchers and range.
    Delete = 8,
    /// A settled ticket means that the commit survives power loss. A store without it never settles one as durable.
    Synced = 9,
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ability::AppendFloats => "float samples",
            Ability::AppendHistograms => "native histograms",
            Ability::AppendExemplars => "exemplars",
            Ability::AppendMetadata => "metadata",
            Ability::AppendStartTimes => "start times",
            Ability::AppendOutOfOrder => "out-of-order samples",
            Ability::SelectExemplars => "exemplar queries",
            Ability::Tenants => "more than one tenant",
            Ability::Delete => "deletion",
            Ability::Synced => "synced commits",
        })
    }
}

/// A set of abilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities(u32);

impl Abilities {
    /// The set of the abilities listed.
    pub const fn of(list: &[Ability]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < list.len() {
            bits |= 1 << list[at] as u32;
            at += 1;
        }
        Abilities(bits)
    }

    /// Whether the store does this.
    pub const fn has(self, ability: Ability) -> bool {
        self.0 & (1 << ability as u32) != 0
    }

    /// What either does.
    pub const fn union(self, other: Abilities) -> Abilities {
        Abilities(self.0 | other.0)
    }

    /// What both do.
    pub const fn intersect(self, other: Abilities) -> Abilities {
        Abilities(self.0 & other.0)
    }
}
