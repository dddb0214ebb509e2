//! The parts of remote files that were read, and which to ask for next.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The first part, and one after a jump: a header or an index is seldom longer.
const FIRST_BYTES: u64 = 256 << 10;
/// A part of one of many files.
const SHORTEST_BYTES: u64 = 16 << 10;
/// A part of a file that is read in order.
const LONGEST_BYTES: u64 = 4 << 20;
/// The parts of a file that are kept, for programs that read at two places in turn.
const KEPT_BYTES: u64 = 16 << 20;
/// The parts of all files that are kept.
const ALL_KEPT_BYTES: u64 = 64 << 20;
/// As many parts, however short they are.
const ALL_KEPT: usize = 1024;

/// The last parts that were read, of all open files together: a program can open many.
pub struct Cache {
    kept: Mutex<Kept>,
    held_bytes: AtomicU64,
    max_bytes: u64,
    open_files: AtomicU64,
}

#[derive(Default)]
struct Kept {
    /// The newest first.
    parts: VecDeque<Part>,
    files: u64,
}

struct Part {
    file: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Cache {
    /// A cache of a process that may hold this much for a program, most of which is for other things.
    pub fn new(host_memory_max_bytes: u64) -> Arc<Cache> {
        Arc::new(Cache {
            kept: Mutex::default(),
            held_bytes: AtomicU64::new(0),
            max_bytes: ALL_KEPT_BYTES.min(host_memory_max_bytes / 4),
            open_files: AtomicU64::new(0),
        })
    }

    /// The longest part with which there is room for two of each file.
    fn longest_bytes(&self) -> u64 {
        let open_files = self.open_files.load(Ordering::Relaxed).max(1);
        (self.max_bytes / 2 / open_files).clamp(SHORTEST_BYTES, LONGEST_BYTES)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// Changes what is kept, and counts it.
    fn change(&self, change: impl FnOnce(&mut Kept)) {
        let mut kept = self.lock();
        change(&mut kept);
        let held_bytes = kept.parts.iter().map(|part| part.bytes.capacity() as u64).sum();
        self.held_bytes.store(held_bytes, Ordering::Relaxed);
    }
}

/// The last parts of a file.
pub struct Parts {
    cache: Arc<Cache>,
    file: u64,
    next_bytes: u64,
    /// The end of what was read last.
    end: Option<u64>,
}

impl Parts {
    pub fn new(cache: &Arc<Cache>) -> Parts {
        cache.open_files.fetch_add(1, Ordering::Relaxed);
        let mut kept = cache.lock();
        kept.files += 1;
        Parts {
            cache: cache.clone(),
            file: kept.files,
            next_bytes: 0,
            end: None,
        }
    }

    /// Reads what is known from an offset on, as much as lies in one part; nothing if nothing is.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let kept = self.cache.lock();
        let known = kept
            .parts
            .iter()
            .filter(|part| part.file == self.file)
            .find_map(|part| {
                let from = usize::try_from(offset.checked_sub(part.start)?).ok()?;
                part.bytes.get(from..).filter(|bytes| !bytes.is_empty())
            });
        known.map_or(0, |known| copy(known, buffer))
    }

    /// How much to ask for at an offset: more and more, as long as it follows what was read last.
    pub fn wanted_bytes(&self, offset: u64) -> u64 {
        let wanted = match self.end == Some(offset) {
            true => (self.next_bytes * 2).max(FIRST_BYTES),
            false => FIRST_BYTES,
        };
        wanted.min(self.cache.longest_bytes())
    }

    /// Keeps a part, and reads the beginning of it.
    pub fn add(&mut self, offset: u64, bytes: Vec<u8>, buffer: &mut [u8]) -> usize {
        self.next_bytes = self.wanted_bytes(offset);
        self.end = Some(offset + bytes.len() as u64);
        let count = copy(&bytes, buffer);
        let (file, max_bytes) = (self.file, self.cache.max_bytes);
        self.cache.change(|kept| {
            let start = offset;
            kept.parts.push_front(Part { file, start, bytes });
            kept.parts.truncate(ALL_KEPT);
            let (mut of_file, mut of_all) = (0, 0);
            kept.parts.retain(|part| {
                let bytes = part.bytes.capacity() as u64;
                of_all += bytes;
                of_file += if part.file == file { bytes } else { 0 };
                of_all <= max_bytes && (part.file != file || of_file <= KEPT_BYTES)
            });
        });
        count
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.cache.open_files.fetch_sub(1, Ordering::Relaxed);
        self.cache
            .change(|kept| kept.parts.retain(|part| part.file != self.file));
    }
}

fn copy(bytes: &[u8], buffer: &mut [u8]) -> usize {
    let count = bytes.len().min(buffer.len());
    buffer[..count].copy_from_slice(&bytes[..count]);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(parts: &Parts, offset: u64) -> usize {
        parts.read(&mut [0; 1 << 16], offset)
    }

    #[test]
    fn parts_grow_in_order_and_begin_anew_after_a_jump() {
        let cache = Cache::new(u64::MAX);
        let mut parts = Parts::new(&cache);
        let mut offset = 0;
        let mut lengths = Vec::new();
        for _ in 0..8 {
            let wanted = parts.wanted_bytes(offset);
            lengths.push(wanted >> 10);
            assert_eq!(parts.add(offset, vec![7; wanted as usize], &mut [0; 10]), 10);
            offset += wanted;
        }
        assert_eq!(lengths, [256, 512, 1024, 2048, 4096, 4096, 4096, 4096]);
        assert_eq!(parts.wanted_bytes(1 << 40), FIRST_BYTES);
        assert_eq!(known(&parts, offset - 1), 1);
        assert_eq!((known(&parts, offset), known(&parts, 0)), (0, 0));
        assert!((1..=KEPT_BYTES).contains(&cache.held_bytes()));
    }

    /// What many files keep is bounded, there is room for each, and nothing stays of one that is closed.
    #[test]
    fn many_files_keep_no_more_than_a_few() {
        for (host_memory_max_bytes, max_bytes) in [(u64::MAX, ALL_KEPT_BYTES), (32 << 20, 8 << 20)] {
            let cache = Cache::new(host_memory_max_bytes);
            let mut files: Vec<Parts> = (0..256).map(|_| Parts::new(&cache)).collect();
            let mut offset = 0;
            for _ in 0..8 {
                let wanted = files[0].wanted_bytes(offset);
                for parts in &mut files {
                    parts.add(offset, vec![7; wanted as usize], &mut []);
                    assert!(cache.held_bytes() <= max_bytes);
                }
                assert!(files.iter().all(|parts| known(parts, offset) > 0), "{wanted}");
                offset += wanted;
            }
            for number in 0..2 * ALL_KEPT as u64 {
                files[7].add(number, vec![7], &mut []);
            }
            assert!(cache.lock().parts.len() <= ALL_KEPT);
            drop(files);
            assert_eq!(cache.held_bytes(), 0);
        }
    }
}
