//! What every role of this process stands on: time, disk, threads, the stop, the log.

use anyhow::{Context, Result};
use runtime::clock::Clock;
use runtime::cpu::CpuPool;
use runtime::disk::{Disk, RealDisk};
use runtime::instrument::Registry;
use runtime::limit::{raise_open_files, refuse_huge_pages};
use runtime::logging::{Format, Level, Logger, name_part_in_panics};
use runtime::shutdown::{Shutdown, Signal, Signals};
use std::sync::Arc;
use std::time::Duration;

/// This program's own version.
pub(crate) const VERSION: &str = "0.1.0";
/// The Prometheus version our answers are those of; clients choose their calls by it.
pub(crate) const PROMETHEUS_VERSION: &str = "3.14.0";
/// Crates whose log events are ours.
const OURS: &[&str] =
    &["isobar", "tsdb", "promql", "query", "scrape", "discovery", "exporters", "registry", "net", "runtime", "storage"];
/// How long parts may take to end after a stop.
const STOP_LIMIT: Duration = Duration::from_secs(20);
const CPU_QUEUE: usize = 1024;

/// The world of one process; clones share it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) cpu: Arc<CpuPool>,
    pub(crate) shutdown: Shutdown,
    /// Instruments of the process and of its first role.
    pub(crate) registry: Registry,
}

/// How the log looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogChoice {
    format: Format,
    level: Level,
}

impl LogChoice {
    /// Reads `--log.format` and `--log.level`.
    pub(crate) fn parse(format: &str, level: &str) -> Result<Self, String> {
        Ok(LogChoice {
            format: format.parse().map_err(|e| format!("--log.format: {e}"))?,
            level: level.parse().map_err(|e| format!("--log.level: {e}"))?,
        })
    }
}

/// Runs a role to its end: makes the world, calls `main`, and joins all parts after the stop.
pub(crate) fn run<F>(log: LogChoice, main: impl FnOnce(World) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    refuse_huge_pages();
    let clock = Clock::system();
    let registry = Registry::new(clock.clone());
    let (logger, guard) = Logger::start(log.format, log.level, OURS, &clock, &registry, std::io::stderr())
        .context("cannot start the log")?;
    logger.install();
    name_part_in_panics(clock.clone(), log.format);
    if let Err(error) = raise_open_files() {
        tracing::warn!(err = %error, "the limit of open files stays low");
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // two keep accepting and scraping while one is busy; more only cost memory, the work is done in the CPU pool
        .worker_threads(cores.clamp(1, 2))
        .max_blocking_threads(16)
        .thread_stack_size(1 << 20)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let cpu = Arc::new(CpuPool::start(cores, CPU_QUEUE, &registry).context("cannot start the CPU pool")?);
    runtime::instrument::process::register(&registry, &clock);
    let world = World { clock, disk: Arc::new(RealDisk), cpu, shutdown: Shutdown::new(), registry };
    let outcome = runtime.block_on(async {
        let outcome = main(world.clone()).await;
        world.shutdown.stop();
        if let Err(late) = world.shutdown.join(&world.clock, STOP_LIMIT).await {
            tracing::warn!(parts = late.parts.join(", "), "some parts did not end in time");
        }
        outcome
    });
    drop(guard);
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

impl World {
    /// The same world with instruments of its own: for a second role in one process.
    pub(crate) fn with_own_instruments(&self) -> Self {
        World { registry: Registry::new(self.clock.clone()), ..self.clone() }
    }

    /// Waits for SIGTERM, SIGINT or a stop from inside; calls `reload` at each SIGHUP.
    pub(crate) async fn until_told(&self, mut reload: impl AsyncFnMut()) -> Result<()> {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        loop {
            match self.shutdown.until_stopped(signals.next()).await {
                Some(Signal::Reload) => reload().await,
                Some(Signal::Stop) => {
                    tracing::info!("Received an OS signal, exiting gracefully...");
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }
}
