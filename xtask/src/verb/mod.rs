//! One verb a file.

pub mod build;
pub mod conform;
pub mod fate;
pub mod fetch;
pub mod program;
pub mod test;
