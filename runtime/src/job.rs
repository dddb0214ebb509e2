//! What is to be run, and what came of it.

use crate::Error;
use crate::fs::{Access, FileSystem, HostDir};
use crate::interrupt::Cancellation;
use crate::stdio::{Stdin, Stdout};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// One run of a program in the sandbox.
///
/// It can reach nothing but what it is given here: without more than arguments it has no directory, no variable, no
/// input, and its output is kept in memory.
#[must_use = "a job does nothing until a runtime runs it"]
pub struct Job {
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) directories: Vec<(String, Arc<dyn FileSystem>)>,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: Stdout,
    pub(crate) stderr: Stdout,
    pub(crate) memory_max_bytes: u64,
    pub(crate) open_files_max: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) cancellations: Vec<Cancellation>,
    pub(crate) priority: i32,
    pub(crate) written_max_bytes: u64,
    pub(crate) names_max: u64,
    pub(crate) host_memory_max_bytes: u64,
    pub(crate) clock_start: Option<SystemTime>,
    pub(crate) random_seed: Option<u64>,
}

impl Job {
    /// A job from its whole argument list, the program's name included: `["ffmpeg", "-version"]`.
    pub fn new(args: impl IntoIterator<Item = impl Into<OsString>>) -> Job {
        Job {
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            directories: Vec::new(),
            stdin: Stdin::Empty,
            stdout: Stdout::Capture { limit_bytes: 64 << 20 },
            stderr: Stdout::Capture { limit_bytes: 1 << 20 },
            memory_max_bytes: 4 << 30,
            open_files_max: 64,
            timeout: None,
            cancellations: Vec::new(),
            priority: 0,
            written_max_bytes: u64::MAX,
            names_max: 100_000,
            host_memory_max_bytes: 4 << 30,
            clock_start: None,
            random_seed: None,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Job {
        self.args.push(arg.into());
        self
    }

    /// Sets a variable of the environment, which is empty otherwise.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Job {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives a file system to the program under a name.
    ///
    /// The name `.` is the one that relative paths begin at. The same file system may be given under several names.
    pub fn file_system(mut self, name: impl Into<String>, file_system: Arc<dyn FileSystem>) -> Job {
        self.directories.push((name.into(), file_system));
        self
    }

    /// Gives a directory of the host to the program under a name.
    pub fn dir(self, name: impl Into<String>, host_path: impl AsRef<Path>, access: Access) -> Result<Job, Error> {
        let path = host_path.as_ref();
        let dir = HostDir::open(path, access).map_err(|source| Error::Directory {
            path: PathBuf::from(path),
            source,
        })?;
        Ok(self.file_system(name, Arc::new(dir)))
    }

    /// Where standard input comes from; nothing by default.
    pub fn stdin(mut self, stdin: impl Into<Stdin>) -> Job {
        self.stdin = stdin.into();
        self
    }

    /// Where standard output goes; by default its last 64 MiB are kept.
    pub fn stdout(mut self, stdout: Stdout) -> Job {
        self.stdout = stdout;
        self
    }

    /// Where standard error goes; by default its last 1 MiB is kept.
    pub fn stderr(mut self, stderr: Stdout) -> Job {
        self.stderr = stderr;
        self
    }

    /// How far the program's memory may grow; 4 GiB, the most that it can address, by default.
    pub fn memory_max_bytes(mut self, bytes: u64) -> Job {
        self.memory_max_bytes = bytes;
        self
    }

    /// How many files, streams and directories the program may have open; 64 by default.
    ///
    /// Its three standard streams, each of its directories and `/dev` count. Every open file of a folder of the host is
    /// one of this process's own, of which all jobs together may have
    /// [`RuntimeBuilder::open_files_max`](crate::RuntimeBuilder::open_files_max).
    pub fn open_files_max(mut self, count: usize) -> Job {
        self.open_files_max = count;
        self
    }

    /// How many bytes the program may write to all its files and streams together; no limit by default.
    ///
    /// It also holds for folders of the host. What a [`MemoryFs`](crate::MemoryFs) may hold is its own to say. By how
    /// much a file grows without being written to counts too: when its size is set, when something is written beyond
    /// its end, and when an [`OverlayFs`](crate::OverlayFs) copies it.
    pub fn written_max_bytes(mut self, bytes: u64) -> Job {
        self.written_max_bytes = bytes;
        self
    }

    /// How many files, directories and links the program may make, those that it removes again included; 100,000 by
    /// default.
    pub fn names_max(mut self, count: u64) -> Job {
        self.names_max = count;
        self
    }

    /// How much memory of this process the job may take besides the program's own; 4 GiB by default.
    ///
    /// Captured output, open files, listings and tables count, and all that the job's file systems hold, by what is
    /// allocated for it: see [`FileSystem::held_bytes`]. What their owner has put there is the owner's, and does not.
    pub fn host_memory_max_bytes(mut self, bytes: u64) -> Job {
        self.host_memory_max_bytes = bytes;
        self
    }

    /// Lets the program's clocks begin at this time, and advance only as it looks at them and sleeps.
    ///
    /// With [`Job::random_seed`] too, the same input gives the same output, byte by byte, whenever and wherever the job
    /// runs. Sleeping then takes no time, and files seem to be as old as the job.
    pub fn fixed_clock(mut self, start: SystemTime) -> Job {
        self.clock_start = Some(start);
        self
    }

    /// Draws the program's random numbers from this seed and not from the system.
    pub fn random_seed(mut self, seed: u64) -> Job {
        self.random_seed = Some(seed);
        self
    }

    /// Ends the job so long after [`Runtime::run`](crate::Runtime::run) was called, even if it is still in line.
    pub fn timeout(mut self, timeout: Duration) -> Job {
        self.timeout = Some(timeout);
        self
    }

    /// Lets another thread end the job. It may have several cancellations, any of which ends it.
    pub fn cancellation(mut self, cancellation: &Cancellation) -> Job {
        self.cancellations.push(cancellation.clone());
        self
    }

    /// Where in line the job stands: before all of a lower priority and behind those of its own that came earlier; 0 by default.
    pub fn priority(mut self, priority: i32) -> Job {
        self.priority = priority;
        self
    }
}

impl fmt::Debug for Job {
    /// Without what its variables hold, which may be secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let directories = self.directories.iter().map(|(name, _)| name);
        formatter
            .debug_struct("Job")
            .field("args", &self.args)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("directories", &directories.collect::<Vec<_>>())
            .field("memory_max_bytes", &self.memory_max_bytes)
            .field("open_files_max", &self.open_files_max)
            .field("written_max_bytes", &self.written_max_bytes)
            .field("timeout", &self.timeout)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}

impl<T: Into<OsString>, const N: usize> From<[T; N]> for Job {
    fn from(args: [T; N]) -> Job {
        Job::new(args)
    }
}

impl<T: Into<OsString>> From<Vec<T>> for Job {
    fn from(args: Vec<T>) -> Job {
        Job::new(args)
    }
}

/// Something that a job may have only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Job::memory_max_bytes`]
    Memory,
    /// [`Job::host_memory_max_bytes`]
    HostMemory,
    /// [`Job::open_files_max`]
    OpenFiles,
    /// [`RuntimeBuilder::open_files_max`](crate::RuntimeBuilder::open_files_max), of which other jobs have their part.
    RuntimeOpenFiles,
    /// [`Job::written_max_bytes`]
    Written,
    /// [`Job::names_max`]
    Names,
    /// The room in one of its file systems.
    FileSystem,
}

impl fmt::Display for Limit {
    /// The method that sets it.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Limit::Memory => "memory_max_bytes",
            Limit::HostMemory => "host_memory_max_bytes",
            Limit::OpenFiles => "open_files_max",
            Limit::RuntimeOpenFiles => "the runtime's open_files_max",
            Limit::Written => "written_max_bytes",
            Limit::Names => "names_max",
            Limit::FileSystem => "the room in a file system",
        })
    }
}

