//! The limits of a job, by name.

use std::fmt;

/// A resource that is limited for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Job::memory_max_bytes`](crate::Job::memory_max_bytes)
    Memory,
    /// [`Job::host_memory_max_bytes`](crate::Job::host_memory_max_bytes)
    HostMemory,
    /// [`Job::open_files_max`](crate::Job::open_files_max)
    OpenFiles,
    /// [`RuntimeBuilder::open_files_max`](crate::RuntimeBuilder::open_files_max), which all jobs share.
    RuntimeOpenFiles,
    /// [`Job::written_max_bytes`](crate::Job::written_max_bytes)
    Written,
    /// [`Job::names_max`](crate::Job::names_max)
    Names,
    /// The size of one of its file systems.
    FileSystem,
}

impl fmt::Display for Limit {
    /// The method that sets it.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Limit::Memory => "memory_max_bytes",
            Limit::HostMemory => "host_memory_max_bytes",
            Limit::OpenFiles => "open_files_max",
            Limit::RuntimeOpenFiles => "the runtime's open_files_max",
            Limit::Written => "written_max_bytes",
            Limit::Names => "names_max",
            Limit::FileSystem => "the room in a file system",
        })
    }
}
