//! The content of a file in memory: the owner's bytes, and over them the bytes that programs wrote, in pieces.

use super::exceeded::Exceeded;
use crate::limit::Limit;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// The size in which a file is allocated, changed and freed.
///
/// Pieces this large cost as little as one piece for all, and only what follows the first is allocated as a whole.
pub(super) const CHUNK_SIZE_BYTES: u64 = 256 << 10;

/// The bytes written to a file system, and their limit.
pub(super) struct Room {
    pub used_bytes: AtomicU64,
    pub limit_bytes: u64,
}

impl Room {
    fn take(&self, bytes: u64) -> io::Result<()> {
        let mut wanted_bytes = 0;
        let taken = self
            .used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                wanted_bytes = used.saturating_add(bytes);
                (wanted_bytes <= self.limit_bytes || bytes == 0).then_some(wanted_bytes)
            });
        let exceeded = |_| Exceeded::new(Limit::FileSystem, self.limit_bytes, wanted_bytes).into();
        taken.map(drop).map_err(exceeded)
    }

    pub fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Replaces the count from before an operation by the one after it.
    fn settle(&self, before: u64, after: u64) {
        match before.checked_sub(after) {
            Some(less) => self.give_back(less),
            None => drop(self.used_bytes.fetch_add(after - before, Ordering::Relaxed)),
        }
    }
}

/// Bytes in memory.
///
/// The counted bytes are never fewer than the held ones: a piece counts by its capacity, and a part to which nothing
/// was written by its length, so that taking a file out costs no more than was counted for it.
#[derive(Default)]
pub(super) struct Content {
    /// The owner's bytes, shared, or bytes that were handed out.
    base: Bytes,
    /// The bytes that count for the base: none if it is the owner's.
    base_counted_bytes: u64,
    /// The written bytes, over the base. A piece may be shorter than its place in the file; zeros follow.
    chunks: BTreeMap<u64, Vec<u8>>,
    size_bytes: u64,
    /// The bytes that count for the pieces beyond their share of the size after the base.
    extra_bytes: u64,
}

/// The bytes between the start of a chunk and an offset, at most the whole chunk.
fn within(index: u64, end: u64) -> u64 {
    end.saturating_sub(index.saturating_mul(CHUNK_SIZE_BYTES))
        .min(CHUNK_SIZE_BYTES)
}

/// Sizes of parts of chunks fit in memory.
fn part(bytes: u64) -> usize {
    bytes.min(CHUNK_SIZE_BYTES) as usize
}

impl Content {
    pub fn shared(base: Bytes) -> Content {
        Content {
            size_bytes: base.len() as u64,
            base,
            ..Content::default()
        }
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the bytes that the content counts for.
    pub fn counted_bytes(&self) -> u64 {
        self.base_counted_bytes + (self.size_bytes - self.base.len() as u64) + self.extra_bytes
    }

    /// Returns the bytes if they are the owner's and unchanged: reading them needs no lock.
    pub fn as_shared(&self) -> Option<&Bytes> {
        (self.chunks.is_empty() && self.base.len() as u64 == self.size_bytes).then_some(&self.base)
    }

    fn extra_of(&self, index: u64, capacity: u64, size_bytes: u64) -> u64 {
        let covered = within(index, size_bytes);
        capacity.max(covered) - (covered - within(index, self.base.len() as u64).min(covered))
    }

    /// Returns the capacity of a piece that must reach `needed`: exact if `sparing`, otherwise with room for the next
    /// write.
    fn capacity_for(&self, index: u64, needed: u64, sparing: bool) -> u64 {
        let present = self.chunks.get(&index).map(|chunk| chunk.capacity() as u64);
        let needed = needed.max(within(index, self.base.len() as u64));
        match present {
            Some(capacity) if capacity >= needed => capacity,
            _ if sparing => needed,
            // A file larger than a piece will most likely fill this one as well.
            _ if index > 0 => CHUNK_SIZE_BYTES,
            Some(capacity) => needed.max(capacity * 2).min(CHUNK_SIZE_BYTES),
            None => needed,
        }
    }

    /// Returns the counted bytes after a write of this length, or, with length 0, after growing to this size.
    fn counted_after(&self, offset: u64, length_bytes: u64, sparing: bool) -> u64 {
        let end = offset.saturating_add(length_bytes);
        let size_bytes = self.size_bytes.max(end);
        let touched = match length_bytes {
            0 => 0..0,
            _ => offset / CHUNK_SIZE_BYTES..(end - 1) / CHUNK_SIZE_BYTES + 1,
        };
        let mut extra = self.extra_bytes;
        // The piece that was the last covers more of the file now.
        if let Some((&last, chunk)) = self.chunks.last_key_value()
            && !touched.contains(&last)
        {
            let capacity = chunk.capacity() as u64;
            extra -= self.extra_of(last, capacity, self.size_bytes);
            extra += self.extra_of(last, capacity, size_bytes);
        }
        for index in touched {
            if let Some(chunk) = self.chunks.get(&index) {
                extra -= self.extra_of(index, chunk.capacity() as u64, self.size_bytes);
            }
            let capacity = self.capacity_for(index, within(index, end), sparing);
            extra = extra.saturating_add(self.extra_of(index, capacity, size_bytes));
        }
        let beyond_base = size_bytes - self.base.len() as u64;
        self.base_counted_bytes
            .saturating_add(beyond_base)
            .saturating_add(extra)
    }

    pub fn growth_bytes(&self, offset: u64, length_bytes: u64) -> u64 {
        let after = self.counted_after(offset, length_bytes, false);
        after.saturating_sub(self.counted_bytes())
    }

    pub fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let left = self.size_bytes.saturating_sub(offset);
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < count {
            let at = offset + done as u64;
            let (index, start) = (at / CHUNK_SIZE_BYTES, part(at % CHUNK_SIZE_BYTES));
            let wanted = (count - done).min(part(CHUNK_SIZE_BYTES) - start);
            let piece = &mut buffer[done..done + wanted];
            let written = match self.chunks.get(&index) {
                Some(chunk) => &chunk[..],
                None => self.base_of(index),
            };
            let bytes = written.get(start..).unwrap_or_default();
            let (with_bytes, zeros) = piece.split_at_mut(bytes.len().min(wanted));
            with_bytes.copy_from_slice(&bytes[..with_bytes.len()]);
            zeros.fill(0);
            done += wanted;
        }
        count
    }

