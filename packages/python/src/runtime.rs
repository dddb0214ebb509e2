// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

//! The runtime.

use crate::progress::Progress;
use crate::settings::{Given, Settings, duplicate, duration};
use crate::task::{Cut, Failed, Failure, Job, Outcome, Task};
use crate::{error, guard};
use afmpeg::{
    CacheStatus, Capacity, Done, Engine, Error, Frames, Output, Pack, Parallel, Preemption, Stdin, Stdout, Whole,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often a thread that waits for a compiler looks for Ctrl-C.
const SIGNALS_INTERVAL: Duration = Duration::from_millis(20);

#[pyclass(frozen, module = "afmpeg._native")]
pub struct Runtime {
    runtime: afmpeg::Runtime,
}

/// Checked by Python.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Config {
    path: Option<PathBuf>,
    bytes: Option<PyBackedBytes>,
    cache_folder: Option<PathBuf>,
    verify_cached_code: bool,
    max_concurrency: Option<usize>,
    max_waiting: Option<usize>,
    max_left_behind: Option<usize>,
    open_files_max: Option<u64>,
    preemption: Option<String>,
    engine: Option<String>,
    /// The record of a pack.
    pack: Option<PathBuf>,
}

impl Config {
    fn make(self) -> Result<afmpeg::Runtime, Error> {
        let mut capacity = Capacity::builder();
        if let Some(jobs) = self.max_concurrency {
            capacity = capacity.max_concurrency(jobs);
        }
        if let Some(jobs) = self.max_waiting {
            capacity = capacity.max_waiting(jobs);
        }
        if let Some(jobs) = self.max_left_behind {
            capacity = capacity.max_left_behind(jobs);
        }
        if let Some(count) = self.open_files_max {
            capacity = capacity.open_files_max(count);
        }
        let mut builder = afmpeg::Runtime::builder()
            .capacity(&capacity.build()?)
            .verify_cached_code(self.verify_cached_code);
        if let Some(folder) = self.cache_folder {
            builder = builder.cache_folder(folder);
        }
        match self.preemption.as_deref() {
            Some("signals") => builder = builder.preemption(Preemption::Signals),
            Some("epochs") => builder = builder.preemption(Preemption::Epochs),
            _ => {}
        }
        match self.engine.as_deref() {
            Some("auto") => builder = builder.engine(Engine::Auto),
            Some("wasmtime") => builder = builder.engine(Engine::Wasmtime),
            Some("pack") => builder = builder.engine(Engine::Pack),
            _ => {}
        }
        if let Some(record) = self.pack {
            builder = builder.pack(&Pack::from_record(record)?);
        }
        match (self.path, self.bytes) {
            (Some(path), _) => builder.from_file(path),
            (None, Some(bytes)) => builder.from_bytes(&bytes),
            (None, None) => builder.from_bytes(&[]),
        }
    }
}

/// A standard stream as Python describes it: its kind, and a number where it needs one.
type Stream = (String, isize);

fn output_stream((kind, number): &Stream) -> PyResult<Stdout> {
    Ok(match &**kind {
        "discard" => Stdout::Discard,
        "inherit" => Stdout::Inherit,
        "handle" => Stdout::File(duplicate(*number)?),
        _ => Stdout::Capture {
            limit_bytes: usize::try_from(*number).unwrap_or(usize::MAX),
        },
    })
}

/// Calls Python with each report.
type Report = Arc<dyn Fn(&afmpeg::Progress) + Send + Sync>;

fn report(call: Py<PyAny>, failure: Arc<Failure>) -> Report {
    Arc::new(move |progress| {
        let called = Python::try_attach(|py| call.call1(py, (Progress::new(progress),)));
        if let Some(Err(error)) = called {
            failure.set(error);
        }
    })
}

/// A command that is to be cut into segments.
struct Cutting {
    command: Parallel,
    is_required: bool,
    stdout: Stream,
    stderr: Stream,
}

impl Cutting {
    fn new(
        args: &[OsString],
        (workers, is_required): (usize, bool),
        report: Option<Report>,
        [stdout, stderr]: [Stream; 2],
    ) -> PyResult<Cutting> {
        let args = args.iter().skip(1).map(|arg| arg.clone().into_string());
        let args: Result<Vec<String>, OsString> = args.collect();
        let args = args.map_err(|_| PyValueError::new_err("args must be Unicode with parallel"))?;
        let mut command = Parallel::new(args);
        if let Some(workers) = NonZero::new(workers) {
            command = command.workers(workers);
        }
        if is_required {
            command = command.required();
        }
        if let Some(report) = report {
            command = command.progress(move |progress| report(progress));
        }
        Ok(Cutting {
            command,
            is_required,
            stdout,
            stderr,
        })
    }

