//! One `scrape_config`, as written and as resolved.
//!
//! [`ScrapeBlock`] holds every key of Prometheus 3.14; unknown ones are refused by serde with their place. The discovery
//! blocks belong to another crate, so their types are parameters: the binary puts them in. [`ScrapeBlock::resolve`] takes
//! over the global defaults, checks what the original checks, in its words, and lists what is known and not done yet.
//! A job that needs TLS, credentials or a proxy is never visited without them: [`JobConfig::unserved`] says why it is down.

use model::duration::{format_duration, parse_bytes, parse_duration};
use model::relabel::{Action, Rule, RuleText};
use net::client::block;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Largest scrape body where the configuration says nothing (settled 19: the original has no limit).
pub const BODY_SIZE_LIMIT: u64 = 256 << 20;

/// `global`, as far as scraping reads it; the owner of the file passes the rest by.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalDefaults {
    /// `scrape_interval`
    pub scrape_interval: Duration,
    /// `scrape_timeout`
    pub scrape_timeout: Duration,
    /// `body_size_limit`; 0: [`BODY_SIZE_LIMIT`]
    pub body_size_limit: u64,
    /// `sample_limit`
    pub sample_limit: u64,
    /// `target_limit`
    pub target_limit: u64,
    /// `label_limit`
    pub label_limit: u64,
    /// `label_name_length_limit`
    pub label_name_length_limit: u64,
    /// `label_value_length_limit`
    pub label_value_length_limit: u64,
    /// `keep_dropped_targets`
    pub keep_dropped_targets: u64,
    /// `extra_scrape_metrics`
    pub extra_scrape_metrics: bool,
}

impl Default for GlobalDefaults {
    fn default() -> Self {
        GlobalDefaults {
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            body_size_limit: 0,
            sample_limit: 0,
            target_limit: 0,
            label_limit: 0,
            label_name_length_limit: 0,
            label_value_length_limit: 0,
            keep_dropped_targets: 0,
            extra_scrape_metrics: false,
        }
    }
}

/// One entry of `relabel_configs`, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the original's keys; their meaning stands at model::relabel")]
pub struct RelabelBlock {
    pub source_labels: Option<Vec<String>>,
    pub separator: Option<String>,
    pub target_label: Option<String>,
    pub regex: Option<String>,
    pub modulus: Option<u64>,
    pub replacement: Option<String>,
    pub action: Option<String>,
}

impl RelabelBlock {
    fn text(&self) -> Result<RuleText, String> {
        let default = RuleText::default();
        let given = |value: &Option<String>, default: String| value.clone().unwrap_or(default);
        Ok(RuleText {
            source_labels: self.source_labels.clone().unwrap_or_default(),
            separator: given(&self.separator, default.separator),
            regex: given(&self.regex, default.regex),
            modulus: self.modulus.unwrap_or(0),
            target_label: given(&self.target_label, default.target_label),
            replacement: given(&self.replacement, default.replacement),
            action: self.action.as_deref().map_or(Ok(Action::Replace), Action::parse).map_err(|e| e.to_string())?,
        })
    }
}

/// Relabelling rules, compiled; two lists are equal when they were written the same.
#[derive(Clone, Debug)]
pub struct Rules(Arc<[Rule]>);

impl Rules {
    /// The rules in order.
    pub fn list(&self) -> &[Rule] {
        &self.0
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules(Arc::from([]))
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(other.0.iter()).all(|(a, b)| a.text() == b.text())
    }
}

/// Resolves a list of relabelling rules.
pub fn resolve_relabel(blocks: Option<&[Option<RelabelBlock>]>) -> Result<Rules, String> {
    let mut rules = Vec::new();
    for block in blocks.unwrap_or_default() {
        let block = block.as_ref().ok_or("empty or null relabeling rule")?;
        rules.push(Rule::new(block.text()?).map_err(|e| e.to_string())?);
    }
    Ok(Rules(Arc::from(rules)))
}

