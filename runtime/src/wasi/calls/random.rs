//! Random bytes, and giving way to other threads.

use crate::wasi::abi::{Answer, Errno};
use crate::wasi::host::Host;
use crate::wasi::memory::Memory;

impl Host {
    pub fn random_get(&mut self, memory: Memory, buffer: u32, length: u32) -> Answer {
        // Gigabytes of random bytes take long, so interruptions are checked in between.
        for piece in memory.slice_mut(buffer, length)?.chunks_mut(1 << 20) {
            if self.interrupt.check().is_some() {
                return Err(Errno::Intr.into());
            }
            self.random.fill(piece).map_err(|_| Errno::Io)?;
        }
        Ok(())
    }

    pub fn sched_yield(&mut self, _memory: Memory) -> Answer {
        std::thread::yield_now();
        Ok(())
    }
}
