//! What a listener is told.

use model::regex::{Regex, RegexError};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// One listener.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The part that listens, for logs and metrics: `server`, `registry`, `exporter`.
    pub part: &'static str,
    /// `host:port`; an empty host is every address.
    pub listen: String,
    /// The flag that moves this listener, named when the port is taken.
    pub listen_flag: &'static str,
    /// The flag that adds a host name, named when one is refused.
    pub hosts_flag: &'static str,
    /// How many connections at most. Default 512.
    pub max_connections: usize,
    /// How long a request's body may take to arrive, and how long an idle connection is kept. Default 5 m.
    pub read_timeout: Duration,
    /// How long a request's head may take to arrive. Default 10 s.
    pub head_timeout: Duration,
    /// How long an answer may stand still because the client does not read. Default 1 m.
    pub write_timeout: Duration,
    /// How long requests in progress may take after a stop. Default 10 s.
    pub stop_limit: Duration,
    /// The largest body of any route, in bytes. Default 64 MiB.
    pub body_max: u64,
    /// How many bytes of bodies all requests in progress may hold together; beyond it a request gets 503. Default 256 MiB.
    pub bodies_max: u64,
    /// Which `Host` is answered. Default: addresses, `localhost`, this machine's own name.
    pub hosts: HostPolicy,
    /// Which foreign pages may read answers; `None`: none.
    pub cors: Option<CorsOrigin>,
    /// Paths (after the prefix) that only read although they are asked by POST: CORS applies to them as to GET.
    pub read_posts: &'static [&'static str],
    /// Served below this path; empty, or `/x` without a slash at the end.
    pub route_prefix: String,
    /// What request metrics begin with: `prometheus` gives `prometheus_http_requests_total`.
    pub metrics_prefix: &'static str,
}

impl ServerConfig {
    /// The defaults, for a part that listens on `listen`.
    pub fn new(part: &'static str, listen: &str) -> Self {
        ServerConfig {
            part,
            listen: listen.to_owned(),
            listen_flag: "--web.listen-address",
            hosts_flag: "--web.allowed-hosts",
            max_connections: 512,
            read_timeout: Duration::from_secs(300),
            head_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            stop_limit: Duration::from_secs(10),
            body_max: 64 << 20,
            bodies_max: 256 << 20,
            hosts: HostPolicy::new::<&str>([]),
            cors: None,
            read_posts: &[],
            route_prefix: String::new(),
            metrics_prefix: "prometheus",
        }
    }
}

/// Which `Host` is answered: IP literals, `localhost`, this machine's own name, and those named here. A web page that
/// rebinds its own name to 127.0.0.1 sends that name and gets 421.
#[derive(Clone, Debug, Default)]
pub struct HostPolicy {
    names: Vec<String>,
    suffixes: Vec<String>,
    any: bool,
}

impl HostPolicy {
    /// The names of this machine, and `allowed` ones: names, `*.suffix`, or `*` for every host.
    pub fn new<S: AsRef<str>>(allowed: impl IntoIterator<Item = S>) -> Self {
        let mut policy = HostPolicy::default();
        policy.allow(&runtime::limit::hostname());
        for host in allowed {
            policy.allow(host.as_ref());
        }
        policy
    }

    /// Answers `host` too.
    pub fn allow(&mut self, host: &str) {
        let host = normal(host);
        match host.strip_prefix('*') {
            Some("") => self.any = true,
            Some(suffix) => self.suffixes.push(suffix.to_owned()),
            None if host.is_empty() => {}
            None => self.names.push(host),
        }
    }

    /// Whether a `Host` header (with or without port) is answered.
    pub fn accepts(&self, header: &str) -> bool {
        let host = normal(host_of(header));
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(&host);
        self.any
            || bare.parse::<IpAddr>().is_ok()
            || host == "localhost"
            || host.ends_with(".localhost")
            || self.names.contains(&host)
            || self.suffixes.iter().any(|suffix| host.len() > suffix.len() && host.ends_with(suffix.as_str()))
    }
}

/// `host:port` without the port.
pub(super) fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => authority,
    }
}

/// Lower case, without the dot that ends a fully qualified name.
fn normal(host: &str) -> String {
    let host = host.trim().to_ascii_lowercase();
    host.strip_suffix('.').map(str::to_owned).unwrap_or(host)
}

/// `--web.cors.origin`: a regular expression, anchored.
#[derive(Clone, Debug)]
pub struct CorsOrigin(Arc<Regex>);

impl CorsOrigin {
    /// Compiles the expression.
    pub fn new(expression: &str) -> Result<Self, RegexError> {
        Ok(CorsOrigin(Arc::new(Regex::anchored(expression)?)))
    }

    /// Whether pages of `origin` may read answers.
    pub fn allows(&self, origin: &str) -> bool {
        self.0.is_match(origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_rebound_are_refused() {
        let policy = HostPolicy::new(["metrics.example.com", "*.lan"]);
        let own = runtime::limit::hostname();
        for host in [
            "127.0.0.1:9090",
            "[::1]:9090",
            "::1",
            "localhost",
            "LocalHost.:1",
            "a.localhost",
            &own,
            "metrics.example.com:80",
            "box.lan",
        ] {
            assert!(policy.accepts(host), "{host} refused");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:9090",
            ".lan",
            "",
            "metrics.example.com.evil",
            "[evil]",
        ] {
            assert!(!policy.accepts(host), "{host} accepted");
        }
        assert!(HostPolicy::new(["*"]).accepts("evil.example"));
    }
}
