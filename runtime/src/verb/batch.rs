//! `afmpeg batch`: many jobs, in parallel, and none of them twice.

use super::failure::Failure;
use super::folders::Folders;
use super::info::print;
use super::job_list;
use super::module;
use super::progress::style;
use super::run::limits;
use crate::cli::{Batch, Sandbox};
use afmpeg::{Error, Job, Output, Runtime};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
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
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Outcome {
    id: String,
    status: Status,
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    stdout: String,
    queue_seconds: f64,
    run_seconds: f64,
    memory_peak_bytes: u64,
    bytes_read: u64,
    bytes_written: u64,
    /// The digest of the job when it ran: a job that has been changed since runs again.
    job_sha256: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Done,
    Failed,
}

struct Entry {
    line: Line,
    sha256: String,
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
        let known = journal.as_ref().and_then(|journal| journal.done.get(&entry.line.id));
        match known.filter(|outcome| outcome.job_sha256 == entry.sha256) {
            Some(outcome) => print(&to_line(outcome)?)?,
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
                    let outcome = match run_one(&runtime, &folders, sandbox, entry) {
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
    let mut job = limits(line.args.iter().fold(job, Job::arg), sandbox);
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
        queue_seconds: output.timings.queue.as_secs_f64(),
        run_seconds: output.timings.run.as_secs_f64(),
        memory_peak_bytes: output.memory_peak_bytes,
        bytes_read: output.bytes_read,
        bytes_written: output.bytes_written,
        job_sha256: entry.sha256.clone(),
    }
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

/// The file of results: what is done is read from it, and what gets done is added.
struct Journal {
    path: PathBuf,
    file: File,
    done: BTreeMap<String, Outcome>,
}

impl Journal {
    fn open(path: &Path) -> Result<Journal, Failure> {
        let failed = |error: io::Error| Failure::setup(format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(failed)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let mut done = BTreeMap::new();
        for line in text.lines() {
            // A line that was cut off is that of a job which is to run again.
            let Ok(outcome) = serde_json::from_str::<Outcome>(line) else {
                continue;
            };
            match outcome.status {
                Status::Done => done.insert(outcome.id.clone(), outcome),
                Status::Failed => done.remove(&outcome.id),
            };
        }
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").map_err(failed)?;
        }
        Ok(Journal {
            path: path.to_owned(),
            file,
            done,
        })
    }

    fn add(&mut self, line: &str) -> Result<(), Failure> {
        let written = self
            .file
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| self.file.sync_data());
        written.map_err(|error| Failure::setup(format!("{}: {error}", self.path.display())))
    }
}

fn to_line(outcome: &Outcome) -> Result<String, Failure> {
    serde_json::to_string(outcome).map_err(|error| Failure::setup(error.to_string()))
}

fn tell(outcome: &Outcome, journal: Option<&mut Journal>) -> Result<(), Failure> {
    let line = to_line(outcome)?;
    if let Some(journal) = journal {
        journal.add(&line)?;
    }
    print(&line)
}
