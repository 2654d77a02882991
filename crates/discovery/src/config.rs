//! The `*_sd_configs` blocks of a job, as the original writes them, and their resolved form.
//!
//! Unknown keys are refused by serde with their place; values are checked by `resolve`, which names the block. Keys that
//! are known and not obeyed yet are listed by `warnings` (settled 25). Source: `config` and `discovery` of Prometheus 3.14.

use model::{Labels, TargetGroup};
use net::client::block;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// A block that cannot be obeyed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// One provider of one job, ready to run. Two equal ones are the same provider.
#[derive(Clone, Debug, PartialEq)]
pub enum ProviderConfig {
    /// Groups written in the configuration file itself.
    Static(Vec<TargetGroup>),
    /// Files that hold groups.
    File(FileConfig),
    /// A Consul catalogue, or our own registry.
    Consul(Box<ConsulConfig>),
}

/// One entry of `static_configs`, or of a discovery file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticConfig {
    /// Addresses, `host:port`.
    #[serde(default)]
    pub targets: Option<Vec<String>>,
    /// Labels of all of them.
    #[serde(default)]
    pub labels: Option<BTreeMap<String, Option<String>>>,
}

impl StaticConfig {
    /// The group this entry says, under `source`.
    pub fn group(&self, source: String) -> Result<TargetGroup, ConfigError> {
        let labels = self.labels.iter().flatten();
        for (name, _) in labels.clone() {
            if name.is_empty() {
                return Err(ConfigError(format!("\"\" is not a valid label name (group {source})")));
            }
        }
        let addresses = self.targets.iter().flatten();
        Ok(TargetGroup {
            source,
            targets: addresses.map(|address| Labels::from_pairs([("__address__", address.as_str())])).collect(),
            labels: Labels::from_pairs(labels.map(|(n, v)| (n.as_str(), v.as_deref().unwrap_or("")))),
        })
    }
}

/// Resolves a job's `static_configs`.
pub fn resolve_static(blocks: &[StaticConfig]) -> Result<ProviderConfig, ConfigError> {
    for address in blocks.iter().flat_map(|block| block.targets.iter().flatten()) {
        if address.contains('/') {
            return Err(ConfigError(format!(
                "\"{address}\" is not a valid hostname: it contains a slash; put the path into metrics_path"
            )));
        }
    }
    let groups = blocks.iter().enumerate().map(|(n, block)| block.group(n.to_string())).collect::<Result<_, _>>()?;
    Ok(ProviderConfig::Static(groups))
}

/// One entry of `file_sd_configs`, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileBlock {
    /// Paths; `*` and `?` in the last element.
    #[serde(default)]
    pub files: Option<Vec<String>>,
    /// How often to read again at the latest; a changed file is seen within a second.
    #[serde(default)]
    pub refresh_interval: Option<String>,
}

/// A resolved `file_sd_configs` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConfig {
    /// Patterns, absolute or below the configuration file's directory.
    pub files: Vec<PathBuf>,
    /// Upper bound between two reads.
    pub refresh_interval: Duration,
}

impl FileBlock {
    /// Checks the block; relative paths are put below `directory`.
    pub fn resolve(&self, directory: &Path) -> Result<ProviderConfig, ConfigError> {
        let files = self.files.clone().unwrap_or_default();
        if files.is_empty() {
            return Err(ConfigError("file service discovery config must contain at least one path name".to_owned()));
        }
        for name in &files {
            // stars in the last element alone, and right before the ending if anywhere
            let stem =
                [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"].iter().find_map(|end| name.strip_suffix(end));
            let fits = stem.is_some_and(|stem| stem.split_once('*').is_none_or(|(_, after)| !after.contains('/')));
            if !fits {
                return Err(ConfigError(format!("path name \"{name}\" is not valid for file discovery")));
            }
        }
        Ok(ProviderConfig::File(FileConfig {
            files: files.iter().map(|name| directory.join(name)).collect(),
            refresh_interval: duration(self.refresh_interval.as_deref(), "5m", "refresh_interval")?,
        }))
    }
}

/// One entry of `consul_sd_configs`, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the original's keys; their meaning stands at ConsulConfig")]
pub struct ConsulBlock {
    pub server: Option<String>,
    pub path_prefix: Option<String>,
    pub token: Option<String>,
    pub datacenter: Option<String>,
    pub namespace: Option<String>,
    pub partition: Option<String>,
    pub tag_separator: Option<String>,
    pub scheme: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
    pub allow_stale: Option<bool>,
    pub refresh_interval: Option<String>,
    pub services: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    pub node_meta: Option<BTreeMap<String, String>>,
    pub filter: Option<String>,
    pub health_filter: Option<String>,
    // the HTTP client block
    pub basic_auth: Option<block::BasicAuth>,
    pub authorization: Option<block::Authorization>,
    pub oauth2: Option<block::OAuth2>,
    pub bearer_token: Option<IgnoredAny>,
    pub bearer_token_file: Option<IgnoredAny>,
    pub tls_config: Option<block::Tls>,
    pub proxy_url: Option<String>,
    pub no_proxy: Option<IgnoredAny>,
    pub proxy_from_environment: Option<bool>,
    pub proxy_connect_header: Option<IgnoredAny>,
    pub http_headers: Option<block::Headers>,
    pub follow_redirects: Option<bool>,
    pub enable_http2: Option<bool>,
}

/// A resolved `consul_sd_configs` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsulConfig {
    /// `host:port` of the agent.
    pub server: String,
    /// Put in front of `/v1/…`.
    pub path_prefix: String,
    /// Sent as `X-Consul-Token` when not empty.
    pub token: String,
    /// The datacenter asked for; empty: the agent's own, asked once.
    pub datacenter: String,
    /// Consul Enterprise's namespace, sent as `ns`.
    pub namespace: String,
    /// Consul Enterprise's partition, sent as `partition`.
    pub partition: String,
    /// Stands between and around tags in `__meta_consul_tags`.
    pub tag_separator: String,
    /// Whether a follower may answer.
    pub allow_stale: bool,
    /// Least time between two calls of one watch.
    pub refresh_interval: Duration,
    /// Only these services; empty: all of the catalogue.
    pub services: Vec<String>,
    /// Only instances with all of these tags.
    pub tags: Vec<String>,
    /// Only nodes with this metadata.
    pub node_meta: BTreeMap<String, String>,
    /// Filter expression for the catalogue.
    pub filter: String,
    /// Filter expression for instances.
    pub health_filter: String,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Why this provider cannot be run at all: a secret or a transport we do not have yet.
    pub unserved: Option<String>,
}

