//! The host's names as a job sees them.

use super::file_system::{FileSystem, OpenOptions, Opened};
use super::host::HostDir;
use super::metadata::{DirEntry, FileType, Metadata};
use super::surrounding::Surrounding;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// A tree of names in which a job finds files by the same names as the host, and only the places that it was given.
///
/// Relative and absolute paths mean what they mean to a native program in the current directory, whichever places are
/// given: `..` leads to the directory above, a place may lie in another, and a link leads to its target wherever that is
/// within a given place. Nothing else of the host is there.
///
/// What lies below a place's name is that place's alone: of another one that it lies in, neither a link nor an open
/// directory leads to what is there on the host, and a directory on the way to it is neither renamed nor removed.
///
/// ```
/// # use afmpeg::{HostDir, Job, Tree};
/// # fn main() -> std::io::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let media = folder.path();
/// let tree = Tree::new("/home/me/work").host_dir("/media", HostDir::read_only(media)?);
/// let job = Job::new(["ffprobe", "../../../media/in.mp4"]).tree(tree);
/// # Ok(())
/// # }
/// ```
///
/// The C library of a program asks for `/tmp/a` and for `tmp/a` in the same words. Where both could be meant, the names
/// given to [`mentions`](Tree::mentions) decide, and then which of the two exists.
#[derive(Clone)]
pub struct Tree {
    current: String,
    places: Vec<Place>,
    mentioned: Vec<Mentioned>,
    web: Option<Arc<dyn FileSystem>>,
    refused: Arc<Mutex<BTreeSet<Refused>>>,
}

#[derive(Clone)]
struct Place {
    name: String,
    file_system: Arc<dyn FileSystem>,
    /// The same as a directory of the host, whose links may lead to another place.
    host: Option<Arc<HostDir>>,
    /// Whether another place lies in this one.
    holds_others: bool,
}

#[derive(Clone)]
struct Mentioned {
    path: String,
    is_absolute: bool,
}

/// A path that a program asked for in vain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Refused {
    /// The absolute path.
    pub path: String,
    /// It was to be written, or made.
    pub for_writing: bool,
}

/// The file system behind a path, and the path in it.
pub(crate) struct Found {
    pub file_system: Arc<dyn FileSystem>,
    pub path: String,
    /// The absolute path that this is.
    pub name: String,
}

/// A hostile program can ask for names without end.
const REFUSED_MAX: usize = 64;

/// As many as Linux follows.
const LINKS_MAX: usize = 40;

impl Tree {
    /// A tree without any files, for a program whose current directory has this absolute name.
    pub fn new(current: impl AsRef<str>) -> Tree {
        Tree {
            current: clean("", current.as_ref()),
            places: Vec::new(),
            mentioned: Vec::new(),
            web: None,
            refused: Arc::default(),
        }
    }

    /// Gives a file system under a name, which is relative to the current directory unless it is absolute. Of places
    /// with the same name the last one counts.
    pub fn place(mut self, name: impl AsRef<str>, file_system: Arc<dyn FileSystem>) -> Tree {
        let name = self.absolute(name.as_ref());
        self.put(name, file_system, None);
        self
    }

    /// Gives a directory of the host under a name.
    pub fn host_dir(mut self, name: impl AsRef<str>, dir: HostDir) -> Tree {
        let name = self.absolute(name.as_ref());
        let dir = Arc::new(dir);
        self.put(name, dir.clone(), Some(dir));
        self
    }

    /// Gives a file system whose files have the addresses of web servers as their names, `https://host/path`.
    ///
    /// FFmpeg's programs take such a name for a file's if it follows `file:`.
    pub fn web(mut self, file_system: Arc<dyn FileSystem>) -> Tree {
        self.web = Some(file_system);
        self
    }

    fn put(&mut self, name: String, file_system: Arc<dyn FileSystem>, host: Option<Arc<HostDir>>) {
        self.places.retain(|place| place.name != name);
        let holds_others = self.leads_to_place(&name);
        for place in &mut self.places {
            place.holds_others |= below(&place.name, &name).is_some();
        }
        self.places.push(Place {
            name,
            file_system,
            host,
            holds_others,
        });
    }

