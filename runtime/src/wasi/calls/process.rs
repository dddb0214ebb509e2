//! What a process has of its system: arguments, variables, random bytes and a turn on the processor.

use crate::wasi::abi::{Answer, Errno};
use crate::wasi::host::Host;
use crate::wasi::memory::Memory;

impl Host {
    pub fn args_sizes_get(&mut self, memory: Memory, count: u32, size: u32) -> Answer {
        strings_sizes(memory, &self.args, count, size)
    }

    pub fn args_get(&mut self, memory: Memory, pointers: u32, buffer: u32) -> Answer {
        strings(memory, &self.args, pointers, buffer)
    }

    pub fn environ_sizes_get(&mut self, memory: Memory, count: u32, size: u32) -> Answer {
        strings_sizes(memory, &self.env, count, size)
    }

    pub fn environ_get(&mut self, memory: Memory, pointers: u32, buffer: u32) -> Answer {
        strings(memory, &self.env, pointers, buffer)
    }

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

fn strings_sizes(memory: Memory, strings: &[Vec<u8>], count: u32, size: u32) -> Answer {
    let size_bytes: usize = strings.iter().map(|string| string.len() + 1).sum();
    memory.write_u32(count, u32::try_from(strings.len()).map_err(|_| Errno::Overflow)?)?;
    memory.write_u32(size, u32::try_from(size_bytes).map_err(|_| Errno::Overflow)?)
}

fn strings(memory: Memory, strings: &[Vec<u8>], mut pointers: u32, mut buffer: u32) -> Answer {
    for string in strings {
        memory.write_u32(pointers, buffer)?;
        memory.write(buffer, string)?;
        let length = u32::try_from(string.len()).map_err(|_| Errno::Overflow)?;
        let end = buffer.checked_add(length).ok_or(Errno::Fault)?;
        memory.write(end, &[0])?;
        buffer = end.checked_add(1).ok_or(Errno::Fault)?;
        pointers = pointers.checked_add(4).ok_or(Errno::Fault)?;
    }
    Ok(())
}
