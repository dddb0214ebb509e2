//! Asynchronous streams, polled on the job's own thread.

use crate::interrupt::{Interrupt, waker_of_this_thread};
use bytes::Bytes;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;

const AHEAD_SIZE_BYTES: usize = 64 << 10;

/// Something that is read asynchronously.
pub struct AsyncInput {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    handle: Option<Handle>,
    /// Read when the program asked whether there is input.
    ahead: Option<io::Result<Bytes>>,
    /// Made when the program asks for the first time.
    buffer: Vec<u8>,
}

/// Something that is written asynchronously.
pub struct AsyncOutput {
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    handle: Option<Handle>,
}

impl AsyncInput {
    pub(crate) fn new(reader: impl AsyncRead + Send + 'static) -> AsyncInput {
        AsyncInput {
            reader: Box::pin(reader),
            handle: Handle::try_current().ok(),
            ahead: None,
            buffer: Vec::new(),
        }
    }

    /// Whether a read would not wait.
    pub(crate) fn is_ready(&mut self) -> bool {
        if self.ahead.is_none() {
            let _entered = self.handle.as_ref().map(Handle::enter);
            self.buffer.resize(AHEAD_SIZE_BYTES, 0);
            let mut read = ReadBuf::new(&mut self.buffer);
            let waker = waker_of_this_thread();
            let Poll::Ready(result) = self
                .reader
                .as_mut()
                .poll_read(&mut Context::from_waker(&waker), &mut read)
            else {
                return false;
            };
            self.ahead = Some(result.map(|()| Bytes::copy_from_slice(read.filled())));
        }
        true
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8], interrupt: &Interrupt) -> io::Result<usize> {
        match self.ahead.take() {
            Some(Ok(mut bytes)) => {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes.split_to(count));
                self.ahead = (!bytes.is_empty()).then_some(Ok(bytes));
                return Ok(count);
            }
            Some(Err(error)) => return Err(error),
            None => {}
        }
        wait(self.handle.as_ref(), interrupt, |context| {
            let mut read = ReadBuf::new(buffer);
            let ready = self.reader.as_mut().poll_read(context, &mut read);
            ready.map_ok(|()| read.filled().len())
        })
    }
}

impl AsyncOutput {
    pub(crate) fn new(writer: impl AsyncWrite + Send + 'static) -> AsyncOutput {
        AsyncOutput {
            writer: Box::pin(writer),
            handle: Handle::try_current().ok(),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8], interrupt: &Interrupt) -> io::Result<usize> {
        wait(self.handle.as_ref(), interrupt, |context| {
            self.writer.as_mut().poll_write(context, bytes)
        })
    }

    pub(crate) fn flush(&mut self, interrupt: &Interrupt) -> io::Result<()> {
        wait(self.handle.as_ref(), interrupt, |context| {
            self.writer.as_mut().poll_flush(context)
        })
    }
}

/// Polls on the job's own thread until there is a result or the job is interrupted.
fn wait<T>(
    handle: Option<&Handle>,
    interrupt: &Interrupt,
    mut poll: impl FnMut(&mut Context) -> Poll<io::Result<T>>,
) -> io::Result<T> {
    let waker = waker_of_this_thread();
    let _registered = interrupt.register(&waker);
    let _entered = handle.map(Handle::enter);
    loop {
        if let Poll::Ready(result) = poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        if interrupt.check().is_some() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match interrupt.deadline {
            Some(deadline) => thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
    }
}

impl fmt::Debug for AsyncInput {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("AsyncInput").finish_non_exhaustive()
    }
}

impl fmt::Debug for AsyncOutput {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("AsyncOutput").finish_non_exhaustive()
    }
}
