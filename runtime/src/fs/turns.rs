//! A lock that is given in the order of arrival, so that one job that never rests leaves the others their turns.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(super) struct Turns {
    numbers: Mutex<Numbers>,
    called: Condvar,
}

#[derive(Default)]
struct Numbers {
    next: u64,
    called: u64,
}

/// Ends when this is dropped.
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    pub fn wait(&self) -> Turn<'_> {
        let mut numbers = self.lock();
        let own = numbers.next;
        numbers.next += 1;
        drop(self.called.wait_while(numbers, |numbers| numbers.called != own));
        Turn(self)
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().called += 1;
        self.0.called.notify_all();
    }
}
