//! The same jobs on one module in several engines, and natively.

pub mod compare;
pub mod engines;
pub mod jobs;