    /// Adds the last places, for a job. In a directory of the host that holds others, links are from now on for the tree
    /// alone to follow.
    pub(crate) fn with_places(self, places: impl IntoIterator<Item = (String, Arc<dyn FileSystem>)>) -> Tree {
        let places = places.into_iter();
        let mut tree = places.fold(self, |tree, (name, file_system)| tree.place(name, file_system));
        let around = |outer: &Place| -> Option<Arc<dyn FileSystem>> {
            let dir = outer.host.as_ref().filter(|_| outer.holds_others)?;
            let hidden = tree.places.iter().filter_map(|inner| {
                let path = below(&outer.name, &inner.name).filter(|path| *path != ".")?;
                dir.hidden_by(path, inner.host.as_deref())
            });
            Some(Arc::new(Surrounding {
                dir: dir.clone(),
                hidden: hidden.collect(),
            }))
        };
        let around: Vec<_> = tree.places.iter().map(around).collect();
        for (place, around) in tree.places.iter_mut().zip(around) {
            place.file_system = around.unwrap_or_else(|| place.file_system.clone());
        }
        tree
    }

    /// Tells which paths the program's arguments mention, for the choice between an absolute and a relative one.
    pub fn mentions(mut self, paths: impl IntoIterator<Item = impl AsRef<str>>) -> Tree {
        self.mentioned.extend(paths.into_iter().map(|path| Mentioned {
            path: clean("", path.as_ref()),
            is_absolute: is_absolute(path.as_ref()),
        }));
        self
    }

