//! The subcommands.

pub mod batch;
#[cfg(feature = "cluster")]
pub mod cancel;
pub mod compile;
mod failure;
mod folders;
pub mod frames;
pub mod info;
mod inherited;
mod input;
mod job_list;
mod local_time;
mod module;
mod parallel;
pub mod probe;
mod progress;
pub mod pull;
#[cfg(feature = "cluster")]
mod queue;
pub mod run;
pub mod shims;
mod signals;
mod single_file;
#[cfg(feature = "cluster")]
pub mod status;
#[cfg(feature = "cluster")]
pub mod submit;
#[cfg(feature = "cluster")]
pub mod watch;
#[cfg(feature = "cluster")]
pub mod worker;

pub use failure::Failure;
