//! A descriptor of the job, opened by its name in `/dev`.

use super::file_system::File;
use super::host::HostFile;
use super::metadata::Metadata;
use std::io;

/// A file or stream of the host that the job has as a descriptor.
///
/// As on Linux, a regular file is opened anew, with a position of its own, and anything else is the same stream.
pub(super) struct OpenDescriptor(HostFile);

impl OpenDescriptor {
    pub fn new(file: std::fs::File) -> io::Result<OpenDescriptor> {
        HostFile::of_descriptor(file).map(OpenDescriptor)
    }

    /// The file after it was opened.
    pub fn opened(mut self, truncate: bool) -> io::Result<OpenDescriptor> {
        if truncate && !self.0.is_stream() {
            self.0.set_len(0)?;
        }
        Ok(self)
    }
}

/// The bytes that a ready pipe takes without blocking: `PIPE_BUF`.
const PIPE_BUF_BYTES: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// The longest wait before the caller can see whether the job is to end.
#[cfg(unix)]
const WAIT: rustix::event::Timespec = rustix::event::Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// Waits a moment for a stream, which may have been made such that it blocks.
#[cfg(unix)]
fn wait(file: &HostFile, flags: rustix::event::PollFlags) -> io::Result<()> {
    use rustix::event::{PollFd, poll};
    if !file.is_stream() {
        return Ok(());
    }
    match poll(&mut [PollFd::from_borrowed_fd(file.as_fd(), flags)], Some(&WAIT)) {
        Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl File for OpenDescriptor {
    fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        wait(&self.0, rustix::event::PollFlags::IN)?;
        self.0.read_at(buffer, offset)
    }

    fn write_at(&mut self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        wait(&self.0, rustix::event::PollFlags::OUT)?;
        let length = match self.0.is_stream() {
            true => buffer.len().min(PIPE_BUF_BYTES),
            false => buffer.len(),
        };
        self.0.write_at(&buffer[..length], offset)
    }

    fn append(&mut self, buffer: &[u8]) -> io::Result<(u64, usize)> {
        self.0.append(buffer)
    }

    fn is_stream(&self) -> bool {
        self.0.is_stream()
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        self.0.set_len(size_bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}
