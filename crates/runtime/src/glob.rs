//! Shell patterns in paths: `/srv/*/metrics`, as Go's `filepath.Glob` takes them.
//!
//! Costs: a directory listing for each element with a special character; matching takes at most the product of the lengths.
//!
//! `*` any run of characters, `?` one, `[a-c]` `[^a]` one of (not of), `\x` x itself; none of them matches `/`.

use crate::disk::Disk;
use std::path::{Path, PathBuf};

/// The existing paths that `pattern` names, sorted; a path without special characters is itself if it exists.
pub fn glob(disk: &dyn Disk, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from(if pattern.starts_with('/') { "/" } else { "" })];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for base in found {
            if !part.contains(['*', '?', '[', '\\']) {
                next.push(base.join(part));
                continue;
            }
            let here = if base.as_os_str().is_empty() { Path::new(".") } else { &base };
            let entries = disk.list(here).unwrap_or_default();
            next.extend(entries.iter().filter(|entry| is_match(part, &entry.name)).map(|entry| base.join(&entry.name)));
        }
        found = next;
    }
    found.retain(|path| disk.metadata(path).is_ok());
    found
}

/// Whether a pattern matches a whole name.
pub fn is_match(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // where the last star stood, and how far its run reaches
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, n));
            p += 1;
            continue;
        }
        match (name.get(n), one(&pattern[p.min(pattern.len())..])) {
            (None, _) if p == pattern.len() => return true,
            (Some(c), Some((len, matches))) if matches(*c) => {
                p += len;
                n += 1;
                continue;
            }
            _ => {}
        }
        match star {
            Some((after, run)) if run < name.len() => {
                star = Some((after, run + 1));
                (p, n) = (after, run + 1);
            }
            _ => return false,
        }
    }
}

type Matches<'p> = Box<dyn Fn(char) -> bool + 'p>;

/// The first element of a pattern: its length and what it matches. `None` at the end or when it is malformed.
fn one(pattern: &[char]) -> Option<(usize, Matches<'_>)> {
    match pattern.first()? {
        '?' => Some((1, Box::new(|_| true))),
        '\\' => {
            let literal = *pattern.get(1)?;
            Some((2, Box::new(move |c| c == literal)))
        }
        '[' => {
            let negated = pattern.get(1) == Some(&'^');
            let from = 1 + usize::from(negated);
            let len = pattern.iter().skip(from + 1).position(|c| *c == ']')? + 1;
            let set = &pattern[from..from + len];
            let within = move |c: char| {
                let mut set = set;
                while let [low, rest @ ..] = set {
                    if let ['-', high, rest @ ..] = rest {
                        if (*low..=*high).contains(&c) {
                            return true;
                        }
                        set = rest;
                    } else {
                        if *low == c {
                            return true;
                        }
                        set = rest;
                    }
                }
                false
            };
            Some((from + len + 1, Box::new(move |c| within(c) != negated)))
        }
        literal => {
            let literal = *literal;
            Some((1, Box::new(move |c| c == literal)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*.prom", "a.prom", true),
            ("*.prom", "a.prom.tmp", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?a[0-9]", "xa7", true),
            ("?a[^0-9]", "xa7", false),
            ("[ab-d]", "c", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("[", "[", false),
        ] {
            assert_eq!(is_match(pattern, name), expected, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[a*?\\[\\]^\\\\-]{0,8}", name in "[a*\\]-]{0,8}") {
            is_match(&pattern, &name);
        }
    }
}
