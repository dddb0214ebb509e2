//! WASI preview 1, independent of the engine: every call is a function over the guest's memory and the job's state.
//!
//! Pointers, lengths, descriptors, flags and paths come from a guest that may be hostile. What is wrong with them is
//! an [`Errno`] for the guest, never a panic.

pub mod abi;
mod clock;
mod descriptors;
mod listing;
mod memory;
mod path;
mod poll;

use crate::budget::{Budget, Share};
use crate::fs::{ATTEMPTS, DirEntry, Exceeded, FileSystem, FileType, Metadata, OpenOptions, Opened, Times};
use crate::interrupt::Interrupt;
use crate::job::Limit;
use crate::stdio::{Stream, retry};
use abi::{Errno, Failure, fd_flags, file_type, lookup_flags, open_flags, rights, time_flags, whence};
pub use clock::{Clock, Random, cpu_time_of_this_thread};
use descriptors::{Descriptor, Descriptors, OpenDirectory, OpenFile};
use listing::Listing;
pub use memory::GuestMemory;
use path::{Resolved, resolve};
use std::io::{self, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Memory<'a, 'm> = &'a mut GuestMemory<'m>;
type Answer<T = ()> = Result<T, Failure>;

/// The number of bytes that one call moves before it checks for an interruption.
const PIECE_SIZE_BYTES: u32 = 1 << 20;

/// The interval of checks of a pipe that has no data, or no room, at the moment.
const PIPE_WAIT: Duration = Duration::from_millis(5);

/// The memory that a change in a directory may take besides contents: a name, a mark, a file or directory.
const NAME_COST_BYTES: u64 = 4096;

/// The number of entries that are listed before a check for an interruption.
const ENTRIES_AT_A_TIME: u64 = 256;

/// One guest's view of the world.
pub struct Host {
    args: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    descriptors: Descriptors,
    pub interrupt: Interrupt,
    clock: Clock,
    random: Arc<Random>,
    pub bytes_read: u64,
    pub account: Account,
    open_files: Arc<Budget>,
}

/// The resources that the job has used: bytes written, names made, and memory of the host.
pub struct Account {
    pub bytes_written: u64,
    /// The bytes by which files have grown otherwise.
    bytes_grown: u64,
    written_max_bytes: u64,
    names: u64,
    names_max: u64,
    host_memory: Arc<Budget>,
}

impl Account {
    pub fn host_memory(&self) -> &Arc<Budget> {
        &self.host_memory
    }

    /// Refuses what would go over the job's limit on output, before any of it is written.
    fn check_written(&self, more_bytes: u64) -> Result<(), Exceeded> {
        let wanted = self
            .bytes_written
            .saturating_add(self.bytes_grown)
            .saturating_add(more_bytes);
        if wanted > self.written_max_bytes {
            return Err(Exceeded::new(Limit::Written, self.written_max_bytes, wanted));
        }
        Ok(())
    }

    /// Checks that one more name may be made, with the memory for it.
    fn check_name(&self) -> Result<(), Exceeded> {
        self.host_memory.check(NAME_COST_BYTES)?;
        match self.names.saturating_add(1) {
            wanted if wanted > self.names_max => Err(Exceeded::new(Limit::Names, self.names_max, wanted)),
            _ => Ok(()),
        }
    }

    /// Returns the bytes by which a file grows if a write begins at this offset.
    fn hole_bytes(&self, open: &OpenFile, offset: u64) -> Answer<u64> {
        // Without a limit the result does not matter, and finding it takes time.
        if self.written_max_bytes == u64::MAX || open.file.is_stream() {
            return Ok(0);
        }
        Ok(offset.saturating_sub(open.file.metadata()?.size_bytes))
    }
}

/// The parts of a host besides its descriptors.
pub struct Setup {
    pub args: Vec<Vec<u8>>,
    pub env: Vec<Vec<u8>>,
    pub interrupt: Interrupt,
    pub clock: Clock,
    pub random: Arc<Random>,
    pub open_files_max: usize,
    pub written_max_bytes: u64,
    pub names_max: u64,
    pub host_memory: Arc<Budget>,
    /// The budget that all jobs of a runtime share.
    pub open_files: Arc<Budget>,
}

impl Host {
    pub fn new(setup: Setup) -> Host {
        Host {
            args: setup.args,
            env: setup.env,
            descriptors: Descriptors::new(setup.open_files_max, setup.host_memory.clone()),
            interrupt: setup.interrupt,
            clock: setup.clock,
            random: setup.random,
            bytes_read: 0,
            account: Account {
                bytes_written: 0,
                bytes_grown: 0,
                written_max_bytes: setup.written_max_bytes,
                names: 0,
                names_max: setup.names_max,
                host_memory: setup.host_memory,
            },
            open_files: setup.open_files,
        }
    }

    /// Adds the next standard stream; the first three descriptors are for these.
    pub fn add_stream(&mut self, stream: Stream) -> Answer {
        self.descriptors.insert(Descriptor::Stream(stream), None).map(drop)
    }

    /// Gives a directory to the guest under a name, after the standard streams.
    pub fn add_directory(&mut self, name: String, file_system: Arc<dyn FileSystem>) -> Answer {
        let path = ".".to_owned();
        let directory = OpenDirectory {
            file_system,
            path,
            preopened_as: Some(name),
            listing: None,
        };
        self.descriptors
            .insert(Descriptor::Directory(directory), None)
            .map(drop)
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
                let (file_system, path) = (directory.file_system.clone(), directory.path.clone());
                self.prepare(&*file_system, &path, true)?;
                Ok(file_system.set_times(&path, true, times)?)
            }
            Descriptor::Stream(_) => Err(Errno::Badf.into()),
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

    pub fn fd_read(&mut self, memory: Memory, fd: u32, iovecs: u32, count: u32, read: u32) -> Answer {
        let buffers = memory.iovecs(iovecs, count)?;
        memory.slice(read, 4)?;
        let total = match self.descriptors.get(fd)? {
            Descriptor::Directory(_) => return Err(Errno::Isdir.into()),
            Descriptor::Stream(stream) => {
                // One buffer is enough: to ask for more could block although there is something to return.
                match buffers.iter().find(|(_, length)| *length > 0) {
                    Some(&(start, length)) => {
                        let buffer = memory.slice_mut(start, length.min(PIECE_SIZE_BYTES))?;
                        stream.read(buffer, &self.interrupt)?
                    }
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
            return Err(Errno::Spipe.into());
        }
        let total = read_file(memory, open, &buffers, offset, &self.interrupt)?;
        self.bytes_read += total as u64;
        memory.write_u32(read, total as u32)
    }

    pub fn fd_write(&mut self, memory: Memory, fd: u32, iovecs: u32, count: u32, written: u32) -> Answer {
        let buffers = memory.iovecs(iovecs, count)?;
        memory.slice(written, 4)?;
        self.account.check_written(total_bytes(&buffers))?;
        let total = match self.descriptors.get(fd)? {
            Descriptor::Directory(_) => return Err(Errno::Badf.into()),
            Descriptor::Stream(stream) => {
                let mut total = 0;
                for (start, length) in pieces(&buffers) {
                    if total > 0 && self.interrupt.check().is_some() {
                        break;
                    }
                    let count = match stream.write(memory.slice(start, length)?, &self.interrupt) {
                        Ok(count) => count,
                        // The bytes that were written must be reported; the error will occur again.
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
                    0 => Some(open.position),
                    _ => None,
                };
                let (end, total) = write_file(memory, open, &buffers, position, &self.interrupt, &mut self.account)?;
                open.position = end;
                total
            }
        };
        self.account.bytes_written += total as u64;
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
            return Err(Errno::Spipe.into());
        }
        self.account.check_written(total_bytes(&buffers))?;
        // As on Linux, what is appended goes to the end, whatever the offset.
        let offset = match open.flags & fd_flags::APPEND {
            0 => Some(offset),
            _ => None,
        };
        let (_, total) = write_file(memory, open, &buffers, offset, &self.interrupt, &mut self.account)?;
        self.account.bytes_written += total as u64;
        memory.write_u32(written, total as u32)
    }

    pub fn fd_seek(&mut self, memory: Memory, fd: u32, offset: u64, from: u32, position: u32) -> Answer {
        memory.slice(position, 8)?;
        let offset = offset.cast_signed();
        let new_position = match self.descriptors.get(fd)? {
            Descriptor::Directory(_) => return Err(Errno::Badf.into()),
            Descriptor::Stream(stream) => stream.seek(match from {
                whence::SET => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
                whence::CURRENT => SeekFrom::Current(offset),
                whence::END => SeekFrom::End(offset),
                _ => return Err(Errno::Inval.into()),
            })?,
            Descriptor::File(open) if open.file.is_stream() => return Err(Errno::Spipe.into()),
            Descriptor::File(open) => {
                let base = match from {
                    whence::SET => 0,
                    whence::CURRENT => open.position,
                    whence::END => open.file.metadata()?.size_bytes,
                    _ => return Err(Errno::Inval.into()),
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
        let first = usize::try_from(cookie).map_err(|_| Errno::Inval)?;
        let directory = self.descriptors.directory(fd)?;
        if cookie == 0 || directory.listing.is_none() {
            directory.listing = None;
            let (file_system, path) = (directory.file_system.clone(), directory.path.clone());
            let listing = self.list(&*file_system, &path)?;
            self.descriptors.directory(fd)?.listing = Some(listing);
        }
        let listing = self.descriptors.directory(fd)?.listing.as_ref();
        let entries = listing.map_or(&[][..], |listing| listing.after(first));
        // A full buffer tells the guest that there is more; its last entry may be cut off, and is asked for again.
        let count = entries.len().min(length as usize);
        let target = memory
            .slice_mut(buffer, count as u32)?
            .chunks_mut(PIECE_SIZE_BYTES as usize);
        for (target, source) in target.zip(entries[..count].chunks(PIECE_SIZE_BYTES as usize)) {
            if self.interrupt.check().is_some() {
                return Err(Errno::Intr.into());
            }
            target.copy_from_slice(source);
        }
        memory.write_u32(used, count as u32)
    }

    fn list(&mut self, file_system: &dyn FileSystem, path: &str) -> Answer<Listing> {
        let inode = file_system.metadata(path, true)?.inode;
        let mut listing = Listing::new(&self.account.host_memory)?;
        let (interrupt, descriptors) = (&self.interrupt, &mut self.descriptors);
        let mut count = 0;
        let mut push = |entry: DirEntry| {
            count += 1;
            if count % ENTRIES_AT_A_TIME == 0 && interrupt.check().is_some() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match listing.push(&entry) {
                // The listings of other directories are made again where they are walked on with.
                Err(_) if descriptors.forget_listings() => Ok(listing.push(&entry)?),
                pushed => Ok(pushed?),
            }
        };
        for name in [".", ".."] {
            push(DirEntry::new(name, inode, FileType::Directory))?;
        }
        file_system.visit_dir(path, &mut push)?;
        Ok(listing)
    }

    /// Does what a file system has to do before a path can be written to or renamed.
    fn prepare(&mut self, file_system: &dyn FileSystem, path: &str, follow_links: bool) -> Answer {
        for _ in 0..ATTEMPTS {
            let Some(mut steps) = file_system.prepare(path, follow_links)? else {
                return Ok(());
            };
            self.account.check_name()?;
            loop {
                let left_bytes = steps.left_bytes();
                self.account.check_written(left_bytes)?;
                self.account.host_memory.check(steps.growth_bytes())?;
                if self.interrupt.check().is_some() {
                    return Err(Errno::Intr.into());
                }
                let goes_on = steps.step()?;
                self.account.bytes_grown += left_bytes.saturating_sub(steps.left_bytes());
                if !goes_on {
                    break;
                }
            }
            self.account.names += 1;
        }
        Ok(())
    }

    pub fn path_create_directory(&mut self, memory: Memory, fd: u32, path: u32, length: u32) -> Answer {
        let (file_system, resolved) = self.resolve(memory, fd, path, length)?;
        if resolved.must_exist {
            file_system.metadata(&resolved.path, true)?;
            return Err(Errno::Exist.into());
        }
        self.account.check_name()?;
        file_system.create_dir(&resolved.path)?;
        self.account.names += 1;
        Ok(())
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
            return Err(Errno::Notdir.into());
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
        let follow_links = lookup & lookup_flags::SYMLINK_FOLLOW != 0;
        self.prepare(&*file_system, &resolved.path, follow_links)?;
        Ok(file_system.set_times(&resolved.path, follow_links, times)?)
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
            return Err(Errno::Inval.into());
        }
        let (old_system, old) = self.resolve(memory, old_fd, old_path, old_length)?;
        let (new_system, new) = self.resolve(memory, new_fd, new_path, new_length)?;
        if !Arc::ptr_eq(&old_system, &new_system) {
            return Err(Errno::Xdev.into());
        }
        if old.must_be_directory || new.must_be_directory {
            return Err(Errno::Noent.into());
        }
        self.account.check_name()?;
        old_system.hard_link(&old.path, &new.path)?;
        self.account.names += 1;
        Ok(())
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
            return Err(Errno::Inval.into());
        }
        let creates = open_flags::CREATE | open_flags::EXCLUSIVE | open_flags::TRUNCATE;
        if flags & open_flags::DIRECTORY != 0 && flags & creates != 0 {
            return Err(Errno::Inval.into());
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
            return Err(Errno::Isdir.into());
        }
        // Before anything is made or cut: what is refused leaves no trace.
        self.descriptors.next()?;
        let open_file = Share::take(&self.open_files, 1)?;
        if options.write && !options.truncate && !options.exclusive {
            self.prepare(&*file_system, &resolved.path, options.follow_links)?;
        }
        let is_new = create && is_missing(&*file_system, &resolved.path, options.follow_links);
        if is_new {
            self.account.check_name()?;
        }
        let found = file_system.open(&resolved.path, &options)?;
        self.account.names += u64::from(is_new);
        let open_file = matches!(found, Opened::File(_)).then_some(open_file);
        let descriptor = match found {
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
        let number = self.descriptors.insert(descriptor, open_file)?;
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
            return Err(Errno::Inval.into());
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
            return Err(Errno::Inval.into());
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
            return Err(Errno::Xdev.into());
        }
        if old.must_exist || new.must_exist {
            old_system.metadata(&old.path, true)?;
            return Err(Errno::Busy.into());
        }
        if (old.must_be_directory || new.must_be_directory)
            && old_system.metadata(&old.path, false)?.file_type != FileType::Directory
        {
            return Err(Errno::Notdir.into());
        }
        self.account.host_memory.check(NAME_COST_BYTES)?;
        self.prepare(&*old_system, &old.path, false)?;
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
            return Err(Errno::Perm.into());
        }
        if target.is_empty() {
            return Err(Errno::Noent.into());
        }
        if target.contains('\0') {
            return Err(Errno::Inval.into());
        }
        let (file_system, resolved) = self.resolve(memory, fd, path, length)?;
        if resolved.must_be_directory {
            file_system.metadata(&resolved.path, true)?;
            return Err(Errno::Exist.into());
        }
        self.account.check_name()?;
        file_system.symlink(target, &resolved.path)?;
        self.account.names += 1;
        Ok(())
    }

    pub fn path_unlink_file(&mut self, memory: Memory, fd: u32, path: u32, length: u32) -> Answer {
        let (file_system, resolved) = self.resolve(memory, fd, path, length)?;
        // The hosts disagree on the error for a directory.
        let metadata = file_system.metadata(&resolved.path, false)?;
        match (metadata.file_type, resolved.must_be_directory) {
            (FileType::Directory, _) => Err(Errno::Isdir.into()),
            (_, true) => Err(Errno::Notdir.into()),
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

fn total_bytes(buffers: &[(u32, u32)]) -> u64 {
    buffers.iter().map(|(_, length)| u64::from(*length)).sum()
}

/// Buffers in parts that are moved in a moment, without those that are empty.
fn pieces(buffers: &[(u32, u32)]) -> impl Iterator<Item = (u32, u32)> {
    buffers.iter().flat_map(|&(start, length)| {
        (0..length)
            .step_by(PIECE_SIZE_BYTES as usize)
            .map(move |offset| (start + offset, (length - offset).min(PIECE_SIZE_BYTES)))
    })
}

fn is_missing(file_system: &dyn FileSystem, path: &str, follow_links: bool) -> bool {
    let found = file_system.metadata(path, follow_links);
    found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A path that only a directory may have must lead to one.
fn check_directory(file_system: &dyn FileSystem, resolved: &Resolved) -> Answer {
    if resolved.must_be_directory && file_system.metadata(&resolved.path, true)?.file_type != FileType::Directory {
        return Err(Errno::Notdir.into());
    }
    Ok(())
}

/// Offsets are signed in WASI, as they are in every host.
fn check_offset(offset: u64) -> Answer {
    i64::try_from(offset).map(drop).map_err(|_| Errno::Inval.into())
}

fn read_file(
    memory: &mut GuestMemory,
    open: &mut OpenFile,
    buffers: &[(u32, u32)],
    offset: u64,
    interrupt: &Interrupt,
) -> Answer<usize> {
    if !open.readable {
        return Err(Errno::Badf.into());
    }
    let mut total = 0;
    for (start, length) in pieces(buffers) {
        if total > 0 && interrupt.check().is_some() {
            break;
        }
        let buffer = memory.slice_mut(start, length)?;
        let at = offset.checked_add(total as u64).ok_or(Errno::Inval)?;
        // A custom file system's count is held to the buffer, as the guest believes it.
        let count = match wait_for(open, interrupt, |open| open.file.read_at(buffer, at)) {
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

/// Writes at an offset, or at the end; returns where it has come to, and how many bytes it wrote.
fn write_file(
    memory: &GuestMemory,
    open: &mut OpenFile,
    buffers: &[(u32, u32)],
    offset: Option<u64>,
    interrupt: &Interrupt,
    account: &mut Account,
) -> Answer<(u64, usize)> {
    if !open.writable {
        return Err(Errno::Badf.into());
    }
    let total = total_bytes(buffers);
    let mut end = open.position;
    let mut hole_bytes = 0;
    // What is appended to a pipe is written to it.
    let offset = if open.file.is_stream() {
        Some(open.position)
    } else {
        offset
    };
    if let Some(offset) = offset {
        end = offset;
        check_offset(offset.checked_add(total).ok_or(Errno::Fbig)?).map_err(|_| Errno::Fbig)?;
        if total > 0 {
            hole_bytes = account.hole_bytes(open, offset)?;
            account.check_written(total.saturating_add(hole_bytes))?;
        }
    }
    let gathered;
    let slices: Vec<&[u8]> = if offset.is_none() && buffers.len() > 1 && total <= u64::from(PIECE_SIZE_BYTES) {
        // Appends by others must not come in between.
        let slices = buffers.iter().map(|(start, length)| memory.slice(*start, *length));
        gathered = slices.collect::<Result<Vec<_>, _>>()?.concat();
        vec![&gathered]
    } else {
        let slices = pieces(buffers).map(|(start, length)| memory.slice(start, length));
        slices.collect::<Result<_, _>>()?
    };
    let mut written = 0;
    for piece in slices.into_iter().filter(|piece| !piece.is_empty()) {
        if written > 0 && interrupt.check().is_some() {
            break;
        }
        let growth_bytes = match offset {
            Some(_) => open.file.growth_bytes(end, piece.len() as u64),
            None => {
                let size_bytes = open.file.metadata()?.size_bytes;
                open.file.growth_bytes(size_bytes, piece.len() as u64)
            }
        };
        let result = match account.host_memory.check(growth_bytes) {
            Err(exceeded) => Err(exceeded.into()),
            Ok(()) => wait_for(open, interrupt, |open| match offset {
                Some(_) => Ok((end, open.file.write_at(piece, end)?)),
                None => open.file.append(piece),
            })
            .map_err(Failure::from),
        };
        let (at, count) = match result {
            Ok((at, count)) => (at, count.min(piece.len())),
            Err(_) if written > 0 => break,
            Err(failure) => return Err(failure),
        };
        written += count;
        end = at.saturating_add(count as u64);
        if count < piece.len() {
            break;
        }
    }
    if written > 0 {
        account.bytes_grown += hole_bytes;
    }
    Ok((end, written))
}

/// Repeats a call that a signal has ended, or that must wait for the other end of a pipe.
fn wait_for<T>(
    open: &mut OpenFile,
    interrupt: &Interrupt,
    mut call: impl FnMut(&mut OpenFile) -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match retry(interrupt, || call(open)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && open.file.is_stream() => {
                let wake_up = Instant::now() + PIPE_WAIT;
                interrupt
                    .sleep_until(Some(wake_up))
                    .map_err(|_| io::ErrorKind::Interrupted)?;
            }
            done => return done,
        }
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

fn times(accessed: u64, modified: u64, flags: u32) -> Answer<Times> {
    if flags & !time_flags::ALL != 0 {
        return Err(Errno::Inval.into());
    }
    let time = |nanoseconds, given: u32, now: u32| match (flags & given != 0, flags & now != 0) {
        (true, true) => Err(Failure::from(Errno::Inval)),
        (true, false) => Ok(Some(UNIX_EPOCH + Duration::from_nanos(nanoseconds))),
        (false, true) => Ok(Some(SystemTime::now())),
        (false, false) => Ok(None),
    };
    Ok(Times {
        accessed: time(accessed, time_flags::ACCESS, time_flags::ACCESS_NOW)?,
        modified: time(modified, time_flags::MODIFICATION, time_flags::MODIFICATION_NOW)?,
    })
}
