//! One verb a file.

pub mod bench;
pub mod bench_js;
pub mod check_targets;
pub mod conform;
pub mod fate;
pub mod fuzz;
pub mod kernels;
pub mod program;
pub mod repro;
pub mod sample;
pub mod test;
