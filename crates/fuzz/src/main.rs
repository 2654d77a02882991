//! The targets under libFuzzer: `ISOBAR_FUZZ_TARGET` names the one to run, `ISOBAR_FUZZ_SEEDS` the folder that its seeds
//! are written to first. Started by `cargo xtask fuzz`.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "a tool for tests, not part of the product")]

use fuzz::{TARGETS, Target};
use std::path::PathBuf;
use std::sync::LazyLock;

static CHOSEN: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("ISOBAR_FUZZ_TARGET").unwrap_or_default();
    let known = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| {
        panic!("no fuzz target {name:?}; ISOBAR_FUZZ_TARGET is one of {}", known());
    })
});

libfuzzer_sys::fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("ISOBAR_FUZZ_SEEDS").map(PathBuf::from) {
            for (n, seed) in (CHOSEN.seeds)().into_iter().enumerate() {
                std::fs::write(folder.join(format!("seed-{n}")), seed).expect("the folder of seeds is writable");
            }
        }
    },
    |bytes: &[u8]| (CHOSEN.run)(bytes)
);
