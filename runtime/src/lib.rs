//! FFmpeg as a sandboxed WebAssembly module: compile once, run many jobs.
//!
//! A [`Runtime`] is a compiled module. A [`Job`] is one run of a program in it, which can reach only what it is given.
//! The programs are FFmpeg's own: `ffmpeg` and `ffprobe`, chosen by the first argument.
//!
//! A service that converts untrusted uploads to mp4, without temporary files:
//!
//! ```no_run
//! use afmpeg::command::{Command, Input, Output};
//! use afmpeg::{Error, MemoryFs, Runtime};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // Once: compiled code is kept, so that the next start takes milliseconds.
//!     let runtime = Runtime::builder().cache_folder("/var/cache/my-service").from_file("o3-gpl.wasm")?;
//!     let mp4 = convert(&runtime, std::fs::read("upload.mov")?)?;
//!     std::fs::write("out.mp4", mp4)?;
//!     Ok(())
//! }
//!
//! /// Can be called from any number of threads at once: one job runs per core, and others wait in line.
//! fn convert(runtime: &Runtime, upload: Vec<u8>) -> Result<bytes::Bytes, Box<dyn std::error::Error>> {
//!     let files = MemoryFs::new(512 << 20);
//!     files.add_file("in", upload)?;
//!     let command = Command::new().input(Input::file("in")).output(
//!         Output::file("out.mp4")
//!             .video_codec("libx264")
//!             .video_filter("scale=-2:720")
//!             .audio_codec("aac"),
//!     );
//!     let result = runtime.run_job(&command, |job| {
//!         job.file_system(".", Arc::new(files.clone()))
//!             .memory_max_bytes(1 << 30)
//!             .timeout(Duration::from_secs(300))
//!     });
//!     match result {
//!         Ok(output) => println!("{:?} for {} bytes", output.timings.run, output.bytes_written),
//!         Err(Error::Program { message, .. }) => return Err(format!("the upload is no good: {message}").into()),
//!         Err(error) => return Err(error.into()),
//!     }
//!     Ok(files.take_file("out.mp4")?)
//! }
//! ```
//!
//! The simplest job is a command line, and its result is what a shell would show:
//!
//! ```
//! # let module = wat::parse_str(include_str!("../tests/support/tiny.wat"))?;
//! # use afmpeg::Runtime;
//! let runtime = Runtime::from_bytes(&module)?;
//! let output = runtime.run(["ffmpeg", "-version"])?;
//! assert_eq!(output.exit_code, 0);
//! assert!(output.stdout.starts_with(b"ffmpeg version"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Overview
//!
//! - [`Runtime::run`] takes any arguments of ffmpeg or ffprobe, [`Runtime::run_job`] those of a
//!   [`Command`](command::Command). [`Runtime::probe`] and [`Runtime::frames`] describe files and extract pictures.
//! - Files come from a [`FileSystem`]: [`MemoryFs`], [`HostDir`], [`OverlayFs`], or the caller's own.
//!   [`MemoryFs::add_reader`] adds a file that is backed by a reader at offsets, such as an object in a store, and
//!   [`MemoryFs::add_writer`] one that is backed by a writer at offsets, such as a multipart upload.
//! - A [`Tree`] gives a job files under the names that they have on the host.
//! - [`Stdin`] and [`Stdout`] are pipes of any length, in bounded memory.
//! - A [`Pack`] is a module as native code, which is faster and needs no compiler; [`Engine`] chooses between it and
//!   wasmtime. Without the feature `compiler` the crate runs packs alone.
//! - With the feature `pull`, `ModuleSource` downloads a module by name, and verifies its signature.
//! - With the feature `cluster`, `cluster` has a queue of jobs for many machines.
//! - [`Job::progress`] reports ffmpeg's progress.
//!
//! # Limits
//!
//! A job can reach only what it is given: no other file, variable or input. Its limits are [`Job::memory_max_bytes`],
//! [`Job::host_memory_max_bytes`], [`Job::written_max_bytes`], [`Job::names_max`], [`Job::open_files_max`], the size of
//! its [`MemoryFs`], its [`Job::timeout`] and its [`Cancellation`]; [`Error::Limit`] names the one that it reached.
//! With [`Job::fixed_clock`] and [`Job::random_seed`] the same input gives the same bytes.

#[cfg(feature = "tokio")]
mod asynchronous;
mod budget;
mod builder;
#[cfg(feature = "compiler")]
mod bulk;
mod cache;
mod cache_status;
mod capacity;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod command;
mod engine;
mod error;
mod fonts;
mod frames;
pub mod fs;
mod info;
mod interrupt;
mod job;
mod limit;
mod module;
mod output;
mod pack;
mod pack_error;
mod parallel;
mod preempt;
pub mod probe;
mod progress;
mod queue;
mod random;
mod running;
mod runtime;
mod sandbox;
mod signals;
#[cfg(feature = "pull")]
mod source;
mod stdio;
mod supervisor;
mod trace;
mod trust;
mod wasi;
mod watch;

pub use builder::RuntimeBuilder;
pub use cache_status::CacheStatus;
pub use capacity::{Capacity, CapacityBuilder, Stats};
pub use engine::{Engine, EngineStatus};
pub use error::{Error, Trap};
pub use fonts::Fonts;
pub use frames::{Frame, Frames, IntoJob};
pub use fs::{Access, FileSystem, HostDir, MemoryFs, OverlayFs, ReadAt, Tree, WriteAt};
pub use info::Info;
pub use interrupt::Cancellation;
pub use job::Job;
pub use limit::Limit;
pub use output::{Output, Timings};
pub use pack::Pack;
pub use pack_error::PackError;
pub use parallel::{Done, Feed, Parallel, Plan, Segment, Way, Whole};
pub use preempt::Preemption;
pub use probe::Probe;
pub use progress::{Progress, ProgressReceiver};
pub use runtime::Runtime;
pub use signals::Signals;
#[cfg(feature = "pull")]
pub use source::ModuleSource;
#[cfg(feature = "tokio")]
pub use stdio::{AsyncInput, AsyncOutput};
pub use stdio::{Stdin, Stdout};
