//! Errors of runtimes and jobs.

use crate::command::Contradiction;
use crate::fs::Exceeded;
use crate::limit::Limit;
use crate::output::Output;
use crate::pack_error::PackError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The cause of an [`Error`] that comes from a library below.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// The reason why a module could not be prepared, or a job was not run to its own end.
///
/// A program that ends with a non-zero exit code is no error: its code is in the [`Output`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("cannot read the module {}", .path.display())]
    ModuleUnreadable { path: PathBuf, source: io::Error },

    #[error("the module is neither WebAssembly nor WebAssembly compressed with gzip or brotli")]
    ModuleFormat,

    #[error("the module is damaged: it does not decompress")]
    ModuleCompression { source: io::Error },

    #[error("the module cannot be compiled")]
    ModuleInvalid { source: Source },

    #[error("the module is not a program that can be run: {reason}")]
    NotAProgram { reason: String },

    #[error("the pack {} cannot be used", .path.display())]
    Pack { path: PathBuf, source: PackError },

    #[error("a module's bytes have no pack beside them: give the builder one, or use wasmtime")]
    NoPack,

    /// The crate was built without the feature `compiler`, and no pack is given.
    #[error("this build has no compiler: give it a pack of the module")]
    NoCompiler,

    #[error("the WebAssembly engine does not work on this machine")]
    Engine { source: Source },

    #[error("an argument or variable of the job holds a zero byte, which no program can be given")]
    ZeroByte,

    #[error("cannot open the folder {}", .path.display())]
    Directory { path: PathBuf, source: io::Error },

    /// See [`Fonts::open`](crate::Fonts::open).
    #[error("the folder {} has no fonts (.ttf, .otf, .ttc, .woff, .pfb)", .path.display())]
    NoFonts { path: PathBuf },

    #[error("the job's standard streams cannot be set up")]
    Stdio { source: io::Error },

    #[error("the job has more folders than open files")]
    TooManyDirectories,

    #[error("no thread could be started for the job")]
    Thread { source: io::Error },

    #[error("the job could not be started")]
    Instantiate { source: Source },

    #[error("{0}")]
    Trap(Box<Trap>),

    #[error("the job was still running at its deadline")]
    Deadline { output: Box<Output> },

    #[error("the job was cancelled")]
    Cancelled { output: Box<Output> },

    /// The program failed after it was refused more of a limited resource.
    ///
    /// The figures have the limit's unit: bytes, files or names.
    #[error("the job reached its limit: {}", Exceeded::new(*.limit, *.allowed, *.wanted))]
    Limit {
        limit: Limit,
        allowed: u64,
        /// The value that would have been reached.
        wanted: u64,
        output: Box<Output>,
    },

    /// Returned only by functions that need the program's result: [`Runtime::run`](crate::Runtime::run) returns such an
    /// output as it is.
    #[error("the program failed: {message}")]
    Program { message: String, output: Box<Output> },

    #[error("the program's description of the media cannot be read")]
    ProbeUnreadable { source: serde_json::Error },

    /// See [`Runtime::probe`](crate::Runtime::probe).
    #[error("the program's description of the media is too large: {reason}")]
    ProbeTooLarge { reason: String },

    #[error("the command contradicts itself")]
    Command { source: Contradiction },

    #[error("the pictures cannot be made")]
    Frame { source: io::Error },

    #[error("the video shows nothing at {}.{:03} s or later", .time.as_secs(), .time.subsec_millis())]
    NoFrame { time: Duration },

    /// See [`Parallel::required`](crate::Parallel::required).
    #[error("the command cannot be cut into segments: {reason}")]
    Whole { reason: String },

    #[error("the segments of the video cannot be joined")]
    Segments { source: io::Error },

    /// A release has no such module, or its module failed verification.
    #[error("no module could be had from a release")]
    Release { source: Source },

    #[error("the runtime is given a capacity that it shares, and limits of a capacity of its own")]
    TwoCapacities,

    #[error("the runtime is closed")]
    Closed,

    /// The line is full; see [`CapacityBuilder::max_waiting`](crate::CapacityBuilder::max_waiting) and
    /// [`Runtime::try_run`](crate::Runtime::try_run).
    #[error("all places are taken: {running} jobs run and {waiting} wait")]
    Busy { running: usize, waiting: usize },

    /// See [`CapacityBuilder::max_left_behind`](crate::CapacityBuilder::max_left_behind).
    #[error("{left_behind} jobs have not come back from calls of the caller's own streams and file systems")]
    Stuck { left_behind: usize },

    #[error("{running} jobs were still running when the time to drain was over")]
    Draining { running: usize },
}

impl Error {
    /// Returns the message and those of the causes on one line, without repetitions.
    pub fn chain(&self) -> String {
        let mut message = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let cause_message = cause.to_string();
            if !message.contains(&cause_message) {
                message = format!("{message}: {cause_message}");
            }
            source = cause.source();
        }
        message
    }

    /// Returns the output of the job up to the error, if the job was started.
    pub fn output(&self) -> Option<&Output> {
        match self {
            Error::Deadline { output }
            | Error::Cancelled { output }
            | Error::Limit { output, .. }
            | Error::Program { output, .. } => Some(output),
            Error::Trap(trap) => Some(&trap.output),
            _ => None,
        }
    }

    pub(crate) fn limit(exceeded: Exceeded, output: Output) -> Error {
        Error::Limit {
            limit: exceeded.limit,
            allowed: exceeded.allowed,
            wanted: exceeded.wanted,
            output: Box::new(output),
        }
    }

    /// Returns the error that pictures cannot be made, and why.
    pub(crate) fn frame(reason: impl Into<String>) -> Error {
        Error::Frame {
            source: io::Error::new(io::ErrorKind::InvalidInput, reason.into()),
        }
    }

    #[cfg(feature = "pull")]
    pub(crate) fn release(source: afmpeg_release::Error) -> Error {
        Error::Release { source: source.into() }
    }
}

impl Output {
    /// Returns the output of a program that succeeded, otherwise an error with its message.
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

/// A program that violated its sandbox, or aborted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trap {
    /// A description of the trap by the engine.
    pub reason: String,
    /// The function it happened in: its name where the module has names, otherwise its number. A pack does not tell.
    pub function: Option<String>,
    /// The job's output up to the trap.
    pub output: Output,
}

impl fmt::Display for Trap {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "the program crashed: {}", self.reason)?;
        match &self.function {
            Some(function) => write!(formatter, ", in {function}"),
            None => Ok(()),
        }
    }
}
