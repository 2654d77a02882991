//! A series' samples in memory: sealed chunks and the open one, cut where Prometheus would cut.
//!
//! ```text
//! sealed   [ t0 … t119 ][ t120 … t239 ]         whole XOR chunks, shared with readers
//! open                                 [ t240 … │ next sample, unless it is at or behind `next_at`
//! ```
//!
//! Cut rules: a range border (a chunk never crosses one, so cutting a block copies whole chunks); after a quarter of the
//! wanted samples the end is predicted so that the rest of the range splits evenly; twice the wanted samples; 1005 bytes.
//! Memory of an active series: 104 bytes here, about 160 of open chunk, 48 and the bytes for each sealed one.

use chunk::OpenXor;
use std::sync::Arc;

/// A chunk longer than this is cut: one more sample takes at most 19 bytes, and 1024 is Prometheus' limit.
const CHUNK_BYTES_MAX: usize = 1024 - 19;

/// Series touched together before they are appended to: enough reads to keep memory busy, few enough to stay in the cache.
pub(super) const TOUCHED: usize = 16;

/// When chunks are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct CutRules {
    /// Chunks do not cross multiples of this, milliseconds.
    pub(super) range: i64,
    /// Samples wanted in a chunk.
    pub(super) samples: u16,
}

/// A finished chunk.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) bytes: Arc<[u8]>,
}

/// The samples of one series.
#[derive(Debug)]
pub(super) struct SeriesRow {
    /// Tells apart the series that use one slot after another.
    pub(super) generation: u32,
    /// None only while the slot is free.
    pub(super) open: Option<OpenXor>,
    open_first: i64,
    next_at: i64,
    pub(super) sealed: Vec<Sealed>,
}

impl SeriesRow {
    pub(super) fn new(generation: u32) -> Self {
        SeriesRow { generation, open: None, open_first: 0, next_at: i64::MIN, sealed: Vec::new() }
    }

    /// Appends a sample newer than all others; true when that began a chunk.
    #[inline]
    pub(super) fn append(&mut self, at: i64, value: f64, rules: CutRules) -> bool {
        if let Some(open) = &mut self.open {
            let count = open.count();
            if count == rules.samples / 4 {
                self.next_at = predicted_end(self.open_first, open.last_time(), self.next_at);
            }
            let full = count >= rules.samples * 2 || open.bytes().len() > CHUNK_BYTES_MAX;
            if at < self.next_at && !full {
                open.append(at, value).expect("a chunk of at most twice the wanted samples has room");
                return false;
            }
            let sealed = Sealed { first: self.open_first, last: open.last_time(), bytes: Arc::from(open.bytes()) };
            self.sealed.push(sealed);
        }
        let mut open = OpenXor::new();
        open.append(at, value).expect("an empty chunk has room");
        self.open = Some(open);
        self.open_first = at;
        self.next_at = range_end(at, rules.range);
        true
    }

    /// Reads what an append will need, and nothing more. Done for some series before any of them is appended to, the reads
    /// wait for memory side by side instead of one after the other; the sum is for `black_box`, so that they are made.
    #[inline(always)]
    pub(super) fn touch(&self) -> u64 {
        let Some(open) = &self.open else { return 0 };
        let bytes = open.bytes();
        u64::from(bytes.first().copied().unwrap_or(0)) + u64::from(bytes.last().copied().unwrap_or(0))
    }

    /// First and last time of the open chunk.
    #[inline]
    pub(super) fn open_span(&self) -> Option<(i64, i64)> {
        self.open.as_ref().map(|open| (self.open_first, open.last_time()))
    }

    /// Time of the oldest sample.
    pub(super) fn first(&self) -> Option<i64> {
        self.sealed.first().map(|chunk| chunk.first).or(self.open.as_ref().map(|_| self.open_first))
    }

    /// Drops the chunks that end before `oldest`; says how many.
    pub(super) fn truncate(&mut self, oldest: i64) -> u64 {
        let before = self.sealed.len();
        let gone = self.sealed.partition_point(|chunk| chunk.last < oldest);
        if gone > 0 {
            self.sealed.drain(..gone);
            self.sealed.shrink_to_fit();
        }
        let mut dropped = (before - self.sealed.len()) as u64;
        if self.open.as_ref().is_some_and(|open| open.last_time() < oldest) {
            self.open = None;
            dropped += 1;
        }
        dropped
    }
}

/// The end of the range of length `width` that `at` lies in: the smallest multiple above it.
pub(crate) fn range_end(at: i64, width: i64) -> i64 {
    at.div_euclid(width).saturating_mul(width).saturating_add(width)
}

/// Where a chunk should end that is a quarter full, so that the rest of the range splits into equal chunks.
fn predicted_end(first: i64, last: i64, range_end: i64) -> i64 {
    let chunks =
        (range_end.saturating_sub(first)) as f64 / ((last.saturating_sub(first).saturating_add(1)) as f64 * 4.0);
    if chunks <= 1.0 {
        return range_end;
    }
    (first as f64 + (range_end.saturating_sub(first)) as f64 / chunks.floor()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CutRules = CutRules { range: 7_200_000, samples: 120 };

    fn check(times: impl Iterator<Item = i64>, value: impl Fn(i64) -> f64, sizes: &[u16]) {
        let mut row = SeriesRow::new(1);
        let mut count = 0;
        for at in times {
            row.append(at, value(at), RULES);
            count += 1;
        }
        let mut got: Vec<u16> =
            row.sealed.iter().map(|c| chunk::xor::sample_count(&c.bytes).expect("a chunk")).collect();
        got.push(row.open.as_ref().expect("open").count());
        assert_eq!(got, sizes);
        assert_eq!(got.iter().map(|n| u32::from(*n)).sum::<u32>(), count);
        assert!(row.sealed.windows(2).all(|two| two[0].last < two[1].first));
    }

    #[test]
    fn chunks_split_a_range_evenly() {
        // 480 samples of 15 s a range: four chunks of 120, predicted from the first 30
        check((0..960).map(|n| n * 15_000), |_| 1.0, &[120; 8]);
        // once a minute: 120 in a range, one chunk
        check((0..240).map(|n| n * 60_000), |_| 1.0, &[120, 120]);
    }

    #[test]
    fn a_range_border_ends_a_chunk() {
        check([7_199_999, 7_200_000].into_iter(), |_| 1.0, &[1, 1]);
        check([-1, 0].into_iter(), |_| 1.0, &[1, 1]);
    }

    #[test]
    fn a_long_chunk_is_cut_by_bytes() {
        let noisy = |at: i64| f64::from_bits((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
        let mut row = SeriesRow::new(1);
        for n in 0..200 {
            row.append(n * 40_000, noisy(n), CutRules { range: i64::MAX / 4, samples: 120 });
        }
        assert!(row.sealed.iter().all(|c| c.bytes.len() <= 1024), "{:?}", row.sealed[0].bytes.len());
    }

    #[test]
    fn truncation_drops_what_ended_before() {
        let mut row = SeriesRow::new(1);
        for n in 0..960 {
            row.append(n * 15_000, 1.0, RULES);
        }
        assert_eq!(row.truncate(7_200_000), 4);
        assert_eq!(row.first(), Some(7_200_000));
        assert_eq!(row.truncate(i64::MAX), 4);
        assert_eq!(row.first(), None);
    }
}
