//! The state of one guest, which every call is a function of.

use super::abi::{self, Answer, Errno};
use super::account::{Account, NAME_COST_BYTES};
use super::clock::Clock;
use super::descriptors::{Descriptor, Descriptors, OpenDirectory};
use super::memory::GuestMemory;
use super::path::{Location, Resolved};
use crate::budget::Budget;
use crate::fs::{ATTEMPTS, Change, Exceeded, FileSystem, Tree};
use crate::interrupt::Interrupt;
use crate::random::Random;
use crate::stdio::Stream;
use std::sync::Arc;
use std::time::Duration;

/// The number of standard streams.
pub(super) const STANDARD_STREAMS: u32 = 3;

/// One guest's view of the world.
pub struct Host {
    pub(super) args: Vec<Vec<u8>>,
    pub(super) env: Vec<Vec<u8>>,
    pub(super) descriptors: Descriptors,
    /// The number of the first directory that the guest was given; those before are streams, or not there.
    pub(super) first_directory: u32,
    pub interrupt: Interrupt,
    /// How long the guest has waited for pipes since one of them gave something.
    #[cfg(unix)]
    pub(super) waited_in_vain: Duration,
    pub(super) clock: Clock,
    pub(super) random: Arc<Random>,
    pub bytes_read: u64,
    pub account: Account,
    pub(super) open_files: Arc<Budget>,
}

/// The parts of a host besides its descriptors.
pub struct Setup {
    pub args: Vec<Vec<u8>>,
    pub env: Vec<Vec<u8>>,
    pub interrupt: Interrupt,
    pub clock: Clock,
    pub random: Arc<Random>,
    pub open_files_max: usize,
    pub written_max_bytes: u64,
    pub streams_count: bool,
    pub names_max: u64,
    pub host_memory: Arc<Budget>,
    /// The budget that all jobs of a runtime share.
    pub open_files: Arc<Budget>,
}

impl Host {
    pub fn new(setup: Setup) -> Host {
        Host {
            args: setup.args,
            env: setup.env,
            descriptors: Descriptors::new(setup.open_files_max, setup.host_memory.clone()),
            first_directory: STANDARD_STREAMS,
            interrupt: setup.interrupt,
            #[cfg(unix)]
            waited_in_vain: Duration::ZERO,
            clock: setup.clock,
            random: setup.random,
            bytes_read: 0,
            account: Account {
                bytes_written: 0,
                bytes_uncounted: 0,
                streams_count: setup.streams_count,
                bytes_grown: 0,
                written_max_bytes: setup.written_max_bytes,
                names: 0,
                names_max: setup.names_max,
                host_memory: setup.host_memory,
            },
            open_files: setup.open_files,
        }
    }

    /// Adds the next standard stream; the first three descriptors are for these.
    pub fn add_stream(&mut self, stream: Stream) -> Answer {
        self.descriptors.insert(Descriptor::Stream(stream), None).map(drop)
    }

    /// Adds a stream under a number above those of the standard streams; the numbers must rise. Directories follow.
    pub fn add_descriptor(&mut self, number: u32, stream: Stream) -> Answer {
        self.descriptors.skip_to(number)?;
        self.add_stream(stream)?;
        self.first_directory = number + 1;
        Ok(())
    }

    /// Gives a directory to the guest under a name, after the standard streams.
    pub fn add_directory(&mut self, name: String, file_system: Arc<dyn FileSystem>) -> Answer {
        self.add_preopened(name, Location::Within(file_system, ".".to_owned()))
    }

    /// Gives the tree of all names to the guest, as its root.
    pub fn add_tree(&mut self, tree: Tree) -> Answer {
        self.add_preopened("/".to_owned(), Location::Root(Arc::new(tree)))
    }

    fn add_preopened(&mut self, name: String, location: Location) -> Answer {
        let directory = OpenDirectory {
            location,
            preopened_as: Some(name),
            listing: None,
        };
        self.descriptors
            .insert(Descriptor::Directory(directory), None)
            .map(drop)
    }

    pub(super) fn now(&mut self, clock: u32) -> Result<Duration, Errno> {
        match clock {
            abi::clock::REALTIME => Ok(self.clock.realtime()),
            abi::clock::MONOTONIC => Ok(self.clock.monotonic()),
            abi::clock::PROCESS_CPU_TIME | abi::clock::THREAD_CPU_TIME => Ok(self.clock.processor()),
            _ => Err(Errno::Inval),
        }
    }

    /// Does what a file system has to do before a path can be written to or renamed.
    pub(super) fn prepare(&mut self, file_system: &dyn FileSystem, path: &str, follow_links: bool) -> Answer {
        for _ in 0..ATTEMPTS {
            let Some(mut steps) = file_system.prepare(path, follow_links)? else {
                return Ok(());
            };
            let names = file_system.names_besides(path, Change::Made).max(1);
            self.account.check_names(names)?;
            loop {
                let left_bytes = steps.left_bytes();
                self.account.check_written(left_bytes)?;
                self.account.host_memory.check(steps.growth_bytes())?;
                if self.interrupt.check().is_some() {
                    return Err(Errno::Intr.into());
                }
                let goes_on = steps.step()?;
                self.account.bytes_grown += left_bytes.saturating_sub(steps.left_bytes());
                if !goes_on {
                    break;
                }
            }
            self.account.names += names;
        }
        Ok(())
    }

    /// Checks that a change of a path may be made, which makes this many names of the program's own. Returns how many it
    /// makes in all, to be counted once they are made.
    pub(super) fn check_change(
        &self,
        file_system: &dyn FileSystem,
        path: &str,
        own_names: u64,
    ) -> Result<u64, Exceeded> {
        let names = file_system.names_besides(path, Change::Made).saturating_add(own_names);
        self.account.check_names(names)?;
        Ok(names)
    }

    /// Checks that there is memory for what a removal leaves; what leaves nothing is always allowed.
    pub(super) fn check_removal(&self, file_system: &dyn FileSystem, path: &str) -> Result<(), Exceeded> {
        let marks = file_system.names_besides(path, Change::Removed);
        self.account.host_memory.check(marks.saturating_mul(NAME_COST_BYTES))
    }

    /// Finds what a path leads to.
    pub(super) fn resolve(
        &mut self,
        memory: &GuestMemory,
        fd: u32,
        path: u32,
        length: u32,
        follow_last: bool,
    ) -> Result<(Arc<dyn FileSystem>, Resolved), Errno> {
        let directory = self.descriptors.directory(fd)?;
        let path = memory.path(path, length)?;
        directory.location.resolve(path, follow_last)
    }
}
