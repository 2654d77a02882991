//! `chunks/000001`…: the files that hold the encoded samples.
//!
//! ```text
//! | 85 BD 40 DD | version 1 | 0 0 0 |  then, one after the other,
//! | uvarint length of data | encoding u8 | data | CRC-32C of encoding and data |
//! ```
//!
//! A chunk is referred to by `number of the file << 32 | offset of its length field`, the first file having number 0:
//! readers number the files as they sort, whatever their names.
//! Limits: 512 MiB a file; a chunk's data at most what its file holds.

use super::error::{BlockError, Damage};
use super::file_writer::FileWriter;
use super::section::{Cursor, check_crc, crc32c, put_uvarint};
use bytes::Bytes;
use chunk::Encoding;
use runtime::disk::{Disk, DiskError, FileKind, SharedDisk};
use std::path::{Path, PathBuf};
use storage::ChunkPiece;

/// The directory of the files.
pub(crate) const CHUNKS_DIR: &str = "chunks";
/// Size at which the next file is begun.
pub(crate) const SEGMENT_SIZE: u64 = 512 << 20;
const MAGIC: u32 = 0x85BD_40DD;
const VERSION: u8 = 1;
const HEADER: u64 = 8;
/// Room the writer counts for a length, whatever it takes: Prometheus' rule, and where it begins a new file.
const LENGTH_MAX: u64 = 5;

/// Writes chunks, beginning new files as they fill.
pub(crate) struct SegmentWriter {
    disk: SharedDisk,
    dir: PathBuf,
    size: u64,
    file: Option<FileWriter>,
    files: u64,
    finished: u64,
    scratch: Vec<u8>,
}

impl SegmentWriter {
    pub(crate) fn create(disk: SharedDisk, dir: PathBuf, size: u64) -> Result<Self, DiskError> {
        disk.create_dir_all(&dir)?;
        Ok(SegmentWriter { disk, dir, size, file: None, files: 0, finished: 0, scratch: Vec::new() })
    }

    /// Writes the chunks of one series; their references go to `references`.
    pub(crate) fn write(&mut self, chunks: &[ChunkPiece], references: &mut Vec<u64>) -> Result<(), BlockError> {
        let mut expected = self.file.as_ref().map_or(HEADER, FileWriter::position);
        for (at, chunk) in chunks.iter().enumerate() {
            let room = LENGTH_MAX + 1 + chunk.bytes.len() as u64 + 4;
            expected += room;
            let fresh = at == 0 && self.file.as_ref().is_none_or(|file| file.position() <= HEADER);
            if self.file.is_none() || (!fresh && expected > self.size) {
                self.begin_file()?;
                expected = HEADER + room;
            }
            references.push(self.write_chunk(chunk)?);
        }
        Ok(())
    }

    /// Syncs the last file and the directory; says how many bytes there are in all.
    pub(crate) fn finish(mut self) -> Result<u64, DiskError> {
        self.end_file()?;
        self.disk.sync_dir(&self.dir)?;
        Ok(self.finished)
    }

    fn end_file(&mut self) -> Result<(), DiskError> {
        if let Some(file) = self.file.take() {
            self.finished += file.finish()?;
        }
        Ok(())
    }

    fn begin_file(&mut self) -> Result<(), DiskError> {
        self.end_file()?;
        self.files += 1;
        let mut file = FileWriter::create(&*self.disk, &self.dir.join(format!("{:06}", self.files)))?;
        file.write(&MAGIC.to_be_bytes())?;
        file.write(&[VERSION, 0, 0, 0])?;
        self.file = Some(file);
        Ok(())
    }

    fn write_chunk(&mut self, chunk: &ChunkPiece) -> Result<u64, BlockError> {
        let file = self.file.as_mut().expect("a file was begun");
        let offset = file.position();
        if chunk.bytes.len() > u32::MAX as usize || offset > u64::from(u32::MAX) {
            return Err(BlockError::TooLarge { what: "a chunk", limit: "4 GiB" });
        }
        self.scratch.clear();
        put_uvarint(&mut self.scratch, chunk.bytes.len() as u64);
        let checked = self.scratch.len();
        self.scratch.push(chunk.encoding.id());
        self.scratch.extend_from_slice(&chunk.bytes);
        let crc = crc32c(&self.scratch[checked..]);
        self.scratch.extend_from_slice(&crc.to_be_bytes());
        file.write(&self.scratch)?;
        Ok((self.files - 1) << 32 | offset)
    }
}

/// The mapped files of one block.
#[derive(Debug)]
pub(crate) struct Segments {
    files: Vec<(PathBuf, Bytes)>,
}

impl Segments {
    /// Maps every file of `dir` whose name is a number, and checks the headers. No directory means no file.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, BlockError> {
        let entries = match disk.list(dir) {
            Ok(entries) => entries,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let is_segment = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
        let mut numbered: Vec<(u64, PathBuf)> = entries
            .into_iter()
            .filter(|entry| entry.kind != FileKind::Dir && is_segment(&entry.name))
            .filter_map(|entry| Some((entry.name.parse().ok()?, dir.join(&entry.name))))
            .collect();
        numbered.sort_unstable();
        let mut files = Vec::with_capacity(numbered.len());
        for (_, path) in numbered {
            let bytes = Bytes::from_owner(disk.map(&path)?);
            check_header(&bytes).map_err(|damage| damage.in_file(&path))?;
            files.push((path, bytes));
        }
        Ok(Segments { files })
    }

