//! A worker: takes jobs from the queue as long as it has places, and tells what became of them.

use super::attempt::{Attempt, Unneeded, end_left};
use super::connect::Connection;
use super::error::Error;
use super::fault::Fault;
use super::health::{self, Health};
use super::lease::{Delivery, Lease, Lost, Taken};
use super::message::{JobMessage, Key, MESSAGE_MAX_BYTES, Outcome, Status, VERSION};
use super::metrics::Metrics;
use super::modules::Modules;
use super::policy::Policy;
use super::queue::{CANCEL, Queue, jobs_subject};
use super::redact::redacted;
use super::running::{Running, Stopped, Table};
use super::slots::Slot;
use super::spool::Spool;
use super::store::{self, Buckets};
use async_nats::datetime::DateTime;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{AckKind, Message};
use futures_util::StreamExt;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZero;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A server keeps a request for a job so long. One that was started again has forgotten it.
const ASK_FOR: Duration = Duration::from_secs(10);
/// After a failure of the server's.
const PAUSE: Duration = Duration::from_secs(1);
/// What of a message is kept when it has failed.
const LETTER_MAX_BYTES: usize = 64 << 10;
/// The longest line of a log, in characters.
const LINE_MAX: usize = 8000;
/// The longest that a job waits for its next attempt.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);

/// How many parallel jobs wait for their segments at a time, for each place.
const PARENTS_PER_PLACE: usize = 2;
/// After which one that finds no such place is offered again, to any worker.
const PARENT_PAUSE: Duration = Duration::from_secs(5);

/// A caller's own code for lines of a log.
type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// Runs jobs of a queue within a policy.
///
/// ```no_run
/// use afmpeg::Runtime;
/// use afmpeg::cluster::{Connection, Modules, Policy, Worker};
/// use std::path::Path;
///
/// # async fn work() -> Result<(), Box<dyn std::error::Error>> {
/// let file = Path::new("o3-gpl.wasm");
/// let modules = Modules::new().add("o3-gpl", file, Runtime::from_file(file)?)?;
/// let mut policy = Policy::default();
/// policy.allow.push("s3://media/".parse()?);
/// let worker = Worker::new(modules, policy);
/// worker.run(&Connection::new("nats://127.0.0.1:4222"), std::future::pending()).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a worker does nothing until it runs"]
pub struct Worker {
    modules: Modules,
    policy: Policy,
    name: String,
    jobs: Option<NonZero<usize>>,
    lease: Duration,
    grace: Duration,
    health: Option<SocketAddr>,
    log: Log,
}

impl fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("Worker")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

impl Worker {
    pub fn new(modules: Modules, policy: Policy) -> Worker {
        Worker {
            modules,
            policy,
            name: format!("process-{}", std::process::id()),
            jobs: None,
            lease: Duration::from_secs(30),
            grace: Duration::from_secs(600),
            health: None,
            log: Arc::new(|_| {}),
        }
    }

    /// Sets the name that results have; that of the machine, for example.
    pub fn name(mut self, name: impl Into<String>) -> Worker {
        self.name = name.into();
        self
    }

    /// Sets how many jobs run at a time; by default as many as there are cores, and memory for.
    pub fn jobs(mut self, count: NonZero<usize>) -> Worker {
        self.jobs = Some(count);
        self
    }

    /// Sets how long a job is this worker's without a sign of life, if this is the first worker of the queue; 30 s by default.
    pub fn lease(mut self, lease: Duration) -> Worker {
        self.lease = lease;
        self
    }

    /// Sets how long running jobs may go on when the worker is told to end; then they are put back. Ten minutes by default.
    pub fn grace(mut self, grace: Duration) -> Worker {
        self.grace = grace;
        self
    }

    /// Answers `/healthz` and `/metrics` at this address.
    pub fn health(mut self, address: SocketAddr) -> Worker {
        self.health = Some(address);
        self
    }

    /// Takes lines about jobs, for a log.
    pub fn log(mut self, log: impl Fn(&str) + Send + Sync + 'static) -> Worker {
        self.log = Arc::new(log);
        self
    }

