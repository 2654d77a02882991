//! Which blocks to merge next: Prometheus' leveled planning.
//!
//! In this order: blocks that overlap; blocks that fill (or lie behind) an aligned range of the next sizes; a big block of which
//! more than 5 % is deleted. The newest block is left alone in the last two, so that there is time to copy it away.

use crate::block::BlockMeta;
use model::Millis;
use ulid::Ulid;

/// Each range is so many times the one before.
const STEP: i64 = 3;
/// How many ranges there are at most.
const STEPS_MAX: usize = 10;
/// Share of deleted intervals, counted against series, that makes a block worth rewriting.
const TOMBSTONES_SHARE: f64 = 0.05;

/// The sizes of blocks: `min`, then three times as much each, up to `max`. Empty when `min` is above `max` or below 1.
pub fn block_ranges(min: Millis, max: Millis) -> Vec<i64> {
    std::iter::successors(Some(min.0), |range| range.checked_mul(STEP))
        .take(STEPS_MAX)
        .take_while(|range| (1..=max.0).contains(range))
        .collect()
}

/// The blocks to merge next, oldest first; empty when there is nothing to do. One block alone is rewritten without what was
/// deleted in it.
///
/// `ranges` is from [`block_ranges`]; `overlapping` says whether overlapping blocks may be merged.
pub fn plan<'a>(metas: impl IntoIterator<Item = &'a BlockMeta>, ranges: &[i64], overlapping: bool) -> Vec<Ulid> {
    let mut sorted: Vec<&BlockMeta> = metas.into_iter().collect();
    sorted.sort_by_key(|meta| (meta.min_time, meta.ulid));
    let mut planned = if overlapping { overlapping_blocks(&sorted) } else { Vec::new() };
    if planned.is_empty() {
        sorted.pop();
        planned = next_level(&sorted, ranges);
    }
    if planned.is_empty() {
        planned.extend(mostly_deleted(&sorted, ranges));
    }
    planned.into_iter().map(|meta| meta.ulid).collect()
}

/// The first run of blocks that overlap.
fn overlapping_blocks<'a>(sorted: &[&'a BlockMeta]) -> Vec<&'a BlockMeta> {
    let mut run: Vec<&BlockMeta> = Vec::new();
    let mut reach = i64::MIN;
    for (at, meta) in sorted.iter().enumerate() {
        if at > 0 && meta.min_time < reach {
            if run.is_empty() {
                run.push(sorted[at - 1]);
            }
            run.push(meta);
        } else if run.iter().any(|meta| meta.compaction.failed) {
            run.clear(); // would fail again: look behind it
        } else if !run.is_empty() {
            break;
        }
        reach = reach.max(meta.max_time);
    }
    if run.iter().any(|meta| meta.compaction.failed) {
        run.clear();
    }
    run
}

/// The first group of at least two blocks that makes up a larger range.
fn next_level<'a>(sorted: &[&'a BlockMeta], ranges: &[i64]) -> Vec<&'a BlockMeta> {
    let Some(newest) = sorted.last() else { return Vec::new() };
    for range in ranges.iter().skip(1) {
        for group in split_by_range(sorted, *range) {
            let failed = group.iter().any(|meta| meta.compaction.failed);
            let (start, end) = (group[0].min_time, group[group.len() - 1].max_time);
            // whole, or nothing more can come into it: the newest begins behind it
            let complete = end.saturating_sub(start) == *range || end <= newest.min_time;
            if !failed && complete && group.len() > 1 {
                return group;
            }
        }
    }
    Vec::new()
}

/// Groups the blocks by the aligned ranges they lie in; those that lie in none (too large, or across a border) are left out.
fn split_by_range<'a>(sorted: &[&'a BlockMeta], range: i64) -> Vec<Vec<&'a BlockMeta>> {
    let mut groups = Vec::new();
    let mut at = 0;
    while at < sorted.len() {
        let start = sorted[at].min_time.div_euclid(range).saturating_mul(range);
        let end = start.saturating_add(range);
        if sorted[at].max_time > end {
            at += 1;
            continue;
        }
        let inside = |meta: &&&BlockMeta| meta.min_time >= start && meta.max_time <= end;
        let group: Vec<&BlockMeta> = sorted[at..].iter().take_while(inside).copied().collect();
        at += group.len();
        groups.push(group);
    }
    groups
}

