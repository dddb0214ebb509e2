//! The subcommands.

pub mod batch;
pub mod compile;
mod failure;
mod folders;
pub mod frames;
pub mod info;
mod inherited;
mod input;
mod local_time;
mod module;
mod parallel;
pub mod probe;
mod progress;
pub mod pull;
pub mod run;
pub mod shims;
mod signals;
mod single_file;

pub use failure::Failure;