    /// Runs the command in segments; nothing of it, if it cannot be cut.
    fn run(&self, runtime: &afmpeg::Runtime, given: &Given, task: &Task) -> Result<Result<Done, Whole>, Error> {
        let give = |job: afmpeg::Job| given.give(job).cancellation(&task.cancellation);
        let plan = match runtime.plan_parallel(&self.command, give)? {
            Ok(plan) => plan,
            Err(whole) if self.is_required => {
                let reason = whole.to_string();
                return Err(Error::Whole { reason });
            }
            Err(whole) => return Ok(Err(whole)),
        };
        let open = |stream| {
            output_stream(stream).unwrap_or_else(|error| {
                task.failure.set(error);
                Stdout::Discard
            })
        };
        let set_up = |job| give(job).stdout(open(&self.stdout)).stderr(open(&self.stderr));
        runtime.run_plan(&self.command, &plan, set_up).map(Ok)
    }
}

#[derive(FromPyObject)]
enum Input {
    #[pyo3(transparent)]
    Bytes(PyBackedBytes),
    #[pyo3(transparent)]
    Handle(isize),
    /// The only word is that for this process's own.
    #[pyo3(transparent)]
    Word(#[expect(dead_code, reason = "it says what it is by being a word")] String),
}

impl Input {
    fn open(input: Option<Input>) -> PyResult<Stdin> {
        Ok(match input {
            None => Stdin::Empty,
            Some(Input::Bytes(bytes)) => Stdin::Bytes(bytes::Bytes::from_owner(bytes)),
            Some(Input::Handle(handle)) => Stdin::File(duplicate(handle)?),
            Some(Input::Word(_)) => Stdin::Inherit,
        })
    }
}

#[pymethods]
impl Runtime {
    #[new]
    fn new(py: Python, config: Config) -> PyResult<Runtime> {
        guard::check(py)?;
        // On a thread of its own, so that Ctrl-C need not wait for the compiler.
        let (sender, receiver) = mpsc::sync_channel(1);
        let make = move || drop(sender.send(config.make()));
        let thread = thread::Builder::new().name("afmpeg compile".to_owned()).spawn(make);
        thread.map_err(|source| error::exception(py, &Error::Thread { source }))?;
        let receiver = std::sync::Mutex::new(receiver);
        loop {
            let made = py.detach(|| {
                let receiver = receiver.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                receiver.recv_timeout(SIGNALS_INTERVAL)
            });
            match made {
                Ok(Ok(runtime)) => return Ok(Runtime { runtime }),
                Ok(Err(error)) => return Err(error::exception(py, &error)),
                Err(RecvTimeoutError::Timeout) => py.check_signals()?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(error::simple(py, "EngineFailed", "the compiler has crashed"));
                }
            }
        }
    }

