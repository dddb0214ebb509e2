//! Opening files and directories.

use crate::budget::Share;
use crate::fs::{FileSystem, OpenOptions, Opened};
use crate::interrupt::Interrupt;
use crate::wasi::abi::{Answer, Errno, fd_flags, lookup_flags, open_flags, rights};
use crate::wasi::calls::transfer::wait_for_pipe;
use crate::wasi::descriptors::{Descriptor, OpenDirectory, OpenFile};
use crate::wasi::host::Host;
use crate::wasi::memory::Memory;
use crate::wasi::path::{Location, Named, Resolved};
use std::io;

impl Host {
    #[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub fn path_open(
        &mut self,
        memory: Memory,
        fd: u32,
        lookup: u32,
        path: u32,
        length: u32,
        flags: u32,
        rights_base: u64,
        _rights_inheriting: u64,
        fd_flags: u32,
        opened: u32,
    ) -> Answer {
        if flags & !open_flags::ALL != 0 || fd_flags & !fd_flags::ALL != 0 {
            return Err(Errno::Inval.into());
        }
        let creates = open_flags::CREATE | open_flags::EXCLUSIVE | open_flags::TRUNCATE;
        if flags & open_flags::DIRECTORY != 0 && flags & creates != 0 {
            return Err(Errno::Inval.into());
        }
        memory.slice(opened, 4)?;
        let follow_links = lookup & lookup_flags::SYMLINK_FOLLOW != 0;
        let (file_system, resolved) = self.resolve(memory, fd, path, length, follow_links)?;
        let options = options(flags, rights_base, follow_links, resolved.must_be_directory);
        let create = options.create;
        if options.directory && (create || options.truncate) {
            return Err(Errno::Isdir.into());
        }
        // Before anything is made or cut: what is refused leaves no trace.
        self.descriptors.next()?;
        let open_file = Share::take(&self.open_files, 1)?;
        if options.write && !options.truncate && !options.exclusive {
            self.prepare(&*file_system, &resolved.path, options.follow_links)?;
        }
        let is_new = create && is_missing(&*file_system, &resolved.path, options.follow_links);
        let names = match options.write || options.truncate || is_new {
            true => self.check_change(&*file_system, &resolved.path, u64::from(is_new))?,
            false => 0,
        };
        let found = open(&*file_system, &resolved.path, &options, &self.interrupt);
        let found = found.inspect_err(|error| note_refusal(&resolved, error))?;
        self.account.names += names;
        let open_file = matches!(found, Opened::File(_)).then_some(open_file);
        let descriptor = match found {
            Opened::Directory => Descriptor::Directory(OpenDirectory {
                location: match resolved.named {
                    Some(named) => Location::Named(named),
                    None => Location::Within(file_system, resolved.path),
                },
                preopened_as: None,
                listing: None,
            }),
            Opened::File(file) => Descriptor::File(OpenFile {
                file,
                position: 0,
                readable: options.read,
                writable: options.write,
                flags: fd_flags,
            }),
        };
        let number = self.descriptors.insert(descriptor, open_file)?;
        memory.write_u32(opened, number)
    }
}

fn options(flags: u32, rights_base: u64, follow_links: bool, must_be_directory: bool) -> OpenOptions {
    let create = flags & open_flags::CREATE != 0;
    OpenOptions {
        read: rights_base & rights::FD_READ != 0,
        write: rights_base & rights::FD_WRITE != 0,
        create,
        exclusive: create && flags & open_flags::EXCLUSIVE != 0,
        truncate: flags & open_flags::TRUNCATE != 0,
        directory: flags & open_flags::DIRECTORY != 0 || must_be_directory,
        follow_links: follow_links || must_be_directory,
    }
}

/// Keeps the path of what may only be read, or is a link that leads out of all places.
fn note_refusal(resolved: &Resolved, error: &io::Error) {
    let for_writing = match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => true,
        io::ErrorKind::PermissionDenied => false,
        _ => return,
    };
    if let Some(Named { tree, name }) = &resolved.named
        && !name.contains("://")
    {
        tree.refuse(name, for_writing);
    }
}

/// Opens a file, and waits for the reader of a named pipe.
fn open(file_system: &dyn FileSystem, path: &str, options: &OpenOptions, interrupt: &Interrupt) -> io::Result<Opened> {
    loop {
        match file_system.open(path, options) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_pipe(interrupt)?,
            found => return found,
        }
    }
}

fn is_missing(file_system: &dyn FileSystem, path: &str, follow_links: bool) -> bool {
    let found = file_system.metadata(path, follow_links);
    found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
