//! The outcome of the cache of compiled code.

use std::fmt;
use std::path::PathBuf;

/// The outcome of the cache of compiled code when a [`Runtime`](crate::Runtime) was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheStatus {
    /// A pack runs, for which nothing is compiled.
    NotNeeded,
    /// No folder was given: the module was compiled, and its code is not kept.
    Off,
    /// The code was loaded from the cache.
    Hit,
    /// The module was compiled, and its code is stored for the next process.
    Stored,
    /// The module was compiled and its code could not be stored, so the next process compiles it again. The runtime
    /// works.
    Unusable { folder: PathBuf, reason: String },
}

impl fmt::Display for CacheStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            CacheStatus::NotNeeded => formatter.write_str("nothing is compiled for a pack"),
            CacheStatus::Off => formatter.write_str("compiled code is not kept"),
            CacheStatus::Hit => formatter.write_str("compiled code was found"),
            CacheStatus::Stored => formatter.write_str("compiled code was stored"),
            CacheStatus::Unusable { folder, reason } => {
                write!(formatter, "compiled code is not kept in {}: {reason}", folder.display())
            }
        }
    }
}
