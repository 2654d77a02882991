//! The tenant: whose samples they are. Reserved from the first commit; one tenant today.

/// Whose samples. Every append and every selection names one, so that a store may separate them later without a new
/// signature. A store that keeps one tenant alone refuses any other with `Unsupported`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(u32);

impl Tenant {
    /// The tenant of an installation that does not know tenants.
    pub const DEFAULT: Tenant = Tenant(0);

    /// The tenant with this number.
    pub const fn new(number: u32) -> Self {
        Tenant(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }
}
