//! Who holds a job. A delivery from the queue is only a proposal: the holder is who has last changed the job's state, and each change
//! is from the revision that was read. So who has lost a job cannot finish it.

use super::error::Error;
use super::fault::Fault;
use super::message::{Event, Key, Outcome, Status, VERSION};
use super::queue::{Queue, Unchanged};
use super::state::{Begun, Phase, State};
use std::time::Duration;
use tokio::sync::Mutex;

/// A delivery of a job's message.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// The place of the message in the queue.
    pub sequence: u64,
    /// Which delivery of it this is, from 1.
    pub number: i64,
}

/// What a delivery has led to.
pub enum Taken {
    Held(Box<Lease>),
    /// It needs nothing any more.
    Finished,
    /// Somebody else holds it, of a later delivery.
    Elsewhere,
}

/// A job that this worker holds, as far as it knows.
pub struct Lease {
    queue: Queue,
    pub key: Key,
    token: String,
    pub attempts: u32,
    /// Uploads of the holder before, which may be alive.
    pub left: Vec<Begun>,
    held: Mutex<(State, u64)>,
}

/// The job is another worker's, or cancelled.
#[derive(Debug)]
pub struct Lost;

/// Why a state was not changed.
#[derive(Debug)]
pub enum Unheld {
    Lost,
    /// The server takes no message of such a length, however often it is asked.
    TooLong,
}

impl From<Unheld> for Fault {
    fn from(unheld: Unheld) -> Fault {
        match unheld {
            Unheld::Lost => Fault::passing("the job was taken over"),
            Unheld::TooLong => {
                Fault::lasting("its state is longer than the queue's server takes: it has too many outputs")
            }
        }
    }
}

/// How often a change is tried again while the server does not answer, and how long it is waited between.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);

impl Lease {
    pub async fn take(queue: &Queue, key: &Key, id: &str, delivery: Delivery, worker: &str) -> Result<Taken, Error> {
        let token = random_token();
        loop {
            let found = queue.state(key).await?;
            let mut state = State {
                delivery: delivery.number,
                attempts: 1,
                token: token.clone(),
                worker: worker.to_owned(),
                ..State::new(id, Phase::Running, delivery.sequence)
            };
            let mut left = Vec::new();
            if let Some((before, _)) = &found {
                if let Some(taken) = instead(before, delivery) {
                    return Ok(taken);
                }
                if before.sequence == delivery.sequence {
                    state.attempts = before.attempts + 1;
                }
                left.clone_from(&before.uploads);
                state.uploads.clone_from(&before.uploads);
            }
            match queue.set_state(key, &state, found.map(|(_, revision)| revision)).await {
                Ok(revision) => {
                    return Ok(Taken::Held(Box::new(Lease {
                        queue: queue.clone(),
                        key: key.clone(),
                        token,
                        attempts: state.attempts,
                        left,
                        held: Mutex::new((state, revision)),
                    })));
                }
                Err(Unchanged::Conflict) => {}
                Err(Unchanged::Failed(error)) => return Err(error),
                Err(Unchanged::TooLong) => {
                    return Err(Error::Job {
                        reason: format!("the state of {key} is longer than the queue's server takes"),
                    });
                }
            }
        }
    }

    /// A text that no other lease has.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether the job is still this worker's, as far as the server tells.
    pub async fn check(&self) -> Result<(), Lost> {
        match self.queue.state(&self.key).await {
            Ok(Some((state, _))) if state.token == self.token => Ok(()),
            // A copy of the state that is behind, of a server that is.
            Ok(Some((_, revision))) if revision < self.held.lock().await.1 => Ok(()),
            Ok(_) => Err(Lost),
            // Without the server nobody else gets the job either.
            Err(_) => Ok(()),
        }
    }

