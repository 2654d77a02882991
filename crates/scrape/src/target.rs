//! A target: where a visit goes, which labels its series get, and how the last visit went.
//!
//! ```text
//! target + group labels, defaults     __address__ __scheme__ __metrics_path__ __param_* __scrape_interval__ __meta_* job
//!   └─ relabel_configs ──► dropped, or
//!        url, interval, timeout       from the __ labels as the rules left them
//!        labels                       the rest, with instance (default: __address__)
//! ```
//!
//! Identity: FNV-1a over the label hash and the URL, as in the original; it also spreads the targets over the interval.
//! Status is written by the target's loop and read by the API, under one short lock.

use crate::config::ScrapeConfig;
use crate::metadata::MetadataCache;
use model::duration::{format_duration, parse_duration};
use model::go_text::quote;
use model::{Labels, LabelsBuilder, Millis, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use url::Url;

/// Whether the last visit succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not visited yet.
    #[default]
    Unknown,
    /// It succeeded.
    Up,
    /// It failed.
    Down,
}

impl Health {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

/// How the last visit went.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Whether it succeeded.
    pub health: Health,
    /// Why not; empty after a success.
    pub last_error: String,
    /// When it began.
    pub last_scrape: Option<Timestamp>,
    /// How long it took.
    pub last_duration: Duration,
}

/// One target of one job.
#[derive(Debug)]
pub struct Target {
    /// Labels of its series.
    pub labels: Labels,
    /// What is asked.
    pub url: Url,
    /// How often.
    pub interval: Duration,
    /// How long a visit may take.
    pub timeout: Duration,
    /// What makes two targets the same.
    pub hash: u64,
    discovered: Mutex<Labels>,
    status: Mutex<Status>,
    metadata: Mutex<MetadataCache>,
}

/// What became of one discovered label set.
#[derive(Debug)]
pub enum Resolved {
    /// It is visited.
    Active(Box<Target>),
    /// A rule dropped it; the labels it had before the rules.
    Dropped(Labels),
}

impl Target {
    /// The labels before relabelling.
    pub fn discovered(&self) -> Labels {
        lock(&self.discovered).clone()
    }

    /// The last visit.
    pub fn status(&self) -> Status {
        lock(&self.status).clone()
    }

    /// Type, help and unit of the families of the last visits.
    pub fn metadata(&self) -> MutexGuard<'_, MetadataCache> {
        lock(&self.metadata)
    }

    pub(crate) fn set_status(&self, status: Status) {
        *lock(&self.status) = status;
    }

    pub(crate) fn set_discovered(&self, labels: Labels) {
        *lock(&self.discovered) = labels;
    }

    /// Where in each interval the target is visited.
    pub fn offset(&self, seed: u64) -> Duration {
        let interval = self.interval.as_nanos().max(1) as u64;
        Duration::from_nanos((self.hash ^ seed) % interval)
    }
}

/// A poisoned lock is a panic in another thread, which ends the process; what it guards is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// Makes a target of one discovered label set, or says why it cannot be one.
pub fn resolve(own: &Labels, group: &Labels, config: &ScrapeConfig) -> Result<Resolved, String> {
    let discovered = discovered(own, group, config);
    let mut builder = discovered.to_builder();
    if !model::relabel::process(&mut builder, config.relabel.as_slice()) {
        return Ok(Resolved::Dropped(discovered));
    }
    let address = builder.value("__address__").to_owned();
    if address.is_empty() {
        return Err("no address".to_owned());
    }
    if address.contains('/') {
        return Err(format!("{} is not a valid hostname", quote(&address)));
    }
    let interval = length(&builder, "interval", "__scrape_interval__")?;
    let timeout = length(&builder, "timeout", "__scrape_timeout__")?;
    if timeout > interval {
        let (timeout, interval) = (builder.value("__scrape_timeout__"), builder.value("__scrape_interval__"));
        return Err(format!(
            "scrape timeout cannot be greater than scrape interval ({} > {})",
            quote(timeout),
            quote(interval)
        ));
    }
    builder.retain(|name, _| !name.starts_with("__meta_"));
    if builder.value("instance").is_empty() {
        builder.set("instance", &address);
    }
    let url = target_url(&builder, config)?;
    let hash = identity(&builder.build(), &url);
    builder.retain(|name, _| !name.starts_with("__"));
    Ok(Resolved::Active(Box::new(Target {
        labels: builder.build(),
        url,
        interval,
        timeout,
        hash,
        discovered: Mutex::new(discovered),
        status: Mutex::default(),
        metadata: Mutex::default(),
    })))
}

