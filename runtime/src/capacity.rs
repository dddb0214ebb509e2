//! Resources that jobs of one or several runtimes share.

use crate::budget::Budget;
use crate::error::Error;
use crate::limit::Limit;
use crate::queue::Queue;
use crate::supervisor::Supervisor;
use std::fmt;
use std::sync::Arc;
use std::thread;

/// The number of jobs that may run and wait at a time: one line and one budget, for one [`Runtime`](crate::Runtime) or
/// for several.
///
/// A runtime has its own unless it is given one. Services with several modules share one:
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let wasm = wat::parse_str(include_str!("../tests/support/tiny.wat"))?;
/// # let (small_module, large_module) = (&wasm, &wasm);
/// use afmpeg::{Capacity, Runtime};
/// let capacity = Capacity::builder().max_concurrency(4).max_waiting(100).build()?;
/// let small = Runtime::builder().capacity(&capacity).from_bytes(small_module)?;
/// let large = Runtime::builder().capacity(&capacity).from_bytes(large_module)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Capacity {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub queue: Arc<Queue>,
    pub supervisor: Supervisor,
    pub open_files: Arc<Budget>,
    left_behind_max: usize,
}

/// Settings of a new [`Capacity`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct CapacityBuilder {
    max_concurrency: Option<usize>,
    max_waiting: usize,
    max_left_behind: usize,
    open_files_max: Option<u64>,
}

impl Default for CapacityBuilder {
    fn default() -> CapacityBuilder {
        CapacityBuilder {
            max_concurrency: None,
            max_waiting: 10_000,
            max_left_behind: 64,
            open_files_max: None,
        }
    }
}

impl CapacityBuilder {
    /// Sets the number of jobs that run at a time, at least one; further jobs wait in line. By default the number of
    /// cores.
    pub fn max_concurrency(mut self, jobs: usize) -> CapacityBuilder {
        self.max_concurrency = Some(jobs);
        self
    }

    /// Sets the number of jobs that may wait in line; further jobs are refused with [`Error::Busy`]. By default 10,000.
    pub fn max_waiting(mut self, jobs: usize) -> CapacityBuilder {
        self.max_waiting = jobs;
        self
    }

    /// Sets the number of jobs that may be left behind, in calls of a caller's stream or file system that do not
    /// return. When it is reached, new jobs are refused with [`Error::Stuck`]. By default 64.
    pub fn max_left_behind(mut self, jobs: usize) -> CapacityBuilder {
        self.max_left_behind = jobs;
        self
    }

    /// Sets the number of files that the programs of all jobs may have open together; by default half of the process's
    /// limit.
    ///
    /// [`Job::open_files_max`](crate::Job::open_files_max) limits a single job.
    pub fn open_files_max(mut self, count: u64) -> CapacityBuilder {
        self.open_files_max = Some(count);
        self
    }

    pub fn build(self) -> Result<Capacity, Error> {
        let jobs = self
            .max_concurrency
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
        let supervisor = Supervisor::start().map_err(|source| Error::Thread { source })?;
        Ok(Capacity {
            shared: Arc::new(Shared {
                queue: Arc::new(Queue::new(jobs.max(1), self.max_waiting)),
                supervisor,
                open_files: Arc::new(Budget::new(
                    Limit::RuntimeOpenFiles,
                    self.open_files_max.unwrap_or_else(open_files_default),
                )),
                left_behind_max: self.max_left_behind,
            }),
        })
    }
}

impl Capacity {
    pub fn builder() -> CapacityBuilder {
        CapacityBuilder::default()
    }

    /// Returns the numbers of jobs of all runtimes that share it.
    pub fn stats(&self) -> Stats {
        let (running, waiting) = self.shared.queue.counts();
        let (left_behind, left_behind_memory_bytes) = self.shared.supervisor.left_behind();
        Stats {
            running,
            waiting,
            left_behind,
            left_behind_memory_bytes,
        }
    }
}

impl fmt::Debug for Capacity {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("Capacity")
            .field("stats", &self.stats())
            .finish()
    }
}

impl Shared {
    /// Refuses new jobs while too many are left behind.
    pub fn check_left_behind(&self) -> Result<(), Error> {
        match self.supervisor.left_behind() {
            (left_behind, _) if left_behind > 0 && left_behind >= self.left_behind_max => {
                Err(Error::Stuck { left_behind })
            }
            _ => Ok(()),
        }
    }
}

/// The numbers of jobs of a [`Capacity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    pub running: usize,
    /// Jobs that wait in line.
    pub waiting: usize,
    /// Jobs whose [`run`](crate::Runtime::run) has returned for a deadline or a cancellation while they were in a call
    /// of a caller's stream or file system. They end when that call returns.
    pub left_behind: usize,
    /// The memory of the programs of the jobs that are left behind.
    pub left_behind_memory_bytes: u64,
}

/// The other half is left for the sockets and files of the application.
fn open_files_default() -> u64 {
    const WITHOUT_LIMIT: u64 = 8192;
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        getrlimit(Resource::Nofile)
            .current
            .map_or(WITHOUT_LIMIT, |count| count / 2)
    }
    #[cfg(not(unix))]
    WITHOUT_LIMIT
}
