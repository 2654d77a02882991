//! How a check is done: what is asked, how often, and how many answers it takes to believe a change.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A check's definition, as registered with the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// What is asked.
    pub probe: Probe,
    /// Time from one run to the next; zero for checks that are not run.
    pub interval: Duration,
    /// Longest time of a run.
    pub timeout: Duration,
    /// Passing or warning results in a row before the status follows; 0 is as 1.
    pub success_before_passing: u32,
    /// Failures in a row before the status is warning; 0: never because of failures.
    pub failures_before_warning: u32,
    /// Failures in a row before the status is critical; 0 is as 1.
    pub failures_before_critical: u32,
    /// Deregister the service once its check was critical for so long.
    pub deregister_after: Option<Duration>,
    /// Bytes kept of the output.
    pub output_max_size: usize,
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Probe {
    /// An HTTP request: 2xx passing, 429 warning, the rest critical.
    Http(HttpProbe),
    /// A connection to `host:port`.
    Tcp(String),
    /// Nothing: the service reports within this time, or is critical.
    Ttl(Duration),
    /// The standard gRPC health service at `host:port`, for a service name (empty: the server).
    Grpc {
        /// `host:port`.
        target: String,
        /// Name asked for.
        service: String,
    },
    /// The worst of another service's or node's checks.
    Alias {
        /// The node; empty for this one.
        node: String,
        /// The service's id; empty for the node's own checks.
        service: String,
    },
    /// Nothing: maintenance mode, critical as long as it is there.
    Maintenance,
}

/// The request of an HTTP check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HttpProbe {
    /// `http://…`.
    pub url: String,
    /// `GET` where none was given.
    pub method: String,
    /// Header fields, each with its values.
    pub header: BTreeMap<String, Vec<String>>,
    /// Body sent.
    pub body: String,
    /// Follow redirects (up to 10).
    pub follow_redirects: bool,
}

impl Definition {
    /// A definition of a probe with everything else at its default.
    pub fn new(probe: Probe) -> Self {
        Definition {
            probe,
            interval: Duration::ZERO,
            timeout: DEFAULT_TIMEOUT,
            success_before_passing: 0,
            failures_before_warning: 0,
            failures_before_critical: 0,
            deregister_after: None,
            output_max_size: 4096,
        }
    }

    /// The word for it in `Type`.
    pub fn type_name(&self) -> &'static str {
        match self.probe {
            Probe::Http(_) => "http",
            Probe::Tcp(_) => "tcp",
            Probe::Ttl(_) => "ttl",
            Probe::Grpc { .. } => "grpc",
            Probe::Alias { .. } => "alias",
            Probe::Maintenance => "maintenance",
        }
    }
}

/// Timeout of a run that was registered without one.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
