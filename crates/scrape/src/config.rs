//! The configuration of one scrape job, without its discovery blocks, and the `global` keys that are its defaults.
//!
//! ```text
//! ScrapeBlock (what the file says, every key optional) ─ resolve(GlobalScrape) ─► ScrapeConfig (typed, cheap to clone)
//! ```
//!
//! The binary composes a job of this block and discovery's: its visitor offers each key to [`ScrapeBlock::take`] and to
//! discovery, and refuses what neither knows, at the key's place.
//! Every key of Prometheus 3.14 is known. [`NOT_DONE`] lists those that are not obeyed yet and what happens instead; a test
//! reads the table. Defaults are the original's, but for `body_size_limit` (settled 19).

mod rule;

pub use rule::{RuleBlock, Rules};

use model::duration::{parse_bytes, parse_duration};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// The largest body taken where the file says nothing: 256 MB.
pub const BODY_SIZE_LIMIT_DEFAULT: u64 = 256 << 20;

/// A block that cannot be obeyed; the original's words.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// What happens where a key is not obeyed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// The job's targets are down and say why: scraping without it would be wrong.
    TargetsDown,
    /// One warning at start.
    Warns,
}

/// Keys that are known and not obeyed yet.
pub const NOT_DONE: &[(&str, Instead)] = &[
    ("tls_config", Instead::TargetsDown),
    ("basic_auth", Instead::TargetsDown),
    ("authorization", Instead::TargetsDown),
    ("oauth2", Instead::TargetsDown),
    ("bearer_token", Instead::TargetsDown),
    ("bearer_token_file", Instead::TargetsDown),
    ("proxy_url", Instead::TargetsDown),
    ("proxy_from_environment", Instead::TargetsDown),
    ("proxy_connect_header", Instead::TargetsDown),
    ("http_headers", Instead::TargetsDown),
    ("no_proxy", Instead::Warns),
    ("scrape_protocols", Instead::Warns),
    ("scrape_failure_log_file", Instead::Warns),
    ("scrape_native_histograms", Instead::Warns),
    ("always_scrape_classic_histograms", Instead::Warns),
    ("convert_classic_histograms_to_nhcb", Instead::Warns),
    ("native_histogram_bucket_limit", Instead::Warns),
    ("native_histogram_min_bucket_factor", Instead::Warns),
    ("metric_name_escaping_scheme", Instead::Warns),
];

/// Declares a block of optional keys that are read one at a time.
macro_rules! block {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        #[expect(missing_docs, reason = "the original's keys, under their names")]
        pub struct $name { $(pub $key: Option<$kind>,)* }

        impl $name {
            /// Every key of the block.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($key)),*];

            /// Reads the value of `key` if it is one of this block's; false leaves the value unread.
            pub fn take<'de, M: MapAccess<'de>>(&mut self, key: &str, map: &mut M) -> Result<bool, M::Error> {
                match key {
                    $(stringify!($key) => self.$key = map.next_value()?,)*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Keys;
                impl<'de> Visitor<'de> for Keys {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a mapping")
                    }
                    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<$name, M::Error> {
                        let mut block = $name::default();
                        while let Some(key) = map.next_key::<String>()? {
                            if !block.take(&key, &mut map)? {
                                return Err(serde::de::Error::unknown_field(&key, $name::KEYS));
                            }
                        }
                        Ok(block)
                    }
                }
                deserializer.deserialize_map(Keys)
            }
        }
    };
}

block! {
    /// One entry of `scrape_configs` as written, without discovery blocks.
    ScrapeBlock {
        job_name: String, honor_labels: bool, honor_timestamps: bool, track_timestamps_staleness: bool,
        params: BTreeMap<String, Vec<String>>, scrape_interval: String, scrape_timeout: String,
        scrape_protocols: Vec<String>, fallback_scrape_protocol: String, scrape_native_histograms: bool,
        always_scrape_classic_histograms: bool, convert_classic_histograms_to_nhcb: bool,
        scrape_failure_log_file: String, metrics_path: String, scheme: String, enable_compression: bool,
        body_size_limit: String, sample_limit: u64, target_limit: u64, label_limit: u64, label_name_length_limit: u64,
        label_value_length_limit: u64, native_histogram_bucket_limit: u64, native_histogram_min_bucket_factor: f64,
        keep_dropped_targets: u64, metric_name_validation_scheme: String, metric_name_escaping_scheme: String,
        extra_scrape_metrics: bool, relabel_configs: Vec<Option<RuleBlock>>,
        metric_relabel_configs: Vec<Option<RuleBlock>>, basic_auth: IgnoredAny, authorization: IgnoredAny,
        oauth2: IgnoredAny, bearer_token: IgnoredAny, bearer_token_file: IgnoredAny, tls_config: IgnoredAny,
        follow_redirects: bool, enable_http2: bool, proxy_url: IgnoredAny, no_proxy: IgnoredAny,
        proxy_from_environment: bool, proxy_connect_header: IgnoredAny, http_headers: IgnoredAny,
    }
}

