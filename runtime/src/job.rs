//! A job.

use crate::error::Error;
use crate::fonts::Fonts;
use crate::fs::{Access, FileSystem, HostDir, Tree};
use crate::interrupt::Cancellation;
use crate::signals::Signals;
use crate::stdio::{Stdin, Stdout};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// One run of a program in the sandbox.
///
/// It can reach only what it is given here: with arguments alone it has no directory, no variable and no input, and its
/// output is kept in memory.
#[must_use = "a job does nothing until a runtime runs it"]
pub struct Job {
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) directories: Vec<(String, Arc<dyn FileSystem>)>,
    pub(crate) tree: Option<Tree>,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: Stdout,
    pub(crate) stderr: Stdout,
    pub(crate) descriptors: BTreeMap<u32, File>,
    pub(crate) signals: Option<Signals>,
    pub(crate) memory_max_bytes: u64,
    pub(crate) open_files_max: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) cancellations: Vec<Cancellation>,
    pub(crate) priority: i32,
    pub(crate) written_max_bytes: u64,
    /// Whether streams that are no files of the host count as written.
    pub(crate) streams_count: bool,
    pub(crate) names_max: u64,
    pub(crate) host_memory_max_bytes: u64,
    pub(crate) clock_start: Option<SystemTime>,
    pub(crate) random_seed: Option<u64>,
}

