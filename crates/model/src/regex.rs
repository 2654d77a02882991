//! Regular expressions in Go's RE2 dialect, anchored as Prometheus anchors them (`^(?s:…)$`).
//!
//! ```text
//! source ─► syntax (Go's grammar, Go's error texts) ─► literal (set, ends, substring: no automaton needed)
//!                                                 └──► automaton, made on first need when the plan decides alone
//! ```
//!
//! Costs: an expression decided by its literals is a comparison of bytes; others step an automaton once per byte. Making one
//! costs a thousand times a match: keep it.
//! Limits: [`NFA_BYTES_MAX`] for an automaton, nesting and repetition in `regex/syntax.rs`, sets of 256 strings.

mod class;
mod literal;
mod syntax;
mod template;

pub use template::Template;

use literal::Plan;
use memchr::memmem;
use regex_automata::meta;
use regex_automata::util::captures::Captures as Slots;
use regex_syntax::hir::{Hir, Look};
use std::sync::OnceLock;
use thiserror::Error;

/// Bytes an automaton may take; beyond it the expression is refused as too large.
pub const NFA_BYTES_MAX: usize = 10 << 20;
/// Bytes the lazily built states of one automaton may take.
const CACHE_BYTES_MAX: usize = 1 << 20;

/// Expressions longer than this get their automaton at once, so that one too large is refused and not met later.
const LATE_SOURCE_MAX: usize = 4096;

/// Why an expression was refused.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{message}")]
pub struct RegexError {
    /// Go's text for the same expression: `error parsing regexp: …`.
    pub message: String,
}

/// A compiled expression that must match a whole text.
#[derive(Debug)]
pub struct Regex {
    source: String,
    plan: Plan,
    prefix: String,
    suffix: String,
    groups: Vec<Option<Box<str>>>,
    captures_everything: bool,
    hir: Hir,
    automaton: OnceLock<meta::Regex>,
}

/// Where the groups of one match lie.
#[derive(Debug)]
pub struct Captures(Found);

#[derive(Debug)]
enum Found {
    /// Group 0 and group 1 are the whole text.
    Whole,
    Slots(Slots),
}

impl Captures {
    /// The text of a group; `None` when it took no part in the match. Group 0 is the whole match.
    pub fn get<'a>(&self, group: usize, text: &'a str) -> Option<&'a str> {
        match &self.0 {
            Found::Whole => (group <= 1).then_some(text),
            Found::Slots(slots) => slots.get_group(group).and_then(|span| text.get(span.range())),
        }
    }
}

impl Regex {
    /// Compiles `source`, anchored at both ends, `.` matching line breaks: a matcher's expression.
    pub fn anchored(source: &str) -> Result<Self, RegexError> {
        Self::build(source, syntax::parse(source, true)?)
    }

    /// The same for a relabelling rule, whose error texts show the expression with its anchors.
    pub fn for_relabel(source: &str) -> Result<Self, RegexError> {
        syntax::parse(&format!("^(?s:{source})$"), false)?;
        Self::build(source, syntax::parse(source, true)?)
    }

    fn build(source: &str, parsed: syntax::Parsed) -> Result<Self, RegexError> {
        let (plan, prefix, suffix) = literal::plan(&parsed.hir);
        let captures_everything = literal::captures_everything(&parsed.hir);
        let hir = Hir::concat(vec![Hir::look(Look::Start), parsed.hir, Hir::look(Look::End)]);
        let automaton = OnceLock::new();
        if matches!(plan, Plan::Other) || source.len() > LATE_SOURCE_MAX {
            let built = automaton_of(&hir).map_err(|_| RegexError {
                message: format!("error parsing regexp: expression too large: `{source}`"),
            })?;
            automaton.get_or_init(|| built);
        }
        Ok(Regex {
            source: source.to_owned(),
            plan,
            prefix,
            suffix,
            groups: parsed.groups,
            captures_everything,
            hir,
            automaton,
        })
    }

    /// Whether the whole of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.plan {
            Plan::Set(set) => set.binary_search_by(|known| known.as_str().cmp(text)).is_ok(),
            Plan::Affix { middle_min } => self.ends_fit(text, *middle_min),
            Plan::Contains(part) => memmem::find(text.as_bytes(), part.as_bytes()).is_some(),
            Plan::Other => self.ends_fit(text, 0) && self.automaton().is_match(text),
        }
    }

    /// Where the groups lie when the whole of `text` matches. Allocates unless the expression is `(.*)`.
    pub fn captures(&self, text: &str) -> Option<Captures> {
        if self.captures_everything {
            return Some(Captures(Found::Whole));
        }
        if !self.is_match(text) {
            return None;
        }
        let mut slots = self.automaton().create_captures();
        self.automaton().captures(text, &mut slots);
        slots.is_match().then_some(Captures(Found::Slots(slots)))
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Every text that matches, sorted, when they are few (256): a store then looks values up instead of testing all.
    pub fn literal_set(&self) -> Option<&[String]> {
        match &self.plan {
            Plan::Set(set) => Some(set),
            _ => None,
        }
    }

    /// Literal text every match begins with; empty when there is none or [`Regex::literal_set`] says more.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Literal text every match ends with; empty when there is none or [`Regex::literal_set`] says more.
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    /// How many groups there are, the whole match counted.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Names of the groups by index; the whole match (index 0) and unnamed ones have none.
    pub fn group_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.groups.iter().map(|name| name.as_deref())
    }

    fn ends_fit(&self, text: &str, middle_min: usize) -> bool {
        text.len() >= self.prefix.len() + middle_min + self.suffix.len()
            && text.starts_with(self.prefix.as_str())
            && text.ends_with(self.suffix.as_str())
    }

    fn automaton(&self) -> &meta::Regex {
        self.automaton.get_or_init(|| {
            // only short expressions without counted repetitions come here late
            automaton_of(&self.hir).expect("an expression decided by its literals is small")
        })
    }
}

fn automaton_of(hir: &Hir) -> Result<meta::Regex, meta::BuildError> {
    let config = meta::Config::new()
        .nfa_size_limit(Some(NFA_BYTES_MAX))
        .hybrid_cache_capacity(CACHE_BYTES_MAX)
        .onepass_size_limit(Some(CACHE_BYTES_MAX));
    meta::Builder::new().configure(config).build_from_hir(hir)
}

#[cfg(test)]
mod tests;
