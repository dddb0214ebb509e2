//! What a file system is to a job.

use super::metadata::{DirEntry, Metadata, Times};
use std::fmt;
use std::io;

/// The tree of files below one directory of a job.
///
/// Paths are relative to the root of the tree, their parts separated by `/`; the root itself is `.`. A path has no
/// empty and no `.` parts. It may contain `..`, but its text never climbs above the root; an implementation with links
/// must ensure that these do not lead outside either.
///
/// An implementation needs only [`open`](FileSystem::open), [`metadata`](FileSystem::metadata) and
/// [`read_dir`](FileSystem::read_dir); the tree can then be changed only through opened files.
///
/// Calls come from the threads of jobs, and have at least 4 MiB of stack at any depth of the program. A call that does
/// not return leaves its job behind when that must end; see [`Runtime::run`](crate::Runtime::run).
pub trait FileSystem: Send + Sync {
    /// Opens a file, or finds that the path is a directory. While it fails with an error of kind `WouldBlock`, it is
    /// called again.
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened>;

    /// Returns the metadata of a path. With `follow_links` it is that of a link's target, otherwise that of the link
    /// itself.
    fn metadata(&self, path: &str, follow_links: bool) -> io::Result<Metadata>;

    /// The entries of a directory, without `.` and `..`.
    fn read_dir(&self, path: &str) -> io::Result<Vec<DirEntry>>;

    /// Gives each entry of a directory to `visit`, and ends with the first error that it returns.
    ///
    /// A file system whose directories may be large gives the entries one by one and keeps no list of them, so that a
    /// job can be interrupted in between and held to its memory. No lock may be held over `visit`.
    fn visit_dir(&self, path: &str, visit: &mut dyn FnMut(DirEntry) -> io::Result<()>) -> io::Result<()> {
        self.read_dir(path)?.into_iter().try_for_each(visit)
    }

    /// Returns the host memory that is held for what programs have put into the tree, in bytes: the allocated size of
    /// contents, and files, directories and their names. It is called before each operation that may add to it, so it
    /// must be cheap.
    fn held_bytes(&self) -> u64 {
        0
    }

    /// Returns the number of files and directories that a change makes besides what the program asks for, such as the
    /// directories above it in another tree; for a removal, the number of marks that it leaves. They count towards the
    /// job's limits.
    fn names_besides(&self, _path: &str, _change: Change) -> u64 {
        0
    }

    /// Returns work to do before a path can be written to or renamed, if that takes long, such as a copy.
    ///
    /// A job does it in steps, between which it can be interrupted, and then makes its call. A caller that does not
    /// call `prepare` gets the same result from the call itself, without interruptions.
    fn prepare(&self, _path: &str, _follow_links: bool) -> io::Result<Option<Box<dyn Steps>>> {
        Ok(None)
    }

    fn create_dir(&self, _path: &str) -> io::Result<()> {
        Err(read_only())
    }

    fn remove_dir(&self, _path: &str) -> io::Result<()> {
        Err(read_only())
    }

    fn remove_file(&self, _path: &str) -> io::Result<()> {
        Err(read_only())
    }

    /// Renames within this tree, replacing a file that is in the way.
    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(read_only())
    }

    fn read_link(&self, _path: &str) -> io::Result<String> {
        Err(io::ErrorKind::InvalidInput.into())
    }

    fn symlink(&self, _target: &str, _path: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn hard_link(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_times(&self, _path: &str, _follow_links: bool, _times: Times) -> io::Result<()> {
        Err(read_only())
    }
}

/// What becomes of a path, for [`FileSystem::names_besides`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is made, or what is there is written to or given other times.
    Made,
    /// It is removed, or renamed to another.
    Removed,
}

/// Work that a [`FileSystem`] does in steps.
pub trait Steps: Send {
    /// The bytes that are still to be written.
    fn left_bytes(&self) -> u64;

    /// The host memory in bytes that the work may take until it is done.
    fn growth_bytes(&self) -> u64;

    /// Does a part of the work that takes a few milliseconds; false when all of it is done.
    fn step(&mut self) -> io::Result<bool>;
}

/// An open file of a [`FileSystem`].
///
/// Reads and writes take an offset; the caller keeps the guest's position. A file without positions (a pipe, a device)
/// returns true from [`is_stream`](File::is_stream) and ignores the offsets.
pub trait File: Send {
    fn metadata(&self) -> io::Result<Metadata>;

    /// Reads up to `buffer.len()` bytes; 0 means the end of the file.
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    fn write_at(&mut self, _buffer: &[u8], _offset: u64) -> io::Result<usize> {
        Err(read_only())
    }

    /// Writes to the end of the file, wherever others may have moved it; returns where that was, and how many bytes.
    ///
    /// As it stands here, others can come in between: a file system in which several write to one file brings its own.
    fn append(&mut self, buffer: &[u8]) -> io::Result<(u64, usize)> {
        let end = self.metadata()?.size_bytes;
        Ok((end, self.write_at(buffer, end)?))
    }

    fn is_stream(&self) -> bool {
        false
    }

    /// Whether its descriptor gets the highest free number, where no argument of the program means it.
    fn is_apart(&self) -> bool {
        false
    }

    /// What a program waits for that asks whether it could read or write without waiting; without it, it always could.
    #[cfg(unix)]
    fn awaited(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    /// Returns the host memory in bytes that the file would hold in addition after a write of this length, or, with
    /// length 0, after growing to this size.
    fn growth_bytes(&self, _offset: u64, _length_bytes: u64) -> u64 {
        0
    }

    fn set_len(&mut self, _size_bytes: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn set_times(&mut self, _times: Times) -> io::Result<()> {
        Err(read_only())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The result of [`FileSystem::open`].
#[non_exhaustive]
pub enum Opened {
    File(Box<dyn File>),
    Directory,
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Opened::File(_) => "File",
            Opened::Directory => "Directory",
        })
    }
}

/// The options of [`FileSystem::open`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenOptions {
    pub read: bool,
    pub write: bool,
    /// Create the file where it does not exist.
    pub create: bool,
    /// With `create`: fail where it exists already.
    pub exclusive: bool,
    pub truncate: bool,
    /// Fail unless the path is a directory.
    pub directory: bool,
    /// Follow a link that is the last part of the path; otherwise such a link is an error.
    pub follow_links: bool,
}

impl OpenOptions {
    /// Returns whether opening with these options, or a later operation on the file, changes the tree.
    pub fn changes(&self) -> bool {
        self.write || self.create || self.truncate
    }
}

pub(super) fn read_only() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}
