//! Log lines, in the form Prometheus writes them.
//!
//! ```text
//! time=2026-11-21T11:54:48.123Z level=INFO source=tsdb/wal.rs:81 msg="WAL replayed" segments=3 duration=12ms
//! {"time":"2026-11-21T11:54:48.123Z","level":"INFO","source":"tsdb/wal.rs:81","msg":"WAL replayed","segments":3}
//!
//! any thread ── bounded queue ──► one thread ──► stderr
//! ```
//!
//! Never blocks: when the reader of stderr stands still the queue fills, further lines are dropped and counted, and the
//! first line that gets through again says how many. [`LogGuard`] waits at the end for at most [`FLUSH_MAX`].
//! Our own crates log from the chosen level on; libraries only warnings and errors.
//! Limits: [`QUEUE_LINES`] lines; a line is cut at [`LINE_MAX`] bytes.

use crate::clock::Clock;
use crate::instrument::{Counter, Registry};
use std::fmt::{self, Write as _};
use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

/// How many lines may wait for the writer.
pub const QUEUE_LINES: usize = 4096;
/// How long a line may be.
pub const LINE_MAX: usize = 64 * 1024;
/// How long the end of the process waits for lines to be written.
pub const FLUSH_MAX: Duration = Duration::from_secs(1);

/// `--log.format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "logfmt" => Ok(Format::Logfmt),
            "json" => Ok(Format::Json),
            other => Err(format!("unrecognized log format {other:?}: must be one of logfmt, json")),
        }
    }
}

/// `--log.level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Everything.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What is odd.
    Warn,
    /// What failed.
    Error,
}

impl FromStr for Level {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "debug" => Ok(Level::Debug),
            "info" => Ok(Level::Info),
            "warn" => Ok(Level::Warn),
            "error" => Ok(Level::Error),
            other => Err(format!("unrecognized log level {other:?}: must be one of debug, info, warn, error")),
        }
    }
}

impl Level {
    fn filter(self) -> LevelFilter {
        match self {
            Level::Debug => LevelFilter::DEBUG,
            Level::Info => LevelFilter::INFO,
            Level::Warn => LevelFilter::WARN,
            Level::Error => LevelFilter::ERROR,
        }
    }
}

enum Message {
    Line(String),
    Flush(SyncSender<()>),
}

/// Turns events into lines; install it with [`Logger::install`].
#[derive(Debug)]
pub struct Logger {
    format: Format,
    level: LevelFilter,
    clock: Clock,
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    written: [Counter; 4],
    /// Prefixes of the targets that are ours: crate names.
    ours: &'static [&'static str],
}

/// Waits, when dropped, until the lines before it are written (at most [`FLUSH_MAX`]).
#[derive(Debug)]
pub struct LogGuard(SyncSender<Message>);

impl Logger {
    /// Starts the writing thread over `sink`. `ours` are the names of the crates that log from `level` on.
    pub fn start(
        format: Format,
        level: Level,
        ours: &'static [&'static str],
        clock: &Clock,
        registry: &Registry,
        sink: impl Write + Send + 'static,
    ) -> std::io::Result<(Logger, LogGuard)> {
        let (queue, lines) = sync_channel(QUEUE_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let counts = registry.counter_vec("isobar_log_lines_total", "Log lines, by level.", &["level"]);
        let lost = registry.counter("isobar_log_lines_dropped_total", "Log lines lost because nobody read them.");
        let writer = Writer { lines, sink, dropped: dropped.clone(), lost, format, clock: clock.clone() };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
        let written = ["error", "warn", "info", "debug"].map(|level| counts.with(&[level]));
        let guard = LogGuard(queue.clone());
        Ok((Logger { format, level: level.filter(), clock: clock.clone(), queue, dropped, written, ours }, guard))
    }

    /// Makes this the process' logger. False when there is one already.
    pub fn install(self) -> bool {
        tracing::subscriber::set_global_default(self).is_ok()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let (done, wait) = sync_channel(1);
        // a full queue means that nobody reads: nothing to wait for
        if self.0.try_send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(FLUSH_MAX);
        }
    }
}

