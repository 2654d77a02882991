//! Bytes that grow: a body of a few kilobytes as cheaply as in a `Vec`, one of hundreds of megabytes without a copy and
//! without a trace.
//!
//! ```text
//! up to 1 MiB      Vec<u8>, kept for the next body
//! beyond           one anonymous map as long as the body may become; pages count when they are written,
//!                  and the system has them back the moment the buffer is cleared
//! ```
//! A `Vec` that doubles holds one and a half times its content while it moves, and what it frees stays with the allocator:
//! 1 GB gzipped against a limit of 256 MiB cost 780 MB, and they stayed.

use memmap2::MmapMut;
use std::fmt;
use std::io;
use std::ops::Deref;

/// Longest content kept in the heap.
const HEAP_MAX: usize = 1 << 20;
/// Longest map made at once; a body without limit doubles from here.
const MAP_MAX: usize = 512 << 20;

/// Bytes that grow at their end; see the module.
#[derive(Default)]
pub struct Buffer {
    heap: Vec<u8>,
    map: Option<MmapMut>,
    /// Content in the map; the heap's is its own length.
    mapped: usize,
}

impl Buffer {
    /// An empty one, without memory.
    pub fn new() -> Self {
        Buffer::default()
    }

    /// Appends; `ceiling` is how long the whole may become.
    ///
    /// # Errors
    /// When the system has no memory to map.
    pub fn append(&mut self, data: &[u8], ceiling: u64) -> io::Result<()> {
        let wanted = self.len() + data.len();
        if self.map.is_none() && wanted <= HEAP_MAX {
            self.heap.extend_from_slice(data);
            return Ok(());
        }
        if self.map.as_ref().is_none_or(|map| map.len() < wanted) {
            self.grow(wanted, ceiling)?;
        }
        if let Some(map) = &mut self.map {
            map[self.mapped..wanted].copy_from_slice(data);
            self.mapped = wanted;
        }
        Ok(())
    }

    fn grow(&mut self, wanted: usize, ceiling: u64) -> io::Result<()> {
        let ceiling = usize::try_from(ceiling).unwrap_or(usize::MAX);
        let double = self.map.as_ref().map_or(0, |map| map.len().saturating_mul(2));
        let mut map = MmapMut::map_anon(ceiling.min(MAP_MAX).max(double.min(ceiling)).max(wanted))?;
        map[..self.len()].copy_from_slice(self);
        self.mapped = self.len();
        self.map = Some(map);
        self.heap.clear();
        Ok(())
    }

    /// Forgets the content; a map goes back to the system, the heap's part is kept.
    pub fn clear(&mut self) {
        self.heap.clear();
        self.map = None;
        self.mapped = 0;
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.map {
            Some(map) => &map[..self.mapped],
            None => &self.heap,
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).field("mapped", &self.map.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_the_same_in_heap_and_map() {
        for ceiling in [0, 3 << 20, u64::MAX] {
            let (mut buffer, mut expected) = (Buffer::new(), Vec::new());
            for n in 0..50u32 {
                let piece = vec![n as u8; 100_000];
                buffer.append(&piece, ceiling).expect("memory");
                expected.extend_from_slice(&piece);
                assert!(*buffer == *expected, "after {n} pieces of a body of up to {ceiling}");
            }
            assert!(buffer.map.is_some());
            buffer.clear();
            assert!(buffer.is_empty() && buffer.map.is_none());
            buffer.append(b"again", ceiling).expect("memory");
            assert_eq!(&*buffer, b"again");
        }
    }
}
