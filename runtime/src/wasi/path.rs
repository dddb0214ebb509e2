//! From a path in the guest's words to one that a [`FileSystem`](crate::FileSystem) takes.

use super::abi::Errno;
use crate::fs::{DirEntry, FileSystem, Found, Tree};
use std::io;
use std::sync::Arc;

pub const PATH_SIZE_MAX_BYTES: usize = 4096;

/// Where a directory is.
pub enum Location {
    /// In a file system, at a path relative to its root, as [`FileSystem`] requires.
    Within(Arc<dyn FileSystem>, String),
    /// The root of a tree of names, where paths have lost their first slash.
    Root(Arc<Tree>),
    /// A directory in a tree of names. What a path below it leads to is for the tree to say, as other places may be there.
    Named(Named),
}

/// An absolute name in a tree of names.
#[derive(Clone)]
pub struct Named {
    pub tree: Arc<Tree>,
    pub name: String,
}

impl Location {
    /// Resolves a path that is relative to this directory. Where a link is its last part, only a tree of names has to know
    /// if that is followed.
    pub fn resolve(&self, path: &str, follow_last: bool) -> Result<(Arc<dyn FileSystem>, Resolved), Errno> {
        match self {
            Location::Within(file_system, directory) => Ok((file_system.clone(), resolve(directory, path)?)),
            Location::Root(tree) => resolve_in_tree(tree, path, |follows| tree.locate(path, follow_last || follows)),
            Location::Named(Named { tree, name }) => {
                // As in a file system, nothing above the directory can be named.
                resolve(".", path)?;
                let locate = |follows| tree.locate_below(name, path, follow_last || follows);
                resolve_in_tree(tree, path, locate)
            }
        }
    }

    /// The length of the path that is kept.
    pub fn path_size_bytes(&self) -> usize {
        match self {
            Location::Within(_, path) | Location::Named(Named { name: path, .. }) => path.len(),
            Location::Root(_) => 0,
        }
    }
}

pub struct Resolved {
    pub path: String,
    /// The absolute name, where the job has a tree of names.
    pub named: Option<Named>,
    /// The guest wrote the path with a slash or a dot at its end, which only a directory may have.
    pub must_be_directory: bool,
    /// It was a dot, so that the directory must exist already.
    pub must_exist: bool,
}

impl Resolved {
    /// Whether this is a directory on the way to another place, which stays where it is.
    pub fn leads_to_place(&self) -> bool {
        self.named
            .as_ref()
            .is_some_and(|named| named.tree.leads_to_place(&named.name))
    }

    /// The places that lie in this directory.
    pub fn places(&self) -> Vec<DirEntry> {
        self.named
            .as_ref()
            .map_or_else(Vec::new, |named| named.tree.places_in(&named.name))
    }
}

/// Resolves a path against the directory it is relative to.
///
/// `..` may lead back, but never above that directory: what a guest was given is all that it can name.
fn resolve(directory: &str, path: &str) -> Result<Resolved, Errno> {
    check(path)?;
    let mut resolved = String::with_capacity(directory.len() + 1 + path.len());
    if directory != "." {
        resolved.push_str(directory);
    }
    let mut depth: usize = 0;
    for part in path.split('/') {
        depth = match part {
            "" | "." => continue,
            ".." => depth.checked_sub(1).ok_or(Errno::Perm)?,
            _ => depth + 1,
        };
        if !resolved.is_empty() {
            resolved.push('/');
        }
        resolved.push_str(part);
    }
    if resolved.is_empty() {
        resolved.push('.');
    }
    // Directories are opened below directories without end, but their whole path is what a file system gets.
    if resolved.len() > PATH_SIZE_MAX_BYTES {
        return Err(Errno::Nametoolong);
    }
    Ok(Resolved {
        path: resolved,
        ..ending(path)
    })
}

/// Resolves a path in the tree of all names; also returns the file system that it is in. A link at its end that only a
/// directory may have is followed.
fn resolve_in_tree(
    tree: &Arc<Tree>,
    path: &str,
    locate: impl FnOnce(bool) -> io::Result<Found>,
) -> Result<(Arc<dyn FileSystem>, Resolved), Errno> {
    check(path)?;
    let ending = ending(path);
    let found = locate(ending.must_be_directory)?;
    if found.path.len() > PATH_SIZE_MAX_BYTES {
        return Err(Errno::Nametoolong);
    }
    let resolved = Resolved {
        path: found.path,
        named: Some(Named {
            tree: tree.clone(),
            name: found.name,
        }),
        ..ending
    };
    Ok((found.file_system, resolved))
}

fn check(path: &str) -> Result<(), Errno> {
    match path.as_bytes() {
        [] => Err(Errno::Noent),
        [b'/', ..] => Err(Errno::Perm),
        bytes if bytes.len() > PATH_SIZE_MAX_BYTES => Err(Errno::Nametoolong),
        bytes if bytes.contains(&0) => Err(Errno::Inval),
        _ => Ok(()),
    }
}

/// What a path's end says of it.
fn ending(path: &str) -> Resolved {
    let last = path.rsplit('/').next();
    Resolved {
        path: String::new(),
        named: None,
        must_be_directory: matches!(last, Some("" | "." | "..")),
        must_exist: matches!(path.trim_end_matches('/').rsplit('/').next(), Some("." | "..")),
    }
}
