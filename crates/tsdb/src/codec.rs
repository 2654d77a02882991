//! The number forms of Prometheus' files: big-endian fixed widths, LEB128, zigzag, length-prefixed text, CRC-32C.
//!
//! [`Cursor`] reads them from a slice and never past its end ([`Fields`] says what was missing); every length is checked
//! against what is left before it is used, so bytes from outside can neither panic nor make anybody allocate more than they are long.

use thiserror::Error;

/// Why bytes could not be read as the number or text expected.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{what} at byte {at} is cut or malformed")]
pub(crate) struct CodecError {
    /// What was expected.
    pub(crate) what: &'static str,
    /// Offset within the slice.
    pub(crate) at: usize,
}

/// CRC-32C (Castagnoli), as every file of Prometheus uses it.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// Reads forwards through a slice; every method answers `None` where the bytes end or are no such number.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Begins at offset `at`, which may lie behind the end.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Cursor { bytes, at }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().map(|four| u32::from_be_bytes(*four))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.first_chunk().map(|eight| u64::from_be_bytes(*eight))
    }

    #[inline]
    pub(crate) fn uvarint(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0u64, 0);
        for (at, &byte) in self.bytes.get(self.at..)?.iter().take(10).enumerate() {
            if at == 9 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                self.at += at + 1;
                return Some(number);
            }
            shift += 7;
        }
        None
    }

    /// A zigzag number.
    #[inline]
    pub(crate) fn varint(&mut self) -> Option<i64> {
        self.uvarint().map(|number| (number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// The bytes of a length-prefixed string.
    #[inline]
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.uvarint()?).ok()?;
        self.take(len)
    }
}

/// A [`Cursor`] over a record whose errors name the field that was expected, and where.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(Cursor<'a>);

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Fields(Cursor::new(bytes, 0))
    }

    pub(crate) fn remaining(&self) -> usize {
        self.0.remaining()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    #[inline]
    fn field<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Cursor<'a>) -> Option<T>,
    ) -> Result<T, CodecError> {
        let at = self.0.position();
        read(&mut self.0).ok_or(CodecError { what, at })
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, CodecError> {
        self.field(what, |cursor| cursor.take(1).map(|one| one[0]))
    }

    #[inline]
    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, CodecError> {
        self.field(what, Cursor::u64)
    }

    #[inline]
    pub(crate) fn uvarint(&mut self, what: &'static str) -> Result<u64, CodecError> {
        self.field(what, Cursor::uvarint)
    }

    #[inline]
    pub(crate) fn varint(&mut self, what: &'static str) -> Result<i64, CodecError> {
        self.field(what, Cursor::varint)
    }

    /// Length-prefixed UTF-8.
    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, CodecError> {
        self.field(what, |cursor| std::str::from_utf8(cursor.text()?).ok())
    }
}

#[inline]
pub(crate) fn put_uvarint(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

#[inline]
pub(crate) fn put_varint(into: &mut Vec<u8>, number: i64) {
    put_uvarint(into, ((number << 1) ^ (number >> 63)) as u64);
}

pub(crate) fn put_text(into: &mut Vec<u8>, text: &str) {
    put_uvarint(into, text.len() as u64);
    into.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_texts_round_trip(signed: i64, unsigned: u64, text: String) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, signed);
            put_uvarint(&mut bytes, unsigned);
            put_text(&mut bytes, &text);
            let mut fields = Fields::new(&bytes);
            prop_assert_eq!(fields.varint("a"), Ok(signed));
            prop_assert_eq!(fields.uvarint("b"), Ok(unsigned));
            let at = bytes.len() - fields.remaining();
            prop_assert_eq!(Fields(Cursor::new(&bytes[..bytes.len() - 1], at)).text("d"), Err(CodecError { what: "d", at }));
            prop_assert_eq!(fields.text("c"), Ok(text.as_str()));
            prop_assert!(fields.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes, 0);
            while cursor.varint().is_some() && cursor.text().is_some() {}
            prop_assert!(cursor.position() <= bytes.len());
        }
    }

    #[test]
    fn numbers_beyond_64_bits_are_refused() {
        assert_eq!(Cursor::new(&[0xff; 11], 0).uvarint(), None);
        assert_eq!(Cursor::new(&[1], usize::MAX).take(usize::MAX), None);
        assert_eq!(Cursor::new(&[1], usize::MAX).uvarint(), None);
    }

    #[test]
    fn check_value_of_the_crc() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