/// One `scrape_config`, as written. `S`, `F`, `C`: the blocks of static, file and Consul discovery.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the original's keys; their meaning stands at JobConfig")]
pub struct ScrapeBlock<S, F, C> {
    pub job_name: Option<String>,
    pub honor_labels: Option<bool>,
    pub honor_timestamps: Option<bool>,
    pub track_timestamps_staleness: Option<bool>,
    pub params: Option<BTreeMap<String, Option<Vec<String>>>>,
    pub scrape_interval: Option<String>,
    pub scrape_timeout: Option<String>,
    pub scrape_protocols: Option<Vec<String>>,
    pub fallback_scrape_protocol: Option<String>,
    pub scrape_native_histograms: Option<bool>,
    pub always_scrape_classic_histograms: Option<bool>,
    pub convert_classic_histograms_to_nhcb: Option<bool>,
    pub scrape_failure_log_file: Option<String>,
    pub metrics_path: Option<String>,
    pub scheme: Option<String>,
    pub enable_compression: Option<bool>,
    pub body_size_limit: Option<String>,
    pub sample_limit: Option<u64>,
    pub target_limit: Option<u64>,
    pub label_limit: Option<u64>,
    pub label_name_length_limit: Option<u64>,
    pub label_value_length_limit: Option<u64>,
    pub native_histogram_bucket_limit: Option<u64>,
    pub native_histogram_min_bucket_factor: Option<f64>,
    pub keep_dropped_targets: Option<u64>,
    pub metric_name_validation_scheme: Option<String>,
    pub metric_name_escaping_scheme: Option<String>,
    pub extra_scrape_metrics: Option<bool>,
    pub relabel_configs: Option<Vec<Option<RelabelBlock>>>,
    pub metric_relabel_configs: Option<Vec<Option<RelabelBlock>>>,
    // the HTTP client block
    pub basic_auth: Option<block::BasicAuth>,
    pub authorization: Option<block::Authorization>,
    pub oauth2: Option<block::OAuth2>,
    pub bearer_token: Option<IgnoredAny>,
    pub bearer_token_file: Option<IgnoredAny>,
    pub tls_config: Option<block::Tls>,
    pub proxy_url: Option<String>,
    pub no_proxy: Option<String>,
    pub proxy_from_environment: Option<bool>,
    pub proxy_connect_header: Option<IgnoredAny>,
    pub http_headers: Option<block::Headers>,
    pub follow_redirects: Option<bool>,
    pub enable_http2: Option<bool>,
    // discovery
    pub static_configs: Option<Vec<Option<S>>>,
    pub file_sd_configs: Option<Vec<Option<F>>>,
    pub consul_sd_configs: Option<Vec<Option<C>>>,
    pub aws_sd_configs: Option<IgnoredAny>,
    pub azure_sd_configs: Option<IgnoredAny>,
    pub digitalocean_sd_configs: Option<IgnoredAny>,
    pub dns_sd_configs: Option<IgnoredAny>,
    pub docker_sd_configs: Option<IgnoredAny>,
    pub dockerswarm_sd_configs: Option<IgnoredAny>,
    pub ec2_sd_configs: Option<IgnoredAny>,
    pub eureka_sd_configs: Option<IgnoredAny>,
    pub gce_sd_configs: Option<IgnoredAny>,
    pub hetzner_sd_configs: Option<IgnoredAny>,
    pub http_sd_configs: Option<IgnoredAny>,
    pub ionos_sd_configs: Option<IgnoredAny>,
    pub kubernetes_sd_configs: Option<IgnoredAny>,
    pub kuma_sd_configs: Option<IgnoredAny>,
    pub lightsail_sd_configs: Option<IgnoredAny>,
    pub linode_sd_configs: Option<IgnoredAny>,
    pub marathon_sd_configs: Option<IgnoredAny>,
    pub nerve_sd_configs: Option<IgnoredAny>,
    pub nomad_sd_configs: Option<IgnoredAny>,
    pub oci_sd_configs: Option<IgnoredAny>,
    pub openstack_sd_configs: Option<IgnoredAny>,
    pub outscale_sd_configs: Option<IgnoredAny>,
    pub ovhcloud_sd_configs: Option<IgnoredAny>,
    pub puppetdb_sd_configs: Option<IgnoredAny>,
    pub scaleway_sd_configs: Option<IgnoredAny>,
    pub serverset_sd_configs: Option<IgnoredAny>,
    pub stackit_sd_configs: Option<IgnoredAny>,
    pub triton_sd_configs: Option<IgnoredAny>,
    pub uyuni_sd_configs: Option<IgnoredAny>,
    pub vultr_sd_configs: Option<IgnoredAny>,
}

