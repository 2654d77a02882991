//! The encodings of a chunk, by the number that stands on disk.

use crate::error::ChunkError;
use std::fmt;

/// How the bytes of a chunk are to be read. The numbers are Prometheus' and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Floats: delta of delta times, XOR of values.
    Xor = 1,
    /// Native histograms with integer buckets.
    Histogram = 2,
    /// Native histograms with float buckets.
    FloatHistogram = 3,
    /// Floats with a joint control prefix and start timestamps (Prometheus 3.11 and later, behind a setting).
    Xor2 = 4,
    /// [`Encoding::Histogram`] with start timestamps.
    HistogramSt = 5,
    /// [`Encoding::FloatHistogram`] with start timestamps.
    FloatHistogramSt = 6,
}

impl Encoding {
    /// The encoding with this number on disk.
    ///
    /// # Errors
    /// [`ChunkError::UnknownEncoding`] for numbers that no version of Prometheus has written.
    pub fn from_id(id: u8) -> Result<Self, ChunkError> {
        Ok(match id {
            1 => Encoding::Xor,
            2 => Encoding::Histogram,
            3 => Encoding::FloatHistogram,
            4 => Encoding::Xor2,
            5 => Encoding::HistogramSt,
            6 => Encoding::FloatHistogramSt,
            _ => return Err(ChunkError::UnknownEncoding { id }),
        })
    }

    /// The number on disk.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The name in messages and in `block.blocks` texts.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Xor => "XOR",
            Encoding::Histogram => "histogram",
            Encoding::FloatHistogram => "floathistogram",
            Encoding::Xor2 => "XOR2",
            Encoding::HistogramSt => "histogramST",
            Encoding::FloatHistogramSt => "floathistogramST",
        }
    }

    /// True for the encodings whose samples are floats.
    pub fn is_float(self) -> bool {
        matches!(self, Encoding::Xor | Encoding::Xor2)
    }

    /// Whether this version decodes the samples; chunks of the others are still carried and copied unopened.
    pub fn is_supported(self) -> bool {
        self == Encoding::Xor
    }

    /// How many samples a chunk of this encoding claims to hold, from its header alone.
    ///
    /// # Errors
    /// [`ChunkError::Truncated`] when even the header is missing.
    pub fn sample_count(self, bytes: &[u8]) -> Result<u16, ChunkError> {
        let Some(&[high, low]) = bytes.first_chunk::<2>() else {
            return Err(ChunkError::Truncated { claimed: 0, read: 0, bytes: bytes.len() });
        };
        let count = u16::from_be_bytes([high, low]);
        Ok(match self {
            // the top two bits hold the counter reset flags
            Encoding::HistogramSt | Encoding::FloatHistogramSt => count & 0x3fff,
            _ => count,
        })
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_encodings_map_both_ways() {
        for id in 0..=255u8 {
            match Encoding::from_id(id) {
                Ok(encoding) => assert_eq!(encoding.id(), id),
                Err(ChunkError::UnknownEncoding { id: said }) => {
                    assert!(said == id && !(1..=6).contains(&id))
                }
                Err(other) => panic!("{id}: {other}"),
            }
        }
    }

    #[test]
    fn start_timestamp_histograms_hide_flags_in_their_count() {
        assert_eq!(Encoding::Xor.sample_count(&[0xc0, 2]), Ok(0xc002));
        assert_eq!(Encoding::HistogramSt.sample_count(&[0xc0, 2]), Ok(2));
        assert!(Encoding::Xor.sample_count(&[1]).is_err());
    }
}
