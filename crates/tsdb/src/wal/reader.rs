//! Reading a segment: fragments joined into records, checksums verified, damage told from what is merely not ours to read.
//!
//! A last page that is short is read as if it went on with zeros, as Prometheus does: a tear inside a record shows up as
//! a wrong checksum, a tear within its trailing zeros is no damage at all. Zeros with records behind them are damage here
//! (pages that a power loss took from the middle), where Prometheus reads on: what comes after a hole may name series that stood in it.
//! Invariants: nothing is read beyond the segment; a record's memory is bounded by the segment's size, a decompressed
//! one by 64 times its compressed length (the most snappy's elements can give).

use super::frame::{Compression, Part, read_type};
use super::{HEADER, PAGE, WalError};
use crate::codec::crc32c;
use runtime::disk::{Disk, FileBytes};
use std::path::{Path, PathBuf};

/// The most that one byte of snappy input can become: a two-byte element copies at most 64 bytes.
const SNAPPY_EXPANSION_MAX: usize = 64;

/// Reads the records of one segment, in order.
pub struct SegmentReader {
    path: PathBuf,
    bytes: FileBytes,
    /// The last page, filled up with zeros, when the file ends within it.
    short_page: Vec<u8>,
    at: usize,
    sound: usize,
    joined: Vec<u8>,
    plain: Vec<u8>,
    decoder: snap::raw::Decoder,
}

impl SegmentReader {
    /// Opens a segment that nobody writes to any more.
    ///
    /// # Errors
    /// [`WalError::Disk`].
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, WalError> {
        Ok(Self::over(path, disk.map(path)?))
    }

    /// Reads `bytes` as if they were the file `path`.
    pub fn over(path: &Path, bytes: FileBytes) -> Self {
        let whole = bytes.len() / PAGE * PAGE;
        let mut short_page = bytes[whole..].to_vec();
        if !short_page.is_empty() {
            short_page.resize(PAGE, 0);
        }
        SegmentReader {
            path: path.to_owned(),
            bytes,
            short_page,
            at: 0,
            sound: 0,
            joined: Vec::new(),
            plain: Vec::new(),
            decoder: snap::raw::Decoder::new(),
        }
    }

    /// The next record with its offset, or `None` at the end. Records of no bytes are passed over, as Prometheus does;
    /// one that is empty only when decompressed is not.
    ///
    /// # Errors
    /// [`WalError::Damaged`] or [`WalError::Unsupported`]; the segment can not be read beyond that.
    pub fn next_record(&mut self) -> Result<Option<(u64, &[u8])>, WalError> {
        self.joined.clear();
        let mut start = None;
        loop {
            let Some(fragment) = self.fragment(start.is_some())? else {
                return match start {
                    None => Ok(None),
                    Some(offset) => Err(self.damaged(offset, "last record is torn")),
                };
            };
            let whole = matches!(fragment.part, Part::Full);
            if whole && fragment.len == 0 {
                continue;
            }
            let offset = *start.get_or_insert(fragment.offset);
            if !whole {
                let data = fragment.data(&self.bytes, &self.short_page);
                self.joined.extend_from_slice(data);
            }
            if matches!(fragment.part, Part::Full | Part::Last) {
                return self.finish(offset, fragment, whole).map(Some);
            }
        }
    }

    /// Where the last record returned ends.
    pub fn sound(&self) -> u64 {
        self.sound as u64
    }

    /// The damage of a record whose body did not decode; `offset` as [`SegmentReader::next_record`] gave it.
    pub fn undecodable(&self, offset: u64, reason: impl ToString) -> WalError {
        WalError::Damaged { path: self.path.clone(), offset, sound: offset, reason: reason.to_string() }
    }

    /// The refusal of a record that this version does not read.
    pub fn unsupported(&self, offset: u64, what: &'static str) -> WalError {
        WalError::Unsupported { path: self.path.clone(), offset, what }
    }

    fn finish(&mut self, offset: usize, last: Fragment, whole: bool) -> Result<(u64, &[u8]), WalError> {
        match last.compression {
            Compression::Zstd => return Err(self.unsupported(offset as u64, "a record compressed with zstd")),
            Compression::Snappy => {
                let stored = if whole { last.data(&self.bytes, &self.short_page) } else { &self.joined };
                if let Err(reason) = decompress(&mut self.decoder, stored, &mut self.plain) {
                    return Err(self.damaged(offset, &reason));
                }
            }
            Compression::None => {}
        }
        self.sound = self.at.min(self.bytes.len());
        let record = match (last.compression, whole) {
            (Compression::Snappy, _) => &self.plain,
            (_, true) => last.data(&self.bytes, &self.short_page),
            (_, false) => &self.joined[..],
        };
        Ok((offset as u64, record))
    }

    /// The next fragment; `inside` a record that has begun.
    fn fragment(&mut self, inside: bool) -> Result<Option<Fragment>, WalError> {
        loop {
            if self.at >= self.bytes.len() {
                return Ok(None);
            }
            let offset = self.at;
            let page_start = offset / PAGE * PAGE;
            let page = match self.bytes.get(page_start..page_start + PAGE) {
                Some(page) => page,
                None => &self.short_page[..],
            };
            let rest = &page[offset - page_start..];
            if rest[0] & 7 == 0 {
                if rest.iter().any(|byte| *byte != 0) {
                    return Err(self.damaged(offset, "non-zero byte in padding"));
                }
                let next = page_start + PAGE;
                let behind = self.bytes.get(next..).unwrap_or_default();
                // a writer fills a page up in the middle of a segment only when no header fits
                if rest.len() >= HEADER && behind.iter().any(|byte| *byte != 0) {
                    return Err(self.damaged(offset, "zeros where records were, and records behind them"));
                }
                self.at = next;
                continue;
            }
            return self.parse(offset, rest.len(), page_start, inside).map(Some);
        }
    }

