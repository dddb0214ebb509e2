//! Letting so many jobs run at a time, in the order they came.

use crate::interrupt::{Interrupt, Interruption, WAIT_SLICE};
use crate::{Error, Output};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: usize,
    closed: bool,
    next_ticket: u64,
    waiting: VecDeque<u64>,
}

pub(crate) enum Refused {
    Closed,
    Interrupted(Interruption),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Error {
        match refused {
            Refused::Closed => Error::Closed,
            Refused::Interrupted(interruption) => interruption.error(Output::default()),
        }
    }
}

/// The right to run; the next job may when it is dropped.
pub(crate) struct Place<'a>(&'a Queue);

impl Queue {
    pub fn new(places: usize) -> Queue {
        let state = State {
            free: places.max(1),
            closed: false,
            next_ticket: 0,
            waiting: VecDeque::new(),
        };
        Queue {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    pub fn enter(&self, interrupt: &Interrupt) -> Result<Place<'_>, Refused> {
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        loop {
            let refused = match interrupt.check() {
                _ if state.closed => Some(Refused::Closed),
                Some(interruption) => Some(Refused::Interrupted(interruption)),
                None => None,
            };
            let first = state.waiting.front() == Some(&ticket);
            if refused.is_none() && !(first && state.free > 0) {
                state = self
                    .changed
                    .wait_timeout(state, WAIT_SLICE)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                continue;
            }
            state.waiting.retain(|waiting| *waiting != ticket);
            // Whoever is next in line now may have a place already.
            self.changed.notify_all();
            return match refused {
                Some(refused) => Err(refused),
                None => {
                    state.free -= 1;
                    Ok(Place(self))
                }
            };
        }
    }

    /// Refuses whoever waits or comes; those who run are left to finish.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().free += 1;
        self.0.changed.notify_all();
    }
}
