//! Ending a job from outside: its deadline, or a cancellation by another thread.

use crate::{Error, Output};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a wait that only a file descriptor can end goes on before the job looks for its interruption.
pub(crate) const WAIT_SLICE: Duration = Duration::from_millis(20);

/// Cancels jobs from another thread.
///
/// Every clone stands for the same cancellation, and one cancellation may serve many jobs.
#[derive(Clone, Default)]
pub struct Cancellation {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    cancelled: Mutex<bool>,
    changed: Condvar,
}

impl Cancellation {
    pub fn new() -> Cancellation {
        Cancellation::default()
    }

    /// Ends the jobs that hold this cancellation, and those that will be started with it.
    pub fn cancel(&self) {
        *self.shared.lock() = true;
        self.shared.changed.notify_all();
    }

    pub fn is_cancelled(&self) -> bool {
        *self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a job was ended before its program did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    Cancelled,
    Deadline,
}

impl Interruption {
    /// What the job's caller is told, with what the job had put out by then.
    pub fn error(self, output: Output) -> Error {
        let output = Box::new(output);
        match self {
            Interruption::Cancelled => Error::Cancelled { output },
            Interruption::Deadline => Error::Deadline { output },
        }
    }
}

/// What may end one job.
#[derive(Clone, Default)]
pub(crate) struct Interrupt {
    pub cancellation: Option<Cancellation>,
    pub deadline: Option<Instant>,
}

impl Interrupt {
    /// Whether there is anything that could end the job.
    pub fn is_possible(&self) -> bool {
        self.cancellation.is_some() || self.deadline.is_some()
    }

    pub fn check(&self) -> Option<Interruption> {
        if self.cancellation.as_ref().is_some_and(Cancellation::is_cancelled) {
            Some(Interruption::Cancelled)
        } else if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            Some(Interruption::Deadline)
        } else {
            None
        }
    }

    /// Sleeps until then, or for ever where there is no such time, or until the job is interrupted.
    pub fn sleep_until(&self, wake_up: Option<Instant>) -> Result<(), Interruption> {
        let until = [wake_up, self.deadline].into_iter().flatten().min();
        let never = Cancellation::new();
        let shared = &self.cancellation.as_ref().unwrap_or(&never).shared;
        let mut cancelled = shared.lock();
        while !*cancelled {
            let now = Instant::now();
            cancelled = match until {
                Some(until) if until <= now => break,
                Some(until) => {
                    let wait = shared.changed.wait_timeout(cancelled, until - now);
                    wait.unwrap_or_else(PoisonError::into_inner).0
                }
                None => shared.changed.wait(cancelled).unwrap_or_else(PoisonError::into_inner),
            };
        }
        drop(cancelled);
        self.check().map_or(Ok(()), Err)
    }
}
