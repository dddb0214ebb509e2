//! FFmpeg as a sandboxed WebAssembly module: compile once, run many jobs.
//!
//! A [`Runtime`] is a compiled module. A [`Job`] is one run of a program in it, with nothing in reach but what it is
//! given. The programs are FFmpeg's own: `ffmpeg` and `ffprobe`, chosen by the first argument.
//!
//! ```no_run
//! use afmpeg::{Access, Job, Runtime};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::builder().cache_folder("/var/cache/my-service").from_file("o3-gpl.wasm")?;
//!
//! let job = Job::new(["ffmpeg", "-i", "in.mp4", "-vf", "scale=640:-2", "out.mp4"])
//!     .dir(".", "/srv/videos/1234", Access::ReadWrite)?;
//! let output = runtime.run(job)?;
//! if !output.success() {
//!     eprintln!("ffmpeg ended with {}: {}", output.exit_code, String::from_utf8_lossy(&output.stderr));
//! }
//! # Ok(())
//! # }
//! ```

mod cache;
mod engine;
mod error;
mod fs;
mod interrupt;
mod job;
mod module;
mod queue;
mod runtime;
mod stdio;
mod wasi;

pub use error::{Error, Source, Trap};
pub use fs::{Access, DirEntry, File, FileSystem, FileType, HostDir, Metadata, OpenOptions, Opened, Times};
pub use interrupt::Cancellation;
pub use job::{Job, Output, Timings};
pub use runtime::{Runtime, RuntimeBuilder};
pub use stdio::{Stdin, Stdout};
