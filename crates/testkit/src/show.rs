//! The acceptance figures: each is a run against the release build that prints what it saw and a verdict.
//!
//! `cargo xtask show list` names them with their bounds; `cargo xtask show NAME` runs one. A run that was cut goes on where it
//! was: finished steps are kept in `target/show/NAME/state.json` until the run is whole. Each whole run adds a block to
//! `docs/evidence.md`. Order of the table: what loses data first.

mod record;

mod kill9;

pub use record::{Figure, Run};

use anyhow::{Result, bail};

/// One acceptance figure.
pub struct Show {
    /// What to call it.
    pub name: &'static str,
    /// What must hold, in one line.
    pub bound: &'static str,
    run: fn(&mut Run) -> Result<()>,
}

/// Every show.
pub const SHOWS: &[Show] = &[
    Show {
        name: "kill9",
        bound: "10 kills, at least 3 inside a block cut: no scrape older than 100 ms lost, none torn; promtool and Prometheus 3.5.3 read the rest",
        run: kill9::run,
    },
];

/// Runs one show to its verdict.
///
/// # Errors
/// When there is no such show, it cannot run, or falls short.
pub fn run(name: &str) -> Result<()> {
    let Some(show) = SHOWS.iter().find(|show| show.name == name) else {
        bail!("there is no show {name:?}; `cargo xtask show list` names them");
    };
    let mut run = Run::open(show.name)?;
    (show.run)(&mut run)?;
    run.finish(show.bound)
}
