//! `prometheus.yml`: read whole, checked whole, taken over whole or not at all.
//!
//! The scrape and discovery blocks are their crates' own; this file owns the frame around them and says, in one list,
//! what is read and not obeyed yet. An error is one line: file, line, column, what was found.
//! Source: Prometheus 3.14's configuration; keys that it refuses are refused here too.

mod fault;
mod later;

use anyhow::{Context, Result, anyhow};
use discovery::config::{ConsulBlock, FileBlock, ProviderConfig, StaticConfig};
use model::duration::{parse_bytes, parse_duration};
use runtime::disk::Disk;
use scrape::config::{GlobalDefaults, JobConfig, ScrapeBlock};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

type Job = ScrapeBlock<StaticConfig, FileBlock, ConsulBlock>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    global: Option<Global>,
    scrape_configs: Option<Vec<Option<Job>>>,
    scrape_config_files: Option<Vec<String>>,
    rule_files: Option<Vec<String>>,
    storage: Option<Storage>,
    alerting: Option<later::Alerting>,
    remote_write: Option<Vec<later::RemoteWrite>>,
    remote_read: Option<Vec<later::RemoteRead>>,
    tracing: Option<later::Tracing>,
    otlp: Option<later::Otlp>,
    runtime: Option<later::Runtime>,
}

