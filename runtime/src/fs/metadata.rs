//! What a file system says of its files.

use std::time::SystemTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileType {
    File,
    Directory,
    SymbolicLink,
    CharacterDevice,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    pub file_type: FileType,
    pub size_bytes: u64,
    /// Unique and stable within the tree: the same file has the same number under each of its names.
    pub inode: u64,
    /// The tree that the inode belongs to, among several.
    pub device: u64,
    pub links: u64,
    pub accessed: Option<SystemTime>,
    pub modified: Option<SystemTime>,
    pub changed: Option<SystemTime>,
}

impl Metadata {
    pub fn new(file_type: FileType, size_bytes: u64, inode: u64) -> Metadata {
        Metadata {
            file_type,
            size_bytes,
            inode,
            device: 0,
            links: 1,
            accessed: None,
            modified: None,
            changed: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirEntry {
    pub name: String,
    pub inode: u64,
    pub file_type: FileType,
}

impl DirEntry {
    pub fn new(name: impl Into<String>, inode: u64, file_type: FileType) -> DirEntry {
        DirEntry {
            name: name.into(),
            inode,
            file_type,
        }
    }
}

/// Times to be set; `None` leaves the one there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    pub accessed: Option<SystemTime>,
    pub modified: Option<SystemTime>,
}
