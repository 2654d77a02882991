//! The other side: a server started for one test, and plain sockets that speak to it.

use axum::Router;
use net::server::{Listener, Server, ServerConfig};
use runtime::clock::Clock;
use runtime::instrument::{Registry, Value};
use runtime::shutdown::Shutdown;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) registry: Registry,
    pub(crate) shutdown: Shutdown,
    pub(crate) done: tokio::task::JoinHandle<()>,
}

pub(crate) async fn start(config: ServerConfig, routes: Router) -> Running {
    let clock = Clock::system();
    let registry = Registry::new(clock.clone());
    let listener = Listener::bind(&config).await.expect("a free port");
    let address = listener.local_addr();
    let server = Server::new(listener, config, routes, &clock, &registry);
    let shutdown = Shutdown::new();
    let stop = shutdown.clone();
    let done = tokio::spawn(async move { server.run(&stop).await });
    Running { address, registry, shutdown, done }
}

pub(crate) fn config() -> ServerConfig {
    ServerConfig::new("test", "127.0.0.1:0")
}

impl Running {
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout set");
        stream
    }

    /// Sends `request` on a new connection and reads to its end; `\n` in the request is CRLF on the wire.
    pub(crate) async fn exchange(&self, request: &str) -> String {
        let (mut stream, request) = (self.connect(), request.replace('\n', "\r\n"));
        tokio::task::spawn_blocking(move || {
            stream.write_all(request.as_bytes()).expect("sent");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).expect("answered");
            String::from_utf8_lossy(&answer).into_owned()
        })
        .await
        .expect("exchange ended")
    }

    /// `GET path` with extra header lines.
    pub(crate) async fn get(&self, path: &str, headers: &str) -> String {
        self.exchange(&format!("GET {path} HTTP/1.1\nHost: localhost\nConnection: close\n{headers}\n")).await
    }

    /// The sum of a family's numbers over the series with `label="value"`.
    pub(crate) fn metric(&self, name: &str, label: &str, value: &str) -> f64 {
        let families = self.registry.gather();
        let series = families.iter().filter(|f| f.name == name).flat_map(|f| &f.series);
        let wanted = series.filter(|s| s.labels.value(label) == value);
        wanted
            .map(|s| match &s.value {
                Value::Number(n) => *n,
                Value::Histogram { count, .. } | Value::Summary { count, .. } => *count as f64,
            })
            .sum()
    }
}

pub(crate) fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

pub(crate) fn header<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