block! {
    /// The keys of `global` that are defaults of every job.
    GlobalBlock {
        scrape_interval: String, scrape_timeout: String, scrape_protocols: Vec<String>,
        scrape_failure_log_file: String, body_size_limit: String, sample_limit: u64, target_limit: u64,
        label_limit: u64, label_name_length_limit: u64, label_value_length_limit: u64, keep_dropped_targets: u64,
        metric_name_validation_scheme: String, metric_name_escaping_scheme: String, scrape_native_histograms: bool,
        convert_classic_histograms_to_nhcb: bool, always_scrape_classic_histograms: bool, extra_scrape_metrics: bool,
    }
}

/// The defaults of every job, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalScrape {
    /// How often a target is visited; 1 m.
    pub interval: Duration,
    /// How long a visit may take; 10 s, no longer than `interval`.
    pub timeout: Duration,
    /// Limits; 0 is none.
    pub limits: Limits,
    /// Dropped targets shown by the API; 0 is all of them, up to [`crate::pool::DROPPED_MAX`].
    pub keep_dropped_targets: u64,
    /// Only names every version of Prometheus accepts.
    pub legacy_names: bool,
    /// Three more series per target about its limits.
    pub extra_metrics: bool,
    /// Keys given that are not obeyed yet.
    pub not_done: Vec<&'static str>,
}

impl Default for GlobalScrape {
    fn default() -> Self {
        GlobalScrape {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            limits: Limits { body_size: BODY_SIZE_LIMIT_DEFAULT, ..Limits::default() },
            keep_dropped_targets: 0,
            legacy_names: false,
            extra_metrics: false,
            not_done: Vec::new(),
        }
    }
}

/// What a target may send; 0 is no limit. Beyond a limit the whole visit fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body, inflated.
    pub body_size: u64,
    /// Samples after metric relabelling.
    pub samples: u64,
    /// Targets of the job; with more all of them are down.
    pub targets: u64,
    /// Labels of a series.
    pub labels: u64,
    /// Bytes of a label's name.
    pub label_name_length: u64,
    /// Bytes of a label's value.
    pub label_value_length: u64,
}

/// One job, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeConfig {
    /// The job's name, and the pool's.
    pub job_name: String,
    /// Labels in the body win over the target's own.
    pub honor_labels: bool,
    /// Times in the body are used.
    pub honor_timestamps: bool,
    /// Series with times in the body get staleness markers too.
    pub track_timestamps_staleness: bool,
    /// Query parameters.
    pub params: BTreeMap<String, Vec<String>>,
    /// How often a target is visited.
    pub interval: Duration,
    /// How long a visit may take.
    pub timeout: Duration,
    /// The path asked for.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Whether gzip is asked for.
    pub compression: bool,
    /// Limits.
    pub limits: Limits,
    /// As in [`GlobalScrape::keep_dropped_targets`].
    pub keep_dropped_targets: u64,
    /// As in [`GlobalScrape::legacy_names`].
    pub legacy_names: bool,
    /// As in [`GlobalScrape::extra_metrics`].
    pub extra_metrics: bool,
    /// A body without a usable `Content-Type` is read as text.
    pub fallback_to_text: bool,
    /// Redirects are followed.
    pub follow_redirects: bool,
    /// Rules for targets.
    pub relabel: Rules,
    /// Rules for samples.
    pub metric_relabel: Rules,
    /// Why no target of the job is visited, if so.
    pub refused: Option<String>,
    /// One line each for what is not obeyed yet.
    pub warnings: Vec<String>,
}

const PROTOCOLS: [&str; 5] =
    ["OpenMetricsText0.0.1", "OpenMetricsText1.0.0", "PrometheusProto", "PrometheusText0.0.4", "PrometheusText1.0.0"];