    /// Changes the state while the job is this worker's.
    async fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), Unheld> {
        let mut held = self.held.lock().await;
        let mut state = held.0.clone();
        change(&mut state);
        for _ in 0..TRIES {
            match self.queue.set_state(&self.key, &state, Some(held.1)).await {
                Ok(revision) => {
                    *held = (state, revision);
                    return Ok(());
                }
                Err(Unchanged::Conflict) => {
                    // An answer may have been lost on its way.
                    let found = self.queue.state(&self.key).await;
                    let Ok(Some((found, revision))) = found else {
                        return Err(Unheld::Lost);
                    };
                    if found != state {
                        return Err(Unheld::Lost);
                    }
                    *held = (state, revision);
                    return Ok(());
                }
                Err(Unchanged::TooLong) => return Err(Unheld::TooLong),
                Err(Unchanged::Failed(_)) => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(Unheld::Lost)
    }

    /// Finds out for certain that the job is still this worker's, by changing its state.
    pub async fn confirm(&self) -> Result<(), Unheld> {
        self.change(|_| ()).await
    }

    /// Notes an upload, before its first part.
    pub async fn begin_upload(&self, begun: Begun) -> Result<(), Unheld> {
        self.change(|state| state.uploads.push(begun)).await
    }

    /// Forgets what has been ended.
    pub async fn forget(&self, is_ended: impl Fn(&Begun) -> bool) -> Result<(), Unheld> {
        let has_ended = self.held.lock().await.0.uploads.iter().any(&is_ended);
        match has_ended {
            true => {
                self.change(|state| state.uploads.retain(|begun| !is_ended(begun)))
                    .await
            }
            false => Ok(()),
        }
    }

    /// Says that outputs get their names from now on. Whoever has lost the job learns it here.
    pub async fn begin_naming(&self) -> Result<(), Unheld> {
        self.change(|state| state.phase = Phase::Naming).await
    }

    /// Whether the server takes a state with this outcome.
    pub async fn has_room(&self, outcome: &Outcome) -> bool {
        let ended = State {
            outcome: Some(outcome.clone()),
            ..self.held.lock().await.0.clone()
        };
        serde_json::to_vec(&ended).is_ok_and(|text| text.len() <= self.queue.message_max_bytes())
    }

    /// The end of the job.
    pub async fn finish(&self, outcome: &Outcome) -> Result<(), Unheld> {
        let phase = match outcome.status {
            Status::Done => Phase::Done,
            _ => Phase::Failed,
        };
        self.change(|state| {
            state.phase = phase;
            state.outcome = Some(outcome.clone());
            // What a job that failed could not end, whoever begins it again does.
            if outcome.status == Status::Done {
                state.uploads.clear();
            }
        })
        .await?;
        self.queue
            .tell(&self.event(outcome.status, Some(outcome.clone())).await)
            .await;
        Ok(())
    }

    /// Gives the job back. One that is no fault of the job's does not count.
    pub async fn give_back(&self, counts: bool) -> Result<(), Unheld> {
        self.change(|state| {
            state.phase = Phase::Waiting;
            state.attempts -= u32::from(!counts);
        })
        .await
    }

    pub async fn event(&self, status: Status, outcome: Option<Outcome>) -> Event {
        let held = self.held.lock().await;
        Event {
            version: VERSION,
            key: self.key.clone(),
            id: held.0.id.clone(),
            status,
            worker: held.0.worker.clone(),
            attempts: self.attempts,
            progress: None,
            outcome,
        }
    }
}

/// What a delivery leads to if it does not lead to a lease.
fn instead(state: &State, delivery: Delivery) -> Option<Taken> {
    let is_of_this = state.sequence >= delivery.sequence;
    match state.phase {
        Phase::Done => Some(Taken::Finished),
        // Submitted again, it has a place further behind.
        Phase::Failed | Phase::Cancelled if is_of_this => Some(Taken::Finished),
        Phase::Running | Phase::Naming
            if state.sequence > delivery.sequence || (is_of_this && state.delivery >= delivery.number) =>
        {
            Some(Taken::Elsewhere)
        }
        _ => None,
    }
}

fn random_token() -> String {
    let mut bytes = [0; 16];
    // Without random numbers a token is not unique, and leases would not be exclusive.
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    crate::pack::Hex(&bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_later_delivery_takes_a_job_over() {
        let state = |phase, sequence, delivery| State {
            delivery,
            ..State::new("1", phase, sequence)
        };
        let outcome = |state: &State, sequence, number| match instead(state, Delivery { sequence, number }) {
            None => "held",
            Some(Taken::Finished) => "finished",
            Some(_) => "elsewhere",
        };
        let running = state(Phase::Running, 5, 2);
        assert_eq!(outcome(&running, 5, 1), "elsewhere");
        assert_eq!(outcome(&running, 5, 2), "elsewhere");
        assert_eq!(outcome(&running, 5, 3), "held");
        assert_eq!(outcome(&running, 4, 9), "elsewhere");
        assert_eq!(outcome(&running, 6, 1), "held");
        assert_eq!(outcome(&state(Phase::Waiting, 5, 2), 5, 1), "held");
        for phase in [Phase::Failed, Phase::Cancelled] {
            assert_eq!(outcome(&state(phase, 5, 1), 5, 2), "finished");
            assert_eq!(outcome(&state(phase, 5, 1), 6, 1), "held");
        }
        assert_eq!(outcome(&state(Phase::Done, 5, 1), 6, 1), "finished");
    }
}
