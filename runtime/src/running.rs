//! A job's thread as others see it, and the thread that stops jobs.

use crate::Error;
use crate::budget::Budget;
use crate::engine;
use crate::interrupt::{Cancellation, Interrupt, Registration, waker_of_this_thread};
use crate::job::{Figures, Output};
use crate::preempt;
use crate::queue::Place;
use crate::runtime::{Preemption, Tails};
use crate::trace::JobSpan;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use wasmtime::Engine;

/// The time to wait for a program that must stop. It stops at once unless it is in a call of a caller's stream or file
/// system that does not return.
const PATIENCE: Duration = Duration::from_millis(20);

/// The time after which a job that must stop counts as left behind: until then it may just be freeing its memory.
const LEFT_BEHIND_AFTER: Duration = Duration::from_millis(100);

/// The number of attempts to stop a program, one right after the other. About one in some tens finds a program that is
/// mostly in short calls of the engine in its own code.
const BURST: usize = 100;

/// The time between bursts: short for a thread that computes, longer for one that waits.
const BURST_INTERVAL_MIN: Duration = Duration::from_micros(500);
const BURST_INTERVAL_MAX: Duration = Duration::from_millis(20);

/// A job that has a thread.
pub(crate) struct Running {
    pub thread: preempt::Thread,
    pub figures: Arc<Figures>,
    preemption: Preemption,
    engine: Engine,
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
        engine: &Engine,
        work: impl FnOnce(&Running) -> Result<Output, Error> + Send + 'static,
    ) -> Result<Arc<Running>, Error> {
        let running = Arc::new(Running {
            thread: preempt::Thread::default(),
            figures: Arc::default(),
            preemption,
            engine: engine.clone(),
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
    fn set_waker(&self, waker: &Waker) {
        let mut outcome = lock(&self.outcome);
        match &mut outcome.waker {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn take_result(&self) -> Option<thread::Result<Result<Output, Error>>> {
        lock(&self.outcome).result.take()
    }

    /// Tries to stop the program, whose deadline has passed or whose cancellation has come.
    fn stop(&self) {
        match self.preemption {
            Preemption::Signals => self.thread.stop(),
            // All programs on the engine check for an interruption; those without one continue.
            Preemption::Epochs => self.engine.increment_epoch(),
        }
    }

    fn has_ended(&self) -> bool {
        lock(&self.handle).as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the thread, which is about to end.
    fn join(&self) {
        if let Some(handle) = lock(&self.handle).take() {
            // The thread's panics are caught on it.
            let _ = handle.join();
        }
    }
}

/// Waits for a job, and has it stopped when its interruption comes.
pub(crate) struct Watch<'a> {
    pub running: Arc<Running>,
    pub supervisor: &'a Supervisor,
    pub interrupt: Interrupt,
    pub tails: Tails,
    pub queue: Duration,
    pub started: Instant,
    pub host_memory: Arc<Budget>,
    pub stopping_since: Option<Instant>,
    pub done: bool,
    pub span: JobSpan,
    /// Ends the job when nobody waits for it any more.
    pub cancel_when_dropped: Option<Cancellation>,
    /// Kept as long as a cancellation must wake the waiter.
    pub registered: Vec<Registration>,
}

pub(crate) enum Next {
    Done(Result<Output, Error>),
    /// Check again at this time, if there is one, or when woken.
    Wait(Option<Instant>),
}

impl Watch<'_> {
    /// Wakes this when there is something to check.
    pub fn set_waker(&mut self, waker: &Waker) {
        self.registered = self.interrupt.register(waker);
        self.running.set_waker(waker);
    }

    pub fn look(&mut self) -> Next {
        let next = self.look_unseen();
        if let Next::Done(result) = &next {
            self.span.ended(result);
        }
        next
    }

    fn look_unseen(&mut self) -> Next {
        if let Some(result) = self.running.take_result() {
            self.done = true;
            self.running.join();
            return match result {
                Ok(result) => Next::Done(result),
                Err(panic) => std::panic::resume_unwind(panic),
            };
        }
        let Some(interruption) = self.interrupt.check() else {
            return Next::Wait(self.interrupt.deadline);
        };
        let since = *self.stopping_since.get_or_insert_with(|| {
            self.supervisor.stop(&self.running);
            Instant::now()
        });
        if since.elapsed() < PATIENCE {
            return Next::Wait(Some(since + PATIENCE));
        }
        self.done = true;
        self.span.left_behind();
        let mut output = self.tails.output();
        output.timings.queue = self.queue;
        output.timings.run = self.started.elapsed();
        self.running.figures.tell(&mut output);
        output.host_memory_peak_bytes = self.host_memory.peak();
        output.cpu_time = self.running.thread.cpu_time().unwrap_or_default();
        Next::Done(Err(interruption.error(output)))
    }

    /// Waits on this thread; the place in line is given up on return.
    pub fn wait(mut self, _place: Place) -> Result<Output, Error> {
        let waker = waker_of_this_thread();
        self.set_waker(&waker);
        loop {
            match self.look() {
                Next::Done(result) => return result,
                Next::Wait(None) => thread::park(),
                Next::Wait(Some(until)) => thread::park_timeout(until.saturating_duration_since(Instant::now())),
            }
        }
    }
}

impl Drop for Watch<'_> {
    /// Cancels the job if nobody has waited for its end.
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.cancel_when_dropped.iter().for_each(Cancellation::cancel);
        if self.stopping_since.is_none() {
            self.supervisor.stop(&self.running);
        }
    }
}

/// The thread that stops jobs and waits for their threads to end: one for all jobs of a [`Capacity`](crate::Capacity).
pub(crate) struct Supervisor {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    closing: AtomicBool,
}

#[derive(Default)]
struct State {
    stopping: Vec<Stopping>,
}

struct Stopping {
    running: Arc<Running>,
    since: Instant,
    interval: Duration,
    next: Instant,
    cpu_time: Option<Duration>,
}

impl Supervisor {
    pub fn start() -> io::Result<Supervisor> {
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let thread = thread::Builder::new().name("afmpeg stop".to_owned());
        thread.spawn(move || own.work())?;
        Ok(Supervisor { shared })
    }

    /// Stops a job that must end, and keeps trying until its thread has ended.
    fn stop(&self, running: &Arc<Running>) {
        let now = Instant::now();
        lock(&self.shared.state).stopping.push(Stopping {
            running: running.clone(),
            since: now,
            interval: BURST_INTERVAL_MIN,
            next: now,
            cpu_time: None,
        });
        self.shared.changed.notify_one();
    }

    /// Returns the number of jobs that should have ended and have not, and their memory in bytes.
    pub fn left_behind(&self) -> (usize, u64) {
        let state = lock(&self.shared.state);
        let left = state
            .stopping
            .iter()
            .filter(|stopping| stopping.since.elapsed() >= LEFT_BEHIND_AFTER && !stopping.running.has_ended());
        left.fold((0, 0), |(count, bytes), stopping| {
            (count + 1, bytes + stopping.running.figures.memory_bytes())
        })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        // A worker that is about to wait has checked before this, or waits by now.
        drop(lock(&self.shared.state));
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            state.stopping.retain(|stopping| {
                let ended = stopping.running.has_ended();
                if ended {
                    stopping.running.join();
                }
                !ended
            });
            let now = Instant::now();
            let Some(next) = state.stopping.iter().map(|stopping| stopping.next).min() else {
                if self.closing.load(Ordering::Acquire) {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if next > now {
                let wait = self.changed.wait_timeout(state, next - now);
                state = wait.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let due = state.stopping.iter().filter(|stopping| stopping.next <= now);
            let due: Vec<_> = due.map(|stopping| stopping.running.clone()).collect();
            drop(state);
            for running in &due {
                running.burst();
            }
            drop(due);
            state = lock(&self.state);
            for stopping in &mut state.stopping {
                if stopping.next <= now {
                    stopping.put_off();
                }
            }
        }
    }
}

impl Running {
    fn burst(&self) {
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
}

impl Stopping {
    /// Sets the time of the next attempt.
    fn put_off(&mut self) {
        let cpu_time = self.running.thread.cpu_time();
        let computes = match (self.cpu_time, cpu_time) {
            (Some(before), Some(now)) => now.saturating_sub(before) > self.interval / 20,
            _ => false,
        };
        self.cpu_time = cpu_time;
        self.interval = match computes {
            true => BURST_INTERVAL_MIN,
            false => (self.interval * 2).min(BURST_INTERVAL_MAX),
        };
        self.next = Instant::now() + self.interval;
    }
}
