//! The exporter: its collectors, run one after the other into one buffer.
//!
//! One lock holds the collectors and what they keep; a scrape takes it for its whole length, so scrapes queue.
//! Collectors do not run in parallel as in the original: together they take less time than starting a thread for each.
//!
//! A collector's error is logged when it begins and when it ends, not at every scrape.
//!
//! Cost over HTTP with all collectors on a machine of two CPUs and four network devices, mean of 1000 scrapes, CPU of the
//! whole process: 0.65 ms (gzip: 0.73 ms) where node_exporter 1.11.1 takes 4.6 ms (5.6 ms) on the same flags; resident
//! memory 7 MB where it has 24 MB. Measured beside the original, 21 Nov 2026; `cargo xtask show exporter-cpu` measures again.

use super::collector::{Collect, CollectError, Scrape};
use super::config::Config;
use super::cpu::Cpu;
use super::diskstats::Diskstats;
use super::filefd::Filefd;
use super::filesystem::Filesystem;
use super::loadavg::Loadavg;
use super::meminfo::Meminfo;
use super::netclass::Netclass;
use super::netdev::Netdev;
use super::netstat::Netstat;
use super::own::{self, Outcome};
use super::pressure::Pressure;
use super::sockstat::Sockstat;
use super::source::Files;
use super::stat::Stat;
use super::text::Page;
use super::textfile::Textfile;
use super::time::Time;
use super::uname::Uname;
use super::vmstat::Vmstat;
use parking_lot::Mutex;
use runtime::clock::Clock;
use runtime::disk::SharedDisk;
use runtime::instrument::Registry;

/// A node exporter; see the module.
pub struct NodeExporter {
    config: Config,
    version: String,
    own: Option<Registry>,
    state: Mutex<State>,
}

struct State {
    scrape: Scrape,
    collectors: Vec<Running>,
    outcomes: Vec<Outcome>,
}

struct Running {
    name: &'static str,
    collect: Box<dyn Collect>,
    failing: bool,
}

/// Which collectors a scrape asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// All that run.
    #[default]
    All,
    /// Those with these names.
    Only(Vec<String>),
    /// All but those with these names.
    Except(Vec<String>),
}

impl Selection {
    fn has(&self, name: &str) -> bool {
        match self {
            Selection::All => true,
            Selection::Only(names) => names.iter().any(|n| n == name),
            Selection::Except(names) => names.iter().all(|n| n != name),
        }
    }
}

impl NodeExporter {
    /// Makes an exporter. `own` has the metrics of the process, shown unless the configuration says otherwise; `version`
    /// is ours.
    pub fn new(config: Config, disk: SharedDisk, clock: Clock, own: Option<Registry>, version: &str) -> Self {
        let files = Files::new(disk);
        let collectors =
            config.collectors.iter().map(|name| Running { name, collect: make(name, &files, &config), failing: false });
        // families of textfiles give way to the exporter's own, so they come last
        let (mut collectors, last): (Vec<_>, Vec<_>) = collectors.partition(|running| running.name != "textfile");
        collectors.extend(last);
        let state = State { scrape: Scrape::new(files, clock, &config.roots), collectors, outcomes: Vec::new() };
        let own = own.filter(|_| config.web.exporter_metrics);
        NodeExporter { version: version.to_owned(), own, state: Mutex::new(state), config }
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Logs what a start says: what was asked for and is not done (warnings), which default collectors we lack.
    pub fn log_start(&self) {
        for warning in &self.config.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(collectors = self.config.collectors.join(","), "enabled collectors");
        if !self.config.missing.is_empty() {
            let missing = self.config.missing.join(",");
            tracing::info!(
                collectors = missing,
                "collectors that node_exporter enables by default and that are not built yet"
            );
        }
    }

    /// Appends the metrics of all collectors, in text format 0.0.4. May block for as long as the mount timeout.
    pub fn gather_text(&self, out: &mut Vec<u8>) {
        self.gather_selected(&Selection::All, out);
    }

    /// The same for some collectors.
    pub fn gather_selected(&self, selection: &Selection, out: &mut Vec<u8>) {
        if let Some(own) = &self.own {
            own::show_families(out, &own.gather());
        }
        let mut page = Page::new(out);
        own::show_build(&mut page, &self.version);
        let State { scrape, collectors, outcomes } = &mut *self.state.lock();
        scrape.begin();
        outcomes.clear();
        let mut begun = scrape.clock.instant();
        for running in collectors.iter_mut().filter(|running| selection.has(running.name)) {
            let result = running.collect.collect(&mut page, scrape);
            let ended = scrape.clock.instant();
            outcomes.push(Outcome {
                name: running.name,
                seconds: ended.since(begun).as_secs_f64(),
                success: result.is_ok(),
            });
            begun = ended;
            running.log(&result);
        }
        outcomes.sort_unstable_by_key(|outcome| outcome.name);
        own::show_outcomes(&mut page, outcomes);
    }
}

impl Running {
    fn log(&mut self, result: &Result<(), CollectError>) {
        let error = match result {
            Err(CollectError::Failed(error)) => Some(error),
            // nothing there to tell is no fault
            Ok(()) | Err(CollectError::NoData) => None,
        };
        match (error, self.failing) {
            (Some(error), false) => tracing::error!(name = self.name, error, "collector failed"),
            (None, true) => tracing::info!(name = self.name, "collector succeeds again"),
            _ => {}
        }
        self.failing = error.is_some();
    }
}

fn make(name: &str, files: &Files, config: &Config) -> Box<dyn Collect> {
    let roots = &config.roots;
    match name {
        "cpu" => Box::new(Cpu::new(files, roots, config.cpu.clone())),
        "diskstats" => Box::new(Diskstats::new(files, roots, config.disks.clone())),
        "filefd" => Box::new(Filefd::new(files, roots)),
        "filesystem" => Box::new(Filesystem::new(files, roots, config.filesystem.clone())),
        "loadavg" => Box::new(Loadavg::new(files, roots)),
        "meminfo" => Box::new(Meminfo::new(files, roots)),
        "netclass" => Box::new(Netclass::new(files, roots, config.netclass.clone())),
        "netdev" => Box::new(Netdev::new(files, roots, config.netdev.clone())),
        "netstat" => Box::new(Netstat::new(files, roots, config.netstat_fields.clone())),
        "pressure" => Box::new(Pressure::new(files, roots)),
        "sockstat" => Box::new(Sockstat::new(files, roots)),
        "stat" => Box::new(Stat { softirq: config.softirq }),
        "textfile" => Box::new(Textfile::new(config.textfile_directories.clone())),
        "time" => Box::new(Time::new(files, roots)),
        "uname" => Box::new(Uname),
        "vmstat" => Box::new(Vmstat::new(files, roots, config.vmstat_fields.clone())),
        name => unreachable!("collector {name} is in the table as built"),
    }
}
