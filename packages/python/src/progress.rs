// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

//! Reports of ffmpeg's progress.

use pyo3::prelude::*;
use std::time::Duration;

/// A progress report of ffmpeg.
#[pyclass(frozen, get_all, module = "afmpeg")]
pub struct Progress {
    /// Video frames written.
    frame: u64,
    /// Frames a second.
    fps: f64,
    /// The duration of the output so far, in seconds.
    time: f64,
    /// Duration of the output per elapsed time.
    speed: Option<f64>,
    total_size_bytes: Option<u64>,
    /// Whether the report is the last one.
    finished: bool,
}

impl Progress {
    pub fn new(progress: &afmpeg::Progress) -> Progress {
        Progress {
            frame: progress.frame,
            fps: progress.fps,
            time: progress.time.as_secs_f64(),
            speed: progress.speed,
            total_size_bytes: progress.total_size_bytes,
            finished: progress.finished,
        }
    }
}

#[pymethods]
impl Progress {
    /// The completed part, from 0 to 1, of an output of this duration in seconds.
    fn fraction(&self, duration: f64) -> f64 {
        let mut progress = afmpeg::Progress::default();
        progress.time = Duration::try_from_secs_f64(self.time).unwrap_or_default();
        progress.finished = self.finished;
        progress.fraction(Duration::try_from_secs_f64(duration).unwrap_or_default())
    }

    fn __repr__(&self) -> String {
        let Progress {
            frame, time, finished, ..
        } = self;
        let finished = if *finished { "True" } else { "False" };
        format!("Progress(frame={frame}, time={time}, finished={finished})")
    }
}
