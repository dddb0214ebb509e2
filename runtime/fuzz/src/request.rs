//! The request to the driver, and the requests to its workers.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One module to run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Tested {
    pub path: PathBuf,
    /// The same code with the names of its functions, where a build has left it.
    pub named: Option<PathBuf>,
    /// The folder of the module's compiled code.
    pub compiled: PathBuf,
    /// The record of a pack by which it runs.
    pub pack: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Request {
    pub profile: String,
    pub module: Tested,
    /// The module that traps are compared with.
    pub scalar: Option<Tested>,
    /// The least number of host calls, in sequences.
    pub calls: u64,
    pub media: u64,
    pub seed: u64,
    /// Run only this case, and print its whole output.
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

/// A known trap: not caused by our code, or not fixed yet.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Known {
    pub reason: String,
    pub function: String,
    /// True if it happens without SIMD too.
    pub scalar: bool,
    pub cause: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Calls,
    Media,
}

/// The cases from `first` to `end` in steps of `step`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Work {
    pub kind: Kind,
    pub module: Tested,
    pub folder: PathBuf,
    pub seed: u64,
    pub first: u64,
    pub end: u64,
    pub step: u64,
    /// The file with the number of the current case, which is read after a crash.
    pub state: PathBuf,
}
