//! Replacement texts with `$1`, `${name}` and `$$`, as Go's `Regexp.Expand` reads them.
//!
//! A name is the longest run of letters, digits and `_`, so `$1x` asks for a group called `1x`: use `${1}x`.
//! A group that does not exist, or took no part in the match, gives nothing. A `$` that begins no name stands for itself.

use super::{Captures, Regex};

/// A replacement text, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// Candidates in order: of several groups with one name the first that took part is meant.
    Group(Vec<usize>),
}

impl Template {
    /// Reads `source` for use with matches of `regex`.
    pub fn new(source: &str, regex: &Regex) -> Self {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                text.push('$');
                rest = after;
            } else if let Some((name, after)) = name(rest) {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Group(groups_called(name, regex)));
                rest = after;
            } else {
                text.push('$');
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Template { source: source.to_owned(), parts }
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// True when the text names a group in Go's eyes (`$` then a letter, digit, `_` or `{`): the original's test for
    /// "this label name depends on the match".
    pub fn has_variables(source: &str) -> bool {
        source.match_indices('$').any(|(at, _)| name(&source[at + 1..]).is_some())
    }

    /// How many bytes [`expand`](Self::expand) would append: a text may name a group as often as it likes.
    pub fn expanded_len(&self, captures: &Captures, text: &str) -> usize {
        let lengths = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.len(),
            Part::Group(groups) => groups.iter().find_map(|group| captures.get(*group, text)).map_or(0, str::len),
        });
        lengths.fold(0, usize::saturating_add)
    }

    /// Appends the text with the groups of one match filled in.
    pub fn expand(&self, captures: &Captures, text: &str, into: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => into.push_str(text),
                Part::Group(groups) => {
                    into.push_str(groups.iter().find_map(|group| captures.get(*group, text)).unwrap_or(""));
                }
            }
        }
    }
}

fn name(text: &str) -> Option<(&str, &str)> {
    let (braced, inside) = match text.strip_prefix('{') {
        Some(inside) => (true, inside),
        None => (false, text),
    };
    let end = inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len());
    let (name, after) = inside.split_at(end);
    if name.is_empty() {
        return None;
    }
    if braced { after.strip_prefix('}').map(|after| (name, after)) } else { Some((name, after)) }
}

fn groups_called(name: &str, regex: &Regex) -> Vec<usize> {
    let number = name.bytes().all(|b| b.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    if number {
        return name.parse().ok().filter(|group| *group < regex.group_count()).into_iter().collect();
    }
    let names = regex.group_names().enumerate();
    names.filter_map(|(group, known)| (known == Some(name)).then_some(group)).collect()
}
