// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

//! A job on a thread of its own, for which Python waits in any of its ways.

use crate::frame::Frame;
use crate::{convert, error, guard};
use afmpeg::{Cancellation, Error, Output, Signals};
use bytes::Bytes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use serde_json::Value;
use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often a waiting thread looks for Ctrl-C.
const SIGNALS_INTERVAL: Duration = Duration::from_millis(20);

/// The time that a cancelled job has to end before its caller goes on without it.
const PATIENCE: Duration = Duration::from_secs(1);

/// SIGINT, by which ffmpeg is told to finish its outputs.
const FINISH: u8 = 2;

/// What a job has come to.
pub enum Outcome {
    Run {
        output: Output,
        files: Vec<(String, Bytes)>,
        cut: Option<Cut>,
    },
    Probe(Value),
    Frames(Vec<afmpeg::Frame>, &'static str),
}

/// What became of a command that was to be cut into segments.
pub enum Cut {
    Segments(usize),
    /// It was run as one job, for this reason.
    Whole(String),
}

/// Why a job has come to nothing.
pub enum Failed {
    Job(Error),
    /// An output could not be put into its place.
    Output {
        path: PathBuf,
        source: io::Error,
    },
    Panic(String),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Job(error)
    }
}

/// The first exception of the caller's own objects, which ends the job.
pub struct Failure {
    exception: Mutex<Option<PyErr>>,
    cancellation: Cancellation,
}

impl Failure {
    pub fn set(&self, exception: PyErr) {
        let mut first = self.exception.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(exception);
        drop(first);
        self.cancellation.cancel();
    }

