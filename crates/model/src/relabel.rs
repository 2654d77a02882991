//! Relabelling: rules that rewrite, keep or drop label sets. For targets before they are scraped, samples before they are
//! stored, alerts before they are sent.
//!
//! ```text
//! source_labels ─ join by separator ─► value ─ regex ─► action
//!   replace                            target_label := replacement with $1 filled in (empty: removed)
//!   keep drop keepequal dropequal      the set goes on, or is dropped
//!   hashmod lowercase uppercase        target_label := of the value
//!   labelmap labeldrop labelkeep       work on label names instead
//! ```
//!
//! [`RuleText`] is a rule as written, with the original's defaults; [`Rule`] is one checked and compiled. The YAML forms
//! live with their owners. Error texts are the original's. Source: Prometheus 3.14, `relabel_config`.
//! Cost: a rule that does not apply allocates nothing beyond the joined value.

use crate::labels::LabelsBuilder;
use crate::regex::{Regex, RegexError, Template};
use md5::{Digest, Md5};
use thiserror::Error;

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// Sets `target_label` to `replacement` where the expression matches.
    #[default]
    Replace,
    /// Drops sets whose value does not match.
    Keep,
    /// Drops sets whose value matches.
    Drop,
    /// Drops sets whose value differs from `target_label`.
    KeepEqual,
    /// Drops sets whose value equals `target_label`.
    DropEqual,
    /// Sets `target_label` to the value's MD5 modulo `modulus`.
    HashMod,
    /// Copies labels whose name matches to the name `replacement` gives.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Sets `target_label` to the value in lower case.
    Lowercase,
    /// Sets `target_label` to the value in upper case.
    Uppercase,
}

const ACTIONS: [(Action, &str); 11] = [
    (Action::Replace, "replace"),
    (Action::Keep, "keep"),
    (Action::Drop, "drop"),
    (Action::KeepEqual, "keepequal"),
    (Action::DropEqual, "dropequal"),
    (Action::HashMod, "hashmod"),
    (Action::LabelMap, "labelmap"),
    (Action::LabelDrop, "labeldrop"),
    (Action::LabelKeep, "labelkeep"),
    (Action::Lowercase, "lowercase"),
    (Action::Uppercase, "uppercase"),
];

impl Action {
    /// The action a word names; upper and lower case are one.
    pub fn parse(word: &str) -> Result<Self, RuleError> {
        ACTIONS
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(word))
            .map(|(action, _)| *action)
            .ok_or_else(|| RuleError::UnknownAction(word.to_owned()))
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        ACTIONS.iter().find(|(action, _)| *action == self).map_or("", |(_, word)| word)
    }
}

/// Why a rule was refused; the original's words.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RuleError {
    /// No such action.
    #[error("unknown relabel action {}", crate::go_text::quote(.0))]
    UnknownAction(String),
    /// The expression is none.
    #[error("{0}")]
    Regex(#[from] RegexError),
    /// The fields do not fit the action.
    #[error("{0}")]
    Fields(String),
}

/// A rule as written; fields not given have the original's defaults.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleText {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// Stands between the joined values; `;`.
    pub separator: String,
    /// The expression; `(.*)`.
    pub regex: String,
    /// For `hashmod`.
    pub modulus: u64,
    /// The label written, or compared with.
    pub target_label: String,
    /// What is written; `$1`.
    pub replacement: String,
    /// What is done; `replace`.
    pub action: Action,
}

impl Default for RuleText {
    fn default() -> Self {
        RuleText {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: Action::Replace,
        }
    }
}

/// A rule checked and compiled.
#[derive(Debug)]
pub struct Rule {
    text: RuleText,
    regex: Regex,
    target: Template,
    replacement: Template,
    /// Replace with constants and the default expression: matches whatever the value is.
    constant: bool,
}

impl Rule {
    /// Checks and compiles a rule.
    pub fn new(text: RuleText) -> Result<Self, RuleError> {
        let regex = Regex::for_relabel(&text.regex)?;
        check(&text)?;
        let (target, replacement) =
            (Template::new(&text.target_label, &regex), Template::new(&text.replacement, &regex));
        let constant = text.regex == "(.*)"
            && !Template::has_variables(&text.target_label)
            && !Template::has_variables(&text.replacement);
        Ok(Rule { text, regex, target, replacement, constant })
    }

    /// The rule as written.
    pub fn text(&self) -> &RuleText {
        &self.text
    }

