//! Puts the checksums of damaged files right, so that what stands behind them is reached.
//!
//! Each function knows just as much of a format as it takes to find the checksums; where the bytes are too damaged for
//! that it leaves the rest as it is. Layouts: documentation of Prometheus' TSDB formats; `docs/format/log.md`.

/// CRC-32C (Castagnoli).
fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    Some(field.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn put(bytes: &mut [u8], at: usize, checksum: u32) {
    if let Some(field) = at.checked_add(4).and_then(|end| bytes.get_mut(at..end)) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Seals `len u32 | body | crc u32` at `at`; says where it ends.
fn section(bytes: &mut [u8], at: usize) -> Option<usize> {
    let len = usize::try_from(number(bytes, at, 4)?).ok()?;
    let end = at.checked_add(4)?.checked_add(len)?;
    let checksum = crc32c(bytes.get(at + 4..end)?);
    put(bytes, end, checksum);
    Some(end + 4)
}

/// A block's `index`: table of contents, symbols, series, postings, both offset tables.
pub fn index(bytes: &mut [u8]) {
    const CONTENTS: usize = 6 * 8 + 4;
    let Some(start) = bytes.len().checked_sub(CONTENTS) else { return };
    let checksum = crc32c(&bytes[start..start + 48]);
    put(bytes, start + 48, checksum);
    let offset = |bytes: &[u8], n: usize| number(bytes, start + n * 8, 8).and_then(|at| usize::try_from(at).ok());
    let (symbols, series, labels, postings) = (offset(bytes, 0), offset(bytes, 1), offset(bytes, 2), offset(bytes, 4));
    for at in [symbols, offset(bytes, 3), offset(bytes, 5)].into_iter().flatten() {
        let _ = section(bytes, at);
    }
    if let (Some(at), Some(end)) = (series, labels) {
        entries(bytes, at, end.min(start));
    }
    // label indices, then postings, up to the first offset table: one section behind the other, at multiples of four
    for (from, to) in [(labels, postings), (postings, offset(bytes, 3))] {
        let (Some(mut at), Some(to)) = (from, to) else { continue };
        while at < to.min(start) {
            let Some(end) = section(bytes, at) else { break };
            at = end.next_multiple_of(4);
        }
    }
}

/// Series entries: `len uvarint | body | crc`, each at a multiple of 16.
fn entries(bytes: &mut [u8], mut at: usize, end: usize) {
    while at < end {
        let Some((len, width)) = uvarint(&bytes[at..end]) else { return };
        let Some(behind) = usize::try_from(len).ok().and_then(|len| (at + width).checked_add(len)) else { return };
        let Some(body) = bytes.get(at + width..behind) else { return };
        let checksum = crc32c(body);
        put(bytes, behind, checksum);
        at = (behind + 4).next_multiple_of(16);
    }
}

/// A chunk file: `magic u32 | version u8 | 3 bytes`, then `len uvarint | encoding u8 | data | crc` without gaps.
pub fn chunks(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some((len, width)) = bytes.get(at..).and_then(uvarint) {
        let Some(end) = usize::try_from(len).ok().and_then(|len| (at + width + 1).checked_add(len)) else { return };
        let Some(body) = bytes.get(at + width..end) else { return };
        let checksum = crc32c(body);
        put(bytes, end, checksum);
        at = end + 4;
    }
}

/// Tombstones: `magic u32 | version u8 | body | crc`, the checksum over the body.
pub fn tombstones(bytes: &mut [u8]) {
    let Some(end) = bytes.len().checked_sub(4).filter(|end| *end >= 5) else { return };
    let checksum = crc32c(&bytes[5..end]);
    put(bytes, end, checksum);
}

/// A segment of Prometheus' log: fragments `type u8 | len u16 | crc u32 | data` within pages of 32 KiB.
pub fn wal(bytes: &mut [u8]) {
    const PAGE: usize = 32 << 10;
    for page in bytes.chunks_mut(PAGE) {
        let mut at = 0;
        while let Some(len) = number(page, at + 1, 2) {
            let end = at + 7 + len as usize;
            if page[at] == 0 || end > page.len() {
                break;
            }
            let checksum = crc32c(&page[at + 7..end]);
            put(page, at + 3, checksum);
            at = end;
        }
    }
}

fn uvarint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * n as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, n + 1));
        }
    }
    None
}
