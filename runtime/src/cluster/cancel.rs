//! Ending a job before it is done.

use super::error::Error;
use super::message::{Key, Status};
use super::queue::{CANCEL, Queue, Unchanged};
use super::state::{Phase, State};

/// Cancels a job, and returns what it is from now on: one that had ended before stays as it is.
pub async fn cancel(queue: &Queue, key: &Key) -> Result<Status, Error> {
    loop {
        let found = queue.state(key).await?;
        let sequence = queue.sequence(key).await?;
        let (state, revision) = match (found, sequence) {
            // It may be in the queue again.
            (Some((state, _)), sequence)
                if state.status().is_final() && sequence.is_none_or(|sequence| sequence <= state.sequence) =>
            {
                return Ok(state.status());
            }
            (Some((state, revision)), _) => (state, Some(revision)),
            (None, Some(_)) => (State::new("", Phase::Cancelled, 0), None),
            (None, None) => return Err(Error::NoJob { key: key.to_string() }),
        };
        let cancelled = State {
            phase: Phase::Cancelled,
            sequence: sequence.unwrap_or(state.sequence),
            token: String::new(),
            outcome: None,
            ..state
        };
        match queue.set_state(key, &cancelled, revision).await {
            Ok(_) => {}
            Err(Unchanged::Conflict) => continue,
            Err(Unchanged::Failed(error)) => return Err(error),
            Err(Unchanged::TooLong) => {
                return Err(Error::Job {
                    reason: format!("the state of {key} is longer than the queue's server takes"),
                });
            }
        }
        // Who runs it learns it now, or with its next heartbeat.
        let _ = queue.client.publish(format!("{CANCEL}.{key}"), "".into()).await;
        if let Some(sequence) = sequence {
            queue.remove(sequence).await?;
        }
        let _ = queue.client.flush().await;
        return Ok(Status::Cancelled);
    }
}
