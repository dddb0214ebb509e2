//! What a worker counts, as Prometheus reads it.

use super::message::{Outcome, Status};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Debug, Default)]
pub struct Metrics {
    pub running: AtomicU64,
    pub done: AtomicU64,
    pub failed: AtomicU64,
    /// Those that were put back for another attempt.
    pub put_back: AtomicU64,
    /// Those that another worker has taken over, or that were cancelled.
    pub lost: AtomicU64,
    pub run_milliseconds: AtomicU64,
    pub bytes_read: AtomicU64,
    pub bytes_written: AtomicU64,
    pub draining: AtomicBool,
}

impl Metrics {
    pub fn count(&self, outcome: &Outcome) {
        let counted = match outcome.status {
            Status::Done => &self.done,
            _ => &self.failed,
        };
        counted.fetch_add(1, Ordering::Relaxed);
        let milliseconds = (outcome.run_seconds * 1000.0) as u64;
        self.run_milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
        self.bytes_read.fetch_add(outcome.bytes_read, Ordering::Relaxed);
        self.bytes_written.fetch_add(outcome.bytes_written, Ordering::Relaxed);
    }

    /// The text of `/metrics`.
    pub fn text(&self, slots: usize, is_connected: bool) -> String {
        let get = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, samples: &[(&str, f64)]| {
            // Writing to a text does not fail.
            let _ = writeln!(text, "# HELP afmpeg_{name} {help}\n# TYPE afmpeg_{name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "afmpeg_{name}{labels} {value}");
            }
        };
        let jobs = [
            ("{status=\"done\"}", get(&self.done) as f64),
            ("{status=\"failed\"}", get(&self.failed) as f64),
            ("{status=\"put_back\"}", get(&self.put_back) as f64),
            ("{status=\"lost\"}", get(&self.lost) as f64),
        ];
        metric("jobs_total", "counter", "Attempts at jobs, by how they ended.", &jobs);
        metric(
            "jobs_running",
            "gauge",
            "Jobs that run now.",
            &[("", get(&self.running) as f64)],
        );
        metric("slots", "gauge", "Jobs that may run at a time.", &[("", slots as f64)]);
        let seconds = get(&self.run_milliseconds) as f64 / 1000.0;
        metric(
            "run_seconds_total",
            "counter",
            "Time for which programs have run.",
            &[("", seconds)],
        );
        metric(
            "read_bytes_total",
            "counter",
            "Bytes that programs have read.",
            &[("", get(&self.bytes_read) as f64)],
        );
        let written = get(&self.bytes_written) as f64;
        metric(
            "written_bytes_total",
            "counter",
            "Bytes that programs have written.",
            &[("", written)],
        );
        let connected = f64::from(u8::from(is_connected));
        metric(
            "connected",
            "gauge",
            "Whether the server of the queue answers.",
            &[("", connected)],
        );
        let draining = f64::from(u8::from(self.draining.load(Ordering::Relaxed)));
        metric("draining", "gauge", "Whether no new jobs are taken.", &[("", draining)]);
        text
    }
}
