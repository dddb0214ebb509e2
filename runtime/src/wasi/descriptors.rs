//! The guest's open files.

use super::abi::Errno;
use crate::fs::{DirEntry, File, FileSystem};
use crate::stdio::Stream;
use std::sync::Arc;

/// What a file descriptor of the guest stands for.
pub enum Descriptor {
    Stream(Stream),
    File(OpenFile),
    Directory(OpenDirectory),
}

pub struct OpenFile {
    pub file: Box<dyn File>,
    pub position: u64,
    pub readable: bool,
    pub writable: bool,
    /// The flags of `fd_fdstat_get`, of which only `APPEND` has an effect.
    pub flags: u32,
}

pub struct OpenDirectory {
    pub file_system: Arc<dyn FileSystem>,
    /// Relative to the root of the file system, as [`FileSystem`] wants it.
    pub path: String,
    /// The name under which the guest was given the directory, where it did not open it itself.
    pub preopened_as: Option<String>,
    /// The listing that `fd_readdir` is walking through, so that its cookies stay true while the directory changes.
    pub listing: Option<Vec<DirEntry>>,
}

/// The table of descriptors; a new one takes the lowest free number.
#[derive(Default)]
pub struct Descriptors {
    slots: Vec<Option<Descriptor>>,
    open_max: usize,
}

impl Descriptors {
    pub fn new(open_max: usize) -> Descriptors {
        Descriptors {
            slots: Vec::new(),
            open_max,
        }
    }

    pub fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        let free = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if free >= self.open_max {
            return Err(Errno::Mfile);
        }
        let number = u32::try_from(free).map_err(|_| Errno::Mfile)?;
        if free == self.slots.len() {
            self.slots.push(Some(descriptor));
        } else {
            self.slots[free] = Some(descriptor);
        }
        Ok(number)
    }

    pub fn get(&mut self, number: u32) -> Result<&mut Descriptor, Errno> {
        self.slot(number)?.as_mut().ok_or(Errno::Badf)
    }

    pub fn close(&mut self, number: u32) -> Result<(), Errno> {
        self.slot(number)?.take().map(drop).ok_or(Errno::Badf)
    }

    /// Moves a descriptor over another, which is closed.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let moved = self.slot(from)?.take();
            *self.slot(to)? = moved;
        }
        Ok(())
    }

    pub fn file(&mut self, number: u32) -> Result<&mut OpenFile, Errno> {
        match self.get(number)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Directory(_) => Err(Errno::Isdir),
            Descriptor::Stream(_) => Err(Errno::Spipe),
        }
    }

    pub fn directory(&mut self, number: u32) -> Result<&mut OpenDirectory, Errno> {
        match self.get(number)? {
            Descriptor::Directory(directory) => Ok(directory),
            Descriptor::File(_) | Descriptor::Stream(_) => Err(Errno::Notdir),
        }
    }

    pub fn stream(&self, number: u32) -> Option<&Stream> {
        match self.slots.get(number as usize)? {
            Some(Descriptor::Stream(stream)) => Some(stream),
            _ => None,
        }
    }

    fn slot(&mut self, number: u32) -> Result<&mut Option<Descriptor>, Errno> {
        self.slots.get_mut(number as usize).ok_or(Errno::Badf)
    }
}
