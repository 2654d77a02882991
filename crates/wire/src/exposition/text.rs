//! Text 0.0.4, read line by line without an allocation.
//!
//! ```text
//! # HELP http_requests_total Requests.          Entry::Help
//! # TYPE http_requests_total counter            Entry::Type
//! http_requests_total{code="200"} 1027 1395…    Entry::Series { series, value, at }
//! └────────── series ───────────┘ value  at
//! ```
//!
//! A scrape loop keeps a hash of each line's series part and asks [`TextParser::known`] first: the parser then looks at
//! nothing but the value. Only an unknown series is taken apart ([`read_labels`]).
//!
//! Invariants
//! - what is refused, and the words, are the server's own (lenient) parser's, not the strict library's: no rule about
//!   types before samples, spaces between labels may stand for commas, repeated HELP and TYPE are fine;
//! - quoted names (`{"a.name", "b.c"="d"}`) as in version 1.0.0;
//! - one difference: spaces before a name are skipped; the original makes them part of the name.
//!
//! Limits: each part of the body that an error shows has at most [`SHOWN_MAX`](super::shown::SHOWN_MAX) bytes.
//! Cost: one pass over a line; a known line is compared and not parsed. Source: exposition formats page of the Prometheus
//! documentation; `text/tests/answers.rs` holds what Prometheus 3.5 answered to a hundred bodies.

mod lexer;

use crate::exposition::number;
use crate::exposition::shown::shown;

use lexer::{Lexer, State, Token};
use model::go_text::format_float_general;
use model::labels::METRIC_NAME;
use model::{LabelsBuilder, MetricType};
use std::borrow::Cow;
use thiserror::Error;

/// One line that says something.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    /// `# HELP`: the text is still escaped, see [`unescape_help`].
    Help {
        /// The family.
        name: &'a [u8],
        /// What stands behind it.
        text: &'a str,
    },
    /// `# TYPE`.
    Type {
        /// The family.
        name: &'a [u8],
        /// Its type.
        kind: MetricType,
    },
    /// Any other `#` line.
    Comment,
    /// A sample.
    Series {
        /// Name and labels as they stand in the line.
        series: &'a [u8],
        /// The value.
        value: f64,
        /// Milliseconds since the epoch, when the line says them.
        at: Option<i64>,
    },
}

/// A body that is not text 0.0.4: the original's words, and the line.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message} (line {line})")]
pub struct TextError {
    /// What was found and what was expected.
    pub message: String,
    /// The line it was found in, from 1.
    pub line: u64,
}

/// Why a series cannot be taken apart.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SeriesError {
    /// A label is there twice (`__name__` is the metric's name).
    #[error("label name {} is not unique: invalid sample", shown(.0.as_bytes()))]
    Duplicate(String),
    /// A quoted name is not UTF-8.
    #[error("invalid metric name or label names: {0}")]
    Name(String),
}

/// Reads a body; see the module.
#[derive(Debug)]
pub struct TextParser<'a> {
    lexer: Lexer<'a>,
    kind: MetricType,
}

impl<'a> TextParser<'a> {
    /// Begins at the start of `body`.
    pub fn new(body: &'a [u8]) -> Self {
        TextParser { lexer: Lexer::new(body), kind: MetricType::Unknown }
    }

    /// The type the last `# TYPE` line said: what [`read_labels`] wants to know.
    pub fn kind(&self) -> MetricType {
        self.kind
    }

    /// Reads the next line as a sample of a series the caller has seen before: `same` is shown the next `len` bytes
    /// and says whether they are that series. `None`: they are not, nothing was read, call `next`.
    pub fn known(
        &mut self,
        len: usize,
        same: impl FnOnce(&'a [u8]) -> bool,
    ) -> Option<Result<(f64, Option<i64>), TextError>> {
        let rest = self.lexer.rest();
        let (series, after) = rest.split_at_checked(len)?;
        // behind a whole series stands a space; what follows must not be labels of a longer one
        let spaces = after.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        if spaces == 0 || after.get(spaces) == Some(&b'{') || !same(series) {
            return None;
        }
        self.lexer.begin_entry();
        self.lexer.skip(len);
        let token = self.lexer.next(State::Value);
        Some(self.value_and_time(token))
    }

    fn entry(&mut self) -> Option<Result<Entry<'a>, TextError>> {
        loop {
            self.lexer.begin_entry();
            return match self.lexer.next(State::Init) {
                Token::Eof => None,
                Token::Linebreak => continue,
                Token::Help => Some(self.help()),
                Token::Type => Some(self.type_line()),
                Token::Comment => {
                    self.lexer.next(State::Init);
                    Some(Ok(Entry::Comment))
                }
                Token::BraceOpen => Some(self.series(false)),
                Token::MetricName => Some(self.series(true)),
                other => Some(Err(self.lexer.unexpected("expected a valid start token", other))),
            };
        }
    }

