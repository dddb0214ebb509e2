//! One tree of files over another.

use super::file_system::{Change, File, FileSystem, OpenOptions, Opened, Steps};
use super::metadata::{DirEntry, FileType, Metadata, Times};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A tree that may be changed, over one that is only read.
///
/// Written, renamed and removed files go to the upper tree; the lower one is only read. A file of the lower tree that
/// is written to is first copied to the upper tree. Directories of the lower tree cannot be renamed (the guest sees
/// `EXDEV`, as with Linux's overlayfs), and links of the upper tree are not followed into the lower one.
///
/// A file is copied under a temporary name and renamed when it is complete, so a partial file is never seen. Temporary
/// names begin with `.afmpeg-copy-`; programs can neither see nor use such names. Copied bytes count towards
/// [`Job::written_max_bytes`](crate::Job::written_max_bytes). While a file is copied, other files can be used.
#[derive(Clone)]
pub struct OverlayFs {
    shared: Arc<Shared>,
}

struct Shared {
    lower: Arc<dyn FileSystem>,
    upper: Arc<dyn FileSystem>,
    state: Mutex<State>,
    /// The memory of what is hidden. It is read while others hold the lock in calls that may not return.
    hidden_bytes: AtomicU64,
    /// A copy has ended.
    copied: Condvar,
}

#[derive(Default)]
struct State {
    hidden: Hidden,
    /// The paths of the lower tree that are being copied up.
    copying: BTreeSet<String>,
    copies: u64,
}

/// Paths that are gone from the lower tree, with all below them. A mark stays when something new takes the place, so
/// that a new directory does not show the old one's entries.
type Hidden = BTreeSet<String>;

/// The memory of a mark besides its path.
const MARK_SIZE_BYTES: u64 = 64;

/// The number of bytes that are copied at a time.
const COPY_BUFFER_SIZE_BYTES: usize = 1 << 20;

/// The time that one step waits for another job's copy of the same file.
const COPY_WAIT: Duration = Duration::from_millis(10);

/// The number of attempts to copy a file that others change meanwhile.
pub(crate) const ATTEMPTS: usize = 4;

/// The prefix of temporary names of copies.
const COPY_NAME: &str = ".afmpeg-copy-";

/// Keeps the inodes of the two trees apart.
const UPPER_DEVICE: u64 = 1 << 63;

impl OverlayFs {
    pub fn new(lower: Arc<dyn FileSystem>, upper: Arc<dyn FileSystem>) -> OverlayFs {
        OverlayFs {
            shared: Arc::new(Shared {
                lower,
                upper,
                state: Mutex::default(),
                hidden_bytes: AtomicU64::new(0),
                copied: Condvar::new(),
            }),
        }
    }

