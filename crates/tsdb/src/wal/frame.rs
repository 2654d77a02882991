//! Records into pages and fragments, in memory: the writer hands the result to the disk in one call.
//!
//! A record is compressed as a whole (snappy block format) when that makes it smaller, then cut at page borders. Layout
//! is byte for byte what Prometheus' writer leaves, also the empty first fragment when exactly a header fits.

use super::{HEADER, PAGE};
use crate::codec::crc32c;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;
const SNAPPY: u8 = 1 << 3;

/// Cuts records into fragments behind a given place in a segment.
pub struct Framer {
    encoder: Option<snap::raw::Encoder>,
    compressed: Vec<u8>,
    /// Bytes before compression less bytes after, since the start.
    pub(crate) saved: u64,
}

impl Framer {
    /// Frames records, compressing them when `compress`.
    pub fn new(compress: bool) -> Self {
        Framer { encoder: compress.then(snap::raw::Encoder::new), compressed: Vec::new(), saved: 0 }
    }

    /// Appends a record's fragments to `out`, whose first byte will stand at `start` of the segment.
    pub fn frame(&mut self, record: &[u8], start: u64, out: &mut Vec<u8>) {
        let mut flag = 0;
        let mut rest = record;
        if let Some(encoder) = &mut self.encoder {
            self.compressed.resize(snap::raw::max_compress_len(record.len()).max(1), 0);
            if let Ok(len) = encoder.compress(record, &mut self.compressed)
                && len < record.len()
            {
                self.saved += (record.len() - len) as u64;
                flag = SNAPPY;
                rest = &self.compressed[..len];
            }
        }
        let mut first = true;
        loop {
            let mut left = PAGE - (start as usize + out.len()) % PAGE;
            if left < HEADER {
                out.resize(out.len() + left, 0);
                left = PAGE;
            }
            let part = rest.len().min(left - HEADER);
            let (data, behind) = rest.split_at(part);
            let kind = match (first, behind.is_empty()) {
                (true, true) => FULL,
                (true, false) => FIRST,
                (false, false) => MIDDLE,
                (false, true) => LAST,
            };
            out.push(kind | flag);
            out.extend_from_slice(&(part as u16).to_be_bytes());
            out.extend_from_slice(&crc32c(data).to_be_bytes());
            out.extend_from_slice(data);
            rest = behind;
            first = false;
            if rest.is_empty() {
                return;
            }
        }
    }
}

/// An upper bound for the framed size of records of `bytes` in all, wherever they begin.
pub fn framed_bound(bytes: usize, records: usize) -> u64 {
    let fragments = bytes / (PAGE - HEADER) + 2 * records + 1;
    (bytes + fragments * (HEADER + 6)) as u64
}

/// What the low bits of a fragment's type byte say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Full,
    First,
    Middle,
    Last,
}

/// How a record's bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Snappy,
    Zstd,
}

/// Reads a type byte that is not the page's end.
pub(super) fn read_type(byte: u8) -> Option<(Part, Compression)> {
    let part = match byte & 7 {
        FULL => Part::Full,
        FIRST => Part::First,
        MIDDLE => Part::Middle,
        LAST => Part::Last,
        _ => return None,
    };
    let compression = match byte >> 3 {
        0 => Compression::None,
        1 => Compression::Snappy,
        2 => Compression::Zstd,
        _ => return None,
    };
    Some((part, compression))
}
