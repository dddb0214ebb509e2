// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

//! What a job is given, as Python passes it on.

use crate::files::{Files, Output, PythonReader};
use crate::task::Failure;
use afmpeg::{Access, Error, Fonts, HostDir, Job};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// An input: its name, its kind, and the bytes, path or object with its size.
type Input = (String, String, Py<PyAny>, u64);

/// Checked by Python: numbers are in range, names below the job's folder, and kinds are those below.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Settings {
    files: Vec<Input>,
    outputs: Vec<(String, String, Py<PyAny>)>,
    /// The guest's name, the host's path, and whether it may be written to.
    dirs: Vec<(String, PathBuf, bool)>,
    env: Vec<(OsString, OsString)>,
    fonts: Option<PathBuf>,
    pipes: Vec<(u32, isize)>,
    timeout: Option<f64>,
    memory_max_bytes: Option<u64>,
    host_memory_max_bytes: Option<u64>,
    written_max_bytes: Option<u64>,
    files_max_bytes: Option<u64>,
    names_max: Option<u64>,
    open_files_max: Option<usize>,
    priority: Option<i32>,
    fixed_clock: Option<f64>,
    random_seed: Option<u64>,
    /// How many segments are made at a time, 0 for as many as there are cores; and whether the command must be cut.
    pub parallel: Option<(usize, bool)>,
}

/// What a call's jobs are given.
pub struct Given {
    pub files: Arc<Files>,
    dirs: Vec<(String, Arc<HostDir>)>,
    fonts: Option<Fonts>,
    pipes: Vec<(u32, File)>,
    settings: Limits,
}

struct Limits {
    env: Vec<(OsString, OsString)>,
    timeout: Option<Duration>,
    memory_max_bytes: Option<u64>,
    host_memory_max_bytes: Option<u64>,
    written_max_bytes: Option<u64>,
    names_max: Option<u64>,
    open_files_max: Option<usize>,
    priority: Option<i32>,
    fixed_clock: Option<Duration>,
    random_seed: Option<u64>,
}

/// Written files are held to the job's memory in any case.
const FILES_MAX_BYTES: u64 = 4 << 30;

pub fn duration(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(format!("{name}: {error}")))
}

impl Settings {
    pub fn open(self, py: Python, failure: &Arc<Failure>) -> PyResult<Given> {
        let files = Files::new(self.files_max_bytes.unwrap_or(FILES_MAX_BYTES));
        for (name, kind, value, size_bytes) in self.files {
            let added = match &*kind {
                "bytes" => files.add_bytes(&name, value.extract::<PyBackedBytes>(py)?),
                "path" => {
                    let path: PathBuf = value.extract(py)?;
                    files.add_path(&name, &path).map_err(|error| with_path(error, &path))
                }
                _ => files.add_reader(&name, Arc::new(PythonReader::new(value, size_bytes, failure.clone()))),
            };
            added?;
        }
        for (name, kind, value) in self.outputs {
            let output = match &*kind {
                "path" => {
                    let path: PathBuf = value.extract(py)?;
                    Output::path(&path).map_err(|error| with_path(error, &path))?
                }
                _ => Output::object(value, failure.clone()),
            };
            files.add_output(&name, output);
        }
        let mut dirs = Vec::new();
        for (name, path, may_write) in self.dirs {
            let access = if may_write { Access::ReadWrite } else { Access::ReadOnly };
            let dir = HostDir::open(&path, access).map_err(|source| Error::Directory { path, source });
            dirs.push((
                name,
                Arc::new(dir.map_err(|error| crate::error::exception(py, &error))?),
            ));
        }
        let fonts = self.fonts.map(Fonts::open).transpose();
        let fonts = fonts.map_err(|error| crate::error::exception(py, &error))?;
        let mut pipes = Vec::new();
        for (number, handle) in self.pipes {
            pipes.push((number, duplicate(handle)?));
        }
        Ok(Given {
            files: Arc::new(files),
            dirs,
            fonts,
            pipes,
            settings: Limits {
                env: self.env,
                timeout: self.timeout.map(|seconds| duration("timeout", seconds)).transpose()?,
                memory_max_bytes: self.memory_max_bytes,
                host_memory_max_bytes: self.host_memory_max_bytes,
                written_max_bytes: self.written_max_bytes,
                names_max: self.names_max,
                open_files_max: self.open_files_max,
                priority: self.priority,
                fixed_clock: self
                    .fixed_clock
                    .map(|seconds| duration("fixed_clock", seconds))
                    .transpose()?,
                random_seed: self.random_seed,
            },
        })
    }
}

/// The error as Python's own functions raise it: with the file's name.
fn with_path(error: std::io::Error, path: &std::path::Path) -> PyErr {
    match error.raw_os_error() {
        Some(number) => {
            let error = std::io::Error::from_raw_os_error(number);
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            pyo3::exceptions::PyOSError::new_err((number, text, path.as_os_str().to_owned()))
        }
        None => std::io::Error::new(error.kind(), format!("{}: {error}", path.display())).into(),
    }
}

impl Given {
    /// Gives all of it to a job, but for the pipes, which only one job can have.
    pub fn give(&self, job: Job) -> Job {
        let limits = &self.settings;
        let mut job = job.file_system(".", self.files.clone());
        for (name, dir) in &self.dirs {
            job = job.file_system(name, dir.clone());
        }
        if let Some(fonts) = &self.fonts {
            job = job.fonts(fonts);
        }
        for (name, value) in &limits.env {
            job = job.env(name, value);
        }
        if let Some(timeout) = limits.timeout {
            job = job.timeout(timeout);
        }
        if let Some(bytes) = limits.memory_max_bytes {
            job = job.memory_max_bytes(bytes);
        }
        if let Some(bytes) = limits.host_memory_max_bytes {
            job = job.host_memory_max_bytes(bytes);
        }
        if let Some(bytes) = limits.written_max_bytes {
            job = job.written_max_bytes(bytes);
        }
        if let Some(count) = limits.names_max {
            job = job.names_max(count);
        }
        if let Some(count) = limits.open_files_max {
            job = job.open_files_max(count);
        }
        if let Some(priority) = limits.priority {
            job = job.priority(priority);
        }
        if let Some(start) = limits.fixed_clock {
            job = job.fixed_clock(UNIX_EPOCH + start);
        }
        if let Some(seed) = limits.random_seed {
            job = job.random_seed(seed);
        }
        job
    }

    pub fn take_pipes(&mut self, mut job: Job) -> Job {
        for (number, file) in self.pipes.drain(..) {
            job = job.descriptor(number, file);
        }
        job
    }
}

/// A second handle on an open file of Python's: a descriptor, on Windows a handle.
pub fn duplicate(handle: isize) -> PyResult<File> {
    #[cfg(unix)]
    {
        let number = i32::try_from(handle).map_err(|_| PyValueError::new_err("no descriptor has such a number"))?;
        if number < 0 {
            return Err(PyValueError::new_err("no descriptor has such a number"));
        }
        // SAFETY: it is only borrowed for this call. Python has it open, or else duplicating it fails.
        let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        Ok(borrowed.try_clone_to_owned()?.into())
    }
    #[cfg(windows)]
    {
        // SAFETY: it is only borrowed for this call, and Python has it open, or else duplicating it fails.
        let borrowed = unsafe { std::os::windows::io::BorrowedHandle::borrow_raw(handle as _) };
        Ok(borrowed.try_clone_to_owned()?.into())
    }
}
