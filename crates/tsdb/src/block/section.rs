//! Checksummed sections of the block formats; numbers and texts are [`crate::codec`]'s.

use super::error::Damage;
pub(crate) use crate::codec::{Cursor, crc32c, put_text, put_uvarint, put_varint};

/// A running CRC-32C, for sections that are written piece by piece.
pub(crate) struct Crc(crc_fast::Digest);

impl Crc {
    pub(crate) fn new() -> Self {
        Crc(crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> u32 {
        self.0.finalize() as u32
    }
}

pub(crate) fn uvarint_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// The body of a section `u32 len | body | CRC(body)`.
pub(crate) fn section<'a>(bytes: &'a [u8], offset: u64, part: &'static str) -> Result<&'a [u8], Damage> {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let early = || Damage::ends_early(part, offset);
    let mut cursor = Cursor::new(bytes, offset);
    let len = cursor.u32().ok_or_else(early)?;
    let body = cursor.take(len as usize).ok_or_else(early)?;
    let expected = cursor.u32().ok_or_else(early)?;
    check_crc(body, expected, part, offset)?;
    Ok(body)
}

pub(crate) fn check_crc(body: &[u8], expected: u32, part: &'static str, offset: usize) -> Result<(), Damage> {
    let actual = crc32c(body);
    if actual == expected {
        return Ok(());
    }
    Err(Damage::new(part, offset, format!("checksum is {actual:08x}, {expected:08x} was written")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(number: u64, signed: i64) {
            let mut bytes = Vec::new();
            put_uvarint(&mut bytes, number);
            prop_assert_eq!(bytes.len(), uvarint_len(number));
            put_varint(&mut bytes, signed);
            put_text(&mut bytes, "ü");
            let mut cursor = Cursor::new(&bytes, 0);
            prop_assert_eq!(cursor.uvarint(), Some(number));
            prop_assert_eq!(cursor.varint(), Some(signed));
            prop_assert_eq!(cursor.text(), Some("ü".as_bytes()));
            prop_assert_eq!((cursor.remaining(), cursor.u32(), cursor.uvarint()), (0, None, None));
        }
    }

    #[test]
    fn the_checksum_is_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        let mut crc = Crc::new();
        crc.update(b"12345");
        crc.update(b"6789");
        assert_eq!(crc.finish(), 0xe306_9283);
    }
}
