//! A label set: what names a series.
//!
//! ```text
//! one allocation, shared:   |len|__name__|len|up|len|job|len|api|…      names ascending, each name once, no empty value
//! len = one ASCII byte below 127, or 127 followed by five ASCII bytes of seven bits each
//! ```
//!
//! Lengths are ASCII so that the whole blob is valid UTF-8: slices of it are `&str` without a check of their content.
//! Equality and hashing run over the blob; cloning is a reference count.
//! Limits: 2^32 bytes a value; the number of labels and their sizes are limited by whoever reads them from outside.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

const LONG: u8 = 127;

/// An immutable label set, sorted by name (byte order), without empty values.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels(Arc<str>);

impl Labels {
    /// The set without labels.
    pub fn empty() -> Self {
        Labels(Arc::from(""))
    }

    /// Builds a set from pairs in any order. Empty values are left out; of a name given twice the last stands.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Builds a set from pairs that the caller already holds sorted by name, without duplicates; empty values are
    /// left out. Debug builds check the order.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut blob = String::with_capacity(128);
        let mut previous: Option<&str> = None;
        for (name, value) in pairs {
            debug_assert!(previous.is_none_or(|p| p < name), "labels not sorted: {previous:?} before {name:?}");
            previous = Some(name);
            if !value.is_empty() {
                push_text(&mut blob, name);
                push_text(&mut blob, value);
            }
        }
        Labels(Arc::from(blob))
    }

    /// The value of `name`, or `None`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n >= name).filter(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// The value of `name`, or the empty string: how matchers and relabelling see a missing label.
    pub fn value(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The value of `__name__`, or the empty string.
    pub fn metric_name(&self) -> &str {
        self.value(METRIC_NAME)
    }

    /// Pairs in name order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.0 }
    }

    /// True when there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many labels there are; walks the set.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Bytes the set occupies behind its handle.
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }

    /// The identity of the set inside this process: seeded 128-bit xxh3 of the canonical bytes.
    pub fn identity(&self, seed: u64) -> u128 {
        xxhash_rust::xxh3::xxh3_128_with_seed(self.0.as_bytes(), seed)
    }

    /// A builder that starts from this set.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// The set without the label `name`.
    pub fn without(&self, name: &str) -> Labels {
        Labels::from_sorted(self.iter().filter(|(n, _)| *n != name))
    }

    /// The set keeping only the names for which `keep` says so.
    pub fn retain(&self, mut keep: impl FnMut(&str) -> bool) -> Labels {
        Labels::from_sorted(self.iter().filter(|(n, _)| keep(n)))
    }
}

impl Default for Labels {
    fn default() -> Self {
        Labels::empty()
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0.as_bytes());
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Order as in Prometheus' `labels.Compare`: pair by pair, name before value, the shorter set first.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_blobs(&self.0, &other.0)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `{a="b", c="d"}` with Go's quoting; a name that is not a legacy label name is quoted too.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(name) {
                f.write_str(name)?;
            } else {
                f.write_str(&crate::go_text::quote(name))?;
            }
            f.write_str("=")?;
            f.write_str(&crate::go_text::quote(value))?;
        }
        f.write_str("}")
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(pairs: T) -> Self {
        Labels::from_pairs(pairs)
    }
}

/// True for `[a-zA-Z_][a-zA-Z0-9_]*`, the label names every version of Prometheus accepts.
pub fn is_legacy_label_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty() && !bytes[0].is_ascii_digit() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// True for `[a-zA-Z_:][a-zA-Z0-9_:]*`, the metric names every version of Prometheus accepts.
pub fn is_legacy_metric_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty()
        && !bytes[0].is_ascii_digit()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b':')
}

/// Compares field by field, without looking at the fields before the first difference of the bytes: sorting a selection is
/// mostly this, and sets of one metric share most of their bytes.
fn compare_blobs(a: &str, b: &str) -> Ordering {
    let common = common_prefix(a.as_bytes(), b.as_bytes());
    if common == a.len().min(b.len()) {
        // fields are never cut, so the shorter set is the beginning of the other
        return a.len().cmp(&b.len());
    }
    let mut at = 0;
    loop {
        let (mut rest_a, mut rest_b) = (&a[at..], &b[at..]);
        let (Some(text_a), Some(text_b)) = (take_text(&mut rest_a), take_text(&mut rest_b)) else {
            return a.len().cmp(&b.len());
        };
        let end = a.len() - rest_a.len();
        if common < end {
            return text_a.cmp(text_b);
        }
        at = end;
    }
}

/// How many bytes both begin with.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let mut at = 0;
    for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        if x != y {
            break;
        }
        at += 8;
    }
    at + a[at..].iter().zip(&b[at..]).take_while(|(x, y)| x == y).count()
}

fn push_text(blob: &mut String, text: &str) {
    let len = text.len();
    if len < LONG as usize {
        blob.push(len as u8 as char);
    } else {
        blob.push(LONG as char);
        for shift in [28, 21, 14, 7, 0] {
            blob.push(((len >> shift) & 0x7f) as u8 as char);
        }
    }
    blob.push_str(text);
}

