//! The line cache: what each line of a target's last body meant, so that a known line costs a hash and a compare.
//!
//! ```text
//! body line      slot (in line order)
//! up{a="b"} 1    hash of `up{a="b"}`, its length, its series      ← cursor: the usual case, nothing moved
//! gone …         …                                                  8 before and after: lines came or went
//! new{…} 2       –                                                  a table by hash, built when it is first needed
//! ```
//!
//! Invariants
//! - a series belongs to one slot: another spelling of the same labels takes the slot over, or, in the same body, becomes
//!   an alias that is counted as a duplicate and never appended (a row must not hold a series twice);
//! - a slot is *live* while its series' last sample is newer than its last staleness marker.
//!
//! Cost: 40 bytes a line kept; the tables live only during a visit that met something new.

use hashbrown::{HashMap, HashSet};
use storage::SeriesRef;

/// How far around the cursor a line is looked for before the table is built.
const WINDOW: usize = 8;

/// Most lines of failed visits that are remembered; further ones count as new again.
const FAILED_MAX: usize = 1 << 16;

type Table<K> = HashMap<K, u32, foldhash::fast::RandomState>;

/// One known line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    hash: [u64; 2],
    pub(crate) series: SeriesRef,
    pub(crate) len: u32,
    visit: u32,
    /// Metric relabelling drops it.
    pub(crate) dropped: bool,
    /// Same labels as another slot.
    pub(crate) alias: bool,
    /// Its last line said its own time, which is not tracked.
    pub(crate) timed: bool,
    pub(crate) live: bool,
}

/// The known lines of one target.
#[derive(Debug, Default)]
pub(crate) struct LineCache {
    slots: Vec<Slot>,
    /// Live series whose lines were forgotten (other rules now): stale unless they turn up again.
    orphans: Vec<SeriesRef>,
    /// Lines first met in visits that failed, since the last that did not: they are not counted as new once more.
    failed: HashSet<[u64; 2], foldhash::fast::RandomState>,
    seed: u64,
    visit: u32,
    /// Slots from here on are new in this visit.
    old_len: usize,
    cursor: usize,
    moved: bool,
    by_hash: Option<Table<[u64; 2]>>,
    by_series: Option<Table<u64>>,
}

impl LineCache {
    pub(crate) fn new(seed: u64) -> Self {
        LineCache { seed, ..LineCache::default() }
    }

    pub(crate) fn begin(&mut self) {
        self.visit = self.visit.wrapping_add(1);
        self.old_len = self.slots.len();
        self.cursor = 0;
        self.moved = false;
    }

    pub(crate) fn hash(&self, series: &[u8]) -> [u64; 2] {
        hash(series, self.seed)
    }

    /// The slot expected next: its length and a test for its text.
    pub(crate) fn expected(&self) -> Option<(usize, impl FnOnce(&[u8]) -> bool + use<>)> {
        let slot = self.slots.get(self.cursor)?;
        let (wanted, seed) = (slot.hash, self.seed);
        Some((slot.len as usize, move |text: &[u8]| hash(text, seed) == wanted))
    }

    /// The expected slot came.
    pub(crate) fn advance(&mut self) -> u32 {
        self.cursor += 1;
        (self.cursor - 1) as u32
    }

    /// The slot of a line that is not the expected one.
    pub(crate) fn find(&mut self, hash: [u64; 2]) -> Option<u32> {
        let from = self.cursor.saturating_sub(WINDOW);
        let near = self.slots.iter().skip(from).take(2 * WINDOW + 1).position(|slot| slot.hash == hash);
        let found = match near {
            Some(at) => from + at,
            None => {
                let slots = &self.slots;
                let table = self
                    .by_hash
                    .get_or_insert_with(|| slots.iter().enumerate().map(|(at, slot)| (slot.hash, at as u32)).collect());
                *table.get(&hash)? as usize
            }
        };
        self.moved = true;
        self.cursor = found + 1;
        Some(found as u32)
    }

    /// Adds a line that was never seen. `series` is `None` for one that is dropped.
    pub(crate) fn insert(&mut self, hash: [u64; 2], len: usize, series: Option<SeriesRef>) -> u32 {
        self.moved = true;
        let mut alias = false;
        if let Some(series) = series {
            let slots = &self.slots;
            let table = self.by_series.get_or_insert_with(|| {
                let own = slots.iter().enumerate().filter(|(_, slot)| !slot.dropped && !slot.alias);
                own.map(|(at, slot)| (slot.series.0, at as u32)).collect()
            });
            if let Some(owner) = table.get(&series.0).copied() {
                let slot = &mut self.slots[owner as usize];
                if slot.visit != self.visit {
                    // the same labels in another spelling: the slot changes its text
                    if let Some(by_hash) = &mut self.by_hash {
                        by_hash.remove(&slot.hash);
                        by_hash.insert(hash, owner);
                    }
                    (slot.hash, slot.len) = (hash, len as u32);
                    self.cursor = owner as usize + 1;
                    return owner;
                }
                alias = true;
            }
        }
        let at = self.slots.len() as u32;
        self.slots.push(Slot {
            hash,
            series: series.unwrap_or(SeriesRef(0)),
            len: len as u32,
            visit: self.visit.wrapping_sub(1),
            dropped: series.is_none(),
            alias,
            timed: false,
            live: false,
        });
        if let (Some(series), Some(table), false) = (series, &mut self.by_series, alias) {
            table.insert(series.0, at);
        }
        if let Some(table) = &mut self.by_hash {
            table.insert(hash, at);
        }
        at
    }

