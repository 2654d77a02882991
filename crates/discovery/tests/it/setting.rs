//! A manager with what it needs, and waiting for what it says.

use discovery::config::{ConsulBlock, FileBlock, StaticConfig, resolve_static};
use discovery::{Manager, ProviderConfig, Settings};
use runtime::clock::Clock;
use runtime::disk::RealDisk;
use runtime::instrument::{Registry, Value};
use runtime::shutdown::Shutdown;
use runtime::target_channel::TargetReceiver;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Setting {
    pub(crate) manager: Manager,
    pub(crate) registry: Registry,
    shutdown: Shutdown,
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.shutdown.stop();
    }
}

impl Setting {
    pub(crate) fn new() -> Self {
        let clock = Clock::system();
        let registry = Registry::new(clock.clone());
        let shutdown = Shutdown::new();
        let settings = Settings {
            clock,
            disk: Arc::new(RealDisk),
            registry: registry.clone(),
            publish_interval: Duration::from_millis(20),
            follow_at_once: false,
            user_agent: "Prometheus/test".to_owned(),
        };
        Setting { manager: Manager::new(settings, shutdown.clone()), registry, shutdown }
    }

    /// Applies one job and gives what it says.
    pub(crate) fn job(&mut self, providers: Vec<ProviderConfig>) -> TargetReceiver {
        self.manager.apply(vec![("job".to_owned(), providers)]).remove("job").unwrap()
    }

    /// The value of an instrument, whatever its labels, summed.
    pub(crate) fn value(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let series = families.iter().filter(|family| family.name == name).flat_map(|family| &family.series);
        series
            .map(|series| match &series.value {
                Value::Number(value) => *value,
                Value::Summary { count, .. } | Value::Histogram { count, .. } => *count as f64,
            })
            .sum()
    }
}

pub(crate) fn consul(yaml: &str) -> ProviderConfig {
    let block: ConsulBlock = serde_saphyr::from_str(yaml).unwrap();
    block.resolve().unwrap()
}

pub(crate) fn file(yaml: &str, directory: &Path) -> ProviderConfig {
    let block: FileBlock = serde_saphyr::from_str(yaml).unwrap();
    block.resolve(directory).unwrap()
}

pub(crate) fn fixed(addresses: &[&str]) -> ProviderConfig {
    let targets = Some(addresses.iter().map(|address| (*address).to_owned()).collect());
    resolve_static(&[StaticConfig { targets, labels: None }]).unwrap()
}

/// The addresses of a set, sorted.
pub(crate) fn addresses(receiver: &TargetReceiver) -> Vec<String> {
    let groups = receiver.current().unwrap_or_default();
    let mut found: Vec<String> =
        groups.iter().flat_map(|group| &group.targets).map(|target| target.value("__address__").to_owned()).collect();
    found.sort();
    found
}

/// Waits until the newest set has just these addresses.
pub(crate) async fn until(receiver: &TargetReceiver, expected: &[&str]) {
    for _ in 0..500 {
        if receiver.current().is_some() && addresses(receiver) == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("expected {expected:?}, found {:?}", addresses(receiver));
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 5 s");
}
