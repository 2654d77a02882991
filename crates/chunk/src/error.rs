//! What can be wrong with the bytes of a chunk.

use crate::encoding::Encoding;
use thiserror::Error;

/// Why a chunk could not be read or appended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The encoding is one of Prometheus' own that this version does not decode.
    #[error("chunk encoding {encoding} ({}) is not supported yet", encoding.id())]
    Unsupported {
        /// Which one.
        encoding: Encoding,
    },
    /// No version of Prometheus has written this number.
    #[error("unknown chunk encoding {id}")]
    UnknownEncoding {
        /// The number found.
        id: u8,
    },
    /// The bytes end before the samples that the header claims.
    #[error("chunk of {bytes} bytes ends after {read} of {claimed} samples")]
    Truncated {
        /// Samples according to the header.
        claimed: u16,
        /// Whole samples found.
        read: u16,
        /// Length of the chunk.
        bytes: usize,
    },
    /// A variable length number runs past 64 bits.
    #[error("chunk sample {sample} has a time that does not fit 64 bits")]
    Varint {
        /// Index of the sample.
        sample: u16,
    },
    /// A window of significant bits that is wider than a value.
    #[error("chunk sample {sample} claims {leading} leading and {significant} significant bits, more than 64")]
    Window {
        /// Index of the sample.
        sample: u16,
        /// Leading zero bits claimed.
        leading: u8,
        /// Significant bits claimed.
        significant: u8,
    },
    /// The header cannot count more samples.
    #[error("chunk already holds {} samples, the most its header can count", u16::MAX)]
    Full,
}

impl ChunkError {
    /// The same damage, found at another sample.
    pub(crate) fn of_sample(self, at: u16) -> Self {
        match self {
            ChunkError::Window { leading, significant, .. } => ChunkError::Window { sample: at, leading, significant },
            other => other,
        }
    }
}
