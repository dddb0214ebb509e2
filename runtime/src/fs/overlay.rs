//! One tree of files over another.

use super::{DirEntry, File, FileSystem, FileType, Metadata, OpenOptions, Opened, Times};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A tree that may be changed over one that stays as it is.
///
/// What a job writes, renames or removes goes to the upper tree; the lower one is only read. A file of the lower tree
/// that is written to is copied up first. Directories of the lower tree cannot be renamed (the guest sees `EXDEV`, as on
/// Linux's overlays), and the upper tree's links are not followed into the lower one.
pub struct OverlayFs {
    lower: Arc<dyn FileSystem>,
    upper: Arc<dyn FileSystem>,
    /// Paths that are gone from the lower tree, with all below them. A mark stays when something new takes the place, so
    /// that a new directory does not show the old one's entries.
    hidden: Mutex<BTreeSet<String>>,
}

/// How many bytes are copied up at a time.
const COPY_BUFFER_SIZE_BYTES: usize = 1 << 20;

/// Keeps the inodes of the two trees apart.
const UPPER_DEVICE: u64 = 1 << 63;

impl OverlayFs {
    pub fn new(lower: Arc<dyn FileSystem>, upper: Arc<dyn FileSystem>) -> OverlayFs {
        OverlayFs {
            lower,
            upper,
            hidden: Mutex::default(),
        }
    }

    /// Every change holds this lock, so that no other can come between its looking and its doing.
    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_upper(&self, path: &str, follow_links: bool) -> io::Result<Option<Metadata>> {
        present(self.upper.metadata(path, follow_links)).map(|found| {
            found.map(|metadata| Metadata {
                device: metadata.device ^ UPPER_DEVICE,
                ..metadata
            })
        })
    }

    fn in_lower(&self, hidden: &BTreeSet<String>, path: &str, follow_links: bool) -> io::Result<Option<Metadata>> {
        if ancestors(path).any(|ancestor| hidden.contains(ancestor)) {
            return Ok(None);
        }
        // A file of the upper tree hides a directory of the lower one.
        for ancestor in ancestors(path).skip(1) {
            if let Some(above) = self.in_upper(ancestor, true)?
                && above.file_type != FileType::Directory
            {
                return Ok(None);
            }
        }
        present(self.lower.metadata(path, follow_links))
    }

    fn find(&self, hidden: &BTreeSet<String>, path: &str, follow_links: bool) -> io::Result<Option<Metadata>> {
        match self.in_upper(path, follow_links)? {
            Some(found) => Ok(Some(found)),
            None => self.in_lower(hidden, path, follow_links),
        }
    }

    /// A path without `..`: both trees must be asked for the same place. All but its last part are directories.
    fn plain(&self, hidden: &BTreeSet<String>, path: &str) -> io::Result<String> {
        let mut parts: Vec<&str> = Vec::new();
        let mut all = path.split('/').filter(|part| *part != ".").peekable();
        while let Some(part) = all.next() {
            if part == ".." {
                parts.pop();
                continue;
            }
            parts.push(part);
            if all.peek().is_some() {
                match self.find(hidden, &parts.join("/"), true)? {
                    Some(found) if found.file_type == FileType::Directory => {}
                    Some(_) => return Err(io::ErrorKind::NotADirectory.into()),
                    None => return Err(io::ErrorKind::NotFound.into()),
                }
            }
        }
        Ok(if parts.is_empty() {
            ".".to_owned()
        } else {
            parts.join("/")
        })
    }

    /// Sees to it that the directory of a path exists in the upper tree.
    fn make_parents(&self, hidden: &BTreeSet<String>, path: &str) -> io::Result<()> {
        let parents: Vec<&str> = ancestors(path).skip(1).collect();
        for parent in parents.into_iter().rev() {
            match self.in_upper(parent, true)? {
                Some(found) if found.file_type == FileType::Directory => continue,
                Some(_) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {}
            }
            match self.in_lower(hidden, parent, true)? {
                Some(found) if found.file_type == FileType::Directory => self.upper.create_dir(parent)?,
                Some(_) => return Err(io::ErrorKind::NotADirectory.into()),
                None => return Err(io::ErrorKind::NotFound.into()),
            }
        }
        Ok(())
    }

