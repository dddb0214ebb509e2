//! A job's thread as others see it.

use crate::engine::{self, Program};
use crate::error::Error;
use crate::output::{Figures, Output};
use crate::preempt::{self, Preemption};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::{self, JoinHandle};

/// The number of attempts to stop a program, one right after the other. About one in some tens finds a program that is
/// mostly in short calls of the engine in its own code.
const BURST: usize = 100;

/// A job that has a thread.
pub(crate) struct Running {
    pub thread: preempt::Thread,
    pub figures: Arc<Figures>,
    preemption: Preemption,
    program: Arc<Program>,
    outcome: Mutex<Outcome>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Outcome {
    /// The job's result, or the panic of a caller's file system or stream.
    result: Option<thread::Result<Result<Output, Error>>>,
    waker: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// Runs a job on a thread of its own, which may need more stack than the caller's thread has.
    pub fn start(
        preemption: Preemption,
        program: &Arc<Program>,
        work: impl FnOnce(&Running) -> Result<Output, Error> + Send + 'static,
    ) -> Result<Arc<Running>, Error> {
        let running = Arc::new(Running {
            thread: preempt::Thread::default(),
            figures: Arc::default(),
            preemption,
            program: program.clone(),
            outcome: Mutex::default(),
            handle: Mutex::default(),
        });
        let own = running.clone();
        let job_thread = move || {
            preempt::accept_signals();
            // State that a caller's own code has left inconsistent is passed to the caller, with the panic.
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&own)));
            let mut outcome = lock(&own.outcome);
            outcome.result = Some(result);
            let waker = outcome.waker.take();
            drop(outcome);
            if let Some(waker) = waker {
                waker.wake();
            }
        };
        let thread = thread::Builder::new().name("afmpeg job".to_owned());
        let handle = thread.stack_size(engine::THREAD_STACK_SIZE_BYTES).spawn(job_thread);
        *lock(&running.handle) = Some(handle.map_err(|source| Error::Thread { source })?);
        Ok(running)
    }

    /// Has the end of the job wake this.
    pub fn set_waker(&self, waker: &Waker) {
        let mut outcome = lock(&self.outcome);
        match &mut outcome.waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    pub fn take_result(&self) -> Option<thread::Result<Result<Output, Error>>> {
        lock(&self.outcome).result.take()
    }

    /// Tries to stop the program, whose deadline has passed or whose cancellation has come.
    fn stop(&self) {
        self.program.stop(&self.thread, self.preemption);
    }

    /// Tries to stop the program many times, one right after the other.
    pub fn burst(&self) {
        let attempts = match self.preemption {
            Preemption::Signals => BURST,
            Preemption::Epochs => 1,
        };
        for _ in 0..attempts {
            if self.has_ended() {
                return;
            }
            self.stop();
            // A signal that is sent before the last one was delivered is lost.
            for _ in 0..50 {
                std::hint::spin_loop();
            }
        }
    }

    pub fn has_ended(&self) -> bool {
        lock(&self.handle).as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the thread, which is about to end.
    pub fn join(&self) {
        if let Some(handle) = lock(&self.handle).take() {
            // The thread's panics are caught on it.
            let _ = handle.join();
        }
    }
}