    fn take(&self) -> Option<PyErr> {
        self.exception.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

pub struct Task {
    state: Mutex<State>,
    changed: Condvar,
    pub cancellation: Cancellation,
    pub signals: Signals,
    pub failure: Arc<Failure>,
    /// Threads of Python's that wait for it.
    callers: AtomicUsize,
}

#[derive(Default)]
struct State {
    outcome: Option<Result<Outcome, Failed>>,
    is_done: bool,
    callbacks: Vec<Py<PyAny>>,
    /// Its thread will not call Python any more.
    has_ended: bool,
}

impl Task {
    pub fn new() -> Arc<Task> {
        let cancellation = Cancellation::new();
        let failure = Failure {
            exception: Mutex::default(),
            cancellation: cancellation.clone(),
        };
        Arc::new(Task {
            state: Mutex::default(),
            changed: Condvar::new(),
            cancellation,
            signals: Signals::new(),
            failure: Arc::new(failure),
            callers: AtomicUsize::new(0),
        })
    }

    /// Starts the work; what it needs of Python was taken before.
    pub fn start(
        self: Arc<Task>,
        py: Python,
        work: impl FnOnce(&Task) -> Result<Outcome, Failed> + Send + 'static,
    ) -> PyResult<Job> {
        let own = self.clone();
        let thread = thread::Builder::new().name("afmpeg wait".to_owned()).spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&own)));
            own.end(outcome.unwrap_or_else(|panic| Err(Failed::Panic(words(&*panic)))));
        });
        thread.map_err(|source| error::exception(py, &Error::Thread { source }))?;
        guard::add(Arc::downgrade(&self));
        Ok(Job { task: self })
    }

    fn end(&self, outcome: Result<Outcome, Failed>) {
        let mut state = self.lock();
        state.outcome = Some(outcome);
        state.is_done = true;
        let callbacks = std::mem::take(&mut state.callbacks);
        drop(state);
        self.changed.notify_all();
        if !callbacks.is_empty() {
            // Nobody is there to be called in an interpreter that ends.
            let _ = Python::try_attach(|py| {
                for callback in &callbacks {
                    if let Err(error) = callback.call0(py) {
                        error.write_unraisable(py, Some(callback.bind(py)));
                    }
                }
                drop(callbacks);
            });
        }
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn cancel(&self) {
        self.cancellation.cancel();
    }

    /// Waits until this holds, at most for this long; returns whether it does.
    fn wait(&self, timeout: Duration, holds: impl Fn(&State) -> bool) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |state| !holds(state));
        holds(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    pub fn wait_until(&self, until: Instant) {
        self.wait(until.saturating_duration_since(Instant::now()), |state| state.has_ended);
    }

    /// Waits until the threads of Python's that wait for it have gone back there.
    pub fn wait_for_callers(&self, until: Instant) {
        while self.callers.load(Ordering::Acquire) > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without words".to_owned())
}

/// A job that runs. One that nobody holds any more is cancelled.
#[pyclass(frozen, module = "afmpeg._native")]
pub struct Job {
    task: Arc<Task>,
}

impl Drop for Job {
    fn drop(&mut self) {
        if guard::is_owner() && !self.task.lock().is_done {
            self.task.cancel();
        }
    }
}

#[pymethods]
impl Job {
    /// Ends the job.
    fn cancel(&self, py: Python) -> PyResult<()> {
        guard_fork(py)?;
        self.task.cancel();
        Ok(())
    }

    /// Lets ffmpeg finish its outputs; returns whether the program listens.
    fn finish(&self, py: Python) -> PyResult<bool> {
        guard_fork(py)?;
        Ok(self.task.signals.send(FINISH))
    }

    fn done(&self, py: Python) -> PyResult<bool> {
        guard_fork(py)?;
        Ok(self.task.lock().is_done)
    }

    /// Ends the job with an exception of the caller's.
    fn fail(&self, exception: Bound<PyAny>) {
        self.task.failure.set(PyErr::from_value(exception));
    }

    /// Calls this, on some thread, when the job is done.
    fn on_done(&self, py: Python, callback: Py<PyAny>) -> PyResult<()> {
        guard_fork(py)?;
        let mut state = self.task.lock();
        if !state.is_done {
            state.callbacks.push(callback);
            return Ok(());
        }
        drop(state);
        callback.call0(py).map(drop)
    }

    /// Waits for the end; returns whether it has come. Ctrl-C ends the wait, and the job too if it is this caller's
    /// alone.
    #[pyo3(signature = (timeout, is_own))]
    fn wait(&self, py: Python, timeout: Option<f64>, is_own: bool) -> PyResult<bool> {
        guard_fork(py)?;
        let until = timeout.and_then(|seconds| {
            let timeout = Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
            Instant::now().checked_add(timeout)
        });
        let _caller = Caller::new(&self.task.callers);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let slice = left.map_or(SIGNALS_INTERVAL, |left| left.min(SIGNALS_INTERVAL));
            if py.detach(|| self.task.wait(slice, |state| state.is_done)) {
                return Ok(true);
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            if let Err(interrupt) = py.check_signals() {
                if is_own {
                    self.task.cancel();
                    py.detach(|| self.task.wait(PATIENCE, |state| state.is_done));
                }
                return Err(interrupt);
            }
        }
    }

    /// What the job has come to; it is given out once.
    fn take_result<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        guard_fork(py)?;
        let outcome = self.task.lock().outcome.take();
        if let Some(exception) = self.task.failure.take() {
            return Err(exception);
        }
        let Some(outcome) = outcome else {
            return Err(PyRuntimeError::new_err("the job is not done, or its result was taken"));
        };
        match outcome {
            Ok(Outcome::Run { output, files, cut }) => {
                let fields = error::output_fields(py, &output)?;
                match cut {
                    Some(Cut::Segments(count)) => fields.set_item("segments", count)?,
                    Some(Cut::Whole(reason)) => fields.set_item("whole", reason)?,
                    None => {}
                }
                let by_name = PyDict::new(py);
                for (name, bytes) in files {
                    by_name.set_item(name, PyBytes::new(py, &bytes))?;
                }
                fields.set_item("files", by_name)?;
                Ok(fields.into_any())
            }
            Ok(Outcome::Probe(value)) => convert::to_python(py, &value),
            Ok(Outcome::Frames(frames, format)) => {
                let list = PyList::empty(py);
                for frame in frames {
                    list.append(Bound::new(py, Frame::new(frame, format))?)?;
                }
                Ok(list.into_any())
            }
            Err(Failed::Job(error)) => Err(error::exception(py, &error)),
            Err(Failed::Output { path, source }) => {
                let message = format!("the output {} cannot be written: {source}", path.display());
                Err(io::Error::new(source.kind(), message).into())
            }
            Err(Failed::Panic(words)) => Err(PyRuntimeError::new_err(format!("afmpeg is at fault: {words}"))),
        }
    }
}

fn guard_fork(py: Python) -> PyResult<()> {
    if guard::is_owner() {
        return Ok(());
    }
    guard::check(py)
}

/// A thread of Python's that waits, counted as long as this lives.
struct Caller<'a>(&'a AtomicUsize);

impl Caller<'_> {
    fn new(callers: &AtomicUsize) -> Caller<'_> {
        callers.fetch_add(1, Ordering::AcqRel);
        Caller(callers)
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
