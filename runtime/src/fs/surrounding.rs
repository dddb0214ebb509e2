//! A directory of the host in which other places of a tree lie.

use super::file_system::{FileSystem, OpenOptions, Opened};
use super::host::{HostDir, Identity};
use super::metadata::{DirEntry, Metadata, Times};
use std::io;
use std::sync::Arc;

/// Takes paths in which the tree has resolved all links, and follows none that came there since: only the tree knows
/// where the other places are.
///
/// What is on the host where they are is not reached by any other name either, such as one in other letters where the
/// host does not tell them apart.
pub(super) struct Surrounding {
    pub dir: Arc<HostDir>,
    pub hidden: Vec<Identity>,
}

impl Surrounding {
    /// The directory that a path's last part is in, and that part.
    fn parent<'a>(&self, path: &'a str) -> io::Result<(HostDir, &'a str)> {
        let (parent, last) = path.rsplit_once('/').unwrap_or((".", path));
        Ok((self.dir.below(parent, &self.hidden)?, last))
    }
}

impl FileSystem for Surrounding {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        let (parent, last) = self.parent(path)?;
        let options = OpenOptions {
            follow_links: false,
            ..*options
        };
        parent.open(last, &options)
    }

    fn metadata(&self, path: &str, _follow_links: bool) -> io::Result<Metadata> {
        let (parent, last) = self.parent(path)?;
        parent.metadata(last, false)
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        self.dir.below(path, &self.hidden)?.read_dir(".")
    }

    fn visit_dir(&self, path: &str, visit: &mut dyn FnMut(DirEntry) -> io::Result<()>) -> io::Result<()> {
        self.dir.below(path, &self.hidden)?.visit_dir(".", visit)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let (parent, last) = self.parent(path)?;
        parent.create_dir(last)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let (parent, last) = self.parent(path)?;
        parent.remove_dir(last)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        let (parent, last) = self.parent(path)?;
        parent.remove_file(last)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from_parent, from_last), (to_parent, to_last)) = (self.parent(from)?, self.parent(to)?);
        from_parent.rename_into(from_last, &to_parent, to_last)
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        let (parent, last) = self.parent(path)?;
        parent.read_link(last)
    }

    fn symlink(&self, target: &str, path: &str) -> io::Result<()> {
        let (parent, last) = self.parent(path)?;
        parent.symlink(target, last)
    }

    fn hard_link(&self, from: &str, to: &str) -> io::Result<()> {
        let ((from_parent, from_last), (to_parent, to_last)) = (self.parent(from)?, self.parent(to)?);
        from_parent.hard_link_into(from_last, &to_parent, to_last)
    }

    fn set_times(&self, path: &str, _follow_links: bool, times: Times) -> io::Result<()> {
        let (parent, last) = self.parent(path)?;
        parent.set_times(last, last == ".", times)
    }
}
