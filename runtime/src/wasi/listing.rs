//! The listing of a directory that a guest is walking through.

use super::abi;
use super::stat::type_number;
use crate::budget::{Budget, Share};
use crate::fs::{DirEntry, Exceeded};
use std::sync::Arc;

/// Entries as the guest gets them, one after the other.
pub struct Listing {
    bytes: Vec<u8>,
    /// The offsets at which entries begin.
    starts: Vec<usize>,
    memory: Share,
}

/// The initial capacity of a listing, and the least by which it grows.
const GROWTH_MIN_BYTES: usize = 4096;

impl Listing {
    pub fn new(host_memory: &Arc<Budget>) -> Result<Listing, Exceeded> {
        Ok(Listing {
            bytes: Vec::new(),
            starts: Vec::new(),
            memory: Share::take(host_memory, 0)?,
        })
    }

    /// Adds an entry, if the job may have the memory for it.
    pub fn push(&mut self, entry: &DirEntry) -> Result<(), Exceeded> {
        let size = abi::DIRENT_SIZE_BYTES + entry.name.len();
        make_room(&mut self.bytes, size, &mut self.memory)?;
        make_room(&mut self.starts, 1, &mut self.memory)?;
        self.starts.push(self.bytes.len());
        let mut header = [0; abi::DIRENT_SIZE_BYTES];
        header[0..8].copy_from_slice(&(self.starts.len() as u64).to_le_bytes());
        header[8..16].copy_from_slice(&entry.inode.to_le_bytes());
        header[16..20].copy_from_slice(&(entry.name.len() as u32).to_le_bytes());
        header[20] = type_number(entry.file_type);
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(entry.name.as_bytes());
        Ok(())
    }

    /// Returns the entries after this number of them.
    pub fn after(&self, count: usize) -> &[u8] {
        let start = self.starts.get(count).copied().unwrap_or(self.bytes.len());
        &self.bytes[start..]
    }
}

/// Counts what a vector is about to take, the old one included while it is moved.
fn make_room<T>(vec: &mut Vec<T>, more: usize, memory: &mut Share) -> Result<(), Exceeded> {
    let old_capacity = vec.capacity();
    if vec.len() + more <= old_capacity {
        return Ok(());
    }
    let capacity = (vec.len() + more)
        .max(old_capacity * 2)
        .max(GROWTH_MIN_BYTES / size_of::<T>());
    let before = memory.amount();
    let new_bytes = (capacity * size_of::<T>()) as u64;
    memory.resize(before + new_bytes)?;
    vec.reserve_exact(capacity - vec.len());
    memory.resize(before + new_bytes - (old_capacity * size_of::<T>()) as u64)
}