    pub(crate) fn slot(&mut self, at: u32) -> &mut Slot {
        &mut self.slots[at as usize]
    }

    /// Notes that a slot's line is in this body; false when it was already.
    pub(crate) fn see(&mut self, at: u32) -> bool {
        let visit = self.visit;
        let slot = self.slot(at);
        let first = slot.visit != visit;
        slot.visit = visit;
        first
    }

    /// The line of this slot does not count as being in this body.
    pub(crate) fn overlook(&mut self, at: u32) {
        self.slot(at).visit = self.visit.wrapping_sub(1);
    }

    /// Calls `mark` for every live series that is not in this body. A body that failed holds the lines before its fault:
    /// as in the original their series get no marker yet, although nothing of the body is stored.
    pub(crate) fn vanished(&mut self, success: bool, mut mark: impl FnMut(SeriesRef)) {
        let in_order = success && !self.moved && self.cursor == self.slots.len();
        if !in_order {
            for slot in &mut self.slots[..self.old_len] {
                let gone = slot.visit != self.visit || (!success && slot.timed);
                if gone && slot.live {
                    slot.live = false;
                    mark(slot.series);
                }
            }
        }
        if self.orphans.is_empty() {
            return;
        }
        let own = |slot: &&Slot| slot.visit == self.visit && !slot.dropped;
        let back: HashSet<SeriesRef, foldhash::fast::RandomState> = match success {
            true => self.slots.iter().filter(own).map(|slot| slot.series).collect(),
            false => HashSet::default(),
        };
        self.orphans.drain(..).filter(|series| !back.contains(series)).for_each(mark);
    }

    /// The body was read and committed: the slots become those of `order` (its lines), with the refs `resolve` gives.
    pub(crate) fn end_success(&mut self, order: &[u32], resolve: impl Fn(SeriesRef) -> Option<SeriesRef>) {
        if !self.failed.is_empty() {
            self.failed = HashSet::default();
        }
        let visit = self.visit;
        for slot in &mut self.slots {
            if slot.visit == visit {
                slot.live = !slot.dropped && !slot.alias && !slot.timed;
            }
        }
        let complete = !self.moved && self.cursor == self.slots.len();
        if !complete {
            let removed = order.len() < self.slots.len();
            let old = std::mem::take(&mut self.slots);
            self.slots.reserve_exact(order.len());
            for at in order {
                let mut slot = old[*at as usize];
                if !slot.dropped && !slot.alias {
                    match resolve(slot.series) {
                        Some(series) => slot.series = series,
                        None => continue,
                    }
                }
                // an alias may be the only spelling left once something went: it is looked at anew
                if !(slot.alias && removed) {
                    self.slots.push(slot);
                }
            }
        }
        self.forget_tables();
    }

    /// The body failed: what was new in it is forgotten, the rest stays known.
    pub(crate) fn end_failure(&mut self) {
        let room = FAILED_MAX.saturating_sub(self.failed.len());
        let new = self.slots[self.old_len..].iter().filter(|slot| !slot.dropped).take(room);
        self.failed.extend(new.map(|slot| slot.hash));
        self.slots.truncate(self.old_len);
        self.forget_tables();
    }

    /// Whether a visit that failed has brought this line before.
    pub(crate) fn failed_with(&self, hash: [u64; 2]) -> bool {
        self.failed.contains(&hash)
    }

    /// Forgets every line; live series become orphans. For when the same line would now mean something else.
    pub(crate) fn forget(&mut self) {
        let live = self.slots.iter().filter(|slot| slot.live).map(|slot| slot.series);
        self.orphans.extend(live);
        self.slots = Vec::new();
        self.forget_tables();
    }

    /// Forgets everything, live series too: their refs are no longer good.
    pub(crate) fn clear(&mut self) {
        *self = LineCache { seed: self.seed, visit: self.visit, ..LineCache::default() };
    }

    /// Every live series; none is afterwards.
    pub(crate) fn take_live(&mut self) -> Vec<SeriesRef> {
        let mut live = std::mem::take(&mut self.orphans);
        for slot in &mut self.slots {
            if std::mem::take(&mut slot.live) {
                live.push(slot.series);
            }
        }
        live
    }

    fn forget_tables(&mut self) {
        self.by_hash = None;
        self.by_series = None;
    }
}

fn hash(text: &[u8], seed: u64) -> [u64; 2] {
    let hash = xxhash_rust::xxh3::xxh3_128_with_seed(text, seed);
    [hash as u64, (hash >> 64) as u64]
}
