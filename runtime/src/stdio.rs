//! The three standard streams of a job.

use crate::budget::Budget;
use crate::fs::Exceeded;
use crate::interrupt::Interrupt;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The source of a job's standard input.
#[non_exhaustive]
pub enum Stdin {
    /// Empty.
    Empty,
    Bytes(Bytes),
    /// This process's own standard input.
    Inherit,
    /// A file, or the reading end of a pipe.
    File(File),
    /// Called on the job's thread, with at least 4 MiB of stack. A call that does not return leaves the job behind when
    /// it must end.
    Reader(Box<dyn Read + Send>),
    /// See [`Stdin::from_async`].
    #[cfg(feature = "tokio")]
    Async(crate::asynchronous::AsyncInput),
}

impl From<Vec<u8>> for Stdin {
    fn from(bytes: Vec<u8>) -> Stdin {
        Stdin::Bytes(bytes.into())
    }
}

impl From<Bytes> for Stdin {
    fn from(bytes: Bytes) -> Stdin {
        Stdin::Bytes(bytes)
    }
}

/// The destination of a job's standard output or standard error.
#[non_exhaustive]
pub enum Stdout {
    Discard,
    /// Kept in memory and returned with the [`Output`](crate::Output): at most this number of bytes, the last ones.
    Capture {
        limit_bytes: usize,
    },
    /// This process's own stream with the same file descriptor.
    Inherit,
    /// A file, or the writing end of a pipe.
    File(File),
    /// Called on the job's thread, with at least 4 MiB of stack. A call that does not return leaves the job behind when
    /// it must end.
    Writer(Box<dyn Write + Send>),
    /// See [`Stdout::from_async`].
    #[cfg(feature = "tokio")]
    Async(crate::asynchronous::AsyncOutput),
}

impl fmt::Debug for Stdin {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Stdin::Empty => formatter.write_str("Empty"),
            Stdin::Bytes(bytes) => write!(formatter, "Bytes({} bytes)", bytes.len()),
            Stdin::Inherit => formatter.write_str("Inherit"),
            Stdin::File(file) => formatter.debug_tuple("File").field(file).finish(),
            Stdin::Reader(_) => formatter.write_str("Reader"),
            #[cfg(feature = "tokio")]
            Stdin::Async(_) => formatter.write_str("Async"),
        }
    }
}

impl fmt::Debug for Stdout {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Stdout::Discard => formatter.write_str("Discard"),
            Stdout::Capture { limit_bytes } => write!(formatter, "Capture({limit_bytes} bytes)"),
            Stdout::Inherit => formatter.write_str("Inherit"),
            Stdout::File(file) => formatter.debug_tuple("File").field(file).finish(),
            Stdout::Writer(_) => formatter.write_str("Writer"),
            #[cfg(feature = "tokio")]
            Stdout::Async(_) => formatter.write_str("Async"),
        }
    }
}

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
    fn push(&mut self, bytes: &[u8]) -> Result<(), Exceeded> {
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
    pub fn take(&mut self) -> (Vec<u8>, u64) {
        self.host_memory.give_back(self.bytes.capacity() as u64);
        (std::mem::take(&mut self.bytes).into(), self.dropped_bytes)
    }
}

pub(crate) type SharedTail = Arc<Mutex<Tail>>;

