//! FATE, FFmpeg's own test suite, on a module in our runtime. FATE's makefiles say what its tests are and its script
//! runs each of them; what is here chooses, schedules, limits and reports.

pub mod expectations;
pub mod list;
pub mod report;
pub mod results;
pub mod schedule;
pub mod tree;