    /// Starts a job of FFmpeg's programs.
    #[expect(clippy::too_many_arguments, reason = "Python passes them one by one")]
    fn run(
        &self,
        py: Python,
        args: Vec<OsString>,
        settings: Settings,
        stdin: Option<Input>,
        stdout: Stream,
        stderr: Stream,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Job> {
        guard::check(py)?;
        let task = Task::new();
        let report = progress.map(|call| report(call, task.failure.clone()));
        let cutting = settings
            .parallel
            .map(|wish| Cutting::new(&args, wish, report.clone(), [stdout.clone(), stderr.clone()]))
            .transpose()?;
        let mut given = settings.open(py, &task.failure)?;
        let mut job = afmpeg::Job::new(args)
            .stdin(Input::open(stdin)?)
            .stdout(output_stream(&stdout)?)
            .stderr(output_stream(&stderr)?)
            .cancellation(&task.cancellation)
            .signals(&task.signals);
        job = given.give(job);
        job = given.take_pipes(job);
        if let Some(report) = report {
            job = job.progress(move |progress| report(progress));
        }
        let runtime = self.runtime.clone();
        task.start(py, move |task| {
            let run = || -> Result<(Output, Option<Cut>), Error> {
                let whole = match cutting {
                    Some(cutting) => match cutting.run(&runtime, &given, task)? {
                        Ok(done) => {
                            let cut = match done.whole {
                                None => Cut::Segments(done.segments),
                                // It was found out on the way.
                                Some(whole) => Cut::Whole(whole.to_string()),
                            };
                            return Ok((done.output, Some(cut)));
                        }
                        Err(whole) => Some(Cut::Whole(whole.to_string())),
                    },
                    None => None,
                };
                Ok((runtime.run(job)?, whole))
            };
            let (output, cut) = run().inspect_err(|_| given.files.abandon())?;
            let finished = given.files.finish(output.success());
            let files = finished.map_err(|(path, source)| Failed::Output { path, source })?;
            Ok(Outcome::Run { output, files, cut })
        })
    }

    /// Starts describing an input.
    fn probe(&self, py: Python, input: OsString, settings: Settings, stdin: Option<Input>) -> PyResult<Job> {
        guard::check(py)?;
        let task = Task::new();
        let given = settings.open(py, &task.failure)?;
        let job = afmpeg::Job::probe(input)
            .stdin(Input::open(stdin)?)
            .cancellation(&task.cancellation);
        let job = given.give(job);
        let runtime = self.runtime.clone();
        task.start(py, move |_| {
            let probe = runtime.probe(job)?;
            let value = serde_json::to_value(&probe).map_err(|source| Error::ProbeUnreadable { source })?;
            Ok(Outcome::Probe(value))
        })
    }

    /// Starts making pictures of a video.
    #[expect(clippy::too_many_arguments, reason = "Python passes them one by one")]
    fn frames(
        &self,
        py: Python,
        input: String,
        settings: Settings,
        at: Option<Vec<f64>>,
        every: Option<f64>,
        sheet: Option<(u32, u32)>,
        width: Option<u32>,
        height: Option<u32>,
        format: &str,
        size_max_bytes: Option<u64>,
    ) -> PyResult<Job> {
        guard::check(py)?;
        let task = Task::new();
        let given = settings.open(py, &task.failure)?;
        let mut frames = Frames::of(input);
        if let Some(times) = at {
            let times: PyResult<Vec<Duration>> = times.into_iter().map(|time| duration("at", time)).collect();
            frames = frames.at(times?);
        }
        if let Some(interval) = every {
            frames = frames.every(duration("every", interval)?);
        }
        if let Some((columns, rows)) = sheet {
            frames = frames.contact_sheet(columns, rows);
        }
        if let Some(width) = width {
            frames = frames.width(width);
        }
        if let Some(height) = height {
            frames = frames.height(height);
        }
        if let Some(bytes) = size_max_bytes {
            frames = frames.size_max_bytes(bytes);
        }
        let (frames, format) = match format {
            "png" => (frames.png(), "png"),
            "jpeg" => (frames.jpeg(), "jpeg"),
            "rgba" => (frames.rgba(), "rgba"),
            _ => return Err(PyValueError::new_err("format must be 'png', 'jpeg' or 'rgba'")),
        };
        let runtime = self.runtime.clone();
        task.start(py, move |task| {
            let made = runtime.frames(&frames, |job| given.give(job).cancellation(&task.cancellation))?;
            Ok(Outcome::Frames(made, format))
        })
    }

    /// What became of the cache of compiled code: a word, and the reason if it could not be used.
    fn cache_status(&self) -> (&'static str, Option<String>) {
        match self.runtime.cache_status() {
            CacheStatus::Hit => ("hit", None),
            CacheStatus::Stored => ("stored", None),
            CacheStatus::Off => ("off", None),
            unusable => ("unusable", Some(unusable.to_string())),
        }
    }

    /// What runs the module, in words.
    fn engine(&self) -> String {
        self.runtime.engine_status().to_string()
    }

    /// Loads the code into memory; returns the seconds that it took.
    fn warm_up(&self, py: Python) -> PyResult<f64> {
        guard::check(py)?;
        let taken = py.detach(|| self.runtime.warm_up());
        let taken = taken.map_err(|error| error::exception(py, &error))?;
        Ok(taken.as_secs_f64())
    }

    fn close(&self, py: Python) -> PyResult<()> {
        guard::check(py)?;
        self.runtime.close();
        Ok(())
    }

    fn drain(&self, py: Python, timeout: f64) -> PyResult<()> {
        guard::check(py)?;
        let timeout = duration("timeout", timeout)?;
        let drained = py.detach(|| self.runtime.drain(timeout));
        drained.map_err(|error| error::exception(py, &error))
    }

    /// Running and waiting jobs, those left behind, and the memory of these.
    fn stats(&self, py: Python) -> PyResult<(usize, usize, usize, u64)> {
        guard::check(py)?;
        let stats = self.runtime.stats();
        Ok((
            stats.running,
            stats.waiting,
            stats.left_behind,
            stats.left_behind_memory_bytes,
        ))
    }
}
