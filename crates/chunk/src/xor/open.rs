//! The open chunk: what a series appends to.

use super::decoder::XorSamples;
use crate::bits::push_bits;
use crate::error::ChunkError;

/// "No window yet" in place of the number of leading zeros.
const NO_WINDOW: u8 = 0xff;

/// A chunk that still grows; its bytes are a whole chunk after every append.
///
/// 56 bytes beside the encoded ones: the head keeps one per series.
#[derive(Clone, Debug)]
pub struct OpenXor {
    bytes: Vec<u8>,
    time: i64,
    delta: u64,
    value: u64,
    leading: u8,
    trailing: u8,
    free: u8,
}

impl OpenXor {
    /// An empty chunk; allocates its first bytes.
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(32);
        bytes.extend_from_slice(&[0, 0]);
        OpenXor { bytes, time: 0, delta: 0, value: 0, leading: NO_WINDOW, trailing: 0, free: 0 }
    }

    /// Goes on where an encoded chunk ends: appending gives the bytes that an uninterrupted writer would have given.
    ///
    /// # Errors
    /// The damage found while reading the chunk once.
    pub fn resume(bytes: &[u8]) -> Result<Self, ChunkError> {
        let mut samples = XorSamples::new(bytes)?;
        while samples.next_sample()?.is_some() {}
        let end = samples.end();
        let mut bytes = bytes.get(..end.bit.div_ceil(8)).unwrap_or(bytes).to_vec();
        let free = (bytes.len() * 8 - end.bit) as u8;
        if let Some(last) = bytes.last_mut() {
            *last &= u8::MAX << free; // padding that is not zero must not leak into the next sample
        }
        let (leading, trailing) = end.window.unwrap_or((NO_WINDOW, 0));
        Ok(OpenXor { bytes, time: end.time, delta: end.delta, value: end.value, leading, trailing, free })
    }

    /// Appends one sample. Times may go in any direction; whoever owns the series decides what it accepts.
    ///
    /// # Errors
    /// [`ChunkError::Full`] at 65 535 samples; the chunk stays as it was.
    #[inline]
    pub fn append(&mut self, at: i64, value: f64) -> Result<(), ChunkError> {
        let count = self.count();
        let bits = value.to_bits();
        match count {
            0 => {
                self.push_uvarint(((at << 1) ^ (at >> 63)) as u64);
                self.push(bits, 64);
            }
            1 => {
                self.delta = at.wrapping_sub(self.time) as u64;
                self.push_uvarint(self.delta);
                self.push_value(bits);
            }
            u16::MAX => return Err(ChunkError::Full),
            _ => {
                let delta = at.wrapping_sub(self.time) as u64;
                if delta == self.delta && bits == self.value {
                    self.push(0, 2); // on time and unchanged: most samples there are
                } else {
                    self.push_delta_of_delta(delta.wrapping_sub(self.delta) as i64);
                    self.delta = delta;
                    self.push_value(bits);
                }
            }
        }
        self.time = at;
        self.value = bits;
        self.bytes[..2].copy_from_slice(&(count + 1).to_be_bytes());
        Ok(())
    }

    /// How many samples there are.
    #[inline]
    pub fn count(&self) -> u16 {
        u16::from_be_bytes([self.bytes[0], self.bytes[1]])
    }

    /// True before the first sample.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Time of the newest sample; 0 before the first.
    #[inline]
    pub fn last_time(&self) -> i64 {
        self.time
    }

    /// Value of the newest sample; 0 before the first.
    #[inline]
    pub fn last_value(&self) -> f64 {
        f64::from_bits(self.value)
    }

    /// The chunk so far, header included.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The finished chunk.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes of memory held, this struct included.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    #[inline(always)]
    fn push(&mut self, bits: u64, count: u32) {
        push_bits(&mut self.bytes, &mut self.free, bits, count);
    }

    fn push_uvarint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.push(number & 0x7f | 0x80, 8);
            number >>= 7;
        }
        self.push(number, 8);
    }

    #[inline]
    fn push_delta_of_delta(&mut self, dod: i64) {
        let fits = |width: u32| (-((1i64 << (width - 1)) - 1)..=1i64 << (width - 1)).contains(&dod);
        let low = |width: u32| dod as u64 & ((1 << width) - 1);
        if dod == 0 {
            self.push(0, 1);
        } else if fits(14) {
            self.push(0b10 << 14 | low(14), 16);
        } else if fits(17) {
            self.push(0b110 << 17 | low(17), 20);
        } else if fits(20) {
            self.push(0b1110 << 20 | low(20), 24);
        } else {
            self.push(0b1111, 4);
            self.push(dod as u64, 64);
        }
    }

    #[inline]
    fn push_value(&mut self, bits: u64) {
        let change = bits ^ self.value;
        if change == 0 {
            self.push(0, 1);
            return;
        }
        let leading = change.leading_zeros().min(31) as u8;
        let trailing = change.trailing_zeros() as u8;
        if self.leading != NO_WINDOW && leading >= self.leading && trailing >= self.trailing {
            let significant = 64 - u32::from(self.leading) - u32::from(self.trailing);
            let shifted = change >> self.trailing;
            if significant <= 62 {
                self.push(0b10 << significant | shifted, significant + 2);
            } else {
                self.push(0b10, 2);
                self.push(shifted, significant);
            }
            return;
        }
        self.leading = leading;
        self.trailing = trailing;
        let significant = 64 - u32::from(leading) - u32::from(trailing);
        // 64 does not fit six bits and is written as 0: a change has at least one significant bit
        self.push(0b11 << 11 | u64::from(leading) << 6 | u64::from(significant & 63), 13);
        self.push(change >> trailing, significant);
    }
}

impl Default for OpenXor {
    fn default() -> Self {
        OpenXor::new()
    }
}
