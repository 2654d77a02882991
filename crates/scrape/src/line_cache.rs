//! The line cache: what each line of a target's body was the last time, so that a known line costs one hash.
//!
//! ```text
//! order of last visit   [ 7 | 2 | 9 | … ]   slot numbers, one per line
//! slots                 2: hash of the series text, ref, when seen last
//! ```
//!
//! Line *i* of a visit is nearly always line *i* of the last one: compare its hash with the slot expected there, look
//! [`LOOK_AHEAD`] further on when it differs (a line vanished), and only then in a table by hash, which is built on demand.
//! Nothing is parsed, relabelled or allocated for a known line. Slots of lines that were not seen are freed when their
//! visit ends; their refs are handed back for staleness markers.
//!
//! Identity of a line is the 128-bit xxh3 of its series text, seeded per loop: a collision would need 2^64 lines.
//! Cost: 40 bytes a line; 6 ns a known line of 112 bytes (engine.md 15).

use hashbrown::HashMap;
use storage::SeriesRef;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// How far ahead a line is looked for in the last order before the table is asked.
const LOOK_AHEAD: usize = 8;

/// What a line leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    /// To a series.
    Series(SeriesRef),
    /// Nowhere: relabelling drops it.
    Dropped,
}

/// A known line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    hash: u128,
    /// Bytes of the series text.
    len: u32,
    /// What it leads to.
    pub(crate) leads: Leads,
    /// The visit it was seen in last.
    pub(crate) seen: u32,
    /// Whether its end is to be marked: false for samples with their own timestamps.
    pub(crate) tracked: bool,
    /// Whether another line leads to the same series: a duplicate when both are there.
    shared: bool,
}

/// The hash of a line's series text; never 0, which marks a free slot.
pub(crate) fn line_hash(series: &[u8], seed: u64) -> u128 {
    xxh3_128_with_seed(series, seed).max(1)
}

/// The cache of one target.
#[derive(Debug)]
pub(crate) struct LineCache {
    seed: u64,
    visit: u32,
    slots: Vec<Slot>,
    free: Vec<u32>,
    order: Vec<u32>,
    next_order: Vec<u32>,
    cursor: usize,
    /// Built when an order was broken; kept from then on.
    by_hash: Option<HashMap<u128, u32, foldhash::fast::FixedState>>,
    by_series: HashMap<SeriesRef, u32, foldhash::fast::FixedState>,
    /// Series that several lines lead to, and the visit each was seen in last. Nearly always empty.
    shared: HashMap<SeriesRef, u32, foldhash::fast::FixedState>,
}

impl LineCache {
    /// An empty cache.
    pub(crate) fn new(seed: u64) -> Self {
        LineCache {
            seed,
            visit: 0,
            slots: Vec::new(),
            free: Vec::new(),
            order: Vec::new(),
            next_order: Vec::new(),
            cursor: 0,
            by_hash: None,
            by_series: HashMap::default(),
            shared: HashMap::default(),
        }
    }

    /// Begins a visit.
    pub(crate) fn begin(&mut self) {
        self.visit += 1;
        self.cursor = 0;
        self.next_order.clear();
    }

    /// The hash a line's series text has here.
    pub(crate) fn hash(&self, series: &[u8]) -> u128 {
        line_hash(series, self.seed)
    }

    /// The slot expected next, the length of its series text, and its hash.
    pub(crate) fn expected(&self) -> Option<(u32, usize, u128)> {
        let slot = *self.order.get(self.cursor)?;
        let entry = &self.slots[slot as usize];
        Some((slot, entry.len as usize, entry.hash))
    }

    /// Says that the line expected was there.
    pub(crate) fn was_expected(&mut self) {
        self.cursor += 1;
    }

    /// The seed of the hashes.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Finds the slot of a line that was not the one expected.
    pub(crate) fn find(&mut self, hash: u128) -> Option<u32> {
        let until = self.order.len().min(self.cursor + 1 + LOOK_AHEAD);
        for at in self.cursor..until {
            let slot = self.order[at];
            if self.slots[slot as usize].hash == hash {
                self.cursor = at + 1;
                return Some(slot);
            }
        }
        self.look_up(hash)
    }

    fn look_up(&mut self, hash: u128) -> Option<u32> {
        if self.order.is_empty() && self.by_hash.is_none() {
            return None;
        }
        let (slots, order) = (&self.slots, &self.order);
        let table =
            self.by_hash.get_or_insert_with(|| order.iter().map(|slot| (slots[*slot as usize].hash, *slot)).collect());
        table.get(&hash).copied()
    }

