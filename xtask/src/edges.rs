//! The arrows between crates, as data, compared with what cargo knows.
//!
//! The walls: `model`, `wire`, `chunk` know no IO; `tsdb` and `promql` meet only in `storage`; services do not depend on
//! each other. An arrow that is not listed here is an error; so is a crate that is not.

use crate::step;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Every crate below the binary.
const PRODUCT: &[&str] = &[
    "model",
    "wire",
    "chunk",
    "runtime",
    "net",
    "storage",
    "tsdb",
    "promql",
    "query",
    "scrape",
    "discovery",
    "exporters",
    "registry",
];

/// A crate, and the crates of ours it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &["model"]),
    ("chunk", &["model"]),
    ("runtime", &["model"]),
    ("net", &["model", "runtime", "wire"]),
    ("storage", &["model", "runtime", "chunk"]),
    ("tsdb", &["model", "runtime", "chunk", "storage"]),
    ("promql", &["model", "runtime", "chunk", "storage"]),
    ("query", &["model", "runtime", "net", "wire", "storage", "promql"]),
    ("scrape", &["model", "runtime", "net", "wire", "storage"]),
    ("discovery", &["model", "runtime", "net"]),
    ("exporters", &["model", "runtime", "net", "wire"]),
    ("registry", &["model", "runtime", "net", "wire"]),
    ("isobar", PRODUCT),
    // used by tests alone: may see everything, nothing of the product may see it
    ("testkit", PRODUCT),
    (
        "fuzz",
        &[
            "model",
            "wire",
            "chunk",
            "runtime",
            "net",
            "storage",
            "tsdb",
            "promql",
            "scrape",
            "discovery",
            "registry",
            "testkit",
        ],
    ),
    ("xtask", &[]),
];

/// Crates that touch the world, and who alone may name them.
const DOORS: &[(&str, &[&str])] = &[
    ("tokio", &["runtime", "net", "query", "scrape", "discovery", "exporters", "registry", "isobar", "testkit"]),
    ("hyper", &["net"]),
    ("hyper-util", &["net"]),
    ("socket2", &["net"]),
    ("memmap2", &["runtime"]),
    ("rustix", &["runtime", "net", "exporters", "isobar"]),
    ("axum", &["net", "query", "scrape", "discovery", "exporters", "registry", "isobar"]),
];

/// Compares the lists with `cargo metadata`.
pub(crate) fn run() -> Result<()> {
    let text = step::read(step::cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cannot read cargo metadata")?;
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata has no packages")? {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ARROWS.iter().find(|(of, _)| *of == name) else {
            wrong.push(format!("crate {name} is not in the list of arrows (xtask/src/edges.rs)"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            check(name, allowed, dependency, &mut wrong);
        }
    }
    if wrong.is_empty() {
        eprintln!("── arrows between {} crates hold", ARROWS.len());
        return Ok(());
    }
    bail!("arrows broken:\n  {}", wrong.join("\n  "))
}

fn check(name: &str, allowed: &[&str], dependency: &Value, wrong: &mut Vec<String>) {
    let on = dependency["name"].as_str().unwrap_or_default();
    let for_tests = dependency["kind"].as_str() == Some("dev");
    if for_tests {
        return;
    }
    if ARROWS.iter().any(|(of, _)| *of == on) && !allowed.contains(&on) {
        wrong.push(format!("{name} must not use {on}"));
    }
    if let Some((_, may)) = DOORS.iter().find(|(of, _)| *of == on)
        && !may.contains(&name)
    {
        wrong.push(format!("{name} must not use {on}: only {} may", may.join(", ")));
    }
}