    /// Makes the copy that a change of this path requires, without interruptions.
    fn prepare_now(&self, path: &str, follow_links: bool) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            match self.prepare(path, follow_links)? {
                Some(mut steps) => while steps.step()? {},
                None => break,
            }
        }
        Ok(())
    }

    /// Renames what does not have to be copied up first; false if it does.
    fn rename_in_upper(&self, from: &str, to: &str) -> io::Result<bool> {
        let shared = &*self.shared;
        let mut state = shared.lock();
        let hidden = &mut state.hidden;
        let (from, to) = (&shared.plain(hidden, from)?, &shared.plain(hidden, to)?);
        let source = shared.find(hidden, from, false)?.ok_or(io::ErrorKind::NotFound)?;
        if from == "." || to == "." {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        if source.file_type == FileType::Directory && shared.in_lower(hidden, from, false)?.is_some() {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        // A merged directory may look empty in the upper tree without being so.
        let is_merged = |hidden: &Hidden| Ok::<_, io::Error>(shared.in_lower(hidden, to, false)?.is_some());
        let lies_in = |inner: &str, outer: &str| inner != outer && Path::new(inner).starts_with(outer);
        match shared.find(hidden, to, false)?.map(|target| target.file_type) {
            _ if source.file_type == FileType::Directory && lies_in(to, from) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            Some(FileType::Directory) if lies_in(from, to) => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            Some(FileType::Directory) if source.file_type != FileType::Directory => {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Some(FileType::Directory) if is_merged(hidden)? => return Err(io::ErrorKind::CrossesDevices.into()),
            Some(target) if target != FileType::Directory && source.file_type == FileType::Directory => {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            _ => {}
        }
        if from == to {
            return Ok(true);
        }
        shared.make_parents(hidden, to)?;
        if shared.in_upper(from, false)?.is_none() {
            return Ok(false);
        }
        shared.upper.rename(from, to)?;
        shared.hide(hidden, from)?;
        // A directory comes without what the lower tree may have under its new name.
        if source.file_type == FileType::Directory {
            shared.hide(hidden, to)?;
        }
        Ok(true)
    }
}

impl fmt::Debug for OverlayFs {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("OverlayFs")
            .field("hidden_bytes", &self.shared.hidden_bytes)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Every change holds this lock, so that no other can come between its looking and its doing. No bytes are moved
    /// under it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_upper(&self, path: &str, follow_links: bool) -> io::Result<Option<Metadata>> {
        present(self.upper.metadata(path, follow_links)).map(|found| {
            found.map(|metadata| Metadata {
                device: metadata.device ^ UPPER_DEVICE,
                ..metadata
            })
        })
    }

    fn in_lower(&self, hidden: &Hidden, path: &str, follow_links: bool) -> io::Result<Option<Metadata>> {
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

    fn find(&self, hidden: &Hidden, path: &str, follow_links: bool) -> io::Result<Option<Metadata>> {
        match self.in_upper(path, follow_links)? {
            Some(found) => Ok(Some(found)),
            None => self.in_lower(hidden, path, follow_links),
        }
    }

    /// A path without `..`: both trees must be asked for the same place. All but its last part are directories.
    fn plain(&self, hidden: &Hidden, path: &str) -> io::Result<String> {
        if path.split('/').any(|part| part.starts_with(COPY_NAME)) {
            return Err(io::ErrorKind::NotFound.into());
        }
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
    fn make_parents(&self, hidden: &Hidden, path: &str) -> io::Result<()> {
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

    /// The directories that are to be made in the upper tree, and what is there only below; or the mark of what is hidden.
    fn names_besides(&self, hidden: &Hidden, path: &str, change: Change) -> io::Result<u64> {
        let path = &self.plain(hidden, path)?;
        let in_lower = self.in_lower(hidden, path, false)?.is_some();
        if change == Change::Removed {
            return Ok(u64::from(in_lower));
        }
        let mut count = 0;
        for parent in ancestors(path).skip(1) {
            count += u64::from(self.in_upper(parent, true)?.is_none());
        }
        Ok(count + u64::from(in_lower && self.in_upper(path, false)?.is_none()))
    }

    /// Returns a file's metadata if it is only in the lower tree, so that it must be copied before a change.
    fn wants_copy(&self, hidden: &Hidden, path: &str, follow_links: bool) -> io::Result<Option<Metadata>> {
        if self.in_upper(path, follow_links)?.is_some() {
            return Ok(None);
        }
        let found = self.in_lower(hidden, path, follow_links)?;
        Ok(found.filter(|found| found.file_type != FileType::Directory))
    }

    /// Returns which of the two trees have a directory at this path.
    fn directories(&self, hidden: &Hidden, path: &str) -> io::Result<(bool, bool)> {
        match (self.in_upper(path, true)?, self.in_lower(hidden, path, true)?) {
            (None, None) => Err(io::ErrorKind::NotFound.into()),
            (Some(above), _) if above.file_type != FileType::Directory => Err(io::ErrorKind::NotADirectory.into()),
            (None, Some(below)) if below.file_type != FileType::Directory => Err(io::ErrorKind::NotADirectory.into()),
            (above, below) => Ok((
                above.is_some(),
                below.is_some_and(|below| below.file_type == FileType::Directory),
            )),
        }
    }

    fn is_empty(&self, hidden: &Hidden, path: &str) -> io::Result<bool> {
        let (in_upper, in_lower) = self.directories(hidden, path)?;
        let mut is_empty = true;
        let found_one = || io::Error::from(io::ErrorKind::DirectoryNotEmpty);
        let mut visit = |tree: &dyn FileSystem, visible: &dyn Fn(&str) -> bool| {
            let visited = tree.visit_dir(path, &mut |entry| match visible(&entry.name) {
                true => Err(found_one()),
                false => Ok(()),
            });
            match visited {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    is_empty = false;
                    Ok(())
                }
                visited => visited,
            }
        };
        if in_upper {
            visit(&*self.upper, &|name| !name.starts_with(COPY_NAME))?;
        }
        if in_lower {
            visit(&*self.lower, &|name| !hidden.contains(&join(path, name)))?;
        }
        Ok(is_empty)
    }

    /// Hides what the lower tree has there, if anything.
    fn hide(&self, hidden: &mut Hidden, path: &str) -> io::Result<()> {
        if self.in_lower(hidden, path, false)?.is_some() && hidden.insert(path.to_owned()) {
            let mark_bytes = path.len() as u64 + MARK_SIZE_BYTES;
            self.hidden_bytes.fetch_add(mark_bytes, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn join(directory: &str, name: &str) -> String {
    match directory {
        "." => name.to_owned(),
        _ => format!("{directory}/{name}"),
    }
}

/// A file of the lower tree on its way up.
struct CopyUp {
    shared: Arc<Shared>,
    path: String,
    copy: Copy,
}

enum Copy {
    /// Another makes it.
    Others,
    Own {
        name: String,
        from: Box<dyn File>,
        to: Box<dyn File>,
        size_bytes: u64,
        offset: u64,
        buffer: Vec<u8>,
    },
    Done,
}

impl CopyUp {
    /// Makes the complete copy what the path leads to, unless that has changed meanwhile.
    fn finish(&mut self, name: &str) -> io::Result<()> {
        let state = self.shared.lock();
        let upper = &self.shared.upper;
        match self.shared.wants_copy(&state.hidden, &self.path, false)? {
            Some(_) => {
                self.shared.make_parents(&state.hidden, &self.path)?;
                upper.rename(name, &self.path)
            }
            None => upper.remove_file(name),
        }
    }
}

impl Steps for CopyUp {
    fn left_bytes(&self) -> u64 {
        match &self.copy {
            Copy::Own { size_bytes, offset, .. } => size_bytes.saturating_sub(*offset),
            Copy::Others | Copy::Done => 0,
        }
    }

    fn growth_bytes(&self) -> u64 {
        let in_upper = match &self.copy {
            Copy::Own { to, offset, .. } => to.growth_bytes(*offset, self.left_bytes()),
            Copy::Others | Copy::Done => 0,
        };
        in_upper.saturating_add(COPY_BUFFER_SIZE_BYTES as u64)
    }

    fn step(&mut self) -> io::Result<bool> {
        match &mut self.copy {
            Copy::Done => Ok(false),
            Copy::Others => {
                let state = self.shared.lock();
                let waited = self.shared.copied.wait_timeout(state, COPY_WAIT);
                let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                Ok(state.copying.contains(&self.path))
            }
            Copy::Own {
                name,
                from,
                to,
                size_bytes,
                offset,
                buffer,
            } => {
                let count = from.read_at(buffer, *offset)?.min(buffer.len());
                // It has grown since its size was checked against the limits, or it is no usual file.
                if count as u64 > size_bytes.saturating_sub(*offset) {
                    return Err(io::ErrorKind::ResourceBusy.into());
                }
                let mut rest = &buffer[..count];
                while !rest.is_empty() {
                    let written = to.write_at(rest, *offset)?.min(rest.len());
                    if written == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    *offset += written as u64;
                    rest = &rest[written..];
                }
                if count > 0 {
                    return Ok(true);
                }
                let name = name.clone();
                self.finish(&name)?;
                self.end();
                Ok(false)
            }
        }
    }
}

impl CopyUp {
    fn end(&mut self) {
        if matches!(std::mem::replace(&mut self.copy, Copy::Done), Copy::Own { .. }) {
            self.shared.lock().copying.remove(&self.path);
            self.shared.copied.notify_all();
        }
    }
}

impl Drop for CopyUp {
    /// Deletes an incomplete copy, after an interruption or at a limit.
    fn drop(&mut self) {
        if let Copy::Own { name, .. } = &self.copy {
            let _ = self.shared.upper.remove_file(name);
            self.end();
        }
    }
}

/// A file of the lower tree, which is only read, whatever that tree would allow.
struct LowerFile(Box<dyn File>);

impl File for LowerFile {
    fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn is_stream(&self) -> bool {
        self.0.is_stream()
    }

    #[cfg(unix)]
    fn awaited(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.0.awaited()
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
        if options.write && !options.truncate && !options.exclusive {
            self.prepare_now(path, options.follow_links)?;
        }
        let shared = &*self.shared;
        let state = shared.lock();
        let hidden = &state.hidden;
        let path = &shared.plain(hidden, path)?;
        let in_upper = shared.in_upper(path, options.follow_links)?;
        let in_lower = match in_upper {
            Some(_) => None,
            None => shared.in_lower(hidden, path, options.follow_links)?,
        };
        match (in_upper, in_lower) {
            (Some(_), _) => shared.upper.open(path, options),
            (None, Some(_)) if options.exclusive => Err(io::ErrorKind::AlreadyExists.into()),
            (None, Some(found)) if found.file_type == FileType::Directory => match options.changes() {
                true => Err(io::ErrorKind::IsADirectory.into()),
                false => Ok(Opened::Directory),
            },
            (None, Some(_)) if options.truncate => {
                shared.make_parents(hidden, path)?;
                let create = OpenOptions {
                    create: true,
                    ..*options
                };
                shared.upper.open(path, &create)
            }
            // It came back after it was copied up, or the copy is another's that was given up.
            (None, Some(_)) if options.write => Err(io::ErrorKind::ResourceBusy.into()),
            (None, Some(_)) => {
                let read = OpenOptions {
                    create: false,
                    ..*options
                };
                match shared.lower.open(path, &read)? {
                    Opened::File(file) => Ok(Opened::File(Box::new(LowerFile(file)))),
                    Opened::Directory => Ok(Opened::Directory),
                }
            }
            (None, None) if options.create => {
                shared.make_parents(hidden, path)?;
                shared.upper.open(path, options)
            }
            (None, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn metadata(&self, path: &str, follow_links: bool) -> io::Result<Metadata> {
        let state = self.shared.lock();
        let path = &self.shared.plain(&state.hidden, path)?;
        let found = self.shared.find(&state.hidden, path, follow_links)?;
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
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
        let shared = &*self.shared;
        let state = shared.lock();
        let path = shared.plain(&state.hidden, path)?;
        let (in_upper, in_lower) = shared.directories(&state.hidden, &path)?;
        drop(state);
        if in_lower {
            shared.lower.visit_dir(&path, &mut |entry| {
                let full = join(&path, &entry.name);
                let is_hidden = shared.lock().hidden.contains(&full)
                    || entry.name.starts_with(COPY_NAME)
                    || (in_upper && shared.in_upper(&full, false)?.is_some());
                match is_hidden {
                    true => Ok(()),
                    false => visit(entry),
                }
            })?;
        }
        if in_upper {
            shared
                .upper
                .visit_dir(&path, &mut |entry| match entry.name.starts_with(COPY_NAME) {
                    true => Ok(()),
                    false => visit(entry),
                })?;
        }
        Ok(())
    }

    fn held_bytes(&self) -> u64 {
        let trees = self
            .shared
            .lower
            .held_bytes()
            .saturating_add(self.shared.upper.held_bytes());
        trees.saturating_add(self.shared.hidden_bytes.load(Ordering::Relaxed))
    }

    fn names_besides(&self, path: &str, change: Change) -> u64 {
        let shared = &*self.shared;
        let state = shared.lock();
        // The call itself reports an error.
        shared.names_besides(&state.hidden, path, change).unwrap_or(0)
    }

    fn prepare(&self, path: &str, follow_links: bool) -> io::Result<Option<Box<dyn Steps>>> {
        let shared = &self.shared;
        let mut state = shared.lock();
        let path = match shared.plain(&state.hidden, path) {
            Ok(path) => path,
            // The call itself reports the error.
            Err(_) => return Ok(None),
        };
        let Some(found) = shared.wants_copy(&state.hidden, &path, follow_links)? else {
            return Ok(None);
        };
        let steps = |copy| CopyUp {
            shared: shared.clone(),
            path: path.clone(),
            copy,
        };
        if state.copying.contains(&path) {
            return Ok(Some(Box::new(steps(Copy::Others))));
        }
        let read = OpenOptions {
            read: true,
            follow_links: true,
            ..OpenOptions::default()
        };
        let create = OpenOptions {
            write: true,
            create: true,
            truncate: true,
            ..OpenOptions::default()
        };
        let name = loop {
            state.copies += 1;
            let name = format!("{COPY_NAME}{}-{}", std::process::id(), state.copies);
            if present(shared.upper.metadata(&name, false))?.is_none() {
                break name;
            }
        };
        // A pipe or a device has no size, and may have no end; to open it may take for ever.
        let found = match found.file_type {
            FileType::SymbolicLink => shared.lower.metadata(&path, true)?,
            _ => found,
        };
        if found.file_type != FileType::File {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let Opened::File(from) = shared.lower.open(&path, &read)? else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let Opened::File(to) = shared.upper.open(&name, &create)? else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let copy = Copy::Own {
            name,
            from,
            to,
            size_bytes: found.size_bytes,
            offset: 0,
            buffer: vec![0; COPY_BUFFER_SIZE_BYTES],
        };
        state.copying.insert(path.clone());
        Ok(Some(Box::new(steps(copy))))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let shared = &*self.shared;
        let state = shared.lock();
        let hidden = &state.hidden;
        let path = &shared.plain(hidden, path)?;
        if path == "." || shared.find(hidden, path, false)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        shared.make_parents(hidden, path)?;
        shared.upper.create_dir(path)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let shared = &*self.shared;
        let mut state = shared.lock();
        let hidden = &mut state.hidden;
        let path = &shared.plain(hidden, path)?;
        if path == "." {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let found = shared.find(hidden, path, false)?.ok_or(io::ErrorKind::NotFound)?;
        if found.file_type != FileType::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        if !shared.is_empty(hidden, path)? {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        if shared.in_upper(path, false)?.is_some() {
            shared.upper.remove_dir(path)?;
        }
        shared.hide(hidden, path)
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        let shared = &*self.shared;
        let mut state = shared.lock();
        let hidden = &mut state.hidden;
        let path = &shared.plain(hidden, path)?;
        let found = shared.find(hidden, path, false)?.ok_or(io::ErrorKind::NotFound)?;
        if found.file_type == FileType::Directory {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if shared.in_upper(path, false)?.is_some() {
            shared.upper.remove_file(path)?;
        }
        shared.hide(hidden, path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            if self.rename_in_upper(from, to)? {
                return Ok(());
            }
            self.prepare_now(from, false)?;
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        let shared = &*self.shared;
        let state = shared.lock();
        let hidden = &state.hidden;
        let path = &shared.plain(hidden, path)?;
        match (shared.in_upper(path, false)?, shared.in_lower(hidden, path, false)?) {
            (Some(_), _) => shared.upper.read_link(path),
            (None, Some(_)) => shared.lower.read_link(path),
            (None, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn set_times(&self, path: &str, follow_links: bool, times: Times) -> io::Result<()> {
        self.prepare_now(path, follow_links)?;
        let shared = &*self.shared;
        let state = shared.lock();
        let hidden = &state.hidden;
        let path = &shared.plain(hidden, path)?;
        let found = shared
            .find(hidden, path, follow_links)?
            .ok_or(io::ErrorKind::NotFound)?;
        if shared.in_upper(path, follow_links)?.is_none() {
            match found.file_type {
                FileType::Directory => {
                    shared.make_parents(hidden, path)?;
                    shared.upper.create_dir(path)?;
                }
                _ => return Err(io::ErrorKind::ResourceBusy.into()),
            }
        }
        shared.upper.set_times(path, follow_links, times)
    }
}
