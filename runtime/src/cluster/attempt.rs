//! One attempt at a job: its files, its program, and the names of its outputs.

use super::fault::Fault;
use super::files::{Files, Opening, Places, Whole};
use super::lease::Lease;
use super::message::{JobMessage, Outcome, Program, Reached, Status, cut_words};
use super::policy::{Access, Address, Given, Policy};
use super::queue::Queue;
use super::spool::Spool;
use super::store::{Buckets, Target};
use crate::error::Error;
use crate::interrupt::Cancellation;
use crate::job::Job;
use crate::output::Output;
use crate::progress::Progress;
use crate::runtime::Runtime;
use crate::stdio::Stdout;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// All that an attempt needs.
#[derive(Clone)]
pub struct Attempt {
    pub runtime: Runtime,
    /// The digest of the runtime's module.
    pub module_sha256: Arc<str>,
    pub policy: Arc<Policy>,
    pub buckets: Buckets,
    pub spool: Arc<Spool>,
    pub queue: Queue,
    pub lease: Arc<Lease>,
    pub job: Arc<JobMessage>,
    /// Ends the program.
    pub stop: Cancellation,
    pub unneeded: Unneeded,
}

/// Files of work that nobody needs once the job is done.
pub type Unneeded = Arc<Mutex<Vec<Address>>>;

/// What of standard output comes with a result.
const STDOUT_MAX_BYTES: usize = 256 << 10;
/// Progress is told so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Ends uploads of workers that held the job before.
pub async fn end_left(policy: &Policy, buckets: &Buckets, lease: &Lease) -> Result<(), Fault> {
    let mut ended = Vec::new();
    for begun in &lease.left {
        // What another policy allowed is for its worker to end.
        if let Ok(address) = policy.resolve(&begun.address, Access::Write) {
            Target::end(buckets, &address, begun).await?;
            ended.push(begun);
        }
    }
    Ok(lease.forget(|begun| ended.contains(&begun)).await?)
}