    /// The base's part of a chunk.
    fn base_of(&self, index: u64) -> &[u8] {
        let length = self.base.len() as u64;
        let start = index.saturating_mul(CHUNK_SIZE_BYTES).min(length);
        let end = (start + CHUNK_SIZE_BYTES).min(length);
        // Both are no more than the length of something in memory.
        self.base.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Writes all of the buffer. What that takes is counted, and refused, before any of it is allocated.
    pub fn write(&mut self, room: &Room, buffer: &[u8], offset: u64) -> io::Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        let end = offset.checked_add(buffer.len() as u64);
        let end = end
            .filter(|end| *end <= i64::MAX as u64)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        let before = self.counted_bytes();
        let generous = self.counted_after(offset, buffer.len() as u64, false);
        let (sparing, counted) = match room.take(generous.saturating_sub(before)) {
            Ok(()) => (false, generous.max(before)),
            Err(_) => {
                let counted = self.counted_after(offset, buffer.len() as u64, true).max(before);
                room.take(counted - before)?;
                (true, counted)
            }
        };
        let old_size_bytes = self.size_bytes;
        self.grow(old_size_bytes.max(end));
        let (mut rest, mut at) = (buffer, offset);
        let mut result = Ok(());
        while !rest.is_empty() {
            let (index, start) = (at / CHUNK_SIZE_BYTES, part(at % CHUNK_SIZE_BYTES));
            let (piece, others) = rest.split_at(rest.len().min(part(CHUNK_SIZE_BYTES) - start));
            let capacity = self.capacity_for(index, within(index, end), sparing);
            result = self.write_chunk(index, part(capacity), start, piece);
            if result.is_err() {
                // If memory runs out, the old content stays.
                self.size_bytes = old_size_bytes.max(at);
                self.recount();
                break;
            }
            rest = others;
            at += piece.len() as u64;
        }
        room.settle(counted, self.counted_bytes());
        result
    }

    fn write_chunk(&mut self, index: u64, capacity: usize, start: usize, piece: &[u8]) -> io::Result<()> {
        let mut chunk = match self.chunks.remove(&index) {
            Some(chunk) => {
                self.extra_bytes -= self.extra_of(index, chunk.capacity() as u64, self.size_bytes);
                chunk
            }
            None => Vec::new(),
        };
        let reserved = chunk.try_reserve_exact(capacity.saturating_sub(chunk.len()));
        if reserved.is_ok() {
            if chunk.is_empty() {
                chunk.extend_from_slice(self.base_of(index));
            }
            if chunk.len() < start {
                chunk.resize(start, 0);
            }
            let (replacing, appended) = piece.split_at(piece.len().min(chunk.len() - start));
            chunk[start..start + replacing.len()].copy_from_slice(replacing);
            chunk.extend_from_slice(appended);
        }
        if reserved.is_ok() || chunk.capacity() > 0 {
            self.extra_bytes += self.extra_of(index, chunk.capacity() as u64, self.size_bytes);
            self.chunks.insert(index, chunk);
        }
        reserved.map_err(|_| io::ErrorKind::OutOfMemory.into())
    }

    /// Makes it no smaller; what is new reads as zeros.
    fn grow(&mut self, size_bytes: u64) {
        if let Some((&last, chunk)) = self.chunks.last_key_value() {
            let capacity = chunk.capacity() as u64;
            self.extra_bytes -= self.extra_of(last, capacity, self.size_bytes);
            self.extra_bytes += self.extra_of(last, capacity, size_bytes);
        }
        self.size_bytes = size_bytes;
    }

    fn recount(&mut self) {
        let extra = |(&index, chunk): (&u64, &Vec<u8>)| self.extra_of(index, chunk.capacity() as u64, self.size_bytes);
        self.extra_bytes = self.chunks.iter().map(extra).sum();
    }

