//! File systems that a job can be given.

mod content;
mod descriptor;
mod device;
mod exceeded;
mod file_system;
mod host;
mod memory;
mod metadata;
mod overlay;
mod read_at;
mod surrounding;
mod tree;
mod turns;
mod write_at;

pub(crate) use device::Devices;
pub use exceeded::Exceeded;
pub use file_system::{Change, File, FileSystem, OpenOptions, Opened, Steps};
pub use host::{Access, HostDir};
pub use memory::MemoryFs;
pub use metadata::{DirEntry, FileType, Metadata, Times};
pub(crate) use overlay::ATTEMPTS;
pub use overlay::OverlayFs;
pub use read_at::ReadAt;
pub(crate) use tree::Found;
pub use tree::{Refused, Tree};
pub use write_at::WriteAt;
