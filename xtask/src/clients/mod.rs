//! The test suites of programs that call FFmpeg, run with native FFmpeg and with the shims: what `cargo xtask clients` does.

pub mod list;
pub mod outcomes;
pub mod prepare;
pub mod report;
pub mod suite;
