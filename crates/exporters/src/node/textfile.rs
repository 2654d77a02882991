//! Collector `textfile`: metrics that other programs leave in files. Source: `*.prom` in the directories of the flags.
//!
//! ```text
//! directories (globs) → *.prom → families ─┬─ same name in several files: one family, if the help agrees
//!                                          └─ rendered once, shown until a file appears, changes or goes
//! ```
//!
//! A file that can not be read, or that has timestamps, is left out whole and `node_textfile_scrape_error` is 1. So it is when
//! two files give a family different help; the first one stands. A type that differs and a metric that is there twice are
//! left out with a line in the log. A family that the exporter has itself is left out too: its own stands.
//! Limits: [`FILE_MAX`] bytes a file, [`FILES_MAX`] files.
//! Cost: one `stat` a file and a copy of the rendered text when nothing changed.

use super::collector::{Collect, CollectError, Scrape};
use super::exposition::{self, Kind, Metric};
use super::text::{Family, Page, escape_help, family, push_labels, push_number};
use runtime::disk::{Disk, FileKind, Metadata};
use runtime::glob::glob;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A larger file is an error.
const FILE_MAX: u64 = 32 << 20;

/// Further files are an error.
const FILES_MAX: usize = 10_000;

const MTIME: Family = family!("node_textfile_mtime_seconds", "gauge", "Unixtime mtime of textfiles successfully read.");
const ERROR: Family =
    family!("node_textfile_scrape_error", "gauge", "1 if there was an error opening or reading a file, 0 otherwise");

#[derive(Debug, Default)]
pub(crate) struct Textfile {
    directories: Vec<String>,
    /// The files as they were when `rendered` was made, and whether listing them failed.
    seen: (Vec<(String, Option<Metadata>)>, bool),
    rendered: Rendered,
}

#[derive(Debug, Default)]
struct Rendered {
    families: Vec<RenderedFamily>,
    mtimes: Vec<(String, i128)>,
    is_error: bool,
}

#[derive(Debug)]
struct RenderedFamily {
    /// What the exporter's own page would have if it had this family too; `None` when it can not.
    own_type_line: Option<String>,
    lines: Vec<u8>,
}

impl Textfile {
    pub(crate) fn new(directories: Vec<String>) -> Self {
        Textfile { directories, ..Textfile::default() }
    }

    fn list(&self, disk: &dyn Disk) -> (Vec<(String, Option<Metadata>)>, bool) {
        let mut files = Vec::new();
        let mut is_error = false;
        for pattern in self.directories.iter().filter(|pattern| !pattern.is_empty()) {
            let mut directories: Vec<String> =
                glob(disk, pattern).iter().map(|path| path.to_string_lossy().into_owned()).collect();
            if directories.is_empty() {
                directories.push(pattern.clone());
            }
            for directory in directories {
                let entries = disk.list(directory.as_ref()).unwrap_or_else(|error| {
                    if !self.seen.1 {
                        tracing::error!(%error, "failed to read textfile collector directory");
                    }
                    is_error = true;
                    Vec::new()
                });
                for entry in entries.iter().filter(|entry| entry.name.ends_with(".prom")) {
                    let path = format!("{}/{}", directory.trim_end_matches('/'), entry.name);
                    let metadata = disk.metadata(path.as_ref()).ok();
                    files.push((path, metadata));
                }
            }
        }
        is_error |= files.len() > FILES_MAX;
        files.truncate(FILES_MAX);
        (files, is_error)
    }
}

impl Collect for Textfile {
    fn collect(&mut self, page: &mut Page<'_>, scrape: &mut Scrape) -> Result<(), CollectError> {
        let seen = self.list(scrape.files.disk());
        if seen != self.seen {
            self.rendered = Rendered::read(scrape.files.disk(), &seen.0);
            self.seen = seen;
        }
        for family in &self.rendered.families {
            if !family.own_type_line.as_ref().is_some_and(|line| page.has_line(line)) {
                page.lines(&family.lines);
            }
        }
        page.begin(&MTIME);
        for (path, mtime) in &self.rendered.mtimes {
            page.sample(&[("file", path)]).number((mtime / 1_000_000_000) as f64);
        }
        page.single(&ERROR).integer(u64::from(self.rendered.is_error || self.seen.1));
        Ok(())
    }
}

/// A family as the files together give it.
struct Merged {
    kind: Kind,
    help: Option<String>,
    files: Vec<String>,
    metrics: Vec<Metric>,
    /// Another help was seen: from then on every file's is taken for different, as in the original.
    is_disputed: bool,
}

impl Rendered {
    fn read(disk: &dyn Disk, files: &[(String, Option<Metadata>)]) -> Self {
        let mut rendered = Rendered::default();
        let mut families: BTreeMap<String, Merged> = BTreeMap::new();
        for (path, metadata) in files {
            match read_file(disk, path, *metadata) {
                Ok((mtime, found)) => {
                    rendered.mtimes.push((path.clone(), mtime));
                    for family in found {
                        rendered.is_error |= merge(&mut families, family, path);
                    }
                }
                Err(error) => {
                    tracing::error!(file = path, error, "failed to collect textfile data");
                    rendered.is_error = true;
                }
            }
        }
        rendered.mtimes.sort();
        rendered.families = families.into_iter().map(|(name, family)| render(&name, family)).collect();
        rendered
    }
}

