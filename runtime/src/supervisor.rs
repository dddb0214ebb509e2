//! The thread that stops jobs.

use crate::running::Running;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The time after which a job that must stop counts as left behind: until then it may just be freeing its memory.
const LEFT_BEHIND_AFTER: Duration = Duration::from_millis(100);

/// The time between bursts: short for a thread that computes, longer for one that waits.
const BURST_INTERVAL_MIN: Duration = Duration::from_micros(500);
const BURST_INTERVAL_MAX: Duration = Duration::from_millis(20);

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
    pub fn stop(&self, running: &Arc<Running>) {
        let now = Instant::now();
        self.shared.lock().stopping.push(Stopping {
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
        let state = self.shared.lock();
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
        drop(self.shared.lock());
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
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
            state = self.lock();
            for stopping in &mut state.stopping {
                if stopping.next <= now {
                    stopping.put_off();
                }
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
