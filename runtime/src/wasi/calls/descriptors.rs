//! Descriptors, and the files behind them as a whole.

use crate::fs::{FileType, Metadata};
use crate::wasi::abi::{Answer, Errno, check_offset, fd_flags, file_type, rights};
use crate::wasi::descriptors::Descriptor;
use crate::wasi::host::Host;
use crate::wasi::memory::Memory;
use crate::wasi::path::Resolved;
use crate::wasi::stat::{filestat, stream_type, times, type_number};

impl Host {
    pub fn fd_close(&mut self, _memory: Memory, fd: u32) -> Answer {
        let closed = match self.descriptors.get(fd)? {
            Descriptor::Stream(stream) => stream.close(),
            Descriptor::File(_) | Descriptor::Directory(_) => Ok(()),
        };
        self.descriptors.close(fd)?;
        Ok(closed?)
    }

    pub fn fd_renumber(&mut self, _memory: Memory, from: u32, to: u32) -> Answer {
        Ok(self.descriptors.renumber(from, to)?)
    }

    pub fn fd_advise(&mut self, _memory: Memory, fd: u32, _offset: u64, _length: u64, advice: u32) -> Answer {
        self.descriptors.file(fd)?;
        if advice <= 5 { Ok(()) } else { Err(Errno::Inval.into()) }
    }

    pub fn fd_allocate(&mut self, _memory: Memory, fd: u32, _offset: u64, _length: u64) -> Answer {
        self.descriptors.file(fd)?;
        Err(Errno::Notsup.into())
    }

    pub fn fd_datasync(&mut self, memory: Memory, fd: u32) -> Answer {
        self.fd_sync(memory, fd)
    }

    pub fn fd_sync(&mut self, _memory: Memory, fd: u32) -> Answer {
        match self.descriptors.get(fd)? {
            Descriptor::File(open) => Ok(open.file.sync()?),
            Descriptor::Directory(_) => Ok(()),
            Descriptor::Stream(_) => Err(Errno::Inval.into()),
        }
    }

    pub fn fd_fdstat_get(&mut self, memory: Memory, fd: u32, stat: u32) -> Answer {
        let (file_type, flags, base, inheriting) = match self.descriptors.get(fd)? {
            Descriptor::Stream(stream) => {
                let (file_type, seekable) = stream_type(stream);
                // The C library takes a character device that cannot seek for a terminal.
                let base = if seekable {
                    rights::FILE
                } else {
                    rights::FILE & !(rights::FD_SEEK | rights::FD_TELL)
                };
                (file_type, 0, base, 0)
            }
            Descriptor::File(open) => {
                let mut base = rights::FILE;
                if !open.readable {
                    base &= !rights::FD_READ;
                }
                if !open.writable {
                    base &= !rights::FD_WRITE;
                }
                (type_number(open.file.metadata()?.file_type), open.flags, base, 0)
            }
            // The C library asks for no more rights than a directory passes on, so all are: whether something may be
            // written is the file system's to say, with an error that can be understood.
            Descriptor::Directory(_) => (file_type::DIRECTORY, 0, rights::DIRECTORY, rights::ALL),
        };
        let mut bytes = [0; 24];
        bytes[0] = file_type;
        bytes[2..4].copy_from_slice(&(flags as u16).to_le_bytes());
        bytes[8..16].copy_from_slice(&base.to_le_bytes());
        bytes[16..24].copy_from_slice(&inheriting.to_le_bytes());
        memory.write(stat, &bytes)
    }

    pub fn fd_fdstat_set_flags(&mut self, _memory: Memory, fd: u32, flags: u32) -> Answer {
        if flags & !fd_flags::ALL != 0 {
            return Err(Errno::Inval.into());
        }
        match self.descriptors.get(fd)? {
            Descriptor::File(open) => open.flags = flags,
            // A stream is as blocking as the job's owner made it; its programs set the flag and then call poll.
            Descriptor::Stream(_) => {}
            Descriptor::Directory(_) => return Err(Errno::Badf.into()),
        }
        Ok(())
    }

    pub fn fd_fdstat_set_rights(&mut self, _memory: Memory, fd: u32, _base: u64, _inheriting: u64) -> Answer {
        self.descriptors.get(fd)?;
        Err(Errno::Notsup.into())
    }

    pub fn fd_filestat_get(&mut self, memory: Memory, fd: u32, stat: u32) -> Answer {
        let metadata = match self.descriptors.get(fd)? {
            Descriptor::File(open) => open.file.metadata()?,
            Descriptor::Directory(directory) => {
                let (file_system, resolved) = directory.location.resolve(".", true)?;
                file_system.metadata(&resolved.path, true)?
            }
            Descriptor::Stream(stream) => {
                let size_bytes = match stream.host() {
                    Some(host) if host.is_regular => host.file.metadata()?.len(),
                    _ => 0,
                };
                let mut bytes = filestat(&Metadata::new(FileType::Other, size_bytes, 0), &self.clock);
                bytes[16] = stream_type(stream).0;
                return memory.write(stat, &bytes);
            }
        };
        memory.write(stat, &filestat(&metadata, &self.clock))
    }

    pub fn fd_filestat_set_size(&mut self, _memory: Memory, fd: u32, size: u64) -> Answer {
        let open = self.descriptors.file(fd).map_err(|_| Errno::Badf)?;
        if !open.writable || open.file.is_stream() {
            return Err(Errno::Inval.into());
        }
        check_offset(size)?;
        let grown = self.account.hole_bytes(open, size)?;
        self.account.check_written(grown)?;
        self.account.host_memory.check(open.file.growth_bytes(size, 0))?;
        open.file.set_len(size)?;
        self.account.bytes_grown += grown;
        Ok(())
    }

    pub fn fd_filestat_set_times(&mut self, _: Memory, fd: u32, accessed: u64, modified: u64, flags: u32) -> Answer {
        let times = times(accessed, modified, flags)?;
        match self.descriptors.get(fd)? {
            // POSIX lets a file's times be set by a descriptor that only reads. Here, what only reads changes nothing.
            Descriptor::File(open) if !open.writable => Err(Errno::Badf.into()),
            Descriptor::File(open) => Ok(open.file.set_times(times)?),
            Descriptor::Directory(directory) => {
                let (file_system, Resolved { path, .. }) = directory.location.resolve(".", true)?;
                self.prepare(&*file_system, &path, true)?;
                let names = self.check_change(&*file_system, &path, 0)?;
                file_system.set_times(&path, true, times)?;
                self.account.names += names;
                Ok(())
            }
            Descriptor::Stream(_) => Err(Errno::Badf.into()),
        }
    }
}