    /// Bytes on disk.
    pub(crate) fn len(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Reads the chunk at a reference and verifies its checksum. The data shares the map.
    pub(crate) fn chunk(&self, reference: u64) -> Result<(Encoding, Bytes), Damage> {
        let number = (reference >> 32) as usize;
        let offset = (reference & u64::from(u32::MAX)) as usize;
        let Some((path, bytes)) = self.files.get(number) else {
            let found =
                format!("the block has {} chunk files, the series refers to number {}", self.files.len(), number + 1);
            return Err(Damage::new("chunk", offset, found));
        };
        read_chunk(bytes, offset).map_err(|damage| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Damage { found: format!("{} (file {CHUNKS_DIR}/{name})", damage.found).into(), ..damage }
        })
    }
}

fn read_chunk(bytes: &Bytes, offset: usize) -> Result<(Encoding, Bytes), Damage> {
    let early = || Damage::ends_early("chunk", offset);
    let mut cursor = Cursor::new(bytes, offset);
    let len = cursor.uvarint().and_then(|len| usize::try_from(len).ok()).ok_or_else(early)?;
    let checked = cursor.take(len.checked_add(1).ok_or_else(early)?).ok_or_else(early)?;
    let data = cursor.position() - len;
    let crc = cursor.u32().ok_or_else(early)?;
    check_crc(checked, crc, "chunk", offset)?;
    let encoding = Encoding::from_id(checked[0]).map_err(|e| Damage::new("chunk", offset, e.to_string()))?;
    Ok((encoding, bytes.slice(data..data + len)))
}

fn check_header(bytes: &[u8]) -> Result<(), Damage> {
    let mut cursor = Cursor::new(bytes, 0);
    let early = || Damage::ends_early("segment header", 0);
    let magic = cursor.u32().ok_or_else(early)?;
    let version = cursor.take(4).ok_or_else(early)?[0];
    if magic != MAGIC {
        return Err(Damage::new("segment header", 0, format!("the magic number is {magic:08x}, not {MAGIC:08x}")));
    }
    if version != VERSION {
        return Err(Damage::new("segment header", 4, format!("version {version} is not known")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;
    use proptest::prelude::*;
    use runtime::disk::SimDisk;
    use std::sync::Arc;

    fn chunk(bytes: Vec<u8>) -> ChunkPiece {
        ChunkPiece { encoding: Encoding::Xor, first: Timestamp(0), last: Timestamp(0), bytes: Bytes::from(bytes) }
    }

    proptest! {
        #[test]
        fn chunks_are_found_again_across_files(
            series in proptest::collection::vec(proptest::collection::vec(0..120usize, 1..4), 1..12),
            size in 40..400u64,
        ) {
            let disk: SharedDisk = Arc::new(SimDisk::default());
            let dir = PathBuf::from("/chunks");
            let mut writer = SegmentWriter::create(disk.clone(), dir.clone(), size).expect("created");
            let mut written = Vec::new();
            let mut references = Vec::new();
            for (at, lens) in series.iter().enumerate() {
                let chunks: Vec<_> = lens.iter().map(|len| chunk(vec![at as u8; *len])).collect();
                writer.write(&chunks, &mut references).expect("written");
                written.extend(chunks);
            }
            let len = writer.finish().expect("finished");
            prop_assert!(references.windows(2).all(|pair| pair[0] < pair[1]));
            let segments = Segments::open(&*disk, &dir).expect("opened");
            prop_assert_eq!(segments.len(), len);
            for (reference, chunk) in references.iter().zip(&written) {
                prop_assert_eq!(segments.chunk(*reference).expect("sound").1, &chunk.bytes);
            }
        }

        #[test]
        fn any_reference_into_any_bytes_is_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..64), reference: u64) {
            let segments = Segments { files: vec![(PathBuf::new(), Bytes::from(bytes))] };
            prop_assert!(segments.chunk(reference).is_err());
            prop_assert!(segments.chunk(reference & 63).is_err());
        }
    }

    #[test]
    fn a_file_is_full_when_the_longest_length_would_not_fit() {
        let disk: SharedDisk = Arc::new(SimDisk::default());
        let files = |size: u64| {
            let dir = PathBuf::from(format!("/{size}"));
            let mut writer = SegmentWriter::create(disk.clone(), dir.clone(), size).expect("created");
            let mut references = Vec::new();
            writer.write(&[chunk(vec![1; 10]), chunk(vec![2; 10])], &mut references).expect("written");
            writer.finish().expect("finished");
            disk.list(&dir).expect("listed").len()
        };
        // header 8, and 5 + 1 + 10 + 4 for each
        assert_eq!((files(48), files(47), files(1)), (1, 2, 2));
    }
}
