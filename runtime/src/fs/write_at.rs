//! Bytes that go somewhere else as they are written.

use super::read_at::ReadAt;
use std::io;

/// Something that takes bytes at any offset: an upload in parts, a file in a format of the caller's.
///
/// [`MemoryFs::add_writer`](super::MemoryFs::add_writer) makes a file of it. A program writes mostly 32 KiB at a time
/// and from the start to the end, but may go back: the head of an mp4 is completed when all else is written. An mp4
/// with `+faststart` is read back and moved, which needs [`read_at`](WriteAt::read_at); one with
/// `+frag_keyframe+empty_moov` is written from start to end. Calls may come from several jobs at once, on their
/// threads, with at least 4 MiB of stack.
pub trait WriteAt: Send + Sync {
    /// Takes up to `buffer.len()` bytes, and returns how many.
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize>;

    /// The file is given another size: cut, or filled with zeros. It is not called when the size stays as it is.
    fn set_len(&self, _size_bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Gives bytes back that were written; 0 means the end. Without it, the file cannot be read.
    fn read_at(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// All that was written so far is to last.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteAt for std::fs::File {
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::write_at(self, buffer, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_write(self, buffer, offset);
    }

    fn set_len(&self, size_bytes: u64) -> io::Result<()> {
        std::fs::File::set_len(self, size_bytes)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        ReadAt::read_at(self, buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}
