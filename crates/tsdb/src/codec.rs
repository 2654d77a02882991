//! The number forms of Prometheus' files: big-endian fixed widths, LEB128, zigzag, length-prefixed text, CRC-32C.
//!
//! [`Cursor`] reads them from a slice and never past its end; every length is checked against what is left before it is
//! used, so bytes from outside can neither panic nor make anybody allocate more than they are long.

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

/// Reads forwards through a slice.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    #[cfg(test)]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn bad(&self, what: &'static str) -> CodecError {
        CodecError { what, at: self.at }
    }

    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], CodecError> {
        let taken = self.rest().get(..len).ok_or(self.bad(what))?;
        self.at += len;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, CodecError> {
        self.take(1, what).map(|b| b[0])
    }

    #[inline]
    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, CodecError> {
        let bytes = self.rest().first_chunk::<8>().ok_or(self.bad(what))?;
        self.at += 8;
        Ok(u64::from_be_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn uvarint(&mut self, what: &'static str) -> Result<u64, CodecError> {
        let (mut number, mut shift) = (0u64, 0);
        for (at, &byte) in self.bytes[self.at..].iter().take(10).enumerate() {
            if at == 9 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                self.at += at + 1;
                return Ok(number);
            }
            shift += 7;
        }
        Err(self.bad(what))
    }

    /// A zigzag number.
    #[inline]
    pub(crate) fn varint(&mut self, what: &'static str) -> Result<i64, CodecError> {
        let number = self.uvarint(what)?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A length that what follows can still hold.
    pub(crate) fn length(&mut self, what: &'static str) -> Result<usize, CodecError> {
        let bad = self.bad(what);
        usize::try_from(self.uvarint(what)?).ok().filter(|len| *len <= self.rest().len()).ok_or(bad)
    }

    /// Length-prefixed UTF-8.
    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, CodecError> {
        let bad = self.bad(what);
        let len = self.length(what)?;
        std::str::from_utf8(self.take(len, what)?).map_err(|_| bad)
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
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.varint("a"), Ok(signed));
            prop_assert_eq!(cursor.uvarint("b"), Ok(unsigned));
            prop_assert_eq!(cursor.text("c"), Ok(text.as_str()));
            prop_assert!(cursor.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes);
            while cursor.varint("x").is_ok() && cursor.text("y").is_ok() {}
            prop_assert!(cursor.position() <= bytes.len());
        }
    }

    #[test]
    fn check_value_of_the_crc() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
