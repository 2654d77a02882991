//! The owner's state as of one LSN, in one file beside the segments; with it the segments before are not needed.
//!
//! ```text
//! snapshot-00000000000000000041
//! +------------+-----------+-----------+--------+-- - - - - -+
//! | "ISOBRSNP" | LSN u64   | len u64   | crc u32| body       |   crc32c of LSN, len and body
//! +------------+-----------+-----------+--------+-- - - - - -+
//! ```
//!
//! Written whole under another name, synced, renamed: a crash leaves the old one or the new one.

use super::{LogError, Lsn};
use crate::disk::Disk;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"ISOBRSNP";
const HEADER: usize = 28;

pub(super) fn path(dir: &Path, lsn: Lsn) -> PathBuf {
    dir.join(format!("snapshot-{:020}", lsn.0))
}

pub(super) fn parse_name(name: &str) -> Option<Lsn> {
    let digits = name.strip_prefix("snapshot-")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().ok().map(Lsn)).flatten()
}

pub(super) fn encode(lsn: Lsn, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&lsn.0.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(body);
    let crc = checksum(&bytes);
    bytes[24..28].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The body inside a snapshot's bytes, or why they are none.
pub(super) fn decode(bytes: &[u8], lsn: Lsn) -> Result<&[u8], &'static str> {
    if bytes.len() < HEADER || bytes[..8] != MAGIC {
        return Err("no snapshot header");
    }
    if bytes[8..16] != lsn.0.to_le_bytes() {
        return Err("its number is not the one of its name");
    }
    if bytes[16..24] != ((bytes.len() - HEADER) as u64).to_le_bytes() {
        return Err("its length is not the one it says");
    }
    if bytes[24..28] != checksum(bytes).to_le_bytes() {
        return Err("its checksum does not match");
    }
    Ok(&bytes[HEADER..])
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&bytes[8..24]);
    digest.update(&bytes[HEADER..]);
    digest.finalize() as u32
}

pub(super) fn load(disk: &dyn Disk, dir: &Path, lsn: Lsn) -> Result<Vec<u8>, LogError> {
    let path = path(dir, lsn);
    let mut bytes = disk.read(&path)?;
    decode(&bytes, lsn).map_err(|what| LogError::corrupt(&path, 0, what))?;
    bytes.drain(..HEADER);
    Ok(bytes)
}

pub(super) fn store(disk: &dyn Disk, dir: &Path, lsn: Lsn, body: &[u8]) -> Result<(), LogError> {
    disk.replace_file(&path(dir, lsn), &encode(lsn, body))?;
    Ok(())
}

const _: () = assert!(HEADER == 8 + 8 + 8 + 4);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_of_the_header_is_crc32c() {
        assert_eq!(super::super::frame::crc32c(b"123456789"), 0xE306_9283);
    }

    proptest! {
        #[test]
        fn encode_then_decode_and_every_damage_is_noticed(body in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = encode(Lsn(41), &body);
            prop_assert_eq!(decode(&bytes, Lsn(41)), Ok(&body[..]));
            prop_assert!(decode(&bytes, Lsn(42)).is_err());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(&bytes, Lsn(41)).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(decode(&bytes, Lsn(1)).is_err());
        }
    }
}