fn take_text<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let bytes = rest.as_bytes();
    let first = *bytes.first()?;
    let (len, head) = if first < LONG {
        (first as usize, 1)
    } else {
        (bytes[1..6].iter().fold(0usize, |len, b| (len << 7) | *b as usize), 6)
    };
    let text = &rest[head..head + len];
    *rest = &rest[head + len..];
    Some(text)
}

/// Iterates the pairs of a [`Labels`] in name order.
#[derive(Clone)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);
    fn next(&mut self) -> Option<Self::Item> {
        let name = take_text(&mut self.rest)?;
        let value = take_text(&mut self.rest)?;
        Some((name, value))
    }
}

/// A label set being made: names in order, values may be replaced or removed.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Starts empty.
    pub fn new() -> Self {
        LabelsBuilder::default()
    }

    /// Sets `name`; an empty value removes it, as Prometheus' builder does.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.position(name) {
            Ok(at) if value.is_empty() => {
                self.pairs.remove(at);
            }
            Ok(at) => value.clone_into(&mut self.pairs[at].1),
            Err(_) if value.is_empty() => {}
            Err(at) => self.pairs.insert(at, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Adds many labels at the cost of one sort: [`set`](Self::set) moves what follows, and a million labels in the wrong
    /// order took it many minutes. Empty values are left out. `Err` names a label that is given or set already.
    pub fn set_many(&mut self, pairs: impl IntoIterator<Item = (String, String)>) -> Result<(), String> {
        self.pairs.extend(pairs);
        // stable: of one name the earlier stays before the later
        self.pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        let twice = self.pairs.windows(2).find(|two| two[0].0 == two[1].0 && !two[0].1.is_empty());
        if let Some(two) = twice {
            return Err(two[0].0.clone());
        }
        self.pairs.retain(|(_, value)| !value.is_empty());
        Ok(())
    }

    /// Removes `name` if it is there.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    /// The value of `name`, or the empty string.
    pub fn value(&self, name: &str) -> &str {
        self.position(name).map_or("", |at| &self.pairs[at].1)
    }

    /// Pairs in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Keeps the pairs for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.pairs.retain(|(n, v)| keep(n, v));
    }

    /// The finished set.
    pub fn build(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(n, _)| n.as_str().cmp(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_unique_and_never_empty() {
        let labels = Labels::from_pairs([("job", "api"), ("__name__", "up"), ("gone", ""), ("job", "db")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("__name__", "up"), ("job", "db")]);
        assert_eq!(labels.get("gone"), None);
        assert_eq!(labels.value("job"), "db");
        assert_eq!(labels.to_string(), r#"{__name__="up", job="db"}"#);
    }

    #[test]
    fn many_labels_are_set_at_once() {
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        let mut builder = LabelsBuilder::new();
        builder.set("m", "1");
        builder.set_many(owned(&[("z", "2"), ("a", "3"), ("b", ""), ("b", "4")])).unwrap();
        assert_eq!(builder.build().to_string(), r#"{a="3", b="4", m="1", z="2"}"#);
        assert_eq!(builder.clone().set_many(owned(&[("m", "")])), Err("m".to_owned()));
        assert_eq!(builder.set_many(owned(&[("c", "1"), ("c", "1")])), Err("c".to_owned()));
        // one after the other this is 10^6 moves of 24 MB
        let backwards = (0..1_000_000).rev().map(|n| (format!("l{n:07}"), "v".to_owned()));
        let mut builder = LabelsBuilder::new();
        builder.set_many(backwards).unwrap();
        assert_eq!(builder.iter().count(), 1_000_000);
        assert_eq!(builder.iter().next(), Some(("l0000000", "v")));
    }

    #[test]
    fn long_values_round_trip() {
        for len in [0, 1, 126, 127, 128, 16_384, 3_000_000] {
            let value = "ä".repeat(len / 2) + &"x".repeat(len % 2);
            let labels = Labels::from_pairs([("a", value.as_str()), ("b", "1")]);
            assert_eq!(labels.value("a"), value);
            assert_eq!(labels.value("b"), "1");
        }
    }

    #[test]
    fn order_is_pair_by_pair() {
        let set = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        let mut sets = [set(&[("b", "1")]), set(&[("a", "2")]), set(&[("a", "10"), ("b", "1")]), set(&[("a", "10")])];
        sets.sort();
        let text: Vec<_> = sets.iter().map(ToString::to_string).collect();
        assert_eq!(text, [r#"{a="10"}"#, r#"{a="10", b="1"}"#, r#"{a="2"}"#, r#"{b="1"}"#]);
    }

    #[test]
    fn order_of_blobs_is_order_of_pairs() {
        let texts = ["", "a", "b", "ab", "aa", "ä", &"x".repeat(126), &"x".repeat(127), &"x".repeat(128)];
        let mut sets = Vec::new();
        for (n, first) in texts.iter().enumerate() {
            for second in texts {
                let names = ["a", "a1", "b"];
                sets.push(Labels::from_pairs([(names[n % 3], *first), ("c", second)]));
                sets.push(Labels::from_pairs([(names[n % 3], *first), ("c", second), ("d", "1")]));
            }
        }
        for a in &sets {
            for b in &sets {
                assert_eq!(a.cmp(b), a.iter().cmp(b.iter()), "{a} {b}");
            }
        }
    }
}
