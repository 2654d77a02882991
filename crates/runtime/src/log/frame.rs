//! One record as bytes: pure functions, no files. Drawn in `docs/format/log.md`.
//!
//! ```text
//! +--------+---------+--------+-------------+
//! | len u32| crc u32 | kind u8| payload     |   little-endian; len counts kind and payload, so it is never 0
//! +--------+---------+--------+-------------+
//! ```
//!
//! The CRC-32C covers the record's number (LSN), which is not written, then kind and payload. A record that is intact
//! but stands in the wrong place (an older file's bytes, a lost write before it) therefore does not pass.
//! A length of 0 is the end: preallocated space is zeros.

use super::Lsn;
use crc_fast::{CrcAlgorithm, Digest};

/// Bytes in front of kind and payload.
pub const FRAME_HEADER: usize = 8;

/// What stands at some offset of a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// An intact record; `end` is the offset behind it.
    Record {
        /// What the owner calls it.
        kind: u8,
        /// The owner's bytes.
        payload: &'a [u8],
        /// Offset of the next frame.
        end: usize,
    },
    /// Nothing but zeros until the end of the bytes: space never written.
    End,
    /// Something else: a torn write, or damage.
    Torn,
}

/// Appends the frame of one record to `into`.
pub fn encode(lsn: Lsn, kind: u8, payload: &[u8], into: &mut Vec<u8>) {
    let len = u32::try_from(payload.len() + 1).expect("the log refuses payloads above its limit, far below 4 GiB");
    into.reserve(FRAME_HEADER + 1 + payload.len());
    into.extend_from_slice(&len.to_le_bytes());
    into.extend_from_slice(&checksum(lsn, kind, payload).to_le_bytes());
    into.push(kind);
    into.extend_from_slice(payload);
}

/// Looks for record number `lsn` at `offset`.
pub fn decode(bytes: &[u8], offset: usize, lsn: Lsn) -> Found<'_> {
    let rest = bytes.get(offset..).unwrap_or_default();
    let Some((len, after_len)) = rest.split_first_chunk::<4>() else {
        return if is_zero(rest) { Found::End } else { Found::Torn };
    };
    let len = u32::from_le_bytes(*len) as usize;
    if len == 0 {
        return if is_zero(rest) { Found::End } else { Found::Torn };
    }
    let Some((crc, body)) = after_len.split_first_chunk::<4>() else { return Found::Torn };
    let Some((&kind, payload)) = body.get(..len).and_then(<[u8]>::split_first) else { return Found::Torn };
    if u32::from_le_bytes(*crc) != checksum(lsn, kind, payload) {
        return Found::Torn;
    }
    Found::Record { kind, payload, end: offset + FRAME_HEADER + len }
}

/// How many records in a row may be damaged for those behind them to be found again.
const DAMAGED_MAX: u64 = 64;
/// Bytes looked at while searching, so that hostile lengths can not make it long.
const SEARCHED_MAX: usize = 1 << 30;

/// Where the next intact record stands behind a damaged `lsn` at `offset`, and its number. A record proves its place by its
/// checksum, which covers its number. `bytes` is what was written, without the zeros behind it.
pub(super) fn find_behind(bytes: &[u8], offset: usize, lsn: Lsn) -> Option<(usize, Lsn)> {
    let len_at = |at: usize| bytes.get(at..)?.first_chunk::<4>().map(|four| u32::from_le_bytes(*four) as usize);
    let stands = |at: usize, number: Lsn| matches!(decode(bytes, at, number), Found::Record { .. });
    // most damage leaves the length as it was
    if let Some(at) = len_at(offset)?.checked_add(offset + FRAME_HEADER).filter(|at| stands(*at, lsn.next())) {
        return Some((at, lsn.next()));
    }
    let mut left = SEARCHED_MAX;
    for at in offset + 1..bytes.len() {
        let len = len_at(at)?;
        if len == 0 || len > bytes.len() - at {
            continue;
        }
        for ahead in 1..=DAMAGED_MAX {
            left = left.checked_sub(len)?;
            let number = Lsn(lsn.0.saturating_add(ahead));
            if stands(at, number) {
                return Some((at, number));
            }
        }
    }
    None
}

fn checksum(lsn: Lsn, kind: u8, payload: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&lsn.0.to_le_bytes());
    digest.update(&[kind]);
    digest.update(payload);
    digest.finalize() as u32
}

/// CRC-32C of some bytes, as headers and snapshots carry it.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| b == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_worked_example_of_the_format_page() {
        let mut bytes = Vec::new();
        encode(Lsn(1), 7, b"hi", &mut bytes);
        let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex.join(" "), "03 00 00 00 40 8b ac 4d 07 68 69");
    }

    #[test]
    fn a_record_in_the_wrong_place_is_torn() {
        let mut bytes = Vec::new();
        encode(Lsn(5), 1, b"payload", &mut bytes);
        assert_eq!(decode(&bytes, 0, Lsn(6)), Found::Torn);
        assert!(matches!(decode(&bytes, 0, Lsn(5)), Found::Record { kind: 1, payload: b"payload", end: 16 }));
    }

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(lsn in any::<u64>(), kind in any::<u8>(), payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = vec![0xAA; 3];
            encode(Lsn(lsn), kind, &payload, &mut bytes);
            let end = bytes.len();
            bytes.extend_from_slice(&[0; 40]);
            prop_assert_eq!(decode(&bytes, 3, Lsn(lsn)), Found::Record { kind, payload: &payload, end });
            prop_assert_eq!(decode(&bytes, end, Lsn(lsn)), Found::End);
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_are_no_record(bytes in prop::collection::vec(any::<u8>(), 0..200), offset in 0usize..220) {
            let is_record = matches!(decode(&bytes, offset, Lsn(3)), Found::Record { .. });
            prop_assert!(!is_record);
        }

        #[test]
        fn one_changed_bit_is_noticed(payload in prop::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = Vec::new();
            encode(Lsn(9), 2, &payload, &mut bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let is_record = matches!(decode(&bytes, 0, Lsn(9)), Found::Record { .. });
            prop_assert!(!is_record);
        }
    }
}
