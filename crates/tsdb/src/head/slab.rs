//! A table indexed by slot that grows without moving what it holds: pages of 1024 entries.
//!
//! A `Vec` of a million rows doubles by copying 100 MB while everybody waits; a slab appends a page.

const PAGE_BITS: u32 = 10;
const PAGE: usize = 1 << PAGE_BITS;

/// Entries by slot.
#[derive(Debug)]
pub(super) struct Slab<T> {
    pages: Vec<Vec<T>>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Slab { pages: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE + last.len())
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        self.pages.get((slot >> PAGE_BITS) as usize)?.get(slot as usize & (PAGE - 1))
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.pages.get_mut((slot >> PAGE_BITS) as usize)?.get_mut(slot as usize & (PAGE - 1))
    }

    /// Puts `entry` at `slot`, which is in use already or the next free one.
    pub(super) fn put(&mut self, slot: u32, entry: T) {
        if let Some(place) = self.get_mut(slot) {
            *place = entry;
            return;
        }
        debug_assert_eq!(slot as usize, self.len(), "slots are handed out in order");
        match self.pages.last_mut() {
            Some(last) if last.len() < PAGE => last.push(entry),
            // the first page grows with the number of series, later ones come whole
            Some(_) => {
                let mut page = Vec::with_capacity(PAGE);
                page.push(entry);
                self.pages.push(page);
            }
            None => self.pages.push(vec![entry]),
        }
    }

    /// Entries with their slots.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.pages.iter_mut().flatten().enumerate().map(|(slot, entry)| (slot as u32, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_slots() {
        let mut slab = Slab::new();
        for slot in 0..3000 {
            slab.put(slot, slot * 2);
        }
        slab.put(17, 1);
        assert_eq!(slab.len(), 3000);
        assert_eq!(slab.get(17), Some(&1));
        assert_eq!(slab.get(2999), Some(&5998));
        assert_eq!(slab.get(3000), None);
        assert!(slab.iter_mut().all(|(slot, entry)| *entry == slot * 2 || slot == 17));
    }
}
