//! Ending a job from outside: its deadline, or a cancellation by another thread.

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
        *self.lock() = true;
        self.shared.changed.notify_all();
    }

    pub fn is_cancelled(&self) -> bool {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.shared.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a job was ended before its program did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interruption {
    Cancelled,
    Deadline,
}

/// What may end one job.
#[derive(Clone, Default)]
pub(crate) struct Interrupt {
    pub cancellation: Cancellation,
    pub deadline: Option<Instant>,
}

impl Interrupt {
    pub fn check(&self) -> Option<Interruption> {
        if self.cancellation.is_cancelled() {
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
        let mut cancelled = self.cancellation.lock();
        while !*cancelled {
            let now = Instant::now();
            cancelled = match until {
                Some(until) if until <= now => break,
                Some(until) => {
                    let wait = self.cancellation.shared.changed.wait_timeout(cancelled, until - now);
                    wait.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .cancellation
                    .shared
                    .changed
                    .wait(cancelled)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
        drop(cancelled);
        self.check().map_or(Ok(()), Err)
    }
}
