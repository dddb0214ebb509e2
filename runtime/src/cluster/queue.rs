//! The streams and the bucket that jobs, their states and their ends lie in.

use super::error::Error;
use super::message::{Event, Key, MESSAGE_MAX_BYTES};
use super::refusals::Refusals;
use super::state::State;
use async_nats::HeaderMap;
use async_nats::datetime::DateTime;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::{GetStreamError, GetStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::kv::{self, Operation, UpdateErrorKind};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy};
use async_nats::jetstream::{Context, kv::CreateErrorKind};
use bytes::Bytes;
use std::time::Duration;

const JOBS: &str = "AFMPEG_JOBS";
const DEAD: &str = "AFMPEG_DEAD";
const STATES: &str = "AFMPEG_STATES";
const WORKERS: &str = "workers";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long it is known what became of a job.
const KEPT: Duration = DAY.saturating_mul(30);
/// What is said in each stream's description, so that another version is found.
const DESCRIPTION: &str = "afmpeg, version 1";

/// The first subject of live events; a job's key follows.
pub const EVENTS: &str = "afmpeg.events";
/// The first subject of wishes to cancel; a job's key follows.
pub const CANCEL: &str = "afmpeg.cancel";

pub fn jobs_subject(key: &Key) -> String {
    format!("afmpeg.jobs.{key}")
}

/// The queue of one account on a server.
#[derive(Clone, Debug)]
pub struct Queue {
    pub client: async_nats::Client,
    context: Context,
    jobs: stream::Stream,
    states: kv::Store,
    pub refusals: Refusals,
}

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The error, or that the server did not permit what has failed.
fn permitted(refusals: &Refusals, error: Error) -> Error {
    match (error, refusals.permission()) {
        (Error::Queue { action, source }, Some(said)) => Error::Permission {
            said: format!("{said} ({action})"),
            source,
        },
        (error, _) => error,
    }
}

/// Whether a message was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// With its place there.
    New(u64),
    /// The same job waits or runs.
    Known,
}

/// A change of a state did not happen.
#[derive(Debug)]
pub enum Unchanged {
    /// Somebody else has changed it since it was read.
    Conflict,
    /// The server takes no message of such a length.
    TooLong,
    Failed(Error),
}

/// What a message has besides its text: its headers, and the server's words.
const HEAD_BYTES: usize = 1 << 10;

impl Queue {
    /// Finds the streams, or makes them.
    pub async fn open(client: async_nats::Client, address: &str, refusals: Refusals) -> Result<Queue, Error> {
        let context = async_nats::jetstream::new(client.clone());
        let found = async {
            let jobs = ensure(&context, jobs_config(), address).await?;
            ensure(&context, dead_config(), address).await?;
            ensure(&context, states_config(), address).await?;
            let states = context.get_key_value(STATES).await;
            let states = states.map_err(Error::queue("the bucket of states cannot be found"))?;
            Ok((jobs, states))
        };
        match found.await {
            Ok((jobs, states)) => Ok(Queue {
                client,
                context,
                jobs,
                states,
                refusals,
            }),
            Err(error) => Err(permitted(&refusals, error)),
        }
    }

    /// What a request has failed with: what the server did not permit, if that is why.
    fn failed<E: Into<Source>>(&self, action: &'static str) -> impl FnOnce(E) -> Error {
        move |error| permitted(&self.refusals, Error::queue(action)(error))
    }

