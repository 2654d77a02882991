//! A scripted exporter: many targets on one port, every sample computable afterwards.
//!
//! `/t/N/metrics` is target N. A page is a function of target and hour, so that a sample read back tells which visit made it:
//! nothing needs to be kept but the list of visits. Other pages are bodies of any size, by length, chunked or gzipped.
//! One thread per connection; the connections are the scrapers' own.
#![expect(clippy::disallowed_methods, reason = "the harness stands outside the product: its own sockets and clock")]

use crate::harness::machine::now_ms;
use anyhow::Result;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a path answers.
pub enum Reply {
    /// A page of metrics.
    Page(String),
    /// `bytes` of text that never ends a line too soon, sent in one of three ways.
    Huge {
        /// How many bytes, before compression.
        bytes: u64,
        /// How they travel.
        way: Way,
    },
    /// Any status with a text.
    Status(u16, String),
}

/// How a huge body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// With `Content-Length`.
    Length,
    /// In chunks.
    Chunked,
    /// Gzipped, in chunks.
    Gzip,
}

/// One answered visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The target.
    pub target: usize,
    /// The stamp in the page: milliseconds since the script's epoch.
    pub stamp: i64,
    /// When the last byte was handed to the kernel, milliseconds since 1970.
    pub answered_ms: i64,
}

type Script = dyn Fn(&str) -> Reply + Send + Sync;

struct Shared {
    script: Box<Script>,
    stop: AtomicBool,
    requests: AtomicU64,
    visits: Mutex<Vec<Visit>>,
}

/// A running exporter; ends with the value.
pub struct Exporter {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
}

impl Exporter {
    /// Answers every path by `script`, on `port` (0: a free one).
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn start(port: u16, script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            stop: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            visits: Mutex::new(Vec::new()),
        });
        let all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if all.stop.load(Ordering::Relaxed) {
                    break;
                }
                let shared = Arc::clone(&all);
                // a scraper that goes away ends its connection
                let _ = std::thread::Builder::new().stack_size(128 << 10).spawn(move || serve(stream, &shared));
            }
        });
        Ok(Exporter { port, shared })
    }

    /// Targets `/t/N/metrics` of `series` samples each: `script_row{i="…"}` = stamp × 1000 + i, where the stamp is milliseconds
    /// since `epoch_ms`; visits are kept.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub fn rows(port: u16, series: usize, epoch_ms: i64) -> Result<Self> {
        Exporter::start(port, move |path| match target_of(path) {
            Some(_) => Reply::Page(row_page(series, now_ms() - epoch_ms)),
            None => Reply::Status(404, "no such target\n".to_owned()),
        })
    }

    /// How many requests were answered.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Takes the visits since the last call.
    pub fn take_visits(&self) -> Vec<Visit> {
        std::mem::take(&mut *self.shared.visits.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// The target a path names.
pub fn target_of(path: &str) -> Option<usize> {
    path.strip_prefix("/t/")?.split('/').next()?.parse().ok()
}

/// A page of [`Exporter::rows`].
pub fn row_page(series: usize, stamp: i64) -> String {
    let mut page = String::with_capacity(series * 40 + 64);
    page.push_str("# TYPE script_row gauge\n");
    for i in 0..series {
        let _ = writeln!(page, "script_row{{i=\"{i}\"}} {}", stamp * 1000 + i as i64);
    }
    page
}

fn serve(stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Some(path) = read_request(&mut reader) {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let reply = (shared.script)(&path);
        let stamp = match &reply {
            Reply::Page(page) => stamp_of(page),
            _ => None,
        };
        if send(&mut writer, &reply).is_err() {
            return;
        }
        shared.requests.fetch_add(1, Ordering::Relaxed);
        if let (Some(target), Some(stamp)) = (target_of(&path), stamp) {
            let visit = Visit { target, stamp, answered_ms: now_ms() };
            shared.visits.lock().unwrap_or_else(PoisonError::into_inner).push(visit);
        }
    }
}

/// The stamp of a row page, from its first sample.
fn stamp_of(page: &str) -> Option<i64> {
    let line = page.lines().find(|line| line.starts_with("script_row{"))?;
    line.rsplit(' ').next()?.parse::<i64>().ok().map(|value| value / 1000)
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|n| *n > 0)?;
        if header.trim().is_empty() {
            return Some(path);
        }
    }
}

const TYPE: &str = "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n";

fn send(writer: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    match reply {
        Reply::Page(page) => {
            let head = format!("HTTP/1.1 200 OK\r\n{TYPE}Content-Length: {}\r\n\r\n", page.len());
            writer.write_all(&[head.as_bytes(), page.as_bytes()].concat())
        }
        Reply::Status(status, text) => {
            let head =
                format!("HTTP/1.1 {status} {}\r\n{TYPE}Content-Length: {}\r\n\r\n{text}", reason(*status), text.len());
            writer.write_all(head.as_bytes())
        }
        Reply::Huge { bytes, way: Way::Length } => {
            write!(writer, "HTTP/1.1 200 OK\r\n{TYPE}Content-Length: {bytes}\r\n\r\n")?;
            huge(writer, *bytes)
        }
        Reply::Huge { bytes, way: Way::Chunked } => {
            write!(writer, "HTTP/1.1 200 OK\r\n{TYPE}Transfer-Encoding: chunked\r\n\r\n")?;
            let mut chunks = Chunks { writer };
            huge(&mut chunks, *bytes)?;
            writer.write_all(b"0\r\n\r\n")
        }
        Reply::Huge { bytes, way: Way::Gzip } => {
            write!(writer, "HTTP/1.1 200 OK\r\n{TYPE}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            let mut packed = flate2::write::GzEncoder::new(Chunks { writer }, flate2::Compression::fast());
            huge(&mut packed, *bytes)?;
            packed.finish()?;
            writer.write_all(b"0\r\n\r\n")
        }
    }
}

/// The usual words for a status.
fn reason(status: u16) -> &'static str {
    match status {
        404 => "Not Found",
        503 => "Service Unavailable",
        _ => "Unnamed",
    }
}

struct Chunks<'a> {
    writer: &'a mut TcpStream,
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if !bytes.is_empty() {
            write!(self.writer, "{:x}\r\n", bytes.len())?;
            self.writer.write_all(bytes)?;
            self.writer.write_all(b"\r\n")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

/// Valid samples, each of another series, `bytes` in all; blocks of 64 KiB.
fn huge(writer: &mut impl Write, bytes: u64) -> std::io::Result<()> {
    let (mut left, mut number) = (bytes, 0u64);
    let mut block = String::with_capacity(66 << 10);
    while left > 0 {
        block.clear();
        while block.len() < 64 << 10 {
            let _ = writeln!(block, "script_huge{{number=\"{number:012}\"}} {number}");
            number += 1;
        }
        let take = (block.len() as u64).min(left) as usize;
        writer.write_all(&block.as_bytes()[..take])?;
        left -= take as u64;
    }
    Ok(())
}
