//! Reading, writing and seeking.

use crate::interrupt::{Interrupt, retry};
use crate::stdio::Stream;
use crate::wasi::abi::{Answer, Errno, check_offset, fd_flags, whence};
use crate::wasi::account::Account;
use crate::wasi::descriptors::{Descriptor, OpenFile};
use crate::wasi::host::Host;
use crate::wasi::memory::{GuestMemory, Memory, PIECE_SIZE_BYTES, pieces, total_bytes};
use std::io::{self, SeekFrom};
use std::time::{Duration, Instant};

/// The interval of checks of a pipe that has no data, no room or no other end at the moment.
const PIPE_WAIT: Duration = Duration::from_millis(5);

/// Waits before such a check.
pub fn wait_for_pipe(interrupt: &Interrupt) -> io::Result<()> {
    let slept = interrupt.sleep_until(Some(Instant::now() + PIPE_WAIT));
    slept.map_err(|_| io::ErrorKind::Interrupted.into())
}

impl Host {
    pub fn fd_read(&mut self, memory: Memory, fd: u32, iovecs: u32, count: u32, read: u32) -> Answer {
        let buffers = memory.iovecs(iovecs, count)?;
        memory.slice(read, 4)?;
        #[cfg(unix)]
        if let Some(&(start, length)) = buffers.iter().find(|(_, length)| *length > 0) {
            self.wait_for_input(fd)?;
            let ahead = self.descriptors.ahead(fd)?;
            if ahead.is_ready() {
                let count = ahead.read(memory.slice_mut(start, length.min(PIECE_SIZE_BYTES))?)?;
                self.bytes_read += count as u64;
                return memory.write_u32(read, count as u32);
            }
        }
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
        let counts = self.account.streams_count || !self.descriptors.get(fd)?.is_apart_from_files();
        if counts {
            self.account.check_written(total_bytes(&buffers))?;
        }
        let total = match self.descriptors.get(fd)? {
            Descriptor::Directory(_) => return Err(Errno::Badf.into()),
            Descriptor::Stream(stream) => write_stream(memory, stream, &buffers, &self.interrupt, &mut self.account)?,
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
        if !counts {
            self.account.bytes_uncounted += total as u64;
        }
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

/// Writes to a stream; returns how many bytes it has taken.
fn write_stream(
    memory: &GuestMemory,
    stream: &mut Stream,
    buffers: &[(u32, u32)],
    interrupt: &Interrupt,
    account: &mut Account,
) -> Answer<usize> {
    // A stream that is a file can be sought beyond its end.
    let hole_bytes = match account.is_limited() {
        true => stream.hole_bytes()?,
        false => 0,
    };
    if hole_bytes > 0 {
        account.check_written(total_bytes(buffers).saturating_add(hole_bytes))?;
    }
    let mut total = 0;
    for (start, length) in pieces(buffers) {
        if total > 0 && interrupt.check().is_some() {
            break;
        }
        let count = match stream.write(memory.slice(start, length)?, interrupt) {
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
    if total > 0 {
        account.bytes_grown += hole_bytes;
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
    // What is appended to a pipe is written to it.
    let offset = if open.file.is_stream() {
        Some(open.position)
    } else {
        offset
    };
    let hole_bytes = match offset {
        Some(offset) => check_range(open, offset, total, account)?,
        None => 0,
    };
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
    let mut end = offset.unwrap_or(open.position);
    let mut written = 0;
    for piece in slices.into_iter().filter(|piece| !piece.is_empty()) {
        if written > 0 && interrupt.check().is_some() {
            break;
        }
        let at = offset.map(|_| end);
        let growth_bytes = growth_bytes(open, at, piece)?;
        let (at, count) = match write_piece(open, at, piece, growth_bytes, interrupt, account) {
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

/// Checks that this many bytes may be written at an offset; returns the bytes by which the file grows before them.
fn check_range(open: &OpenFile, offset: u64, total: u64, account: &Account) -> Answer<u64> {
    check_offset(offset.checked_add(total).ok_or(Errno::Fbig)?).map_err(|_| Errno::Fbig)?;
    if total == 0 {
        return Ok(0);
    }
    let hole_bytes = account.hole_bytes(open, offset)?;
    account.check_written(total.saturating_add(hole_bytes))?;
    Ok(hole_bytes)
}

/// Returns the host memory that a file would take in addition for a piece at an offset, or at the end.
fn growth_bytes(open: &OpenFile, at: Option<u64>, piece: &[u8]) -> Answer<u64> {
    let at = match at {
        Some(at) => at,
        None => open.file.metadata()?.size_bytes,
    };
    Ok(open.file.growth_bytes(at, piece.len() as u64))
}

/// Writes at an offset, or at the end; returns where it wrote, and how many bytes.
fn write_piece(
    open: &mut OpenFile,
    at: Option<u64>,
    piece: &[u8],
    growth_bytes: u64,
    interrupt: &Interrupt,
    account: &Account,
) -> Answer<(u64, usize)> {
    account.host_memory.check(growth_bytes)?;
    let written = wait_for(open, interrupt, |open| match at {
        Some(at) => Ok((at, open.file.write_at(piece, at)?)),
        None => open.file.append(piece),
    });
    Ok(written?)
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
                wait_for_pipe(interrupt)?;
            }
            done => return done,
        }
    }
}
