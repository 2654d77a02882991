//! `make test`: set-up, checks, every test, and a count of what was skipped and why.
//!
//! Tests that lack something print `SKIP name: reason` and pass; those lines are counted apart from the passed ones, and the
//! last line says `N passed, N failed, N skipped`.

use crate::{check, machine, page, rust_tests, step};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::io::{Read, Write};
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
    let outcome = rust_tests::run(&step::target().join("debug/isobar"))?;
    count.passed += outcome.passed;
    count.failed += outcome.failed;
    count.skipped.extend(outcome.skipped);
    count.broken.extend(outcome.broken);
    Ok(())
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
    // held together, or one might come twice
    let held: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let ports: Vec<u16> = held.iter().map(|port| Ok(port.local_addr()?.port())).collect::<Result<_>>()?;
    drop(held);
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
    if let Err(error) = wait_until_ready(ports[0]) {
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

/// Waits until the server answers: what a person would do before opening the page.
fn wait_until_ready(port: u16) -> Result<()> {
    let request = format!("GET /-/ready HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    for _ in 0..300 {
        let mut answer = String::new();
        let asked = TcpStream::connect(("127.0.0.1", port))
            .and_then(|mut stream| stream.write_all(request.as_bytes()).map(|()| stream))
            .and_then(|mut stream| stream.read_to_string(&mut answer));
        if asked.is_ok() && answer.split_whitespace().nth(1) == Some("200") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    bail!("isobar up is not ready after a minute; its log is below the target folder, browser-test/isobar.log")
}

fn log_file(folder: &Path) -> Result<Stdio> {
    std::fs::create_dir_all(folder)?;
    Ok(std::fs::File::create(folder.join("isobar.log"))?.into())
}
