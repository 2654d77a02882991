//! Reading XOR chunks: all at once, or sample by sample.

use crate::bits::{peek, read_bits};
use crate::error::ChunkError;

/// Where a reader stands: everything that a writer needs to go on.
pub(super) struct End {
    pub(super) bit: usize,
    pub(super) time: i64,
    pub(super) delta: u64,
    pub(super) value: u64,
    /// Leading and trailing zeros of the last window, if one was opened.
    pub(super) window: Option<(u8, u8)>,
}

/// How many samples the header claims.
///
/// # Errors
/// [`ChunkError::Truncated`] when the header is missing.
pub fn sample_count(bytes: &[u8]) -> Result<u16, ChunkError> {
    crate::Encoding::Xor.sample_count(bytes)
}

/// Appends every sample to `times` and `values` and says how many there were.
///
/// Memory is reserved for what the bytes can hold (two bits a sample at least), not for what the header claims.
///
/// # Errors
/// The damage found; the samples in front of it have been appended.
pub fn decode_into(bytes: &[u8], times: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<usize, ChunkError> {
    let mut samples = XorSamples::new(bytes)?;
    let count = usize::from(samples.total);
    let possible = count.min(bytes.len() * 4);
    times.reserve(possible);
    values.reserve(possible);
    while samples.read < 2 {
        let Some((at, value)) = samples.next_sample()? else { return Ok(count) };
        times.push(at);
        values.push(value);
    }
    decode_rest(samples, times, values)?;
    Ok(count)
}

/// The hot loop: the reader by value and the targets as slices, so that all its state stays in registers.
fn decode_rest(mut samples: XorSamples<'_>, times: &mut Vec<i64>, values: &mut Vec<f64>) -> Result<(), ChunkError> {
    let end = samples.bytes.len() * 8;
    let (first_time, first_value) = (times.len(), values.len());
    // two bits a sample at least
    let left = usize::from(samples.total - samples.read).min((end - samples.bit) / 2);
    times.resize(first_time + left, 0);
    values.resize(first_value + left, 0.0);
    let mut done = 0;
    let mut damage = Ok(());
    for (at, value) in times[first_time..].iter_mut().zip(values[first_value..].iter_mut()) {
        let word = samples.time_step();
        damage = samples.value_step(word);
        if damage.is_err() || samples.bit > end {
            break;
        }
        *at = samples.time;
        *value = f64::from_bits(samples.value);
        done += 1;
    }
    let total = samples.total;
    let read = samples.read + done as u16;
    if read < total {
        times.truncate(first_time + done);
        values.truncate(first_value + done);
        damage.map_err(|error| error.of_sample(read))?;
        return Err(ChunkError::Truncated { claimed: total, read, bytes: end / 8 });
    }
    Ok(())
}

/// Reads a chunk sample by sample.
#[derive(Clone, Debug)]
pub struct XorSamples<'a> {
    bytes: &'a [u8],
    bit: usize,
    time: i64,
    delta: u64,
    value: u64,
    significant: u32,
    trailing: u32,
    windowed: bool,
    read: u16,
    total: u16,
}

impl<'a> XorSamples<'a> {
    /// Starts in front of the first sample.
    ///
    /// # Errors
    /// [`ChunkError::Truncated`] when the header is missing.
    pub fn new(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        let total = sample_count(bytes)?;
        Ok(XorSamples {
            bytes,
            bit: 16,
            time: 0,
            delta: 0,
            value: 0,
            significant: 64,
            trailing: 0,
            windowed: false,
            read: 0,
            total,
        })
    }

    /// Starts in front of sample `offset`, or behind the last one when there are not so many.
    ///
    /// # Errors
    /// The damage found on the way: the samples in front have to be read.
    pub fn from_offset(bytes: &'a [u8], offset: u16) -> Result<Self, ChunkError> {
        let mut samples = XorSamples::new(bytes)?;
        for _ in 0..offset {
            if samples.next_sample()?.is_none() {
                break;
            }
        }
        Ok(samples)
    }

    /// Samples that are still to come.
    pub fn remaining(&self) -> u16 {
        self.total - self.read
    }

