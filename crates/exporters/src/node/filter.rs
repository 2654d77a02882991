//! Which devices, mounts or fields are shown: regular expressions of the flags.

use model::regex::Regex;
use std::sync::Arc;

/// A regular expression that matches anywhere in a text, as Go's does.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    text: String,
    regex: Arc<Regex>,
}

impl Pattern {
    /// Compiles a pattern; the error says what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let refused = |error: model::regex::RegexError| format!("cannot read regular expression {text:?}: {error}");
        // by itself first: a stray parenthesis must not close the group below
        Regex::anchored(text).map_err(refused)?;
        let regex = Regex::anchored(&format!(".*(?:{text}).*")).map_err(refused)?;
        Ok(Pattern { text: text.to_owned(), regex: Arc::new(regex) })
    }

    /// Whether it matches somewhere in `name`.
    pub(crate) fn is_match(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// A pattern of what to leave out and one of what to show.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filter {
    exclude: Option<Pattern>,
    include: Option<Pattern>,
}

impl Filter {
    /// An empty text stands for no pattern.
    pub(crate) fn new(exclude: &str, include: &str) -> Result<Self, String> {
        let compile = |text: &str| (!text.is_empty()).then(|| Pattern::new(text)).transpose();
        Ok(Filter { exclude: compile(exclude)?, include: compile(include)? })
    }

    /// Whether `name` is left out.
    pub(crate) fn ignores(&self, name: &str) -> bool {
        self.exclude.as_ref().is_some_and(|pattern| pattern.is_match(name))
            || self.include.as_ref().is_some_and(|pattern| !pattern.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclude_and_include() {
        let filter = Filter::new("^(loop|ram)\\d+$", "").unwrap();
        assert!(filter.ignores("loop0") && !filter.ignores("vda") && !filter.ignores("xloop0"));
        let filter = Filter::new("", "eth").unwrap();
        assert!(filter.ignores("lo") && !filter.ignores("veth1"));
        assert!(!Filter::new("", "").unwrap().ignores("x"));
        let message = Filter::new("(", "").unwrap_err();
        assert!(message.starts_with("cannot read regular expression \"(\": "), "{message}");
    }
}