    /// Applies the rule; false when the set is dropped.
    pub fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        let target = self.text.target_label.as_str();
        match self.text.action {
            Action::LabelMap | Action::LabelDrop | Action::LabelKeep => {
                self.apply_to_names(labels);
                return true;
            }
            _ => {}
        }
        let value = self.joined(labels);
        match self.text.action {
            Action::Keep => return self.regex.is_match(&value),
            Action::Drop => return !self.regex.is_match(&value),
            Action::KeepEqual => return labels.value(target) == value,
            Action::DropEqual => return labels.value(target) != value,
            Action::Replace => self.replace(labels, &value),
            Action::HashMod => {
                labels.set(target, &(hash(&value) % self.text.modulus).to_string());
            }
            Action::Lowercase => {
                labels.set(target, &each_char(&value, |c| single(c.to_lowercase(), c)));
            }
            Action::Uppercase => {
                labels.set(target, &each_char(&value, |c| single(c.to_uppercase(), c)));
            }
            Action::LabelMap | Action::LabelDrop | Action::LabelKeep => {}
        }
        true
    }

    fn joined(&self, labels: &LabelsBuilder) -> String {
        let mut value = String::new();
        for (at, name) in self.text.source_labels.iter().enumerate() {
            if at > 0 {
                value.push_str(&self.text.separator);
            }
            value.push_str(labels.value(name));
        }
        value
    }

    fn replace(&self, labels: &mut LabelsBuilder, value: &str) {
        if self.constant {
            labels.set(&self.text.target_label, &self.text.replacement.replace("$$", "$"));
            return;
        }
        let Some(captures) = self.regex.captures(value) else { return };
        let (mut target, mut replacement) = (String::new(), String::new());
        self.target.expand(&captures, value, &mut target);
        if target.is_empty() {
            return;
        }
        self.replacement.expand(&captures, value, &mut replacement);
        labels.set(&target, &replacement);
    }

    fn apply_to_names(&self, labels: &mut LabelsBuilder) {
        match self.text.action {
            Action::LabelDrop => labels.retain(|name, _| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name, _| self.regex.is_match(name)),
            _ => {
                let mut copies = Vec::new();
                for (name, value) in labels.iter() {
                    if let Some(captures) = self.regex.captures(name) {
                        let mut copy = String::new();
                        self.replacement.expand(&captures, name, &mut copy);
                        copies.push((copy, value.to_owned()));
                    }
                }
                for (name, value) in copies {
                    labels.set(&name, &value);
                }
            }
        }
    }
}

/// Applies rules in order; false when one of them drops the set (later ones are not applied then).
pub fn process(labels: &mut LabelsBuilder, rules: &[Rule]) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

/// What `hashmod` takes the remainder of: the last eight bytes of the MD5, big-endian.
fn hash(value: &str) -> u64 {
    let sum: [u8; 16] = Md5::digest(value.as_bytes()).into();
    sum[8..].iter().fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}

fn each_char(value: &str, case: impl Fn(char) -> char) -> String {
    value.chars().map(case).collect()
}

/// Go maps characters one to one; where the full mapping is longer the character stays (`ß`), but for `İ`.
fn single(mut mapped: impl Iterator<Item = char>, c: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        (Some(one), Some(_)) if c == 'İ' => one,
        _ => c,
    }
}

fn check(text: &RuleText) -> Result<(), RuleError> {
    use Action::*;
    let action = text.action;
    let word = action.as_str();
    let refuse = |message: String| Err(RuleError::Fields(message));
    let default = RuleText::default();
    if action == HashMod && text.modulus == 0 {
        return refuse("relabel configuration for hashmod requires non-zero modulus".to_owned());
    }
    let needs_target = matches!(action, Replace | KeepEqual | DropEqual | HashMod | Lowercase | Uppercase);
    if needs_target && text.target_label.is_empty() {
        return refuse(format!("relabel configuration for {word} action requires 'target_label' value"));
    }
    if matches!(action, Lowercase | Uppercase | KeepEqual | DropEqual) && text.replacement != default.replacement {
        return refuse(format!("'replacement' can not be set for {word} action"));
    }
    if action == LabelMap && text.replacement.is_empty() {
        let quoted = crate::go_text::quote(&text.replacement);
        return refuse(format!("{quoted} is invalid 'replacement' for {word} action"));
    }
    let plain = text.modulus == 0 && text.separator == default.separator && text.replacement == default.replacement;
    if matches!(action, KeepEqual | DropEqual) && !(plain && text.regex == default.regex) {
        return refuse(format!("{word} action requires only 'source_labels' and `target_label`, and no other fields"));
    }
    let names_nothing = text.source_labels.is_empty() && text.target_label.is_empty();
    if matches!(action, LabelDrop | LabelKeep) && !(plain && names_nothing) {
        return refuse(format!("{word} action requires only 'regex', and no other fields"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
