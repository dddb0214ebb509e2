//! A directory of the host as a guest's file system.

use super::{DirEntry, File, FileSystem, FileType, Metadata, OpenOptions, Opened, Times, read_only};
use cap_fs_ext::{
    DirExt, FileTypeExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsMaybeDirExt, SystemTimeSpec,
};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::SystemTime;

/// Whether a guest may change a host directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// A directory of the host and everything below it.
///
/// Nothing outside can be reached: neither with `..`, nor over symbolic links that lead out, nor by changing the tree
/// while it is walked.
pub struct HostDir {
    dir: Dir,
    access: Access,
}

impl HostDir {
    /// Opens the directory now; renaming it later does not change which one the guest sees.
    pub fn open(path: impl AsRef<Path>, access: Access) -> io::Result<HostDir> {
        Ok(HostDir {
            dir: Dir::open_ambient_dir(path, ambient_authority())?,
            access,
        })
    }

    pub fn read_only(path: impl AsRef<Path>) -> io::Result<HostDir> {
        HostDir::open(path, Access::ReadOnly)
    }

    pub fn read_write(path: impl AsRef<Path>) -> io::Result<HostDir> {
        HostDir::open(path, Access::ReadWrite)
    }

    fn writable(&self) -> io::Result<&Dir> {
        match self.access {
            Access::ReadWrite => Ok(&self.dir),
            Access::ReadOnly => Err(read_only()),
        }
    }
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
            (false, false, _) => Ok(Opened::File(Box::new(HostFile::new(file.into_std())?))),
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
        for entry in self.dir.read_dir(path)? {
            let entry = entry?;
            // WASI's strings are UTF-8, so a guest could neither be told another name nor open it.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // An entry that vanishes while the directory is read is left out.
            let Ok(metadata) = entry.metadata() else { continue };
            let metadata = metadata_of(&metadata);
            entries.push(DirEntry::new(name, metadata.inode, metadata.file_type));
        }
        Ok(entries)
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
        let dir = self.writable()?;
        dir.rename(from, dir, to)
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        let target = self.dir.read_link(path)?;
        target
            .into_os_string()
            .into_string()
            .map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn symlink(&self, target: &str, path: &str) -> io::Result<()> {
        DirExt::symlink(self.writable()?, target, path)
    }

    fn hard_link(&self, from: &str, to: &str) -> io::Result<()> {
        let dir = self.writable()?;
        dir.hard_link(from, dir, to)
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
struct HostFile {
    file: std::fs::File,
    is_stream: bool,
}

impl HostFile {
    fn new(file: std::fs::File) -> io::Result<HostFile> {
        let is_stream = !file.metadata()?.is_file();
        Ok(HostFile { file, is_stream })
    }
}

impl File for HostFile {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(metadata_of(&cap_std::fs::Metadata::from_file(&self.file)?))
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.is_stream {
            return self.file.read(buffer);
        }
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.file, buffer, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.file, buffer, offset);
    }

    fn write_at(&mut self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        if self.is_stream {
            return self.file.write(buffer);
        }
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::write_at(&self.file, buffer, offset);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_write(&self.file, buffer, offset);
    }

    fn is_stream(&self) -> bool {
        self.is_stream
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        self.file.set_len(size_bytes)
    }

    fn set_times(&mut self, times: Times) -> io::Result<()> {
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