    /// Name and text of a HELP or TYPE line.
    fn metadata(&mut self, word: &str) -> Result<(&'a [u8], &'a [u8]), TextError> {
        let token = self.lexer.next(State::MetaName);
        if token != Token::MetricName {
            return Err(self.lexer.unexpected(&format!("expected metric name after {word}"), token));
        }
        let name = self.lexer.token();
        let name = if name.len() >= 2 && name[0] == b'"' { &name[1..name.len() - 1] } else { name };
        self.lexer.next(State::MetaText);
        let text = self.lexer.token();
        // one space belongs to the syntax, the rest to the text
        let text = text.get(1..).unwrap_or(b"");
        Ok((name, text))
    }

    fn help(&mut self) -> Result<Entry<'a>, TextError> {
        let (name, text) = self.metadata("HELP")?;
        let text = std::str::from_utf8(text)
            .map_err(|_| self.lexer.error(format!("help text {} is not a valid utf8 string", shown(text))))?;
        self.lexer.next(State::Init);
        Ok(Entry::Help { name, text })
    }

    fn type_line(&mut self) -> Result<Entry<'a>, TextError> {
        let (name, text) = self.metadata("TYPE")?;
        let kind = match text {
            b"counter" => MetricType::Counter,
            b"gauge" => MetricType::Gauge,
            b"histogram" => MetricType::Histogram,
            b"summary" => MetricType::Summary,
            b"untyped" => MetricType::Unknown,
            _ => return Err(self.lexer.error(format!("invalid metric type {}", shown(text)))),
        };
        self.kind = kind;
        self.lexer.next(State::Init);
        Ok(Entry::Type { name, kind })
    }

    fn series(&mut self, named: bool) -> Result<Entry<'a>, TextError> {
        let start = self.lexer.token_start();
        let mut end = self.lexer.at();
        let mut has_name = named;
        let mut token = if named { self.lexer.next(State::Value) } else { Token::BraceOpen };
        if token == Token::BraceOpen {
            self.label_pairs(&mut has_name)?;
            end = self.lexer.at();
            token = self.lexer.next(State::Value);
        }
        if !has_name {
            return Err(self.lexer.error_in_entry("metric name not set"));
        }
        let (value, at) = self.value_and_time(token)?;
        Ok(Entry::Series { series: self.lexer.slice(start, end), value, at })
    }

    fn label_pairs(&mut self, has_name: &mut bool) -> Result<(), TextError> {
        let mut token = self.lexer.next(State::Labels);
        loop {
            match token {
                Token::BraceClose => return Ok(()),
                Token::LabelName | Token::Quoted => {}
                _ => return Err(self.lexer.unexpected("expected label name", token)),
            }
            let quoted = token == Token::Quoted;
            token = self.lexer.next(State::Labels);
            if matches!(token, Token::Comma | Token::BraceClose) {
                if *has_name || !quoted {
                    return Err(self.lexer.error_in_entry("metric name already set"));
                }
                *has_name = true;
                if token == Token::Comma {
                    token = self.lexer.next(State::Labels);
                }
                continue;
            }
            if token != Token::Equal {
                return Err(self.lexer.unexpected("expected equal", token));
            }
            token = self.lexer.next(State::LabelValue);
            if token != Token::Quoted {
                return Err(self.lexer.unexpected("expected label value", token));
            }
            if std::str::from_utf8(self.lexer.token()).is_err() {
                let shown = shown(self.lexer.token());
                return Err(self.lexer.error(format!("invalid UTF-8 label value: {shown}")));
            }
            token = self.lexer.next(State::Labels);
            if token == Token::Comma {
                token = self.lexer.next(State::Labels);
            }
        }
    }

    fn value_and_time(&mut self, token: Token) -> Result<(f64, Option<i64>), TextError> {
        if token != Token::Value {
            return Err(self.lexer.unexpected("expected value after metric", token));
        }
        let value = number::parse_value(self.lexer.token()).map_err(|why| self.lexer.error_in_entry(&why))?;
        match self.lexer.next(State::Time) {
            Token::Linebreak => Ok((value, None)),
            Token::Time => {
                let at = number::parse_timestamp(self.lexer.token()).map_err(|why| self.lexer.error_in_entry(&why))?;
                match self.lexer.next(State::Time) {
                    Token::Linebreak => Ok((value, Some(at))),
                    other => Err(self.lexer.unexpected("expected next entry after timestamp", other)),
                }
            }
            other => Err(self.lexer.unexpected("expected timestamp or new record", other)),
        }
    }
}

