//! A matcher: one condition on one label.

use crate::labels::Labels;
use crate::regex::{Regex, RegexError};
use std::fmt;
use std::sync::Arc;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

/// One condition on one label; a missing label counts as the empty string.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label.
    pub name: Arc<str>,
    /// The comparison.
    pub op: MatchOp,
    /// The text compared with, or the regular expression's source.
    pub value: Arc<str>,
    regex: Option<Arc<Regex>>,
}

impl Matcher {
    /// Makes a matcher; regular expressions are compiled here, anchored at both ends, in Go's RE2 dialect.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, RegexError> {
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Arc::new(Regex::anchored(value)?)),
        };
        Ok(Matcher { name: Arc::from(name), op, value: Arc::from(value), regex })
    }

    /// `name="value"`.
    pub fn equal(name: &str, value: &str) -> Self {
        Matcher { name: Arc::from(name), op: MatchOp::Equal, value: Arc::from(value), regex: None }
    }

    /// Whether a label's value satisfies the condition.
    pub fn matches(&self, value: &str) -> bool {
        match (&self.regex, self.op) {
            (Some(regex), MatchOp::Regex) => regex.is_match(value),
            (Some(regex), _) => !regex.is_match(value),
            (None, MatchOp::NotEqual) => *self.value != *value,
            (None, _) => *self.value == *value,
        }
    }

    /// Whether a label set satisfies the condition.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.value(&self.name))
    }

    /// Whether a series without this label satisfies the condition.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// The compiled expression of `=~` and `!~`.
    pub fn regex(&self) -> Option<&Regex> {
        self.regex.as_deref()
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.name == other.name && self.value == other.value
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if crate::labels::is_legacy_label_name(&self.name) {
            write!(f, "{}{}{}", self.name, self.op.as_str(), crate::go_text::quote(&self.value))
        } else {
            write!(f, "{}{}{}", crate::go_text::quote(&self.name), self.op.as_str(), crate::go_text::quote(&self.value))
        }
    }
}