/// What came of a job.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Output {
    /// The program's own exit code; 0 is success.
    pub exit_code: i32,
    /// The end of standard output, where it was captured.
    pub stdout: Vec<u8>,
    /// How many bytes of standard output before those were not kept.
    pub stdout_dropped_bytes: u64,
    pub stderr: Vec<u8>,
    pub stderr_dropped_bytes: u64,
    pub timings: Timings,
    /// How long the job computed, the host's part for it included.
    pub cpu_time: Duration,
    /// The most memory that the program had.
    pub memory_peak_bytes: u64,
    /// The most memory that the host held for it, counted as for [`Job::host_memory_max_bytes`].
    pub host_memory_peak_bytes: u64,
    /// What the program read from files and streams, and wrote to them.
    pub bytes_read: u64,
    pub bytes_written: u64,
}

impl Output {
    pub fn success(&self) -> bool {
        self.exit_code == 0
    }

    /// What FFmpeg's programs say has failed: the last line on standard error that is not said after every failure.
    pub fn error_message(&self) -> String {
        const AFTER_EVERY_FAILURE: [&str; 5] = ["Conversion failed!", "Exiting", "frame=", "size=", "video:"];
        const CONSEQUENCES: [&str; 5] = [
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

    /// The output of a program that succeeded; otherwise an error with what it said.
    pub fn into_success(self) -> Result<Output, Error> {
        if self.success() {
            return Ok(self);
        }
        Err(Error::Program {
            message: self.error_message(),
            output: Box::new(self),
        })
    }
}

impl fmt::Debug for Output {
    /// Streams as text, and no more of them than a person reads.
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

/// What a job has come to so far, as seen from any thread.
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

    /// A program's memory never shrinks, so this is also the most that it had.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    pub fn tell(&self, output: &mut Output) {
        output.memory_peak_bytes = self.memory_bytes();
        output.bytes_read = self.bytes_read.load(Ordering::Relaxed);
        output.bytes_written = self.bytes_written.load(Ordering::Relaxed);
    }
}

/// Where a job's time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// Waiting until fewer jobs were running.
    pub queue: Duration,
    /// Making the sandbox.
    pub instantiate: Duration,
    pub run: Duration,
}
