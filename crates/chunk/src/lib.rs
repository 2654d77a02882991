//! Sample encodings: how the samples of one series become bytes and back, bit for bit as Prometheus writes them.
//!
//! Reading order: [`encoding`] (which encodings exist, which of them we read) → [`bits`] (the bit stream under all of
//! them) → [`xor`] (floats).
//! What this crate must not know: files, checksums (the block and the log have those), labels, the clock.

pub mod bits;
pub mod encoding;
pub mod error;
pub mod xor;

pub use encoding::Encoding;
pub use error::ChunkError;
pub use xor::{OpenXor, XorSamples};

/// Appends all samples of a chunk to `times` and `values` and says how many there were.
///
/// # Errors
/// [`ChunkError::Unsupported`] for the encodings that are known but not read yet; otherwise the damage found. The vectors may
/// then hold the samples in front of the damage.
pub fn decode_into(
    encoding: Encoding,
    bytes: &[u8],
    times: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<usize, ChunkError> {
    match encoding {
        Encoding::Xor => xor::decode_into(bytes, times, values),
        other => Err(ChunkError::Unsupported { encoding: other }),
    }
}
