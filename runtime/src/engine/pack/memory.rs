//! The memory of a pack's program, and the stack on which its traps are handled.

use super::abi::{MEMORY_RESERVED_BYTES, PAGE_SIZE_BYTES};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::io;
use std::ptr::{self, NonNull};

/// The most pages that a 32-bit memory has.
pub const PAGES_MAX: u64 = 1 << 16;

/// Addresses that are reserved, of which the first pages are accessible.
pub struct Memory {
    address: NonNull<u8>,
    pages: u64,
}

impl Memory {
    pub fn reserve() -> io::Result<Memory> {
        Ok(Memory {
            address: map(MEMORY_RESERVED_BYTES, ProtFlags::empty())?,
            pages: 0,
        })
    }

    pub fn address(&self) -> NonNull<u8> {
        self.address
    }

    pub fn size_bytes(&self) -> usize {
        (self.pages * PAGE_SIZE_BYTES) as usize
    }

    /// Makes so many more pages accessible, all zero.
    pub fn grow(&mut self, more_pages: u64) -> io::Result<()> {
        let pages = self.pages.checked_add(more_pages).filter(|pages| *pages <= PAGES_MAX);
        let pages = pages.ok_or(io::ErrorKind::OutOfMemory)?;
        let size_bytes = (more_pages * PAGE_SIZE_BYTES) as usize;
        // SAFETY: the range lies in what is reserved, and nobody has a reference to what was inaccessible.
        unsafe {
            let start = self.address.as_ptr().add(self.size_bytes());
            mprotect(start.cast(), size_bytes, MprotectFlags::READ | MprotectFlags::WRITE)?;
        }
        self.pages = pages;
        Ok(())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        unmap(self.address, MEMORY_RESERVED_BYTES);
    }
}

/// A stack for signal handlers, with inaccessible memory below.
pub struct SignalStack {
    address: NonNull<u8>,
}

/// Larger than what a processor's registers take on it, some 11 KiB with AMX, and a host's handler that is called from ours.
const SIGNAL_STACK_SIZE_BYTES: usize = 128 << 10;
const GUARD_SIZE_BYTES: usize = 64 << 10;

impl SignalStack {
    pub fn new() -> io::Result<SignalStack> {
        let read_write = ProtFlags::READ | ProtFlags::WRITE;
        let stack = SignalStack {
            address: map(GUARD_SIZE_BYTES + SIGNAL_STACK_SIZE_BYTES, read_write)?,
        };
        // SAFETY: the range was mapped just now, and nobody uses it.
        unsafe { mprotect(stack.address.as_ptr().cast(), GUARD_SIZE_BYTES, MprotectFlags::empty())? };
        Ok(stack)
    }

    /// Handles the signals of the current thread on it, until the result is dropped.
    pub fn enter(&self) -> io::Result<EnteredStack<'_>> {
        let new = libc::stack_t {
            // SAFETY: the address lies in the mapping.
            ss_sp: unsafe { self.address.as_ptr().add(GUARD_SIZE_BYTES) }.cast(),
            ss_flags: 0,
            ss_size: SIGNAL_STACK_SIZE_BYTES,
        };
        let mut before = libc::stack_t {
            ss_sp: ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: 0,
        };
        // SAFETY: both structures are valid; the memory of the new stack lives until the old one is back.
        if unsafe { libc::sigaltstack(&new, &mut before) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(EnteredStack { before, _stack: self })
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        unmap(self.address, GUARD_SIZE_BYTES + SIGNAL_STACK_SIZE_BYTES);
    }
}

pub struct EnteredStack<'a> {
    before: libc::stack_t,
    _stack: &'a SignalStack,
}

impl Drop for EnteredStack<'_> {
    fn drop(&mut self) {
        // SAFETY: it is what the thread had before, which nobody has taken back since.
        unsafe { libc::sigaltstack(&self.before, ptr::null_mut()) };
    }
}

/// Maps zeroed memory, to be given back by [`unmap`].
pub fn zeroed(size_bytes: usize) -> io::Result<NonNull<u8>> {
    map(size_bytes, ProtFlags::READ | ProtFlags::WRITE)
}

fn map(size_bytes: usize, protection: ProtFlags) -> io::Result<NonNull<u8>> {
    // Without a promise of memory for all of it.
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: the system chooses the place, so that nothing is replaced.
    let address = unsafe { mmap_anonymous(ptr::null_mut(), size_bytes, protection, flags)? };
    NonNull::new(address.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// Takes away what was mapped in this size, which nobody uses any more.
pub fn unmap(address: NonNull<u8>, size_bytes: usize) {
    // SAFETY: as its owner says. Failing leaves it mapped, and harms nothing.
    let _ = unsafe { munmap(address.as_ptr().cast(), size_bytes) };
}