impl GlobalBlock {
    /// Checks the keys; what is not given has the original's default.
    pub fn resolve(&self) -> Result<GlobalScrape, ConfigError> {
        let default = GlobalScrape::default();
        let interval = duration(self.scrape_interval.as_deref(), "scrape_interval")?.unwrap_or(default.interval);
        let timeout = match duration(self.scrape_timeout.as_deref(), "scrape_timeout")? {
            Some(timeout) if timeout > interval => {
                return Err(ConfigError("global scrape timeout greater than scrape interval".to_owned()));
            }
            Some(timeout) => timeout,
            None => default.timeout.min(interval),
        };
        protocols(self.scrape_protocols.as_deref(), "for global config")?;
        let mut not_done = Vec::new();
        let mut note = |given: bool, key| not_done.extend(given.then_some(key));
        note(self.scrape_protocols.is_some(), "scrape_protocols");
        note(self.scrape_failure_log_file.is_some(), "scrape_failure_log_file");
        note(self.scrape_native_histograms == Some(true), "scrape_native_histograms");
        note(self.convert_classic_histograms_to_nhcb == Some(true), "convert_classic_histograms_to_nhcb");
        note(self.always_scrape_classic_histograms == Some(true), "always_scrape_classic_histograms");
        note(self.metric_name_escaping_scheme.is_some(), "metric_name_escaping_scheme");
        Ok(GlobalScrape {
            interval,
            timeout,
            limits: Limits {
                body_size: body_size(self.body_size_limit.as_deref())?.unwrap_or(BODY_SIZE_LIMIT_DEFAULT),
                samples: self.sample_limit.unwrap_or(0),
                targets: self.target_limit.unwrap_or(0),
                labels: self.label_limit.unwrap_or(0),
                label_name_length: self.label_name_length_limit.unwrap_or(0),
                label_value_length: self.label_value_length_limit.unwrap_or(0),
            },
            keep_dropped_targets: self.keep_dropped_targets.unwrap_or(0),
            legacy_names: legacy_names(self.metric_name_validation_scheme.as_deref(), "global")?.unwrap_or(false),
            extra_metrics: self.extra_scrape_metrics.unwrap_or(false),
            not_done,
        })
    }
}

impl ScrapeBlock {
    /// Checks the block; what is not given comes from `global`.
    pub fn resolve(&self, global: &GlobalScrape) -> Result<ScrapeConfig, ConfigError> {
        let job_name = self.job_name.clone().unwrap_or_default();
        if job_name.is_empty() {
            return Err(ConfigError("job_name is empty".to_owned()));
        }
        let named = |what: &str| ConfigError(format!("{what} for scrape config with job name \"{job_name}\""));
        let interval = duration(self.scrape_interval.as_deref(), "scrape_interval")?.unwrap_or(global.interval);
        let given = duration(self.scrape_timeout.as_deref(), "scrape_timeout")?;
        if given.is_some_and(|timeout| timeout > interval) {
            return Err(named("scrape timeout greater than scrape interval"));
        }
        let timeout = given.unwrap_or(global.timeout.min(interval));
        protocols(self.scrape_protocols.as_deref(), &format!("for scrape config with job name \"{job_name}\""))?;
        if let Some(word) = self.fallback_scrape_protocol.as_deref().filter(|word| !PROTOCOLS.contains(word)) {
            return Err(named("invalid fallback_scrape_protocol")).map_err(|e| {
                ConfigError(format!("{e}: unknown scrape protocol {word}, supported: [{}]", PROTOCOLS.join(" ")))
            });
        }
        let scheme = self.scheme.clone().unwrap_or_else(|| "http".to_owned());
        let (refused, warnings) = self.not_done(&scheme, global);
        Ok(ScrapeConfig {
            honor_labels: self.honor_labels.unwrap_or(false),
            honor_timestamps: self.honor_timestamps.unwrap_or(true),
            track_timestamps_staleness: self.track_timestamps_staleness.unwrap_or(false),
            params: self.params.clone().unwrap_or_default(),
            interval,
            timeout,
            metrics_path: self.metrics_path.clone().unwrap_or_else(|| "/metrics".to_owned()),
            scheme,
            compression: self.enable_compression.unwrap_or(true),
            limits: self.limits(&global.limits)?,
            keep_dropped_targets: self.keep_dropped_targets.unwrap_or(global.keep_dropped_targets),
            legacy_names: legacy_names(self.metric_name_validation_scheme.as_deref(), "scrape config")?
                .unwrap_or(global.legacy_names),
            extra_metrics: self.extra_scrape_metrics.unwrap_or(global.extra_metrics),
            fallback_to_text: matches!(
                self.fallback_scrape_protocol.as_deref(),
                Some("PrometheusText0.0.4" | "PrometheusText1.0.0")
            ),
            follow_redirects: self.follow_redirects.unwrap_or(true),
            relabel: Rules::resolve(self.relabel_configs.as_ref(), "target")?,
            metric_relabel: Rules::resolve(self.metric_relabel_configs.as_ref(), "metric")?,
            refused,
            warnings,
            job_name,
        })
    }

