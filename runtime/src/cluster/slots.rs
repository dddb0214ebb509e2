//! The places of a worker, each for a job that runs.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A place of a job's, which it may leave while it only waits.
pub struct Slot {
    slots: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    /// Waits for a place; there is none any more when a worker ends.
    pub async fn take(slots: &Arc<Semaphore>) -> Option<Slot> {
        let permit = slots.clone().acquire_owned().await.ok()?;
        Some(Slot {
            slots: slots.clone(),
            permit: Some(permit),
        })
    }

    pub fn release(&mut self) {
        self.permit = None;
    }

    pub async fn take_again(&mut self) {
        if self.permit.is_none() {
            self.permit = self.slots.clone().acquire_owned().await.ok();
        }
    }
}