fn discovered(own: &Labels, group: &Labels, config: &ScrapeConfig) -> Labels {
    let mut builder = own.to_builder();
    let mut default = |name: &str, value: &str| {
        if builder.value(name).is_empty() {
            builder.set(name, value);
        }
    };
    for (name, value) in group {
        default(name, value);
    }
    let text = |length: Duration| format_duration(Millis(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)));
    default("job", &config.job_name);
    default("__scrape_interval__", &text(config.interval));
    default("__scrape_timeout__", &text(config.timeout));
    default("__metrics_path__", &config.metrics_path);
    default("__scheme__", &config.scheme);
    default("__always_scrape_classic_histograms__", "false");
    default("__convert_classic_histograms_to_nhcb__", "false");
    default("__scrape_native_histograms__", "false");
    for (name, values) in &config.params {
        if let Some(first) = values.first() {
            builder.set(&format!("__param_{name}"), first);
        }
    }
    builder.build()
}

fn length(builder: &LabelsBuilder, what: &str, label: &str) -> Result<Duration, String> {
    let length = parse_duration(builder.value(label)).map_err(|e| format!("error parsing scrape {what}: {e}"))?;
    if length.0 == 0 {
        return Err(format!("scrape {what} cannot be 0"));
    }
    Ok(Duration::from_millis(length.0.unsigned_abs()))
}

fn target_url(builder: &LabelsBuilder, config: &ScrapeConfig) -> Result<Url, String> {
    let (scheme, address) = (builder.value("__scheme__"), builder.value("__address__"));
    let text = format!("{scheme}://{address}");
    let mut url = Url::parse(&text).map_err(|e| format!("invalid address {}: {e}", quote(&text)))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(format!("{} is not a valid hostname", quote(address)));
    }
    url.set_path(builder.value("__metrics_path__"));
    let mut params: BTreeMap<&str, Vec<&str>> = config
        .params
        .iter()
        .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect()))
        .collect();
    for (name, value) in builder.iter() {
        if let Some(name) = name.strip_prefix("__param_") {
            let values = params.entry(name).or_default();
            match values.first_mut() {
                Some(first) => *first = value,
                None => values.push(value),
            }
        }
    }
    if params.values().any(|values| !values.is_empty()) {
        let mut query = url.query_pairs_mut();
        for (name, values) in params {
            values.into_iter().for_each(|value| {
                query.append_pair(name, value);
            });
        }
    }
    Ok(url)
}

fn identity(labels: &Labels, url: &Url) -> u64 {
    let mut bytes = Vec::with_capacity(256);
    for (name, value) in labels {
        for part in [name, value] {
            bytes.extend_from_slice(part.as_bytes());
            bytes.push(0xff);
        }
    }
    let hash = fnv(FNV_START, format!("{:016}", xxhash_rust::xxh64::xxh64(&bytes, 0)).as_bytes());
    fnv(hash, url.as_str().as_bytes())
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// What moves the offsets of two servers apart that scrape the same targets: their host names and external labels.
pub fn offset_seed(hostname: &str, external_labels: &Labels) -> u64 {
    fnv(fnv(FNV_START, hostname.as_bytes()), external_labels.to_string().as_bytes())
}

#[cfg(test)]
mod tests;
