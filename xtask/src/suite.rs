//! `make test`: set-up, checks, every test, and a count of what was skipped and why.
//!
//! Rust tests that lack something print `SKIP name: reason` and pass; those lines are counted here, apart from the passed
//! ones, and the last line says `N passed, N failed, N skipped`.

use crate::{check, machine, page, step};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

#[derive(Default)]
struct Count {
    passed: u64,
    failed: u64,
    skipped: BTreeSet<String>,
    broken: Vec<String>,
}

/// Runs everything; fails when anything did.
pub(crate) fn run(fast: bool) -> Result<()> {
    machine::need("test")?;
    find_outside_data();
    let mut count = Count::default();
    if let Err(error) = page::build().and_then(|()| check::run()) {
        eprintln!("xtask: {error:#}");
        count.failed += 1;
        count.broken.push(format!("{error:#}"));
    }
    rust(&mut count)?;
    page_tests(&mut count, fast)?;
    for line in &count.skipped {
        println!("{line}");
    }
    for line in &count.broken {
        println!("FAILED {line}");
    }
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped.len());
    if count.failed > 0 { bail!("{} failed", count.failed) } else { Ok(()) }
}

/// Sets `ISOBAR_CONFORMANCE` and `ISOBAR_PEERS` to their defaults where those exist.
fn find_outside_data() {
    for (name, default) in [("ISOBAR_CONFORMANCE", "../shared/conformance"), ("ISOBAR_PEERS", "../shared/tools/peers")]
    {
        let path = step::root().join(default);
        if std::env::var_os(name).is_none()
            && let Ok(path) = path.canonicalize()
        {
            // SAFETY: nothing else runs in this process yet.
            #[expect(unsafe_code, reason = "setting a variable for the children; single-threaded here")]
            unsafe {
                std::env::set_var(name, path);
            }
        }
    }
}

fn rust(count: &mut Count) -> Result<()> {
    // no doc tests: examples live in tests, and starting rustdoc fifteen times costs half a minute
    let tests = ["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"];
    // builds the binary too, which integration tests and the browser start; `cargo build --package isobar` would choose other
    // features for shared dependencies and build them a second time
    let mut build = step::cargo(&tests);
    build.arg("--no-run");
    step::run("build", build)?;
    let mut command = step::cargo(&tests);
    command.args(["--", "--show-output"]);
    command.env("ISOBAR_BINARY", step::target().join("debug/isobar"));
    let success = stream("tests", command, count)?;
    if !success && count.failed == 0 {
        count.failed += 1;
        count.broken.push("cargo test failed before its tests ran".to_owned());
    }
    Ok(())
}

fn stream(title: &str, mut command: Command, count: &mut Count) -> Result<bool> {
    eprintln!("── {title}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {title}"))?;
    let output = child.stdout.take().context("no output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(rest) = line.strip_prefix("test result: ") {
            count.passed += number_before(rest, " passed");
            count.failed += number_before(rest, " failed");
        } else if line.starts_with("SKIP ") {
            count.skipped.insert(line.clone());
        } else if line.starts_with("test ") && line.ends_with("FAILED") {
            count.broken.push(line.clone());
        }
        if !line.ends_with("... ok") && !line.is_empty() {
            println!("{line}");
        }
    }
    Ok(child.wait()?.success())
}

fn number_before(text: &str, word: &str) -> u64 {
    let Some(at) = text.find(word) else { return 0 };
    text[..at].rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn page_tests(count: &mut Count, fast: bool) -> Result<()> {
    page::install(&step::root().join("ui"))?;
    for (title, arguments) in
        [("page types", ["run", "--silent", "check"]), ("page units", ["run", "--silent", "test"])]
    {
        note(count, title, step::run(title, page::npm(&arguments)?));
    }
    if fast {
        count.skipped.insert("SKIP browser: left out by --fast".to_owned());
        return Ok(());
    }
    let outcome = browser();
    note(count, "browser", outcome);
    Ok(())
}

fn note(count: &mut Count, title: &str, outcome: Result<()>) {
    match outcome {
        Ok(()) => count.passed += 1,
        Err(error) => {
            count.failed += 1;
            count.broken.push(format!("{title}: {error:#}"));
        }
    }
}

/// Starts the real binary on free ports and lets the browser tests visit it.
fn browser() -> Result<()> {
    let folder = step::target().join("browser-test");
    let _ = std::fs::remove_dir_all(&folder);
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect::<Result<_>>()?;
    let binary = step::target().join("debug/isobar");
    let mut server = Command::new(&binary)
        .arg("up")
        .arg(format!("--data-dir={}", folder.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{}", ports[0]))
        .arg(format!("--registry.listen-address=127.0.0.1:{}", ports[1]))
        .arg(format!("--exporter.listen-address=127.0.0.1:{}", ports[2]))
        .stdout(Stdio::null())
        .stderr(log_file(&folder)?)
        .spawn()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    if let Err(error) = wait_for_samples(ports[0]) {
        let _ = server.kill();
        let _ = server.wait();
        return Err(error);
    }
    let mut npm = page::npm(&["run", "--silent", "browser"])?;
    npm.env("ISOBAR_URL", format!("http://127.0.0.1:{}", ports[0])).env("ISOBAR_BINARY", &binary);
    let outcome = step::run("browser", npm);
    let _ = server.kill();
    let _ = server.wait();
    outcome
}

/// Waits until the server has scraped itself twelve times: Explore's first graph has a step of five seconds, and what the page
/// shows from then on does not depend on how fast this machine starts a debug build.
fn wait_for_samples(port: u16) -> Result<()> {
    let request = format!(
        "GET /api/v1/query?query=min(count_over_time(up%5B1m%5D))%3E%3D12 HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    );
    for _ in 0..300 {
        let mut answer = String::new();
        let asked = TcpStream::connect(("127.0.0.1", port))
            .and_then(|mut stream| stream.write_all(request.as_bytes()).map(|()| stream))
            .and_then(|mut stream| stream.read_to_string(&mut answer));
        if asked.is_ok() && answer.contains("\"value\"") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    bail!("isobar up has no samples after a minute; its log is below the target folder, browser-test/isobar.log")
}

fn log_file(folder: &Path) -> Result<Stdio> {
    std::fs::create_dir_all(folder)?;
    Ok(std::fs::File::create(folder.join("isobar.log"))?.into())
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
