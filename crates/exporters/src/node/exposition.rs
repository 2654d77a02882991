//! Reading a textfile: text format 0.0.4 with its families, as Prometheus' own parser takes it.
//!
//! ```text
//! # HELP name text        # TYPE name counter|gauge|histogram|summary|untyped
//! name{label="value",…} value [timestamp]
//! ```
//!
//! The samples of a histogram or summary (`_bucket`, `_sum`, `_count`, `quantile`) are put together again, so that they can be
//! merged and written in order. Wrong: a second HELP or TYPE, TYPE after samples, a label twice, a timestamp, a last line
//! without an end (half-written file).
//! Limits: those of the file, which its reader has; memory is a small multiple of it.
//! Source: Prometheus exposition formats, text 0.0.4.

use super::parse::str;
use std::collections::HashMap;

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Untyped,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
            Kind::Untyped => "untyped",
        }
    }
}

/// One metric: a value, or the parts of a histogram or summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metric {
    /// Sorted by name, without `le` and `quantile` where those are parts.
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: f64,
    /// Bounds or quantiles, each with its value.
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) sum: f64,
    pub(crate) count: u64,
}

/// One family of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: String,
    /// `None` when there is none, or an empty one.
    pub(crate) help: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) metrics: Vec<Metric>,
}

/// What is wrong with a file, and in which line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("text format parsing error in line {line}: {what}")]
pub(crate) struct ParseError {
    line: usize,
    what: String,
}

/// A part of a histogram or summary that a sample's name tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Value,
    Sum,
    Count,
    Bucket,
}

#[derive(Default)]
struct Parser {
    families: Vec<Building>,
    by_name: HashMap<String, usize>,
}

struct Building {
    name: String,
    help: Option<String>,
    kind: Option<Kind>,
    metrics: Vec<Metric>,
    by_labels: HashMap<Vec<(String, String)>, usize>,
}

