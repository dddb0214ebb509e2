//! A bar on the terminal.

use afmpeg::{Job, Progress, Stdout};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The progress of one run of ffmpeg.
pub struct Bar {
    bar: ProgressBar,
    duration: Arc<Mutex<Option<Duration>>>,
}

/// The bar's length: time is counted in thousandths of a second.
fn length(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

impl Bar {
    pub fn new() -> Bar {
        let bar = ProgressBar::no_length();
        bar.set_style(style("{elapsed_precise} {spinner} {msg}"));
        Bar {
            bar,
            duration: Arc::default(),
        }
    }

    /// Makes a job of ffmpeg move this bar. ffmpeg's messages go to standard error above it.
    pub fn show(&self, job: Job) -> Job {
        let report = self.report();
        self.show_log(job.progress(move |progress| report(progress)))
    }

    /// Has ffmpeg's messages go to standard error above the bar.
    pub fn show_log(&self, job: Job) -> Job {
        let log = Log {
            bar: self.bar.clone(),
            duration: self.duration.clone(),
            line: Vec::new(),
        };
        job.stderr(Stdout::Writer(Box::new(log)))
    }

    /// Moves this bar.
    pub fn report(&self) -> impl Fn(&Progress) + Send + Sync + 'static {
        let (bar, duration) = (self.bar.clone(), self.duration.clone());
        move |progress| {
            if let Some(duration) = *duration.lock().unwrap_or_else(PoisonError::into_inner) {
                if bar.length().is_none() {
                    bar.set_length(length(duration));
                    bar.set_style(style("{elapsed_precise} {wide_bar} {percent} %  {msg}"));
                }
                bar.set_position(length(duration.mul_f64(progress.fraction(duration))));
            }
            let speed = progress
                .speed
                .map(|speed| format!(", {speed:.2} times real time"))
                .unwrap_or_default();
            bar.set_message(format!("frame {}{speed}", progress.frame));
            bar.tick();
        }
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

pub fn style(template: &str) -> ProgressStyle {
    // A wrong template would show in every run.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Passes ffmpeg's lines on, and finds the duration of the first input in them.
struct Log {
    bar: ProgressBar,
    duration: Arc<Mutex<Option<Duration>>>,
    line: Vec<u8>,
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            self.line.push(byte);
            if byte == b'\n' {
                self.pass_on()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn pass_on(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let mut duration = self.duration.lock().unwrap_or_else(PoisonError::into_inner);
        if duration.is_none() {
            *duration = input_duration(&String::from_utf8_lossy(&line));
        }
        self.bar.suspend(|| io::stderr().write_all(&line))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // A last line without a newline must not be lost; an error of this write has nowhere to be reported.
        drop(self.pass_on());
    }
}

/// The time in a line such as `  Duration: 00:00:05.28, start: 0.000000, bitrate: 1593 kb/s`.
fn input_duration(line: &str) -> Option<Duration> {
    let text = line.trim_start().strip_prefix("Duration: ")?.split(',').next()?;
    let mut seconds = 0.0;
    for part in text.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Duration::try_from_secs_f64(seconds).ok()
}