    /// Cuts it, giving memory back at once, or lets it grow by zeros that are counted but not allocated.
    pub fn set_len(&mut self, room: &Room, size_bytes: u64) -> io::Result<()> {
        let before = self.counted_bytes();
        if size_bytes >= self.size_bytes {
            let after = self.counted_after(size_bytes, 0, true).max(before);
            room.take(after - before)?;
            self.grow(size_bytes);
            room.settle(after, self.counted_bytes());
            return Ok(());
        }
        drop(self.chunks.split_off(&size_bytes.div_ceil(CHUNK_SIZE_BYTES)));
        if let Some((&last, chunk)) = self.chunks.iter_mut().next_back() {
            chunk.truncate(part(within(last, size_bytes)));
            chunk.shrink_to_fit();
        }
        if size_bytes == 0 {
            self.base = Bytes::new();
            self.base_counted_bytes = 0;
        } else {
            // The rest of the base stays allocated, so what it counts for stays as well.
            self.base.truncate(usize::try_from(size_bytes).unwrap_or(usize::MAX));
        }
        self.size_bytes = size_bytes;
        self.recount();
        room.settle(before, self.counted_bytes());
        Ok(())
    }

    /// Returns the bytes in one piece, which counts as before.
    ///
    /// Bytes that are in one piece already are not copied. Otherwise pieces are copied one by one, each freed before
    /// the next.
    pub fn share(&mut self, room: &Room) -> io::Result<Bytes> {
        if let Some(shared) = self.as_shared() {
            return Ok(shared.clone());
        }
        let before = self.counted_bytes();
        let size = usize::try_from(self.size_bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let whole = self.chunks.get(&0).is_some_and(|chunk| chunk.len() == size);
        let bytes = if whole {
            self.chunks.remove(&0).unwrap_or_default()
        } else {
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(size).map_err(|_| io::ErrorKind::OutOfMemory)?;
            for index in 0..self.size_bytes.div_ceil(CHUNK_SIZE_BYTES) {
                let end = bytes.len() + part(within(index, self.size_bytes));
                match self.chunks.remove(&index) {
                    Some(chunk) => bytes.extend_from_slice(&chunk),
                    None => bytes.extend_from_slice(self.base_of(index)),
                }
                bytes.resize(end, 0);
            }
            bytes
        };
        // The owner's bytes still do not count, though the owner now holds them twice.
        self.base_counted_bytes = before.min(bytes.capacity() as u64);
        self.base = bytes.into();
        self.chunks.clear();
        self.extra_bytes = 0;
        room.settle(before, self.counted_bytes());
        Ok(self.base.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, usize),
        SetLen(u64),
        Share,
    }

    fn offset() -> impl Strategy<Value = u64> {
        (0..4u64, -3..3i64).prop_map(|(chunk, more)| (chunk * CHUNK_SIZE_BYTES).saturating_add_signed(more))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is written and cut, it reads like one piece, counts for no less than it holds, and gives it all
        /// back.
        #[test]
        fn pieces_are_like_one(
            base in prop_oneof![Just(0), 0..1_000_000usize],
            limit_bytes in prop_oneof![Just(u64::MAX), 0..2_000_000u64],
            steps in prop::collection::vec(prop_oneof![
                4 => (offset(), 0..600_000usize).prop_map(|(offset, length)| Step::Write(offset, length)),
                2 => (offset(), 0..5usize).prop_map(|(offset, length)| Step::Write(offset, length)),
                2 => offset().prop_map(Step::SetLen),
                1 => Just(Step::Share),
            ], 1..20),
        ) {
            let room = Room { used_bytes: AtomicU64::new(0), limit_bytes };
            let mut plain = vec![9; base];
            let mut content = Content::shared(plain.clone().into());
            for (step, fill) in steps.iter().zip(1..) {
                match *step {
                    Step::Write(offset, length) => {
                        let bytes = vec![fill; length];
                        if content.write(&room, &bytes, offset).is_ok() && length > 0 {
                            let start = usize::try_from(offset).unwrap();
                            plain.resize(plain.len().max(start + length), 0);
                            plain[start..start + length].copy_from_slice(&bytes);
                        }
                    }
                    Step::SetLen(size_bytes) => {
                        if content.set_len(&room, size_bytes).is_ok() {
                            plain.resize(usize::try_from(size_bytes).unwrap(), 0);
                        }
                    }
                    Step::Share => prop_assert!(content.share(&room).unwrap() == plain),
                }
                let mut read = vec![1; plain.len() + 10];
                let count = content.read(&mut read, 0);
                prop_assert!(read[..count] == plain, "{step:?}");
                let held: usize = content.chunks.values().map(Vec::capacity).sum();
                let used_bytes = room.used_bytes.load(Ordering::Relaxed);
                prop_assert_eq!(used_bytes, content.counted_bytes());
                prop_assert!(used_bytes >= held as u64 + content.base_counted_bytes);
                prop_assert!(used_bytes <= limit_bytes);
            }
            content.set_len(&room, 0).unwrap();
            prop_assert_eq!(room.used_bytes.load(Ordering::Relaxed), 0);
        }
    }
}