    /// The paths outside of all places that the program asked for, and those that it was to write in one that is only
    /// read. All clones of a tree share them; at most 64 are kept.
    pub fn refused(&self) -> Vec<Refused> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.iter().cloned().collect()
    }

    pub(crate) fn refuse(&self, name: &str, for_writing: bool) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < REFUSED_MAX {
            refused.insert(Refused {
                path: format!("/{name}"),
                for_writing,
            });
        }
    }

    pub(crate) fn file_systems(&self) -> impl Iterator<Item = &Arc<dyn FileSystem>> {
        self.places.iter().map(|place| &place.file_system).chain(&self.web)
    }

    fn absolute(&self, path: &str) -> String {
        match is_absolute(path) {
            true => clean("", path),
            false => clean(&self.current, path),
        }
    }

    /// Finds what a program means by a path that has lost its first slash, if it had one.
    pub(crate) fn locate(&self, path: &str, follow_last: bool) -> io::Result<Found> {
        if let Some(web) = self.web.as_ref().filter(|_| is_web(path)) {
            return Ok(Found {
                file_system: web.clone(),
                path: path.to_owned(),
                name: path.to_owned(),
            });
        }
        let relative = clean(&self.current, path);
        let climbs = path.split('/').any(|part| part == "..");
        let begins_here = matches!(path.split('/').next(), Some("." | ".."));
        let name = match self.current.is_empty() || begins_here {
            true => relative,
            false => self.choose(&clean("", path), relative),
        };
        if climbs {
            // What `link/..` is depends on where the link leads.
            let whole = match begins_here || !is_absolute_as(&name, path) {
                true => format!("{}/{path}", self.current),
                false => path.to_owned(),
            };
            return self.walk(&whole, follow_last);
        }
        self.find(&name, follow_last)
    }

    /// Finds what a path means below a directory, of which this is the absolute name.
    pub(crate) fn locate_below(&self, directory: &str, path: &str, follow_last: bool) -> io::Result<Found> {
        match path.split('/').any(|part| part == "..") {
            true => self.walk(&format!("{directory}/{path}"), follow_last),
            false => self.find(&clean(directory, path), follow_last),
        }
    }

    /// Whether this is a directory on the way to a place.
    pub(crate) fn leads_to_place(&self, name: &str) -> bool {
        let mut places = self.places.iter().map(|place| &*place.name);
        places.any(|place| place != name && below(name, place).is_some())
    }

    /// The places that lie in a directory, as its entries.
    pub(crate) fn places_in(&self, name: &str) -> Vec<DirEntry> {
        let inside = self.places.iter().filter_map(|place| {
            let entry = below(name, &place.name).filter(|path| *path != "." && !path.contains('/'))?;
            let metadata = place.file_system.metadata(".", true).ok()?;
            Some(DirEntry::new(entry, metadata.inode, metadata.file_type))
        });
        inside.collect()
    }

    /// Finds what an absolute name without `..` means.
    fn find(&self, name: &str, follow_last: bool) -> io::Result<Found> {
        // A link in a place that holds others may lead into these without leaving it.
        if self.innermost(name).is_some_and(|(place, _)| place.holds_others) {
            return self.walk(name, follow_last);
        }
        let found = self.at(name);
        match found.file_system.metadata(&found.path, follow_last) {
            // A link leads out of its place, maybe into another.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.walk(name, follow_last),
            _ => Ok(found),
        }
    }

    /// Chooses between an absolute path and a relative one, both as absolute names.
    fn choose(&self, absolute: &str, relative: String) -> String {
        let likeness = |wanted: bool| {
            let mentioned = self.mentioned.iter();
            let mentioned = mentioned.filter(|mentioned| mentioned.is_absolute == wanted);
            mentioned.map(|mentioned| likeness(&mentioned.path, absolute)).max()
        };
        let exists = |name: &str| {
            let found = self.find(name, false);
            found.is_ok_and(|found| found.file_system.metadata(&found.path, false).is_ok())
        };
        let is_relative = match likeness(false).unwrap_or(0).cmp(&likeness(true).unwrap_or(0)) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal if !self.is_known(absolute) => true,
            Ordering::Equal => self.is_known(&relative) && exists(&relative) && !exists(absolute),
        };
        if is_relative { relative } else { absolute.to_owned() }
    }

    /// Whether a name is in a place, or on the way to one.
    fn is_known(&self, name: &str) -> bool {
        self.places
            .iter()
            .any(|place| below(&place.name, name).is_some() || below(name, &place.name).is_some())
    }

    /// The place that a name is in, without following links, and the path there.
    fn innermost<'a>(&self, name: &'a str) -> Option<(&Place, &'a str)> {
        let places = self
            .places
            .iter()
            .filter_map(|place| Some((place, below(&place.name, name)?)));
        places.max_by_key(|(place, _)| place.name.len())
    }

    /// The file system that a name is in, without following links.
    fn at(&self, name: &str) -> Found {
        match self.innermost(name) {
            Some((place, path)) => Found {
                file_system: place.file_system.clone(),
                path: path.to_owned(),
                name: name.to_owned(),
            },
            None => Found {
                file_system: Arc::new(Between { tree: self.clone() }),
                path: if name.is_empty() { "." } else { name }.to_owned(),
                name: name.to_owned(),
            },
        }
    }

    /// Follows a path part by part, over links from one place into another.
    fn walk(&self, path: &str, follow_last: bool) -> io::Result<Found> {
        let mut left: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut name = String::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            let here = match &*part {
                "" | "." => continue,
                ".." => {
                    name.truncate(name.rfind('/').unwrap_or(0));
                    continue;
                }
                _ if name.is_empty() => part,
                _ => format!("{name}/{part}"),
            };
            let is_last = left.iter().all(|part| matches!(&**part, "" | "."));
            let target = match is_last && !follow_last {
                true => None,
                false => self.link_target(&here)?.filter(|_| !self.is_on_the_way(&here, &left)),
            };
            let Some(target) = target else {
                name = here;
                continue;
            };
            links += 1;
            if links > LINKS_MAX {
                return Err(too_many_links());
            }
            if is_absolute(&target) {
                name.clear();
            }
            left.extend(target.split('/').rev().map(str::to_owned));
        }
        Ok(self.at(&name))
    }

    fn link_target(&self, name: &str) -> io::Result<Option<String>> {
        let Some((place, path)) = self.innermost(name) else {
            return Ok(None);
        };
        match &place.host {
            Some(host) => host.link_target(path),
            None => Ok(place.file_system.read_link(path).ok()),
        }
    }

    /// Whether a link with the parts that follow it, the first one last, is the name that a place was given.
    fn is_on_the_way(&self, link: &str, left: &[String]) -> bool {
        let places = self.places.iter().filter_map(|place| below(link, &place.name));
        let mut places = places.filter(|path| *path != ".");
        places.any(|path| {
            let mut parts = left.iter().rev().filter(|part| !matches!(&***part, "" | "."));
            path.split('/')
                .all(|wanted| parts.next().is_some_and(|part| part == wanted))
        })
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let places = self.places.iter().map(|place| format!("/{}", place.name));
        formatter
            .debug_struct("Tree")
            .field("current", &format_args!("/{}", self.current))
            .field("places", &places.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(unix)]
fn too_many_links() -> io::Error {
    rustix::io::Errno::LOOP.into()
}

/// The error that a user sees who may not write somewhere.
#[cfg(unix)]
fn forbidden() -> io::Error {
    rustix::io::Errno::ACCESS.into()
}

#[cfg(not(unix))]
fn forbidden() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

#[cfg(not(unix))]
fn too_many_links() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// On Windows, `C:/x` is absolute; a program's C library takes it for relative, and leaves it as it is.
fn is_absolute(path: &str) -> bool {
    path.starts_with('/') || (cfg!(windows) && path.as_bytes().get(1) == Some(&b':'))
}

fn is_web(path: &str) -> bool {
    path.starts_with("https://") || path.starts_with("http://")
}

/// Whether an absolute name is what the path is without the current directory.
fn is_absolute_as(name: &str, path: &str) -> bool {
    clean("", path) == name
}

/// A path below a directory without empty parts, `.` and `..`; at the root, `..` is the root. No slash comes first.
fn clean(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A name's path in a directory, `.` for the directory itself.
fn below<'a>(directory: &str, name: &'a str) -> Option<&'a str> {
    let rest = name.strip_prefix(directory)?;
    match (directory.is_empty(), rest) {
        (_, "") => Some("."),
        (true, rest) => Some(rest),
        (false, rest) => rest.strip_prefix('/'),
    }
}

