//! `/dev` inside the guest.

use super::descriptor::OpenDescriptor;

use super::file_system::{File, FileSystem, OpenOptions, Opened, read_only};
use super::metadata::{DirEntry, FileType, Metadata};
use crate::random::Random;
use crate::signals::Signals;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// The devices that every job has: `null`, `zero`, `random` and `urandom`; and its descriptors: `stdin`, `stdout`,
/// `stderr` and `fd/N`.
pub(crate) struct Devices {
    pub random: Arc<Random>,
    /// The descriptors that are files or streams of the host.
    pub descriptors: BTreeMap<u32, std::fs::File>,
    /// `signal`, if there is someone to send any.
    pub signals: Option<Signals>,
}

/// The numbers of the signals that have come, each a byte; it never waits.
struct SignalDevice(Signals);

/// The inode of that device, after those of the others.
const SIGNAL_INODE: u64 = 100;

impl File for SignalDevice {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(metadata(FileType::CharacterDevice, SIGNAL_INODE))
    }

    fn read_at(&mut self, buffer: &mut [u8], _offset: u64) -> io::Result<usize> {
        let mut count = 0;
        for place in buffer {
            let Some(number) = self.0.next() else { break };
            *place = number;
            count += 1;
        }
        Ok(count)
    }

    fn is_stream(&self) -> bool {
        true
    }

    fn is_apart(&self) -> bool {
        true
    }
}

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

/// The number of a descriptor that a path stands for.
fn descriptor(path: &str) -> Option<u32> {
    match path {
        "stdin" => Some(0),
        "stdout" => Some(1),
        "stderr" => Some(2),
        _ => path.strip_prefix("fd/")?.parse().ok(),
    }
}

impl Devices {
    fn descriptor(&self, path: &str) -> Option<io::Result<OpenDescriptor>> {
        let file = self.descriptors.get(&descriptor(path)?)?;
        Some(file.try_clone().and_then(OpenDescriptor::new))
    }
}

impl FileSystem for Devices {
    fn open(&self, path: &str, options: &OpenOptions) -> io::Result<Opened> {
        if let Some(descriptor) = self.descriptor(path) {
            return match options {
                OpenOptions { exclusive: true, .. } => Err(io::ErrorKind::AlreadyExists.into()),
                OpenOptions { directory: true, .. } => Err(io::ErrorKind::NotADirectory.into()),
                OpenOptions { truncate, .. } => Ok(Opened::File(Box::new(descriptor?.opened(*truncate)?))),
            };
        }
        if let (Some(signals), "signal") = (&self.signals, path) {
            if options.changes() || options.directory {
                return Err(read_only());
            }
            signals.watch();
            return Ok(Opened::File(Box::new(SignalDevice(signals.clone()))));
        }
        if matches!(path, "." | "fd") {
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
                random: self.random.clone(),
            }))),
            Err(_) if options.create => Err(read_only()),
            Err(error) => Err(error),
        }
    }

    fn metadata(&self, path: &str, _follow_links: bool) -> io::Result<Metadata> {
        if matches!(path, "." | "fd") {
            return Ok(metadata(FileType::Directory, 1));
        }
        if let Some(descriptor) = self.descriptor(path) {
            return descriptor?.metadata();
        }
        if self.signals.is_some() && path == "signal" {
            return Ok(metadata(FileType::CharacterDevice, SIGNAL_INODE));
        }
        find(path).map(|(inode, _)| metadata(FileType::CharacterDevice, inode))
    }

    fn read_dir(&self, path: &str) -> io::Result<Vec<DirEntry>> {
        if path == "fd" {
            let number = |number: &u32| DirEntry::new(number.to_string(), 2, FileType::Other);
            return Ok(self.descriptors.keys().map(number).collect());
        }
        if path != "." {
            self.metadata(path, true)?;
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

    /// Nothing comes from `null` and nothing stays there, at any position.
    fn is_stream(&self) -> bool {
        !matches!(self.device, Device::Null)
    }

    fn set_len(&mut self, _size_bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::InvalidInput.into())
    }
}