    fn copy_up(&self, hidden: &BTreeSet<String>, path: &str) -> io::Result<()> {
        self.make_parents(hidden, path)?;
        let read = OpenOptions {
            read: true,
            follow_links: true,
            ..OpenOptions::default()
        };
        let write = OpenOptions {
            write: true,
            create: true,
            truncate: true,
            ..OpenOptions::default()
        };
        let (mut from, mut to) = match (self.lower.open(path, &read)?, self.upper.open(path, &write)?) {
            (Opened::File(from), Opened::File(to)) => (from, to),
            _ => return Err(io::ErrorKind::IsADirectory.into()),
        };
        let copied = copy(&mut *from, &mut *to);
        if copied.is_err() {
            // Half a file would hide the whole one.
            self.upper.remove_file(path)?;
        }
        copied
    }

    /// The entries of a directory, from both trees.
    fn entries(&self, hidden: &BTreeSet<String>, path: &str) -> io::Result<Vec<DirEntry>> {
        let in_upper = self.in_upper(path, true)?;
        let in_lower = self.in_lower(hidden, path, true)?;
        let mut entries = BTreeMap::new();
        match (in_upper, in_lower) {
            (None, None) => return Err(io::ErrorKind::NotFound.into()),
            (Some(above), _) if above.file_type != FileType::Directory => {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            (above, below) => {
                if below.is_some_and(|below| above.is_none() || below.file_type == FileType::Directory) {
                    for entry in self.lower.read_dir(path)? {
                        let full = if path == "." {
                            entry.name.clone()
                        } else {
                            format!("{path}/{}", entry.name)
                        };
                        if !hidden.contains(&full) {
                            entries.insert(entry.name.clone(), entry);
                        }
                    }
                }
                if above.is_some() {
                    entries.extend(
                        self.upper
                            .read_dir(path)?
                            .into_iter()
                            .map(|entry| (entry.name.clone(), entry)),
                    );
                }
            }
        }
        Ok(entries.into_values().collect())
    }

    /// Hides what the lower tree has there, if anything.
    fn hide(&self, hidden: &mut BTreeSet<String>, path: &str) -> io::Result<()> {
        if self.in_lower(hidden, path, false)?.is_some() {
            hidden.insert(path.to_owned());
        }
        Ok(())
    }
}

fn copy(from: &mut dyn File, to: &mut dyn File) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BUFFER_SIZE_BYTES];
    let mut offset = 0;
    loop {
        let count = from.read_at(&mut buffer, offset)?.min(buffer.len());
        if count == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let written = to.write_at(rest, offset)?.min(rest.len());
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            offset += written as u64;
            rest = &rest[written..];
        }
    }
}

