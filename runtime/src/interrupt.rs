//! Ending a job from outside: its deadline, or a cancellation by another thread.

use crate::error::Error;
use crate::output::Output;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The longest wait that only a file descriptor can end, before the job checks for its interruption.
#[cfg(unix)]
pub(crate) const WAIT_SLICE: Duration = Duration::from_millis(20);

/// Cancels jobs from another thread.
///
/// All clones are the same cancellation. One cancellation can serve many jobs, and a job can have several, such as that
/// of its request and that of the whole service.
#[derive(Clone, Default)]
pub struct Cancellation {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// The wakers that a cancellation wakes.
#[derive(Default)]
struct Waiting {
    next_key: u64,
    wakers: HashMap<u64, Waker>,
}

impl Cancellation {
    pub fn new() -> Cancellation {
        Cancellation::default()
    }

    /// Ends the jobs that hold this cancellation, and those that will be started with it.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut self.shared.lock().wakers);
        for waker in wakers.into_values() {
            waker.wake();
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// Wakes this at a later cancellation; the caller must check afterwards whether it was cancelled before.
    fn register(&self, waker: &Waker) -> Registration {
        let mut waiting = self.shared.lock();
        let key = waiting.next_key;
        waiting.next_key += 1;
        waiting.wakers.insert(key, waker.clone());
        Registration {
            shared: self.shared.clone(),
            key,
        }
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("Cancellation")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registered waker, removed when this is dropped.
pub(crate) struct Registration {
    shared: Arc<Shared>,
    key: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let waker = self.shared.lock().wakers.remove(&self.key);
        // Dropping a waker runs its owner's code, which must not happen under our lock.
        drop(waker);
    }
}

/// The reason why a job was ended before its program did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    Cancelled,
    Deadline,
}

impl Interruption {
    /// Returns the error for the job's caller, with the output up to then.
    pub fn error(self, output: Output) -> Error {
        let output = Box::new(output);
        match self {
            Interruption::Cancelled => Error::Cancelled { output },
            Interruption::Deadline => Error::Deadline { output },
        }
    }
}

/// The causes that may end one job.
#[derive(Clone, Default)]
pub(crate) struct Interrupt {
    pub cancellations: Vec<Cancellation>,
    pub deadline: Option<Instant>,
}

impl Interrupt {
    /// Returns whether anything could end the job.
    pub fn is_possible(&self) -> bool {
        !self.cancellations.is_empty() || self.deadline.is_some()
    }

    pub fn check(&self) -> Option<Interruption> {
        if self.cancellations.iter().any(Cancellation::is_cancelled) {
            Some(Interruption::Cancelled)
        } else if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            Some(Interruption::Deadline)
        } else {
            None
        }
    }

    /// Wakes this at each cancellation as long as the result is kept. The caller watches the deadline itself.
    pub fn register(&self, waker: &Waker) -> Vec<Registration> {
        let cancellations = self.cancellations.iter();
        cancellations.map(|cancellation| cancellation.register(waker)).collect()
    }

    /// Sleeps until this time, or without end if there is none, or until the job is interrupted.
    pub fn sleep_until(&self, wake_up: Option<Instant>) -> Result<(), Interruption> {
        let _registered = self.register(&waker_of_this_thread());
        loop {
            if let Some(interruption) = self.check() {
                return Err(interruption);
            }
            match [wake_up, self.deadline].into_iter().flatten().min() {
                None => thread::park(),
                Some(until) => match until.saturating_duration_since(Instant::now()) {
                    Duration::ZERO => return Ok(()),
                    left => thread::park_timeout(left),
                },
            }
        }
    }
}

/// The bytes that a ready pipe takes without blocking; it may not take more: `PIPE_BUF`.
pub(crate) const PIPE_BUF_BYTES: usize = if cfg!(target_os = "linux") { 4096 } else { 512 };

/// Waits for a pipe or the like, a slice of time at most; whether it can be used without blocking.
#[cfg(unix)]
pub(crate) fn wait_a_slice(file: &std::fs::File, flags: rustix::event::PollFlags) -> io::Result<bool> {
    use rustix::event::{PollFd, Timespec, poll};
    let slice = Timespec::try_from(WAIT_SLICE).map_err(|_| io::ErrorKind::InvalidInput)?;
    match poll(&mut [PollFd::new(file, flags)], Some(&slice)) {
        Err(rustix::io::Errno::INTR) => Ok(false),
        ready => Ok(ready? > 0),
    }
}

/// Repeats a call that a signal has ended, unless the signal was to end the job.
pub(crate) fn retry<T>(interrupt: &Interrupt, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && interrupt.check().is_none() => {}
            done => return done,
        }
    }
}

/// Returns a waker that unparks the current thread.
pub(crate) fn waker_of_this_thread() -> Waker {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    Arc::new(Unpark(thread::current())).into()
}
