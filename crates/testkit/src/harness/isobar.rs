//! Roles of the binary under test, and the originals beside it, each on a free port with a folder of its own.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own files")]

use crate::harness::api::Api;
use crate::harness::place;
use crate::harness::process::Process;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a role may take to be ready; a debug build replays slowly.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// A running role: its process, its port, and how to start it again.
#[derive(Debug)]
pub struct Role {
    /// The process.
    pub process: Process,
    /// Where it answers.
    pub port: u16,
    launch: Launch,
}

/// How a role is started.
#[derive(Clone, Debug)]
pub struct Launch {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    port: u16,
    ready: &'static str,
}

impl Launch {
    /// Any program that answers `ready` with 200 on `port` when it is there; its log is `NAME.log` in `folder`.
    pub fn new(name: &str, program: &Path, folder: &Path, port: u16, ready: &'static str) -> Self {
        let (name, program, folder) = (name.to_owned(), program.to_owned(), folder.to_owned());
        Launch { name, program, arguments: Vec::new(), folder, port, ready }
    }

    /// With more arguments.
    #[must_use]
    pub fn with<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The command line.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        command
    }

    /// The command line of a child that the system kills when the thread that started it ends: a run that is cut leaves no
    /// server that holds the data directory of the run that goes on. Without `setpriv` (util-linux) it is the plain one.
    fn bound_command(&self) -> Command {
        const SETPRIV: &str = "/usr/bin/setpriv";
        if !Path::new(SETPRIV).exists() {
            return self.command();
        }
        let mut command = Command::new(SETPRIV);
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program).args(&self.arguments).current_dir(&self.folder);
        command
    }

    /// Where it will answer.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where both its outputs go.
    pub fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it ends, or is not ready within a minute.
    pub fn start(self) -> Result<Role> {
        let mut role = self.start_unready()?;
        role.process.wait_ready(role.port, role.launch.ready, READY_LIMIT)?;
        Ok(role)
    }

    /// Starts it without waiting.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_unready(self) -> Result<Role> {
        std::fs::create_dir_all(&self.folder)?;
        let process = Process::start(&self.name, self.bound_command(), &self.log())?;
        Ok(Role { process, port: self.port, launch: self })
    }
}

impl Role {
    /// Starts the same again, on the same port and folder.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.process.kill9();
        *self = self.launch.clone().start()?;
        Ok(())
    }

    /// A client of it.
    pub fn api(&self) -> Api {
        Api::new(self.port)
    }
}

/// `isobar server` on `folder/data`, with this configuration file.
///
/// # Errors
/// When no port is free or the file cannot be written.
pub fn server(binary: &Path, folder: &Path, config: &str, flags: &[&str]) -> Result<Launch> {
    prometheus_like("server", binary, &["server"], folder, config, flags)
}

/// The original Prometheus, the same way.
///
/// # Errors
/// As [`server`].
pub fn prometheus(program: &Path, folder: &Path, config: &str, flags: &[&str]) -> Result<Launch> {
    prometheus_like("prometheus", program, &[], folder, config, flags)
}

fn prometheus_like(
    name: &str,
    program: &Path,
    role: &[&str],
    folder: &Path,
    config: &str,
    flags: &[&str],
) -> Result<Launch> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, config).with_context(|| format!("cannot write {}", file.display()))?;
    let port = place::free_port()?;
    Ok(Launch::new(name, program, folder, port, "/-/ready")
        .with(role.iter().copied())
        .with([
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ])
        .with(flags.iter().copied()))
}

/// `isobar registry` on `folder/registry`.
///
/// # Errors
/// When no port is free.
pub fn registry(binary: &Path, folder: &Path) -> Result<Launch> {
    let port = place::free_port()?;
    Ok(Launch::new("registry", binary, folder, port, "/v1/status/leader").with([
        "registry".to_owned(),
        format!("-http-port={port}"),
        format!("-data-dir={}", folder.join("registry").display()),
    ]))
}

/// `isobar exporter node`.
///
/// # Errors
/// When no port is free.
pub fn node_exporter(binary: &Path, folder: &Path, flags: &[&str]) -> Result<Launch> {
    let port = place::free_port()?;
    Ok(Launch::new("exporter", binary, folder, port, "/")
        .with(["exporter".to_owned(), "node".to_owned(), format!("--web.listen-address=127.0.0.1:{port}")])
        .with(flags.iter().copied()))
}

/// `isobar up` and the ports of its three parts.
#[derive(Debug)]
pub struct Up {
    /// The process; its port is the page's and the server's.
    pub role: Role,
    /// The registry's port.
    pub registry: u16,
    /// The node exporter's port.
    pub exporter: u16,
}

/// How to start `isobar up` on `folder/isobar-data`, and the ports of registry and exporter.
///
/// # Errors
/// When no ports are free.
pub fn up(binary: &Path, folder: &Path, flags: &[&str]) -> Result<(Launch, u16, u16)> {
    std::fs::create_dir_all(folder)?;
    let (page, registry, exporter) = (place::free_port()?, place::free_port()?, place::free_port()?);
    let launch = Launch::new("up", binary, folder, page, "/-/ready")
        .with([
            "up".to_owned(),
            format!("--data-dir={}", folder.join("isobar-data").display()),
            format!("--web.listen-address=127.0.0.1:{page}"),
            format!("--registry.listen-address=127.0.0.1:{registry}"),
            format!("--exporter.listen-address=127.0.0.1:{exporter}"),
        ])
        .with(flags.iter().copied());
    Ok((launch, registry, exporter))
}

/// Starts `isobar up` and waits until it is ready.
///
/// # Errors
/// As [`Launch::start`].
pub fn start_up(binary: &Path, folder: &Path, flags: &[&str]) -> Result<Up> {
    let (launch, registry, exporter) = up(binary, folder, flags)?;
    Ok(Up { role: launch.start()?, registry, exporter })
}

/// A configuration with one job `t` that scrapes `targets` (addresses with a path each) every `interval`.
pub fn scrape_config(interval: &str, exporter: u16, targets: usize) -> String {
    let mut config = format!("global:\n  scrape_interval: {interval}\n  scrape_timeout: {interval}\nscrape_configs:\n");
    config.push_str("- job_name: t\n  static_configs:\n");
    for n in 0..targets {
        config.push_str(&format!(
            "  - targets: ['127.0.0.1:{exporter}']\n    labels: {{target: '{n}', __metrics_path__: /t/{n}/metrics}}\n"
        ));
    }
    config
}