impl Subscriber for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if !metadata.is_event() {
            return false;
        }
        let crate_name = metadata.target().split("::").next().unwrap_or_default();
        let limit = if self.ours.contains(&crate_name) { self.level } else { self.level.min(LevelFilter::WARN) };
        *metadata.level() <= limit
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            tracing::Level::ERROR => 0,
            tracing::Level::WARN => 1,
            tracing::Level::INFO => 2,
            _ => 3,
        };
        self.written[level].inc();
        let source = source(metadata.file().unwrap_or("unknown"), metadata.line().unwrap_or(0));
        let time = model::rfc3339::format_millis(self.clock.now());
        let mut line = Line::start(self.format, &time, ["ERROR", "WARN", "INFO", "DEBUG"][level], &source);
        let mut message = MessageField(String::new());
        event.record(&mut message);
        line.text("msg", &message.0);
        event.record(&mut line);
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Message::Line(line.finish())) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// `crates/tsdb/src/wal/writer.rs` → `tsdb/wal/writer.rs:81`.
fn source(file: &str, line: u32) -> String {
    let tail = file.rsplit_once("crates/").map_or(file, |(_, tail)| tail);
    format!("{}:{line}", tail.replacen("/src/", "/", 1))
}

struct Writer<W> {
    lines: Receiver<Message>,
    sink: W,
    dropped: Arc<AtomicU64>,
    lost: Counter,
    format: Format,
    clock: Clock,
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        while let Ok(message) = self.lines.recv() {
            match message {
                // there is nowhere to say that stderr cannot be written
                Message::Line(line) => drop(self.sink.write_all(line.as_bytes())),
                Message::Flush(done) => {
                    let _ = self.sink.flush();
                    let _ = done.try_send(());
                }
            }
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                self.lost.inc_by(dropped);
                let time = model::rfc3339::format_millis(self.clock.now());
                let mut line = Line::start(self.format, &time, "WARN", &source(file!(), line!()));
                line.text("msg", "log lines dropped because the log was not read fast enough");
                line.raw("lines", format_args!("{dropped}"));
                let _ = self.sink.write_all(line.finish().as_bytes());
            }
        }
    }
}

/// A line being written.
struct Line {
    format: Format,
    text: String,
}

impl Line {
    fn start(format: Format, time: &str, level: &str, source: &str) -> Self {
        let mut line = Line { format, text: String::with_capacity(160) };
        if format == Format::Json {
            line.text.push('{');
        }
        line.text("time", time);
        line.text("level", level);
        line.text("source", source);
        line
    }