/// The newest big block of which much is deleted, or a small one that is deleted altogether.
fn mostly_deleted<'a>(sorted: &[&'a BlockMeta], ranges: &[i64]) -> Option<&'a BlockMeta> {
    let big = ranges.get(ranges.len() / 2).copied().unwrap_or(i64::MAX);
    for meta in sorted.iter().rev() {
        let (tombstones, series) = (meta.stats.num_tombstones, meta.stats.num_series);
        if meta.max_time.saturating_sub(meta.min_time) < big {
            return (tombstones > 0 && tombstones >= series).then_some(*meta);
        }
        if tombstones as f64 / (series + 1) as f64 > TOMBSTONES_SHARE {
            return Some(meta);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{TimeRange, Timestamp};

    fn block(n: usize, start: i64, end: i64) -> BlockMeta {
        BlockMeta::of_head(Ulid(n as u128), TimeRange::new(Timestamp(start), Timestamp(end)))
    }

    fn check(blocks: &[(i64, i64)], expected: &[usize]) {
        let metas: Vec<_> = blocks.iter().enumerate().map(|(n, (start, end))| block(n, *start, *end)).collect();
        let planned: Vec<_> = plan(&metas, &[20, 60, 180, 540], true).iter().map(|ulid| ulid.0 as usize).collect();
        assert_eq!(planned, expected, "{blocks:?}");
    }

    #[test]
    fn ranges_triple() {
        assert_eq!(block_ranges(Millis(2), Millis(60)), [2, 6, 18, 54]);
        assert_eq!(block_ranges(Millis(2), Millis(54)), [2, 6, 18, 54]);
        assert_eq!(block_ranges(Millis(1), Millis(i64::MAX)).len(), 10);
        assert!(block_ranges(Millis(7), Millis(6)).is_empty());
        assert!(block_ranges(Millis(0), Millis(6)).is_empty());
    }

    /// The cases that describe Prometheus' planning.
    #[test]
    fn blocks_that_make_up_a_range_are_merged() {
        check(&[], &[]);
        check(&[(0, 20)], &[]);
        // three fill the range, but the newest waits
        check(&[(0, 20), (20, 40), (40, 60)], &[]);
        check(&[(0, 20), (20, 40), (40, 60), (60, 80)], &[0, 1, 2]);
        // a gap: nothing can come into it any more
        check(&[(0, 20), (20, 40), (60, 80)], &[]);
        check(&[(0, 20), (20, 40), (60, 80), (80, 100)], &[0, 1]);
        check(&[(0, 20), (40, 60), (60, 80)], &[0, 1]);
        // the smaller range first
        check(&[(0, 60), (60, 120), (180, 200), (200, 220), (220, 240), (240, 260)], &[2, 3, 4]);
        check(&[(0, 60), (60, 120), (120, 180), (180, 200)], &[0, 1, 2]);
        check(&[(0, 60), (120, 180), (180, 200)], &[0, 1]);
        // across a border of the range: left alone
        check(&[(10, 30), (50, 70), (70, 90), (100, 120)], &[]);
        // below zero ranges begin below
        check(&[(-60, -40), (-40, -20), (-20, 0), (0, 20)], &[0, 1, 2]);
    }

    #[test]
    fn overlapping_blocks_come_first() {
        check(&[(0, 20), (10, 40)], &[0, 1]);
        check(&[(0, 20), (19, 40), (40, 60), (60, 80)], &[0, 1]);
        check(&[(0, 20), (20, 40), (30, 50), (45, 60), (60, 80)], &[1, 2, 3]);
        check(&[(0, 60), (10, 20), (30, 40), (60, 80)], &[0, 1, 2]);
        let metas = [block(0, 0, 20), block(1, 10, 40), block(2, 40, 60)];
        assert_eq!(plan(&metas, &[20, 60], false), []);
    }

    #[test]
    fn failed_blocks_are_left_alone() {
        let mut metas: Vec<_> = (0..4).map(|n| block(n, n as i64 * 20, n as i64 * 20 + 20)).collect();
        metas[1].compaction.failed = true;
        assert_eq!(plan(&metas, &[20, 60], true), []);
        let mut metas = [block(0, 0, 20), block(1, 10, 30), block(2, 30, 60), block(3, 50, 60), block(4, 60, 80)];
        metas[0].compaction.failed = true;
        assert_eq!(plan(&metas, &[20, 60], true), [Ulid(2), Ulid(3)]);
    }

    #[test]
    fn blocks_with_many_tombstones_are_rewritten() {
        let with = |start, end, tombstones, series| {
            let mut meta = block(start as usize, start, end);
            meta.stats.num_tombstones = tombstones;
            meta.stats.num_series = series;
            meta
        };
        let newest = block(1000, 1000, 1020);
        let ranges = [20, 60, 180];
        let check = |meta: BlockMeta, planned: bool| {
            let found = !plan([&meta, &newest], &ranges, true).is_empty();
            assert_eq!(found, planned, "{meta:?}");
        };
        check(with(0, 60, 10, 100), true);
        check(with(0, 60, 5, 100), false);
        check(with(0, 60, 0, 0), false);
        check(with(0, 20, 50, 100), false);
        check(with(0, 20, 100, 100), true);
    }
}
