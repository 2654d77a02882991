//! Must show 7, third part: 600 idle connections and 200 that send a byte a second; a new client is answered within a second.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own sockets and clock")]

use super::Run;
use crate::harness::http;
use crate::harness::isobar;
use crate::harness::place;
use anyhow::{Result, ensure};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

const IDLE: usize = 600;
const SLOW: usize = 200;
/// Longer than the limit for request headers (10 s), so that both sides of it are seen.
const LASTS: Duration = Duration::from_secs(15);

pub(super) fn run(run: &mut Run) -> Result<()> {
    let binary = place::binary()?;
    let folder = run.fresh_folder("server")?;
    let server = isobar::server(&binary, &folder, "global: {}\n", &[])?.start()?;
    let (slowest, answered) = besiege(server.port, "/api/v1/query?query=1%2B1")?;
    run.at_most("server: slowest answer to a new client", slowest, "ms", 1000.0);
    run.note("server: new clients answered meanwhile", answered.to_string());
    let registry = isobar::registry(&binary, &folder)?.start()?;
    let (slowest, answered) = besiege(registry.port, "/v1/catalog/services")?;
    run.at_most("registry: slowest answer to a new client", slowest, "ms", 1000.0);
    run.note("registry: new clients answered meanwhile", answered.to_string());
    Ok(())
}

/// Holds the connections and asks as a new client again and again: the slowest answer in ms, and how many came.
fn besiege(port: u16, path: &str) -> Result<(f64, usize)> {
    let open = || TcpStream::connect(("127.0.0.1", port));
    let idle: Vec<TcpStream> = (0..IDLE).map(|_| open()).collect::<std::io::Result<_>>()?;
    let mut slow: Vec<TcpStream> = (0..SLOW).map(|_| open()).collect::<std::io::Result<_>>()?;
    let stop = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&stop);
    let dripping = std::thread::spawn(move || {
        let request: Vec<u8> = b"GET /api/v1/query?query=1 HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
            .iter()
            .copied()
            .chain([b'x'; 4096])
            .collect();
        for byte in request {
            if until.load(Ordering::Relaxed) {
                break;
            }
            // a connection that was closed is opened anew, as a persistent attacker would
            for stream in &mut slow {
                if stream.write_all(&[byte]).is_err()
                    && let Ok(fresh) = TcpStream::connect(("127.0.0.1", port))
                {
                    *stream = fresh;
                }
            }
            sleep(Duration::from_secs(1));
        }
    });
    let (began, mut slowest, mut answered) = (Instant::now(), Duration::ZERO, 0);
    while began.elapsed() < LASTS {
        let asked = Instant::now();
        let answer = http::get(port, path)?;
        ensure!(answer.status == 200, "status {}", answer.status);
        slowest = slowest.max(asked.elapsed());
        answered += 1;
        sleep(Duration::from_millis(100));
    }
    stop.store(true, Ordering::Relaxed);
    let _ = dripping.join();
    drop(idle);
    Ok((slowest.as_secs_f64() * 1000.0, answered))
}
