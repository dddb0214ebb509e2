//! The parts of a remote file that were read, and which to ask for next.

use std::collections::VecDeque;

/// The first part, and one after a jump: a header or an index is seldom longer.
const FIRST_BYTES: u64 = 256 << 10;
/// A part of a file that is read in order.
const LONGEST_BYTES: u64 = 4 << 20;
/// The parts that are kept, for programs that read at two places in turn.
const KEPT_BYTES: usize = 16 << 20;

/// The last parts of a file, the newest first.
#[derive(Default)]
pub struct Parts {
    parts: VecDeque<(u64, Vec<u8>)>,
    next_bytes: u64,
}

impl Parts {
    /// The bytes that are known from an offset on, as many as lie in one part.
    pub fn at(&self, offset: u64) -> Option<&[u8]> {
        self.parts.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(offset.checked_sub(*start)?).ok()?;
            bytes.get(from..).filter(|bytes| !bytes.is_empty())
        })
    }

    /// How much to ask for at an offset: more and more, as long as it follows what was read last.
    pub fn wanted_bytes(&self, offset: u64) -> u64 {
        let follows = self
            .parts
            .front()
            .is_some_and(|(start, bytes)| start + bytes.len() as u64 == offset);
        match follows {
            true => (self.next_bytes * 2).clamp(FIRST_BYTES, LONGEST_BYTES),
            false => FIRST_BYTES,
        }
    }

    pub fn add(&mut self, offset: u64, bytes: Vec<u8>) {
        self.next_bytes = self.wanted_bytes(offset);
        self.parts.push_front((offset, bytes));
        let mut kept = 0;
        self.parts.retain(|(_, bytes)| {
            kept += bytes.len();
            kept <= KEPT_BYTES
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_in_order_and_begin_anew_after_a_jump() {
        let mut parts = Parts::default();
        let mut offset = 0;
        let mut lengths = Vec::new();
        for _ in 0..8 {
            let wanted = parts.wanted_bytes(offset);
            lengths.push(wanted >> 10);
            parts.add(offset, vec![7; wanted as usize]);
            offset += wanted;
        }
        assert_eq!(lengths, [256, 512, 1024, 2048, 4096, 4096, 4096, 4096]);
        assert_eq!(parts.wanted_bytes(1 << 40), FIRST_BYTES);
        assert_eq!(parts.at(offset - 1).map(<[u8]>::len), Some(1));
        assert!(parts.at(offset).is_none() && parts.at(0).is_none());
        let kept: usize = parts.parts.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(kept <= KEPT_BYTES);
    }
}