/// After an error the rest of the body is not read.
impl<'a> Iterator for TextParser<'a> {
    type Item = Result<Entry<'a>, TextError>;
    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entry();
        if matches!(entry, Some(Err(_))) {
            self.lexer.end();
        }
        entry
    }
}

/// Takes a series part of [`Entry::Series`] apart, the metric's name as `__name__`.
///
/// `kind` is [`TextParser::kind`] at that line: bounds (`le`) of histograms and quantiles of summaries are rewritten as
/// `1.0`, `1e+06` …, so that they do not depend on the format a target happens to answer.
///
/// Returns the names that the line gives an empty value: none of them is in `into`, not even if the line names it once
/// more with a value, and a target's label of that name may have to make way.
///
/// # Errors
/// A name that comes twice, or text that is no UTF-8.
pub fn read_labels(series: &[u8], kind: MetricType, into: &mut LabelsBuilder) -> Result<Vec<String>, SeriesError> {
    let mut lexer = Lexer::new(series);
    lexer.begin_entry();
    let mut set = LabelsOfLine { into, more: Vec::new(), empty: Vec::new(), count: 0, series };
    let mut token = lexer.next(State::Init);
    if token == Token::MetricName {
        set.add(METRIC_NAME.as_bytes(), lexer.token())?;
        token = lexer.next(State::Value);
    }
    if token != Token::BraceOpen {
        return set.end();
    }
    token = lexer.next(State::Labels);
    while matches!(token, Token::LabelName | Token::Quoted) {
        let quoted = token == Token::Quoted;
        let name = if quoted { inside(lexer.token()) } else { lexer.token() };
        token = lexer.next(State::Labels);
        if token == Token::Equal {
            lexer.next(State::LabelValue);
            let value = unescape(inside(lexer.token()));
            let name = if quoted { unescape(name) } else { Cow::Borrowed(name) };
            let bound = match kind {
                MetricType::Histogram => *name == *b"le",
                MetricType::Summary => *name == *b"quantile",
                _ => false,
            };
            let value = if bound { canonical_bound(value) } else { value };
            set.add(&name, &value)?;
            token = lexer.next(State::Labels);
        } else {
            set.add(METRIC_NAME.as_bytes(), &unescape(name))?;
        }
        if token == Token::Comma {
            token = lexer.next(State::Labels);
        }
    }
    set.end()
}

/// Labels a line may have before the rest is sorted in at its end, see [`LabelsBuilder::set_many`].
const FEW: usize = 256;

/// The labels of one line on their way into a builder.
struct LabelsOfLine<'a> {
    into: &'a mut LabelsBuilder,
    more: Vec<(String, String)>,
    /// Names with an empty value.
    empty: Vec<String>,
    count: usize,
    series: &'a [u8],
}

impl LabelsOfLine<'_> {
    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), SeriesError> {
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
            return Err(SeriesError::Name(shown(self.series)));
        };
        if value.is_empty() {
            self.empty.push(name.to_owned());
            return Ok(());
        }
        self.count += 1;
        if self.count > FEW {
            self.more.push((name.to_owned(), value.to_owned()));
            return Ok(());
        }
        if !self.into.value(name).is_empty() {
            return Err(SeriesError::Duplicate(name.to_owned()));
        }
        self.into.set(name, value);
        Ok(())
    }

    fn end(self) -> Result<Vec<String>, SeriesError> {
        if !self.more.is_empty() {
            self.into.set_many(self.more).map_err(SeriesError::Duplicate)?;
        }
        for name in &self.empty {
            self.into.remove(name);
        }
        Ok(self.empty)
    }
}

fn inside(quoted: &[u8]) -> &[u8] {
    if quoted.len() < 2 { b"" } else { &quoted[1..quoted.len() - 1] }
}

fn canonical_bound(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let Some(value) = number::parse_float(&text) else { return text };
    let mut printed = format_float_general(value);
    if value.is_finite() && !printed.contains(['.', 'e']) {
        printed.push_str(".0");
    }
    Cow::Owned(printed.into_bytes())
}

/// Undoes `\\`, `\n` and `\"`; other backslashes stay.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    unescape_these(text, &[(b'\\', b'\\'), (b'n', b'\n'), (b'"', b'"')])
}

/// The text of an [`Entry::Help`] with `\\` and `\n` undone.
pub fn unescape_help(text: &str) -> Cow<'_, str> {
    match unescape_these(text.as_bytes(), &[(b'\\', b'\\'), (b'n', b'\n')]) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn unescape_these<'a>(text: &'a [u8], escapes: &[(u8, u8)]) -> Cow<'a, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let meant = if byte == b'\\' { after.first().and_then(|b| escapes.iter().find(|(e, _)| e == b)) } else { None };
        match meant {
            Some((_, meaning)) => {
                plain.push(*meaning);
                rest = &after[1..];
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests;
