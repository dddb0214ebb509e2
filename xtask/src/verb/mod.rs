//! One verb a file: each parses what it was given and calls what does the work.

pub mod build;
#[cfg(feature = "release")]
pub mod bump;
pub mod clients;
#[cfg(feature = "release")]
pub mod dist;
pub mod fetch;
pub mod native;
pub mod pack;
#[cfg(feature = "release")]
pub mod package;
#[cfg(feature = "release")]
pub mod push;
pub mod sizes;
