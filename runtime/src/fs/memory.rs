//! A file system in memory.

use super::content::{Content, Room};
use super::exceeded::Exceeded;
use super::file_system::{File, FileSystem, OpenOptions, Opened, read_only};
use super::metadata::{DirEntry, FileType, Metadata, Times};
use super::read_at::ReadAt;
use super::write_at::WriteAt;
use crate::limit::Limit;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

/// Files in memory: inputs are shared with their owner without a copy, outputs are handed over.
///
/// A clone is another handle to the same files, so that the caller can keep one while a job has the other.
///
/// Written bytes are stored, and counted towards the limit, in pieces of 256 KiB; only the first piece of a file is as
/// small as the file. A file that was extended without being written to counts by its length. Files and directories
/// without content cost half a KiB each, which does not count towards the limit: programs can make 262,144 of them,
/// with paths of 128 MiB together. All of them count as [`FileSystem::held_bytes`] towards
/// [`Job::host_memory_max_bytes`](crate::Job::host_memory_max_bytes).
#[derive(Clone)]
pub struct MemoryFs {
    shared: Arc<Shared>,
}

struct Shared {
    tree: Mutex<Tree>,
    next_inode: AtomicU64,
    usage: Arc<Usage>,
}

struct Usage {
    room: Room,
    /// The number of files and directories.
    nodes: AtomicU64,
    /// The number of those that programs have made.
    made_nodes: AtomicU64,
}

/// The most files and directories that a program may make.
const NODES_MAX: u64 = 1 << 18;

/// The memory of a file or directory besides its content, with the longest name.
const NODE_SIZE_BYTES: u64 = 768;

/// The limit of names on most hosts.
const NAME_SIZE_MAX_BYTES: usize = 255;

/// The longest path that a program can open.
const PATH_SIZE_MAX_BYTES: u64 = 4096;

/// The longest that all paths of a program's making may be together, so that they can be listed.
const PATHS_SIZE_MAX_BYTES: u64 = 128 << 20;

/// The number of entries of a directory that are read under one lock of the tree.
const VISITED_AT_A_TIME: usize = 256;

/// The place of a file or directory in the count.
struct Counted {
    usage: Arc<Usage>,
    is_made: bool,
}

impl Counted {
    fn new(usage: &Arc<Usage>, is_made: bool) -> Counted {
        usage.nodes.fetch_add(1, Ordering::Relaxed);
        usage.made_nodes.fetch_add(is_made.into(), Ordering::Relaxed);
        Counted {
            usage: usage.clone(),
            is_made,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.usage.nodes.fetch_sub(1, Ordering::Relaxed);
        self.usage.made_nodes.fetch_sub(self.is_made.into(), Ordering::Relaxed);
    }
}

#[derive(Clone)]
enum Node {
    File(Arc<FileNode>),
    Directory(u64),
}

/// All directories, by inode. If each contained the next, dropping and changing them would recurse as deep as a program
/// nests them.
struct Tree {
    directories: HashMap<u64, Directory>,
    /// The lengths of all paths together.
    paths_size_bytes: u64,
}

const ROOT: u64 = 1;

struct Directory {
    /// The root is its own parent.
    parent: u64,
    name_size_bytes: u64,
    modified: SystemTime,
    entries: BTreeMap<Box<str>, Node>,
    /// For each length of a name with its longest path below: the number of entries.
    lengths: BTreeMap<u64, u64>,
    /// The number of files and directories below.
    nodes: u64,
    _counted: Counted,
}

struct FileNode {
    inode: u64,
    state: RwLock<FileState>,
    counted: Counted,
}

struct FileState {
    content: Source,
    accessed: SystemTime,
    modified: SystemTime,
}

enum Source {
    Memory(Content),
    /// Bytes from a caller's reader.
    Reader {
        reader: Arc<dyn ReadAt>,
        size_bytes: u64,
    },
    /// Bytes for a caller's writer.
    Writer {
        writer: Arc<dyn WriteAt>,
        size_bytes: u64,
    },
}

impl Source {
    fn size_bytes(&self) -> u64 {
        match self {
            Source::Memory(content) => content.size_bytes(),
            Source::Reader { size_bytes, .. } | Source::Writer { size_bytes, .. } => *size_bytes,
        }
    }
}

impl MemoryFs {
    /// Creates an empty file system to which this many bytes may be written; shared inputs do not count.
    pub fn new(limit_bytes: u64) -> MemoryFs {
        let usage = Arc::new(Usage {
            room: Room {
                used_bytes: AtomicU64::new(0),
                limit_bytes,
            },
            nodes: AtomicU64::new(0),
            made_nodes: AtomicU64::new(0),
        });
        let root = Directory::new(ROOT, "", Counted::new(&usage, false));
        let tree = Tree {
            directories: HashMap::from([(ROOT, root)]),
            paths_size_bytes: 0,
        };
        MemoryFs {
            shared: Arc::new(Shared {
                tree: Mutex::new(tree),
                next_inode: AtomicU64::new(ROOT + 1),
                usage,
            }),
        }
    }

