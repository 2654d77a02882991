//! Mutations for the replay: deterministic, so that a failure is found again by its number.

/// The `n`-th mutation of `seed`: one to four edits, each a flip, a cut, a copy, an insertion or an interesting number.
pub fn mutate(seed: &[u8], n: u64) -> Vec<u8> {
    let mut random = Random(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed.len() as u64);
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        edit(&mut bytes, &mut random);
    }
    bytes
}

fn edit(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let len = random.below(16.min(bytes.len() - at) + 1);
    match random.below(6) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 => {
            bytes.drain(at..at + len);
        }
        2 => {
            let copied = bytes[at..at + len].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, copied);
        }
        3 => bytes.truncate(at),
        4 => {
            // lengths and signs at the edges
            let number = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, u32::MAX][random.below(8)];
            let written = number.to_be_bytes();
            let end = (at + 4).min(bytes.len());
            bytes.splice(at..end, written);
        }
        _ => bytes.insert(at, random.next() as u8),
    }
}

/// xorshift64*: enough for edits.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0 = self.0.max(1);
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
