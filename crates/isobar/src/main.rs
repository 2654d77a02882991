//! The binary: one program, a role per word.
//!
//! `isobar up` runs everything on one machine; `isobar server`, `isobar registry` and `isobar exporter node` are its parts by
//! themselves. Reading order: [`role`] → [`world`] → [`server`] → [`exporter`] → [`registry_role`] → [`up`] → [`page`] → [`joins`].

mod exporter;
mod joins;
mod metrics;
mod page;
mod registry_role;
mod role;
mod server;
mod up;
mod world;

use std::process::ExitCode;

/// Gives pages back to the system and is level with the fastest (design: dependencies, 5).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    role::run(&arguments)
}