pub(crate) fn take_tail(tail: &SharedTail) -> (Vec<u8>, u64) {
    tail.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A stream as the guest holds it.
pub(crate) enum Stream {
    /// Reads nothing, and takes whatever is written.
    Null,
    Bytes(Bytes),
    Host(HostStream),
    Reader(Box<dyn Read + Send>),
    Writer(FlushedWriter),
    Capture(SharedTail),
    #[cfg(feature = "tokio")]
    AsyncInput(crate::asynchronous::AsyncInput),
    #[cfg(feature = "tokio")]
    AsyncOutput(crate::asynchronous::AsyncOutput),
}

impl Stream {
    pub fn input(stdin: Stdin) -> io::Result<Stream> {
        Ok(match stdin {
            Stdin::Empty => Stream::Null,
            Stdin::Bytes(bytes) => Stream::Bytes(bytes),
            Stdin::Inherit => Stream::Host(HostStream::new(inherit(&io::stdin())?)?),
            Stdin::File(file) => Stream::Host(HostStream::new(file)?),
            Stdin::Reader(reader) => Stream::Reader(reader),
            #[cfg(feature = "tokio")]
            Stdin::Async(input) => Stream::AsyncInput(input),
        })
    }

    /// `own` is the stream of this process that [`Stdout::Inherit`] stands for.
    pub fn output(
        stdout: Stdout,
        own: &impl HostHandle,
        host_memory: &Arc<Budget>,
    ) -> io::Result<(Stream, SharedTail)> {
        let tail = Arc::new(Mutex::new(Tail {
            bytes: VecDeque::new(),
            limit_bytes: 0,
            dropped_bytes: 0,
            host_memory: host_memory.clone(),
        }));
        let stream = match stdout {
            Stdout::Discard => Stream::Null,
            Stdout::Capture { limit_bytes } => {
                tail.lock().unwrap_or_else(PoisonError::into_inner).limit_bytes = limit_bytes;
                Stream::Capture(tail.clone())
            }
            Stdout::Inherit => Stream::Host(HostStream::new(inherit(own)?)?),
            Stdout::File(file) => Stream::Host(HostStream::new(file)?),
            Stdout::Writer(writer) => Stream::Writer(FlushedWriter { writer, failed: None }),
            #[cfg(feature = "tokio")]
            Stdout::Async(output) => Stream::AsyncOutput(output),
        };
        Ok((stream, tail))
    }

    pub fn read(&mut self, buffer: &mut [u8], interrupt: &Interrupt) -> io::Result<usize> {
        match self {
            Stream::Null => Ok(0),
            Stream::Bytes(bytes) => {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes.split_to(count));
                Ok(count)
            }
            Stream::Host(host) => {
                host.wait(Direction::Read, interrupt)?;
                retry(interrupt, || host.file.read(buffer))
            }
            Stream::Reader(reader) => retry(interrupt, || reader.read(buffer)),
            #[cfg(feature = "tokio")]
            Stream::AsyncInput(input) => input.read(buffer, interrupt),
            #[cfg(feature = "tokio")]
            Stream::AsyncOutput(_) => Err(io::ErrorKind::Unsupported.into()),
            Stream::Writer(_) | Stream::Capture(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub fn write(&mut self, bytes: &[u8], interrupt: &Interrupt) -> io::Result<usize> {
        match self {
            Stream::Null => Ok(bytes.len()),
            Stream::Host(host) => host.write(bytes, interrupt),
            Stream::Writer(writer) => writer.write(bytes, interrupt),
            Stream::Capture(tail) => {
                tail.lock().unwrap_or_else(PoisonError::into_inner).push(bytes)?;
                Ok(bytes.len())
            }
            #[cfg(feature = "tokio")]
            Stream::AsyncOutput(output) => {
                let count = output.write(bytes, interrupt)?;
                output.flush(interrupt)?;
                Ok(count)
            }
            #[cfg(feature = "tokio")]
            Stream::AsyncInput(_) => Err(io::ErrorKind::Unsupported.into()),
            Stream::Bytes(_) | Stream::Reader(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Stream::Host(host) if host.is_regular => host.file.seek(to),
            _ => Err(io::ErrorKind::NotSeekable.into()),
        }
    }

    /// Returns the error of a flush after bytes had been taken, before the stream is closed.
    pub fn close(&mut self) -> io::Result<()> {
        match self {
            Stream::Writer(writer) => writer.failed.take().map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }

    pub fn host(&self) -> Option<&HostStream> {
        match self {
            Stream::Host(host) => Some(host),
            _ => None,
        }
    }
}

/// A writer of the caller's, flushed after each write.
pub(crate) struct FlushedWriter {
    writer: Box<dyn Write + Send>,
    /// An error of a flush after the bytes were taken. The write itself succeeds, or the guest would write them again;
    /// the next call fails.
    failed: Option<io::Error>,
}

impl FlushedWriter {
    fn write(&mut self, bytes: &[u8], interrupt: &Interrupt) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let count = retry(interrupt, || self.writer.write(bytes))?;
        self.failed = retry(interrupt, || self.writer.flush()).err();
        Ok(count)
    }
}

/// Repeats a call that a signal has ended, unless the signal was to end the job.
pub(crate) fn retry<T>(interrupt: &Interrupt, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && interrupt.check().is_none() => {}
            done => return done,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// The bytes that a ready pipe takes without blocking; it may not take more: `PIPE_BUF`.
const PIPE_BUF_BYTES: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// A stream of the host: a file, a pipe or a terminal.
pub(crate) struct HostStream {
    pub file: File,
    pub is_regular: bool,
    pub is_terminal: bool,
}

impl HostStream {
    fn new(file: File) -> io::Result<HostStream> {
        Ok(HostStream {
            is_regular: file.metadata()?.is_file(),
            is_terminal: file.is_terminal(),
            file,
        })
    }

    /// Writes such that an interruption can end it.
    fn write(&mut self, bytes: &[u8], interrupt: &Interrupt) -> io::Result<usize> {
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
    fn wait(&self, direction: Direction, interrupt: &Interrupt) -> io::Result<()> {
        use rustix::event::{PollFd, Timespec, poll};
        if self.is_regular {
            return Ok(());
        }
        let slice = Timespec::try_from(crate::interrupt::WAIT_SLICE).map_err(|_| io::ErrorKind::InvalidInput)?;
        loop {
            let mut fds = [PollFd::new(&self.file, direction.poll_flags())];
            match poll(&mut fds, Some(&slice)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            if interrupt.check().is_some() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
    }

    #[cfg(not(unix))]
    fn wait(&self, _direction: Direction, _interrupt: &Interrupt) -> io::Result<()> {
        Ok(())
    }
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

#[cfg(unix)]
pub(crate) use std::os::fd::AsFd as HostHandle;
#[cfg(windows)]
pub(crate) use std::os::windows::io::AsHandle as HostHandle;

/// A second handle on one of this process's streams, free of the buffer that std puts in front of it.
fn inherit(own: &impl HostHandle) -> io::Result<File> {
    #[cfg(unix)]
    return Ok(own.as_fd().try_clone_to_owned()?.into());
    #[cfg(windows)]
    return Ok(own.as_handle().try_clone_to_owned()?.into());
}
