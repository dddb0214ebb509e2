//! One verb a file.

pub mod build;
pub mod fetch;
pub mod test;
