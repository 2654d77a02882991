//! What a registry is told at its start. The binary makes this from Consul's own flags.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// The version `agent/self` speaks of: the API generation clients may expect. Ours stands beside it.
pub const CONSUL_VERSION: &str = "1.22.0";

/// A registry of one server.
#[derive(Clone, Debug)]
pub struct Config {
    /// `-node`: the name of this node. Default: the host name.
    pub node_name: String,
    /// `-datacenter`. Default `dc1`.
    pub datacenter: String,
    /// `-data-dir`: the log lives in `<data-dir>/log`. Default `consul-data`.
    pub data_dir: PathBuf,
    /// `-bind`, `-advertise`: the address this node and the services without their own are reached at. Default 127.0.0.1.
    pub advertise: IpAddr,
    /// `-client`: where HTTP listens; the binary binds it. Default 127.0.0.1.
    pub client: IpAddr,
    /// `-http-port`. Default 8500.
    pub http_port: u16,
    /// `-server-port`: the port the catalog's own `consul` service and `status/leader` name. Nothing listens there
    /// before there are clusters. Default 8300.
    pub server_port: u16,
    /// `-serf-lan-port`: what `agent/members` names. Default 8301.
    pub serf_lan_port: u16,
    /// `-serf-wan-port`: what `agent/members?wan=1` names. Default 8302.
    pub serf_wan_port: u16,
    /// `-node-meta key:value`.
    pub node_meta: BTreeMap<String, String>,
    /// `check_update_interval`: how long a change of a check's output alone stays off the catalog. Default 5 min.
    pub check_update_interval: Duration,
    /// `check_output_max_size`: bytes kept of a check's output. Default 4096.
    pub check_output_max_size: usize,
    /// Bounds; every one has a metric and refuses at the limit.
    pub limits: Limits,
}

/// Bounds of what a registry takes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Services of this agent and of the catalog, each. Default 20 000.
    pub services: usize,
    /// Checks of this agent and of the catalog, each. Default 40 000.
    pub checks: usize,
    /// Queries that may wait at a time. Default 8192.
    pub blocking_queries: usize,
    /// Checks that may run at a time. Default 2048: targets that never answer hold theirs until the timeout (10 s), so that
    /// this is how many of them the others do not notice; with 64, a hundred silent machines held up every check.
    pub running_checks: usize,
    /// Bytes of a request body. Default 512 KiB.
    pub body_bytes: usize,
    /// Bytes of log after which a snapshot is written. Default 4 MiB.
    pub log_bytes_per_snapshot: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            node_name: runtime::limit::hostname(),
            datacenter: "dc1".to_owned(),
            data_dir: PathBuf::from("consul-data"),
            advertise: IpAddr::from([127, 0, 0, 1]),
            client: IpAddr::from([127, 0, 0, 1]),
            http_port: 8500,
            server_port: 8300,
            serf_lan_port: 8301,
            serf_wan_port: 8302,
            node_meta: BTreeMap::new(),
            check_update_interval: Duration::from_secs(300),
            check_output_max_size: 4096,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            services: 20_000,
            checks: 40_000,
            blocking_queries: 8192,
            running_checks: 2048,
            body_bytes: 512 << 10,
            log_bytes_per_snapshot: 4 << 20,
        }
    }
}

/// A configuration that can not work.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The node has no name.
    #[error("node name is empty: give one with -node")]
    NoNodeName,
    /// The datacenter's name can not be part of a DNS name.
    #[error("datacenter {0:?} must be letters, digits, - and _ only")]
    Datacenter(String),
    /// Node metadata breaks a rule.
    #[error("node metadata: {0}")]
    NodeMeta(String),
}

impl Config {
    /// Every problem of the configuration.
    pub fn validate(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        if self.node_name.is_empty() {
            problems.push(ConfigError::NoNodeName);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.datacenter.is_empty() || !self.datacenter.chars().all(plain) {
            problems.push(ConfigError::Datacenter(self.datacenter.clone()));
        }
        if let Err(what) = crate::check_meta(&self.node_meta) {
            problems.push(ConfigError::NodeMeta(what));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told() {
        assert_eq!(Config::default().validate(), []);
        let config = Config {
            node_name: String::new(),
            datacenter: "a b".to_owned(),
            node_meta: BTreeMap::from([("bad key!".to_owned(), "v".to_owned())]),
            ..Config::default()
        };
        assert_eq!(config.validate().len(), 3);
    }
}
