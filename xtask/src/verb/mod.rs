//! One verb a file.

pub mod bench;
pub mod build;
pub mod conform;
pub mod fate;
pub mod fetch;
pub mod native;
pub mod program;
pub mod sample;
pub mod test;