/// A job, ready to run. Two equal ones need no reload.
#[derive(Clone, Debug, PartialEq)]
pub struct JobConfig {
    /// Name of the job; value of the label `job` unless relabelled.
    pub name: String,
    /// Whether the body's labels win over the target's.
    pub honor_labels: bool,
    /// Whether timestamps in the body are used.
    pub honor_timestamps: bool,
    /// Whether series with their own timestamps get staleness markers.
    pub track_timestamps_staleness: bool,
    /// URL parameters.
    pub params: BTreeMap<String, Vec<String>>,
    /// Time between two visits.
    pub interval: Duration,
    /// Time a visit may take, all in all.
    pub timeout: Duration,
    /// Path of the URL.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Whether gzip is asked for.
    pub compression: bool,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether a body without a known content type is read as text.
    pub fallback_text: bool,
    /// Largest body, after unpacking.
    pub body_size_limit: u64,
    /// Most samples of one visit after relabelling; 0: no limit.
    pub sample_limit: u64,
    /// Most targets of the job; 0: no limit.
    pub target_limit: u64,
    /// Most labels of a series; 0: no limit.
    pub label_limit: u64,
    /// Longest label name; 0: no limit.
    pub label_name_length_limit: u64,
    /// Longest label value; 0: no limit.
    pub label_value_length_limit: u64,
    /// Dropped targets remembered for the API; 0: 10 000.
    pub keep_dropped_targets: u64,
    /// Whether `scrape_timeout_seconds` and its like are written.
    pub extra_metrics: bool,
    /// Rules for targets.
    pub relabel: Rules,
    /// Rules for series.
    pub metric_relabel: Rules,
    /// Why its targets are down without being visited.
    pub unserved: Option<String>,
}

/// A resolved job with what must be said about it.
#[derive(Debug)]
pub struct Resolved {
    /// The job.
    pub job: JobConfig,
    /// Lines for the log and the page: keys without effect yet.
    pub warnings: Vec<String>,
}

const PROTOCOLS: &[&str] =
    &["PrometheusProto", "PrometheusText0.0.4", "PrometheusText1.0.0", "OpenMetricsText0.0.1", "OpenMetricsText1.0.0"];

impl<S, F, C> ScrapeBlock<S, F, C> {
    /// Checks the block against the global defaults.
    ///
    /// # Errors
    /// One line, in the original's words where it has them, naming the job.
    pub fn resolve(&self, global: &GlobalDefaults) -> Result<Resolved, String> {
        let name = self.job_name.clone().unwrap_or_default();
        if name.is_empty() {
            return Err("job_name is empty".to_owned());
        }
        let in_job = |error: String| format!("scrape config with job name {name:?}: {error}");
        let (interval, timeout) = self.times(global, &name)?;
        self.check_protocols().map_err(in_job)?;
        let job = JobConfig {
            honor_labels: self.honor_labels.unwrap_or(false),
            honor_timestamps: self.honor_timestamps.unwrap_or(true),
            track_timestamps_staleness: self.track_timestamps_staleness.unwrap_or(false),
            params: self.params.iter().flatten().map(|(k, v)| (k.clone(), v.clone().unwrap_or_default())).collect(),
            interval,
            timeout,
            metrics_path: self.metrics_path.clone().unwrap_or_else(|| "/metrics".to_owned()),
            scheme: self.scheme().map_err(in_job)?,
            compression: self.enable_compression.unwrap_or(true),
            follow_redirects: self.follow_redirects.unwrap_or(true),
            fallback_text: matches!(
                self.fallback_scrape_protocol.as_deref(),
                Some("PrometheusText0.0.4" | "PrometheusText1.0.0")
            ),
            body_size_limit: self.body_size_limit(global).map_err(in_job)?,
            sample_limit: self.sample_limit.filter(|n| *n > 0).unwrap_or(global.sample_limit),
            target_limit: self.target_limit.filter(|n| *n > 0).unwrap_or(global.target_limit),
            label_limit: self.label_limit.filter(|n| *n > 0).unwrap_or(global.label_limit),
            label_name_length_limit: self
                .label_name_length_limit
                .filter(|n| *n > 0)
                .unwrap_or(global.label_name_length_limit),
            label_value_length_limit: self
                .label_value_length_limit
                .filter(|n| *n > 0)
                .unwrap_or(global.label_value_length_limit),
            keep_dropped_targets: self.keep_dropped_targets.filter(|n| *n > 0).unwrap_or(global.keep_dropped_targets),
            extra_metrics: self.extra_scrape_metrics.unwrap_or(global.extra_scrape_metrics),
            relabel: resolve_relabel(self.relabel_configs.as_deref()).map_err(in_job)?,
            metric_relabel: resolve_relabel(self.metric_relabel_configs.as_deref()).map_err(in_job)?,
            unserved: self.unserved(),
            name,
        };
        let mut warnings = self.warnings(&job.name);
        if let Some(reason) = &job.unserved {
            warnings.push(format!("job {:?} is not visited: {reason}", job.name));
        }
        Ok(Resolved { job, warnings })
    }

