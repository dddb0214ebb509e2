//! A directory of the host as a guest's file system.

use super::file_system::{File, FileSystem, OpenOptions, Opened, read_only};
use super::metadata::{DirEntry, FileType, Metadata, Times};
use super::turns::Turns;
use cap_fs_ext::{
    DirEntryExt, DirExt, FileTypeExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsMaybeDirExt,
    SystemTimeSpec,
};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::collections::BTreeMap;
use std::fmt;
#[cfg(unix)]
use std::io::Seek;
use std::io::{self, Read, Write};
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// A guest's access to a host directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// A directory of the host and everything below it.
///
/// Nothing outside can be reached, whether with `..`, over symbolic links that lead out, or by changing the tree while
/// a path is resolved.
///
/// Programs cannot leave a way out in the directory either: they cannot create links unless
/// [`allow_links`](HostDir::allow_links) is set, and cannot move existing links whose target contains `..`. The
/// directory may still contain links that others made: [`open_file`](HostDir::open_file) opens a file without following
/// any that leads out.
///
/// Named pipes are opened without waiting for who writes to them. A program that reads one waits until data comes or who
/// wrote to it has gone.
pub struct HostDir {
    dir: Dir,
    access: Access,
    allows_links: bool,
    /// Held while something is checked and then moved, so that no other job puts something else in its place.
    moves: Arc<Turns>,
}

/// What tells a directory from all others of the host: its device, and its number there.
pub(super) type Identity = (u64, u64);

/// The lock of moves on a device. Directories that are given to jobs may lie in one another.
fn moves_on(device: u64) -> Arc<Turns> {
    static MOVES: Mutex<BTreeMap<u64, Arc<Turns>>> = Mutex::new(BTreeMap::new());
    let mut moves = MOVES.lock().unwrap_or_else(PoisonError::into_inner);
    moves.entry(device).or_default().clone()
}

/// The most entries of a moved directory that are searched for links that would then lead out.
const MOVED_ENTRIES_MAX: usize = 10_000;

