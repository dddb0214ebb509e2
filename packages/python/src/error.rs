// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

//! The crate's errors as Python's exceptions, each of a class that is named as its variant.

use afmpeg::{Error, Limit, Output};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// An exception of this class of `afmpeg._errors`.
fn make(py: Python, class: &str, message: &str, fields: &Bound<PyDict>) -> PyErr {
    let made = py
        .import("afmpeg._errors")
        .and_then(|errors| errors.getattr("make")?.call1((class, message, fields)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

pub fn simple(py: Python, class: &str, message: &str) -> PyErr {
    make(py, class, message, &PyDict::new(py))
}

pub fn exception(py: Python, error: &Error) -> PyErr {
    let fields = PyDict::new(py);
    match fill(py, error, &fields) {
        Ok(class) => make(py, class, &error.chain(), &fields),
        Err(error) => error,
    }
}

/// Fills in what an exception has besides its message; returns the name of its class.
fn fill(py: Python, error: &Error, fields: &Bound<PyDict>) -> PyResult<&'static str> {
    if let Some(output) = error.output() {
        fields.set_item("output", output_fields(py, output)?)?;
    }
    Ok(match error {
        Error::ModuleUnreadable { path, .. } => {
            fields.set_item("path", path)?;
            "ModuleUnreadable"
        }
        Error::ModuleFormat => "ModuleFormat",
        Error::ModuleCompression { .. } => "ModuleCompression",
        Error::ModuleInvalid { .. } => "ModuleInvalid",
        Error::NotAProgram { .. } => "NotAProgram",
        Error::Engine { .. } => "EngineFailed",
        Error::Pack { path, .. } => {
            fields.set_item("path", path)?;
            "PackRefused"
        }
        Error::NoPack => "PackRefused",
        Error::ZeroByte => "ZeroByte",
        Error::Directory { path, .. } => {
            fields.set_item("path", path)?;
            "DirectoryUnreadable"
        }
        Error::NoFonts { path } => {
            fields.set_item("path", path)?;
            "NoFonts"
        }
        Error::Stdio { .. } => "StdioFailed",
        Error::TooManyDirectories => "TooManyDirectories",
        Error::Thread { .. } => "ThreadFailed",
        Error::Instantiate { .. } => "InstantiateFailed",
        Error::Trap(trap) => {
            fields.set_item("reason", &trap.reason)?;
            fields.set_item("function", &trap.function)?;
            "Trap"
        }
        Error::Deadline { .. } => "Deadline",
        Error::Cancelled { .. } => "Cancelled",
        Error::Limit {
            limit, allowed, wanted, ..
        } => {
            fields.set_item("limit", limit_name(*limit))?;
            fields.set_item("allowed", allowed)?;
            fields.set_item("wanted", wanted)?;
            "LimitReached"
        }
        Error::Program { message, .. } => {
            fields.set_item("message", message)?;
            "ProgramFailed"
        }
        Error::ProbeUnreadable { .. } => "ProbeUnreadable",
        Error::ProbeTooLarge { .. } => "ProbeTooLarge",
        Error::Command { .. } => "CommandContradiction",
        Error::Frame { .. } => "FrameFailed",
        Error::NoFrame { time } => {
            fields.set_item("time", time.as_secs_f64())?;
            "NoFrame"
        }
        Error::Release { .. } => "ReleaseFailed",
        Error::TwoCapacities => "TwoCapacities",
        Error::Whole { reason } => {
            fields.set_item("reason", reason)?;
            "NotCut"
        }
        Error::Closed => "Closed",
        Error::Busy { running, waiting } => {
            fields.set_item("running", running)?;
            fields.set_item("waiting", waiting)?;
            "Busy"
        }
        Error::Stuck { left_behind } => {
            fields.set_item("left_behind", left_behind)?;
            "Stuck"
        }
        Error::Draining { running } => {
            fields.set_item("running", running)?;
            "Draining"
        }
        _ => "Error",
    })
}

/// The name of the argument that sets a limit.
fn limit_name(limit: Limit) -> String {
    match limit {
        Limit::FileSystem => "files_max_bytes".to_owned(),
        limit => limit.to_string(),
    }
}

/// What Python's `Result` is made of, without the files.
pub fn output_fields<'py>(py: Python<'py>, output: &Output) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("exit_code", output.exit_code)?;
    fields.set_item("stdout", pyo3::types::PyBytes::new(py, &output.stdout))?;
    fields.set_item("stdout_dropped_bytes", output.stdout_dropped_bytes)?;
    fields.set_item("stderr", String::from_utf8_lossy(&output.stderr))?;
    fields.set_item("stderr_dropped_bytes", output.stderr_dropped_bytes)?;
    fields.set_item("error_message", output.error_message())?;
    fields.set_item("queue_seconds", output.timings.queue.as_secs_f64())?;
    fields.set_item("run_seconds", output.timings.run.as_secs_f64())?;
    fields.set_item("cpu_seconds", output.cpu_time.as_secs_f64())?;
    fields.set_item("memory_peak_bytes", output.memory_peak_bytes)?;
    fields.set_item("host_memory_peak_bytes", output.host_memory_peak_bytes)?;
    fields.set_item("bytes_read", output.bytes_read)?;
    fields.set_item("bytes_written", output.bytes_written)?;
    Ok(fields)
}
