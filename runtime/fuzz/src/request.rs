//! What is asked for, and of each worker.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One module to run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Tested {
    pub path: PathBuf,
    /// The same code with the names of its functions, where a build has left it.
    pub named: Option<PathBuf>,
    /// Where its compiled code is kept.
    pub compiled: PathBuf,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Request {
    pub profile: String,
    pub module: Tested,
    /// The module that traps are compared with.
    pub scalar: Option<Tested>,
    /// At least about so many host calls, in sequences.
    pub calls: u64,
    pub media: u64,
    pub seed: u64,
    /// Run this case alone, and say all of it.
    pub case: Option<u64>,
    pub jobs: usize,
    /// Folders of real files, damaged as the others are.
    pub real_files: Vec<PathBuf>,
    pub video: PathBuf,
    /// Samples are kept here, and findings put.
    pub folder: PathBuf,
    /// Traps that are known, with their causes.
    pub known: Vec<Known>,
    pub json: Option<PathBuf>,
}

/// A trap that is no fault of ours, or that is yet to be mended.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Known {
    pub reason: String,
    pub function: String,
    /// Whether it happens without SIMD too.
    pub scalar: bool,
    pub cause: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Calls,
    Media,
}

/// Every so-manieth case from one on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Work {
    pub kind: Kind,
    pub module: Tested,
    pub folder: PathBuf,
    pub seed: u64,
    pub first: u64,
    pub end: u64,
    pub step: u64,
    /// The number of the case that is being run, for who looks after a crash.
    pub state: PathBuf,
}
