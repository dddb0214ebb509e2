//! Notes when a disk is full under a tree of files. The program sees it as well, but says no more than that it could not write.

use super::fault::{Fault, Faults};
use crate::fs::{Change, DirEntry, Exceeded, File, FileSystem, Metadata, OpenOptions, Opened, Steps, Times};
use std::io;

pub struct Noting<T> {
    pub inner: T,
    pub faults: Faults,
}

/// Another attempt may find room. A limit of the job's own is none of the disk's.
pub fn note<T>(faults: &Faults, result: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &result
        && matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        && Exceeded::of(error).is_none()
    {
        faults.note(Fault::passing(format!("the spool folder is full: {error}")));
    }
    result
}

impl<T> Noting<T> {
    fn note<R>(&self, result: io::Result<R>) -> io::Result<R> {
        note(&self.faults, result)
    }
}

impl<T: FileSystem> FileSystem for Noting<T> {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        Ok(match self.note(self.inner.open(path, options))? {
            Opened::File(inner) => Opened::File(Box::new(Noting {
                inner,
                faults: self.faults.clone(),
            })),
            opened => opened,
        })
    }

    fn metadata(&self, path: &str, follow_links: bool) -> io::Result<Metadata> {
        self.inner.metadata(path, follow_links)
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        self.inner.read_dir(path)
    }

    fn visit_dir(&self, path: &str, visit: &mut dyn FnMut(DirEntry) -> io::Result<()>) -> io::Result<()> {
        self.inner.visit_dir(path, visit)
    }

    fn held_bytes(&self) -> u64 {
        self.inner.held_bytes()
    }

    fn names_besides(&self, path: &str, change: Change) -> u64 {
        self.inner.names_besides(path, change)
    }

    fn prepare(&self, path: &str, follow_links: bool) -> io::Result<Option<Box<dyn Steps>>> {
        self.inner.prepare(path, follow_links)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.note(self.inner.create_dir(path))
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.inner.remove_dir(path)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.note(self.inner.rename(from, to))
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        self.inner.read_link(path)
    }

    fn symlink(&self, target: &str, path: &str) -> io::Result<()> {
        self.note(self.inner.symlink(target, path))
    }

    fn hard_link(&self, from: &str, to: &str) -> io::Result<()> {
        self.note(self.inner.hard_link(from, to))
    }

    fn set_times(&self, path: &str, follow_links: bool, times: Times) -> io::Result<()> {
        self.inner.set_times(path, follow_links, times)
    }
}

impl File for Noting<Box<dyn File>> {
    fn metadata(&self) -> io::Result<Metadata> {
        self.inner.metadata()
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&mut self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        let written = self.inner.write_at(buffer, offset);
        self.note(written)
    }

    fn append(&mut self, buffer: &[u8]) -> io::Result<(u64, usize)> {
        let written = self.inner.append(buffer);
        self.note(written)
    }

    fn is_stream(&self) -> bool {
        self.inner.is_stream()
    }

    fn is_apart(&self) -> bool {
        self.inner.is_apart()
    }

    #[cfg(unix)]
    fn awaited(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.inner.awaited()
    }

    fn growth_bytes(&self, offset: u64, length_bytes: u64) -> u64 {
        self.inner.growth_bytes(offset, length_bytes)
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        let done = self.inner.set_len(size_bytes);
        self.note(done)
    }

    fn set_times(&mut self, times: Times) -> io::Result<()> {
        self.inner.set_times(times)
    }

    fn sync(&mut self) -> io::Result<()> {
        let done = self.inner.sync();
        self.note(done)
    }
}