    /// Works until `end` is there and the jobs that run then have ended.
    pub async fn run(self, connection: &Connection, end: impl Future<Output = ()>) -> Result<(), Error> {
        let listener = match self.health {
            Some(address) => Some(health::listen(address).await?),
            None => None,
        };
        let queue = connection.open().await?;
        let consumer = queue.consumer(self.lease).await?;
        // A worker before has perhaps asked for another length.
        let lease = consumer.cached_info().config.ack_wait;
        let slots_max = self
            .jobs
            .map_or_else(|| places(self.policy.memory_max_bytes), NonZero::get);
        let grace = self.grace;
        let spool = Arc::new(Spool::new(self.policy.spool.as_deref()));
        let swept = spool.clone();
        let _ = tokio::task::spawn_blocking(move || swept.sweep()).await;
        let shared = Arc::new(Shared {
            queue,
            lease,
            slots_max,
            worker: self,
            buckets: Buckets::default(),
            spool,
            table: Table::default(),
            metrics: Metrics::default(),
            parents: Arc::new(Semaphore::new(PARENTS_PER_PLACE * slots_max)),
        });
        let answering = listener.map(|listener| tokio::spawn(health::serve(listener, shared.clone())));
        let cancelling = tokio::spawn(shared.clone().hear_cancellations());
        let log = shared.worker.log.clone();
        log(&format!(
            "{} takes up to {slots_max} jobs at a time",
            shared.worker.name
        ));
        let slots = Arc::new(Semaphore::new(slots_max));
        shared.take_jobs(&consumer, &slots, end).await;
        shared.metrics.draining.store(true, Ordering::Relaxed);
        shared.drain(grace).await;
        cancelling.abort();
        answering.into_iter().for_each(|answering| answering.abort());
        let _ = shared.queue.client.flush().await;
        Ok(())
    }
}

/// As many as there are cores, and memory for programs that take all that they may.
fn places(memory_max_bytes: u64) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    });
    match memory {
        Some(kilobytes) => {
            let fitting = (kilobytes << 10) / memory_max_bytes.max(1);
            cores.min(usize::try_from(fitting).unwrap_or(cores)).max(1)
        }
        None => cores,
    }
}

/// A worker that runs.
struct Shared {
    worker: Worker,
    queue: Queue,
    lease: Duration,
    slots_max: usize,
    buckets: Buckets,
    spool: Arc<Spool>,
    table: Table,
    metrics: Metrics,
    /// Places of parallel jobs whose segments are made: each takes some memory, and none of the other places.
    parents: Arc<Semaphore>,
}

/// A message as it may be kept, or the beginning of it: without signatures of addresses.
fn told(payload: &[u8]) -> String {
    let payload = &payload[..payload.len().min(MESSAGE_MAX_BYTES)];
    let text = redacted(&String::from_utf8_lossy(payload));
    text[..text.floor_char_boundary(LETTER_MAX_BYTES)].to_owned()
}

fn letter(outcome: &Outcome, job: &str) -> Vec<u8> {
    let letter = serde_json::json!({"version": VERSION, "key": outcome.job_sha256, "outcome": outcome, "job": job});
    letter.to_string().into_bytes()
}

/// What the queue is told about a delivery.
enum Answer {
    /// It is done with.
    Ack,
    /// It is to be delivered again, after a while.
    Later(Duration),
    /// Nothing: it is somebody else's.
    Nothing,
}

impl Health for Shared {
    fn is_well(&self) -> bool {
        self.is_connected() && !self.metrics.draining.load(Ordering::Relaxed)
    }

    fn metrics(&self) -> String {
        self.metrics.text(self.slots_max, self.is_connected())
    }
}

impl Shared {
    fn is_connected(&self) -> bool {
        self.queue.client.connection_state() == async_nats::connection::State::Connected
    }

