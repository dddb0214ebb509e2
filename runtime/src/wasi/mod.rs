//! WASI preview 1, independent of the engine: every call is a function over the guest's memory and the job's state.
//!
//! Pointers, lengths, descriptors, flags and paths come from a guest that may be hostile. What is wrong with them is
//! an [`Errno`] for the guest, never a panic.

pub mod abi;
mod clock;
mod descriptors;
mod memory;
mod path;
mod poll;

use crate::fs::{DirEntry, FileSystem, FileType, Metadata, OpenOptions, Opened, Times};
use crate::interrupt::Interrupt;
use crate::stdio::{Stream, retry};
use abi::{Errno, fd_flags, file_type, lookup_flags, open_flags, rights, time_flags, whence};
pub use clock::{Clock, Random, cpu_time_of_this_thread};
use descriptors::{Descriptor, Descriptors, OpenDirectory, OpenFile};
pub use memory::GuestMemory;
use path::{Resolved, resolve};
use std::io::SeekFrom;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Memory<'a, 'm> = &'a mut GuestMemory<'m>;
type Answer = Result<(), Errno>;

/// What one job's guest can see of the world.
pub struct Host {
    args: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    descriptors: Descriptors,
    pub interrupt: Interrupt,
    clock: Clock,
    random: Arc<Random>,
    pub bytes_read: u64,
    pub bytes_written: u64,
    written_max_bytes: u64,
}

/// What a host is made of besides its descriptors.
pub struct Setup {
    pub args: Vec<Vec<u8>>,
    pub env: Vec<Vec<u8>>,
    pub interrupt: Interrupt,
    pub clock: Clock,
    pub random: Arc<Random>,
    pub open_files_max: usize,
    pub written_max_bytes: u64,
}

impl Host {
    pub fn new(setup: Setup) -> Host {
        Host {
            args: setup.args,
            env: setup.env,
            descriptors: Descriptors::new(setup.open_files_max),
            interrupt: setup.interrupt,
            clock: setup.clock,
            random: setup.random,
            bytes_read: 0,
            bytes_written: 0,
            written_max_bytes: setup.written_max_bytes,
        }
    }

    /// Adds the next standard stream; the first three descriptors are theirs.
    pub fn add_stream(&mut self, stream: Stream) -> Answer {
        self.descriptors.insert(Descriptor::Stream(stream)).map(drop)
    }

    /// Gives the guest a directory under a name; these follow the standard streams.
    pub fn add_directory(&mut self, name: String, file_system: Arc<dyn FileSystem>) -> Answer {
        let path = ".".to_owned();
        let directory = OpenDirectory {
            file_system,
            path,
            preopened_as: Some(name),
            listing: None,
        };
        self.descriptors.insert(Descriptor::Directory(directory)).map(drop)
    }

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

    pub fn clock_res_get(&mut self, memory: Memory, clock: u32, resolution: u32) -> Answer {
        self.now(clock)?;
        memory.write_u64(resolution, 1)
    }

    pub fn clock_time_get(&mut self, memory: Memory, clock: u32, _precision: u64, time: u32) -> Answer {
        let now = self.now(clock)?;
        memory.write_u64(time, nanoseconds(now))
    }

    fn now(&mut self, clock: u32) -> Result<Duration, Errno> {
        match clock {
            abi::clock::REALTIME => Ok(self.clock.realtime()),
            abi::clock::MONOTONIC => Ok(self.clock.monotonic()),
            abi::clock::PROCESS_CPU_TIME | abi::clock::THREAD_CPU_TIME => Ok(self.clock.processor()),
            _ => Err(Errno::Inval),
        }
    }

    pub fn random_get(&mut self, memory: Memory, buffer: u32, length: u32) -> Answer {
        // Gigabytes of randomness take long, so the job's interruption is looked for in between.
        for piece in memory.slice_mut(buffer, length)?.chunks_mut(1 << 20) {
            if self.interrupt.check().is_some() {
                return Err(Errno::Intr);
            }
            self.random.fill(piece).map_err(|_| Errno::Io)?;
        }
        Ok(())
    }