/// Reads a whole file: its families that have samples, in the order of their first line.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Family>, ParseError> {
    let mut parser = Parser::default();
    for (at, line) in text.split_inclusive(|b| *b == b'\n').enumerate() {
        let failed = |what: String| ParseError { line: at + 1, what };
        let Some(line) = line.strip_suffix(b"\n") else {
            return Err(failed("unexpected end of input stream".to_owned()));
        };
        let line = str(line).ok_or_else(|| failed("invalid UTF-8".to_owned()))?;
        parser.line(line.trim_start_matches([' ', '\t'])).map_err(failed)?;
    }
    let families = parser.families.into_iter().filter(|family| !family.metrics.is_empty());
    Ok(families
        .map(|family| Family {
            name: family.name,
            help: family.help.filter(|help| !help.is_empty()),
            kind: family.kind.unwrap_or(Kind::Untyped),
            metrics: family.metrics,
        })
        .collect())
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        match line.strip_prefix('#') {
            Some(comment) => self.comment(comment.trim_start_matches([' ', '\t'])),
            None => self.sample(line),
        }
    }

    fn comment(&mut self, comment: &str) -> Result<(), String> {
        let (word, rest) = comment.split_once([' ', '\t']).unwrap_or((comment, ""));
        if word != "HELP" && word != "TYPE" {
            return Ok(());
        }
        let rest = rest.trim_start_matches([' ', '\t']);
        let (name, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        if !is_metric_name(name) {
            return Err("invalid metric name in comment".to_owned());
        }
        let rest = rest.trim_start_matches([' ', '\t']);
        let family = self.family(name);
        if word == "HELP" {
            if family.help.is_some() {
                return Err(format!("second HELP line for metric name {name:?}"));
            }
            family.help = Some(unescape(rest)?);
            return Ok(());
        }
        if family.kind.is_some() {
            return Err(format!("second TYPE line for metric name {name:?}, or TYPE reported after samples"));
        }
        family.kind = Some(match rest.trim_end().to_ascii_lowercase().as_str() {
            "counter" => Kind::Counter,
            "gauge" => Kind::Gauge,
            "histogram" => Kind::Histogram,
            "summary" => Kind::Summary,
            "untyped" => Kind::Untyped,
            _ => return Err(format!("unknown metric type {rest:?}")),
        });
        Ok(())
    }

    fn sample(&mut self, line: &str) -> Result<(), String> {
        let end = line.find(|c: char| !is_name_char(c)).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        if !is_metric_name(name) {
            return Err(format!("invalid metric name {line:?}"));
        }
        let rest = rest.trim_start_matches([' ', '\t']);
        let (mut labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        let mut numbers = rest.split([' ', '\t']).filter(|number| !number.is_empty());
        let text = numbers.next().unwrap_or("");
        let value = number(text).ok_or_else(|| format!("expected float as value, got {text:?}"))?;
        if numbers.next().is_some() {
            return Err("client-side timestamps are unsupported, or the line has too many fields".to_owned());
        }
        labels.sort();
        if let Some(pair) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(format!("duplicate label names for metric {name:?}: {}", pair[0].0));
        }
        let (family, part) = self.family_of_sample(name);
        family.add(labels, part, value)
    }

    /// The family called `name`, made when it is new.
    fn family(&mut self, name: &str) -> &mut Building {
        let at = *self.by_name.entry(name.to_owned()).or_insert_with(|| {
            self.families.push(Building {
                name: name.to_owned(),
                help: None,
                kind: None,
                metrics: Vec::new(),
                by_labels: HashMap::new(),
            });
            self.families.len() - 1
        });
        &mut self.families[at]
    }

    fn family_of_sample(&mut self, name: &str) -> (&mut Building, Part) {
        if !self.by_name.contains_key(name) {
            let kind_of = |base: &str| self.by_name.get(base).and_then(|at| self.families[*at].kind);
            for (suffix, part) in [("_count", Part::Count), ("_sum", Part::Sum), ("_bucket", Part::Bucket)] {
                let Some(base) = name.strip_suffix(suffix) else { continue };
                let fits = match kind_of(base) {
                    Some(Kind::Summary) => part != Part::Bucket,
                    Some(Kind::Histogram) => true,
                    _ => false,
                };
                if fits {
                    return (self.family(base), part);
                }
            }
        }
        (self.family(name), Part::Value)
    }
}

impl Building {
    fn add(&mut self, mut labels: Vec<(String, String)>, part: Part, value: f64) -> Result<(), String> {
        let kind = *self.kind.get_or_insert(Kind::Untyped);
        let bound_label = match kind {
            Kind::Histogram => Some("le"),
            Kind::Summary => Some("quantile"),
            _ => None,
        };
        let Some(bound_label) = bound_label else {
            self.metrics.push(Metric { labels, value, ..Metric::default() });
            return Ok(());
        };
        let bound = match labels.iter().position(|(name, _)| name == bound_label) {
            Some(at) => {
                let text = labels.remove(at).1;
                Some(
                    number(&text)
                        .ok_or_else(|| format!("expected float as value for {bound_label:?} label, got {text:?}"))?,
                )
            }
            None => None,
        };
        let at = *self.by_labels.entry(labels.clone()).or_insert_with(|| {
            self.metrics.push(Metric { labels, ..Metric::default() });
            self.metrics.len() - 1
        });
        let metric = &mut self.metrics[at];
        match (part, bound) {
            (Part::Sum, _) => metric.sum = value,
            // a count is a whole number; what is none becomes one, as in the original
            (Part::Count, _) => metric.count = value as u64,
            (Part::Value | Part::Bucket, Some(bound)) => metric.points.push((bound, value)),
            (Part::Value | Part::Bucket, None) => {}
        }
        Ok(())
    }
}

type LabelPairs = Vec<(String, String)>;

/// Labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Result<(LabelPairs, &str), String> {
    let blank = [' ', '\t'];
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(blank);
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let end = rest.find(|c: char| !is_name_char(c) || c == ':').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || name == "__name__" {
            return Err(format!("invalid label name {rest:?}"));
        }
        let value = after.trim_start_matches(blank).strip_prefix('=').map(|after| after.trim_start_matches(blank));
        let value = value.and_then(|after| after.strip_prefix('"'));
        let value = value.ok_or_else(|| format!("expected '=\"' after label name {name:?}"))?;
        let end = closing_quote(value).ok_or_else(|| format!("label value of {name:?} has no end"))?;
        labels.push((name.to_owned(), unescape(&value[..end])?));
        rest = value[end + 1..].trim_start_matches(blank);
        if let Some(after) = rest.strip_prefix(',') {
            rest = after;
        } else if !rest.starts_with('}') {
            return Err(format!("unexpected end of label value {:?}", &value[..end]));
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at = (at + 2).min(bytes.len());
    }
}

/// `\\`, `\n` and `\"`; anything else after a backslash is wrong.
fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') => '"',
                other => {
                    return Err(format!("invalid escape sequence '\\{}'", other.map_or(String::new(), String::from)));
                }
            },
            c => c,
        });
    }
    Ok(plain)
}

fn number(text: &str) -> Option<f64> {
    (!text.contains('_')).then(|| text.parse().ok()).flatten()
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn is_metric_name(name: &str) -> bool {
    model::labels::is_legacy_metric_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn families_and_their_parts() {
        let text = "# HELP h Help \\\\ \\n x\n# TYPE h histogram\nh_bucket{le=\"1\",a=\"b\"} 2\nh_bucket{a=\"b\",le=\"+Inf\"} 3\n\
            h_sum{a=\"b\"} 4.5\nh_count{a=\"b\"} 3\n# TYPE none gauge\n\n# a comment\n  plain{ x = \"a\\\"}b\" , } -1e3\nh_total 1\n";
        let families = parse(text.as_bytes()).unwrap();
        assert_eq!(
            families.iter().map(|f| (f.name.as_str(), f.kind)).collect::<Vec<_>>(),
            [("h", Kind::Histogram), ("plain", Kind::Untyped), ("h_total", Kind::Untyped)]
        );
        assert_eq!(families[0].help.as_deref(), Some("Help \\ \n x"));
        let metric = &families[0].metrics[0];
        assert_eq!((metric.sum, metric.count, metric.points.len()), (4.5, 3, 2));
        assert_eq!(families[1].metrics[0].labels, [("x".to_owned(), "a\"}b".to_owned())]);
        assert_eq!(families[1].metrics[0].value, -1000.0);
    }

    #[test]
    fn what_is_wrong() {
        for (text, what) in [
            ("a 1", "line 1: unexpected end of input"),
            ("a 1\nb x\n", "line 2: expected float"),
            ("a\n", "expected float"),
            ("a 1 1441205977284\n", "timestamps"),
            ("a 1\n# TYPE a gauge\n", "second TYPE"),
            ("# HELP a x\n# HELP a x\n", "second HELP"),
            ("# TYPE a thing\n", "unknown metric type"),
            ("# TYPE 1a gauge\n", "invalid metric name"),
            ("a{b=\"1\",b=\"2\"} 1\n", "duplicate label"),
            ("a{b=\"1\" c=\"2\"} 1\n", "unexpected end of label value"),
            ("a{b=\"1} 1\n", "has no end"),
            ("a{1=\"1\"} 1\n", "invalid label name"),
            ("a{__name__=\"1\"} 1\n", "invalid label name"),
            ("a{b=\"\\x\"} 1\n", "invalid escape"),
            ("{b=\"1\"} 1\n", "invalid metric name"),
            ("# TYPE h histogram\nh_bucket{le=\"x\"} 1\n", "expected float as value for \"le\""),
        ] {
            let message = parse(text.as_bytes()).expect_err(text).to_string();
            assert!(message.contains(what), "{text:?}: {message}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&text);
        }
        #[test]
        fn nearly_right(text in "(# TYPE (a|b) (histogram|summary)\n|(a|b|a_sum|b_count|a_bucket)[{]?(le=\"1\"|,|a=\"[\\\\\"]?x\")*[}]? [0-9.]{1,3}\n){0,6}") {
            let _ = parse(text.as_bytes());
        }
    }
}
