//! What calls say of files, and the times that they set.

use super::abi::{Answer, Errno, Failure, file_type, time_flags};
use super::clock::{Clock, nanoseconds};
use crate::fs::{FileType, Metadata, Times};
use crate::stdio::Stream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The type of a standard stream, and whether it can seek.
pub fn stream_type(stream: &Stream) -> (u8, bool) {
    match stream.host() {
        Some(host) if host.is_regular => (file_type::REGULAR_FILE, true),
        Some(host) if host.is_terminal => (file_type::CHARACTER_DEVICE, false),
        _ => (file_type::UNKNOWN, false),
    }
}

pub fn type_number(file_type: FileType) -> u8 {
    match file_type {
        FileType::File => file_type::REGULAR_FILE,
        FileType::Directory => file_type::DIRECTORY,
        FileType::SymbolicLink => file_type::SYMBOLIC_LINK,
        FileType::CharacterDevice => file_type::CHARACTER_DEVICE,
        FileType::Other => file_type::UNKNOWN,
    }
}

pub fn filestat(metadata: &Metadata, clock: &Clock) -> [u8; 64] {
    let time = |time| nanoseconds(clock.file_time(time));
    let mut bytes = [0; 64];
    let fields = [
        (0, metadata.device),
        (8, metadata.inode),
        (24, metadata.links),
        (32, metadata.size_bytes),
        (40, time(metadata.accessed)),
        (48, time(metadata.modified)),
        (56, time(metadata.changed)),
    ];
    for (at, value) in fields {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    bytes[16] = type_number(metadata.file_type);
    bytes
}

pub fn times(accessed: u64, modified: u64, flags: u32) -> Answer<Times> {
    if flags & !time_flags::ALL != 0 {
        return Err(Errno::Inval.into());
    }
    let time = |nanoseconds, given: u32, now: u32| match (flags & given != 0, flags & now != 0) {
        (true, true) => Err(Failure::from(Errno::Inval)),
        (true, false) => Ok(Some(UNIX_EPOCH + Duration::from_nanos(nanoseconds))),
        (false, true) => Ok(Some(SystemTime::now())),
        (false, false) => Ok(None),
    };
    Ok(Times {
        accessed: time(accessed, time_flags::ACCESS, time_flags::ACCESS_NOW)?,
        modified: time(modified, time_flags::MODIFICATION, time_flags::MODIFICATION_NOW)?,
    })
}