/// A file named by `scrape_config_files`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobFile {
    scrape_configs: Option<Vec<Option<Job>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Global {
    scrape_interval: Option<String>,
    scrape_timeout: Option<String>,
    scrape_protocols: Option<Vec<String>>,
    evaluation_interval: Option<String>,
    rule_query_offset: Option<IgnoredAny>,
    query_log_file: Option<String>,
    scrape_failure_log_file: Option<String>,
    external_labels: Option<BTreeMap<String, Option<String>>>,
    body_size_limit: Option<String>,
    sample_limit: Option<u64>,
    target_limit: Option<u64>,
    label_limit: Option<u64>,
    label_name_length_limit: Option<u64>,
    label_value_length_limit: Option<u64>,
    keep_dropped_targets: Option<u64>,
    metric_name_validation_scheme: Option<String>,
    metric_name_escaping_scheme: Option<String>,
    scrape_native_histograms: Option<bool>,
    convert_classic_histograms_to_nhcb: Option<bool>,
    always_scrape_classic_histograms: Option<bool>,
    extra_scrape_metrics: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Storage {
    tsdb: Option<Tsdb>,
    exemplars: Option<later::Exemplars>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tsdb {
    out_of_order_time_window: Option<String>,
    stale_series_compaction_threshold: Option<f64>,
    chunk_encoding: Option<ChunkEncoding>,
    retention: Option<Retention>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChunkEncoding {
    floats: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retention {
    time: Option<String>,
    size: Option<String>,
    percentage: Option<f64>,
}

/// A configuration, ready to be taken over.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The jobs.
    pub(crate) jobs: Vec<JobConfig>,
    /// The providers of each job.
    pub(crate) providers: Vec<(String, Vec<ProviderConfig>)>,
    /// One line per thing that is read and not obeyed yet.
    pub(crate) warnings: Vec<String>,
    /// `storage.tsdb.retention.time`; wins over the flag.
    pub(crate) retention_time: Option<Duration>,
    /// `storage.tsdb.retention.size` in bytes; wins over the flag.
    pub(crate) retention_size: Option<u64>,
    /// The text as loaded, secrets left out, for `/api/v1/status/config`.
    pub(crate) shown: String,
}

/// Reads and checks a configuration file and the files it names.
///
/// # Errors
/// One line that names file, line and column.
pub(crate) fn load(disk: &dyn Disk, path: &Path) -> Result<Loaded> {
    let text = read_text(disk, path)?;
    load_text(disk, path, &text)
}

/// As [`load`], of a text that stands for `path`.
pub(crate) fn load_text(disk: &dyn Disk, path: &Path, text: &str) -> Result<Loaded> {
    let root: Root = parse(path, text)?;
    let at = |error: String| anyhow!("{}: {error}", path.display());
    let mut loaded = Loaded { shown: without_secrets(text), ..Loaded::default() };
    let global = root.global.unwrap_or_default();
    let defaults = global.resolve(&mut loaded.warnings).map_err(at)?;
    let directory = runtime::disk::parent_of(path);
    for job in jobs(root.scrape_configs).map_err(at)? {
        take(&mut loaded, &job, &defaults, directory).map_err(at)?;
    }
    for pattern in root.scrape_config_files.iter().flatten() {
        for file in discovery::file::matching(disk, &directory.join(pattern)) {
            let inner: JobFile = parse(&file, &read_text(disk, &file)?)?;
            let at = |error: String| anyhow!("{}: {error}", file.display());
            for job in jobs(inner.scrape_configs).map_err(at)? {
                take(&mut loaded, &job, &defaults, runtime::disk::parent_of(&file)).map_err(at)?;
            }
        }
    }
    unique(&loaded.jobs).map_err(at)?;
    let mut later = |given: bool, what: &str| {
        if given {
            loaded.warnings.push(format!("{what} in the configuration has no effect yet"));
        }
    };
    later(root.rule_files.is_some_and(|files| !files.is_empty()), "rule_files");
    later(root.alerting.is_some(), "alerting");
    later(root.remote_write.is_some_and(|list| !list.is_empty()), "remote_write");
    later(root.remote_read.is_some_and(|list| !list.is_empty()), "remote_read");
    later(root.tracing.is_some(), "tracing");
    later(root.otlp.is_some(), "otlp");
    later(root.runtime.is_some(), "runtime");
    root.storage.unwrap_or_default().resolve(&mut loaded).map_err(at)?;
    Ok(loaded)
}

fn read_text(disk: &dyn Disk, path: &Path) -> Result<String> {
    let content = disk.read(path).with_context(|| format!("cannot read configuration {}", path.display()))?;
    String::from_utf8(content).map_err(|e| anyhow!("configuration {} is not UTF-8: {e}", path.display()))
}

fn parse<T: DeserializeOwned + Default>(path: &Path, text: &str) -> Result<T> {
    if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(T::default());
    }
    let parsed: Result<Option<T>, _> = serde_saphyr::from_str(text);
    parsed.map(Option::unwrap_or_default).map_err(|error| anyhow!(fault::line(path, text, &error)))
}

fn jobs(list: Option<Vec<Option<Job>>>) -> Result<Vec<Job>, String> {
    let list = list.into_iter().flatten();
    list.map(|job| job.ok_or_else(|| "empty or null scrape config section".to_owned())).collect()
}

fn unique(jobs: &[JobConfig]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    match jobs.iter().find(|job| !names.insert(&job.name)) {
        Some(twice) => Err(format!("found multiple scrape configs with job name {:?}", twice.name)),
        None => Ok(()),
    }
}

fn take(loaded: &mut Loaded, job: &Job, defaults: &GlobalDefaults, directory: &Path) -> Result<(), String> {
    let resolved = job.resolve(defaults)?;
    let name = resolved.job.name.clone();
    let within = |error: discovery::ConfigError| format!("scrape config with job name {name:?}: {error}");
    let null = || format!("scrape config with job name {name:?}: empty or null section in a discovery config");
    let mut providers = Vec::new();
    if let Some(blocks) = &job.static_configs {
        let blocks: Vec<StaticConfig> = blocks.iter().cloned().collect::<Option<_>>().ok_or_else(null)?;
        providers.push(discovery::config::resolve_static(&blocks).map_err(within)?);
    }
    for block in job.file_sd_configs.iter().flatten() {
        providers.push(block.as_ref().ok_or_else(null)?.resolve(directory).map_err(within)?);
    }
    for block in job.consul_sd_configs.iter().flatten() {
        providers.push(block.as_ref().ok_or_else(null)?.resolve().map_err(within)?);
    }
    loaded.warnings.extend(resolved.warnings);
    loaded.providers.push((name, providers));
    loaded.jobs.push(resolved.job);
    Ok(())
}

impl Global {
    fn resolve(&self, warnings: &mut Vec<String>) -> Result<GlobalDefaults, String> {
        let time = |text: &Option<String>, key: &str, default: Duration| -> Result<Duration, String> {
            let Some(text) = text else { return Ok(default) };
            let millis = parse_duration(text).map_err(|e| format!("global.{key}: {e}"))?;
            Ok(Some(Duration::from_millis(u64::try_from(millis.0).unwrap_or(0)))
                .filter(|d| !d.is_zero())
                .unwrap_or(default))
        };
        let default = GlobalDefaults::default();
        let scrape_interval = time(&self.scrape_interval, "scrape_interval", default.scrape_interval)?;
        let scrape_timeout = time(&self.scrape_timeout, "scrape_timeout", default.scrape_timeout.min(scrape_interval))?;
        if scrape_timeout > scrape_interval {
            return Err("global scrape timeout greater than scrape interval".to_owned());
        }
        time(&self.evaluation_interval, "evaluation_interval", Duration::from_secs(60))?;
        if self.external_labels.iter().flatten().any(|(name, _)| name.is_empty()) {
            return Err("global.external_labels: \"\" is not a valid label name".to_owned());
        }
        let given = [
            (self.query_log_file.as_deref().is_some_and(|f| !f.is_empty()), "query_log_file"),
            (self.scrape_failure_log_file.as_deref().is_some_and(|f| !f.is_empty()), "scrape_failure_log_file"),
            (self.rule_query_offset.is_some(), "rule_query_offset"),
            (
                self.scrape_protocols.as_ref().is_some_and(|p| !p.iter().any(|p| p == "PrometheusText0.0.4")),
                "scrape_protocols without PrometheusText0.0.4",
            ),
            (self.metric_name_validation_scheme.as_deref() == Some("legacy"), "metric_name_validation_scheme legacy"),
            (
                self.metric_name_escaping_scheme.as_deref().is_some_and(|s| s != "allow-utf-8"),
                "metric_name_escaping_scheme",
            ),
            (self.scrape_native_histograms == Some(true), "scrape_native_histograms"),
            (self.convert_classic_histograms_to_nhcb == Some(true), "convert_classic_histograms_to_nhcb"),
            (self.always_scrape_classic_histograms == Some(true), "always_scrape_classic_histograms"),
        ];
        warnings
            .extend(given.iter().filter(|(given, _)| *given).map(|(_, key)| format!("global.{key} has no effect yet")));
        Ok(GlobalDefaults {
            scrape_interval,
            scrape_timeout,
            body_size_limit: match &self.body_size_limit {
                Some(text) => parse_bytes(text).map_err(|e| format!("global.body_size_limit: {e}"))?,
                None => 0,
            },
            sample_limit: self.sample_limit.unwrap_or(0),
            target_limit: self.target_limit.unwrap_or(0),
            label_limit: self.label_limit.unwrap_or(0),
            label_name_length_limit: self.label_name_length_limit.unwrap_or(0),
            label_value_length_limit: self.label_value_length_limit.unwrap_or(0),
            keep_dropped_targets: self.keep_dropped_targets.unwrap_or(0),
            extra_scrape_metrics: self.extra_scrape_metrics.unwrap_or(false),
        })
    }
}

impl Storage {
    fn resolve(self, loaded: &mut Loaded) -> Result<(), String> {
        let Storage { tsdb, exemplars } = self;
        let tsdb = tsdb.unwrap_or_default();
        let retention = tsdb.retention.unwrap_or_default();
        if let Some(text) = &retention.time {
            let millis = parse_duration(text).map_err(|e| format!("storage.tsdb.retention.time: {e}"))?;
            loaded.retention_time = Some(Duration::from_millis(u64::try_from(millis.0).unwrap_or(0)));
        }
        if let Some(text) = &retention.size {
            loaded.retention_size = Some(parse_bytes(text).map_err(|e| format!("storage.tsdb.retention.size: {e}"))?);
        }
        let window = tsdb.out_of_order_time_window.as_deref().map(parse_duration).transpose();
        let window = window.map_err(|e| format!("storage.tsdb.out_of_order_time_window: {e}"))?;
        let floats = tsdb.chunk_encoding.and_then(|encoding| encoding.floats);
        if let Some(other) = floats.as_deref().filter(|name| !matches!(*name, "xor" | "xor2")) {
            return Err(format!("storage.tsdb.chunk_encoding.floats: {other:?} is neither xor nor xor2"));
        }
        let given = [
            (exemplars.is_some(), "storage.exemplars"),
            (window.is_some_and(|window| window.0 > 0), "storage.tsdb.out_of_order_time_window"),
            (
                tsdb.stale_series_compaction_threshold.is_some_and(|t| t > 0.0),
                "storage.tsdb.stale_series_compaction_threshold",
            ),
            (floats.as_deref() == Some("xor2"), "storage.tsdb.chunk_encoding.floats xor2"),
            (retention.percentage.is_some_and(|p| p > 0.0), "storage.tsdb.retention.percentage"),
        ];
        let later = given.iter().filter(|(given, _)| *given);
        loaded.warnings.extend(later.map(|(_, key)| format!("{key} in the configuration has no effect yet")));
        Ok(())
    }
}

const SECRETS: &[&str] = &[
    "password",
    "token",
    "bearer_token",
    "credentials",
    "client_secret",
    "secret_key",
    "access_key",
    "client_certificate_key",
    "key",
    "service_account_key",
    "private_key",
    "application_secret",
    "consumer_key",
    "application_credential_secret",
    "auth_token",
    "secrets",
];

/// The text with the values of secret keys replaced, as the original shows them.
fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.lines() {
        let key = line.trim_start().trim_start_matches("- ").split(':').next().unwrap_or_default().trim();
        match line.split_once(':') {
            Some((before, value)) if SECRETS.contains(&key) && !value.trim().is_empty() => {
                shown.push_str(before);
                shown.push_str(": <secret>");
            }
            _ => shown.push_str(&mask_flow(line)),
        }
        shown.push('\n');
    }
    // credentials inside URLs
    mask_urls(&shown)
}

/// Masks secrets written in flow style: `{username: a, password: b}`.
fn mask_flow(line: &str) -> String {
    if !line.contains('{') {
        return line.to_owned();
    }
    let mut shown = line.to_owned();
    for secret in SECRETS {
        let mut from = 0;
        while let Some(found) = shown[from..].find(&format!("{secret}:")).map(|at| from + at) {
            let start = found + secret.len() + 1;
            let whole_word = found == 0
                || !shown.as_bytes()[found - 1].is_ascii_alphanumeric() && shown.as_bytes()[found - 1] != b'_';
            let end = shown[start..].find([',', '}']).map_or(shown.len(), |at| start + at);
            if whole_word {
                shown.replace_range(start..end, " <secret>");
            }
            from = start;
        }
    }
    shown
}

fn mask_urls(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match (line.find("://"), line.find('@')) {
            (Some(scheme), Some(at)) if scheme < at && !line[scheme + 3..at].contains(['/', ' ']) => {
                let user = line[scheme + 3..at].split(':').next().unwrap_or_default();
                shown.push_str(&line[..scheme + 3]);
                shown.push_str(user);
                shown.push_str(":<secret>");
                shown.push_str(&line[at..]);
            }
            _ => shown.push_str(line),
        }
    }
    shown
}

/// Our own configuration with a user's jobs added: their global defaults hold for their jobs alone, their storage block for
/// the store.
///
/// # Errors
/// When both have a job of one name.
pub(crate) fn join(mut own: Loaded, user: Loaded) -> Result<Loaded, String> {
    own.jobs.extend(user.jobs);
    unique(&own.jobs)?;
    own.providers.extend(user.providers);
    own.warnings.extend(user.warnings);
    own.retention_time = user.retention_time.or(own.retention_time);
    own.retention_size = user.retention_size.or(own.retention_size);
    own.shown = format!("{}\n# --config\n{}", own.shown, user.shown);
    Ok(own)
}
