//! Posting lists of the head: which slots carry a label pair.
//!
//! ```text
//! base    [ 3 17 40 41 99 ]     ascending, everything up to the last collection of dead series
//! recent  [ 5 18 102 103 ]      ascending, born since; slots freed by the collection are handed out in order
//! ```
//!
//! Two ascending runs in place of one list, because slots are used again: a new series may have a smaller slot than an old
//! one, and inserting it into a list of a million would move a million. Reading merges the two.
//! Cost: 16 bytes for a pair that one series has, 4 bytes a series otherwise.

use hashbrown::HashMap;
use std::hash::BuildHasher;

/// The slots that carry one label pair.
#[derive(Debug)]
pub(super) enum Postings {
    One(u32),
    Many(Box<Runs>),
}

/// Two ascending runs without a slot in common.
#[derive(Debug, Default)]
pub(super) struct Runs {
    base: Vec<u32>,
    recent: Vec<u32>,
}

impl Runs {
    fn push(&mut self, slot: u32) {
        debug_assert!(self.recent.last().is_none_or(|last| *last < slot), "slots are born in order");
        self.recent.push(slot);
    }

    /// All slots, ascending.
    pub(super) fn to_vec(&self) -> Vec<u32> {
        let mut all = Vec::with_capacity(self.len());
        self.append_to(&mut all);
        all
    }

    fn append_to(&self, all: &mut Vec<u32>) {
        let (mut base, mut recent) = (self.base.iter().peekable(), self.recent.iter().peekable());
        while let (Some(a), Some(b)) = (base.peek(), recent.peek()) {
            let from = if a < b { &mut base } else { &mut recent };
            all.extend(from.next());
        }
        all.extend(base);
        all.extend(recent);
    }

    pub(super) fn len(&self) -> usize {
        self.base.len() + self.recent.len()
    }

    /// Those born since the last collection, in order of birth.
    pub(super) fn recent(&self) -> &[u32] {
        &self.recent
    }

    /// Joins both runs, leaving out the dead.
    fn collect(&mut self, dead: &Bits) {
        let mut all = self.to_vec();
        all.retain(|slot| !dead.has(*slot));
        all.shrink_to_fit();
        *self = Runs { base: all, recent: Vec::new() };
    }
}

impl Postings {
    fn push(&mut self, slot: u32) {
        match self {
            Postings::One(first) => {
                *self = Postings::Many(Box::new(Runs { base: vec![*first], recent: vec![slot] }));
            }
            Postings::Many(runs) => runs.push(slot),
        }
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Postings::One(_) => 1,
            Postings::Many(runs) => runs.len(),
        }
    }

    /// Appends the slots, ascending.
    pub(super) fn append_to(&self, all: &mut Vec<u32>) {
        match self {
            Postings::One(slot) => all.push(*slot),
            Postings::Many(runs) => runs.append_to(all),
        }
    }
}

/// A set of slots.
#[derive(Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn add(&mut self, slot: u32) {
        let word = slot as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (slot % 64);
    }

    pub(super) fn has(&self, slot: u32) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }
}

/// Label names, their values, and who has them.
#[derive(Debug, Default)]
pub(super) struct PostingsTable {
    names: HashMap<Box<str>, HashMap<Box<str>, Postings, foldhash::fast::RandomState>, foldhash::fast::RandomState>,
    pub(super) all: Runs,
    text_bytes: u64,
}

impl PostingsTable {
    /// Adds a series; slots come in ascending order between two collections.
    pub(super) fn add<'a>(&mut self, slot: u32, labels: impl Iterator<Item = (&'a str, &'a str)>) {
        self.all.push(slot);
        for (name, value) in labels {
            let values = match self.names.get_mut(name) {
                Some(values) => values,
                None => {
                    self.text_bytes += name.len() as u64;
                    self.names.entry(Box::from(name)).or_default()
                }
            };
            match values.get_mut(value) {
                Some(postings) => postings.push(slot),
                None => {
                    self.text_bytes += value.len() as u64;
                    values.insert(Box::from(value), Postings::One(slot));
                }
            }
        }
    }

    /// Forgets dead series and pairs that nobody has any more; from here on slots may begin again below.
    pub(super) fn collect(&mut self, dead: &Bits) {
        self.all.collect(dead);
        let mut text_bytes = 0;
        self.names.retain(|name, values| {
            values.retain(|value, postings| {
                let kept = match postings {
                    Postings::One(slot) => !dead.has(*slot),
                    Postings::Many(runs) => {
                        runs.collect(dead);
                        match runs.base[..] {
                            [only] => *postings = Postings::One(only),
                            _ if runs.base.is_empty() => return false,
                            _ => {}
                        }
                        true
                    }
                };
                text_bytes += if kept { value.len() as u64 } else { 0 };
                kept
            });
            shrink(values);
            text_bytes += if values.is_empty() { 0 } else { name.len() as u64 };
            !values.is_empty()
        });
        self.text_bytes = text_bytes;
    }

    pub(super) fn get(&self, name: &str, value: &str) -> Option<&Postings> {
        self.names.get(name)?.get(value)
    }

    /// How many values a name has.
    pub(super) fn value_count(&self, name: &str) -> usize {
        self.names.get(name).map_or(0, |values| values.len())
    }

    /// The values of a name with who has them, in no order.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = (&str, &Postings)> {
        self.names.get(name).into_iter().flatten().map(|(value, postings)| (&**value, postings))
    }

    /// All names, in no order, with the number of their values.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }

    /// Bytes of all names and values.
    pub(super) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }
}

