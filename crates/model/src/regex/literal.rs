//! What can be decided about an expression without running an automaton.
//!
//! ```text
//! a|b|c, web-[12], colou?r   → Set      a hash or binary search
//! .*  .+                     → Affix    ("", "", 0 or 1)
//! web-.*   .*-prod   a.+z    → Affix    compare both ends and the length
//! .*error.*                  → Contains one substring search
//! anything else              → Other    the automaton, behind a compare of its literal ends
//! ```

use regex_syntax::hir::{Class, Hir, HirKind};

/// How many strings a set may hold; beyond it the automaton is no slower.
const SET_MAX: usize = 256;
/// How long a string of a set may be, in bytes.
const SET_STRING_MAX: usize = 1024;

/// How an expression is matched.
#[derive(Debug)]
pub(super) enum Plan {
    /// One of these strings, sorted.
    Set(Vec<String>),
    /// `prefix`, at least `middle_min` bytes of anything, `suffix`.
    Affix { middle_min: usize },
    /// The text holds this string somewhere.
    Contains(String),
    /// None of these.
    Other,
}

/// The plan for an anchored expression, and the literal text every match begins and ends with.
pub(super) fn plan(hir: &Hir) -> (Plan, String, String) {
    if let Some(mut set) = strings(hir) {
        set.sort_unstable();
        set.dedup();
        return (Plan::Set(set), String::new(), String::new());
    }
    let mut parts = Vec::new();
    flatten(hir, &mut parts);
    let (mut prefix, mut suffix) = (String::new(), String::new());
    let mut middle = &parts[..];
    while let Some((first, rest)) = middle.split_first() {
        let Some(text) = literal(first) else { break };
        prefix.push_str(text);
        middle = rest;
    }
    while let Some((last, rest)) = middle.split_last() {
        let Some(text) = literal(last) else { break };
        suffix.insert_str(0, text);
        middle = rest;
    }
    let plan = match middle {
        [only] => any(only).map_or(Plan::Other, |middle_min| Plan::Affix { middle_min }),
        [before, inside @ .., after] if any(before) == Some(0) && any(after) == Some(0) => {
            let texts: Option<Vec<&str>> = inside.iter().map(|part| literal(part)).collect();
            match texts {
                Some(texts) if prefix.is_empty() && suffix.is_empty() => Plan::Contains(texts.concat()),
                _ => Plan::Other,
            }
        }
        _ => Plan::Other,
    };
    (plan, prefix, suffix)
}

/// True for `(.*)`, the expression of a relabelling rule that gives none.
pub(super) fn captures_everything(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Capture(group) if any(&group.sub) == Some(0))
}

fn flatten<'a>(hir: &'a Hir, parts: &mut Vec<&'a Hir>) {
    match hir.kind() {
        HirKind::Concat(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        HirKind::Capture(group) => flatten(&group.sub, parts),
        HirKind::Empty => {}
        _ => parts.push(hir),
    }
}

fn literal(hir: &Hir) -> Option<&str> {
    match hir.kind() {
        HirKind::Literal(text) => std::str::from_utf8(&text.0).ok(),
        _ => None,
    }
}

/// `Some(least length)` for `.*` and `.+` where the dot takes line breaks too.
fn any(hir: &Hir) -> Option<usize> {
    let HirKind::Repetition(repetition) = hir.kind() else { return None };
    let sub = match repetition.sub.kind() {
        HirKind::Capture(group) => &group.sub,
        _ => &repetition.sub,
    };
    let HirKind::Class(Class::Unicode(class)) = sub.kind() else { return None };
    let everything = matches!(class.ranges(), [range] if range.start() == '\0' && range.end() == char::MAX);
    (everything && repetition.max.is_none() && repetition.min <= 1).then_some(repetition.min as usize)
}

/// Every string the expression matches, when they are few.
fn strings(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(text) => Some(vec![std::str::from_utf8(&text.0).ok()?.to_owned()]),
        HirKind::Capture(group) => strings(&group.sub),
        HirKind::Class(Class::Unicode(class)) => {
            let count: usize = class.ranges().iter().map(|r| r.len()).sum();
            let chars = class.ranges().iter().flat_map(|r| r.start()..=r.end());
            (count <= SET_MAX).then(|| chars.map(String::from).collect())
        }
        HirKind::Repetition(repetition) if repetition.min == 0 && repetition.max == Some(1) => {
            let mut all = strings(&repetition.sub)?;
            all.push(String::new());
            Some(all)
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(strings(branch)?);
                if all.len() > SET_MAX {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Concat(parts) => {
            let mut all = vec![String::new()];
            for part in parts {
                let ends = strings(part)?;
                if all.len().saturating_mul(ends.len()) > SET_MAX {
                    return None;
                }
                all = all.iter().flat_map(|start| ends.iter().map(move |end| format!("{start}{end}"))).collect();
                if all.iter().any(|text| text.len() > SET_STRING_MAX) {
                    return None;
                }
            }
            Some(all)
        }
        _ => None,
    }
}
