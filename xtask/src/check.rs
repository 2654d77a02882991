//! Everything that is checked without running the product.

use crate::{edges, step, tidy};
use anyhow::Result;

/// Format, lints, arrows, tidiness.
pub(crate) fn run() -> Result<()> {
    step::run("format", step::cargo(&["fmt", "--all", "--check"]))?;
    tidy::run()?;
    edges::run()?;
    step::run("lints", step::cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"]))
}
