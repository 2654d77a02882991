//! The bit stream under every encoding: most significant bit first, the last byte padded with zeros.
//!
//! ```text
//! bytes  |0110 1001|1100 0000|
//!         ^ bit 0            ^ bit 15      after ten bits written: free = 6 (bits of the last byte still unused)
//! ```
//!
//! Reading never fails here: behind the end there are zero bits, and the reader of an encoding compares its position with the
//! end once a sample. That keeps the hot loop at one load and one compare.

/// Appends the low `count` bits (≤ 64) of `bits`; `free` is the number of unused bits in the last byte.
///
/// Bits of `bits` above `count` must be zero.
#[inline]
pub fn push_bits(bytes: &mut Vec<u8>, free: &mut u8, bits: u64, count: u32) {
    debug_assert!(count <= 64 && (count == 64 || bits >> count == 0), "{count} bits asked of {bits:#x}");
    if count == 0 {
        return;
    }
    let room = u32::from(*free);
    if count <= room {
        if let Some(last) = bytes.last_mut() {
            *last |= (bits << (room - count)) as u8;
        }
        *free = (room - count) as u8;
        return;
    }
    let rest = count - room;
    if room > 0
        && let Some(last) = bytes.last_mut()
    {
        *last |= (bits >> rest) as u8;
    }
    // eight bytes at once, then back to those used: a store instead of a copy of unknown length
    let used = rest.div_ceil(8) as usize;
    let end = bytes.len() + used;
    reserve(bytes, 8);
    bytes.extend_from_slice(&(bits << (64 - rest)).to_be_bytes());
    bytes.truncate(end);
    *free = (used as u32 * 8 - rest) as u8;
}

/// The 64 bits that begin at bit `at`, of which the first 57 are good; zeros behind the end.
#[inline(always)]
pub fn peek(bytes: &[u8], at: usize) -> u64 {
    let byte = at >> 3;
    let word = match bytes.get(byte..) {
        Some(tail) => match tail.first_chunk::<8>() {
            Some(eight) => u64::from_be_bytes(*eight),
            None => {
                let mut eight = [0; 8];
                eight[..tail.len()].copy_from_slice(tail);
                u64::from_be_bytes(eight)
            }
        },
        None => 0,
    };
    word << (at & 7)
}

/// The `count` bits (1 to 64) that begin at bit `at`; zeros behind the end.
#[inline(always)]
pub fn read_bits(bytes: &[u8], at: usize, count: u32) -> u64 {
    debug_assert!((1..=64).contains(&count));
    if count <= 57 {
        peek(bytes, at) >> (64 - count)
    } else {
        let high = peek(bytes, at) >> 32;
        let low = peek(bytes, at + 32) >> 32;
        (high << 32 | low) >> (64 - count)
    }
}

/// Grows by half, in steps of 16 bytes: an open chunk ends near 200 bytes and there is one per series, so the doubling of
/// `Vec` would waste a quarter of the head.
#[inline]
fn reserve(bytes: &mut Vec<u8>, more: usize) {
    if bytes.capacity() - bytes.len() < more {
        grow(bytes, more);
    }
}

#[cold]
fn grow(bytes: &mut Vec<u8>, more: usize) {
    let wanted = (bytes.len() + (bytes.len() / 2).max(more)).next_multiple_of(16);
    bytes.reserve_exact(wanted - bytes.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_pushed_is_read(fields in proptest::collection::vec((any::<u64>(), 1u32..=64), 0..200)) {
            let (mut bytes, mut free) = (Vec::new(), 0);
            for (bits, count) in &fields {
                push_bits(&mut bytes, &mut free, bits >> (64 - count), *count);
            }
            let mut at = 0;
            for (bits, count) in &fields {
                prop_assert_eq!(read_bits(&bytes, at, *count), bits >> (64 - count));
                at += *count as usize;
            }
            prop_assert_eq!(bytes.len(), at.div_ceil(8));
            prop_assert_eq!(usize::from(free), bytes.len() * 8 - at);
            prop_assert_eq!(read_bits(&bytes, bytes.len() * 8, 64), 0);
        }
    }
}