    /// The consumer that all workers share. The first worker decides how long a lease is.
    pub async fn consumer(&self, lease: Duration) -> Result<PullConsumer, Error> {
        let config = pull::Config {
            durable_name: Some(WORKERS.to_owned()),
            description: Some(DESCRIPTION.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: lease,
            // Workers count attempts: a delivery that is given back is none.
            max_deliver: -1,
            max_ack_pending: -1,
            ..pull::Config::default()
        };
        let consumer = self.jobs.get_or_create_consumer(WORKERS, config).await;
        consumer.map_err(self.failed("its consumer cannot be made"))
    }

    /// Puts a job into the queue, unless it is there.
    pub async fn publish(&self, key: &Key, message: String) -> Result<Published, Error> {
        if message.len() > MESSAGE_MAX_BYTES {
            return Err(Error::Job {
                reason: format!(
                    "its message has {} bytes, of at most {MESSAGE_MAX_BYTES}",
                    message.len()
                ),
            });
        }
        let sent = self.context.publish(jobs_subject(key), message.into()).await;
        let stored = match sent {
            Ok(acknowledged) => acknowledged.await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(stored) => Ok(Published::New(stored.sequence)),
            Err(error) if is_known(&error) => Ok(Published::Known),
            Err(error) => Err(self.failed("the job cannot be put into it")(error)),
        }
    }

    /// The place in the queue of a job that waits or runs.
    pub async fn sequence(&self, key: &Key) -> Result<Option<u64>, Error> {
        use async_nats::jetstream::stream::LastRawMessageErrorKind as Kind;
        match self.jobs.get_last_raw_message_by_subject(&jobs_subject(key)).await {
            Ok(message) => Ok(Some(message.sequence)),
            Err(error) if error.kind() == Kind::NoMessageFound => Ok(None),
            Err(error) => Err(self.failed("a job cannot be looked for")(error)),
        }
    }

    pub async fn remove(&self, sequence: u64) -> Result<(), Error> {
        match self.jobs.delete_message(sequence).await {
            Ok(_) => Ok(()),
            // A worker was faster.
            Err(_) if self.jobs.get_raw_message(sequence).await.is_err() => Ok(()),
            Err(error) => Err(self.failed("a job cannot be taken out")(error)),
        }
    }

    /// The longest message that the server takes.
    pub fn message_max_bytes(&self) -> usize {
        self.client.max_payload().saturating_sub(HEAD_BYTES)
    }

    /// How many jobs wait or run.
    pub async fn len(&self) -> Result<u64, Error> {
        let info = self.jobs.get_info().await;
        let info = info.map_err(self.failed("its length cannot be read"))?;
        Ok(info.state.messages)
    }

    /// A job's state, with the revision to change it from.
    pub async fn state(&self, key: &Key) -> Result<Option<(State, u64)>, Error> {
        let entry = self.states.entry(key.as_str()).await;
        let entry = entry.map_err(self.failed("a job's state cannot be read"))?;
        let entry = entry.filter(|entry| entry.operation == Operation::Put);
        entry
            .as_ref()
            .map(|entry| read_state(entry).map(|state| (state, entry.revision)))
            .transpose()
    }

    /// When a job's state was changed last, by the server's clock.
    pub async fn changed_at(&self, key: &Key) -> Option<DateTime> {
        let entry = self.states.entry(key.as_str()).await;
        Some(entry.ok()??.created)
    }

    /// Changes a job's state from this revision on, or makes the first one, and returns the new revision.
    pub async fn set_state(&self, key: &Key, state: &State, revision: Option<u64>) -> Result<u64, Unchanged> {
        let value = serde_json::to_vec(state).map_err(|error| Unchanged::Failed(self.unwritten(error)))?;
        if value.len() > self.message_max_bytes() {
            return Err(Unchanged::TooLong);
        }
        match revision {
            Some(revision) => match self.states.update(key.as_str(), value.into(), revision).await {
                Ok(revision) => Ok(revision),
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Err(Unchanged::Conflict),
                Err(error) => Err(Unchanged::Failed(self.unwritten(error))),
            },
            None => match self.states.create(key.as_str(), value.into()).await {
                Ok(revision) => Ok(revision),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Err(Unchanged::Conflict),
                Err(error) => Err(Unchanged::Failed(self.unwritten(error))),
            },
        }
    }

    /// Changes of all states, from now on or with what is known already.
    pub async fn watch(&self, with_known: bool) -> Result<kv::Watch, Error> {
        let watch = match with_known {
            true => self.states.watch_with_history(">").await,
            false => self.states.watch(">").await,
        };
        watch.map_err(self.failed("states cannot be watched"))
    }

    /// Keeps a job that failed for good, with its last words.
    pub async fn bury(&self, key: &Key, letter: Vec<u8>) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", "application/json");
        let sent = self
            .context
            .publish_with_headers(format!("afmpeg.dead.{key}"), headers, letter.into());
        let stored = match sent.await {
            Ok(acknowledged) => acknowledged.await,
            Err(error) => Err(error),
        };
        stored.map(drop).map_err(self.failed("a dead letter cannot be kept"))
    }

