//! What is to be run, and what came of it.

use crate::Error;
use crate::fs::{Access, FileSystem, HostDir};
use crate::interrupt::Cancellation;
use crate::stdio::{Stdin, Stdout};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
    pub(crate) cancellation: Cancellation,
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
            open_files_max: 1024,
            timeout: None,
            cancellation: Cancellation::new(),
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

    /// How many files, streams and directories the program may have open; 1024 by default.
    pub fn open_files_max(mut self, count: usize) -> Job {
        self.open_files_max = count;
        self
    }

    /// Ends the job when it has run for so long.
    pub fn timeout(mut self, timeout: Duration) -> Job {
        self.timeout = Some(timeout);
        self
    }

    /// Lets another thread end the job.
    pub fn cancellation(mut self, cancellation: &Cancellation) -> Job {
        self.cancellation = cancellation.clone();
        self
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

/// What came of a job.
#[derive(Clone, Debug, Default)]
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
    /// The most memory that the program had.
    pub memory_peak_bytes: u64,
    /// What the program read from files and streams, and wrote to them.
    pub bytes_read: u64,
    pub bytes_written: u64,
}

impl Output {
    pub fn success(&self) -> bool {
        self.exit_code == 0
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
