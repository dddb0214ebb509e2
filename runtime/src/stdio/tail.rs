//! Output that is captured in memory.

use crate::budget::Budget;
use crate::fs::Exceeded;
use crate::output::Output;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The last bytes that were written to a stream.
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    limit_bytes: usize,
    dropped_bytes: u64,
    host_memory: Arc<Budget>,
}

/// The initial capacity of a tail, as far as its limit allows.
const TAIL_MIN_BYTES: usize = 4096;

impl Tail {
    pub fn new(limit_bytes: usize, host_memory: &Arc<Budget>) -> Tail {
        Tail {
            bytes: VecDeque::new(),
            limit_bytes,
            dropped_bytes: 0,
            host_memory: host_memory.clone(),
        }
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Exceeded> {
        let kept = &bytes[bytes.len().saturating_sub(self.limit_bytes)..];
        let excess = (self.bytes.len() + kept.len()).saturating_sub(self.limit_bytes);
        self.make_room(self.bytes.len() + kept.len() - excess)?;
        self.bytes.drain(..excess);
        self.bytes.extend(kept);
        self.dropped_bytes += (excess + bytes.len() - kept.len()) as u64;
        Ok(())
    }

    /// Counts an allocation before it is made, together with the one it replaces. The size doubles up to the limit.
    fn make_room(&mut self, needed: usize) -> Result<(), Exceeded> {
        let old_capacity = self.bytes.capacity();
        if needed <= old_capacity {
            return Ok(());
        }
        let doubled = needed.max(old_capacity * 2).max(TAIL_MIN_BYTES).min(self.limit_bytes);
        let capacity = match self.host_memory.take(doubled as u64) {
            Ok(()) => doubled,
            Err(_) => {
                self.host_memory.take(needed as u64)?;
                needed
            }
        };
        self.bytes.reserve_exact(capacity - self.bytes.len());
        self.host_memory.give_back(old_capacity as u64);
        Ok(())
    }

    /// Returns the bytes kept, and the number of bytes dropped before them.
    fn take(&mut self) -> (Vec<u8>, u64) {
        self.host_memory.give_back(self.bytes.capacity() as u64);
        (std::mem::take(&mut self.bytes).into(), self.dropped_bytes)
    }
}

pub(crate) type SharedTail = Arc<Mutex<Tail>>;

fn take(tail: &SharedTail) -> (Vec<u8>, u64) {
    tail.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The captured part of a job's two output streams.
#[derive(Clone)]
pub(crate) struct Tails {
    pub stdout: SharedTail,
    pub stderr: SharedTail,
}

impl Tails {
    pub fn output(&self) -> Output {
        let (stdout, stdout_dropped_bytes) = take(&self.stdout);
        let (stderr, stderr_dropped_bytes) = take(&self.stderr);
        Output {
            stdout,
            stdout_dropped_bytes,
            stderr,
            stderr_dropped_bytes,
            ..Output::default()
        }
    }
}