/// How much a path is like a mentioned one: nothing outside of its directory, otherwise as many bytes as they share, so
/// that what is made beside a file (`out0.ts` beside `out.m3u8`) or after a pattern (`a%03d.png`) is told.
fn likeness(mentioned: &str, path: &str) -> usize {
    let directory = mentioned.rfind('/').map_or("", |end| &mentioned[..end]);
    match below(directory, path) {
        _ if mentioned == path => usize::MAX,
        Some(_) if !directory.is_empty() => {
            let shared = mentioned.bytes().zip(path.bytes());
            shared.take_while(|(one, other)| one == other).count()
        }
        _ => 0,
    }
}

/// The directories on the way to places, and everything that is nowhere.
struct Between {
    tree: Tree,
}

impl Between {
    /// The names in a directory that is on the way to a place.
    fn entries(&self, path: &str) -> io::Result<BTreeMap<String, FileType>> {
        let directory = if path == "." { "" } else { path };
        let places = self
            .tree
            .places
            .iter()
            .filter_map(|place| below(directory, &place.name));
        let first = |path: &str| path.split('/').next().unwrap_or(path).to_owned();
        let entries: BTreeMap<_, _> = places.map(|path| (first(path), FileType::Directory)).collect();
        match entries.is_empty() && !directory.is_empty() {
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(entries),
        }
    }
}

