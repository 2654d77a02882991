//! The head's index: label sets by identity, by slot, and by label pair.
//!
//! Who writes: the commit that makes a series, the collection of dead ones. Who reads: every declaration and selection.
//! One read-write lock around all of it (in [`super`]), held for the length of one look-up or one matching.
//! Cost: a look-up by labels is one 128-bit hash of about 200 bytes, one probe, one comparison.

use super::postings::{Bits, PostingsTable, intersect, subtract};
use super::slab::Slab;
use hashbrown::HashTable;
use model::{Labels, MatchOp, Matcher};
use storage::{QueryContext, SelectError};

/// Cancellation is tested every so many values of a label.
const CHECK_EVERY: usize = 4096;

/// A series as the index knows it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) slot: u32,
    pub(super) generation: u32,
    pub(super) labels: Labels,
}

#[derive(Debug)]
struct Entry {
    labels: Labels,
    hash: u64,
    /// Odd while the slot is in use.
    generation: u32,
}

/// Label sets by identity, slot and pair.
#[derive(Debug)]
pub(super) struct Index {
    seed: u64,
    identities: HashTable<u32>,
    entries: Slab<Entry>,
    postings: PostingsTable,
    collections: u64,
}

/// How far the index had come when a selection looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    collections: u64,
    recent: usize,
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        Index {
            seed,
            identities: HashTable::new(),
            entries: Slab::new(),
            postings: PostingsTable::default(),
            collections: 0,
        }
    }

    pub(super) fn hash(&self, labels: &Labels) -> u64 {
        labels.identity(self.seed) as u64
    }

    /// The series with these labels.
    pub(super) fn find(&self, labels: &Labels, hash: u64) -> Option<(u32, u32)> {
        let slot = self.identities.find(hash, |slot| self.entry(*slot).labels == *labels)?;
        Some((*slot, self.entry(*slot).generation))
    }

    fn entry(&self, slot: u32) -> &Entry {
        self.entries.get(slot).expect("slots in the index have an entry")
    }

    /// Whether the slot still belongs to that generation.
    #[inline]
    pub(super) fn is_current(&self, slot: u32, generation: u32) -> bool {
        self.entries.get(slot).is_some_and(|entry| entry.generation == generation)
    }

    pub(super) fn labels(&self, slot: u32) -> &Labels {
        &self.entry(slot).labels
    }

    pub(super) fn len(&self) -> usize {
        self.postings.all.len()
    }

    pub(super) fn text_bytes(&self) -> u64 {
        self.postings.text_bytes()
    }

    pub(super) fn add(&mut self, slot: u32, generation: u32, labels: Labels, hash: u64) {
        self.postings.add(slot, labels.iter());
        self.entries.put(slot, Entry { labels, hash, generation });
        let entries = &self.entries;
        self.identities.insert_unique(hash, slot, |slot| entries.get(*slot).map_or(0, |entry| entry.hash));
    }

    /// Forgets dead series; returns their labels by slot.
    pub(super) fn collect(&mut self, dead: &[u32]) -> Vec<(u32, Labels)> {
        let mut bits = Bits::default();
        let mut gone = Vec::with_capacity(dead.len());
        for &slot in dead {
            bits.add(slot);
            let Some(entry) = self.entries.get_mut(slot) else { continue };
            entry.generation = next_generation(entry.generation);
            gone.push((slot, std::mem::take(&mut entry.labels)));
            let hash = entry.hash;
            if let Ok(found) = self.identities.find_entry(hash, |other| *other == slot) {
                found.remove();
            }
        }
        if self.identities.capacity() > 64 && self.identities.capacity() > self.identities.len() * 4 {
            let entries = &self.entries;
            let target = self.identities.len() * 2;
            self.identities.shrink_to(target, |slot| entries.get(*slot).map_or(0, |entry| entry.hash));
        }
        self.postings.collect(&bits);
        self.collections += 1;
        gone
    }

    pub(super) fn seen(&self) -> Seen {
        Seen { collections: self.collections, recent: self.postings.all.recent().len() }
    }

    /// The series born since `seen`; `None` when too much has changed to say.
    pub(super) fn born_since(&self, seen: Seen) -> Option<impl Iterator<Item = Known>> {
        let born = self.postings.all.recent().get(seen.recent..);
        born.filter(|_| self.collections == seen.collections).map(|born| born.iter().map(|slot| self.known(*slot)))
    }

    fn known(&self, slot: u32) -> Known {
        let entry = self.entry(slot);
        Known { slot, generation: entry.generation, labels: entry.labels.clone() }
    }

    /// All series that satisfy the matchers, in no order.
    pub(super) fn matching(&self, matchers: &[Matcher], context: &QueryContext) -> Result<Vec<Known>, SelectError> {
        let slots = self.matching_slots(matchers, context)?;
        Ok(slots.into_iter().map(|slot| self.known(slot)).collect())
    }

    pub(super) fn matching_slots(&self, matchers: &[Matcher], context: &QueryContext) -> Result<Vec<u32>, SelectError> {
        context.check()?;
        let mut found: Option<Vec<u32>> = None;
        let mut equal: Vec<_> = Vec::new();
        let mut wide: Vec<&Matcher> = Vec::new();
        for matcher in matchers {
            if matcher.op == MatchOp::Equal && !matcher.value.is_empty() {
                match self.postings.get(&matcher.name, &matcher.value) {
                    Some(postings) => equal.push(postings),
                    None => return Ok(Vec::new()),
                }
            } else {
                wide.push(matcher);
            }
        }
        equal.sort_by_key(|postings| postings.len());
        let mut list = Vec::new();
        for postings in equal {
            list.clear();
            postings.append_to(&mut list);
            narrow(&mut found, &list);
        }
        // few values first: what they leave may make the others cheaper to try one by one
        wide.sort_by_key(|matcher| self.postings.value_count(&matcher.name));
        for matcher in wide {
            let values = self.postings.value_count(&matcher.name);
            match &mut found {
                Some(slots) if slots.len() <= values => {
                    slots.retain(|slot| matcher.matches(self.labels(*slot).value(&matcher.name)));
                }
                _ => self.apply_values(matcher, &mut found, context)?,
            }
        }
        Ok(found.unwrap_or_else(|| self.postings.all.to_vec()))
    }

    /// Applies a matcher by looking at every value of its label that can decide something.
    fn apply_values(
        &self,
        matcher: &Matcher,
        found: &mut Option<Vec<u32>>,
        context: &QueryContext,
    ) -> Result<(), SelectError> {
        let absent_matches = matcher.matches_empty();
        let mut list = Vec::new();
        match (matcher.regex().and_then(|regex| regex.literal_set()), matcher.op) {
            (Some(literals), MatchOp::Regex) if !absent_matches => {
                for value in literals {
                    if let Some(postings) = self.postings.get(&matcher.name, value) {
                        postings.append_to(&mut list);
                    }
                }
            }
            _ => {
                for (at, (value, postings)) in self.postings.values(&matcher.name).enumerate() {
                    if at % CHECK_EVERY == 0 {
                        context.check()?;
                    }
                    // with the label missing being a match, what is gathered is what does not match
                    if matcher.matches(value) != absent_matches {
                        postings.append_to(&mut list);
                    }
                }
            }
        }
        list.sort(); // ascending runs: the stable sort merges them
        list.dedup();
        if absent_matches {
            let mut slots = found.take().unwrap_or_else(|| self.postings.all.to_vec());
            subtract(&mut slots, &list);
            *found = Some(slots);
        } else {
            narrow(found, &list);
        }
        Ok(())
    }

    /// All label names, in no order.
    pub(super) fn label_names(&self) -> impl Iterator<Item = &str> {
        self.postings.names()
    }

    /// All values of a label, in no order, with the number of series that have each.
    pub(super) fn label_values(&self, name: &str) -> impl Iterator<Item = (&str, usize)> {
        self.postings.values(name).map(|(value, postings)| (value, postings.len()))
    }

    /// How many values a label has.
    pub(super) fn value_count(&self, name: &str) -> usize {
        self.postings.value_count(name)
    }
}