impl ConsulConfig {
    /// Whether the catalogue's list of services is followed; otherwise all services are named and watched as they are.
    pub(crate) fn watches_catalog(&self) -> bool {
        self.services.is_empty() || !self.tags.is_empty() || !self.filter.is_empty()
    }
}

impl ConsulBlock {
    /// Checks the block.
    pub fn resolve(&self) -> Result<ProviderConfig, ConfigError> {
        let server = self.server.clone().unwrap_or_else(|| "localhost:8500".to_owned());
        if server.trim().is_empty() {
            return Err(ConfigError("consul SD configuration requires a server address".to_owned()));
        }
        let given = |value: &Option<String>| value.as_deref().is_some_and(|value| !value.is_empty());
        if (given(&self.username) || given(&self.password)) && self.basic_auth.is_some() {
            return Err(ConfigError(
                "at most one of consul SD configuration username and password and basic auth can be configured"
                    .to_owned(),
            ));
        }
        if given(&self.token) && (self.authorization.is_some() || self.oauth2.is_some()) {
            return Err(ConfigError(
                "at most one of consul SD token, authorization, or oauth2 can be configured".to_owned(),
            ));
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (server, scheme) = match server.split_once("://") {
            Some((scheme, rest)) => (rest.to_owned(), scheme.to_owned()),
            None => (server, self.scheme.clone().unwrap_or_else(|| "http".to_owned())),
        };
        Ok(ProviderConfig::Consul(Box::new(ConsulConfig {
            server,
            path_prefix: text(&self.path_prefix).trim_end_matches('/').to_owned(),
            token: text(&self.token),
            datacenter: text(&self.datacenter),
            namespace: text(&self.namespace),
            partition: text(&self.partition),
            tag_separator: self.tag_separator.clone().unwrap_or_else(|| ",".to_owned()),
            allow_stale: self.allow_stale.unwrap_or(true),
            refresh_interval: duration(self.refresh_interval.as_deref(), "30s", "refresh_interval")?,
            services: self.services.clone().unwrap_or_default(),
            tags: self.tags.clone().unwrap_or_default(),
            node_meta: self.node_meta.clone().unwrap_or_default(),
            filter: text(&self.filter),
            health_filter: text(&self.health_filter),
            follow_redirects: self.follow_redirects.unwrap_or(true),
            unserved: self.unserved(&scheme),
        })))
    }

    /// A secret or transport that we would have to leave out to go on: then the provider does not run (settled 25).
    fn unserved(&self, scheme: &str) -> Option<String> {
        let given = |value: &Option<String>| value.as_deref().is_some_and(|value| !value.is_empty());
        let scheme = format!("scheme {scheme}");
        let known = [
            (scheme != "scheme http", scheme.as_str()),
            (self.basic_auth.is_some() || given(&self.username) || given(&self.password), "basic_auth"),
            (self.authorization.is_some(), "authorization"),
            (self.oauth2.is_some(), "oauth2"),
            (self.bearer_token.is_some() || self.bearer_token_file.is_some(), "bearer_token"),
            (self.tls_config.is_some(), "tls_config"),
            (given(&self.proxy_url), "proxy_url"),
            (self.proxy_from_environment == Some(true), "proxy_from_environment"),
            (self.http_headers.is_some(), "http_headers"),
        ];
        let missing: Vec<_> = known.iter().filter(|(present, _)| *present).map(|(_, name)| *name).collect();
        (!missing.is_empty()).then(|| format!("{} not supported yet", missing.join(", ")))
    }
}

/// Keys of mechanisms that the original has and we do not have yet: a job that uses one finds nothing by it, and says so.
pub const NOT_YET: &[&str] = &[
    "aws_sd_configs",
    "azure_sd_configs",
    "digitalocean_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "http_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

fn duration(text: Option<&str>, default: &str, key: &str) -> Result<Duration, ConfigError> {
    let millis =
        model::duration::parse_duration(text.unwrap_or(default)).map_err(|e| ConfigError(format!("{key}: {e}")))?;
    Ok(Duration::from_millis(u64::try_from(millis.0).unwrap_or(0)))
}
