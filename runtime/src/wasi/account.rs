//! The account of what a job has used.

use super::abi::Answer;
use super::descriptors::OpenFile;
use crate::budget::Budget;
use crate::fs::{Exceeded, FileType};
use crate::limit::Limit;
use std::sync::Arc;

/// The memory that a change in a directory may take besides contents: a name, a mark, a file or directory.
pub const NAME_COST_BYTES: u64 = 4096;

/// The resources that the job has used: bytes written, names made, and memory of the host.
pub struct Account {
    pub bytes_written: u64,
    /// Those of them that are not limited.
    pub(super) bytes_uncounted: u64,
    pub(super) streams_count: bool,
    /// The bytes by which files have grown otherwise.
    pub(super) bytes_grown: u64,
    pub(super) written_max_bytes: u64,
    pub(super) names: u64,
    pub(super) names_max: u64,
    pub(super) host_memory: Arc<Budget>,
}

impl Account {
    pub fn host_memory(&self) -> &Arc<Budget> {
        &self.host_memory
    }

    /// Refuses what would go over the job's limit on output, before any of it is written.
    pub(super) fn check_written(&self, more_bytes: u64) -> Result<(), Exceeded> {
        let wanted = self
            .bytes_written
            .saturating_sub(self.bytes_uncounted)
            .saturating_add(self.bytes_grown)
            .saturating_add(more_bytes);
        if wanted > self.written_max_bytes {
            return Err(Exceeded::new(Limit::Written, self.written_max_bytes, wanted));
        }
        Ok(())
    }

    /// Whether there is a limit on output. Without one it does not matter by how much files grow, and finding it takes time.
    pub(super) fn is_limited(&self) -> bool {
        self.written_max_bytes != u64::MAX
    }

    /// Checks that so many more names may be made, with the memory for them.
    pub(super) fn check_names(&self, more: u64) -> Result<(), Exceeded> {
        self.host_memory.check(more.saturating_mul(NAME_COST_BYTES))?;
        match self.names.saturating_add(more) {
            wanted if wanted > self.names_max && more > 0 => Err(Exceeded::new(Limit::Names, self.names_max, wanted)),
            _ => Ok(()),
        }
    }

    /// Returns the bytes by which a file grows if a write begins at this offset.
    pub(super) fn hole_bytes(&self, open: &OpenFile, offset: u64) -> Answer<u64> {
        if !self.is_limited() || open.file.is_stream() {
            return Ok(0);
        }
        let metadata = open.file.metadata()?;
        // A device does not grow.
        if metadata.file_type != FileType::File {
            return Ok(0);
        }
        Ok(offset.saturating_sub(metadata.size_bytes))
    }
}
