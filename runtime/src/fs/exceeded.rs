//! The limit that refused something, and its figures.

use crate::limit::Limit;
use std::error::Error;
use std::fmt;
use std::io;

/// A refusal by a limit of the sandbox, as opposed to one by the host.
///
/// An [`io::Error`] made of it tells a job that it reached a limit of its [`FileSystem`](super::FileSystem): if the
/// program then fails, the caller gets [`Error::Limit`](crate::Error::Limit) with these figures. The host's own errors,
/// such as a full disk, are passed on to the program and are not limits of the job.
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
    /// The value that would have been reached.
    pub wanted: u64,
}

impl Exceeded {
    pub fn new(limit: Limit, allowed: u64, wanted: u64) -> Exceeded {
        Exceeded { limit, allowed, wanted }
    }

    /// Returns the refusal that an error carries, if any.
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