impl FileSystem for Between {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        if self.entries(path).is_ok() {
            return match options.changes() {
                true => Err(io::ErrorKind::IsADirectory.into()),
                false => Ok(Opened::Directory),
            };
        }
        self.tree.refuse(path, options.changes());
        Err(match options.create {
            true => forbidden(),
            false => io::ErrorKind::NotFound.into(),
        })
    }

    fn metadata(&self, path: &str, _follow_links: bool) -> io::Result<Metadata> {
        self.entries(path)?;
        Ok(Metadata::new(FileType::Directory, 0, 1))
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        let entries = self.entries(path)?.into_iter().zip(2..);
        Ok(entries
            .map(|((name, kind), inode)| DirEntry::new(name, inode, kind))
            .collect())
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.tree.refuse(path, true);
        Err(forbidden())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::fs::MemoryFs;
    use std::os::unix::fs::symlink;

    /// A tree in `/home/me` with a file `tmp/a` in the current directory and one in `/tmp`.
    fn tree(current: &str, relative: &[&str], absolute: &[&str]) -> Tree {
        let memory = |names: &[&str]| {
            let files = MemoryFs::new(1 << 20);
            for name in names {
                files.add_file(name, name.as_bytes().to_vec()).unwrap();
            }
            Arc::new(files)
        };
        Tree::new(current)
            .place(".", memory(relative))
            .place("/tmp", memory(absolute))
    }

    fn name(tree: &Tree, path: &str) -> String {
        format!("/{}", tree.locate(path, true).unwrap().name)
    }

    #[test]
    fn paths_mean_what_they_mean_on_the_host() {
        let tree = tree("/home/me", &["a", "b/c"], &["d"]);
        for (path, wanted) in [
            ("a", "/home/me/a"),
            ("./a", "/home/me/a"),
            ("b/../a", "/home/me/a"),
            ("../me/a", "/home/me/a"),
            ("home/me/a", "/home/me/a"),
            ("../../../../tmp/d", "/tmp/d"),
            ("tmp/d", "/tmp/d"),
            ("tmp/../home/me//b/./c", "/home/me/b/c"),
            (".", "/home/me"),
            ("..", "/home"),
            ("etc/passwd", "/home/me/etc/passwd"),
            ("../../etc/passwd", "/etc/passwd"),
        ] {
            assert_eq!(name(&tree, path), wanted, "{path}");
        }
        let at_root = Tree::new("/").place("/", Arc::new(MemoryFs::new(0)));
        assert_eq!(name(&at_root, "a"), "/a");
        assert_eq!(name(&at_root, "../a"), "/a");
    }

    #[test]
    fn of_a_relative_and_an_absolute_path_in_the_same_words_the_mentioned_one_is_meant() {
        let tree = tree("/home/me", &["tmp/both", "tmp/here"], &["both", "there"]);
        let mentions = |paths: &[&str], path: &str| name(&tree.clone().mentions(paths), path);
        // What exists, if nothing is mentioned.
        assert_eq!(mentions(&[], "tmp/here"), "/home/me/tmp/here");
        assert_eq!(mentions(&[], "tmp/there"), "/tmp/there");
        for path in ["both", "new", "here", "there"] {
            let path = format!("tmp/{path}");
            assert_eq!(mentions(&[&path], &path), format!("/home/me/{path}"));
            assert_eq!(mentions(&[&format!("/{path}")], &path), format!("/{path}"));
        }
        // What is made after a pattern, or beside a file.
        let both = ["/tmp/in.mp4", "tmp/out.m3u8", "tmp/shot%03d.png"];
        assert_eq!(mentions(&both, "tmp/in.mp4"), "/tmp/in.mp4");
        assert_eq!(mentions(&both, "tmp/out0.ts"), "/home/me/tmp/out0.ts");
        assert_eq!(mentions(&both, "tmp/shot001.png"), "/home/me/tmp/shot001.png");
    }

    #[test]
    fn links_lead_into_given_places_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let make = |name: &str| std::fs::create_dir_all(root.join(name)).unwrap();
        ["work", "media/deep", "secret"].into_iter().for_each(make);
        for file in ["media/a", "media/deep/b", "secret/c", "work/d"] {
            std::fs::write(root.join(file), file).unwrap();
        }
        let link = |target: &str, name: &str| symlink(target, root.join(name)).unwrap();
        link("../media/a", "work/relative");
        link(root.join("media/deep").to_str().unwrap(), "work/deep");
        link("../secret/c", "work/secret");
        link(root.join("secret").to_str().unwrap(), "media/out");
        link("loop", "work/loop");
        link("../media/round", "work/round");
        link("../work/round", "media/round");
        let name = |path: &str| root.join(path).to_str().unwrap().to_owned();
        let tree = Tree::new(name("work"))
            .host_dir(name("work"), HostDir::read_write(root.join("work")).unwrap())
            .host_dir(name("media"), HostDir::read_only(root.join("media")).unwrap());
        let open = |path: &str| -> io::Result<String> {
            let found = tree.locate(path, true)?;
            let read = OpenOptions {
                read: true,
                follow_links: true,
                ..OpenOptions::default()
            };
            match found.file_system.open(&found.path, &read)? {
                Opened::File(mut file) => {
                    let mut text = [0; 99];
                    let count = file.read_at(&mut text, 0)?;
                    Ok(String::from_utf8(text[..count].to_vec()).unwrap())
                }
                Opened::Directory => Ok(String::new()),
            }
        };
        assert_eq!(open("relative").unwrap(), "media/a");
        assert_eq!(open("deep/b").unwrap(), "media/deep/b");
        assert_eq!(open("deep/../a").unwrap(), "media/a");
        assert_eq!(open("../media/a").unwrap(), "media/a");
        for outside in [
            "secret",
            "../secret/c",
            "../media/out/c",
            "loop",
            "round",
            "deep/../../secret/c",
        ] {
            assert!(open(outside).is_err(), "{outside}");
        }
        assert!(tree.refused().iter().any(|refused| refused.path == name("secret/c")));
        // A link itself, as for its removal, is where it lies.
        assert_eq!(
            format!("/{}", tree.locate("relative", false).unwrap().name),
            name("work/relative")
        );
    }

    #[test]
    fn nowhere_has_the_directories_on_the_way_and_nothing_else() {
        let tree = tree("/home/me", &["a"], &["d"]);
        let list = |path: &str| {
            let found = tree.locate(path, true).unwrap();
            let entries = found.file_system.read_dir(&found.path)?;
            Ok::<_, io::Error>(entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>())
        };
        assert_eq!(list("../..").unwrap(), ["home", "tmp"]);
        assert_eq!(list("..").unwrap(), ["me"]);
        assert_eq!(list("../../etc").unwrap_err().kind(), io::ErrorKind::NotFound);
        let create = OpenOptions {
            create: true,
            write: true,
            ..OpenOptions::default()
        };
        for (path, kind) in [
            ("../../etc/a", io::ErrorKind::PermissionDenied),
            ("../../home", io::ErrorKind::IsADirectory),
        ] {
            let found = tree.locate(path, true).unwrap();
            assert_eq!(found.file_system.open(&found.path, &create).unwrap_err().kind(), kind);
        }
        assert_eq!(
            tree.refused(),
            [Refused {
                path: "/etc/a".to_owned(),
                for_writing: true
            }]
        );
    }
}
