//! Who is kept and who comes first among equal values, as the original decides it.
//!
//! `topk` and its kin keep a binary heap whose root is the next to go. Which of equal values goes depends on where the heap
//! holds them, so the heap here moves its entries as Go's `container/heap` does, and final orders up to [`INSERTION_MAX`]
//! entries are those of Go's `sort.Sort` (insertion). Beyond it equal values keep the heap's order, which Go does not promise.

use std::cmp::Ordering;

/// Up to here Go's `sort.Sort` is a plain insertion sort.
const INSERTION_MAX: usize = 12;

/// Which end of the values is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Largest,
    Smallest,
}

impl Wanted {
    /// Whether `a` goes before `b` does. NaN goes first, whatever stands beside it.
    fn goes_before(self, a: f64, b: f64) -> bool {
        a.is_nan() || if self == Wanted::Largest { a < b } else { a > b }
    }

    fn order(self, a: f64, b: f64) -> Ordering {
        match (a.is_nan(), b.is_nan()) {
            (false, false) if self == Wanted::Largest => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
            (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (a, b) => a.cmp(&b),
        }
    }
}

/// Puts the wanted end first; NaN last.
pub(crate) fn rank<T>(items: &mut [T], wanted: Wanted, value: impl Fn(&T) -> f64) {
    if items.len() > INSERTION_MAX {
        items.sort_by(|a, b| wanted.order(value(a), value(b)));
        return;
    }
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && wanted.goes_before(value(&items[at - 1]), value(&items[at])) {
            items.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// A member of a group with its value.
type Entry = (usize, f64);

/// Adds an entry to a heap.
pub(crate) fn push(heap: &mut Vec<Entry>, entry: Entry, wanted: Wanted) {
    heap.push(entry);
    let mut at = heap.len() - 1;
    while at > 0 {
        let parent = (at - 1) / 2;
        if !wanted.goes_before(heap[at].1, heap[parent].1) {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

/// Offers an entry to a heap of at most `limit`: a full one takes it in place of its root, if it is wanted more.
pub(crate) fn offer(heap: &mut Vec<Entry>, entry: Entry, limit: usize, wanted: Wanted) {
    if heap.len() < limit {
        return push(heap, entry, wanted);
    }
    let root = heap[0].1;
    if (root.is_nan() && entry.1.is_nan()) || !wanted.goes_before(root, entry.1) {
        return;
    }
    heap[0] = entry;
    let mut at = 0;
    loop {
        let mut child = 2 * at + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && wanted.goes_before(heap[child + 1].1, heap[child].1) {
            child += 1;
        }
        if !wanted.goes_before(heap[child].1, heap[at].1) {
            return;
        }
        heap.swap(at, child);
        at = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f64 = f64::NAN;

    /// Members kept, in the order in which an instant query shows them.
    fn kept(values: &[f64], limit: usize, wanted: Wanted) -> Vec<usize> {
        let mut heap = Vec::new();
        for entry in values.iter().copied().enumerate() {
            offer(&mut heap, entry, limit, wanted);
        }
        rank(&mut heap, wanted, |entry| entry.1);
        heap.into_iter().map(|(member, _)| member).collect()
    }

    #[test]
    fn the_original_keeps_these() {
        use Wanted::{Largest, Smallest};
        let table: &[(&[f64], usize, Wanted, &[usize])] = &[
            (&[1.0, 2.0, 3.0], 2, Largest, &[2, 1]),
            (&[1.0, 2.0, 3.0], 2, Smallest, &[0, 1]),
            (&[1.0, 1.0, 1.0, 1.0], 2, Largest, &[0, 1]),
            // of two equal ones the root goes, and the other stays
            (&[2.0, 2.0, 1.0], 2, Smallest, &[2, 1]),
            (&[3.0, 3.0, 3.0, 1.0, 2.0], 3, Smallest, &[3, 4, 2]),
            (&[1.0, 1.0, 1.0, 2.0], 3, Largest, &[3, 1, 2]),
            (&[NAN, 1.0, NAN, 2.0], 2, Largest, &[3, 1]),
            (&[NAN, NAN, NAN], 1, Smallest, &[0]),
            (&[5.0], 4, Smallest, &[0]),
        ];
        for (values, limit, wanted, expected) in table {
            assert_eq!(kept(values, *limit, *wanted), *expected, "{values:?} {limit} {wanted:?}");
        }
    }

    #[test]
    fn nan_is_last_however_many_there_are() {
        for len in [4_usize, INSERTION_MAX, INSERTION_MAX + 1, 40] {
            for wanted in [Wanted::Largest, Wanted::Smallest] {
                let mut values: Vec<f64> =
                    (0..len).map(|i| if i % 3 == 0 { NAN } else { (i * 7 % len) as f64 }).collect();
                rank(&mut values, wanted, |value| *value);
                let numbers = len - len.div_ceil(3);
                assert!(values[numbers..].iter().all(|value| value.is_nan()), "{values:?}");
                assert!(values[..numbers].windows(2).all(|pair| !wanted.goes_before(pair[0], pair[1])), "{values:?}");
            }
        }
    }
}
