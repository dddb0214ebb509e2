//! One verb a file: each parses what it was given and calls what does the work.

pub mod build;
pub mod bump;
pub mod dist;
pub mod fetch;
pub mod native;
pub mod package;
pub mod push;