    pub fn sched_yield(&mut self, _memory: Memory) -> Answer {
        std::thread::yield_now();
        Ok(())
    }

    pub fn fd_close(&mut self, _memory: Memory, fd: u32) -> Answer {
        self.descriptors.close(fd)
    }

    pub fn fd_renumber(&mut self, _memory: Memory, from: u32, to: u32) -> Answer {
        self.descriptors.renumber(from, to)
    }

    pub fn fd_advise(&mut self, _memory: Memory, fd: u32, _offset: u64, _length: u64, advice: u32) -> Answer {
        self.descriptors.file(fd)?;
        if advice <= 5 { Ok(()) } else { Err(Errno::Inval) }
    }

    pub fn fd_allocate(&mut self, _memory: Memory, fd: u32, _offset: u64, _length: u64) -> Answer {
        self.descriptors.file(fd)?;
        Err(Errno::Notsup)
    }

    pub fn fd_datasync(&mut self, memory: Memory, fd: u32) -> Answer {
        self.fd_sync(memory, fd)
    }

    pub fn fd_sync(&mut self, _memory: Memory, fd: u32) -> Answer {
        match self.descriptors.get(fd)? {
            Descriptor::File(open) => Ok(open.file.sync()?),
            Descriptor::Directory(_) => Ok(()),
            Descriptor::Stream(_) => Err(Errno::Inval),
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
            return Err(Errno::Inval);
        }
        match self.descriptors.get(fd)? {
            Descriptor::File(open) => open.flags = flags,
            // A stream is as blocking as the job's owner made it; its programs set the flag and then call poll.
            Descriptor::Stream(_) => {}
            Descriptor::Directory(_) => return Err(Errno::Badf),
        }
        Ok(())
    }

    pub fn fd_fdstat_set_rights(&mut self, _memory: Memory, fd: u32, _base: u64, _inheriting: u64) -> Answer {
        self.descriptors.get(fd)?;
        Err(Errno::Notsup)
    }

    pub fn fd_filestat_get(&mut self, memory: Memory, fd: u32, stat: u32) -> Answer {
        let metadata = match self.descriptors.get(fd)? {
            Descriptor::File(open) => open.file.metadata()?,
            Descriptor::Directory(directory) => directory.file_system.metadata(&directory.path, true)?,
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
            return Err(Errno::Inval);
        }
        check_offset(size)?;
        Ok(open.file.set_len(size)?)
    }

    pub fn fd_filestat_set_times(&mut self, _: Memory, fd: u32, accessed: u64, modified: u64, flags: u32) -> Answer {
        let times = times(accessed, modified, flags)?;
        match self.descriptors.get(fd)? {
            Descriptor::File(open) => Ok(open.file.set_times(times)?),
            Descriptor::Directory(directory) => Ok(directory.file_system.set_times(&directory.path, true, times)?),
            Descriptor::Stream(_) => Err(Errno::Badf),
        }
    }

    pub fn fd_prestat_get(&mut self, memory: Memory, fd: u32, prestat: u32) -> Answer {
        let name_length = self.preopen_name(fd)?.len() as u32;
        memory.write_u32(prestat, 0)?;
        memory.write_u32(prestat.checked_add(4).ok_or(Errno::Fault)?, name_length)
    }

