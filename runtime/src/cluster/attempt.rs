//! One attempt at a job: its files, its program, and the names of its outputs.

use super::fault::Fault;
use super::files::{Files, Opening, Places};
use super::lease::Lease;
use super::message::{JobMessage, Outcome, Program, Reached, Status};
use super::policy::{Access, Given, Policy};
use super::queue::Queue;
use super::state::Begun;
use super::store::{Buckets, Target};
use crate::error::Error;
use crate::interrupt::Cancellation;
use crate::job::Job;
use crate::output::Output;
use crate::progress::Progress;
use crate::runtime::Runtime;
use crate::stdio::Stdout;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// All that an attempt needs.
#[derive(Clone)]
pub struct Attempt {
    pub runtime: Runtime,
    pub policy: Arc<Policy>,
    pub buckets: Buckets,
    pub queue: Queue,
    pub lease: Arc<Lease>,
    pub job: Arc<JobMessage>,
    /// Ends the program.
    pub stop: Cancellation,
}

/// What of standard output comes with a result.
const STDOUT_MAX_BYTES: usize = 256 << 10;
/// Progress is told so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

impl Attempt {
    pub fn opening(&self) -> Opening<'_> {
        Opening {
            policy: &self.policy,
            buckets: &self.buckets,
            lease: &self.lease,
        }
    }

    /// Ends uploads of workers that held the job before.
    pub async fn end_left(&self) -> Result<(), Fault> {
        for begun in &self.lease.left {
            self.end(begun).await?;
        }
        match self.lease.left.is_empty() {
            true => Ok(()),
            false => self.lease.forget_uploads().await.map_err(|_| taken_over()),
        }
    }

    async fn end(&self, begun: &Begun) -> Result<(), Fault> {
        // What another policy allowed is for its worker to end.
        match self.policy.resolve(&begun.address, Access::Write) {
            Ok(address) => Target::end(&self.buckets, &address, begun).await,
            Err(_) => Ok(()),
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
    async fn run_on(&self, mut files: Files, given: Given, with_spool: bool) -> Result<Option<Outcome>, Fault> {
        let attempt = self.clone();
        let handle = Handle::current();
        let ran = tokio::task::spawn_blocking(move || {
            let ran = attempt.run_program(&files, given, with_spool);
            let goes_back = files.goes_back() && !with_spool;
            let sent = match (&ran, files.faults.first()) {
                _ if goes_back => Ok(Vec::new()),
                (_, Some(fault)) => Err(fault),
                (Ok(outcome), None) if outcome.status == Status::Done => files.finish(&attempt.opening(), &handle),
                _ => Ok(Vec::new()),
            };
            (files, ran, sent, goes_back)
        });
        let (files, ran, sent, goes_back) = ran.await.map_err(|error| Fault::passing(error.to_string()))?;
        let ended = match (ran, sent) {
            _ if goes_back => Ok(None),
            // The program fails as well if its files do.
            (_, Err(fault)) | (Err(fault), Ok(_)) => Err(fault),
            (Ok(outcome), Ok(targets)) => self.name(outcome, targets).await.map(Some),
        };
        if !matches!(&ended, Ok(Some(outcome)) if outcome.status == Status::Done) {
            files.abandon(&self.lease).await;
        }
        ended
    }

    /// Gives outputs their names, if the job is still this worker's.
    pub async fn name(&self, outcome: Outcome, targets: Vec<Target>) -> Result<Outcome, Fault> {
        if targets.is_empty() {
            return Ok(outcome);
        }
        self.lease.begin_naming().await.map_err(|_| taken_over())?;
        for target in &targets {
            target.name().await?;
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
        let told = std::sync::Mutex::new(Instant::now());
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
            error: error.map(|error| shown_words(&error)),
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

/// The longest that the words of a failure are.
const WORDS_MAX: usize = 4000;

fn shown_words(words: &str) -> String {
    words.chars().take(WORDS_MAX).collect()
}

pub fn taken_over() -> Fault {
    Fault::passing("the job was taken over")
}
