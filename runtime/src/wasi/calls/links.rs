//! Links.

use crate::wasi::abi::{Answer, Errno, lookup_flags};
use crate::wasi::host::Host;
use crate::wasi::memory::Memory;
use std::sync::Arc;

impl Host {
    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub fn path_link(
        &mut self,
        memory: Memory,
        old_fd: u32,
        lookup: u32,
        old_path: u32,
        old_length: u32,
        new_fd: u32,
        new_path: u32,
        new_length: u32,
    ) -> Answer {
        if lookup & lookup_flags::SYMLINK_FOLLOW != 0 {
            return Err(Errno::Inval.into());
        }
        let (old_system, old) = self.resolve(memory, old_fd, old_path, old_length, false)?;
        let (new_system, new) = self.resolve(memory, new_fd, new_path, new_length, false)?;
        if !Arc::ptr_eq(&old_system, &new_system) {
            return Err(Errno::Xdev.into());
        }
        if old.must_be_directory || new.must_be_directory {
            return Err(Errno::Noent.into());
        }
        let names = self.check_change(&*new_system, &new.path, 1)?;
        old_system.hard_link(&old.path, &new.path)?;
        self.account.names += names;
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub fn path_readlink(
        &mut self,
        memory: Memory,
        fd: u32,
        path: u32,
        path_length: u32,
        buffer: u32,
        length: u32,
        used: u32,
    ) -> Answer {
        let (file_system, resolved) = self.resolve(memory, fd, path, path_length, false)?;
        if resolved.must_be_directory {
            file_system.metadata(&resolved.path, true)?;
            return Err(Errno::Inval.into());
        }
        let target = file_system.read_link(&resolved.path)?;
        let bytes = &target.as_bytes()[..target.len().min(length as usize)];
        memory.write(buffer, bytes)?;
        memory.write_u32(used, bytes.len() as u32)
    }

    pub fn path_symlink(
        &mut self,
        memory: Memory,
        target: u32,
        target_length: u32,
        fd: u32,
        path: u32,
        length: u32,
    ) -> Answer {
        let target = memory.path(target, target_length)?;
        // An absolute link means one thing to the guest and another to the host, and leads out of the tree on both.
        if target.starts_with('/') {
            return Err(Errno::Perm.into());
        }
        if target.is_empty() {
            return Err(Errno::Noent.into());
        }
        if target.contains('\0') {
            return Err(Errno::Inval.into());
        }
        let (file_system, resolved) = self.resolve(memory, fd, path, length, false)?;
        if resolved.must_be_directory {
            file_system.metadata(&resolved.path, true)?;
            return Err(Errno::Exist.into());
        }
        let names = self.check_change(&*file_system, &resolved.path, 1)?;
        file_system.symlink(target, &resolved.path)?;
        self.account.names += names;
        Ok(())
    }
}
