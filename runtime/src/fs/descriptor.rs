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

    /// The file after it was opened. What only grows is added to: a program that makes an output makes that part.
    pub fn opened(mut self, truncate: bool) -> io::Result<OpenDescriptor> {
        if truncate && !self.0.is_stream() && !self.0.only_grows() {
            self.0.set_len(0)?;
        }
        Ok(self)
    }
}

impl File for OpenDescriptor {
    fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&mut self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(buffer, offset)
    }

    fn append(&mut self, buffer: &[u8]) -> io::Result<(u64, usize)> {
        self.0.append(buffer)
    }

    fn is_stream(&self) -> bool {
        self.0.is_stream()
    }

    #[cfg(unix)]
    fn awaited(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.0.awaited()
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        self.0.set_len(size_bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}