impl HostDir {
    /// Opens the directory now; renaming it later does not change the directory that the guest sees.
    pub fn open(path: impl AsRef<Path>, access: Access) -> io::Result<HostDir> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(HostDir {
            moves: moves_on(dir.dir_metadata()?.dev()),
            dir,
            access,
            allows_links: false,
        })
    }

    pub fn read_only(path: impl AsRef<Path>) -> io::Result<HostDir> {
        HostDir::open(path, Access::ReadOnly)
    }

    pub fn read_write(path: impl AsRef<Path>) -> io::Result<HostDir> {
        HostDir::open(path, Access::ReadWrite)
    }

    /// Allows programs to create hard links, and symbolic links to relative targets without `..`.
    ///
    /// Such a link leads to a place below its own directory, wherever both are moved.
    pub fn allow_links(mut self) -> HostDir {
        self.allows_links = true;
        self
    }

    /// Opens a regular file for reading, for its owner to take it out.
    ///
    /// Unlike [`std::fs::File::open`] on the joined path, this follows no link that leads out of the directory, and no
    /// link at all as the last part of the path, whatever a program or another process has left there. It does not wait
    /// for the other end of a named pipe; anything that is not a regular file is an error of kind `InvalidInput`.
    pub fn open_file(&self, path: impl AsRef<Path>) -> io::Result<std::fs::File> {
        let mut options = cap_std::fs::OpenOptions::new();
        options.read(true).follow(FollowSymlinks::No);
        without_waiting(&mut options);
        let file = self.dir.open_with(path, &options)?;
        match file.metadata()?.is_file() {
            true => Ok(file.into_std()),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        }
    }

    /// Returns whether a link, or one below a directory, might lead to another place after a move.
    fn is_bound_to_its_place(&self, path: &str) -> io::Result<bool> {
        let metadata = match self.dir.symlink_metadata(path) {
            // The call itself reports errors of its paths, in the host's order.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(false);
            }
            found => found?,
        };
        if metadata.is_symlink() {
            return Ok(climbs(&self.dir.read_link_contents(path)?));
        }
        if !metadata.is_dir() {
            return Ok(false);
        }
        let mut directories = vec![self.dir.open_dir_nofollow(path)?];
        let mut entries = 0;
        while let Some(directory) = directories.pop() {
            for entry in directory.entries()? {
                let entry = entry?;
                entries += 1;
                if entries > MOVED_ENTRIES_MAX || directories.len() > 16 {
                    return Ok(true);
                }
                let file_type = entry.file_type()?;
                if file_type.is_symlink() && climbs(&directory.read_link_contents(entry.file_name())?) {
                    return Ok(true);
                }
                if file_type.is_dir() {
                    directories.push(directory.open_dir_nofollow(entry.file_name())?);
                }
            }
        }
        Ok(false)
    }

    /// The target of a link whose own place can be reached without leaving the directory, if there is one.
    pub(super) fn link_target(&self, path: &str) -> io::Result<Option<String>> {
        let Ok(target) = self.dir.read_link_contents(path) else {
            return Ok(None);
        };
        let target = target.into_os_string().into_string();
        // A target that is no text cannot be followed by its name.
        target.map(Some).map_err(|_| io::ErrorKind::PermissionDenied.into())
    }

    /// Returns the directory that is at a path of this one, if another is to be there instead: unless that is the same, with
    /// at least the same access.
    pub(super) fn hidden_by(&self, path: &str, other: Option<&HostDir>) -> Option<Identity> {
        let metadata = self.dir.metadata(path).ok().filter(|metadata| metadata.is_dir())?;
        let identity = (metadata.dev(), metadata.ino());
        let is_same = other.is_some_and(|other| {
            let gives_all = other.access == Access::ReadWrite || self.access == Access::ReadOnly;
            gives_all && other.identity().is_ok_and(|its| its == identity)
        });
        (!is_same).then_some(identity)
    }

    fn identity(&self) -> io::Result<Identity> {
        let metadata = self.dir.dir_metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }

    /// The directory at a path, over no link and none of the hidden directories.
    pub(super) fn below(&self, path: &str, hidden: &[Identity]) -> io::Result<HostDir> {
        let mut below = self.at(self.dir.try_clone()?);
        for part in path.split('/').filter(|part| *part != ".") {
            below = self.at(below.dir.open_dir_nofollow(part)?);
            if hidden.contains(&below.identity()?) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
        }
        Ok(below)
    }

    /// Another directory with the same access.
    fn at(&self, dir: Dir) -> HostDir {
        HostDir {
            dir,
            access: self.access,
            allows_links: self.allows_links,
            moves: self.moves.clone(),
        }
    }

    /// Renames to a path in this or another directory of the same tree.
    pub(super) fn rename_into(&self, from: &str, target: &HostDir, to: &str) -> io::Result<()> {
        let (dir, target_dir) = (self.writable()?, target.writable()?);
        let _alone = self.moves.wait();
        let parent = |path: &str| path.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        // Judged by their text: with `..` in them, two paths may differ and lead to the same directory.
        let stays = parent(from) == parent(to) && self.identity()? == target.identity()?;
        if stays {
            return dir.rename(from, target_dir, to);
        }
        // Programs then copy, as they do between the host's file systems.
        let bound = || io::ErrorKind::CrossesDevices.into();
        if self.is_bound_to_its_place(from)? {
            return Err(bound());
        }
        dir.rename(from, target_dir, to)?;
        // Another process may have put something else there after the check.
        if target.is_bound_to_its_place(to).unwrap_or(true) {
            let is_free = dir.symlink_metadata(from).is_err();
            if !(is_free && target_dir.rename(to, dir, from).is_ok()) {
                target_dir.remove_file_or_symlink(to)?;
            }
            return Err(bound());
        }
        Ok(())
    }

    /// Gives a file another name in this or another directory of the same tree.
    pub(super) fn hard_link_into(&self, from: &str, target: &HostDir, to: &str) -> io::Result<()> {
        let (dir, target_dir) = (self.may_link()?, target.may_link()?);
        let _alone = self.moves.wait();
        if self.is_bound_to_its_place(from)? {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        dir.hard_link(from, target_dir, to)?;
        // Another process may have put something else there after the check.
        if target.is_bound_to_its_place(to).unwrap_or(true) {
            target_dir.remove_file_or_symlink(to)?;
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(())
    }

    #[cfg(unix)]
    fn is_pipe(&self, path: &str) -> bool {
        let metadata = self.dir.metadata(path);
        metadata.is_ok_and(|metadata| metadata.file_type().is_fifo())
    }

    fn may_link(&self) -> io::Result<&Dir> {
        match self.allows_links {
            true => self.writable(),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    fn writable(&self) -> io::Result<&Dir> {
        match self.access {
            Access::ReadWrite => Ok(&self.dir),
            Access::ReadOnly => Err(read_only()),
        }
    }
}

impl fmt::Debug for HostDir {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("HostDir")
            .field("dir", &self.dir)
            .field("access", &self.access)
            .field("allows_links", &self.allows_links)
            .finish_non_exhaustive()
    }
}

/// Returns whether a link's target leads elsewhere than below the link's own directory.
fn climbs(target: &Path) -> bool {
    !target
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Opens a named pipe whether or not it has another end, since an opening that waits cannot be interrupted.
fn without_waiting(options: &mut cap_std::fs::OpenOptions) {
    #[cfg(unix)]
    {
        use cap_std::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// What the system answers to one who would write to a named pipe that nobody reads yet.
#[cfg(unix)]
fn waits_for_reader(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error())
}

impl FileSystem for HostDir {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        if self.access == Access::ReadOnly && options.changes() {
            // A program that asks to create what exists already, and only reads it, loses nothing.
            let only_reads = !options.write && !options.truncate && !options.exclusive;
            if !(only_reads && self.dir.exists(path)) {
                return Err(read_only());
            }
        }
        let mut host_options = cap_std::fs::OpenOptions::new();
        host_options
            .read(options.read || !options.write)
            .write(options.write)
            .maybe_dir(true);
        host_options.follow(if options.follow_links {
            FollowSymlinks::Yes
        } else {
            FollowSymlinks::No
        });
        without_waiting(&mut host_options);
        if self.access == Access::ReadWrite {
            // Creating asks for write access in std's rules, which would refuse a guest's read-only creation.
            if options.create && !options.write {
                host_options.write(true);
            }
            host_options
                .create(options.create && !options.exclusive)
                .create_new(options.create && options.exclusive);
            if options.truncate {
                host_options.write(true).truncate(true);
            }
        }
        let file = match self.dir.open_with(path, &host_options) {
            Ok(file) => file,
            #[cfg(unix)]
            Err(error) if waits_for_reader(&error) && self.is_pipe(path) => {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Err(error) => {
                // A directory opened for writing is refused by the host with an error that depends on the system.
                let directory = FileSystem::metadata(self, path, options.follow_links)
                    .is_ok_and(|metadata| metadata.file_type == FileType::Directory);
                return Err(match directory {
                    true if options.exclusive => io::ErrorKind::AlreadyExists.into(),
                    true => io::ErrorKind::IsADirectory.into(),
                    false => error,
                });
            }
        };
        let is_dir = file.metadata()?.is_dir();
        match (is_dir, options.directory, options.write) {
            (true, _, false) => Ok(Opened::Directory),
            (true, _, true) => Err(io::ErrorKind::IsADirectory.into()),
            (false, true, _) => Err(io::ErrorKind::NotADirectory.into()),
            (false, false, _) => Ok(Opened::File(Box::new(HostFile::new(file.into_std(), self.access)?))),
        }
    }

    fn metadata(&self, path: &str, follow_links: bool) -> io::Result<Metadata> {
        let metadata = if follow_links {
            self.dir.metadata(path)
        } else {
            self.dir.symlink_metadata(path)
        }?;
        Ok(metadata_of(&metadata))
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        self.visit_dir(path, &mut |entry| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    fn visit_dir(&self, path: &str, visit: &mut dyn FnMut(DirEntry) -> io::Result<()>) -> io::Result<()> {
        for entry in self.dir.read_dir(path)? {
            let entry = entry?;
            // WASI's strings are UTF-8, so a guest could neither receive another name nor open it.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // An entry that vanishes while the directory is read is left out. On Windows, what comes with an entry has
            // no inode, and what was asked for in full does.
            let Ok(metadata) = entry.full_metadata() else { continue };
            let metadata = metadata_of(&metadata);
            visit(DirEntry::new(name, metadata.inode, metadata.file_type))?;
        }
        Ok(())
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.writable()?.create_dir(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.writable()?.remove_dir(path)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        self.writable()?.remove_file_or_symlink(path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.writable()?;
        match (from.rsplit_once('/'), to.rsplit_once('/')) {
            // The directory is opened once: the second time, there might be another in its place.
            (Some((parent, from)), Some((same, to))) if parent == same && from != ".." && to != ".." => {
                let parent = self.at(self.dir.open_dir(parent)?);
                parent.rename_into(from, &parent, to)
            }
            _ => self.rename_into(from, self, to),
        }
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        let target = self.dir.read_link(path)?;
        target
            .into_os_string()
            .into_string()
            .map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn symlink(&self, target: &str, path: &str) -> io::Result<()> {
        let dir = self.may_link()?;
        if climbs(Path::new(target)) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        DirExt::symlink(dir, target, path)
    }

    fn hard_link(&self, from: &str, to: &str) -> io::Result<()> {
        self.hard_link_into(from, self, to)
    }

    fn set_times(&self, path: &str, follow_links: bool, times: Times) -> io::Result<()> {
        let dir = self.writable()?;
        let accessed = times.accessed.map(time_spec);
        let modified = times.modified.map(time_spec);
        if follow_links {
            DirExt::set_times(dir, path, accessed, modified)
        } else {
            dir.set_symlink_times(path, accessed, modified)
        }
    }
}

fn time_spec(time: SystemTime) -> SystemTimeSpec {
    SystemTimeSpec::from(cap_std::time::SystemTime::from_std(time))
}

fn metadata_of(metadata: &cap_std::fs::Metadata) -> Metadata {
    let file_type = metadata.file_type();
    let time = |time: io::Result<cap_std::time::SystemTime>| time.ok().map(|time| time.into_std());
    Metadata {
        file_type: match () {
            _ if file_type.is_file() => FileType::File,
            _ if file_type.is_dir() => FileType::Directory,
            _ if file_type.is_symlink() => FileType::SymbolicLink,
            _ if file_type.is_char_device() => FileType::CharacterDevice,
            _ => FileType::Other,
        },
        size_bytes: metadata.len(),
        inode: metadata.ino(),
        device: metadata.dev(),
        links: metadata.nlink(),
        accessed: time(metadata.accessed()),
        modified: time(metadata.modified()),
        // The host's time of change is not kept by every system, and no program here tells it from the modification.
        changed: time(metadata.modified()),
    }
}

/// An open file of the host.
pub(super) struct HostFile {
    file: std::fs::File,
    is_stream: bool,
    access: Access,
    /// The host writes at the end, whatever the offset.
    #[cfg(unix)]
    appends: bool,
    /// The process's owner has the file as well: how it was opened is not for the guest to change.
    #[cfg(unix)]
    is_shared: bool,
}

impl HostFile {
    fn new(file: std::fs::File, access: Access) -> io::Result<HostFile> {
        let is_stream = !file.metadata()?.is_file();
        Ok(HostFile {
            file,
            is_stream,
            access,
            #[cfg(unix)]
            appends: false,
            #[cfg(unix)]
            is_shared: false,
        })
    }

    /// A file that the process's owner has opened, as it was opened.
    pub fn of_descriptor(file: std::fs::File) -> io::Result<HostFile> {
        #[cfg(unix)]
        {
            let flags = rustix::fs::fcntl_getfl(&file)?;
            Ok(HostFile {
                appends: flags.contains(rustix::fs::OFlags::APPEND),
                is_shared: true,
                ..HostFile::new(file, Access::ReadWrite)?
            })
        }
        #[cfg(not(unix))]
        HostFile::new(file, Access::ReadWrite)
    }

    /// Whether the owner has opened the file such that all that is written comes after what is there.
    pub fn only_grows(&self) -> bool {
        #[cfg(unix)]
        return self.is_shared && self.appends && !self.is_stream;
        #[cfg(not(unix))]
        false
    }

    /// Waits a moment for a stream: it may have been made such that it blocks, and a named pipe without another end looks
    /// as if it had ended.
    #[cfg(unix)]
    fn wait(&self, flags: rustix::event::PollFlags) -> io::Result<()> {
        match crate::interrupt::wait_a_slice(&self.file, flags)? {
            true => Ok(()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn writable(&self) -> io::Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(read_only()),
        }
    }

    #[cfg(unix)]
    fn set_appends(&mut self, appends: bool) -> io::Result<()> {
        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
        if appends != self.appends && !self.is_shared {
            let mut flags = fcntl_getfl(&self.file)?;
            flags.set(OFlags::APPEND, appends);
            fcntl_setfl(&self.file, flags)?;
            self.appends = appends;
        }
        Ok(())
    }
}

impl File for HostFile {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(metadata_of(&cap_std::fs::Metadata::from_file(&self.file)?))
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.is_stream {
            #[cfg(unix)]
            self.wait(rustix::event::PollFlags::IN)?;
            return self.file.read(buffer);
        }
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.file, buffer, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.file, buffer, offset);
    }

    fn write_at(&mut self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        self.writable()?;
        if self.is_stream {
            #[cfg(unix)]
            self.wait(rustix::event::PollFlags::OUT)?;
            return self
                .file
                .write(&buffer[..buffer.len().min(crate::interrupt::PIPE_BUF_BYTES)]);
        }
        #[cfg(unix)]
        {
            if self.only_grows() {
                return Ok(self.append(buffer)?.1);
            }
            self.set_appends(false)?;
            std::os::unix::fs::FileExt::write_at(&self.file, buffer, offset)
        }
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_write(&self.file, buffer, offset);
    }

    /// Finds the end and writes there in one operation of the host.
    #[cfg(unix)]
    fn append(&mut self, buffer: &[u8]) -> io::Result<(u64, usize)> {
        self.writable()?;
        if self.is_shared && !self.is_stream {
            return append_to_shared(&self.file, buffer);
        }
        self.set_appends(true)?;
        let count = self.file.write(buffer)?;
        let end = self.file.stream_position()?;
        Ok((end.saturating_sub(count as u64), count))
    }

    fn is_stream(&self) -> bool {
        self.is_stream
    }

    #[cfg(unix)]
    fn awaited(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        use std::os::fd::AsFd;
        self.is_stream.then(|| self.file.as_fd())
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        self.writable()?;
        if self.only_grows() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.file.set_len(size_bytes)
    }

    fn set_times(&mut self, times: Times) -> io::Result<()> {
        self.writable()?;
        let mut file_times = std::fs::FileTimes::new();
        if let Some(accessed) = times.accessed {
            file_times = file_times.set_accessed(accessed);
        }
        if let Some(modified) = times.modified {
            file_times = file_times.set_modified(modified);
        }
        self.file.set_times(file_times)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// Writes at the end of a file without a change of how it is open, or of its position, both of which are its owner's.
#[cfg(unix)]
fn append_to_shared(file: &std::fs::File, buffer: &[u8]) -> io::Result<(u64, usize)> {
    #[cfg(target_os = "linux")]
    let written = {
        use rustix::io::{ReadWriteFlags, pwritev2};
        pwritev2(file, &[io::IoSlice::new(buffer)], 0, ReadWriteFlags::APPEND)?
    };
    // Others may come in between.
    #[cfg(not(target_os = "linux"))]
    let written = std::os::unix::fs::FileExt::write_at(file, buffer, file.metadata()?.len())?;
    let end = file.metadata()?.len();
    Ok((end.saturating_sub(written as u64), written))
}
