//! The jobs that a worker runs.

use super::message::Key;
use crate::interrupt::Cancellation;
use async_nats::jetstream::Message;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Why a job was stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It is cancelled, or another worker's.
    Lost,
    /// This worker ends.
    Drained,
}

pub struct Running {
    /// The last delivery, which is the one to answer.
    message: Mutex<Message>,
    pub stop: Cancellation,
    reason: Mutex<Option<Stopped>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    pub fn message(&self) -> Message {
        lock(&self.message).clone()
    }

    pub fn stop(&self, reason: Stopped) {
        lock(&self.reason).get_or_insert(reason);
        self.stop.cancel();
    }

    pub fn reason(&self) -> Option<Stopped> {
        *lock(&self.reason)
    }
}

#[derive(Default)]
pub struct Table {
    jobs: Mutex<HashMap<Key, Arc<Running>>>,
    ended: Notify,
}

impl Table {
    /// Enters a job, unless it is there: then the delivery takes the place of the one before.
    pub fn begin(&self, key: &Key, message: Message) -> Option<Arc<Running>> {
        let mut jobs = lock(&self.jobs);
        if let Some(running) = jobs.get(key) {
            *lock(&running.message) = message;
            return None;
        }
        let running = Arc::new(Running {
            message: Mutex::new(message),
            stop: Cancellation::new(),
            reason: Mutex::default(),
        });
        jobs.insert(key.clone(), running.clone());
        Some(running)
    }

    pub fn get(&self, key: &Key) -> Option<Arc<Running>> {
        lock(&self.jobs).get(key).cloned()
    }

    pub fn end(&self, key: &Key) {
        lock(&self.jobs).remove(key);
        self.ended.notify_waiters();
    }

    pub fn stop_all(&self, reason: Stopped) {
        lock(&self.jobs).values().for_each(|running| running.stop(reason));
    }

    /// Waits until no job runs.
    pub async fn emptied(&self) {
        loop {
            let ended = self.ended.notified();
            if lock(&self.jobs).is_empty() {
                return;
            }
            ended.await;
        }
    }
}
