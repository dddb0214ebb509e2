//! `afmpeg batch`: many jobs, in parallel, and none of them twice.

use super::failure::Failure;
use super::folders::Folders;
use super::info::{print, print_bytes};
use super::job_list;
use super::module;
use super::progress::style;
use super::run::limits;
use crate::cli::{Batch, Sandbox};
use afmpeg::{Error, Job, Output, Runtime, Stdout};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// A line of the list of jobs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    #[serde(default)]
    program: Program,
    args: Vec<String>,
    /// In seconds.
    timeout: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Program {
    #[default]
    Ffmpeg,
    Ffprobe,
}

/// A line of the results.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    id: String,
    status: Status,
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    stdout: String,
    #[serde(skip_serializing_if = "is_zero")]
    stdout_dropped_bytes: u64,
    queue_seconds: f64,
    run_seconds: f64,
    memory_peak_bytes: u64,
    bytes_read: u64,
    bytes_written: u64,
    /// Those of them that went to the standard streams.
    #[serde(skip)]
    printed_bytes: u64,
    /// The digest of the job when it ran: a job that has been changed since runs again.
    job_sha256: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Done,
    Failed,
}

/// What is read of a line of the results.
#[derive(Deserialize)]
struct Known {
    id: String,
    status: Status,
    job_sha256: String,
}

struct Entry {
    line: Line,
    sha256: String,
}

/// The end of what a job prints on standard output, as its result has it.
const STDOUT_MAX_BYTES: usize = 16 << 20;

fn is_zero(number: &u64) -> bool {
    *number == 0
}

