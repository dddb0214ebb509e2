//! Waiting for a job.

use crate::budget::Budget;
use crate::error::Error;
use crate::interrupt::{Cancellation, Interrupt, Registration, waker_of_this_thread};
use crate::output::Output;
use crate::queue::Place;
use crate::running::Running;
use crate::stdio::Tails;
use crate::supervisor::Supervisor;
use crate::trace::JobSpan;
use std::sync::Arc;
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

/// The time to wait for a program that must stop. It stops at once unless it is in a call of a caller's stream or file
/// system that does not return.
const PATIENCE: Duration = Duration::from_millis(20);

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

    /// Waits on this thread; a place in line is given up on return.
    pub fn wait(mut self, _place: Option<Place>) -> Result<Output, Error> {
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