    pub fn fd_prestat_dir_name(&mut self, memory: Memory, fd: u32, buffer: u32, length: u32) -> Answer {
        let name = self.preopen_name(fd)?;
        if name.len() > length as usize {
            return Err(Errno::Nametoolong);
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

    pub fn fd_read(&mut self, memory: Memory, fd: u32, iovecs: u32, count: u32, read: u32) -> Answer {
        let buffers = memory.iovecs(iovecs, count)?;
        memory.slice(read, 4)?;
        let total = match self.descriptors.get(fd)? {
            Descriptor::Directory(_) => return Err(Errno::Isdir),
            Descriptor::Stream(stream) => {
                // One buffer is enough: to ask for more could block although there is something to return.
                match buffers.iter().find(|(_, length)| *length > 0) {
                    Some(&(start, length)) => stream.read(memory.slice_mut(start, length)?, &self.interrupt)?,
                    None => 0,
                }
            }
            Descriptor::File(open) => {
                let position = open.position;
                let total = read_file(memory, open, &buffers, position, &self.interrupt)?;
                open.position += total as u64;
                total
            }
        };
        self.bytes_read += total as u64;
        memory.write_u32(read, total as u32)
    }

    pub fn fd_pread(&mut self, memory: Memory, fd: u32, iovecs: u32, count: u32, offset: u64, read: u32) -> Answer {
        let buffers = memory.iovecs(iovecs, count)?;
        memory.slice(read, 4)?;
        check_offset(offset)?;
        let open = self.descriptors.file(fd)?;
        if open.file.is_stream() {
            return Err(Errno::Spipe);
        }
        let total = read_file(memory, open, &buffers, offset, &self.interrupt)?;
        self.bytes_read += total as u64;
        memory.write_u32(read, total as u32)
    }

    pub fn fd_write(&mut self, memory: Memory, fd: u32, iovecs: u32, count: u32, written: u32) -> Answer {
        let buffers = memory.iovecs(iovecs, count)?;
        memory.slice(written, 4)?;
        check_quota(&buffers, self.bytes_written, self.written_max_bytes)?;
        let total = match self.descriptors.get(fd)? {
            Descriptor::Directory(_) => return Err(Errno::Badf),
            Descriptor::Stream(stream) => {
                let mut total = 0;
                for &(start, length) in buffers.iter().filter(|(_, length)| *length > 0) {
                    let count = match stream.write(memory.slice(start, length)?, &self.interrupt) {
                        Ok(count) => count,
                        // What has been written must be reported; the error will come again.
                        Err(_) if total > 0 => break,
                        Err(error) => return Err(error.into()),
                    };
                    total += count;
                    if count < length as usize {
                        break;
                    }
                }
                total
            }
            Descriptor::File(open) => {
                let position = match open.flags & fd_flags::APPEND {
                    0 => open.position,
                    _ => open.file.metadata()?.size_bytes,
                };
                let total = write_file(memory, open, &buffers, position, &self.interrupt)?;
                open.position = position + total as u64;
                total
            }
        };
        self.bytes_written += total as u64;
        memory.write_u32(written, total as u32)
    }

    pub fn fd_pwrite(&mut self, memory: Memory, fd: u32, iovecs: u32, count: u32, offset: u64, written: u32) -> Answer {
        let buffers = memory.iovecs(iovecs, count)?;
        memory.slice(written, 4)?;
        check_offset(offset)?;
        let open = self.descriptors.file(fd).map_err(|errno| match errno {
            Errno::Isdir => Errno::Badf,
            errno => errno,
        })?;
        if open.file.is_stream() {
            return Err(Errno::Spipe);
        }
        check_quota(&buffers, self.bytes_written, self.written_max_bytes)?;
        // As on Linux, what is appended goes to the end, whatever the offset.
        let offset = match open.flags & fd_flags::APPEND {
            0 => offset,
            _ => open.file.metadata()?.size_bytes,
        };
        let total = write_file(memory, open, &buffers, offset, &self.interrupt)?;
        self.bytes_written += total as u64;
        memory.write_u32(written, total as u32)
    }

    pub fn fd_seek(&mut self, memory: Memory, fd: u32, offset: u64, from: u32, position: u32) -> Answer {
        memory.slice(position, 8)?;
        let offset = offset.cast_signed();
        let new_position = match self.descriptors.get(fd)? {
            Descriptor::Directory(_) => return Err(Errno::Badf),
            Descriptor::Stream(stream) => stream.seek(match from {
                whence::SET => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
                whence::CURRENT => SeekFrom::Current(offset),
                whence::END => SeekFrom::End(offset),
                _ => return Err(Errno::Inval),
            })?,
            Descriptor::File(open) if open.file.is_stream() => return Err(Errno::Spipe),
            Descriptor::File(open) => {
                let base = match from {
                    whence::SET => 0,
                    whence::CURRENT => open.position,
                    whence::END => open.file.metadata()?.size_bytes,
                    _ => return Err(Errno::Inval),
                };
                let new_position = base.checked_add_signed(offset).ok_or(Errno::Inval)?;
                check_offset(new_position)?;
                open.position = new_position;
                new_position
            }
        };
        memory.write_u64(position, new_position)
    }

    pub fn fd_tell(&mut self, memory: Memory, fd: u32, position: u32) -> Answer {
        self.fd_seek(memory, fd, 0, whence::CURRENT, position)
    }

    pub fn fd_readdir(&mut self, memory: Memory, fd: u32, buffer: u32, length: u32, cookie: u64, used: u32) -> Answer {
        memory.slice(used, 4)?;
        memory.slice(buffer, length)?;
        let directory = self.descriptors.directory(fd)?;
        if cookie == 0 || directory.listing.is_none() {
            let inode = directory.file_system.metadata(&directory.path, true)?.inode;
            let dot = |name| DirEntry::new(name, inode, FileType::Directory);
            let mut listing = vec![dot("."), dot("..")];
            listing.extend(directory.file_system.read_dir(&directory.path)?);
            directory.listing = Some(listing);
        }
        let listing = directory.listing.as_deref().unwrap_or_default();
        let first = usize::try_from(cookie).map_err(|_| Errno::Inval)?;
        let mut bytes = Vec::new();
        for (entry, next) in listing.iter().zip(1u64..).skip(first) {
            if bytes.len() >= length as usize {
                break;
            }
            let mut header = [0; abi::DIRENT_SIZE_BYTES];
            header[0..8].copy_from_slice(&next.to_le_bytes());
            header[8..16].copy_from_slice(&entry.inode.to_le_bytes());
            header[16..20].copy_from_slice(&(entry.name.len() as u32).to_le_bytes());
            header[20] = type_number(entry.file_type);
            bytes.extend_from_slice(&header);
            bytes.extend_from_slice(entry.name.as_bytes());
        }
        // A full buffer tells the guest that there is more; its last entry may be cut off, and is asked for again.
        bytes.truncate(length as usize);
        memory.write(buffer, &bytes)?;
        memory.write_u32(used, bytes.len() as u32)
    }

    pub fn path_create_directory(&mut self, memory: Memory, fd: u32, path: u32, length: u32) -> Answer {
        let (file_system, resolved) = self.resolve(memory, fd, path, length)?;
        if resolved.must_exist {
            file_system.metadata(&resolved.path, true)?;
            return Err(Errno::Exist);
        }
        Ok(file_system.create_dir(&resolved.path)?)
    }

    pub fn path_filestat_get(
        &mut self,
        memory: Memory,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        stat: u32,
    ) -> Answer {
        let (file_system, resolved) = self.resolve(memory, fd, path, length)?;
        let follow = lookup & lookup_flags::SYMLINK_FOLLOW != 0 || resolved.must_be_directory;
        let metadata = file_system.metadata(&resolved.path, follow)?;
        if resolved.must_be_directory && metadata.file_type != FileType::Directory {
            return Err(Errno::Notdir);
        }
        memory.write(stat, &filestat(&metadata, &self.clock))
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub fn path_filestat_set_times(
        &mut self,
        memory: Memory,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Answer {
        let times = times(accessed, modified, flags)?;
        let (file_system, resolved) = self.resolve(memory, fd, path, length)?;
        check_directory(&*file_system, &resolved)?;
        Ok(file_system.set_times(&resolved.path, lookup & lookup_flags::SYMLINK_FOLLOW != 0, times)?)
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub fn path_link(
        &mut self,
        memory: Memory,
        old_fd: u32,
        lookup: u32,
        old_path: u32,
        old_length: u32,
        new_fd: u32,
        new_path: u32,
        new_length: u32,
    ) -> Answer {
        if lookup & lookup_flags::SYMLINK_FOLLOW != 0 {
            return Err(Errno::Inval);
        }
        let (old_system, old) = self.resolve(memory, old_fd, old_path, old_length)?;
        let (new_system, new) = self.resolve(memory, new_fd, new_path, new_length)?;
        if !Arc::ptr_eq(&old_system, &new_system) {
            return Err(Errno::Xdev);
        }
        if old.must_be_directory || new.must_be_directory {
            return Err(Errno::Noent);
        }
        Ok(old_system.hard_link(&old.path, &new.path)?)
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub fn path_open(
        &mut self,
        memory: Memory,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        flags: u32,
        rights_base: u64,
        _rights_inheriting: u64,
        fd_flags: u32,
        opened: u32,
    ) -> Answer {
        if flags & !open_flags::ALL != 0 || fd_flags & !fd_flags::ALL != 0 {
            return Err(Errno::Inval);
        }
        let creates = open_flags::CREATE | open_flags::EXCLUSIVE | open_flags::TRUNCATE;
        if flags & open_flags::DIRECTORY != 0 && flags & creates != 0 {
            return Err(Errno::Inval);
        }
        memory.slice(opened, 4)?;
        let (file_system, resolved) = self.resolve(memory, fd, path, length)?;
        let create = flags & open_flags::CREATE != 0;
        let options = OpenOptions {
            read: rights_base & rights::FD_READ != 0,
            write: rights_base & rights::FD_WRITE != 0,
            create,
            exclusive: create && flags & open_flags::EXCLUSIVE != 0,
            truncate: flags & open_flags::TRUNCATE != 0,
            directory: flags & open_flags::DIRECTORY != 0 || resolved.must_be_directory,
            follow_links: lookup & lookup_flags::SYMLINK_FOLLOW != 0 || resolved.must_be_directory,
        };
        if options.directory && (create || options.truncate) {
            return Err(Errno::Isdir);
        }
        let descriptor = match file_system.open(&resolved.path, &options)? {
            Opened::Directory => Descriptor::Directory(OpenDirectory {
                file_system,
                path: resolved.path,
                preopened_as: None,
                listing: None,
            }),
            Opened::File(file) => Descriptor::File(OpenFile {
                file,
                position: 0,
                readable: options.read,
                writable: options.write,
                flags: fd_flags,
            }),
        };
        let number = self.descriptors.insert(descriptor)?;
        memory.write_u32(opened, number)
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub fn path_readlink(
        &mut self,
        memory: Memory,
        fd: u32,
        path: u32,
        path_length: u32,
        buffer: u32,
        length: u32,
        used: u32,
    ) -> Answer {
        let (file_system, resolved) = self.resolve(memory, fd, path, path_length)?;
        if resolved.must_be_directory {
            file_system.metadata(&resolved.path, true)?;
            return Err(Errno::Inval);
        }
        let target = file_system.read_link(&resolved.path)?;
        let bytes = &target.as_bytes()[..target.len().min(length as usize)];
        memory.write(buffer, bytes)?;
        memory.write_u32(used, bytes.len() as u32)
    }

    pub fn path_remove_directory(&mut self, memory: Memory, fd: u32, path: u32, length: u32) -> Answer {
        let (file_system, resolved) = self.resolve(memory, fd, path, length)?;
        if resolved.must_exist {
            check_directory(&*file_system, &resolved)?;
            return Err(Errno::Inval);
        }
        Ok(file_system.remove_dir(&resolved.path)?)
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub fn path_rename(
        &mut self,
        memory: Memory,
        old_fd: u32,
        old_path: u32,
        old_length: u32,
        new_fd: u32,
        new_path: u32,
        new_length: u32,
    ) -> Answer {
        let (old_system, old) = self.resolve(memory, old_fd, old_path, old_length)?;
        let (new_system, new) = self.resolve(memory, new_fd, new_path, new_length)?;
        if !Arc::ptr_eq(&old_system, &new_system) {
            return Err(Errno::Xdev);
        }
        if old.must_exist || new.must_exist {
            old_system.metadata(&old.path, true)?;
            return Err(Errno::Busy);
        }
        if (old.must_be_directory || new.must_be_directory)
            && old_system.metadata(&old.path, false)?.file_type != FileType::Directory
        {
            return Err(Errno::Notdir);
        }
        Ok(old_system.rename(&old.path, &new.path)?)
    }

    pub fn path_symlink(
        &mut self,
        memory: Memory,
        target: u32,
        target_length: u32,
        fd: u32,
        path: u32,
        length: u32,
    ) -> Answer {
        let target = memory.path(target, target_length)?;
        // An absolute link means one thing to the guest and another to the host, and leads out of the tree on both.
        if target.starts_with('/') {
            return Err(Errno::Perm);
        }
        if target.is_empty() {
            return Err(Errno::Noent);
        }
        if target.contains('\0') {
            return Err(Errno::Inval);
        }
        let (file_system, resolved) = self.resolve(memory, fd, path, length)?;
        if resolved.must_be_directory {
            file_system.metadata(&resolved.path, true)?;
            return Err(Errno::Exist);
        }
        Ok(file_system.symlink(target, &resolved.path)?)
    }

    pub fn path_unlink_file(&mut self, memory: Memory, fd: u32, path: u32, length: u32) -> Answer {
        let (file_system, resolved) = self.resolve(memory, fd, path, length)?;
        // The hosts disagree on the error for a directory.
        let metadata = file_system.metadata(&resolved.path, false)?;
        match (metadata.file_type, resolved.must_be_directory) {
            (FileType::Directory, _) => Err(Errno::Isdir),
            (_, true) => Err(Errno::Notdir),
            _ => Ok(file_system.remove_file(&resolved.path)?),
        }
    }

    fn resolve(
        &mut self,
        memory: &GuestMemory,
        fd: u32,
        path: u32,
        length: u32,
    ) -> Result<(Arc<dyn FileSystem>, Resolved), Errno> {
        let directory = self.descriptors.directory(fd)?;
        let resolved = resolve(&directory.path, memory.path(path, length)?)?;
        Ok((directory.file_system.clone(), resolved))
    }
}

/// Refuses what would go over the job's limit on output, before any of it is written.
fn check_quota(buffers: &[(u32, u32)], written_bytes: u64, written_max_bytes: u64) -> Answer {
    let more_bytes: u64 = buffers.iter().map(|(_, length)| u64::from(*length)).sum();
    match written_bytes.checked_add(more_bytes) {
        Some(sum) if sum <= written_max_bytes => Ok(()),
        _ => Err(Errno::Dquot),
    }
}

/// A path that only a directory may have must lead to one.
fn check_directory(file_system: &dyn FileSystem, resolved: &Resolved) -> Answer {
    if resolved.must_be_directory && file_system.metadata(&resolved.path, true)?.file_type != FileType::Directory {
        return Err(Errno::Notdir);
    }
    Ok(())
}

/// Offsets are signed in WASI, as they are in every host.
fn check_offset(offset: u64) -> Answer {
    i64::try_from(offset).map(drop).map_err(|_| Errno::Inval)
}

fn read_file(
    memory: &mut GuestMemory,
    open: &mut OpenFile,
    buffers: &[(u32, u32)],
    offset: u64,
    interrupt: &Interrupt,
) -> Result<usize, Errno> {
    if !open.readable {
        return Err(Errno::Badf);
    }
    let mut total = 0;
    for &(start, length) in buffers.iter().filter(|(_, length)| *length > 0) {
        let buffer = memory.slice_mut(start, length)?;
        let at = offset.checked_add(total as u64).ok_or(Errno::Inval)?;
        // A custom file system's count is held to the buffer, as the guest believes it.
        let count = match retry(interrupt, || open.file.read_at(buffer, at)) {
            Ok(count) => count.min(length as usize),
            Err(_) if total > 0 => break,
            Err(error) => return Err(error.into()),
        };
        total += count;
        if count < length as usize || open.file.is_stream() {
            break;
        }
    }
    Ok(total)
}

fn write_file(
    memory: &GuestMemory,
    open: &mut OpenFile,
    buffers: &[(u32, u32)],
    offset: u64,
    interrupt: &Interrupt,
) -> Result<usize, Errno> {
    if !open.writable {
        return Err(Errno::Badf);
    }
    let mut total = 0;
    for &(start, length) in buffers.iter().filter(|(_, length)| *length > 0) {
        let buffer = memory.slice(start, length)?;
        let at = offset.checked_add(total as u64).ok_or(Errno::Fbig)?;
        check_offset(at.checked_add(u64::from(length)).ok_or(Errno::Fbig)?).map_err(|_| Errno::Fbig)?;
        let count = match retry(interrupt, || open.file.write_at(buffer, at)) {
            Ok(count) => count.min(length as usize),
            Err(_) if total > 0 => break,
            Err(error) => return Err(error.into()),
        };
        total += count;
        if count < length as usize {
            break;
        }
    }
    Ok(total)
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

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// The type of a standard stream, and whether it can seek.
fn stream_type(stream: &Stream) -> (u8, bool) {
    match stream.host() {
        Some(host) if host.is_regular => (file_type::REGULAR_FILE, true),
        Some(host) if host.is_terminal => (file_type::CHARACTER_DEVICE, false),
        _ => (file_type::UNKNOWN, false),
    }
}

fn type_number(file_type: FileType) -> u8 {
    match file_type {
        FileType::File => file_type::REGULAR_FILE,
        FileType::Directory => file_type::DIRECTORY,
        FileType::SymbolicLink => file_type::SYMBOLIC_LINK,
        FileType::CharacterDevice => file_type::CHARACTER_DEVICE,
        FileType::Other => file_type::UNKNOWN,
    }
}

fn filestat(metadata: &Metadata, clock: &Clock) -> [u8; 64] {
    let time = |time| nanoseconds(clock.file_time(time));
    let mut bytes = [0; 64];
    let fields = [
        (0, metadata.device),
        (8, metadata.inode),
        (24, metadata.links),
        (32, metadata.size_bytes),
        (40, time(metadata.accessed)),
        (48, time(metadata.modified)),
        (56, time(metadata.changed)),
    ];
    for (at, value) in fields {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    bytes[16] = type_number(metadata.file_type);
    bytes
}

fn times(accessed: u64, modified: u64, flags: u32) -> Result<Times, Errno> {
    if flags & !time_flags::ALL != 0 {
        return Err(Errno::Inval);
    }
    let time = |nanoseconds, given: u32, now: u32| match (flags & given != 0, flags & now != 0) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(Some(UNIX_EPOCH + Duration::from_nanos(nanoseconds))),
        (false, true) => Ok(Some(SystemTime::now())),
        (false, false) => Ok(None),
    };
    Ok(Times {
        accessed: time(accessed, time_flags::ACCESS, time_flags::ACCESS_NOW)?,
        modified: time(modified, time_flags::MODIFICATION, time_flags::MODIFICATION_NOW)?,
    })
}
