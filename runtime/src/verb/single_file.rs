//! One file of a folder, as a file system.

use afmpeg::fs::{DirEntry, Metadata, OpenOptions, Opened, Times};
use afmpeg::{FileSystem, HostDir};
use std::io;
use std::sync::Arc;

/// A place that is a file, and has nothing of the folder that it lies in. The file need not exist yet.
pub struct SingleFile {
    pub folder: Arc<HostDir>,
    pub name: String,
}

impl SingleFile {
    /// The file's name, for the path of the place itself.
    fn name(&self, path: &str) -> io::Result<&str> {
        match path {
            "." => Ok(&self.name),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }
}

impl FileSystem for SingleFile {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        match self.folder.open(self.name(path)?, options)? {
            // It would be one that was put there in place of the file.
            Opened::Directory => Err(io::ErrorKind::IsADirectory.into()),
            opened => Ok(opened),
        }
    }

    fn metadata(&self, path: &str, follow_links: bool) -> io::Result<Metadata> {
        FileSystem::metadata(&*self.folder, self.name(path)?, follow_links)
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        self.name(path)?;
        Err(io::ErrorKind::NotADirectory.into())
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        self.folder.remove_file(self.name(path)?)
    }

    fn set_times(&self, path: &str, follow_links: bool, times: Times) -> io::Result<()> {
        self.folder.set_times(self.name(path)?, follow_links, times)
    }
}
