//! The write-ahead log, in Prometheus' own format.
//!
//! ```text
//! wal/00000003                segments of up to 128 MiB; a start opens a new one behind the highest
//! wal/00000004
//! wal/checkpoint.00000002/    what segments 0..=2 held that is still needed, as segments of its own
//!
//! segment   = pages of 32 KiB
//! page      = fragments; fewer than 7 bytes left, or a type byte 0: the rest is zeros
//! fragment  = type u8 | length u16 | CRC-32C of the data u32 | data
//! type      = low three bits 1 full, 2 first, 3 middle, 4 last; bit 3 snappy, bit 4 zstd (of the whole record)
//! record    = type u8 | body                                  never crosses a segment
//! ```
//!
//! One commit is one `write`: a record of new series (if any), then one record with all samples. A crash leaves a prefix
//! of it, and a samples record counts whole or not at all, so a scrape is never seen half.
//!
//! Reading order: [`record`] (bodies) → [`frame`] (pages and fragments) → [`segment`] (names) → [`reader`] →
//! [`writer`] → [`flush`] (when bytes reach the disk) → [`repair`] → [`checkpoint`].
//! Limits: 128 MiB a segment (`Options::segment_bytes`); a record larger than that makes a larger segment.
//! Source: `tsdb/docs/format/wal.md` with the corrections noted in [`record`], checked against files Prometheus wrote.

pub mod checkpoint;
pub mod flush;
pub mod frame;
pub mod reader;
pub mod record;
pub mod repair;
pub mod segment;
pub mod writer;

use runtime::disk::DiskError;
use std::path::PathBuf;
use thiserror::Error;

/// Size of a page.
pub const PAGE: usize = 32 * 1024;
/// Size of a fragment's header.
pub const HEADER: usize = 7;
/// Prometheus' size of a segment.
pub const SEGMENT_BYTES: u64 = 128 * 1024 * 1024;

/// Why the log could not be read, repaired or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WalError {
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Bytes that no writer left there: a torn tail, a flipped bit.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    Damaged {
        /// Which segment file.
        path: PathBuf,
        /// Where in it the damaged fragment begins.
        offset: u64,
        /// Where in it the last whole record before the damage ends.
        sound: u64,
        /// What was found.
        reason: String,
    },
    /// Something of Prometheus' that this version does not read; nothing is wrong with it.
    #[error("{} holds {what} at byte {offset}, which this version cannot read yet", path.display())]
    Unsupported {
        /// Which segment file.
        path: PathBuf,
        /// Where in it the record begins.
        offset: u64,
        /// What it is.
        what: &'static str,
    },
    /// A segment between two others is missing: records were lost and nobody can tell which.
    #[error("{} has no segment {missing:08}, but later ones", dir.display())]
    Gap {
        /// The log's directory.
        dir: PathBuf,
        /// The first number that is missing.
        missing: u64,
    },
}
