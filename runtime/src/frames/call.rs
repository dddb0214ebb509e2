//! The state that all jobs of one call of [`Runtime::frames`] share: limits, the deadline, and the end at the first
//! failure.

use crate::command::Command;
use crate::error::Error;
use crate::fs::MemoryFs;
use crate::interrupt::Cancellation;
use crate::job::Job;
use crate::limit::Limit;
use crate::output::Output;
use crate::probe::Probe;
use crate::runtime::Runtime;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The result of a closure that sets up jobs: the job, or the reason why there is none.
pub trait IntoJob {
    fn into_job(self) -> Result<Job, Error>;
}

impl IntoJob for Job {
    fn into_job(self) -> Result<Job, Error> {
        Ok(self)
    }
}

impl IntoJob for Result<Job, Error> {
    fn into_job(self) -> Result<Job, Error> {
        self
    }
}

/// The path, in the guest, of the folder for pictures.
pub const FOLDER: &str = "/frames";

pub struct Call<'a> {
    runtime: &'a Runtime,
    set_up: &'a (dyn Fn(Job) -> Result<Job, Error> + Sync),
    called: Instant,
    /// That of the first job, which holds for all.
    deadline: OnceLock<Option<Instant>>,
    /// Ends the other jobs once one has failed.
    stop: Cancellation,
    size_max_bytes: u64,
    size_bytes: AtomicU64,
}

impl<'a> Call<'a> {
    pub fn new(
        runtime: &'a Runtime,
        set_up: &'a (dyn Fn(Job) -> Result<Job, Error> + Sync),
        size_max_bytes: u64,
    ) -> Call<'a> {
        Call {
            runtime,
            set_up,
            called: Instant::now(),
            deadline: OnceLock::new(),
            stop: Cancellation::new(),
            size_max_bytes,
            size_bytes: AtomicU64::new(0),
        }
    }

    /// A job with the caller's files and limits, and what is left of the time for the whole call.
    fn set_up(&self, job: Job) -> Result<Job, Error> {
        let mut job = (self.set_up)(job)?;
        let deadline = self
            .deadline
            .get_or_init(|| job.timeout.and_then(|timeout| self.called.checked_add(timeout)));
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Err(Error::Deadline { output: Box::default() });
            }
            job = job.timeout(left);
        }
        Ok(job.cancellation(&self.stop))
    }

    pub fn run(&self, job: Job) -> Result<Output, Error> {
        self.runtime.run(self.set_up(job)?)
    }

    pub fn probe(&self, job: Job) -> Result<Probe, Error> {
        self.runtime.probe(self.set_up(job)?)
    }

    /// Runs a command that writes pictures to a folder, beside files that lie there. `size_max_bytes` is as much as it
    /// can have to write; without it, there is the room that is left for all pictures together.
    pub fn run_into(
        &self,
        files: impl IntoIterator<Item = (String, Bytes)>,
        command: Command,
        size_max_bytes: Option<u64>,
    ) -> Result<MemoryFs, Error> {
        let used = self.size_bytes.load(Ordering::Relaxed);
        let left = self.size_max_bytes.saturating_sub(used);
        let folder = MemoryFs::new(size_max_bytes.map_or(left, |bytes| bytes.min(left)));
        for (name, file) in files {
            folder.add_file(&name, file).map_err(|source| Error::Frame { source })?;
        }
        let command = command.flag("hide_banner").option("loglevel", "error");
        let job = command.job().map_err(|source| Error::Command { source })?;
        let job = self.set_up(job)?.file_system(FOLDER, Arc::new(folder.clone()));
        match self.runtime.run(job).and_then(Output::into_success) {
            Ok(_) => Ok(folder),
            Err(Error::Limit {
                limit: Limit::FileSystem,
                ..
            }) => match size_max_bytes {
                Some(bytes) if bytes < left => Err(Error::frame("a picture is larger than the file says that it is")),
                _ => Err(self.too_large()),
            },
            Err(error) => Err(error),
        }
    }

    /// Counts what is kept for the caller.
    pub fn keep(&self, picture: &Bytes) -> Result<(), Error> {
        let bytes = picture.len() as u64;
        let before = self.size_bytes.fetch_add(bytes, Ordering::Relaxed);
        match before.saturating_add(bytes) <= self.size_max_bytes {
            true => Ok(()),
            false => Err(self.too_large()),
        }
    }

    fn too_large(&self) -> Error {
        Error::frame(format!(
            "the pictures take more than {} bytes together: ask for fewer or smaller ones, or allow more with \
             Frames::size_max_bytes",
            self.size_max_bytes
        ))
    }

    /// Makes something of each item, on as many threads as there are cores, up to the first failure.
    pub fn all<T: Sync, R: Send>(
        &self,
        items: &[T],
        make: impl Fn(&T) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error> {
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let run = || {
            let mut made = Vec::new();
            while !self.stop.is_cancelled() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else {
                    break;
                };
                match make(item) {
                    Ok(result) => made.push((index, result)),
                    Err(error) => {
                        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        failure.get_or_insert(error);
                        self.stop.cancel();
                    }
                }
            }
            made
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len());
        let mut made = thread::scope(|scope| {
            let threads: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
            let mut made = run();
            for thread in threads {
                match thread.join() {
                    Ok(others) => made.extend(others),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            made
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        made.sort_by_key(|(index, _)| *index);
        Ok(made.into_iter().map(|(_, result)| result).collect())
    }
}