    fn key(&mut self, key: &str) {
        let first = self.text.len() <= 1;
        match self.format {
            Format::Logfmt => {
                self.text.push_str(if first { "" } else { " " });
                self.text.push_str(key);
                self.text.push('=');
            }
            Format::Json => {
                self.text.push_str(if first { "" } else { "," });
                push_json(&mut self.text, key);
                self.text.push(':');
            }
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        match self.format {
            Format::Json => push_json(&mut self.text, value),
            Format::Logfmt if needs_quotes(value) => self.text.push_str(&model::go_text::quote(value)),
            Format::Logfmt => self.text.push_str(value),
        }
    }

    /// A number or truth value: no quotes in either form.
    fn raw(&mut self, key: &str, value: fmt::Arguments<'_>) {
        self.key(key);
        // writing into a String cannot fail
        let _ = self.text.write_fmt(value);
    }

    fn finish(mut self) -> String {
        if self.text.len() > LINE_MAX {
            let mut cut = LINE_MAX;
            while !self.text.is_char_boundary(cut) {
                cut -= 1;
            }
            self.text.truncate(cut);
            self.text.push_str("…\n");
            return self.text;
        }
        self.text.push_str(if self.format == Format::Json { "}\n" } else { "\n" });
        self.text
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != "message" {
            self.text(field.name(), value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.raw(field.name(), format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.raw(field.name(), format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match self.format {
            // JSON has no NaN and no infinity
            Format::Json if !value.is_finite() => self.text(field.name(), &value.to_string()),
            _ => self.raw(field.name(), format_args!("{value}")),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.raw(field.name(), format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "message" {
            self.text(field.name(), &format!("{value:?}"));
        }
    }
}

struct MessageField(String);

impl Visit for MessageField {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// As Go's `slog` decides: empty, or anything that is a space, a quote, `=` or not printable.
fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.chars().any(|c| c <= ' ' || c == '"' || c == '=' || c == '\u{7f}' || (c.is_control()))
}

fn push_json(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Makes a panic end with one line that names the part that panicked, past the queue: the process is about to abort.
pub fn name_part_in_panics(clock: Clock, format: Format) {
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let part = crate::shutdown::current_part().or(thread.name()).unwrap_or("unknown");
        let place = panic.location().map_or_else(|| "unknown".to_owned(), |at| source(at.file(), at.line()));
        let text = panic.payload_as_str().unwrap_or("no text");
        let mut line = Line::start(format, &model::rfc3339::format_millis(clock.now()), "ERROR", &place);
        line.text("msg", "panic: the process ends");
        line.text("part", part);
        line.text("panic", text);
        let _ = std::io::stderr().write_all(line.finish().as_bytes());
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, level: Level, log: impl FnOnce()) -> String {
        let clock = Clock::manual(model::Timestamp(1_795_262_088_120));
        let sink = Sink::default();
        let (logger, guard) =
            Logger::start(format, level, &["runtime"], &clock, &Registry::new(clock.clone()), sink.clone())
                .expect("thread starts");
        tracing::subscriber::with_default(logger, log);
        drop(guard);
        let text = String::from_utf8(sink.0.lock().clone()).expect("lines are text");
        // line numbers move with the file
        let cut = |line: &str| match (line.find("logging.rs:"), line.find("msg")) {
            (Some(from), Some(to)) => {
                let digits = line[from + 11..to].trim_start_matches(|c: char| c.is_ascii_digit());
                format!("{}N{digits}{}\n", &line[..from + 11], &line[to..])
            }
            _ => format!("{line}\n"),
        };
        text.lines().map(cut).collect()
    }

    #[test]
    fn logfmt_as_slog_writes_it() {
        let lines = logged(Format::Logfmt, Level::Info, || {
            tracing::info!(segments = 3, took = "12ms", path = "a b", empty = "", ratio = 0.5, "WAL replayed");
            tracing::warn!(err = %"no \"x\"", "bad=thing");
            tracing::debug!("unseen");
        });
        assert_eq!(
            lines,
            "time=2026-11-21T11:54:48.120Z level=INFO source=runtime/logging.rs:N msg=\"WAL replayed\" segments=3 took=12ms path=\"a b\" empty=\"\" ratio=0.5\n\
             time=2026-11-21T11:54:48.120Z level=WARN source=runtime/logging.rs:N msg=\"bad=thing\" err=\"no \\\"x\\\"\"\n"
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let lines =
            logged(Format::Json, Level::Debug, || tracing::debug!(n = 1, nan = f64::NAN, text = "a\n\"b\"", "it is"));
        assert_eq!(
            lines,
            "{\"time\":\"2026-11-21T11:54:48.120Z\",\"level\":\"DEBUG\",\"source\":\"runtime/logging.rs:N\",\"msg\":\"it is\",\"n\":1,\"nan\":\"NaN\",\"text\":\"a\\n\\\"b\\\"\"}\n"
        );
    }

    #[test]
    fn libraries_log_warnings_only() {
        let lines = logged(Format::Logfmt, Level::Debug, || {
            tracing::info!(target: "hyper::proto", "chatter");
            tracing::warn!(target: "hyper::proto", "trouble");
        });
        assert_eq!(lines.lines().count(), 1);
        assert!(lines.contains("trouble"));
    }

    #[test]
    fn long_lines_are_cut() {
        let lines = logged(Format::Logfmt, Level::Info, || tracing::info!(text = "ä".repeat(LINE_MAX), "long"));
        assert!(lines.len() < LINE_MAX + 100 && lines.ends_with("…\n"));
    }

    /// A sink that accepts nothing until it is told to.
    struct Stuck(Receiver<()>, Sink);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_not_time() {
        let clock = Clock::system();
        let (release, wait) = sync_channel(0);
        let sink = Sink::default();
        let (logger, guard) = Logger::start(
            Format::Logfmt,
            Level::Info,
            &["runtime"],
            &clock,
            &Registry::new(clock.clone()),
            Stuck(wait, sink.clone()),
        )
        .expect("thread starts");
        let start = clock.instant();
        tracing::subscriber::with_default(logger, || {
            for n in 0..QUEUE_LINES + 100 {
                tracing::info!(n, "line");
            }
        });
        assert!(clock.elapsed(start) < Duration::from_secs(1));
        drop(release);
        while !String::from_utf8_lossy(&sink.0.lock()).contains("log lines dropped") {
            assert!(clock.elapsed(start) < Duration::from_secs(10), "no word about dropped lines");
            std::thread::yield_now();
        }
        drop(guard);
    }
}