pub fn run(args: Batch, sandbox: &Sandbox) -> Result<ExitCode, Failure> {
    let entries = read_jobs(&args.jobs)?;
    let results = match (&args.results, args.jobs.to_str()) {
        (Some(path), _) => Some(path.clone()),
        (None, Some("-")) => None,
        (None, _) => Some(args.jobs.with_extension("results.jsonl")),
    };
    let mut journal = results.as_deref().map(Journal::open).transpose()?;
    let mut waiting = Vec::new();
    for entry in &entries {
        match journal.as_mut().map_or(Ok(None), |journal| journal.done(entry))? {
            Some(line) => print_bytes(&line)?,
            None => waiting.push(entry),
        }
    }
    let folders = Folders::new(sandbox)?;
    let parallel = args
        .parallel
        .or_else(|| thread::available_parallelism().ok())
        .map_or(1, usize::from);
    let runtime = module::make(sandbox, Runtime::builder().max_concurrency(parallel))?;

    let bar = ProgressBar::new(entries.len() as u64);
    bar.set_style(style("{elapsed_precise} {wide_bar} {pos}/{len} jobs{msg}"));
    bar.set_position((entries.len() - waiting.len()) as u64);
    bar.enable_steady_tick(Duration::from_millis(200));
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    let report = Mutex::new(&mut journal);
    let stopped = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..parallel.min(waiting.len()) {
            scope.spawn(|| {
                while let Some(entry) = waiting.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = run_one(&runtime, &folders, sandbox, entry);
                    let outcome = match outcome.and_then(|outcome| on_disk(outcome, &folders, results.is_some())) {
                        Ok(outcome) => outcome,
                        Err(failure) => return stop(&stopped, &next, failure),
                    };
                    if outcome.status == Status::Failed {
                        let count = failed.fetch_add(1, Ordering::Relaxed) + 1;
                        bar.set_message(format!(", {count} failed"));
                    }
                    let mut journal = report.lock().unwrap_or_else(PoisonError::into_inner);
                    let told = bar.suspend(|| tell(&outcome, journal.as_mut()));
                    if let Err(failure) = told {
                        return stop(&stopped, &next, failure);
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    if let Some(failure) = stopped.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    let failed = failed.into_inner();
    eprintln!(
        "afmpeg: {} jobs, {} done before, {} done now, {failed} failed",
        entries.len(),
        entries.len() - waiting.len(),
        waiting.len() - failed
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Keeps the first failure of this command's own, and lets no further job begin.
fn stop(stopped: &Mutex<Option<Failure>>, next: &AtomicUsize, failure: Failure) {
    next.store(usize::MAX / 2, Ordering::Relaxed);
    stopped
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert(failure);
}

fn run_one(runtime: &Runtime, folders: &Folders, sandbox: &Sandbox, entry: &Entry) -> Result<Outcome, Failure> {
    let line = &entry.line;
    let job = match line.program {
        // Nobody is there to answer a question, and a job that was cut off has left half an output behind.
        Program::Ffmpeg => Job::new(["ffmpeg", "-nostdin", "-y", "-nostats"]),
        Program::Ffprobe => Job::new(["ffprobe"]),
    };
    let args: Vec<OsString> = line.args.iter().map(OsString::from).collect();
    let mut job = limits(line.args.iter().fold(job, Job::arg), sandbox).stdout(Stdout::Capture {
        limit_bytes: STDOUT_MAX_BYTES,
    });
    if let Some(timeout) = line.timeout {
        // The list has been checked when it was read.
        job = job.timeout(Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX));
    }
    let result = runtime.run(folders.give_to(job, &args, &BTreeSet::new()));
    let (exit_code, error, output) = match result {
        Ok(output) if output.success() => (Some(0), None, output),
        Ok(output) => (Some(output.exit_code), Some(output.error_message()), output),
        Err(error) => {
            let message = error.chain();
            match error {
                Error::Limit { output, .. } => (Some(output.exit_code), Some(message), *output),
                Error::Deadline { output } | Error::Cancelled { output } => (None, Some(message), *output),
                Error::Trap(trap) => (None, Some(message), trap.output),
                error => return Err(error.into()),
            }
        }
    };
    Ok(outcome(entry, exit_code, error, &output))
}

fn outcome(entry: &Entry, exit_code: Option<i32>, error: Option<String>, output: &Output) -> Outcome {
    Outcome {
        id: entry.line.id.clone(),
        status: if error.is_none() { Status::Done } else { Status::Failed },
        exit_code,
        error,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stdout_dropped_bytes: output.stdout_dropped_bytes,
        queue_seconds: output.timings.queue.as_secs_f64(),
        run_seconds: output.timings.run.as_secs_f64(),
        memory_peak_bytes: output.memory_peak_bytes,
        bytes_read: output.bytes_read,
        bytes_written: output.bytes_written,
        printed_bytes: (output.stdout.len() + output.stderr.len()) as u64
            + output.stdout_dropped_bytes
            + output.stderr_dropped_bytes,
        job_sha256: entry.sha256.clone(),
    }
}

/// Has what a job made reach the disk before it counts as done, or a machine that fails would leave half an output that is
/// not made again.
fn on_disk(outcome: Outcome, folders: &Folders, is_kept: bool) -> Result<Outcome, Failure> {
    let has_written = outcome.bytes_written > outcome.printed_bytes;
    if is_kept && has_written && outcome.status == Status::Done {
        folders.sync()?;
    }
    Ok(outcome)
}

fn read_jobs(path: &Path) -> Result<Vec<Entry>, Failure> {
    job_list::read(path, entry, |entry| &entry.line.id)
}

fn entry(text: &str) -> Result<Entry, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if line
        .timeout
        .is_some_and(|seconds| Duration::try_from_secs_f64(seconds).is_err())
    {
        return Err("the timeout is no number of seconds".to_owned());
    }
    let mut hash = Sha256::new();
    hash.update([line.program as u8]);
    for arg in &line.args {
        hash.update((arg.len() as u64).to_le_bytes());
        hash.update(arg);
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Entry { line, sha256 })
}

/// The file of results: what is done is read from it, and what gets done is added. It is locked as long as it is open.
struct Journal {
    path: PathBuf,
    file: File,
    /// The line of each job that is done, and the job's digest.
    done: BTreeMap<String, (String, Range<u64>)>,
}

impl Journal {
    fn open(path: &Path) -> Result<Journal, Failure> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut journal = Journal {
            path: path.to_owned(),
            file: file.map_err(|error| failed(path, &error))?,
            done: BTreeMap::new(),
        };
        let is_file = journal.file.metadata().is_ok_and(|metadata| metadata.is_file());
        // What is no file holds nothing, and may be that of many.
        if is_file {
            match journal.file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Failure::setup(format!(
                        "{}: another batch is at work on these results; wait for its end, or name others with --results",
                        path.display()
                    )));
                }
                // Some file systems have no locks.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(failed(path, &error)),
            }
            journal.read().map_err(|error| failed(path, &error))?;
        }
        Ok(journal)
    }

    fn read(&mut self) -> io::Result<()> {
        let mut reader = BufReader::new(&self.file);
        let (mut line, mut start) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            let range = start..start + length;
            start = range.end;
            // A line that was cut off is that of a job which is to run again.
            if let Ok(known) = serde_json::from_slice::<Known>(&line) {
                match known.status {
                    Status::Done => self.done.insert(known.id, (known.job_sha256, range)),
                    Status::Failed => self.done.remove(&known.id),
                };
            }
            if line.last() != Some(&b'\n') {
                break;
            }
        }
        if !line.is_empty() {
            self.file.write_all(b"\n")?;
        }
        Ok(())
    }

    /// The line of a job that is done and has not been changed since.
    fn done(&mut self, entry: &Entry) -> Result<Option<Vec<u8>>, Failure> {
        let known = self.done.get(&entry.line.id);
        let Some((_, range)) = known.filter(|(sha256, _)| *sha256 == entry.sha256) else {
            return Ok(None);
        };
        let mut line = Vec::new();
        let read = self
            .file
            .seek(SeekFrom::Start(range.start))
            .and_then(|_| (&self.file).take(range.end - range.start).read_to_end(&mut line));
        read.map_err(|error| failed(&self.path, &error))?;
        // The last line may have been cut off at its very end.
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        Ok(Some(line))
    }

    fn add(&mut self, line: &str) -> Result<(), Failure> {
        let written = self
            .file
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| self.file.sync_data());
        written.map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::setup(format!("{}: {error}", path.display()))
}

fn tell(outcome: &Outcome, journal: Option<&mut Journal>) -> Result<(), Failure> {
    let line = serde_json::to_string(outcome).map_err(|error| Failure::setup(error.to_string()))?;
    if let Some(journal) = journal {
        journal.add(&line)?;
    }
    print(&line)
}