/// Gives memory back when a table has become much too large for what is left in it.
fn shrink<K: std::hash::Hash + Eq, V, S: BuildHasher>(table: &mut HashMap<K, V, S>) {
    if table.capacity() > 64 && table.capacity() > table.len() * 4 {
        table.shrink_to(table.len() * 2);
    }
}

/// Keeps of `slots` what is in `list` too; both ascend.
pub(super) fn intersect(slots: &mut Vec<u32>, list: &[u32]) {
    let mut at = 0;
    slots.retain(|slot| {
        at += skip_below(&list[at..], *slot);
        list.get(at) == Some(slot)
    });
}

/// Takes the slots of `list` out of `slots`; both ascend.
pub(super) fn subtract(slots: &mut Vec<u32>, list: &[u32]) {
    let mut at = 0;
    slots.retain(|slot| {
        at += skip_below(&list[at..], *slot);
        list.get(at) != Some(slot)
    });
}

/// How many entries of an ascending list are below `slot`: steps that double, then a binary search, so that a short list against
/// a long one costs the short one's length times a logarithm.
fn skip_below(list: &[u32], slot: u32) -> usize {
    let mut step = 1;
    while step < list.len() && list[step] < slot {
        step *= 2;
    }
    let from = step / 2;
    let to = list.len().min(step + 1);
    from + list[from..to].partition_point(|other| *other < slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn set_algebra(a: BTreeSet<u8>, b: BTreeSet<u8>) {
            let list = |set: &BTreeSet<u8>| set.iter().map(|n| u32::from(*n)).collect::<Vec<u32>>();
            let mut both = list(&a);
            intersect(&mut both, &list(&b));
            prop_assert_eq!(both, a.intersection(&b).map(|n| u32::from(*n)).collect::<Vec<_>>());
            let mut rest = list(&a);
            subtract(&mut rest, &list(&b));
            prop_assert_eq!(rest, a.difference(&b).map(|n| u32::from(*n)).collect::<Vec<_>>());
        }
    }

    fn slots(table: &PostingsTable, name: &str, value: &str) -> Vec<u32> {
        let mut all = Vec::new();
        if let Some(postings) = table.get(name, value) {
            postings.append_to(&mut all);
        }
        all
    }

    #[test]
    fn slots_are_used_again_after_a_collection() {
        let mut table = PostingsTable::default();
        for slot in 0..6 {
            let n = slot.to_string();
            table.add(slot, [("job", "a"), ("n", n.as_str())].into_iter());
        }
        let mut dead = Bits::default();
        for slot in [1, 4] {
            dead.add(slot);
        }
        table.collect(&dead);
        assert_eq!(slots(&table, "job", "a"), [0, 2, 3, 5]);
        assert_eq!(slots(&table, "n", "4"), [] as [u32; 0]);
        assert_eq!(table.value_count("n"), 4);
        for slot in [1, 4, 6] {
            table.add(slot, [("job", "a"), ("n", "3")].into_iter());
        }
        assert_eq!(slots(&table, "job", "a"), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(slots(&table, "n", "3"), [1, 3, 4, 6]);
        assert_eq!(table.all.to_vec(), [0, 1, 2, 3, 4, 5, 6]);
        let mut dead = Bits::default();
        (0..7).for_each(|slot| dead.add(slot));
        table.collect(&dead);
        assert_eq!((table.names().count(), table.text_bytes()), (0, 0));
    }
}
