//! Which limit refused something, and its figures.

use crate::job::Limit;
use std::error::Error;
use std::fmt;
use std::io;

/// A limit of the sandbox, not of the machine below it, has refused something.
///
/// An [`io::Error`] made of it tells a job that it ran into a limit of its [`FileSystem`](super::FileSystem): if the
/// program then fails, the caller sees [`Error::Limit`](crate::Error::Limit) with these figures. What the host says by
/// itself, such as that a disk is full, is passed on to the program and is not the job's limit.
///
/// ```
/// # use afmpeg::{Limit, fs::Exceeded};
/// let error = std::io::Error::from(Exceeded::new(Limit::FileSystem, 1000, 1500));
/// assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exceeded {
    pub limit: Limit,
    pub allowed: u64,
    /// What it would have come to.
    pub wanted: u64,
}

impl Exceeded {
    pub fn new(limit: Limit, allowed: u64, wanted: u64) -> Exceeded {
        Exceeded { limit, allowed, wanted }
    }

    /// What an error carries of it.
    pub(crate) fn of(error: &io::Error) -> Option<Exceeded> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Exceeded { limit, allowed, wanted } = self;
        write!(formatter, "{limit} is {allowed}, and it wanted {wanted}")
    }
}

impl Error for Exceeded {}

impl From<Exceeded> for io::Error {
    fn from(exceeded: Exceeded) -> io::Error {
        let kind = match exceeded.limit {
            Limit::FileSystem => io::ErrorKind::StorageFull,
            Limit::Written | Limit::Names => io::ErrorKind::QuotaExceeded,
            Limit::Memory | Limit::HostMemory => io::ErrorKind::OutOfMemory,
            Limit::OpenFiles | Limit::RuntimeOpenFiles => io::ErrorKind::Other,
        };
        io::Error::new(kind, exceeded)
    }
}
