//! Who gives jobs to workers, and hears what becomes of them.

use super::cancel::cancel;
use super::connect::Connection;
use super::error::Error;
use super::message::{Event, JobMessage, Key, Outcome, Status, VERSION};
use super::queue::{EVENTS, Published, Queue, read_state};
use super::state::State;
use futures_util::stream::{BoxStream, StreamExt, select};
use std::future::ready;

/// A queue of jobs, as who submits them sees it.
///
/// ```no_run
/// use afmpeg::cluster::{Cluster, Connection, JobMessage, Status};
/// use futures_util::StreamExt;
///
/// # async fn submit() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::connect(&Connection::new("nats://127.0.0.1:4222")).await?;
/// let mut job = JobMessage::new("7", ["-i", "in.mov", "out.mp4"]);
/// job.inputs.insert("in.mov".into(), "s3://media/in/7.mov".into());
/// job.outputs.insert("out.mp4".into(), "s3://media/out/7.mp4".into());
/// let mut events = cluster.events().await?;
/// let submitted = cluster.submit(&job).await?;
/// while let Some(event) = events.next().await {
///     let event = event?;
///     if event.key == submitted.key && event.status.is_final() {
///         println!("{:?}", event.outcome);
///         break;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cluster {
    queue: Queue,
}

/// A job that is known to the queue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Submitted {
    pub key: Key,
    pub status: Status,
    /// Of a job that was done before.
    pub outcome: Option<Outcome>,
}

impl Cluster {
    /// Connects, and makes the streams of the queue where they are not there.
    pub async fn connect(connection: &Connection) -> Result<Cluster, Error> {
        Ok(Cluster {
            queue: connection.open().await?,
        })
    }

    /// Puts a job into the queue. One that waits, runs or is done is not done again; one that failed or was cancelled is.
    pub async fn submit(&self, job: &JobMessage) -> Result<Submitted, Error> {
        let message = job.to_json();
        // What a worker would refuse is refused here.
        JobMessage::from_json(&message)?;
        let key = Key::of(message.as_bytes());
        if let Some((state, _)) = self.queue.state(&key).await?
            && state.status() == Status::Done
        {
            return Ok(Submitted {
                status: Status::Done,
                outcome: state.result(&key),
                key,
            });
        }
        let status = match self.queue.publish(&key, message).await? {
            Published::New(_) => Status::Queued,
            Published::Known => self.status(&key).await?.map_or(Status::Queued, |event| event.status),
        };
        Ok(Submitted {
            key,
            status,
            outcome: None,
        })
    }

    /// What is known of a job; nothing if it never was in the queue, or is forgotten.
    pub async fn status(&self, key: &Key) -> Result<Option<Event>, Error> {
        let found = self.queue.state(key).await?;
        let sequence = self.queue.sequence(key).await?;
        Ok(match (found, sequence) {
            // It was submitted again.
            (Some((state, _)), Some(sequence)) if state.status().is_final() && sequence > state.sequence => {
                Some(queued(key, &state.id))
            }
            (Some((state, _)), _) => Some(event(key, &state)),
            (None, Some(_)) => Some(queued(key, "")),
            (None, None) => None,
        })
    }

    /// Ends a job, and returns what it is from now on: one that had ended before stays as it is.
    pub async fn cancel(&self, key: &Key) -> Result<Status, Error> {
        cancel(&self.queue, key).await
    }

    /// How many jobs wait or run.
    pub async fn len(&self) -> Result<u64, Error> {
        self.queue.len().await
    }

    /// Whether no job waits or runs.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len().await? == 0)
    }

    /// All that happens from now on: changes of states, which are never missed, and progress.
    pub async fn events(&self) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        self.listen(false).await
    }

    /// What is known of all jobs that have begun, and then all that happens.
    pub async fn events_with_known(&self) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        self.listen(true).await
    }

    async fn listen(&self, with_known: bool) -> Result<BoxStream<'static, Result<Event, Error>>, Error> {
        let live = self.queue.client.subscribe(format!("{EVENTS}.*")).await;
        let live = live.map_err(Error::queue("events cannot be heard"))?;
        let progress = live.filter_map(|message| {
            let event: Option<Event> = serde_json::from_slice(&message.payload).ok();
            ready(event.filter(|event| event.progress.is_some()).map(Ok))
        });
        let states = self.queue.watch(with_known).await?.filter_map(|entry| {
            ready(match entry {
                Ok(entry) if entry.value.is_empty() => None,
                Ok(entry) => Some(read_state(&entry).and_then(|state| Ok(event(&entry.key.parse()?, &state)))),
                Err(error) => Some(Err(Error::queue("states cannot be watched")(error))),
            })
        });
        Ok(select(states, progress).boxed())
    }
}

fn event(key: &Key, state: &State) -> Event {
    Event {
        version: VERSION,
        key: key.clone(),
        id: state.id.clone(),
        status: state.status(),
        worker: state.worker.clone(),
        attempts: state.attempts,
        progress: None,
        outcome: state.result(key),
    }
}

fn queued(key: &Key, id: &str) -> Event {
    Event {
        version: VERSION,
        key: key.clone(),
        id: id.to_owned(),
        status: Status::Queued,
        worker: String::new(),
        attempts: 0,
        progress: None,
        outcome: None,
    }
}
