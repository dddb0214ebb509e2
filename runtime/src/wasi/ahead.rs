//! What is taken in ahead of pipes that the guest does not read, while it waits for others.
//!
//! Who feeds several pipes in turn goes on with the next one when this one has taken all, which may be more than a pipe
//! holds. A program with threads reads on meanwhile. One whose threads are coroutines, or that opens its inputs one after
//! the other, waits for the next pipe instead, and its feeder for it.

use crate::budget::{Budget, Share};
use bytes::{Buf, BytesMut};
use std::io;
use std::sync::Arc;

/// What one job's pipes may hold together.
pub const AHEAD_MAX_BYTES: usize = 64 << 20;

/// What is taken in at a time.
pub const TAKEN_BYTES: usize = 64 << 10;

/// Bytes that a pipe gave, and that the guest has not read.
#[derive(Default)]
pub struct Ahead {
    bytes: BytesMut,
    memory: Option<Share>,
    /// What the pipe gave behind the bytes, for the guest's read there.
    failed: Option<io::Error>,
    /// Whether the guest reads from it at all. What it never reads is left where it is.
    pub was_read: bool,
    /// Whether nothing more is to be had of it this way; the guest finds out why.
    pub has_ended: bool,
}

impl Ahead {
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a read has an answer here, so that the pipe is not asked.
    pub fn is_ready(&self) -> bool {
        !self.bytes.is_empty() || self.failed.is_some()
    }

    /// Gives what was taken in to the guest.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty()
            && let Some(error) = self.failed.take()
        {
            return Err(error);
        }
        let count = self.bytes.len().min(buffer.len());
        self.bytes.copy_to_slice(&mut buffer[..count]);
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
            self.memory = None;
        }
        Ok(count)
    }

    /// Takes more in, unless the job's memory has no room for it: then it waits in its pipe.
    pub fn push(&mut self, host_memory: &Arc<Budget>, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) {
        let held = self.bytes.len();
        if self.failed.is_some() || self.make_room(host_memory, held + TAKEN_BYTES).is_err() {
            self.has_ended = true;
            return;
        }
        self.bytes.resize(held + TAKEN_BYTES, 0);
        let count = read(&mut self.bytes[held..]).unwrap_or_else(|error| {
            use io::ErrorKind::{Interrupted, WouldBlock};
            // These pass: the guest's own read finds out.
            self.failed = Some(error).filter(|error| !matches!(error.kind(), Interrupted | WouldBlock));
            0
        });
        self.bytes.truncate(held + count.min(TAKEN_BYTES));
        self.has_ended = count == 0;
    }

    /// A buffer grows to twice what it holds.
    fn make_room(&mut self, host_memory: &Arc<Budget>, wanted: usize) -> Result<(), crate::fs::Exceeded> {
        if wanted <= self.bytes.capacity() {
            return Ok(());
        }
        let most = 2 * wanted as u64;
        match &mut self.memory {
            Some(memory) if memory.amount() >= most => {}
            Some(memory) => memory.resize(most)?,
            None => self.memory = Some(Share::take(host_memory, most)?),
        }
        self.bytes.reserve(wanted - self.bytes.len());
        Ok(())
    }
}