    fn times(&self, global: &GlobalDefaults, name: &str) -> Result<(Duration, Duration), String> {
        let parse = |text: &Option<String>, key: &str| -> Result<Option<Duration>, String> {
            let Some(text) = text else { return Ok(None) };
            let millis =
                parse_duration(text).map_err(|e| format!("scrape config with job name {name:?}: {key}: {e}"))?;
            Ok(Some(Duration::from_millis(u64::try_from(millis.0).unwrap_or(0))).filter(|d| !d.is_zero()))
        };
        let interval = parse(&self.scrape_interval, "scrape_interval")?.unwrap_or(global.scrape_interval);
        let timeout = parse(&self.scrape_timeout, "scrape_timeout")?;
        if timeout.is_some_and(|timeout| timeout > interval) {
            return Err(format!(
                "scrape timeout greater than scrape interval for scrape config with job name {name:?}"
            ));
        }
        Ok((interval, timeout.unwrap_or(global.scrape_timeout.min(interval))))
    }

    fn check_protocols(&self) -> Result<(), String> {
        let named = self.scrape_protocols.iter().flatten().chain(self.fallback_scrape_protocol.iter());
        for protocol in named {
            if !PROTOCOLS.contains(&protocol.as_str()) {
                return Err(format!("unknown scrape protocol {protocol}, supported: [{}]", PROTOCOLS.join(" ")));
            }
        }
        Ok(())
    }

    fn scheme(&self) -> Result<String, String> {
        match self.scheme.as_deref().unwrap_or("http") {
            scheme @ ("http" | "https") => Ok(scheme.to_owned()),
            other => Err(format!("unsupported scheme {other:?}: http or https")),
        }
    }

    fn body_size_limit(&self, global: &GlobalDefaults) -> Result<u64, String> {
        let own = match &self.body_size_limit {
            Some(text) => parse_bytes(text).map_err(|e| format!("body_size_limit: {e}"))?,
            None => 0,
        };
        Ok([own, global.body_size_limit, BODY_SIZE_LIMIT]
            .into_iter()
            .find(|limit| *limit > 0)
            .unwrap_or(BODY_SIZE_LIMIT))
    }

    fn unserved(&self) -> Option<String> {
        let known = [
            (self.scheme.as_deref() == Some("https"), "scheme https"),
            (self.basic_auth.is_some(), "basic_auth"),
            (self.authorization.is_some(), "authorization"),
            (self.oauth2.is_some(), "oauth2"),
            (self.bearer_token.is_some() || self.bearer_token_file.is_some(), "bearer_token"),
            (self.tls_config.is_some(), "tls_config"),
            (self.proxy_url.as_deref().is_some_and(|p| !p.is_empty()), "proxy_url"),
            (self.proxy_from_environment == Some(true), "proxy_from_environment"),
            (self.http_headers.is_some(), "http_headers"),
        ];
        let missing: Vec<_> = known.iter().filter(|(present, _)| *present).map(|(_, name)| *name).collect();
        (!missing.is_empty()).then(|| format!("{} not supported yet", missing.join(", ")))
    }

