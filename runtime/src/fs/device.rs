//! `/dev` inside the guest.

use super::file_system::{File, FileSystem, OpenOptions, Opened, read_only};
use super::metadata::{DirEntry, FileType, Metadata};
use crate::random::Random;
use std::io;
use std::sync::Arc;

/// The devices that every job has: `null`, `zero`, `random` and `urandom`.
pub(crate) struct Devices(pub Arc<Random>);

const NAMES: [(&str, Device); 4] = [
    ("null", Device::Null),
    ("zero", Device::Zero),
    ("random", Device::Random),
    ("urandom", Device::Random),
];

#[derive(Clone, Copy)]
enum Device {
    Null,
    Zero,
    Random,
}

/// A number that no host device has, so that a device's inode is never taken for that of a host file.
const DEVICE_NUMBER: u64 = u64::MAX;

/// The most bytes that one call returns: gigabytes would take long, and a call cannot be stopped.
const READ_SIZE_MAX_BYTES: usize = 1 << 20;

fn find(path: &str) -> io::Result<(u64, Device)> {
    let index = NAMES
        .iter()
        .position(|(name, _)| *name == path)
        .ok_or(io::ErrorKind::NotFound)?;
    Ok((index as u64 + 2, NAMES[index].1))
}

fn metadata(file_type: FileType, inode: u64) -> Metadata {
    Metadata {
        device: DEVICE_NUMBER,
        ..Metadata::new(file_type, 0, inode)
    }
}

impl FileSystem for Devices {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        if path == "." {
            return if options.write {
                Err(io::ErrorKind::IsADirectory.into())
            } else {
                Ok(Opened::Directory)
            };
        }
        match find(path) {
            Ok(_) if options.exclusive => Err(io::ErrorKind::AlreadyExists.into()),
            Ok(_) if options.directory => Err(io::ErrorKind::NotADirectory.into()),
            Ok((inode, device)) => Ok(Opened::File(Box::new(OpenDevice {
                inode,
                device,
                random: self.0.clone(),
            }))),
            Err(_) if options.create => Err(read_only()),
            Err(error) => Err(error),
        }
    }

    fn metadata(&self, path: &str, _follow_links: bool) -> io::Result<Metadata> {
        if path == "." {
            return Ok(metadata(FileType::Directory, 1));
        }
        find(path).map(|(inode, _)| metadata(FileType::CharacterDevice, inode))
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        if path != "." {
            find(path)?;
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let entry = |(name, inode)| DirEntry::new(name, inode, FileType::CharacterDevice);
        Ok(NAMES.iter().map(|(name, _)| *name).zip(2..).map(entry).collect())
    }
}

struct OpenDevice {
    inode: u64,
    device: Device,
    random: Arc<Random>,
}

impl File for OpenDevice {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(metadata(FileType::CharacterDevice, self.inode))
    }

    fn read_at(&mut self, buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        let count = buffer.len().min(READ_SIZE_MAX_BYTES);
        let buffer = &mut buffer[..count];
        match self.device {
            Device::Null => return Ok(0),
            Device::Zero => buffer.fill(0),
            Device::Random => self.random.fill(buffer)?,
        }
        Ok(buffer.len())
    }

    fn write_at(&mut self, buffer: &[u8], _offset: u64) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn is_stream(&self) -> bool {
        true
    }
}
