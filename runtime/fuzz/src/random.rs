//! SplitMix64: good enough, and stable between versions.

pub struct Random(u64);

impl Random {
    /// The same for the same case, and unlike that of any other.
    pub fn of_case(seed: u64, number: u64) -> Random {
        let mut random = Random(seed);
        Random(random.next() ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Changes some of what is there, as transport and attackers do.
    pub fn damage(&mut self, bytes: &mut Vec<u8>) {
        // Heads tell more than what follows; but where they are damaged, decoders see nothing.
        let heads_stay = self.one_in(2);
        for _ in 0..1 + self.below(4) {
            let at = match self.below(4) {
                _ if heads_stay => bytes.len() / 3 + self.below(bytes.len() - bytes.len() / 3),
                0 | 1 => self.below(bytes.len().min(512)),
                2 => self.below(bytes.len().min(64)),
                _ => self.below(bytes.len()),
            };
            let end = (at + 1 + self.below(64)).min(bytes.len());
            match self.below(9) {
                0 => bytes.truncate(at),
                1 => bytes[at..end].fill(*self.one_of(&[0, 0xff, 0x7f, 0x80])),
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let repeated = bytes[at..end].to_vec();
                    bytes.splice(at..at, repeated);
                }
                4 => {
                    let number = *self.one_of(&[0u32, 1, u32::MAX, 1 << 31, (1 << 31) - 1, 1 << 16, 1 << 28]);
                    let number = match self.below(2) {
                        0 => number.to_be_bytes(),
                        _ => number.to_le_bytes(),
                    };
                    for (byte, new) in bytes[at..].iter_mut().zip(number) {
                        *byte = new;
                    }
                }
                5 => bytes[at..end].iter_mut().for_each(|byte| *byte = self.next() as u8),
                6 => bytes[at] = bytes[at].wrapping_add(*self.one_of(&[1, 255, 2, 16])),
                _ => bytes[at] ^= 1 << self.below(8),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
    }
}
