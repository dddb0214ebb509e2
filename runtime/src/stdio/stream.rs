//! A standard stream as the guest holds it.

#[cfg(feature = "tokio")]
use super::asynchronous::{AsyncInput, AsyncOutput};
use super::given::{Stdin, Stdout};
use super::host::{Direction, HostHandle, HostStream, inherit};
use super::reader::Reader;
use super::tail::{SharedTail, Tail};
use crate::budget::Budget;
use crate::interrupt::{Interrupt, retry};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The answer to a program that asks whether a call would block.
pub(crate) enum Readiness {
    Ready,
    /// The system says when.
    Wait,
    /// Nobody says when.
    #[cfg_attr(
        not(feature = "tokio"),
        expect(dead_code, reason = "only asynchronous streams are so")
    )]
    AskAgain,
}

/// A stream as the guest holds it.
pub(crate) enum Stream {
    /// Reads nothing, and takes whatever is written.
    Null,
    Bytes(Bytes),
    Host(HostStream),
    Reader(Reader),
    Writer(FlushedWriter),
    Capture(SharedTail),
    #[cfg(feature = "tokio")]
    AsyncInput(AsyncInput),
    #[cfg(feature = "tokio")]
    AsyncOutput(AsyncOutput),
}

impl Stream {
    pub fn input(stdin: Stdin) -> io::Result<Stream> {
        Ok(match stdin {
            Stdin::Empty => Stream::Null,
            Stdin::Bytes(bytes) => Stream::Bytes(bytes),
            Stdin::Inherit => Stream::Host(HostStream::new(inherit(&io::stdin())?)?),
            Stdin::File(file) => Stream::Host(HostStream::new(file)?),
            Stdin::Reader(reader) => Stream::Reader(Reader::Own(reader)),
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
        let limit_bytes = match stdout {
            Stdout::Capture { limit_bytes } => limit_bytes,
            _ => 0,
        };
        let tail = Arc::new(Mutex::new(Tail::new(limit_bytes, host_memory)));
        let stream = match stdout {
            Stdout::Discard => Stream::Null,
            Stdout::Capture { .. } => Stream::Capture(tail.clone()),
            Stdout::Inherit => Stream::Host(HostStream::new(inherit(own)?)?),
            Stdout::File(file) => Stream::Host(HostStream::new(file)?),
            Stdout::Writer(writer) => Stream::Writer(FlushedWriter { writer, failed: None }),
            #[cfg(feature = "tokio")]
            Stdout::Async(output) => Stream::AsyncOutput(output),
        };
        Ok((stream, tail))
    }

    /// A file or stream that the job has besides its standard ones.
    pub fn given(file: File) -> io::Result<Stream> {
        Ok(Stream::Host(HostStream::new(file)?))
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
            Stream::Reader(reader) => reader.read(buffer, interrupt),
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

    /// Returns the bytes by which a file grows before what is written next.
    pub fn hole_bytes(&mut self) -> io::Result<u64> {
        match self {
            Stream::Host(host) => host.hole_bytes(),
            _ => Ok(0),
        }
    }

    /// Returns the error of a flush after bytes had been taken, before the stream is closed.
    pub fn close(&mut self) -> io::Result<()> {
        match self {
            Stream::Writer(writer) => writer.failed.take().map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }

    /// Whether a call would not block, as far as that can be known.
    #[cfg_attr(
        not(any(unix, feature = "tokio")),
        expect(unused_variables, reason = "only what can be waited for differs by direction")
    )]
    pub fn readiness(&mut self, direction: Direction) -> Readiness {
        match self {
            Stream::Host(host) if !host.is_regular => Readiness::Wait,
            #[cfg(unix)]
            Stream::Reader(reader) if direction == Direction::Read => match reader.prepare() {
                Ok(Some(_)) => Readiness::Wait,
                // An error is that of the read.
                Ok(None) | Err(_) => Readiness::Ready,
            },
            #[cfg(feature = "tokio")]
            Stream::AsyncInput(input) if direction == Direction::Read => match input.is_ready() {
                true => Readiness::Ready,
                false => Readiness::AskAgain,
            },
            // Memory and files are always ready, and of a writer it is not known.
            _ => Readiness::Ready,
        }
    }

    /// What to wait for where that is the answer.
    #[cfg(unix)]
    pub fn awaited(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        match self {
            Stream::Host(host) => (!host.is_regular).then(|| host.file.as_fd()),
            Stream::Reader(reader) => Some(reader.signal()?.as_fd()),
            _ => None,
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
