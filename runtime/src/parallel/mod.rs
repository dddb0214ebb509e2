//! One job on all cores: a video is cut into segments that are encoded at the same time, each in a sandbox of its own, and
//! joined.
//!
//! [`words`] reads an ordinary command of ffmpeg, [`source`] what its input has, and [`plan`] decides from both alone how it
//! is cut: the number of cores changes when a segment is made, and never what is made. What cannot be cut so, [`feed`] may
//! cut behind its filters. [`run`] carries a plan out.

mod args;
mod assembly;
mod cuts;
mod feed;
mod filters;
mod formats;
mod join;
mod keep;
mod plan;
mod rate;
mod run;
mod source;
mod stretch;
mod units;
mod whole;
mod words;

pub use plan::{Feed, Plan, Segment, Way};
pub use whole::Whole;

use crate::error::Error;
use crate::frames::IntoJob;
use crate::job::Job;
use crate::output::Output;
use crate::progress::Progress;
use crate::runtime::Runtime;
use std::fmt;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

/// A caller's own code for reports.
type Report = Arc<dyn Fn(&Progress) + Send + Sync>;

/// A command of ffmpeg that may be cut into segments.
///
/// ```no_run
/// # use afmpeg::{Access, Parallel, Runtime};
/// # let runtime = Runtime::builder().from_file("o3-gpl.wasm")?;
/// let command = Parallel::new(["-i", "talk.mkv", "-vf", "scale=-2:360", "-c:v", "libx264", "talk.mp4"]);
/// let done = runtime.run_parallel(&command, |job| job.dir(".", "/media", Access::ReadWrite))?;
/// match &done.whole {
///     None => println!("made of {} segments", done.segments),
///     Some(reason) => println!("made by one job: {reason}"),
/// }
/// # Ok::<(), afmpeg::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a command does nothing until a runtime runs it"]
pub struct Parallel {
    args: Vec<String>,
    workers: Option<NonZero<usize>>,
    is_required: bool,
    progress: Option<Report>,
    segments_folder: Option<PathBuf>,
}

impl Parallel {
    /// Takes the arguments after the program's name.
    pub fn new(args: impl IntoIterator<Item = impl Into<String>>) -> Parallel {
        Parallel {
            args: args.into_iter().map(Into::into).collect(),
            workers: None,
            is_required: false,
            progress: None,
            segments_folder: None,
        }
    }

    /// Sets how many segments are made at a time; as many as there are cores by default. The output does not depend on it.
    pub fn workers(mut self, count: NonZero<usize>) -> Parallel {
        self.workers = Some(count);
        self
    }

    /// Makes it an error, [`Error::Whole`], if the command cannot be cut; otherwise it is then run as one job.
    pub fn required(mut self) -> Parallel {
        self.is_required = true;
        self
    }

    /// Calls this with reports about all segments together, from their threads, one call at a time.
    pub fn progress(mut self, report: impl Fn(&Progress) + Send + Sync + 'static) -> Parallel {
        self.progress = Some(Arc::new(report));
        self
    }

    /// Keeps encoded segments in this folder of the machine until the output is whole. If the process is killed, or a job fails,
    /// the same command on the same input takes those that are there. What nobody goes on with is removed after a week.
    pub fn resumable(mut self, segments_folder: impl Into<PathBuf>) -> Parallel {
        self.segments_folder = Some(segments_folder.into());
        self
    }

    fn worker_count(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        self.workers.map_or_else(cores, NonZero::get)
    }
}

impl fmt::Debug for Parallel {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter
            .debug_struct("Parallel")
            .field("args", &self.args)
            .field("workers", &self.workers)
            .field("is_required", &self.is_required)
            .field("segments_folder", &self.segments_folder)
            .finish_non_exhaustive()
    }
}

/// The result of a command that might be cut.
#[derive(Debug)]
#[non_exhaustive]
pub struct Done {
    /// That of the job that wrote the output. Processor time and bytes are those of all jobs together, memory is the most that
    /// a job had.
    pub output: Output,
    /// How many segments it was made of.
    pub segments: usize,
    /// Why it was made by one job, if it was.
    pub whole: Option<Whole>,
}

impl Runtime {
    /// Runs a command of ffmpeg on several cores where it can be cut, and as one job where it cannot.
    ///
    /// `set_up` gives its files and limits to each job that is needed: one that reads the input's index, one a segment, one that
    /// feeds them if they do not seek themselves, one that joins. Deadline and cancellations are those of the whole; the memory of a program is that of each job. Encoded segments
    /// that wait to be joined count as host memory. The job that joins, or does all, has the standard streams that are set up.
    ///
    /// The output gets its name when it is whole: until then it has `.partial` before its ending.
    pub fn run_parallel<J: IntoJob>(
        &self,
        command: &Parallel,
        set_up: impl Fn(Job) -> J + Sync,
    ) -> Result<Done, Error> {
        run::run(self, command, &|job| set_up(job).into_job())
    }

    /// Runs a command as it was planned. It must be the one that the plan was made for, with the same files.
    pub fn run_plan<J: IntoJob>(
        &self,
        command: &Parallel,
        plan: &Plan,
        set_up: impl Fn(Job) -> J + Sync,
    ) -> Result<Done, Error> {
        run::run_plan(self, command, plan, &|job| set_up(job).into_job())
    }

    /// Joins the segments of a plan that were made elsewhere: `segment` returns the bytes that the job of that index has written to
    /// standard output. The rest is as [`run_plan`](Runtime::run_plan) does it, and the output has the same bytes.
    #[cfg(feature = "cluster")]
    pub(crate) fn join_segments<J: IntoJob>(
        &self,
        command: &Parallel,
        plan: &Plan,
        segment: &(dyn Fn(usize) -> std::io::Result<Vec<u8>> + Sync),
        set_up: impl Fn(Job) -> J + Sync,
    ) -> Result<Done, Error> {
        run::join(self, command, plan, segment, &|job| set_up(job).into_job())
    }

    /// Decides how a command would be cut, and runs nothing of it but a reading of the input's index. Within the result is
    /// the reason if it cannot be cut.
    pub fn plan_parallel<J: IntoJob>(
        &self,
        command: &Parallel,
        set_up: impl Fn(Job) -> J + Sync,
    ) -> Result<Result<Plan, Whole>, Error> {
        run::plan(self, command, &|job| set_up(job).into_job())
    }
}