    fn parse(&mut self, offset: usize, left: usize, page_start: usize, inside: bool) -> Result<Fragment, WalError> {
        let short = page_start + PAGE > self.bytes.len();
        let page = if short { &self.short_page[..] } else { &self.bytes[page_start..page_start + PAGE] };
        let rest = &page[offset - page_start..];
        let Some((part, compression)) = read_type(rest[0]) else {
            return Err(self.damaged(offset, &format!("unexpected fragment type {}", rest[0])));
        };
        let Some((header, data)) = rest.split_first_chunk::<HEADER>() else {
            return Err(self.damaged(offset, &format!("fragment header with {left} bytes left in its page")));
        };
        let len = usize::from(u16::from_be_bytes([header[1], header[2]]));
        let Some(data) = data.get(..len) else {
            return Err(self.damaged(offset, &format!("fragment of {len} bytes does not fit its page")));
        };
        let (found, expected) = (crc32c(data), u32::from_be_bytes([header[3], header[4], header[5], header[6]]));
        if found != expected {
            return Err(self.damaged(offset, &format!("checksum {found:08x}, expected {expected:08x}")));
        }
        if inside != matches!(part, Part::Middle | Part::Last) {
            return Err(self.damaged(offset, &format!("unexpected {part:?} fragment").to_lowercase()));
        }
        self.at = offset + HEADER + len;
        Ok(Fragment { offset, part, compression, short, from: offset + HEADER, len })
    }

    fn damaged(&self, offset: usize, reason: &str) -> WalError {
        let (offset, sound) = (offset as u64, self.sound as u64);
        WalError::Damaged { path: self.path.clone(), offset, sound, reason: reason.to_owned() }
    }
}

struct Fragment {
    offset: usize,
    part: Part,
    compression: Compression,
    short: bool,
    from: usize,
    len: usize,
}

impl Fragment {
    fn data<'a>(&self, bytes: &'a [u8], short_page: &'a [u8]) -> &'a [u8] {
        if self.short { &short_page[self.from % PAGE..][..self.len] } else { &bytes[self.from..self.from + self.len] }
    }
}

fn decompress(decoder: &mut snap::raw::Decoder, stored: &[u8], plain: &mut Vec<u8>) -> Result<(), String> {
    let len = snap::raw::decompress_len(stored).map_err(|e| format!("cannot decompress: {e}"))?;
    if len > stored.len().saturating_mul(SNAPPY_EXPANSION_MAX) {
        return Err(format!("{} compressed bytes claim to hold {len}", stored.len()));
    }
    plain.resize(len, 0);
    let written = decoder.decompress(stored, plain).map_err(|e| format!("cannot decompress: {e}"))?;
    plain.truncate(written);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::frame::Framer;
    use super::*;
    use proptest::prelude::*;

    fn read_all(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<WalError>) {
        let mut reader = SegmentReader::over(Path::new("00000000"), FileBytes::held(bytes.to_vec()));
        let mut records = Vec::new();
        loop {
            match reader.next_record() {
                Ok(Some((_, record))) => records.push(record.to_vec()),
                Ok(None) => return (records, None),
                Err(error) => return (records, Some(error)),
            }
        }
    }

    fn framed(records: &[Vec<u8>], compress: bool) -> Vec<u8> {
        let mut framer = Framer::new(compress);
        let mut segment = Vec::new();
        for record in records {
            let mut out = Vec::new();
            framer.frame(record, segment.len() as u64, &mut out);
            segment.extend_from_slice(&out);
        }
        segment
    }

    /// Noise that snappy can not shrink, made from a seed: proptest would spend its time on trees of single bytes.
    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let near_page = (PAGE - 40..PAGE + 10, any::<u64>()).prop_map(|(len, seed)| noise(len, seed));
        let small = (1usize..200, any::<u64>()).prop_map(|(len, seed)| noise(len, seed));
        let long = (1usize..4).prop_map(|pages| vec![7; pages * PAGE + 3]);
        proptest::collection::vec(prop_oneof![4 => small, 2 => near_page, 1 => long], 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn records_round_trip_through_pages(records in records(), compress: bool) {
            let segment = framed(&records, compress);
            let (read, error) = read_all(&segment);
            prop_assert!(error.is_none(), "{error:?}");
            prop_assert_eq!(read, records);
        }

        #[test]
        fn a_cut_segment_gives_a_prefix(records in records(), compress: bool, cut: prop::sample::Index) {
            let segment = framed(&records, compress);
            let cut = cut.index(segment.len());
            let (read, _) = read_all(&segment[..cut]);
            prop_assert!(read.len() <= records.len());
            prop_assert_eq!(&read[..], &records[..read.len()]);
        }

        #[test]
        fn a_changed_byte_gives_a_prefix(records in records(), at: prop::sample::Index, mask in 1u8..) {
            let mut segment = framed(&records, true);
            let at = at.index(segment.len());
            segment[at] ^= mask;
            let (read, _) = read_all(&segment);
            // The checksum does not cover the type byte: a change there may pass one record wrongly, never more.
            prop_assert!(read.len() <= records.len());
            let wrong = read.iter().zip(&records).filter(|(a, b)| a != b).count();
            prop_assert!(wrong <= 1, "{wrong} records differ");
        }

        #[test]
        fn arbitrary_bytes_never_panic(len in 0usize..70_000, seed: u64, kinds in 0u8..20) {
            let mut bytes = noise(len, seed);
            for byte in bytes.iter_mut().step_by(7) {
                *byte %= kinds + 1;
            }
            read_all(&bytes);
        }
    }
}
