//! From a path in the guest's words to one that a [`FileSystem`](crate::FileSystem) takes.

use super::abi::Errno;
use crate::fs::{FileSystem, Tree};
use std::sync::Arc;

pub const PATH_SIZE_MAX_BYTES: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub path: String,
    /// The absolute path, where the job has a tree of names.
    pub name: Option<String>,
    /// The guest wrote the path with a slash or a dot at its end, which only a directory may have.
    pub must_be_directory: bool,
    /// It was a dot, so that the directory must exist already.
    pub must_exist: bool,
}

/// Resolves a path against the directory it is relative to.
///
/// `..` may lead back, but never above that directory: what a guest was given is all that it can name.
pub fn resolve(directory: &str, path: &str) -> Result<Resolved, Errno> {
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

/// Resolves a path in the tree of all names; also returns the file system that it is in.
pub fn resolve_in_tree(tree: &Tree, path: &str, follow_last: bool) -> Result<(Arc<dyn FileSystem>, Resolved), Errno> {
    check(path)?;
    let ending = ending(path);
    let found = tree.locate(path, follow_last || ending.must_be_directory)?;
    if found.path.len() > PATH_SIZE_MAX_BYTES {
        return Err(Errno::Nametoolong);
    }
    let resolved = Resolved {
        path: found.path,
        name: Some(found.name),
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
        name: None,
        must_be_directory: matches!(last, Some("" | "." | "..")),
        must_exist: matches!(path.trim_end_matches('/').rsplit('/').next(), Some("." | "..")),
    }
}
