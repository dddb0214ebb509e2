//! The numbers of WASI preview 1: error codes, flags and the layout of its structures.

use crate::fs::Exceeded;
use crate::limit::Limit;
use std::io;

/// A WASI error code, as the guest's C library reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[cfg_attr(not(unix), expect(dead_code, reason = "some are only told by Unix"))]
pub enum Errno {
    Success = 0,
    Acces = 2,
    Again = 6,
    Badf = 8,
    Busy = 10,
    Dquot = 19,
    Exist = 20,
    Fault = 21,
    Fbig = 22,
    Ilseq = 25,
    Intr = 27,
    Inval = 28,
    Io = 29,
    Isdir = 31,
    Loop = 32,
    Mfile = 33,
    Mlink = 34,
    Nametoolong = 37,
    Noent = 44,
    Nomem = 48,
    Nospc = 51,
    Nosys = 52,
    Notdir = 54,
    Notempty = 55,
    Notsup = 58,
    Nxio = 60,
    Overflow = 61,
    Perm = 63,
    Pipe = 64,
    Rofs = 69,
    Spipe = 70,
    Timedout = 73,
    Txtbsy = 74,
    Xdev = 75,
}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Errno {
        use io::ErrorKind as Kind;
        // The kinds that std leaves unnamed come first: it maps them all to `Other` or `Uncategorized`.
        #[cfg(unix)]
        if let Some(code) = error.raw_os_error() {
            use rustix::io::Errno as Os;
            match Os::from_raw_os_error(code) {
                Os::ACCESS => return Errno::Acces,
                Os::PERM => return Errno::Perm,
                Os::BADF => return Errno::Badf,
                Os::FAULT => return Errno::Fault,
                Os::IO => return Errno::Io,
                Os::LOOP => return Errno::Loop,
                Os::MFILE | Os::NFILE => return Errno::Mfile,
                Os::NXIO => return Errno::Nxio,
                Os::OVERFLOW => return Errno::Overflow,
                _ => {}
            }
        }
        match error.kind() {
            Kind::NotFound => Errno::Noent,
            Kind::PermissionDenied => Errno::Perm,
            Kind::AlreadyExists => Errno::Exist,
            Kind::WouldBlock => Errno::Again,
            Kind::NotADirectory => Errno::Notdir,
            Kind::IsADirectory => Errno::Isdir,
            Kind::DirectoryNotEmpty => Errno::Notempty,
            Kind::ReadOnlyFilesystem => Errno::Rofs,
            Kind::InvalidInput | Kind::InvalidData => Errno::Inval,
            Kind::TimedOut => Errno::Timedout,
            Kind::StorageFull => Errno::Nospc,
            Kind::NotSeekable => Errno::Spipe,
            Kind::QuotaExceeded => Errno::Dquot,
            Kind::FileTooLarge => Errno::Fbig,
            Kind::ResourceBusy => Errno::Busy,
            Kind::ExecutableFileBusy => Errno::Txtbsy,
            Kind::CrossesDevices => Errno::Xdev,
            Kind::TooManyLinks => Errno::Mlink,
            Kind::InvalidFilename => Errno::Nametoolong,
            Kind::Interrupted => Errno::Intr,
            Kind::Unsupported => Errno::Notsup,
            Kind::OutOfMemory => Errno::Nomem,
            Kind::BrokenPipe => Errno::Pipe,
            _ => Errno::Io,
        }
    }
}

/// The reason why a call failed: the guest's error number, and the limit of the job that caused it, if one did.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    pub errno: Errno,
    pub exceeded: Option<Exceeded>,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure { errno, exceeded: None }
    }
}

