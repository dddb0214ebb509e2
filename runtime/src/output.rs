//! The result of a job, and its figures while it runs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The result of a job.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Output {
    /// The program's own exit code; 0 is success.
    pub exit_code: i32,
    /// The last bytes of standard output, if it was captured.
    pub stdout: Vec<u8>,
    /// The number of bytes of standard output that were dropped before those.
    pub stdout_dropped_bytes: u64,
    pub stderr: Vec<u8>,
    pub stderr_dropped_bytes: u64,
    pub timings: Timings,
    /// The processor time of the job's thread, host calls included.
    pub cpu_time: Duration,
    /// The peak of the program's memory.
    pub memory_peak_bytes: u64,
    /// The peak of the host's memory for the job, counted as for
    /// [`Job::host_memory_max_bytes`](crate::Job::host_memory_max_bytes).
    pub host_memory_peak_bytes: u64,
    /// The bytes that the program read from files and streams.
    pub bytes_read: u64,
    pub bytes_written: u64,
}

impl Output {
    pub fn success(&self) -> bool {
        self.exit_code == 0
    }

    /// Returns the cause of a failure by FFmpeg's programs: the last line on standard error that is not printed after
    /// every failure.
    pub fn error_message(&self) -> String {
        const AFTER_EVERY_FAILURE: [&str; 5] = ["Conversion failed!", "Exiting", "frame=", "size=", "video:"];
        const CONSEQUENCES: [&str; 6] = [
            "Error sending frames to consumers",
            "Cannot determine format of input",
            "Could not open encoder before EOF",
            "Nothing was written into output",
            "Task finished with",
            "Terminating thread",
        ];
        let stderr = String::from_utf8_lossy(&self.stderr);
        let lines = stderr
            .split(['\n', '\r'])
            .map(str::trim)
            .filter(|line| !line.is_empty());
        let telling = |line: &&str| {
            !AFTER_EVERY_FAILURE.iter().any(|start| line.starts_with(start))
                && !CONSEQUENCES.iter().any(|words| line.contains(words))
        };
        let message = lines.clone().rfind(telling).or_else(|| lines.clone().next_back());
        message.unwrap_or("the program said nothing").to_owned()
    }
}

impl fmt::Debug for Output {
    /// Shows streams as text, shortened.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        const SHOWN_BYTES: usize = 1000;
        let end = |bytes: &[u8]| {
            let shown = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SHOWN_BYTES)..]);
            format!("{} bytes, ending in {shown:?}", bytes.len())
        };
        formatter
            .debug_struct("Output")
            .field("exit_code", &self.exit_code)
            .field("stdout", &format_args!("{}", end(&self.stdout)))
            .field("stderr", &format_args!("{}", end(&self.stderr)))
            .field("timings", &self.timings)
            .field("cpu_time", &self.cpu_time)
            .field("memory_peak_bytes", &self.memory_peak_bytes)
            .field("host_memory_peak_bytes", &self.host_memory_peak_bytes)
            .field("bytes_read", &self.bytes_read)
            .field("bytes_written", &self.bytes_written)
            .finish_non_exhaustive()
    }
}

/// A job's current figures, readable from any thread.
#[derive(Default)]
pub(crate) struct Figures {
    memory_bytes: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl Figures {
    pub fn set_memory(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Ordering::Relaxed);
    }

    pub fn set_moved(&self, bytes_read: u64, bytes_written: u64) {
        self.bytes_read.store(bytes_read, Ordering::Relaxed);
        self.bytes_written.store(bytes_written, Ordering::Relaxed);
    }

    /// Returns the program's memory in bytes. It never shrinks, so this is also its peak.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    pub fn tell(&self, output: &mut Output) {
        output.memory_peak_bytes = self.memory_bytes();
        output.bytes_read = self.bytes_read.load(Ordering::Relaxed);
        output.bytes_written = self.bytes_written.load(Ordering::Relaxed);
    }
}

/// The phases of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// The time in line.
    pub queue: Duration,
    /// The time to create the sandbox.
    pub instantiate: Duration,
    pub run: Duration,
}