    fn limits(&self, global: &Limits) -> Result<Limits, ConfigError> {
        // the original's zero means "as global"
        let or = |own: Option<u64>, global: u64| own.filter(|limit| *limit > 0).unwrap_or(global);
        Ok(Limits {
            body_size: or(body_size(self.body_size_limit.as_deref())?, global.body_size),
            samples: or(self.sample_limit, global.samples),
            targets: or(self.target_limit, global.targets),
            labels: or(self.label_limit, global.labels),
            label_name_length: or(self.label_name_length_limit, global.label_name_length),
            label_value_length: or(self.label_value_length_limit, global.label_value_length),
        })
    }

    /// Why the job is not scraped, and what it is warned about.
    fn not_done(&self, scheme: &str, global: &GlobalScrape) -> (Option<String>, Vec<String>) {
        let given = |key: &str| match key {
            "tls_config" => self.tls_config.is_some(),
            "basic_auth" => self.basic_auth.is_some(),
            "authorization" => self.authorization.is_some(),
            "oauth2" => self.oauth2.is_some(),
            "bearer_token" => self.bearer_token.is_some(),
            "bearer_token_file" => self.bearer_token_file.is_some(),
            "proxy_url" => self.proxy_url.is_some(),
            "proxy_from_environment" => self.proxy_from_environment == Some(true),
            "proxy_connect_header" => self.proxy_connect_header.is_some(),
            "http_headers" => self.http_headers.is_some(),
            "no_proxy" => self.no_proxy.is_some(),
            "scrape_protocols" => self.scrape_protocols.is_some(),
            "scrape_failure_log_file" => self.scrape_failure_log_file.is_some(),
            "scrape_native_histograms" => self.scrape_native_histograms == Some(true),
            "always_scrape_classic_histograms" => self.always_scrape_classic_histograms == Some(true),
            "convert_classic_histograms_to_nhcb" => self.convert_classic_histograms_to_nhcb == Some(true),
            "native_histogram_bucket_limit" => self.native_histogram_bucket_limit.is_some(),
            "native_histogram_min_bucket_factor" => self.native_histogram_min_bucket_factor.is_some(),
            "metric_name_escaping_scheme" => self.metric_name_escaping_scheme.is_some(),
            _ => false,
        };
        let mut down: Vec<&str> = Vec::new();
        let mut warnings = Vec::new();
        for (key, instead) in NOT_DONE {
            match instead {
                Instead::TargetsDown if given(key) => down.push(key),
                Instead::Warns if given(key) || global.not_done.contains(key) => {
                    warnings.push(format!("{key} is not supported yet and has no effect"));
                }
                _ => {}
            }
        }
        if scheme == "https" && !down.contains(&"tls_config") {
            down.insert(0, "scheme https");
        }
        let refused = (!down.is_empty()).then(|| format!("not scraped: {} is not supported yet", down.join(", ")));
        warnings.extend(refused.clone());
        (refused, warnings)
    }
}

fn duration(text: Option<&str>, key: &str) -> Result<Option<Duration>, ConfigError> {
    let Some(text) = text else { return Ok(None) };
    let length = parse_duration(text).map_err(|e| ConfigError(format!("{key}: {e}")))?;
    let length = Duration::from_millis(length.0.unsigned_abs());
    // the original takes zero for "not given"
    Ok((!length.is_zero()).then_some(length))
}

fn body_size(text: Option<&str>) -> Result<Option<u64>, ConfigError> {
    text.map(|text| parse_bytes(text).map_err(|e| ConfigError(e.to_string()))).transpose()
}

fn legacy_names(word: Option<&str>, place: &str) -> Result<Option<bool>, ConfigError> {
    match word {
        None | Some("") => Ok(None),
        Some("utf8") => Ok(Some(false)),
        Some("legacy") => Ok(Some(true)),
        Some(other) => Err(ConfigError(format!(
            "unknown {place} name validation method specified, must be either 'legacy' or 'utf8', got {other}"
        ))),
    }
}

fn protocols(list: Option<&[String]>, place: &str) -> Result<(), ConfigError> {
    let Some(list) = list else { return Ok(()) };
    for (at, word) in list.iter().enumerate() {
        if !PROTOCOLS.contains(&word.as_str()) {
            let known = PROTOCOLS.join(" ");
            return Err(ConfigError(format!(
                "scrape_protocols: unknown scrape protocol {word}, supported: [{known}] {place}"
            )));
        }
        if list[..at].contains(word) {
            let all = list.join(" ");
            return Err(ConfigError(format!("duplicated protocol in scrape_protocols, got [{all}] {place}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
