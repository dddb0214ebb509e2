//! What a job is given for its standard streams.

#[cfg(feature = "tokio")]
use super::asynchronous::{AsyncInput, AsyncOutput};
use bytes::Bytes;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};

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
    /// Called on the job's thread, or, once the program has asked whether there is input, on a thread of its own; with at
    /// least 4 MiB of stack. A call that does not return leaves its thread behind when the job must end.
    Reader(Box<dyn Read + Send>),
    /// See [`Stdin::from_async`].
    #[cfg(feature = "tokio")]
    Async(AsyncInput),
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

#[cfg(feature = "tokio")]
impl Stdin {
    /// Standard input from an asynchronous reader. It is read as the program asks for input; a deadline or a
    /// cancellation ends the wait.
    ///
    /// A reader that needs a tokio runtime requires this to be called within that runtime.
    pub fn from_async(reader: impl tokio::io::AsyncRead + Send + 'static) -> Stdin {
        Stdin::Async(AsyncInput::new(reader))
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
    Async(AsyncOutput),
}

#[cfg(feature = "tokio")]
impl Stdout {
    /// A standard stream into an asynchronous writer. The program waits for it; a deadline or a cancellation ends the
    /// wait.
    ///
    /// A writer that needs a tokio runtime requires this to be called within that runtime.
    pub fn from_async(writer: impl tokio::io::AsyncWrite + Send + 'static) -> Stdout {
        Stdout::Async(AsyncOutput::new(writer))
    }
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