    /// Tells whoever listens; nobody has to.
    pub async fn tell(&self, event: &Event) {
        let text = serde_json::to_vec(event).unwrap_or_default();
        let _ = self
            .client
            .publish(format!("{EVENTS}.{}", event.key), Bytes::from(text))
            .await;
    }

    fn unwritten<E: Into<Source>>(&self, error: E) -> Error {
        self.failed("a job's state cannot be written")(error)
    }
}

pub fn read_state(entry: &kv::Entry) -> Result<State, Error> {
    serde_json::from_slice(&entry.value).map_err(|error| Error::OtherVersion {
        name: format!("the state of the job {}", entry.key),
        found: error.to_string(),
        wanted: DESCRIPTION.to_owned(),
    })
}

/// Whether the queue has refused a message because the same one is in it.
fn is_known(error: &async_nats::jetstream::context::PublishError) -> bool {
    error.kind() == PublishErrorKind::Other && format!("{error:?}").contains("maximum messages per subject")
}

/// Whether nobody answers for JetStream, or it is not for this account.
fn has_no_jetstream(error: &GetStreamError) -> bool {
    match error.kind() {
        GetStreamErrorKind::JetStream(error) => matches!(
            error.error_code(),
            ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT
        ),
        GetStreamErrorKind::Request => format!("{error:?}").contains("NoResponders"),
        _ => false,
    }
}

fn jobs_config() -> stream::Config {
    stream::Config {
        name: JOBS.to_owned(),
        subjects: vec!["afmpeg.jobs.*".to_owned()],
        description: Some(DESCRIPTION.to_owned()),
        retention: RetentionPolicy::WorkQueue,
        // A job is in the queue once.
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        ..stream::Config::default()
    }
}

fn dead_config() -> stream::Config {
    stream::Config {
        name: DEAD.to_owned(),
        subjects: vec!["afmpeg.dead.*".to_owned()],
        description: Some(DESCRIPTION.to_owned()),
        max_messages_per_subject: 1,
        max_age: KEPT,
        ..stream::Config::default()
    }
}

/// A bucket as clients of all languages know it. Their own ways to make one ask for more than old servers answer.
fn states_config() -> stream::Config {
    stream::Config {
        name: format!("KV_{STATES}"),
        subjects: vec![format!("$KV.{STATES}.>")],
        description: Some(DESCRIPTION.to_owned()),
        max_messages_per_subject: 1,
        max_age: KEPT,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        ..stream::Config::default()
    }
}

/// Makes a stream, or finds it. Its other limits, such as copies, are for its owner to change.
async fn ensure(context: &Context, config: stream::Config, address: &str) -> Result<stream::Stream, Error> {
    let name = config.name.clone();
    let found = match context.get_stream(&name).await {
        Ok(stream) => stream,
        Err(error) if has_no_jetstream(&error) => {
            return Err(Error::NoJetStream {
                address: address.to_owned(),
                source: error.into(),
            });
        }
        Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => {
            let made = context.get_or_create_stream(config.clone()).await;
            made.map_err(Error::queue("its streams cannot be made"))?
        }
        Err(error) => return Err(Error::queue("its streams cannot be found")(error)),
    };
    let there = &found.cached_info().config;
    let is_same = there.description == config.description
        && there.retention == config.retention
        && there.subjects == config.subjects
        && there.discard_new_per_subject == config.discard_new_per_subject;
    match is_same {
        true => Ok(found),
        false => Err(Error::OtherVersion {
            name: format!("the stream {name}"),
            found: there.description.clone().unwrap_or_default(),
            wanted: DESCRIPTION.to_owned(),
        }),
    }
}
