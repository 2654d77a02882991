//! The acceptance figures: each is a run against the release build that prints what it saw and a verdict.
//!
//! `cargo xtask show list` names them with their bounds; `cargo xtask show NAME` runs one. A run that was cut goes on where it
//! was: finished steps are kept in `target/show/NAME/state.json` until the run is whole. Each whole run adds a block to
//! `docs/evidence.md`. Order of the table: what loses data first.

mod record;

pub mod bad_input;
pub mod big_body;
mod build;
pub mod discovery;
mod first_run;
mod footprint;
mod grafana_calls;
mod idle_connections;
mod kill9;
mod level;
mod node_exporter;
pub mod random_expressions;
pub mod random_histories;
mod recorded;
pub mod registry_kill9;
mod versus_consul_sd;
mod versus_prometheus;

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
    Show {
        name: "registry-kill9",
        bound: "100 PUTs, killed right after the last 200: all back, checks running, scraped",
        run: registry_kill9::run,
    },
    Show {
        name: "level",
        bound: "12 block cuts with 20 % churn, retention by time, then by size: memory and log level off (last four cuts ≤ 1.15 of the middle four)",
        run: level::run,
    },
    Show {
        name: "bad-input",
        bound: "every bad input: one clear line, and it ends with an error or goes on; nothing lost",
        run: bad_input::run,
    },
    Show {
        name: "big-body",
        bound: "1 GB body: peak ≤ 100 MB above before at body_size_limit 50MB, ≤ 300 MB at the default; back within 30 s; limit named, no series",
        run: big_body::run,
    },
    Show {
        name: "idle-connections",
        bound: "600 idle connections and 200 that send a byte a second: a new client is answered within 1 s",
        run: idle_connections::run,
    },
    Show {
        name: "discovery",
        bound: "registered by py-consul: queryable ≤ 3 s; killed: critical within interval + 1 s, stale; pasted line: a target ≤ 3 s",
        run: discovery::run,
    },
    Show {
        name: "versus-2.24",
        bound: "Prometheus 2.24.1 with consul_sd_configs on our registry: the same targets, the same __meta_consul_* labels",
        run: versus_consul_sd::run,
    },
    Show {
        name: "versus-3.5",
        bound: "Prometheus 3.5.3 over the same exporters: equal series, equal values on constant pages, rates within 1 % on linear counters",
        run: versus_prometheus::run,
    },
    Show {
        name: "grafana-calls",
        bound: "the calls of a Grafana's data source are answered as Prometheus 3.5.3 answers them",
        run: grafana_calls::run,
    },
    Show {
        name: "random-expressions",
        bound: "50 000 random requests to ours and to Prometheus 3.5.3 over the same blocks: status, errors, annotations, labels, values equal",
        run: random_expressions::run,
    },
    Show {
        name: "random-histories",
        bound: "200 random histories on our registry and on Consul 1.8.7: status, headers, bodies, indexes and wake-ups equal",
        run: random_histories::run,
    },
    Show {
        name: "consul-recordings",
        bound: "recordings 01-06, 12, 13: every exchange on a path that is built is equal",
        run: recorded::consul,
    },
    Show {
        name: "promqltest",
        bound: "ten files whole, and ≥ 1250 of the 1395 evaluations that touch no native histogram",
        run: recorded::promqltest,
    },
    Show {
        name: "first-run",
        bound: "first samples ≤ 2 s after the start; at 5 s three points per chart and the services listed; first screen ≤ 90 kB; browser tests pass",
        run: first_run::run,
    },
    Show {
        name: "footprint",
        bound: "`isobar up`, minutes 2 to 10, page closed: ≤ 45 MB resident, ≤ 0.5 % of a core",
        run: footprint::run,
    },
    Show {
        name: "exporter-cpu",
        bound: "node exporter beside the original, same collectors: ≤ 1/4 of its CPU per scrape over 1000 scrapes",
        run: node_exporter::cpu,
    },
    Show {
        name: "exporter-fixture",
        bound: "node exporter on the fixture tree: names, types, labels and values equal the original's",
        run: node_exporter::fixture,
    },
    Show { name: "binary-size", bound: "stripped binary ≤ 40 MB", run: build::size },
    Show { name: "suite", bound: "`make test` ≤ 25 minutes cold, ≤ 5 warm", run: build::suite },
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
