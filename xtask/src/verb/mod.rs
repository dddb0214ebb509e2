//! One verb a file.

pub mod bench;
pub mod build;
pub mod bump;
pub mod check_targets;
pub mod conform;
pub mod dist;
pub mod fate;
pub mod fetch;
pub mod fuzz;
pub mod native;
pub mod package;
pub mod program;
pub mod push;
pub mod repro;
pub mod sample;
pub mod test;