impl From<Exceeded> for Failure {
    fn from(exceeded: Exceeded) -> Failure {
        let errno = match exceeded.limit {
            Limit::OpenFiles | Limit::RuntimeOpenFiles => Errno::Mfile,
            Limit::Written | Limit::Names => Errno::Dquot,
            Limit::FileSystem => Errno::Nospc,
            Limit::Memory | Limit::HostMemory => Errno::Nomem,
        };
        Failure {
            errno,
            exceeded: Some(exceeded),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match Exceeded::of(&error) {
            Some(exceeded) => exceeded.into(),
            // The host's own limits, such as a full disk, are not the job's.
            None => Errno::from(error).into(),
        }
    }
}

/// What a call or a part of it returns.
pub type Answer<T = ()> = Result<T, Failure>;

/// Offsets are signed in WASI, as they are in every host.
pub fn check_offset(offset: u64) -> Answer {
    i64::try_from(offset).map(drop).map_err(|_| Errno::Inval.into())
}

pub mod clock {
    pub const REALTIME: u32 = 0;
    pub const MONOTONIC: u32 = 1;
    pub const PROCESS_CPU_TIME: u32 = 2;
    pub const THREAD_CPU_TIME: u32 = 3;
}

pub mod file_type {
    pub const UNKNOWN: u8 = 0;
    pub const CHARACTER_DEVICE: u8 = 2;
    pub const DIRECTORY: u8 = 3;
    pub const REGULAR_FILE: u8 = 4;
    pub const SYMBOLIC_LINK: u8 = 7;
}

pub mod rights {
    pub const FD_READ: u64 = 1 << 1;
    pub const FD_SEEK: u64 = 1 << 2;
    pub const FD_TELL: u64 = 1 << 5;
    pub const FD_WRITE: u64 = 1 << 6;
    /// Every right that preview 1 defines.
    pub const ALL: u64 = (1 << 30) - 1;
    /// Rights that only make sense on a directory: the `path_` rights and `fd_readdir`, bits 9 to 20 and 24 to 26.
    const ONLY_DIRECTORY: u64 = ((1 << 21) - (1 << 9)) | (0b111 << 24);
    const FDSTAT_SET_FLAGS: u64 = 1 << 3;
    const FD_SYNC: u64 = 1 << 4;
    const FILESTAT_GET: u64 = 1 << 21;
    const FILESTAT_SET_TIMES: u64 = 1 << 23;
    pub const DIRECTORY: u64 = ONLY_DIRECTORY | FDSTAT_SET_FLAGS | FD_SYNC | FILESTAT_GET | FILESTAT_SET_TIMES;
    pub const FILE: u64 = ALL & !ONLY_DIRECTORY;
}

pub mod fd_flags {
    pub const APPEND: u32 = 1 << 0;
    pub const ALL: u32 = (1 << 5) - 1;
}

pub mod open_flags {
    pub const CREATE: u32 = 1 << 0;
    pub const DIRECTORY: u32 = 1 << 1;
    pub const EXCLUSIVE: u32 = 1 << 2;
    pub const TRUNCATE: u32 = 1 << 3;
    pub const ALL: u32 = (1 << 4) - 1;
}

pub mod lookup_flags {
    pub const SYMLINK_FOLLOW: u32 = 1 << 0;
}

pub mod time_flags {
    pub const ACCESS: u32 = 1 << 0;
    pub const ACCESS_NOW: u32 = 1 << 1;
    pub const MODIFICATION: u32 = 1 << 2;
    pub const MODIFICATION_NOW: u32 = 1 << 3;
    pub const ALL: u32 = (1 << 4) - 1;
}

pub mod whence {
    pub const SET: u32 = 0;
    pub const CURRENT: u32 = 1;
    pub const END: u32 = 2;
}

pub mod event_type {
    pub const CLOCK: u8 = 0;
    pub const FD_READ: u8 = 1;
    pub const FD_WRITE: u8 = 2;
}

/// The flag of a clock subscription whose time is a point and not a span.
pub const SUBSCRIPTION_CLOCK_ABSOLUTE: u16 = 1;

pub const SUBSCRIPTION_SIZE_BYTES: u32 = 48;
pub const EVENT_SIZE_BYTES: u32 = 32;
pub const DIRENT_SIZE_BYTES: usize = 24;
pub const IOVEC_SIZE_BYTES: u32 = 8;
