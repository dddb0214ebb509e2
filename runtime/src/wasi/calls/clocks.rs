//! Reading the clocks.

use crate::wasi::abi::Answer;
use crate::wasi::clock::nanoseconds;
use crate::wasi::host::Host;
use crate::wasi::memory::Memory;

impl Host {
    pub fn clock_res_get(&mut self, memory: Memory, clock: u32, resolution: u32) -> Answer {
        self.now(clock)?;
        memory.write_u64(resolution, 1)
    }

    pub fn clock_time_get(&mut self, memory: Memory, clock: u32, _precision: u64, time: u32) -> Answer {
        let now = self.now(clock)?;
        memory.write_u64(time, nanoseconds(now))
    }
}