impl Attempt {
    pub fn opening(&self) -> Opening<'_> {
        Opening {
            buckets: &self.buckets,
            lease: &self.lease,
            spool: &self.spool,
        }
    }

    /// Runs the job as one program.
    pub async fn run(&self) -> Result<Outcome, Fault> {
        let places = Places::of(&self.job, &self.policy)?;
        let given = self.policy.limits(&self.job).map_err(Fault::lasting)?;
        let mut with_spool = places.needs_spool(&self.job);
        loop {
            let files = Files::open(&places, &self.opening(), with_spool).await?;
            match self.run_on(files, given, with_spool).await? {
                Some(outcome) => return Ok(outcome),
                // Once more, with what may be gone back to.
                None => with_spool = true,
            }
        }
    }

    /// Nothing is returned if the program has gone back to what was sent.
    async fn run_on(&self, files: Files, given: Given, with_spool: bool) -> Result<Option<Outcome>, Fault> {
        let attempt = self.clone();
        let ran = tokio::task::spawn_blocking(move || {
            let ran = attempt.run_program(&files, given, with_spool);
            let goes_back = files.goes_back() && !with_spool;
            let sent = match (&ran, files.faults.first()) {
                _ if goes_back => Ok(Vec::new()),
                (_, Some(fault)) => Err(fault),
                (Ok(outcome), None) if outcome.status == Status::Done => files.finish(&attempt.policy),
                _ => Ok(Vec::new()),
            };
            (files, ran, sent, goes_back)
        });
        let (files, ran, sent, goes_back) = ran.await.map_err(|error| Fault::passing(error.to_string()))?;
        let ended = match (ran, sent) {
            _ if goes_back => Ok(None),
            // The program fails as well if its files do.
            (_, Err(fault)) | (Err(fault), Ok(_)) => Err(fault),
            (Ok(outcome), Ok(outputs)) => self.name(outcome, outputs).await.map(Some),
        };
        if !matches!(&ended, Ok(Some(outcome)) if outcome.status == Status::Done) {
            files.abandon(&self.lease).await;
        }
        ended
    }

    /// Gives outputs their names, if the job is still this worker's.
    pub async fn name(&self, outcome: Outcome, outputs: Vec<Whole>) -> Result<Outcome, Fault> {
        if outputs.is_empty() {
            return Ok(outcome);
        }
        self.lease.begin_naming().await?;
        for output in &outputs {
            if self.stop.is_cancelled() {
                return Err(taken_over());
            }
            output.name(&self.opening()).await?;
        }
        Ok(outcome)
    }

    fn run_program(&self, files: &Files, given: Given, with_spool: bool) -> Result<Outcome, Fault> {
        let job = match self.job.program {
            // Nobody is there to answer a question.
            Program::Ffmpeg => Job::new(["ffmpeg", "-nostdin", "-y", "-nostats"]),
            Program::Ffprobe => Job::new(["ffprobe"]),
        };
        let job = self.job.args.iter().fold(job, Job::arg);
        let mut job = self
            .with_limits(job, given, with_spool)
            .file_system(".", files.file_system());
        job = match files.stdout()? {
            Some(sender) => job.stdout(Stdout::Writer(Box::new(sender))),
            None => job.stdout(Stdout::Capture {
                limit_bytes: STDOUT_MAX_BYTES,
            }),
        };
        if self.job.program == Program::Ffmpeg {
            job = job.progress(self.teller());
        }
        self.outcome(self.runtime.run(job))
    }

    pub fn with_limits(&self, job: Job, given: Given, with_spool: bool) -> Job {
        let written_max_bytes = match with_spool {
            true => given.written_max_bytes.min(self.policy.spool_max_bytes),
            false => given.written_max_bytes,
        };
        job.memory_max_bytes(given.memory_max_bytes)
            .host_memory_max_bytes(given.host_memory_max_bytes)
            .written_max_bytes(written_max_bytes)
            .timeout(given.timeout)
            .cancellation(&self.stop)
    }

    /// Tells of progress from the job's thread, but not of jobs that are done soon.
    pub fn teller(&self) -> impl Fn(&Progress) + Send + Sync + 'static {
        let (handle, lease, queue) = (Handle::current(), self.lease.clone(), self.queue.clone());
        let told = Mutex::new(Instant::now());
        move |progress: &Progress| {
            let mut told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if told.elapsed() < PROGRESS_EVERY {
                return;
            }
            *told = Instant::now();
            let reached = Reached {
                frame: progress.frame,
                fps: progress.fps,
                time_seconds: progress.time.as_secs_f64(),
                speed: progress.speed,
            };
            let (lease, queue) = (lease.clone(), queue.clone());
            handle.spawn(async move {
                let mut event = lease.event(Status::Running, None).await;
                event.progress = Some(reached);
                queue.tell(&event).await;
            });
        }
    }

    /// The outcome of a program that ran to its end, whatever that was.
    pub fn outcome(&self, result: Result<Output, Error>) -> Result<Outcome, Fault> {
        let (exit_code, error, output) = match result {
            Ok(output) if output.success() => (Some(0), None, output),
            Ok(output) => (Some(output.exit_code), Some(output.error_message()), output),
            Err(error) => {
                let message = error.chain();
                match error {
                    Error::Program { output, .. } => (Some(output.exit_code), Some(message), *output),
                    Error::Limit { output, .. } => (Some(output.exit_code), Some(message), *output),
                    Error::Deadline { output } => (None, Some(message), *output),
                    Error::Trap(trap) => (None, Some(message), trap.output),
                    Error::Whole { .. } | Error::Segments { .. } | Error::ZeroByte => {
                        return Err(Fault::lasting(message));
                    }
                    // That the worker was told to stop, or this machine's own fault.
                    _ => return Err(Fault::passing(message)),
                }
            }
        };
        let status = match error {
            None => Status::Done,
            Some(_) => Status::Failed,
        };
        Ok(Outcome {
            exit_code,
            error: error.map(|error| cut_words(&error)),
            stdout: last_words(&output.stdout),
            run_seconds: output.timings.run.as_secs_f64(),
            memory_peak_bytes: output.memory_peak_bytes,
            bytes_read: output.bytes_read,
            bytes_written: output.bytes_written,
            attempts: self.lease.attempts,
            ..Outcome::new(&self.job.id, &self.lease.key, status)
        })
    }
}

/// The end of standard output, as long as a message may be. Some characters take six times their length there.
fn last_words(stdout: &[u8]) -> String {
    let mut from = stdout.len().saturating_sub(STDOUT_MAX_BYTES);
    loop {
        let text = String::from_utf8_lossy(&stdout[from..]);
        let written = serde_json::to_string(&text).map_or(0, |text| text.len());
        if written <= 2 * STDOUT_MAX_BYTES {
            return text.into_owned();
        }
        from += (stdout.len() - from) / 2;
    }
}

pub fn taken_over() -> Fault {
    Fault::passing("the job was taken over")
}