    /// One line per key that is known, was given, and has no effect yet.
    fn warnings(&self, job: &str) -> Vec<String> {
        let on = |value: Option<bool>| value == Some(true);
        let keys = [
            (on(self.scrape_native_histograms), "scrape_native_histograms"),
            (on(self.always_scrape_classic_histograms), "always_scrape_classic_histograms"),
            (on(self.convert_classic_histograms_to_nhcb), "convert_classic_histograms_to_nhcb"),
            (self.scrape_failure_log_file.is_some(), "scrape_failure_log_file"),
            (
                self.scrape_protocols.as_ref().is_some_and(|p| !p.iter().any(|p| p == "PrometheusText0.0.4")),
                "scrape_protocols without PrometheusText0.0.4",
            ),
            (self.native_histogram_bucket_limit.is_some_and(|n| n > 0), "native_histogram_bucket_limit"),
            (self.native_histogram_min_bucket_factor.is_some_and(|n| n > 0.0), "native_histogram_min_bucket_factor"),
            (self.metric_name_validation_scheme.as_deref() == Some("legacy"), "metric_name_validation_scheme legacy"),
            (
                self.metric_name_escaping_scheme.as_deref().is_some_and(|s| s != "allow-utf-8"),
                "metric_name_escaping_scheme",
            ),
            (self.aws_sd_configs.is_some(), "aws_sd_configs"),
            (self.azure_sd_configs.is_some(), "azure_sd_configs"),
            (self.digitalocean_sd_configs.is_some(), "digitalocean_sd_configs"),
            (self.dns_sd_configs.is_some(), "dns_sd_configs"),
            (self.docker_sd_configs.is_some(), "docker_sd_configs"),
            (self.dockerswarm_sd_configs.is_some(), "dockerswarm_sd_configs"),
            (self.ec2_sd_configs.is_some(), "ec2_sd_configs"),
            (self.eureka_sd_configs.is_some(), "eureka_sd_configs"),
            (self.gce_sd_configs.is_some(), "gce_sd_configs"),
            (self.hetzner_sd_configs.is_some(), "hetzner_sd_configs"),
            (self.http_sd_configs.is_some(), "http_sd_configs"),
            (self.ionos_sd_configs.is_some(), "ionos_sd_configs"),
            (self.kubernetes_sd_configs.is_some(), "kubernetes_sd_configs"),
            (self.kuma_sd_configs.is_some(), "kuma_sd_configs"),
            (self.lightsail_sd_configs.is_some(), "lightsail_sd_configs"),
            (self.linode_sd_configs.is_some(), "linode_sd_configs"),
            (self.marathon_sd_configs.is_some(), "marathon_sd_configs"),
            (self.nerve_sd_configs.is_some(), "nerve_sd_configs"),
            (self.nomad_sd_configs.is_some(), "nomad_sd_configs"),
            (self.oci_sd_configs.is_some(), "oci_sd_configs"),
            (self.openstack_sd_configs.is_some(), "openstack_sd_configs"),
            (self.outscale_sd_configs.is_some(), "outscale_sd_configs"),
            (self.ovhcloud_sd_configs.is_some(), "ovhcloud_sd_configs"),
            (self.puppetdb_sd_configs.is_some(), "puppetdb_sd_configs"),
            (self.scaleway_sd_configs.is_some(), "scaleway_sd_configs"),
            (self.serverset_sd_configs.is_some(), "serverset_sd_configs"),
            (self.stackit_sd_configs.is_some(), "stackit_sd_configs"),
            (self.triton_sd_configs.is_some(), "triton_sd_configs"),
            (self.uyuni_sd_configs.is_some(), "uyuni_sd_configs"),
            (self.vultr_sd_configs.is_some(), "vultr_sd_configs"),
        ];
        keys.iter()
            .filter(|(given, _)| *given)
            .map(|(_, key)| format!("job {job:?}: {key} has no effect yet"))
            .collect()
    }
}

/// A duration as the original prints it in labels.
pub(crate) fn shown(length: Duration) -> String {
    format_duration(model::Millis(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)))
}
