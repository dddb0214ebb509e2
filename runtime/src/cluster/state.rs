//! What the queue knows of a job: one entry of a key-value bucket, which only changes from the revision that was read.

use super::message::{Key, Outcome, Status, VERSION};
use serde::{Deserialize, Serialize};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// A worker has begun it.
    Running,
    /// Its outputs are whole and get their names.
    Naming,
    /// A worker has given it back.
    Waiting,
    Done,
    Failed,
    Cancelled,
}

/// An upload in parts, so that the next holder of the job can end it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub address: String,
    pub upload: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub version: u32,
    pub id: String,
    pub phase: Phase,
    /// The place in the queue of the message that this is about.
    pub sequence: u64,
    /// Which delivery of that message its holder has.
    pub delivery: i64,
    /// How often it was begun; those that were given back do not count.
    pub attempts: u32,
    /// A random text of its holder's: one worker's runs are told from each other, too.
    pub token: String,
    pub worker: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uploads: Vec<Begun>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl State {
    pub fn new(id: &str, phase: Phase, sequence: u64) -> State {
        State {
            version: VERSION,
            id: id.to_owned(),
            phase,
            sequence,
            delivery: 0,
            attempts: 0,
            token: String::new(),
            worker: String::new(),
            uploads: Vec::new(),
            outcome: None,
        }
    }

    pub fn status(&self) -> Status {
        match self.phase {
            Phase::Running | Phase::Naming => Status::Running,
            Phase::Waiting => Status::Queued,
            Phase::Done => Status::Done,
            Phase::Failed => Status::Failed,
            Phase::Cancelled => Status::Cancelled,
        }
    }

    /// The outcome of a job that has one.
    pub fn result(&self, key: &Key) -> Option<Outcome> {
        let status = self.status();
        match &self.outcome {
            Some(outcome) => Some(outcome.clone()),
            None if status.is_final() => Some(Outcome::new(&self.id, key, status)),
            None => None,
        }
    }
}