    /// Adds a file, and the directories in its path, without copying the bytes.
    pub fn add_file(&self, path: &str, content: impl Into<Bytes>) -> io::Result<()> {
        self.add(path, Source::Memory(Content::shared(content.into())))
    }

    /// Adds a file whose bytes are read when a program reads them. It cannot be written to.
    pub fn add_reader(&self, path: &str, reader: Arc<dyn ReadAt>) -> io::Result<()> {
        let size_bytes = reader.size_bytes()?;
        self.add(path, Source::Reader { reader, size_bytes })
    }

    /// Adds an empty file whose bytes are passed on as a program writes them, and not kept.
    ///
    /// Its size is the end of the furthest write. It can be read if the writer can.
    pub fn add_writer(&self, path: &str, writer: Arc<dyn WriteAt>) -> io::Result<()> {
        self.add(path, Source::Writer { writer, size_bytes: 0 })
    }

    fn add(&self, path: &str, content: Source) -> io::Result<()> {
        let mut parts: Vec<&str> = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        let name = parts.pop().ok_or(io::ErrorKind::InvalidInput)?;
        if name == ".." || parts.contains(&"..") {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if path.len() as u64 > PATH_SIZE_MAX_BYTES {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let mut tree = self.lock();
        let mut directory = ROOT;
        for part in parts {
            directory = match tree.get(directory)?.entries.get(part) {
                Some(Node::Directory(next)) => *next,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => self.make_directory(&mut tree, directory, part, false)?,
            };
        }
        match tree.get(directory)?.entries.get(name) {
            Some(Node::Directory(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(Node::File(_)) => drop(tree.remove(directory, name)?),
            None => {}
        }
        let file = self.new_file(content, false);
        tree.insert(directory, name, Node::File(file))
    }

    /// Returns the bytes of a file, which stays.
    ///
    /// They are not copied if a program has not written to the file, or has written no more than 256 KiB; otherwise
    /// they are copied once, and a second call returns the same bytes. A program that continues to write to the file
    /// works on copies of the pieces that it changes.
    pub fn read_file(&self, path: &str) -> io::Result<Bytes> {
        let file = self.lock().file(path)?;
        file.share()
    }

    /// Removes a file and returns its bytes.
    ///
    /// As with [`read_file`](MemoryFs::read_file), more than 256 KiB of written bytes are copied: piece by piece, each
    /// freed after it has been copied, so that no second copy has to fit in memory.
    pub fn take_file(&self, path: &str) -> io::Result<Bytes> {
        let file = self.lock().file(path)?;
        // Other calls can run meanwhile: the lock of the tree is not held during the copy.
        let bytes = file.share()?;
        let mut tree = self.lock();
        let place = tree.walk(path)?;
        if let Some(Node::File(found)) = &place.node
            && Arc::ptr_eq(found, &file)
        {
            tree.remove(place.parent, place.name)?;
        }
        Ok(bytes)
    }

    /// Returns the paths and sizes in bytes of all files, sorted by path.
    ///
    /// Programs can create at most 128 MiB of paths.
    pub fn files(&self) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        let tree = self.lock();
        let mut directories = vec![(String::new(), ROOT)];
        while let Some((prefix, directory)) = directories.pop() {
            let Some(directory) = tree.directories.get(&directory) else {
                continue;
            };
            for (name, node) in &directory.entries {
                let path = format!("{prefix}{name}");
                match node {
                    Node::File(file) => files.push((path, file.read().content.size_bytes())),
                    Node::Directory(directory) => directories.push((path + "/", *directory)),
                }
            }
        }
        files.sort();
        files
    }

    /// Returns the bytes in files that programs have written, as they count towards the limit.
    pub fn used_bytes(&self) -> u64 {
        self.shared.usage.room.used_bytes.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.shared.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_inode(&self) -> u64 {
        self.shared.next_inode.fetch_add(1, Ordering::Relaxed)
    }

    fn make_directory(&self, tree: &mut Tree, parent: u64, name: &str, is_made: bool) -> io::Result<u64> {
        let inode = self.next_inode();
        let counted = Counted::new(&self.shared.usage, is_made);
        tree.directories.insert(inode, Directory::new(parent, name, counted));
        tree.insert(parent, name, Node::Directory(inode))?;
        Ok(inode)
    }

    fn new_file(&self, content: Source, is_made: bool) -> Arc<FileNode> {
        let now = SystemTime::now();
        let state = RwLock::new(FileState {
            content,
            accessed: now,
            modified: now,
        });
        Arc::new(FileNode {
            inode: self.next_inode(),
            state,
            counted: Counted::new(&self.shared.usage, is_made),
        })
    }

    /// Checks that a program may create one more file or directory there.
    fn check_new(&self, tree: &Tree, parent: u64, name: &str) -> io::Result<()> {
        let path_size_bytes = tree.path_size_bytes(parent) + name.len() as u64;
        if name.len() > NAME_SIZE_MAX_BYTES || path_size_bytes > PATH_SIZE_MAX_BYTES {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let nodes = self.shared.usage.nodes.load(Ordering::Relaxed) + 1;
        if nodes > NODES_MAX {
            return Err(Exceeded::new(Limit::FileSystem, NODES_MAX, nodes).into());
        }
        tree.check_paths(path_size_bytes)
    }
}

impl fmt::Debug for MemoryFs {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let usage = &self.shared.usage;
        formatter
            .debug_struct("MemoryFs")
            .field("nodes", &usage.nodes.load(Ordering::Relaxed))
            .field("used_bytes", &self.used_bytes())
            .field("limit_bytes", &usage.room.limit_bytes)
            .finish()
    }
}

/// The end of a path: the node, if there is one, and the directory that contains it or would.
struct Place<'p> {
    parent: u64,
    /// Empty for the root.
    name: &'p str,
    node: Option<Node>,
}

impl Directory {
    fn new(parent: u64, name: &str, counted: Counted) -> Directory {
        Directory {
            parent,
            name_size_bytes: name.len() as u64,
            modified: SystemTime::now(),
            entries: BTreeMap::new(),
            lengths: BTreeMap::new(),
            nodes: 0,
            _counted: counted,
        }
    }

    /// The length of the longest path below.
    fn longest(&self) -> u64 {
        self.lengths.last_key_value().map_or(0, |(length, _)| *length)
    }

    fn metadata(&self, inode: u64) -> Metadata {
        let times = Some(self.modified);
        Metadata {
            accessed: times,
            modified: times,
            changed: times,
            ..Metadata::new(FileType::Directory, 0, inode)
        }
    }
}

/// The length of a name together with the longest path below it.
fn reach(name_size_bytes: u64, longest: u64) -> u64 {
    name_size_bytes + if longest > 0 { 1 + longest } else { 0 }
}

impl Tree {
    fn get(&self, inode: u64) -> io::Result<&Directory> {
        Ok(self.directories.get(&inode).ok_or(io::ErrorKind::NotFound)?)
    }

    fn get_mut(&mut self, inode: u64) -> io::Result<&mut Directory> {
        Ok(self.directories.get_mut(&inode).ok_or(io::ErrorKind::NotFound)?)
    }

    /// Resolves a path. All but its last part must be existing directories.
    fn walk<'p>(&self, path: &'p str) -> io::Result<Place<'p>> {
        let mut above: Vec<(u64, &str)> = Vec::new();
        let mut node = Some(Node::Directory(ROOT));
        for part in path.split('/').filter(|part| *part != ".") {
            let directory = match node {
                Some(Node::Directory(directory)) => directory,
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => return Err(io::ErrorKind::NotFound.into()),
            };
            if part == ".." {
                // The root is its own parent.
                let parent = above.pop().map_or(ROOT, |(parent, _)| parent);
                node = Some(Node::Directory(parent));
            } else {
                above.push((directory, part));
                node = self.get(directory)?.entries.get(part).cloned();
            }
        }
        let (parent, name) = above.pop().unwrap_or((ROOT, ""));
        Ok(Place { parent, name, node })
    }

    fn file(&self, path: &str) -> io::Result<Arc<FileNode>> {
        match self.walk(path)?.node {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Directory(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// A directory and those that hold it, up to the root.
    fn upwards(&self, directory: u64) -> impl Iterator<Item = u64> {
        let parent = |inode: &u64| {
            let parent = self.directories.get(inode)?.parent;
            (*inode != ROOT).then_some(parent)
        };
        std::iter::successors(Some(directory), parent)
    }

    /// The length of what comes before the names in a directory.
    fn path_size_bytes(&self, directory: u64) -> u64 {
        let directories = self.upwards(directory).filter(|inode| *inode != ROOT);
        let sizes = directories.filter_map(|inode| Some(self.directories.get(&inode)?.name_size_bytes + 1));
        sizes.sum()
    }

    fn check_paths(&self, more_bytes: u64) -> io::Result<()> {
        let wanted_bytes = self.paths_size_bytes.saturating_add(more_bytes);
        if wanted_bytes > PATHS_SIZE_MAX_BYTES {
            return Err(Exceeded::new(Limit::FileSystem, PATHS_SIZE_MAX_BYTES, wanted_bytes).into());
        }
        Ok(())
    }

    /// Returns the number of nodes of a subtree, and the length of its longest path from this name.
    fn extent(&self, name: &str, node: &Node) -> (u64, u64) {
        let directory = match node {
            Node::File(_) => None,
            Node::Directory(inode) => self.directories.get(inode),
        };
        let (nodes, longest) = directory.map_or((0, 0), |directory| (directory.nodes, directory.longest()));
        (nodes + 1, reach(name.len() as u64, longest))
    }

    fn insert(&mut self, parent: u64, name: &str, node: Node) -> io::Result<()> {
        let (nodes, length) = self.extent(name, &node);
        let path_size_bytes = self.path_size_bytes(parent) + name.len() as u64;
        if let Node::Directory(inode) = &node {
            let directory = self.get_mut(*inode)?;
            (directory.parent, directory.name_size_bytes) = (parent, name.len() as u64);
        }
        let directory = self.get_mut(parent)?;
        directory.entries.insert(name.into(), node);
        directory.modified = SystemTime::now();
        self.paths_size_bytes += nodes * path_size_bytes;
        self.change(parent, None, Some(length), |count| count + nodes);
        Ok(())
    }

    /// Removes a node from its directory; a directory that is not inserted again must be forgotten.
    fn remove(&mut self, parent: u64, name: &str) -> io::Result<Node> {
        let directory = self.get_mut(parent)?;
        let node = directory.entries.remove(name).ok_or(io::ErrorKind::NotFound)?;
        directory.modified = SystemTime::now();
        let (nodes, length) = self.extent(name, &node);
        let path_size_bytes = self.path_size_bytes(parent) + name.len() as u64;
        self.paths_size_bytes = self.paths_size_bytes.saturating_sub(nodes * path_size_bytes);
        self.change(parent, Some(length), None, |count| count.saturating_sub(nodes));
        Ok(node)
    }

    /// Carries a change in a directory up to the root.
    fn change(
        &mut self,
        directory: u64,
        mut removed_length: Option<u64>,
        mut added_length: Option<u64>,
        count: impl Fn(u64) -> u64,
    ) {
        let mut inode = directory;
        while let Some(directory) = self.directories.get_mut(&inode) {
            let before = directory.longest();
            if let Some(length) = removed_length
                && let Some(count) = directory.lengths.get_mut(&length)
            {
                *count -= 1;
                if *count == 0 {
                    directory.lengths.remove(&length);
                }
            }
            if let Some(length) = added_length {
                *directory.lengths.entry(length).or_default() += 1;
            }
            directory.nodes = count(directory.nodes);
            let after = directory.longest();
            if inode == ROOT {
                return;
            }
            (removed_length, added_length) = match before == after {
                true => (None, None),
                false => (
                    Some(reach(directory.name_size_bytes, before)),
                    Some(reach(directory.name_size_bytes, after)),
                ),
            };
            inode = directory.parent;
        }
    }
}

impl FileNode {
    fn read(&self) -> RwLockReadGuard<'_, FileState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, FileState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self) -> &Room {
        &self.counted.usage.room
    }

    fn metadata(&self) -> Metadata {
        let state = self.read();
        Metadata {
            accessed: Some(state.accessed),
            modified: Some(state.modified),
            changed: Some(state.modified),
            ..Metadata::new(FileType::File, state.content.size_bytes(), self.inode)
        }
    }

    fn share(&self) -> io::Result<Bytes> {
        match &mut self.write().content {
            Source::Memory(content) => content.share(self.room()),
            Source::Reader { .. } | Source::Writer { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn set_len(&self, size_bytes: u64) -> io::Result<()> {
        let mut state = self.write();
        match &mut state.content {
            Source::Memory(content) => content.set_len(self.room(), size_bytes)?,
            // A program that replaces the whole file may; to change a part, all of it would have to be read.
            Source::Reader { .. } if size_bytes == 0 => state.content = Source::Memory(Content::default()),
            Source::Reader { .. } => return Err(read_only()),
            Source::Writer { size_bytes: old, .. } if *old == size_bytes => {}
            Source::Writer {
                writer,
                size_bytes: old,
            } => {
                writer.set_len(size_bytes)?;
                *old = size_bytes;
            }
        }
        state.modified = SystemTime::now();
        Ok(())
    }

    /// Writes at an offset, or at the end; returns where that was, and how many bytes.
    fn write_at(&self, buffer: &[u8], offset: Option<u64>) -> io::Result<(u64, usize)> {
        let mut state = self.write();
        let is_appended = offset.is_none();
        let offset = offset.unwrap_or_else(|| state.content.size_bytes());
        if buffer.is_empty() {
            return Ok((offset, 0));
        }
        let count = match &mut state.content {
            Source::Memory(content) => {
                content.write(self.room(), buffer, offset)?;
                buffer.len()
            }
            Source::Reader { .. } => return Err(read_only()),
            Source::Writer { writer, .. } => {
                let writer = writer.clone();
                // An append keeps the lock during the write. Other writes release it, so that the size can be queried
                // meanwhile.
                let count = match is_appended {
                    true => writer.write_at(buffer, offset)?,
                    false => {
                        drop(state);
                        let count = writer.write_at(buffer, offset)?;
                        state = self.write();
                        count
                    }
                };
                let count = count.min(buffer.len());
                if let Source::Writer { size_bytes, .. } = &mut state.content {
                    *size_bytes = (*size_bytes).max(offset.saturating_add(count as u64));
                }
                count
            }
        };
        state.modified = SystemTime::now();
        Ok((offset, count))
    }
}

impl Drop for FileNode {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Source::Memory(content) = &state.content {
            self.counted.usage.room.give_back(content.counted_bytes());
        }
    }
}

impl FileSystem for MemoryFs {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        let mut tree = self.lock();
        let place = tree.walk(path)?;
        match place.node {
            Some(_) if options.exclusive => Err(io::ErrorKind::AlreadyExists.into()),
            Some(Node::Directory(_)) if options.changes() => Err(io::ErrorKind::IsADirectory.into()),
            Some(Node::Directory(_)) => Ok(Opened::Directory),
            Some(Node::File(_)) if options.directory => Err(io::ErrorKind::NotADirectory.into()),
            Some(Node::File(file)) => {
                drop(tree);
                if options.truncate {
                    file.set_len(0)?;
                }
                Ok(Opened::File(Box::new(OpenFile(file))))
            }
            None if options.create => {
                self.check_new(&tree, place.parent, place.name)?;
                let file = self.new_file(Source::Memory(Content::default()), true);
                tree.insert(place.parent, place.name, Node::File(file.clone()))?;
                Ok(Opened::File(Box::new(OpenFile(file))))
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn metadata(&self, path: &str, _follow_links: bool) -> io::Result<Metadata> {
        let tree = self.lock();
        match tree.walk(path)?.node {
            Some(Node::File(file)) => {
                drop(tree);
                Ok(file.metadata())
            }
            Some(Node::Directory(inode)) => Ok(tree.get(inode)?.metadata(inode)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
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
        let directory = match self.lock().walk(path)?.node {
            Some(Node::Directory(directory)) => directory,
            Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        let mut last: Option<Box<str>> = None;
        loop {
            let after = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let entries: Vec<DirEntry> = match self.lock().directories.get(&directory) {
                Some(directory) => {
                    let rest = directory.entries.range::<str, _>((after, Bound::Unbounded));
                    let rest = rest.take(VISITED_AT_A_TIME);
                    rest.map(|(name, node)| match node {
                        Node::File(file) => DirEntry::new(&**name, file.inode, FileType::File),
                        Node::Directory(inode) => DirEntry::new(&**name, *inode, FileType::Directory),
                    })
                    .collect()
                }
                // It was removed meanwhile.
                None => return Ok(()),
            };
            let Some(entry) = entries.last() else { return Ok(()) };
            last = Some(entry.name.as_str().into());
            entries.into_iter().try_for_each(&mut *visit)?;
        }
    }

    fn held_bytes(&self) -> u64 {
        let made_nodes = self.shared.usage.made_nodes.load(Ordering::Relaxed);
        self.used_bytes().saturating_add(made_nodes * NODE_SIZE_BYTES)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let mut tree = self.lock();
        let place = tree.walk(path)?;
        if place.node.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.check_new(&tree, place.parent, place.name)?;
        self.make_directory(&mut tree, place.parent, place.name, true).map(drop)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let mut tree = self.lock();
        let place = tree.walk(path)?;
        match place.node {
            _ if place.name.is_empty() => Err(io::ErrorKind::InvalidInput.into()),
            Some(Node::Directory(inode)) if tree.get(inode)?.entries.is_empty() => {
                tree.remove(place.parent, place.name)?;
                tree.directories.remove(&inode);
                Ok(())
            }
            Some(Node::Directory(_)) => Err(io::ErrorKind::DirectoryNotEmpty.into()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove_file(&self, path: &str) -> io::Result<()> {
        let mut tree = self.lock();
        tree.file(path)?;
        let place = tree.walk(path)?;
        let node = tree.remove(place.parent, place.name)?;
        // Freeing gigabytes takes a moment, in which other calls can run.
        drop(tree);
        drop(node);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut tree = self.lock();
        let (from, to) = (tree.walk(from)?, tree.walk(to)?);
        let source = from.node.ok_or(io::ErrorKind::NotFound)?;
        if from.name.is_empty() || to.name.is_empty() {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        if (from.parent, from.name) == (to.parent, to.name) {
            return Ok(());
        }
        // In Linux's order, which counts where several of these hold.
        match (&source, &to.node) {
            (Node::Directory(source), _) if tree.upwards(to.parent).any(|inode| inode == *source) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            (_, Some(Node::Directory(target))) if tree.upwards(from.parent).any(|inode| inode == *target) => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            (Node::File(_), Some(Node::Directory(_))) => return Err(io::ErrorKind::IsADirectory.into()),
            (Node::Directory(_), Some(Node::File(_))) => return Err(io::ErrorKind::NotADirectory.into()),
            (_, Some(Node::Directory(target))) if !tree.get(*target)?.entries.is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        let (nodes, length) = tree.extent(to.name, &source);
        let above_bytes = tree.path_size_bytes(to.parent);
        if to.name.len() > NAME_SIZE_MAX_BYTES || above_bytes + length > PATH_SIZE_MAX_BYTES {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let old_path_bytes = tree.path_size_bytes(from.parent) + from.name.len() as u64;
        let longer_bytes = (above_bytes + to.name.len() as u64).saturating_sub(old_path_bytes);
        if longer_bytes > 0 {
            tree.check_paths(nodes * longer_bytes)?;
        }
        if let Some(target) = to.node {
            tree.remove(to.parent, to.name)?;
            if let Node::Directory(inode) = target {
                tree.directories.remove(&inode);
            }
        }
        tree.remove(from.parent, from.name)?;
        tree.insert(to.parent, to.name, source)
    }

    fn set_times(&self, path: &str, _follow_links: bool, times: Times) -> io::Result<()> {
        let mut tree = self.lock();
        match tree.walk(path)?.node {
            Some(Node::File(file)) => OpenFile(file).set_times(times),
            Some(Node::Directory(inode)) => {
                let directory = tree.get_mut(inode)?;
                directory.modified = times.modified.unwrap_or(directory.modified);
                Ok(())
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

struct OpenFile(Arc<FileNode>);

impl File for OpenFile {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(self.0.metadata())
    }

    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.0.read();
        let left = |size_bytes: &u64| {
            let left = size_bytes.saturating_sub(offset);
            buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX))
        };
        // Other readers of the file need not wait until the bytes are here.
        match &state.content {
            Source::Memory(content) => Ok(content.read(buffer, offset)),
            Source::Reader { reader, size_bytes } => {
                let (reader, length) = (reader.clone(), left(size_bytes));
                drop(state);
                let count = reader.read_at(&mut buffer[..length], offset)?;
                Ok(count.min(length))
            }
            Source::Writer { writer, size_bytes } => {
                let (writer, length) = (writer.clone(), left(size_bytes));
                drop(state);
                let count = writer.read_at(&mut buffer[..length], offset)?;
                Ok(count.min(length))
            }
        }
    }

    fn write_at(&mut self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(buffer, Some(offset)).map(|(_, count)| count)
    }

    fn append(&mut self, buffer: &[u8]) -> io::Result<(u64, usize)> {
        self.0.write_at(buffer, None)
    }

    fn set_len(&mut self, size_bytes: u64) -> io::Result<()> {
        self.0.set_len(size_bytes)
    }

    fn growth_bytes(&self, offset: u64, length_bytes: u64) -> u64 {
        match &self.0.read().content {
            // Bytes beyond the limit are refused, and never held.
            Source::Memory(content) => {
                let room = self.0.room();
                let left_bytes = room.limit_bytes.saturating_sub(room.used_bytes.load(Ordering::Relaxed));
                content.growth_bytes(offset, length_bytes).min(left_bytes)
            }
            Source::Reader { .. } | Source::Writer { .. } => 0,
        }
    }

    fn set_times(&mut self, times: Times) -> io::Result<()> {
        let mut state = self.0.write();
        state.accessed = times.accessed.unwrap_or(state.accessed);
        state.modified = times.modified.unwrap_or(state.modified);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let writer = match &self.0.read().content {
            Source::Writer { writer, .. } => writer.clone(),
            Source::Memory(_) | Source::Reader { .. } => return Ok(()),
        };
        writer.sync()
    }
}