    /// The next sample, or `None` behind the last.
    ///
    /// # Errors
    /// The damage found; asking again gives the same error or another one, never a sample that is not there.
    #[inline(always)]
    pub fn next_sample(&mut self) -> Result<Option<(i64, f64)>, ChunkError> {
        if self.read == self.total {
            return Ok(None);
        }
        if self.read < 2 {
            self.start()?;
        } else {
            let used = self.time_step();
            self.value_step(used)?;
        }
        if self.bit > self.bytes.len() * 8 {
            return Err(self.truncated());
        }
        self.read += 1;
        Ok(Some((self.time, f64::from_bits(self.value))))
    }

    pub(super) fn end(&self) -> End {
        let window = self.windowed.then(|| ((64 - self.significant - self.trailing) as u8, self.trailing as u8));
        End { bit: self.bit, time: self.time, delta: self.delta, value: self.value, window }
    }

    #[cold]
    fn truncated(&self) -> ChunkError {
        ChunkError::Truncated { claimed: self.total, read: self.read, bytes: self.bytes.len() }
    }

    /// The first two samples, whose times are byte-aligned varints.
    #[inline(never)]
    fn start(&mut self) -> Result<(), ChunkError> {
        let number = self.uvarint()?;
        if self.read == 0 {
            self.time = (number >> 1) as i64 ^ -((number & 1) as i64);
            self.value = read_bits(self.bytes, self.bit, 64);
            self.bit += 64;
            return Ok(());
        }
        self.delta = number;
        self.time = self.time.wrapping_add(number as i64);
        let word = peek(self.bytes, self.bit);
        self.value_step(word)
    }

    fn uvarint(&mut self) -> Result<u64, ChunkError> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let Some(&byte) = self.bytes.get(self.bit >> 3) else {
                return Err(self.truncated());
            };
            self.bit += 8;
            if shift == 63 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(ChunkError::Varint { sample: self.read })
    }

    /// Moves the time on; returns the bits that follow, at least 33 of them good.
    #[inline(always)]
    fn time_step(&mut self) -> u64 {
        let word = peek(self.bytes, self.bit);
        let (used, raw, width) = match word.leading_ones() {
            0 => {
                self.time = self.time.wrapping_add(self.delta as i64);
                self.bit += 1;
                return word << 1;
            }
            1 => (16, word << 2 >> 50, 14),
            2 => (20, word << 3 >> 47, 17),
            3 => (24, word << 4 >> 44, 20),
            _ => {
                let dod = read_bits(self.bytes, self.bit + 4, 64);
                self.bit += 68;
                self.delta = self.delta.wrapping_add(dod);
                self.time = self.time.wrapping_add(self.delta as i64);
                return peek(self.bytes, self.bit);
            }
        };
        // w bits hold -(2^(w-1) - 1) ..= 2^(w-1)
        let dod = if raw > 1 << (width - 1) { raw.wrapping_sub(1 << width) } else { raw };
        self.delta = self.delta.wrapping_add(dod);
        self.time = self.time.wrapping_add(self.delta as i64);
        self.bit += used;
        word << used
    }

    /// Moves the value on; `word` is what stands at the current bit, at least 13 bits of it good.
    #[inline(always)]
    fn value_step(&mut self, word: u64) -> Result<(), ChunkError> {
        if word >> 63 == 0 {
            self.bit += 1;
            return Ok(());
        }
        if word >> 62 == 0b10 {
            self.bit += 2;
        } else {
            let leading = (word >> 57 & 31) as u32;
            let significant = match (word >> 51 & 63) as u32 {
                0 => 64,
                bits => bits,
            };
            if leading + significant > 64 {
                return Err(ChunkError::Window {
                    sample: self.read,
                    leading: leading as u8,
                    significant: significant as u8,
                });
            }
            self.significant = significant;
            self.trailing = 64 - leading - significant;
            self.windowed = true;
            self.bit += 13;
        }
        self.value ^= read_bits(self.bytes, self.bit, self.significant) << self.trailing;
        self.bit += self.significant as usize;
        Ok(())
    }
}

/// Ends at the first damage; [`XorSamples::next_sample`] says which.
impl Iterator for XorSamples<'_> {
    type Item = Result<(i64, f64), ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.next_sample().transpose();
        if let Some(Err(_)) = item {
            self.total = self.read;
        }
        item
    }
}