/// The number behind a slot's ref when it changes hands; 31 bits, the top bit of a ref says "provisional".
pub(super) fn next_generation(generation: u32) -> u32 {
    (generation + 1) & (u32::MAX >> 1)
}

fn narrow(found: &mut Option<Vec<u32>>, list: &[u32]) {
    match found {
        Some(slots) => intersect(slots, list),
        None => *found = Some(list.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let mut index = Index::new(7);
        for slot in 0..100u32 {
            let pairs = [("__name__", "m".to_owned()), ("n", slot.to_string()), ("half", (slot % 2).to_string())];
            let rare = (slot % 10 == 3).then(|| ("rare", "yes".to_owned()));
            let labels = Labels::from_pairs(pairs.into_iter().chain(rare));
            let hash = index.hash(&labels);
            index.add(slot, 1, labels, hash);
        }
        index
    }

    fn check(index: &Index, matchers: &[(&str, MatchOp, &str)], expected: impl Fn(&Labels) -> bool) {
        let matchers: Vec<Matcher> =
            matchers.iter().map(|(name, op, value)| Matcher::new(name, *op, value).expect("a matcher")).collect();
        let got = index.matching_slots(&matchers, &QueryContext::default()).expect("not cancelled");
        let all = index.postings.all.to_vec();
        let want: Vec<u32> = all.into_iter().filter(|slot| expected(index.labels(*slot))).collect();
        assert_eq!(got, want, "{matchers:?}");
    }

    #[test]
    fn matchers_select_what_they_say() {
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        let index = index();
        check(&index, &[], |_| true);
        check(&index, &[("half", Equal, "1")], |l| l.value("half") == "1");
        check(&index, &[("half", Equal, "1"), ("rare", Equal, "yes")], |l| l.get("rare").is_some());
        check(&index, &[("half", Equal, "1"), ("rare", Equal, "")], |l| {
            l.value("half") == "1" && l.get("rare").is_none()
        });
        check(&index, &[("rare", NotEqual, "")], |l| l.get("rare").is_some());
        check(&index, &[("rare", NotEqual, "yes")], |l| l.get("rare").is_none());
        check(&index, &[("gone", NotEqual, "")], |_| false);
        check(&index, &[("gone", Equal, "")], |_| true);
        check(&index, &[("gone", Equal, "x")], |_| false);
        check(&index, &[("n", Regex, "1|2|3")], |l| ["1", "2", "3"].contains(&l.value("n")));
        check(&index, &[("n", Regex, "1.*")], |l| l.value("n").starts_with('1'));
        check(&index, &[("rare", Regex, "yes|")], |_| true);
        check(&index, &[("rare", Regex, ".*")], |_| true);
        check(&index, &[("rare", Regex, ".+")], |l| l.get("rare").is_some());
        check(&index, &[("n", NotRegex, "1.*"), ("half", Equal, "0")], |l| {
            !l.value("n").starts_with('1') && l.value("half") == "0"
        });
        check(&index, &[("rare", NotRegex, "y.*")], |l| l.get("rare").is_none());
    }

    #[test]
    fn the_dead_are_forgotten_and_their_slots_change_hands() {
        let mut index = index();
        let seen = index.seen();
        let labels = index.labels(3).clone();
        let hash = index.hash(&labels);
        assert_eq!(index.find(&labels, hash), Some((3, 1)));
        assert_eq!(index.collect(&[3, 4]).len(), 2);
        assert_eq!(index.find(&labels, hash), None);
        assert!(!index.is_current(3, 1) && index.born_since(seen).is_none());
        let seen = index.seen();
        index.add(3, 3, labels.clone(), hash);
        assert_eq!(index.find(&labels, hash), Some((3, 3)));
        let born: Vec<u32> = index.born_since(seen).expect("no collection").map(|known| known.slot).collect();
        assert_eq!(born, [3]);
        check(&index, &[("rare", MatchOp::Equal, "yes")], |l| l.get("rare").is_some());
    }
}