impl Job {
    /// Creates a job from its whole argument list, the program's name included: `["ffmpeg", "-version"]`.
    pub fn new(args: impl IntoIterator<Item = impl Into<OsString>>) -> Job {
        Job {
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            directories: Vec::new(),
            tree: None,
            stdin: Stdin::Empty,
            stdout: Stdout::Capture { limit_bytes: 64 << 20 },
            stderr: Stdout::Capture { limit_bytes: 1 << 20 },
            descriptors: BTreeMap::new(),
            signals: None,
            memory_max_bytes: 4 << 30,
            open_files_max: 64,
            timeout: None,
            cancellations: Vec::new(),
            priority: 0,
            written_max_bytes: u64::MAX,
            streams_count: true,
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

    /// Sets an environment variable; the environment is empty otherwise.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Job {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives a file system to the program under a name.
    ///
    /// Relative paths begin at the name `.`. The same file system may be given under several names.
    pub fn file_system(mut self, name: impl Into<String>, file_system: Arc<dyn FileSystem>) -> Job {
        self.directories.push((name.into(), file_system));
        self
    }

    /// Gives a tree of names to the program, in which relative and absolute paths mean what they mean on the host.
    ///
    /// The names of [`file_system`](Job::file_system) are then places in this tree.
    pub fn tree(mut self, tree: Tree) -> Job {
        self.tree = Some(tree);
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

    /// Gives fonts to the program, for the text that it draws, as the folder [`Fonts::GUEST_NAME`].
    pub fn fonts(self, fonts: &Fonts) -> Job {
        self.file_system(Fonts::GUEST_NAME, fonts.file_system())
    }

    /// The file system that a path of the program lies in, and the path there.
    pub(crate) fn place(&self, path: &str) -> Option<(Arc<dyn FileSystem>, String)> {
        if let Some(tree) = &self.tree {
            let tree = tree.clone().with_places(self.directories.iter().cloned());
            // As the program's C library asks.
            let found = tree.locate(path.trim_start_matches('/'), true).ok()?;
            return Some((found.file_system, found.path));
        }
        let is_absolute = path.starts_with('/');
        let below = |name: &str| match name {
            "." if !is_absolute => Some(path),
            name => path.strip_prefix(name)?.strip_prefix('/'),
        };
        let found = self.directories.iter().filter_map(|(name, file_system)| {
            let rest = below(name.trim_end_matches('/'))?.trim_start_matches("./");
            Some((name.len(), file_system, rest))
        });
        let (_, file_system, rest) = found.max_by_key(|(length, ..)| *length)?;
        let is_plain = !rest.is_empty() && rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
        is_plain.then(|| (file_system.clone(), rest.to_owned()))
    }

    /// Sets the source of standard input; empty by default.
    pub fn stdin(mut self, stdin: impl Into<Stdin>) -> Job {
        self.stdin = stdin.into();
        self
    }

    /// Sets the destination of standard output; by default its last 64 MiB are kept.
    pub fn stdout(mut self, stdout: Stdout) -> Job {
        self.stdout = stdout;
        self
    }

    /// Sets the destination of standard error; by default its last 1 MiB is kept.
    pub fn stderr(mut self, stderr: Stdout) -> Job {
        self.stderr = stderr;
        self
    }

    /// Gives a file or stream as a descriptor besides the three standard streams, as in ffmpeg's `pipe:3`.
    ///
    /// # Panics
    ///
    /// Panics if the number is below 3.
    pub fn descriptor(mut self, number: u32, file: File) -> Job {
        assert!(number > 2, "the first three descriptors are the standard streams");
        self.descriptors.insert(number, file);
        self
    }

    /// Limits the program's memory, in bytes; by default 4 GiB, the most that it can address.
    pub fn memory_max_bytes(mut self, bytes: u64) -> Job {
        self.memory_max_bytes = bytes;
        self
    }

    /// Limits the number of files, streams and directories that the program may have open; 64 by default.
    ///
    /// Its three standard streams, each of its directories and `/dev` count. Each open file of a host folder is also an
    /// open file of this process, of which all jobs together may have
    /// [`RuntimeBuilder::open_files_max`](crate::RuntimeBuilder::open_files_max).
    pub fn open_files_max(mut self, count: usize) -> Job {
        self.open_files_max = count;
        self
    }

    /// Limits the number of bytes that the program may write to all its files and streams together; no limit by
    /// default.
    ///
    /// It holds for host folders, too. A [`MemoryFs`](crate::MemoryFs) has a limit of its own besides. Growth without
    /// writing counts as well: setting a size, writing beyond the end, and copies in an
    /// [`OverlayFs`](crate::OverlayFs).
    pub fn written_max_bytes(mut self, bytes: u64) -> Job {
        self.written_max_bytes = bytes;
        self
    }

    /// Has streams that are no files of the host not count as written: what a job answers to this crate is nothing that
    /// the caller has it write. What it holds in memory is limited all the same.
    pub(crate) fn streams_uncounted(mut self) -> Job {
        self.streams_count = false;
        self
    }

    /// Limits the number of files, directories and links that the program may create, those that it removes again
    /// included; 100,000 by default.
    pub fn names_max(mut self, count: u64) -> Job {
        self.names_max = count;
        self
    }

    /// Limits the memory of this process for the job besides the program's own, in bytes; 4 GiB by default.
    ///
    /// Captured output, open files, listings and tables count, and what the job's file systems hold, by allocated size:
    /// see [`FileSystem::held_bytes`]. Files that their owner has added do not count.
    pub fn host_memory_max_bytes(mut self, bytes: u64) -> Job {
        self.host_memory_max_bytes = bytes;
        self
    }

    /// Starts the program's clocks at this time; they advance only when they are read and when the program sleeps.
    ///
    /// With [`Job::random_seed`] too, the same input gives the same output, byte by byte, at any time and on any host.
    /// Sleeping then takes no time, and the times of files are this time.
    pub fn fixed_clock(mut self, start: SystemTime) -> Job {
        self.clock_start = Some(start);
        self
    }

    /// Generates the program's random numbers from this seed instead of the system's source.
    pub fn random_seed(mut self, seed: u64) -> Job {
        self.random_seed = Some(seed);
        self
    }

    /// Ends the job this long after [`Runtime::run`](crate::Runtime::run) was called, even if it still waits in line.
    /// The error is [`Error::Deadline`].
    pub fn timeout(mut self, timeout: Duration) -> Job {
        self.timeout = Some(timeout);
        self
    }

    /// Allows another thread to end the job, with [`Error::Cancelled`]. A job may have several cancellations, any of
    /// which ends it.
    pub fn cancellation(mut self, cancellation: &Cancellation) -> Job {
        self.cancellations.push(cancellation.clone());
        self
    }

    /// Allows another thread to send signals to the program, such as the one that lets ffmpeg finish its outputs.
    pub fn signals(mut self, signals: &Signals) -> Job {
        self.signals = Some(signals.clone());
        self
    }

    /// Sets the job's priority in line: before all of a lower priority, behind earlier ones of the same. 0 by default.
    pub fn priority(mut self, priority: i32) -> Job {
        self.priority = priority;
        self
    }
}

impl fmt::Debug for Job {
    /// Leaves out the values of variables, which may be secrets.
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
