//! The guest's open files.

use super::abi::{Errno, Failure};
#[cfg(unix)]
use super::ahead::{AHEAD_MAX_BYTES, Ahead};
use super::listing::Listing;
use super::path::Location;
use crate::budget::{Budget, Share};
use crate::fs::{Exceeded, File};
#[cfg(unix)]
use crate::interrupt::Interrupt;
use crate::limit::Limit;
use crate::stdio::Stream;
use std::sync::Arc;

/// The object behind a guest's file descriptor.
pub enum Descriptor {
    Stream(Stream),
    File(OpenFile),
    Directory(OpenDirectory),
}

impl Descriptor {
    /// Whether what is written to it ends in no file of the host's, as far as is known here.
    pub fn is_apart_from_files(&self) -> bool {
        matches!(self, Descriptor::Stream(stream) if stream.host().is_none())
    }
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
    pub location: Location,
    /// The name under which the guest was given the directory, where it did not open it itself.
    pub preopened_as: Option<String>,
    /// The listing that `fd_readdir` is walking through, so that its cookies stay true while the directory changes.
    pub listing: Option<Listing>,
}

/// The table of descriptors; a new one takes the lowest free number.
pub struct Descriptors {
    slots: Vec<Option<Slot>>,
    open_max: usize,
    /// New descriptors come after the job's own streams, so that their numbers stay apart.
    first_free: usize,
    host_memory: Arc<Budget>,
}

struct Slot {
    descriptor: Descriptor,
    #[cfg(unix)]
    ahead: Ahead,
    _memory: Share,
    /// An open file's share of the runtime's budget.
    _open_file: Option<Share>,
}

#[cfg(unix)]
impl Slot {
    fn awaited(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        match &self.descriptor {
            Descriptor::Stream(stream) => stream.awaited(),
            Descriptor::File(open) => open.file.awaited(),
            Descriptor::Directory(_) => None,
        }
    }
}

/// The memory of a descriptor besides its path: its slot, the file behind it and their accounting.
const DESCRIPTOR_SIZE_BYTES: u64 = 512;

/// The table is as long as its highest number.
const LAST_MAX: usize = 256;

impl Descriptors {
    pub fn new(open_max: usize, host_memory: Arc<Budget>) -> Descriptors {
        Descriptors {
            slots: Vec::new(),
            open_max,
            first_free: 0,
            host_memory,
        }
    }

    /// The number that the next descriptor gets.
    pub fn next(&self) -> Result<usize, Exceeded> {
        let mut taken = self.slots.iter().skip(self.first_free);
        let free = taken
            .position(Option::is_none)
            .map_or(self.slots.len().max(self.first_free), |free| free + self.first_free);
        if free >= self.open_max || u32::try_from(free).is_err() {
            return Err(Exceeded::new(Limit::OpenFiles, self.open_max as u64, free as u64 + 1));
        }
        Ok(free)
    }

    /// The highest free number.
    fn last(&self) -> Result<usize, Exceeded> {
        let is_free = |number: &usize| self.slots.get(*number).is_none_or(Option::is_none);
        (self.first_free..self.open_max.min(LAST_MAX))
            .rev()
            .find(is_free)
            .map_or_else(|| self.next(), Ok)
    }

    /// Leaves free what is below a number.
    pub fn skip_to(&mut self, number: u32) -> Result<(), Exceeded> {
        if number as usize >= self.open_max {
            let wanted = u64::from(number) + 1;
            return Err(Exceeded::new(Limit::OpenFiles, self.open_max as u64, wanted));
        }
        self.first_free = number as usize;
        Ok(())
    }

    pub fn insert(&mut self, descriptor: Descriptor, open_file: Option<Share>) -> Result<u32, Failure> {
        let free = match &descriptor {
            Descriptor::File(open) if open.file.is_apart() => self.last()?,
            _ => self.next()?,
        };
        let path_size_bytes = match &descriptor {
            Descriptor::Directory(directory) => directory.location.path_size_bytes() as u64,
            Descriptor::Stream(_) | Descriptor::File(_) => 0,
        };
        let slot = Slot {
            descriptor,
            #[cfg(unix)]
            ahead: Ahead::default(),
            _memory: Share::take(&self.host_memory, DESCRIPTOR_SIZE_BYTES + path_size_bytes)?,
            _open_file: open_file,
        };
        if free >= self.slots.len() {
            self.slots.resize_with(free + 1, || None);
        }
        self.slots[free] = Some(slot);
        u32::try_from(free).map_err(|_| Errno::Mfile.into())
    }

    /// Forgets the listings of all directories; whether there were any.
    pub fn forget_listings(&mut self) -> bool {
        let mut forgotten = false;
        for slot in self.slots.iter_mut().flatten() {
            if let Descriptor::Directory(directory) = &mut slot.descriptor {
                forgotten |= directory.listing.take().is_some();
            }
        }
        forgotten
    }

    pub fn get(&mut self, number: u32) -> Result<&mut Descriptor, Errno> {
        let slot = self.slot(number)?.as_mut().ok_or(Errno::Badf)?;
        Ok(&mut slot.descriptor)
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

    #[cfg(unix)]
    pub fn awaited(&self, number: u32) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.slots.get(number as usize)?.as_ref()?.awaited()
    }

    /// What was taken in of a pipe, which the guest reads from.
    #[cfg(unix)]
    pub fn ahead(&mut self, number: u32) -> Result<&mut Ahead, Errno> {
        let slot = self.slot(number)?.as_mut().ok_or(Errno::Badf)?;
        Ok(&mut slot.ahead)
    }

    /// The pipes besides these of which more can be taken in.
    #[cfg(unix)]
    pub fn neglected(&self, but: &[u32]) -> Vec<u32> {
        let held: usize = self.slots.iter().flatten().map(|slot| slot.ahead.len()).sum();
        if held >= AHEAD_MAX_BYTES {
            return Vec::new();
        }
        let numbered = (0_u32..).zip(&self.slots);
        let neglected = numbered.filter_map(|(number, slot)| {
            let slot = slot.as_ref()?;
            let can_give = slot.ahead.was_read && !slot.ahead.has_ended && slot.awaited().is_some();
            (can_give && !but.contains(&number)).then_some(number)
        });
        neglected.collect()
    }

    /// Takes in what a pipe has, which must have something.
    #[cfg(unix)]
    pub fn take_in(&mut self, number: u32, interrupt: &Interrupt) -> Result<(), Errno> {
        let host_memory = self.host_memory.clone();
        let slot = self.slot(number)?.as_mut().ok_or(Errno::Badf)?;
        let descriptor = &mut slot.descriptor;
        slot.ahead.push(&host_memory, |buffer| match descriptor {
            Descriptor::Stream(stream) => stream.read(buffer, interrupt),
            Descriptor::File(open) => open.file.read_at(buffer, 0),
            Descriptor::Directory(_) => Ok(0),
        });
        Ok(())
    }

    fn slot(&mut self, number: u32) -> Result<&mut Option<Slot>, Errno> {
        self.slots.get_mut(number as usize).ok_or(Errno::Badf)
    }
}