    /// The slot's content.
    pub(crate) fn slot(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    /// Notes that the line was seen in this visit; true when it, or another line of its series, was seen before in it.
    pub(crate) fn see(&mut self, slot: u32, tracked: bool) -> bool {
        let entry = &mut self.slots[slot as usize];
        if entry.seen == self.visit {
            return true;
        }
        entry.seen = self.visit;
        entry.tracked = tracked;
        self.next_order.push(slot);
        match entry.leads {
            Leads::Series(series) if entry.shared => self.shared.insert(series, self.visit) == Some(self.visit),
            _ => false,
        }
    }

    /// Adds a line; it still has to be seen.
    pub(crate) fn add(&mut self, hash: u128, len: usize, series: Option<SeriesRef>) -> u32 {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let leads = series.map_or(Leads::Dropped, Leads::Series);
        let first = series.and_then(|series| self.by_series.get(&series).copied());
        let entry = Slot { hash, len, leads, seen: 0, tracked: false, shared: first.is_some() };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = entry;
                slot
            }
            None => {
                self.slots.push(entry);
                u32::try_from(self.slots.len() - 1).expect("a body of at most 256 MB has fewer lines than 2^32")
            }
        };
        match (series, first) {
            (Some(series), Some(first)) => {
                let first = &mut self.slots[first as usize];
                first.shared = true;
                self.shared.insert(series, first.seen);
            }
            (Some(series), None) => {
                self.by_series.insert(series, slot);
            }
            (None, _) => {}
        }
        if let Some(table) = &mut self.by_hash {
            table.insert(hash, slot);
        }
        slot
    }

    /// Replaces provisional refs by what they became in the commit; a line whose series was not born is forgotten when its
    /// visit ends.
    pub(crate) fn resolve(&mut self, resolve: impl Fn(SeriesRef) -> Option<SeriesRef>) {
        for at in 0..self.next_order.len() {
            let entry = &mut self.slots[self.next_order[at] as usize];
            let Leads::Series(series) = entry.leads else { continue };
            if !series.is_provisional() {
                continue;
            }
            let (slot, shared) = (self.next_order[at], entry.shared);
            match resolve(series) {
                Some(born) => entry.leads = Leads::Series(born),
                None => entry.seen = self.visit.wrapping_sub(1),
            }
            if let (Leads::Series(born), Some(_)) = (entry.leads, self.by_series.remove(&series)) {
                self.by_series.insert(born, slot);
            }
            if let (Leads::Series(born), true) = (self.slots[slot as usize].leads, shared) {
                self.shared.remove(&series);
                self.shared.insert(born, self.visit);
            }
        }
    }

    /// Series that were tracked in the visit before and are not seen in this one: they ended.
    pub(crate) fn vanished(&self) -> impl Iterator<Item = SeriesRef> + '_ {
        let before = self.order.iter().map(|slot| &self.slots[*slot as usize]);
        before.filter(|slot| slot.seen != self.visit && slot.tracked).filter_map(|slot| match slot.leads {
            Leads::Series(series) if slot.shared && self.shared.get(&series) == Some(&self.visit) => None,
            Leads::Series(series) => Some(series),
            Leads::Dropped => None,
        })
    }

    /// Every series tracked in the last whole visit, each once.
    pub(crate) fn tracked(&self) -> Vec<SeriesRef> {
        let slots = self.order.iter().map(|slot| &self.slots[*slot as usize]).filter(|slot| slot.tracked);
        let mut series: Vec<SeriesRef> = slots
            .filter_map(|slot| match slot.leads {
                Leads::Series(series) => Some(series),
                Leads::Dropped => None,
            })
            .collect();
        if !self.shared.is_empty() {
            series.sort_unstable();
            series.dedup();
        }
        series
    }

    /// Ends a visit that was committed: lines not seen in it are freed, its order becomes the one expected next.
    pub(crate) fn end(&mut self) {
        let visit = self.visit;
        for at in 0..self.order.len() {
            let slot = self.order[at];
            if self.slots[slot as usize].seen != visit {
                self.forget(slot);
            }
        }
        for at in 0..self.next_order.len() {
            let slot = self.next_order[at];
            if self.slots[slot as usize].seen != visit && self.slots[slot as usize].hash != 0 {
                self.forget(slot);
            }
        }
        let slots = &self.slots;
        self.next_order.retain(|slot| slots[*slot as usize].seen == visit);
        std::mem::swap(&mut self.order, &mut self.next_order);
        // a body that shrank must not keep the memory of its largest hour
        if self.slots.len() > 1024 && self.free.len() > self.slots.len() / 2 {
            self.compact();
        }
    }

    fn forget(&mut self, slot: u32) {
        let entry = self.slots[slot as usize];
        if entry.hash == 0 {
            return;
        }
        if let Leads::Series(series) = entry.leads
            && self.by_series.get(&series) == Some(&slot)
        {
            self.by_series.remove(&series);
        }
        if let Some(table) = &mut self.by_hash
            && table.get(&entry.hash) == Some(&slot)
        {
            table.remove(&entry.hash);
        }
        self.slots[slot as usize].hash = 0;
        self.free.push(slot);
    }

    fn compact(&mut self) {
        let kept = self.order.iter().map(|slot| self.slots[*slot as usize]).collect();
        self.slots = kept;
        self.order = (0..self.slots.len() as u32).collect();
        self.next_order = Vec::new();
        self.free = Vec::new();
        self.by_hash = None;
        self.by_series.clear();
        self.by_series.shrink_to_fit();
        for (n, slot) in self.slots.iter().enumerate() {
            if let Leads::Series(series) = slot.leads {
                self.by_series.entry(series).or_insert(n as u32);
            }
        }
    }

    /// Forgets everything: after a failed visit, when all its series were marked stale.
    pub(crate) fn clear(&mut self) {
        *self = LineCache { visit: self.visit, ..LineCache::new(self.seed) };
    }

    /// Lines known.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One visit with these lines (a line is a byte; upper case is dropped); gives how many lines had to be parsed, how many
    /// were duplicates, and which series vanished.
    fn visit(cache: &mut LineCache, lines: &str) -> (usize, usize, Vec<u64>) {
        let (mut parsed, mut duplicates) = (0, 0);
        cache.begin();
        for line in lines.bytes() {
            let hash = cache.hash(&[line]);
            let slot = cache.find(hash).unwrap_or_else(|| {
                parsed += 1;
                let series = (!line.is_ascii_uppercase()).then_some(SeriesRef(u64::from(line)));
                cache.add(hash, 1, series)
            });
            duplicates += usize::from(cache.see(slot, true));
        }
        let vanished = cache.vanished().map(|series| series.0).collect();
        cache.end();
        (parsed, duplicates, vanished)
    }

    #[test]
    fn known_lines_are_not_parsed_again() {
        let mut cache = LineCache::new(1);
        assert_eq!(visit(&mut cache, "abcDe"), (5, 0, vec![]));
        assert_eq!(visit(&mut cache, "abcDe"), (0, 0, vec![]));
        assert_eq!(visit(&mut cache, "eDcba"), (0, 0, vec![]), "another order");
        assert_eq!(visit(&mut cache, "ea"), (0, 0, vec![u64::from(b'c'), u64::from(b'b')]));
        assert_eq!(visit(&mut cache, "eabc"), (2, 0, vec![]), "lines that come back are parsed again");
        assert_eq!(visit(&mut cache, "eabcc"), (0, 1, vec![]));
    }

    #[test]
    fn many_lines_in_random_orders_stay_right() {
        let mut cache = LineCache::new(7);
        let mut state = 1u32;
        let mut before: Vec<u8> = Vec::new();
        for _ in 0..500 {
            let mut lines = Vec::new();
            for line in b'a'..=b'z' {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if state >> 30 != 0 {
                    lines.insert((state >> 8) as usize % (lines.len() + 1), line);
                }
            }
            let new = lines.iter().filter(|line| !before.contains(line)).count();
            let gone: Vec<u64> =
                before.iter().filter(|line| !lines.contains(line)).map(|line| u64::from(*line)).collect();
            let text = String::from_utf8(lines.clone()).expect("letters");
            assert_eq!(visit(&mut cache, &text), (new, 0, gone));
            before = lines;
        }
        assert_eq!(cache.len(), before.len());
    }

    #[test]
    fn two_lines_of_one_series_are_a_duplicate() {
        let mut cache = LineCache::new(1);
        for expected in [(2, 1), (0, 1)] {
            cache.begin();
            let mut parsed = 0;
            let mut duplicates = 0;
            for line in [b"x", b"y"] {
                let hash = cache.hash(line);
                let slot = cache.find(hash).unwrap_or_else(|| {
                    parsed += 1;
                    cache.add(hash, 1, Some(SeriesRef(5)))
                });
                duplicates += usize::from(cache.see(slot, true));
            }
            cache.end();
            assert_eq!((parsed, duplicates), expected);
        }
        cache.begin();
        let hash = cache.hash(b"y");
        let slot = cache.find(hash).expect("known");
        assert!(!cache.see(slot, true));
        assert_eq!(cache.vanished().count(), 0, "the series is still there by its other line");
    }
}
