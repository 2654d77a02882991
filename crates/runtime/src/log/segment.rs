//! One file of the log: its name, its header, and reading it back.
//!
//! ```text
//! 00000000000000000042.log                       named by the LSN of its first record
//! +-----------------+-------------+--------+--------+---------+---------+-- - -+-----------+
//! | "ISOBRLOG"      | first LSN   | format | crc32c | frame   | frame   |      | zeros …   |
//! | 8 bytes         | u64         | u32 =1 | u32    | LSN 42  | LSN 43  |      | (not yet) |
//! +-----------------+-------------+--------+--------+---------+---------+-- - -+-----------+
//! ```
//!
//! The header is synced before the first frame is written, so a torn header means an empty segment.

use super::frame::{self, Found};
use super::{LogError, Lsn};
use crate::disk::Disk;
use std::path::{Path, PathBuf};

/// Bytes of a segment's header.
pub const SEGMENT_HEADER: usize = 24;

const MAGIC: [u8; 8] = *b"ISOBRLOG";
const FORMAT: u32 = 1;

pub(super) fn encode_header(first: Lsn) -> [u8; SEGMENT_HEADER] {
    let mut header = [0; SEGMENT_HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..16].copy_from_slice(&first.0.to_le_bytes());
    header[16..20].copy_from_slice(&FORMAT.to_le_bytes());
    let crc = frame::crc32c(&header[..20]);
    header[20..].copy_from_slice(&crc.to_le_bytes());
    header
}

pub(super) fn path(dir: &Path, first: Lsn) -> PathBuf {
    dir.join(format!("{:020}.log", first.0))
}

/// The first LSN a file name speaks of; `None` for files that are no segments.
pub(super) fn parse_name(name: &str) -> Option<Lsn> {
    let digits = name.strip_suffix(".log")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().ok().map(Lsn)).flatten()
}

/// Takes one record of a segment: number, kind, payload.
pub(super) type Visit<'a> = dyn FnMut(Lsn, u8, &[u8]) -> Result<(), LogError> + 'a;

/// What a whole segment holds.
#[derive(Debug)]
pub(super) struct Scan {
    /// The LSN behind the last intact record.
    pub next: Lsn,
    /// Offset behind the last intact record; 0 when not even the header is intact.
    pub end: u64,
    /// Bytes from `end` to the last one that is not zero: a torn write, or damage.
    pub torn_bytes: u64,
    /// Records that were damaged and passed over, with intact ones behind them.
    pub damaged: u64,
}

/// Reads a segment, showing `visit` every record with an LSN of at least `from`. `skip`: damaged records are passed over when
/// intact ones stand behind them; else the segment ends there.
pub(super) fn scan(
    disk: &dyn Disk,
    path: &Path,
    first: Lsn,
    from: Lsn,
    skip: bool,
    visit: &mut Visit<'_>,
) -> Result<Scan, LogError> {
    let bytes = disk.read(path)?;
    if bytes.get(..SEGMENT_HEADER) != Some(&encode_header(first)[..]) {
        if !frame::is_zero(bytes.get(SEGMENT_HEADER..).unwrap_or_default()) {
            return Err(LogError::corrupt(path, 0, "the header is damaged, and records follow it"));
        }
        return Ok(Scan { next: first, end: 0, torn_bytes: written_len(&bytes), damaged: 0 });
    }
    let mut offset = SEGMENT_HEADER;
    let mut lsn = first;
    let mut damaged = 0;
    loop {
        match frame::decode(&bytes, offset, lsn) {
            Found::Record { kind, payload, end } => {
                if lsn >= from {
                    visit(lsn, kind, payload)?;
                }
                offset = end;
                lsn = lsn.next();
            }
            Found::End => return Ok(Scan { next: lsn, end: offset as u64, torn_bytes: 0, damaged }),
            Found::Torn => {
                if let Some((at, number)) = skip.then(|| frame::find_behind(written(&bytes), offset, lsn)).flatten() {
                    damaged += number.0.saturating_sub(lsn.max(from).0);
                    (offset, lsn) = (at, number);
                    continue;
                }
                let torn_bytes = written_len(&bytes[offset..]);
                return Ok(Scan { next: lsn, end: offset as u64, torn_bytes, damaged });
            }
        }
    }
}

fn written_len(bytes: &[u8]) -> u64 {
    written(bytes).len() as u64
}

/// The bytes up to the last one that is not zero.
fn written(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_strictly() {
        for (name, expected) in [
            ("00000000000000000042.log", Some(Lsn(42))),
            ("00000000000000000042.tmp", None),
            ("42.log", None),
            ("0000000000000000004x.log", None),
            ("99999999999999999999.log", None),
        ] {
            assert_eq!(parse_name(name), expected, "{name}");
        }
        assert_eq!(path(Path::new("d"), Lsn(42)), Path::new("d/00000000000000000042.log"));
    }
}