/// `None` for what is not there, or cannot be, as a part of its path is a file.
fn present(found: io::Result<Metadata>) -> io::Result<Option<Metadata>> {
    match found {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A path, its directory, and so on up to but without the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let first = (path != ".").then_some(path);
    std::iter::successors(first, |path| path.rsplit_once('/').map(|(directory, _)| directory))
}

impl FileSystem for OverlayFs {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        let hidden = self.lock();
        let path = &self.plain(&hidden, path)?;
        let in_upper = self.in_upper(path, options.follow_links)?;
        let in_lower = match in_upper {
            Some(_) => None,
            None => self.in_lower(&hidden, path, options.follow_links)?,
        };
        match (in_upper, in_lower) {
            (Some(_), _) => self.upper.open(path, options),
            (None, Some(_)) if options.exclusive => Err(io::ErrorKind::AlreadyExists.into()),
            (None, Some(found)) if found.file_type == FileType::Directory => match options.changes() {
                true => Err(io::ErrorKind::IsADirectory.into()),
                false => Ok(Opened::Directory),
            },
            (None, Some(_)) if options.truncate => {
                self.make_parents(&hidden, path)?;
                let create = OpenOptions {
                    create: true,
                    ..*options
                };
                self.upper.open(path, &create)
            }
            (None, Some(_)) if options.write => {
                self.copy_up(&hidden, path)?;
                self.upper.open(path, options)
            }
            (None, Some(_)) => {
                let read = OpenOptions {
                    create: false,
                    ..*options
                };
                self.lower.open(path, &read)
            }
            (None, None) if options.create => {
                self.make_parents(&hidden, path)?;
                self.upper.open(path, options)
            }
            (None, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn metadata(&self, path: &str, follow_links: bool) -> io::Result<Metadata> {
        let hidden = self.lock();
        let path = &self.plain(&hidden, path)?;
        let found = self.find(&hidden, path, follow_links)?;
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        let hidden = self.lock();
        let path = &self.plain(&hidden, path)?;
        self.entries(&hidden, path)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let hidden = self.lock();
        let path = &self.plain(&hidden, path)?;
        if path == "." || self.find(&hidden, path, false)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.make_parents(&hidden, path)?;
        self.upper.create_dir(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let mut hidden = self.lock();
        let path = &self.plain(&hidden, path)?;
        if path == "." {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let found = self.find(&hidden, path, false)?.ok_or(io::ErrorKind::NotFound)?;
        if found.file_type != FileType::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        if !self.entries(&hidden, path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        if self.in_upper(path, false)?.is_some() {
            self.upper.remove_dir(path)?;
        }
        self.hide(&mut hidden, path)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        let mut hidden = self.lock();
        let path = &self.plain(&hidden, path)?;
        let found = self.find(&hidden, path, false)?.ok_or(io::ErrorKind::NotFound)?;
        if found.file_type == FileType::Directory {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if self.in_upper(path, false)?.is_some() {
            self.upper.remove_file(path)?;
        }
        self.hide(&mut hidden, path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut hidden = self.lock();
        let (from, to) = (&self.plain(&hidden, from)?, &self.plain(&hidden, to)?);
        let source = self.find(&hidden, from, false)?.ok_or(io::ErrorKind::NotFound)?;
        if from == "." || to == "." {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        if source.file_type == FileType::Directory && self.in_lower(&hidden, from, false)?.is_some() {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        // A directory that is merged may look empty in the upper tree and not be.
        let is_merged = |hidden: &BTreeSet<String>| Ok::<_, io::Error>(self.in_lower(hidden, to, false)?.is_some());
        let lies_in = |inner: &str, outer: &str| inner != outer && Path::new(inner).starts_with(outer);
        match self.find(&hidden, to, false)?.map(|target| target.file_type) {
            _ if source.file_type == FileType::Directory && lies_in(to, from) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            Some(FileType::Directory) if lies_in(from, to) => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            Some(FileType::Directory) if source.file_type != FileType::Directory => {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Some(FileType::Directory) if is_merged(&hidden)? => return Err(io::ErrorKind::CrossesDevices.into()),
            Some(target) if target != FileType::Directory && source.file_type == FileType::Directory => {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            _ => {}
        }
        if from == to {
            return Ok(());
        }
        self.make_parents(&hidden, to)?;
        if self.in_upper(from, false)?.is_none() {
            self.copy_up(&hidden, from)?;
        }
        self.upper.rename(from, to)?;
        self.hide(&mut hidden, from)?;
        // A directory comes without what the lower tree may have under its new name.
        match source.file_type {
            FileType::Directory => self.hide(&mut hidden, to),
            _ => Ok(()),
        }
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        let hidden = self.lock();
        let path = &self.plain(&hidden, path)?;
        match (self.in_upper(path, false)?, self.in_lower(&hidden, path, false)?) {
            (Some(_), _) => self.upper.read_link(path),
            (None, Some(_)) => self.lower.read_link(path),
            (None, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn set_times(&self, path: &str, follow_links: bool, times: Times) -> io::Result<()> {
        let hidden = self.lock();
        let path = &self.plain(&hidden, path)?;
        let found = self.find(&hidden, path, follow_links)?.ok_or(io::ErrorKind::NotFound)?;
        if self.in_upper(path, follow_links)?.is_none() {
            match found.file_type {
                FileType::Directory => {
                    self.make_parents(&hidden, path)?;
                    self.upper.create_dir(path)?;
                }
                _ => self.copy_up(&hidden, path)?,
            }
        }
        self.upper.set_times(path, follow_links, times)
    }
}