    fn log(&self, line: &str) {
        // What it quotes may be anybody's, and is to look like no other line.
        let plain: String = line
            .chars()
            .take(LINE_MAX)
            .map(|char| if char.is_control() { ' ' } else { char })
            .collect();
        (self.worker.log)(&plain);
    }

    /// Asks for a job whenever a place is free, until `end` is there.
    async fn take_jobs(
        self: &Arc<Shared>,
        consumer: &PullConsumer,
        slots: &Arc<Semaphore>,
        end: impl Future<Output = ()>,
    ) {
        let mut end = pin!(end);
        loop {
            let next = async {
                let slot = Slot::take(slots).await?;
                let mut batch = match consumer.batch().max_messages(1).expires(ASK_FOR).messages().await {
                    Ok(batch) => batch,
                    Err(error) => return Some(Err(error.to_string())),
                };
                match batch.next().await {
                    None => Some(Ok(None)),
                    Some(Ok(message)) => Some(Ok(Some((message, slot)))),
                    Some(Err(error)) => Some(Err(error.to_string())),
                }
            };
            let next = tokio::select! {
                () = &mut end => return,
                next = next => next,
            };
            match next {
                Some(Ok(Some((message, slot)))) => {
                    let shared = self.clone();
                    tokio::spawn(async move { shared.work(message, slot).await });
                }
                Some(Ok(None)) => {}
                Some(Err(error)) => {
                    let said = self.queue.refusals.last();
                    let said = said.map_or_else(String::new, |said| format!(": the server says: {said}"));
                    self.log(&format!("the queue cannot be asked for jobs: {error}{said}"));
                    tokio::select! {
                        () = &mut end => return,
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
                None => return,
            }
        }
    }

    async fn hear_cancellations(self: Arc<Shared>) {
        let Ok(mut wishes) = self.queue.client.subscribe(format!("{CANCEL}.*")).await else {
            return;
        };
        while let Some(wish) = wishes.next().await {
            let key = wish
                .subject
                .as_str()
                .rsplit('.')
                .next()
                .unwrap_or_default()
                .parse::<Key>();
            if let Some(running) = key.ok().and_then(|key| self.table.get(&key)) {
                running.stop(Stopped::Lost);
            }
        }
    }

    /// Waits for the jobs that run, and puts those back that take too long.
    async fn drain(&self, grace: Duration) {
        let waited = tokio::time::timeout(grace, self.table.emptied()).await;
        if waited.is_err() {
            self.table.stop_all(Stopped::Drained);
            // A program ends within a fraction of a second, and a request to a store within its time.
            let _ = tokio::time::timeout(Duration::from_secs(30), self.table.emptied()).await;
        }
        for runtime in self.worker.modules.runtimes() {
            runtime.close();
        }
    }

    async fn work(self: Arc<Shared>, message: Message, mut slot: Slot) {
        let key = Key::of(&message.payload);
        let Ok(info) = message.info() else {
            return;
        };
        let delivery = Delivery {
            sequence: info.stream_sequence,
            number: info.delivered,
        };
        let published = info.published;
        if message.subject.as_str() != jobs_subject(&key) {
            self.refuse(&key, &message).await;
            return;
        }
        let payload = message.payload.clone();
        // One that runs here already has only been late with a sign of life.
        let Some(running) = self.table.begin(&key, message) else {
            return;
        };
        self.metrics.running.fetch_add(1, Ordering::Relaxed);
        let answer = self
            .take_and_run(&key, delivery, published, &payload, &running, &mut slot)
            .await;
        self.metrics.running.fetch_sub(1, Ordering::Relaxed);
        let message = running.message();
        let _ = match answer {
            Answer::Ack => message.ack_with(AckKind::Ack).await,
            Answer::Later(Duration::ZERO) => message.ack_with(AckKind::Nak(None)).await,
            Answer::Later(pause) => message.ack_with(AckKind::Nak(Some(pause))).await,
            Answer::Nothing => Ok(()),
        };
        self.table.end(&key);
    }

    /// Does away with a message that has another subject than its key: it could be in the queue twice, and nobody finds it there.
    async fn refuse(&self, key: &Key, message: &Message) {
        let reason = JobMessage::from_message(&message.payload).err();
        let reason = reason.map(|error| error.chain()).unwrap_or_else(|| {
            format!(
                "its subject is {}, and not {}, by the SHA-256 of the message",
                message.subject,
                jobs_subject(key)
            )
        });
        let outcome = Outcome {
            worker: self.worker.name.clone(),
            ..Outcome::failed("", key, reason)
        };
        self.bury(&outcome, &message.payload).await;
        self.tell(&outcome);
        let _ = message.ack_with(AckKind::Term).await;
    }

    async fn take_and_run(
        self: &Arc<Shared>,
        key: &Key,
        delivery: Delivery,
        published: DateTime,
        payload: &[u8],
        running: &Arc<Running>,
        slot: &mut Slot,
    ) -> Answer {
        let job = JobMessage::from_message(payload);
        let is_parent = job.as_ref().is_ok_and(|job| job.parallel);
        let parent = is_parent.then(|| self.parents.clone().try_acquire_owned());
        // It has not begun, so that it counts as no attempt.
        if let Some(Err(_)) = parent {
            return Answer::Later(PARENT_PAUSE);
        }
        let id = job.as_ref().map_or("", |job| job.id.as_str());
        let lease = match Lease::take(&self.queue, key, id, delivery, &self.worker.name).await {
            Ok(Taken::Held(lease)) => Arc::new(*lease),
            Ok(Taken::Finished) => return Answer::Ack,
            Ok(Taken::Elsewhere) => return Answer::Nothing,
            Err(error) => {
                self.log(&error.chain());
                return Answer::Nothing;
            }
        };
        let (queue, key) = (self.queue.clone(), key.clone());
        let taken = tokio::spawn(async move { queue.changed_at(&key).await });
        let beating = tokio::spawn(self.clone().beat(lease.clone(), running.clone()));
        let unneeded = Unneeded::default();
        let result = self.attempt(&job, &lease, running, slot, &unneeded).await;
        let is_done = matches!(&result, Ok(outcome) if outcome.status == Status::Done);
        // Both by the server's clock: this machine's may differ.
        let queued_seconds = taken.await.ok().flatten();
        let queued_seconds = queued_seconds.map_or(0.0, |taken| (taken - published).as_seconds_f64().max(0.0));
        let answer = self.end(result, &lease, running, id, queued_seconds, payload).await;
        beating.abort();
        if is_done && matches!(answer, Answer::Ack) {
            self.clean_up(&unneeded).await;
        }
        answer
    }

    async fn attempt(
        &self,
        job: &Result<JobMessage, Error>,
        lease: &Arc<Lease>,
        running: &Running,
        slot: &mut Slot,
        unneeded: &Unneeded,
    ) -> Result<Outcome, Fault> {
        // Whatever becomes of the job, what a worker before has begun of it is to end.
        end_left(&self.worker.policy, &self.buckets, lease).await?;
        let attempts_max = self.worker.policy.attempts_max;
        if lease.attempts > attempts_max {
            return Err(Fault::lasting(format!(
                "given up after {attempts_max} attempts, at each of which its worker ended"
            )));
        }
        let job = job.as_ref().map_err(|error| Fault::lasting(error.chain()))?;
        let module = self.worker.modules.find(job.module.as_deref());
        let module = module.map_err(Fault::lasting)?;
        let attempt = Attempt {
            runtime: module.runtime.clone(),
            module_sha256: module.sha256.clone(),
            policy: Arc::new(self.worker.policy.clone()),
            buckets: self.buckets.clone(),
            spool: self.spool.clone(),
            queue: self.queue.clone(),
            lease: lease.clone(),
            job: Arc::new(job.clone()),
            stop: running.stop.clone(),
            unneeded: unneeded.clone(),
        };
        match job.parallel {
            true => attempt.run_parallel(slot).await,
            false => attempt.run().await,
        }
    }

    /// Says what became of an attempt.
    async fn end(
        &self,
        result: Result<Outcome, Fault>,
        lease: &Lease,
        running: &Running,
        id: &str,
        queue_seconds: f64,
        payload: &[u8],
    ) -> Answer {
        let is_done = matches!(&result, Ok(outcome) if outcome.status == Status::Done);
        match running.reason() {
            Some(Stopped::Lost) => return self.lose(id),
            Some(Stopped::Drained) if !is_done => {
                self.log(&format!("{id}: put back, as this worker ends"));
                return match lease.give_back(false).await {
                    Ok(()) => Answer::Later(Duration::ZERO),
                    Err(_) => Answer::Nothing,
                };
            }
            _ => {}
        }
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(fault) if fault.passes && lease.attempts < self.worker.policy.attempts_max => {
                self.log(&format!("{id}: attempt {}: {}", lease.attempts, fault.reason));
                let given_back = lease.give_back(true).await;
                let pause = Duration::from_secs(1 << lease.attempts.min(10)).min(BACK_OFF_MAX);
                return match given_back {
                    Ok(()) => {
                        self.metrics.put_back.fetch_add(1, Ordering::Relaxed);
                        Answer::Later(pause)
                    }
                    Err(_) => self.lose(id),
                };
            }
            Err(fault) => Outcome::failed(id, &lease.key, fault.reason),
        };
        let mut outcome = Outcome {
            worker: self.worker.name.clone(),
            attempts: lease.attempts,
            queue_seconds,
            ..outcome
        };
        if !lease.has_room(&outcome).await {
            outcome = Outcome {
                status: Status::Failed,
                stdout: String::new(),
                error: Some(
                    "its standard output is longer than the queue's server takes: name an address for it".to_owned(),
                ),
                ..outcome
            };
        }
        if outcome.status == Status::Failed {
            // A job that is somebody else's has not failed.
            if lease.confirm().await.is_err() {
                return self.lose(id);
            }
            self.bury(&outcome, payload).await;
        }
        match lease.finish(&outcome).await {
            Ok(()) => {
                self.metrics.count(&outcome);
                self.tell(&outcome);
                Answer::Ack
            }
            Err(_) => self.lose(id),
        }
    }

    fn lose(&self, id: &str) -> Answer {
        self.metrics.lost.fetch_add(1, Ordering::Relaxed);
        self.log(&format!("{id}: cancelled, or taken over by another worker"));
        Answer::Nothing
    }

    fn tell(&self, outcome: &Outcome) {
        match &outcome.error {
            Some(error) => self.log(&format!("{}: failed: {error}", outcome.id)),
            None => self.log(&format!("{}: done in {:.1} s", outcome.id, outcome.run_seconds)),
        }
    }

    /// Keeps a job that failed, with its last words and itself.
    async fn bury(&self, outcome: &Outcome, payload: &[u8]) {
        let mut letter = letter(outcome, &told(payload));
        if letter.len() > self.queue.message_max_bytes() {
            // Some servers take less than usual.
            let shorter = Outcome {
                stdout: String::new(),
                ..outcome.clone()
            };
            letter = self::letter(&shorter, "");
        }
        for _ in 0..10 {
            match self.queue.bury(&outcome.job_sha256, letter.clone()).await {
                Ok(()) => return,
                Err(error) => self.log(&error.chain()),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Segments of a job that is done are of no use any more. Those of one that failed are there when it is submitted again.
    async fn clean_up(&self, unneeded: &Unneeded) {
        let addresses = std::mem::take(&mut *unneeded.lock().unwrap_or_else(PoisonError::into_inner));
        for address in addresses {
            store::remove(&self.buckets, &address).await;
        }
    }

    /// Signs of life to the queue, and a look whether the job is still this worker's.
    async fn beat(self: Arc<Shared>, lease: Arc<Lease>, running: Arc<Running>) {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            let _ = running.message().ack_with(AckKind::Progress).await;
            if let Err(Lost) = lease.check().await {
                running.stop(Stopped::Lost);
                return;
            }
        }
    }
}
