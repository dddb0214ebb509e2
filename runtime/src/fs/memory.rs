//! A file system in memory.

use super::{DirEntry, File, FileSystem, FileType, Metadata, OpenOptions, Opened, ReadAt, Times, read_only};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Files in memory: inputs are shared with their owner and outputs handed over, neither of them copied.
///
/// A clone is another handle on the same files, so that one can be kept while a job has the other.
#[derive(Clone)]
pub struct MemoryFs {
    shared: Arc<Shared>,
}

struct Shared {
    root: Mutex<Directory>,
    next_inode: AtomicU64,
    usage: Arc<Usage>,
}

/// How much has been written, of how much may be, and how many files and directories there are.
struct Usage {
    used_bytes: AtomicU64,
    limit_bytes: u64,
    nodes: AtomicU64,
}

/// As many files and directories as a program may make. Each takes up to half a KiB, even if nothing is written to it.
const NODES_MAX: u64 = 1 << 18;

/// As long as names are on most hosts.
const NAME_SIZE_MAX_BYTES: usize = 255;

impl Usage {
    fn take(&self, bytes: u64) -> io::Result<()> {
        let taken = self
            .used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.limit_bytes)
            });
        taken.map(drop).map_err(|_| io::ErrorKind::StorageFull.into())
    }

    fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether a program may give a name to one more file or directory.
    fn check_new(&self, name: &str) -> io::Result<()> {
        if name.len() > NAME_SIZE_MAX_BYTES {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        match self.nodes.load(Ordering::Relaxed) {
            NODES_MAX.. => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

enum Node {
    File(Arc<FileNode>),
    Directory(Directory),
}

struct Directory {
    inode: u64,
    modified: SystemTime,
    entries: BTreeMap<String, Node>,
    usage: Arc<Usage>,
}

struct FileNode {
    inode: u64,
    state: Mutex<FileState>,
    usage: Arc<Usage>,
}

struct FileState {
    content: Content,
    accessed: SystemTime,
    modified: SystemTime,
}

enum Content {
    /// An input, or an output that has been looked at: others may hold the same bytes.
    Shared(Bytes),
    /// Bytes that were written here; only these count towards the limit.
    Own(Vec<u8>),
    /// Bytes that lie somewhere else.
    Elsewhere { reader: Arc<dyn ReadAt>, size_bytes: u64 },
}

impl MemoryFs {
    /// An empty file system to which so many bytes may be written; shared inputs do not count.
    pub fn new(limit_bytes: u64) -> MemoryFs {
        let usage = Arc::new(Usage {
            used_bytes: AtomicU64::new(0),
            limit_bytes,
            nodes: AtomicU64::new(0),
        });
        let shared = Shared {
            root: Mutex::new(Directory::new(1, usage.clone())),
            next_inode: AtomicU64::new(2),
            usage,
        };
        MemoryFs {
            shared: Arc::new(shared),
        }
    }

    /// Puts a file there, and the directories that its path names, without copying the bytes.
    pub fn add_file(&self, path: &str, content: impl Into<Bytes>) -> io::Result<()> {
        self.add(path, Content::Shared(content.into()))
    }

    /// Puts a file there whose bytes are read when a program asks for them. It cannot be written to.
    pub fn add_reader(&self, path: &str, reader: Arc<dyn ReadAt>) -> io::Result<()> {
        let size_bytes = reader.size_bytes()?;
        self.add(path, Content::Elsewhere { reader, size_bytes })
    }

    fn add(&self, path: &str, content: Content) -> io::Result<()> {
        let mut parts: Vec<&str> = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        let name = parts.pop().ok_or(io::ErrorKind::InvalidInput)?;
        if name == ".." || parts.contains(&"..") {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut root = self.lock();
        let mut directory = &mut *root;
        for part in parts {
            let new = || Node::Directory(self.new_directory());
            match directory.entries.entry(part.to_owned()).or_insert_with(new) {
                Node::Directory(next) => directory = next,
                Node::File(_) => return Err(io::ErrorKind::NotADirectory.into()),
            }
        }
        if let Some(Node::Directory(_)) = directory.entries.get(name) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let file = self.new_file(content);
        directory.insert(name.to_owned(), Node::File(file));
        Ok(())
    }

    /// The bytes of a file, which stays.
    ///
    /// They are not copied, but a program that goes on to write to the file then works on a copy.
    pub fn read_file(&self, path: &str) -> io::Result<Bytes> {
        let file = self.lock().file(path)?;
        let mut state = file.lock();
        file.share(&mut state)
    }

    /// Removes a file and returns its bytes, without copying them.
    pub fn take_file(&self, path: &str) -> io::Result<Bytes> {
        let mut root = self.lock();
        let file = root.file(path)?;
        let parts = root.walk(path)?;
        let mut state = file.lock();
        let bytes = file.share(&mut state)?;
        root.remove(&parts)?;
        Ok(bytes)
    }

    /// The paths and sizes of all files, in the order of their paths.
    pub fn files(&self) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        let root = self.lock();
        let mut directories = vec![(String::new(), &*root)];
        while let Some((prefix, directory)) = directories.pop() {
            for (name, node) in &directory.entries {
                let path = format!("{prefix}{name}");
                match node {
                    Node::File(file) => files.push((path, file.lock().content.size_bytes())),
                    Node::Directory(directory) => directories.push((path + "/", directory)),
                }
            }
        }
        files.sort();
        files
    }

    /// How many bytes the files hold that were written to them.
    pub fn used_bytes(&self) -> u64 {
        self.shared.usage.used_bytes.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Directory> {
        self.shared.root.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_inode(&self) -> u64 {
        self.shared.next_inode.fetch_add(1, Ordering::Relaxed)
    }

    fn new_directory(&self) -> Directory {
        Directory::new(self.next_inode(), self.shared.usage.clone())
    }

    fn new_file(&self, content: Content) -> Arc<FileNode> {
        let now = SystemTime::now();
        self.shared.usage.nodes.fetch_add(1, Ordering::Relaxed);
        let state = Mutex::new(FileState {
            content,
            accessed: now,
            modified: now,
        });
        Arc::new(FileNode {
            inode: self.next_inode(),
            state,
            usage: self.shared.usage.clone(),
        })
    }
}

impl Drop for Directory {
    /// A program may nest directories, by renaming, so deeply that dropping one within the other would not fit the
    /// stack.
    fn drop(&mut self) {
        self.usage.nodes.fetch_sub(1, Ordering::Relaxed);
        let mut nodes: Vec<Node> = std::mem::take(&mut self.entries).into_values().collect();
        while let Some(node) = nodes.pop() {
            if let Node::Directory(mut directory) = node {
                nodes.extend(std::mem::take(&mut directory.entries).into_values());
            }
        }
    }
}

impl Directory {
    fn new(inode: u64, usage: Arc<Usage>) -> Directory {
        usage.nodes.fetch_add(1, Ordering::Relaxed);
        Directory {
            inode,
            modified: SystemTime::now(),
            entries: BTreeMap::new(),
            usage,
        }
    }

    /// The names that lead to a path once its `..` are gone. All but the last are directories that exist.
    fn walk<'p>(&self, path: &'p str) -> io::Result<Vec<&'p str>> {
        let mut names = Vec::new();
        let mut directories = vec![self];
        let mut parts = path.split('/').filter(|part| *part != ".").peekable();
        while let Some(part) = parts.next() {
            if part == ".." {
                // The root is its own parent.
                names.pop();
                directories.truncate(names.len() + 1);
                continue;
            }
            let directory = directories[names.len()];
            names.push(part);
            match directory.entries.get(part) {
                Some(Node::Directory(next)) => directories.push(next),
                Some(Node::File(_)) if parts.peek().is_some() => return Err(io::ErrorKind::NotADirectory.into()),
                None if parts.peek().is_some() => return Err(io::ErrorKind::NotFound.into()),
                _ => {}
            }
        }
        Ok(names)
    }

    fn find(&self, names: &[&str]) -> Option<Found<'_>> {
        let Some((last, parents)) = names.split_last() else {
            return Some(Found::Directory(self));
        };
        let mut directory = self;
        for name in parents {
            match directory.entries.get(*name)? {
                Node::Directory(next) => directory = next,
                Node::File(_) => return None,
            }
        }
        match directory.entries.get(*last)? {
            Node::File(file) => Some(Found::File(file)),
            Node::Directory(directory) => Some(Found::Directory(directory)),
        }
    }

    fn find_at(&self, path: &str) -> io::Result<Found<'_>> {
        Ok(self.find(&self.walk(path)?).ok_or(io::ErrorKind::NotFound)?)
    }

    fn file(&self, path: &str) -> io::Result<Arc<FileNode>> {
        match self.find_at(path)? {
            Found::File(file) => Ok(file.clone()),
            Found::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// The directory that holds, or is to hold, what the names lead to; the root has none.
    fn parent<'n>(&mut self, names: &[&'n str]) -> io::Result<(&mut Directory, &'n str)> {
        let (last, parents) = names.split_last().ok_or(io::ErrorKind::ResourceBusy)?;
        let mut directory = self;
        for name in parents {
            match directory.entries.get_mut(*name) {
                Some(Node::Directory(next)) => directory = next,
                _ => return Err(io::ErrorKind::NotFound.into()),
            }
        }
        Ok((directory, last))
    }

    fn insert(&mut self, name: String, node: Node) {
        self.entries.insert(name, node);
        self.modified = SystemTime::now();
    }

    fn remove(&mut self, names: &[&str]) -> io::Result<Node> {
        let (parent, name) = self.parent(names)?;
        let node = parent.entries.remove(name).ok_or(io::ErrorKind::NotFound)?;
        parent.modified = SystemTime::now();
        Ok(node)
    }

    fn metadata(&self) -> Metadata {
        let times = Some(self.modified);
        Metadata {
            accessed: times,
            modified: times,
            changed: times,
            ..Metadata::new(FileType::Directory, 0, self.inode)
        }
    }
}

enum Found<'a> {
    File(&'a Arc<FileNode>),
    Directory(&'a Directory),
}

impl Content {
    fn size_bytes(&self) -> u64 {
        match self {
            Content::Shared(bytes) => bytes.len() as u64,
            Content::Own(bytes) => bytes.len() as u64,
            Content::Elsewhere { size_bytes, .. } => *size_bytes,
        }
    }
}

impl FileNode {
    fn lock(&self) -> MutexGuard<'_, FileState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metadata(&self) -> Metadata {
        let state = self.lock();
        Metadata {
            accessed: Some(state.accessed),
            modified: Some(state.modified),
            changed: Some(state.modified),
            ..Metadata::new(FileType::File, state.content.size_bytes(), self.inode)
        }
    }

    /// Makes the bytes such that they can be handed out, and hands them out.
    fn share(&self, state: &mut FileState) -> io::Result<Bytes> {
        if let Content::Own(own) = &mut state.content {
            self.usage.give_back(own.len() as u64);
            state.content = Content::Shared(std::mem::take(own).into());
        }
        match &state.content {
            Content::Shared(bytes) => Ok(bytes.clone()),
            Content::Own(_) | Content::Elsewhere { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The bytes to be written to, zeros up to `filled_bytes`, with room for `new_size_bytes`.
    ///
    /// Whatever this takes is counted, and refused, before any of it is allocated.
    fn own<'s>(&self, state: &'s mut FileState, filled_bytes: u64, new_size_bytes: u64) -> io::Result<&'s mut Vec<u8>> {
        let old_size_bytes = state.content.size_bytes();
        let counted_bytes = match state.content {
            Content::Own(_) => old_size_bytes,
            Content::Shared(_) => 0,
            // A program that replaces the whole file may; to change a part, all of it would have to be read.
            Content::Elsewhere { .. } if new_size_bytes == 0 => 0,
            Content::Elsewhere { .. } => return Err(read_only()),
        };
        let taken_bytes = new_size_bytes.saturating_sub(counted_bytes);
        self.usage.take(taken_bytes)?;
        let resized = (|| {
            let new_size = usize::try_from(new_size_bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
            let old = match &mut state.content {
                Content::Own(own) => std::mem::take(own),
                Content::Shared(shared) => {
                    let kept = &shared[..shared.len().min(new_size)];
                    let mut own = Vec::new();
                    own.try_reserve(new_size).map_err(|_| io::ErrorKind::StorageFull)?;
                    own.extend_from_slice(kept);
                    own
                }
                Content::Elsewhere { .. } => Vec::new(),
            };
            let mut own = old;
            let reserved = own.try_reserve(new_size.saturating_sub(own.len()));
            if reserved.is_ok() {
                // What fits `new_size` fits here, as it is no more.
                own.resize(filled_bytes as usize, 0);
            }
            // Even where there is no memory for more, what was written before stays.
            state.content = Content::Own(own);
            reserved.map_err(|_| io::Error::from(io::ErrorKind::StorageFull))
        })();
        if let Err(error) = resized {
            self.usage.give_back(taken_bytes);
            return Err(error);
        }
        self.usage.give_back(counted_bytes.saturating_sub(new_size_bytes));
        state.modified = SystemTime::now();
        match &mut state.content {
            Content::Own(own) => Ok(own),
            Content::Shared(_) | Content::Elsewhere { .. } => Err(io::ErrorKind::Other.into()),
        }
    }
}

impl Drop for FileNode {
    fn drop(&mut self) {
        self.usage.nodes.fetch_sub(1, Ordering::Relaxed);
        if let Content::Own(own) = &self.state.get_mut().unwrap_or_else(PoisonError::into_inner).content {
            self.usage.give_back(own.len() as u64);
        }
    }
}

impl FileSystem for MemoryFs {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        let mut root = self.lock();
        let names = root.walk(path)?;
        match root.find(&names) {
            Some(_) if options.exclusive => Err(io::ErrorKind::AlreadyExists.into()),
            Some(Found::Directory(_)) if options.changes() => Err(io::ErrorKind::IsADirectory.into()),
            Some(Found::Directory(_)) => Ok(Opened::Directory),
            Some(Found::File(_)) if options.directory => Err(io::ErrorKind::NotADirectory.into()),
            Some(Found::File(file)) => {
                if options.truncate {
                    file.own(&mut file.lock(), 0, 0)?;
                }
                Ok(Opened::File(Box::new(OpenFile(file.clone()))))
            }
            None if options.create => {
                let (parent, name) = root.parent(&names)?;
                self.shared.usage.check_new(name)?;
                let file = self.new_file(Content::Own(Vec::new()));
                parent.insert(name.to_owned(), Node::File(file.clone()));
                Ok(Opened::File(Box::new(OpenFile(file))))
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn metadata(&self, path: &str, _follow_links: bool) -> io::Result<Metadata> {
        Ok(match self.lock().find_at(path)? {
            Found::File(file) => file.metadata(),
            Found::Directory(directory) => directory.metadata(),
        })
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        let root = self.lock();
        let Found::Directory(directory) = root.find_at(path)? else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let entry = |(name, node): (&String, &Node)| match node {
            Node::File(file) => DirEntry::new(name, file.inode, FileType::File),
            Node::Directory(directory) => DirEntry::new(name, directory.inode, FileType::Directory),
        };
        Ok(directory.entries.iter().map(entry).collect())
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut root = self.lock();
        let names = root.walk(path)?;
        if root.find(&names).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (parent, name) = root.parent(&names)?;
        self.shared.usage.check_new(name)?;
        parent.insert(name.to_owned(), Node::Directory(self.new_directory()));
        Ok(())
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let mut root = self.lock();
        let names = root.walk(path)?;
        match root.find(&names) {
            _ if names.is_empty() => Err(io::ErrorKind::InvalidInput.into()),
            Some(Found::Directory(directory)) if directory.entries.is_empty() => root.remove(&names).map(drop),
            Some(Found::Directory(_)) => Err(io::ErrorKind::DirectoryNotEmpty.into()),
            Some(Found::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        let mut root = self.lock();
        root.file(path)?;
        let names = root.walk(path)?;
        root.remove(&names).map(drop)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut root = self.lock();
        let (from, to) = (root.walk(from)?, root.walk(to)?);
        let source = root.find(&from).ok_or(io::ErrorKind::NotFound)?;
        if from.is_empty() || to.is_empty() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        // In Linux's order, which counts where several of these hold.
        match (source, root.find(&to)) {
            _ if from == to => return Ok(()),
            (Found::Directory(_), _) if to.starts_with(&from) => return Err(io::ErrorKind::InvalidInput.into()),
            (_, Some(Found::Directory(_))) if from.starts_with(&to) => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            (Found::File(_), Some(Found::Directory(_))) => return Err(io::ErrorKind::IsADirectory.into()),
            (Found::Directory(_), Some(Found::File(_))) => return Err(io::ErrorKind::NotADirectory.into()),
            (_, Some(Found::Directory(directory))) if !directory.entries.is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        if to.last().is_some_and(|name| name.len() > NAME_SIZE_MAX_BYTES) {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let node = root.remove(&from)?;
        let (parent, name) = root.parent(&to)?;
        parent.insert(name.to_owned(), node);
        Ok(())
    }

    fn set_times(&self, path: &str, _follow_links: bool, times: Times) -> io::Result<()> {
        let mut root = self.lock();
        let names = root.walk(path)?;
        match root.find(&names).ok_or(io::ErrorKind::NotFound)? {
            Found::File(file) => OpenFile(file.clone()).set_times(times),
            Found::Directory(_) => {
                let modified = times.modified;
                let directory = match root.parent(&names) {
                    Ok((parent, name)) => match parent.entries.get_mut(name) {
                        Some(Node::Directory(directory)) => directory,
                        _ => return Err(io::ErrorKind::NotFound.into()),
                    },
                    Err(_) => &mut *root,
                };
                directory.modified = modified.unwrap_or(directory.modified);
                Ok(())
            }
        }
    }
}

struct OpenFile(Arc<FileNode>);

impl File for OpenFile {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(self.0.metadata())
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.0.lock();
        let content: &[u8] = match &state.content {
            Content::Shared(bytes) => bytes,
            Content::Own(bytes) => bytes,
            Content::Elsewhere { reader, size_bytes } => {
                let (reader, left) = (reader.clone(), size_bytes.saturating_sub(offset));
                // Whoever else looks at the file need not wait until the bytes are here.
                drop(state);
                let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let count = reader.read_at(&mut buffer[..length], offset)?;
                return Ok(count.min(length));
            }
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let count = buffer.len().min(content.len() - start);
        buffer[..count].copy_from_slice(&content[start..start + count]);
        Ok(count)
    }

    fn write_at(&mut self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let end = offset
            .checked_add(buffer.len() as u64)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        let mut state = self.0.lock();
        let old_size_bytes = state.content.size_bytes();
        let own = self
            .0
            .own(&mut state, old_size_bytes.max(offset), old_size_bytes.max(end))?;
        // The size has been checked to fit, so its parts do. What is appended is not filled with zeros before.
        let start = offset as usize;
        let (replacing, appended) = buffer.split_at(buffer.len().min(own.len() - start));
        own[start..start + replacing.len()].copy_from_slice(replacing);
        own.extend_from_slice(appended);
        Ok(buffer.len())
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        self.0.own(&mut self.0.lock(), size_bytes, size_bytes).map(drop)
    }

    fn set_times(&mut self, times: Times) -> io::Result<()> {
        let mut state = self.0.lock();
        state.accessed = times.accessed.unwrap_or(state.accessed);
        state.modified = times.modified.unwrap_or(state.modified);
        Ok(())
    }
}
