//! Which blocks go: those too old, those too many bytes ago. Whole blocks only, as in the original.

use crate::block::Block;
use model::Millis;
use std::collections::BTreeSet;
use ulid::Ulid;

/// Blocks in the order of their ranges.
pub(super) fn sorted(mut blocks: Vec<Block>) -> Vec<Block> {
    blocks.sort_by_key(|block| (block.meta().min_time, block.meta().ulid));
    blocks
}

/// What retention looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aged {
    pub(super) ulid: Ulid,
    pub(super) max_time: i64,
    pub(super) bytes: u64,
}

impl Aged {
    pub(super) fn of(block: &Block) -> Self {
        Aged { ulid: block.meta().ulid, max_time: block.meta().max_time, bytes: block.size() }
    }
}

/// Blocks that end `retention` or more before the newest one does, and all that end before those.
pub(super) fn too_old(blocks: &[Aged], retention: Option<Millis>) -> BTreeSet<Ulid> {
    let Some(retention) = retention.filter(|retention| retention.0 > 0) else { return BTreeSet::new() };
    let Some(newest) = blocks.iter().map(|block| block.max_time).max() else { return BTreeSet::new() };
    blocks.iter().filter(|b| newest.saturating_sub(b.max_time) >= retention.0).map(|b| b.ulid).collect()
}

/// From the newest block back: those at which log and blocks together go beyond `limit` bytes, and all before.
pub(super) fn too_much(blocks: &[Aged], log_bytes: u64, limit: u64) -> BTreeSet<Ulid> {
    if limit == 0 {
        return BTreeSet::new();
    }
    let mut newest_first = blocks.to_vec();
    newest_first.sort_by_key(|block| std::cmp::Reverse((block.max_time, block.ulid)));
    let mut held = log_bytes;
    let over = |block: &Aged| {
        held = held.saturating_add(block.bytes);
        held > limit
    };
    match newest_first.iter().position(over) {
        Some(first) => newest_first[first..].iter().map(|block| block.ulid).collect(),
        None => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(list: &[(i64, u64)]) -> Vec<Aged> {
        let aged = |(n, (max_time, bytes)): (usize, &(i64, u64))| Aged {
            ulid: Ulid::from_parts(n as u64, 0),
            max_time: *max_time,
            bytes: *bytes,
        };
        list.iter().enumerate().map(aged).collect()
    }

    fn numbers(gone: BTreeSet<Ulid>) -> Vec<u64> {
        gone.into_iter().map(|ulid| ulid.timestamp_ms()).collect()
    }

    #[test]
    fn by_time() {
        let list = blocks(&[(100, 1), (200, 1), (300, 1)]);
        assert_eq!(numbers(too_old(&list, Some(Millis(100)))), [0, 1]);
        assert_eq!(numbers(too_old(&list, Some(Millis(101)))), [0]);
        assert_eq!(numbers(too_old(&list, Some(Millis(201)))), [] as [u64; 0]);
        assert_eq!(numbers(too_old(&list, None)), [] as [u64; 0]);
        assert_eq!(numbers(too_old(&[], Some(Millis(1)))), [] as [u64; 0]);
    }

    #[test]
    fn by_size() {
        let list = blocks(&[(100, 10), (200, 10), (300, 10)]);
        assert_eq!(numbers(too_much(&list, 5, 0)), [] as [u64; 0]);
        assert_eq!(numbers(too_much(&list, 5, 35)), [] as [u64; 0]);
        assert_eq!(numbers(too_much(&list, 5, 34)), [0]);
        assert_eq!(numbers(too_much(&list, 5, 15)), [0, 1]);
        assert_eq!(numbers(too_much(&list, 40, 15)), [0, 1, 2]);
    }
}
