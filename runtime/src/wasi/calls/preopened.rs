//! The directories that the guest was given.

use crate::wasi::abi::{Answer, Errno};
use crate::wasi::descriptors::{Descriptor, OpenDirectory};
use crate::wasi::host::{Host, STANDARD_STREAMS};
use crate::wasi::memory::Memory;

/// A type of preopened descriptor that preview 1 does not define.
const NO_DIRECTORY: u32 = 255;

impl Host {
    pub fn fd_prestat_get(&mut self, memory: Memory, fd: u32, prestat: u32) -> Answer {
        // The C library looks at the numbers in turn, until one is not there. It passes over what is no directory.
        if (STANDARD_STREAMS..self.first_directory).contains(&fd) {
            return memory.write_u32(prestat, NO_DIRECTORY);
        }
        let name_length = self.preopen_name(fd)?.len() as u32;
        memory.write_u32(prestat, 0)?;
        memory.write_u32(prestat.checked_add(4).ok_or(Errno::Fault)?, name_length)
    }

    pub fn fd_prestat_dir_name(&mut self, memory: Memory, fd: u32, buffer: u32, length: u32) -> Answer {
        let name = self.preopen_name(fd)?;
        if name.len() > length as usize {
            return Err(Errno::Nametoolong.into());
        }
        memory.write(buffer, name.as_bytes())
    }

    fn preopen_name(&mut self, fd: u32) -> Result<&str, Errno> {
        match self.descriptors.get(fd)? {
            Descriptor::Directory(OpenDirectory {
                preopened_as: Some(name),
                ..
            }) => Ok(name),
            _ => Err(Errno::Badf),
        }
    }
}
