//! Files and directories by their paths.

use crate::fs::{FileSystem, FileType};
use crate::wasi::abi::{Answer, Errno, lookup_flags};
use crate::wasi::account::NAME_COST_BYTES;
use crate::wasi::host::Host;
use crate::wasi::memory::Memory;
use crate::wasi::path::Resolved;
use crate::wasi::stat::{filestat, times};
use std::sync::Arc;

impl Host {
    pub fn path_create_directory(&mut self, memory: Memory, fd: u32, path: u32, length: u32) -> Answer {
        let (file_system, resolved) = self.resolve(memory, fd, path, length, false)?;
        if resolved.must_exist {
            file_system.metadata(&resolved.path, true)?;
            return Err(Errno::Exist.into());
        }
        let names = self.check_change(&*file_system, &resolved.path, 1)?;
        file_system.create_dir(&resolved.path)?;
        self.account.names += names;
        Ok(())
    }

    pub fn path_remove_directory(&mut self, memory: Memory, fd: u32, path: u32, length: u32) -> Answer {
        let (file_system, resolved) = self.resolve(memory, fd, path, length, false)?;
        if resolved.must_exist {
            check_directory(&*file_system, &resolved)?;
            return Err(Errno::Inval.into());
        }
        if resolved.leads_to_place() {
            return Err(Errno::Busy.into());
        }
        self.check_removal(&*file_system, &resolved.path)?;
        Ok(file_system.remove_dir(&resolved.path)?)
    }

    pub fn path_filestat_get(
        &mut self,
        memory: Memory,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        stat: u32,
    ) -> Answer {
        let follow = lookup & lookup_flags::SYMLINK_FOLLOW != 0;
        let (file_system, resolved) = self.resolve(memory, fd, path, length, follow)?;
        let follow = follow || resolved.must_be_directory;
        let metadata = file_system.metadata(&resolved.path, follow)?;
        if resolved.must_be_directory && metadata.file_type != FileType::Directory {
            return Err(Errno::Notdir.into());
        }
        memory.write(stat, &filestat(&metadata, &self.clock))
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub fn path_filestat_set_times(
        &mut self,
        memory: Memory,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Answer {
        let times = times(accessed, modified, flags)?;
        let follow_links = lookup & lookup_flags::SYMLINK_FOLLOW != 0;
        let (file_system, resolved) = self.resolve(memory, fd, path, length, follow_links)?;
        check_directory(&*file_system, &resolved)?;
        self.prepare(&*file_system, &resolved.path, follow_links)?;
        let names = self.check_change(&*file_system, &resolved.path, 0)?;
        file_system.set_times(&resolved.path, follow_links, times)?;
        self.account.names += names;
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub fn path_rename(
        &mut self,
        memory: Memory,
        old_fd: u32,
        old_path: u32,
        old_length: u32,
        new_fd: u32,
        new_path: u32,
        new_length: u32,
    ) -> Answer {
        let (old_system, old) = self.resolve(memory, old_fd, old_path, old_length, false)?;
        let (new_system, new) = self.resolve(memory, new_fd, new_path, new_length, false)?;
        if !Arc::ptr_eq(&old_system, &new_system) {
            return Err(Errno::Xdev.into());
        }
        if old.must_exist || new.must_exist {
            old_system.metadata(&old.path, true)?;
            return Err(Errno::Busy.into());
        }
        if old.leads_to_place() || new.leads_to_place() {
            return Err(Errno::Busy.into());
        }
        if (old.must_be_directory || new.must_be_directory)
            && old_system.metadata(&old.path, false)?.file_type != FileType::Directory
        {
            return Err(Errno::Notdir.into());
        }
        self.account.host_memory.check(NAME_COST_BYTES)?;
        self.prepare(&*old_system, &old.path, false)?;
        self.check_removal(&*old_system, &old.path)?;
        let names = self.check_change(&*new_system, &new.path, 0)?;
        old_system.rename(&old.path, &new.path)?;
        self.account.names += names;
        Ok(())
    }

    pub fn path_unlink_file(&mut self, memory: Memory, fd: u32, path: u32, length: u32) -> Answer {
        let (file_system, resolved) = self.resolve(memory, fd, path, length, false)?;
        // The hosts disagree on the error for a directory.
        let metadata = file_system.metadata(&resolved.path, false)?;
        match (metadata.file_type, resolved.must_be_directory) {
            (FileType::Directory, _) => Err(Errno::Isdir.into()),
            (_, true) => Err(Errno::Notdir.into()),
            _ => {
                self.check_removal(&*file_system, &resolved.path)?;
                Ok(file_system.remove_file(&resolved.path)?)
            }
        }
    }
}

/// A path that only a directory may have must lead to one.
fn check_directory(file_system: &dyn FileSystem, resolved: &Resolved) -> Answer {
    if resolved.must_be_directory && file_system.metadata(&resolved.path, true)?.file_type != FileType::Directory {
        return Err(Errno::Notdir.into());
    }
    Ok(())
}
