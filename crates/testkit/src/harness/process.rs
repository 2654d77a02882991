//! A program that was started: its output kept in a file, ended by signal, measured through `/proc`.
//!
//! Dropping a [`Process`] kills it (SIGKILL) and reaps it, so that a test that fails leaves nothing running.
#![expect(
    clippy::disallowed_methods,
    reason = "the harness stands outside the product: its own files, sockets and clock"
)]

use crate::harness::http;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Clock ticks of `/proc/PID/stat`; 100 on every Linux we run on (`getconf CLK_TCK`).
const TICKS_PER_SECOND: u64 = 100;

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
    started: Instant,
    ended: Option<ExitStatus>,
}

/// What a program that ended left behind.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output and error, in the order written.
    pub output: String,
}

impl Process {
    /// Starts `command`; both its outputs are appended to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name} ({:?})", command.get_program()))?;
        Ok(Process { child, name: name.to_owned(), log: log.to_owned(), started: Instant::now(), ended: None })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What it wrote so far.
    pub fn output(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits until `GET path` on `port` answers 200.
    ///
    /// # Errors
    /// When it ends before, or is not ready within `limit`.
    pub fn wait_ready(&mut self, port: u16, path: &str, limit: Duration) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.try_wait()? {
                bail!("{} ended ({status}) before it was ready: {}", self.name, tail(&self.output()));
            }
            if http::get(port, path).is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("{} is not ready after {limit:?}: {}", self.name, tail(&self.output()));
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL, and waits for its end.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        self.ended = self.child.wait().ok();
    }

    /// Sends a signal by name: `TERM`, `HUP`, `INT`, `STOP`, `CONT`.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.id())).status()?;
        if !status.success() {
            bail!("cannot send SIG{name} to {}", self.name);
        }
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// When it does not end within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.wait(limit)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            sleep(Duration::from_millis(5));
        }
        bail!("{} still runs after {limit:?}: {}", self.name, tail(&self.output()))
    }

    /// Its exit status, when it ended.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Resident memory now, in KiB.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident_kib(&self) -> Result<u64> {
        self.status_kib("VmRSS:")
    }

    /// The most resident memory since the start or the last [`Process::reset_peak`], in KiB.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn peak_kib(&self) -> Result<u64> {
        self.status_kib("VmHWM:")
    }

    /// Begins a new peak.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn reset_peak(&self) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.id()), "5")?)
    }

    fn status_kib(&self, key: &str) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id()))
            .with_context(|| format!("{} is gone: {}", self.name, tail(&self.output())))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)).context("no such line in /proc/PID/status")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }

    /// Processor time used so far, of all its threads; in steps of 10 ms.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // the name in parentheses may hold blanks
        let rest = text.rsplit_once(')').context("no name in /proc/PID/stat")?.1;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks: u64 =
            fields.get(11).context("short")?.parse::<u64>()? + fields.get(12).context("short")?.parse::<u64>()?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill9();
        }
    }
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be started, or does not end within `limit` (it is killed then).
pub fn run(name: &str, command: Command, log: &Path, limit: Duration) -> Result<Ended> {
    let _ = std::fs::remove_file(log);
    let mut process = Process::start(name, command, log)?;
    let status = process.wait(limit)?;
    Ok(Ended { code: status.code(), output: process.output() })
}

/// The last lines of a log, for an error's text.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n  ")
}

/// Calls `probe` every few milliseconds until it gives something; how long that took.
///
/// # Errors
/// When nothing came within `limit`; `what` is named.
pub fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<(T, Duration)> {
    let began = Instant::now();
    loop {
        if let Some(found) = probe() {
            return Ok((found, began.elapsed()));
        }
        if began.elapsed() > limit {
            bail!("{what}: not within {limit:?}");
        }
        sleep(Duration::from_millis(10));
    }
}
