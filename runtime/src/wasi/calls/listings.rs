//! Listing directories.

use crate::fs::{DirEntry, FileSystem, FileType};
use crate::wasi::abi::{Answer, Errno};
use crate::wasi::host::Host;
use crate::wasi::listing::Listing;
use crate::wasi::memory::{Memory, PIECE_SIZE_BYTES};
use crate::wasi::path::Resolved;
use std::io;

/// The number of entries that are listed before a check for an interruption.
const ENTRIES_AT_A_TIME: u64 = 256;

impl Host {
    pub fn fd_readdir(&mut self, memory: Memory, fd: u32, buffer: u32, length: u32, cookie: u64, used: u32) -> Answer {
        memory.slice(used, 4)?;
        memory.slice(buffer, length)?;
        let first = usize::try_from(cookie).map_err(|_| Errno::Inval)?;
        let directory = self.descriptors.directory(fd)?;
        if cookie == 0 || directory.listing.is_none() {
            directory.listing = None;
            let (file_system, resolved) = directory.location.resolve(".", true)?;
            let listing = self.list(&*file_system, &resolved)?;
            self.descriptors.directory(fd)?.listing = Some(listing);
        }
        let listing = self.descriptors.directory(fd)?.listing.as_ref();
        let entries = listing.map_or(&[][..], |listing| listing.after(first));
        // A full buffer tells the guest that there is more; its last entry may be cut off, and is asked for again.
        let count = entries.len().min(length as usize);
        let target = memory
            .slice_mut(buffer, count as u32)?
            .chunks_mut(PIECE_SIZE_BYTES as usize);
        for (target, source) in target.zip(entries[..count].chunks(PIECE_SIZE_BYTES as usize)) {
            if self.interrupt.check().is_some() {
                return Err(Errno::Intr.into());
            }
            target.copy_from_slice(source);
        }
        memory.write_u32(used, count as u32)
    }

    fn list(&mut self, file_system: &dyn FileSystem, resolved: &Resolved) -> Answer<Listing> {
        let inode = file_system.metadata(&resolved.path, true)?.inode;
        // They are there instead of what has their names in the file system.
        let places = resolved.places();
        let mut listing = Listing::new(&self.account.host_memory)?;
        let (interrupt, descriptors) = (&self.interrupt, &mut self.descriptors);
        let mut count = 0;
        let mut push = |entry: DirEntry| {
            count += 1;
            if count % ENTRIES_AT_A_TIME == 0 && interrupt.check().is_some() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match listing.push(&entry) {
                // The listings of other directories are made again where they are walked on with.
                Err(_) if descriptors.forget_listings() => Ok(listing.push(&entry)?),
                pushed => Ok(pushed?),
            }
        };
        for name in [".", ".."] {
            push(DirEntry::new(name, inode, FileType::Directory))?;
        }
        file_system.visit_dir(
            &resolved.path,
            &mut |entry| match places.iter().any(|place| place.name == entry.name) {
                true => Ok(()),
                false => push(entry),
            },
        )?;
        places.iter().cloned().try_for_each(push)?;
        Ok(listing)
    }
}
