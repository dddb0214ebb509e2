//! Bytes that lie somewhere else and are read as they are needed.

use std::io;

/// Something with a known size that can be read at any offset: a range of an object in a store, a file in an archive.
///
/// [`MemoryFs::add_reader`](super::MemoryFs::add_reader) makes a file of it. A program reads what it needs, mostly 32
/// KiB at a time: of a file of 50 GB, a thumbnail needs a few megabytes. Reads may come from several jobs at once,
/// on their threads, with at least 4 MiB of stack.
pub trait ReadAt: Send + Sync {
    fn size_bytes(&self) -> io::Result<u64>;

    /// Reads up to `buffer.len()` bytes; 0 means the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for std::fs::File {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(self, buffer, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(self, buffer, offset);
    }
}