fn read_file(
    disk: &dyn Disk,
    path: &str,
    metadata: Option<Metadata>,
) -> Result<(i128, Vec<exposition::Family>), String> {
    let metadata = match metadata {
        Some(metadata) => metadata,
        None => disk.metadata(path.as_ref()).map_err(|error| error.to_string())?,
    };
    // a pipe without a writer would hold up the visit for ever, a device would never end
    if metadata.kind != FileKind::File {
        return Err(format!("{path} is not a regular file"));
    }
    if metadata.len > FILE_MAX {
        return Err(format!("{path} has {} bytes, more than {FILE_MAX}", metadata.len));
    }
    let text = disk.read(path.as_ref()).map_err(|error| error.to_string())?;
    let families =
        exposition::parse(&text).map_err(|error| format!("failed to parse textfile data from {path:?}: {error}"))?;
    Ok((metadata.modified_ns, families))
}

/// Adds one file's family; true when its help contradicts the one before.
fn merge(families: &mut BTreeMap<String, Merged>, mut family: exposition::Family, path: &str) -> bool {
    fill_labels(&mut family.metrics);
    let merged = families.entry(family.name.clone()).or_insert_with(|| Merged {
        kind: family.kind,
        help: None,
        files: Vec::new(),
        metrics: Vec::new(),
        is_disputed: false,
    });
    let differs = family.help.is_some() && merged.help.is_some() && merged.help != family.help;
    if differs || merged.is_disputed {
        merged.is_disputed = true;
        tracing::error!(metric = family.name, file = path, "inconsistent metric help text");
        return true;
    }
    if merged.kind != family.kind {
        tracing::error!(metric = family.name, file = path, "inconsistent metric type");
        return false;
    }
    merged.help = merged.help.take().or(family.help);
    merged.files.push(path.to_owned());
    merged.metrics.extend(family.metrics);
    false
}

/// Gives every metric all the labels that any has, empty where it did not have it.
fn fill_labels(metrics: &mut [Metric]) {
    let names: HashSet<String> = metrics.iter().flat_map(|m| m.labels.iter().map(|(name, _)| name.clone())).collect();
    for metric in metrics.iter_mut().filter(|metric| metric.labels.len() < names.len()) {
        let own: HashMap<String, String> = std::mem::take(&mut metric.labels).into_iter().collect();
        metric.labels = names.iter().map(|name| (name.clone(), own.get(name).cloned().unwrap_or_default())).collect();
        metric.labels.sort();
    }
}

fn render(name: &str, mut family: Merged) -> RenderedFamily {
    let help = family.help.unwrap_or_else(|| format!("Metric read from {}", family.files.join(", ")));
    let mut lines =
        format!("# HELP {name} {}\n# TYPE {name} {}\n", escape_help(&help), family.kind.name()).into_bytes();
    family.metrics.sort_by(|a, b| {
        let values = |metric: &Metric| metric.labels.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>();
        a.labels.len().cmp(&b.labels.len()).then_with(|| values(a).cmp(&values(b)))
    });
    let mut seen = HashSet::new();
    for metric in &mut family.metrics {
        if !seen.insert(metric.labels.clone()) {
            tracing::error!(metric = name, labels = ?metric.labels, "metric was read before with the same labels");
            continue;
        }
        match family.kind {
            Kind::Histogram => render_parts(&mut lines, name, metric, "_bucket", "le"),
            Kind::Summary => render_parts(&mut lines, name, metric, "", "quantile"),
            _ => render_line(&mut lines, name, "", &metric.labels, None, metric.value),
        }
    }
    // only these begin as our own do
    let own_type_line = ["node_", "process_", "promhttp_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        .then(|| format!("\n# TYPE {name} "));
    RenderedFamily { own_type_line, lines }
}

fn render_parts(lines: &mut Vec<u8>, name: &str, metric: &mut Metric, suffix: &str, bound_label: &str) {
    metric.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    metric.points.dedup_by_key(|point| point.0.to_bits());
    let is_histogram = bound_label == "le";
    if is_histogram && metric.points.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
        metric.points.push((f64::INFINITY, metric.count as f64));
    }
    for (bound, value) in &metric.points {
        let value = if is_histogram { (*value as u64) as f64 } else { *value };
        render_line(lines, name, suffix, &metric.labels, Some((bound_label, *bound)), value);
    }
    render_line(lines, name, "_sum", &metric.labels, None, metric.sum);
    render_line(lines, name, "_count", &metric.labels, None, metric.count as f64);
}

fn render_line(
    lines: &mut Vec<u8>,
    name: &str,
    suffix: &str,
    labels: &[(String, String)],
    bound: Option<(&str, f64)>,
    value: f64,
) {
    lines.extend_from_slice(name.as_bytes());
    lines.extend_from_slice(suffix.as_bytes());
    let mut text = Vec::new();
    let bound = bound.map(|(label, bound)| {
        push_number(&mut text, bound);
        (label, std::str::from_utf8(&text).expect("a number is ASCII"))
    });
    let pairs: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain(bound).collect();
    push_labels(lines, &pairs);
    lines.push(b' ');
    push_number(lines, value);
    lines.push(b'\n');
}
