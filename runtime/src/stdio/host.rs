//! Standard streams that are streams of the host.

#[cfg(unix)]
use crate::interrupt::wait_a_slice;
use crate::interrupt::{Interrupt, PIPE_BUF_BYTES, retry};
use std::fs::File;
use std::io::{self, IsTerminal, Seek, Write};
#[cfg(unix)]
pub(crate) use std::os::fd::AsFd as HostHandle;
#[cfg(windows)]
pub(crate) use std::os::windows::io::AsHandle as HostHandle;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// A stream of the host: a file, a pipe or a terminal.
pub(crate) struct HostStream {
    pub file: File,
    pub is_regular: bool,
    pub is_terminal: bool,
}

impl HostStream {
    pub fn new(file: File) -> io::Result<HostStream> {
        Ok(HostStream {
            is_regular: file.metadata()?.is_file(),
            is_terminal: file.is_terminal(),
            file,
        })
    }

    /// Returns the bytes by which a file grows before what is written next, where its position is beyond its end.
    pub fn hole_bytes(&mut self) -> io::Result<u64> {
        if !self.is_regular {
            return Ok(0);
        }
        #[cfg(unix)]
        if rustix::fs::fcntl_getfl(&self.file)?.contains(rustix::fs::OFlags::APPEND) {
            return Ok(0);
        }
        let size_bytes = self.file.metadata()?.len();
        Ok(self.file.stream_position()?.saturating_sub(size_bytes))
    }

    /// Writes such that an interruption can end it.
    pub fn write(&mut self, bytes: &[u8], interrupt: &Interrupt) -> io::Result<usize> {
        if self.is_regular || !interrupt.is_possible() {
            // A pipe may have been made such that it never blocks.
            self.wait(Direction::Write, interrupt)?;
            return retry(interrupt, || self.file.write(bytes));
        }
        let mut written = 0;
        for piece in bytes.chunks(PIPE_BUF_BYTES) {
            let waited = self.wait(Direction::Write, interrupt);
            match waited.and_then(|()| retry(interrupt, || self.file.write(piece))) {
                Ok(count) => {
                    written += count;
                    if count < piece.len() {
                        break;
                    }
                }
                // The bytes that were written must be reported; the error will occur again.
                Err(_) if written > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Waits until the stream can be used without blocking, so that an interruption can end the wait.
    #[cfg(unix)]
    pub fn wait(&self, direction: Direction, interrupt: &Interrupt) -> io::Result<()> {
        match self.is_regular {
            true => Ok(()),
            false => wait(&self.file, direction, interrupt),
        }
    }

    #[cfg(not(unix))]
    pub fn wait(&self, _direction: Direction, _interrupt: &Interrupt) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until a pipe or the like can be used without blocking, or until an interruption.
#[cfg(unix)]
pub(super) fn wait(file: &File, direction: Direction, interrupt: &Interrupt) -> io::Result<()> {
    while !wait_a_slice(file, direction.poll_flags())? {
        if interrupt.check().is_some() {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    Ok(())
}

#[cfg(unix)]
impl Direction {
    pub fn poll_flags(self) -> rustix::event::PollFlags {
        match self {
            Direction::Read => rustix::event::PollFlags::IN,
            Direction::Write => rustix::event::PollFlags::OUT,
        }
    }
}

/// A second handle on one of this process's streams, free of the buffer that std puts in front of it.
pub(crate) fn inherit(own: &impl HostHandle) -> io::Result<File> {
    #[cfg(unix)]
    return Ok(own.as_fd().try_clone_to_owned()?.into());
    #[cfg(windows)]
    return Ok(own.as_handle().try_clone_to_owned()?.into());
}
