//! `afmpeg ffmpeg` and `afmpeg ffprobe`: FFmpeg's own programs on this process's streams and folders.

use super::failure::Failure;
use super::folders::Folders;
use super::module;
use super::progress::Bar;
use crate::cli::{GuestArgs, Sandbox};
use afmpeg::{Error, Job, Stdin, Stdout};
use std::env;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

/// The variables by which FFmpeg's programs choose how they print.
const PRINTING_VARIABLES: [&str; 7] = [
    "AV_LOG_FORCE_256COLOR",
    "AV_LOG_FORCE_COLOR",
    "AV_LOG_FORCE_NOCOLOR",
    "COLUMNS",
    "FFREPORT",
    "NO_COLOR",
    "TERM",
];

pub fn run(program: &str, guest: GuestArgs, sandbox: Sandbox) -> Result<ExitCode, Failure> {
    let args = guest_args(guest.args);
    let folders = Folders::new(&sandbox)?;
    let runtime = module::runtime(&sandbox)?;

    // The bar takes the place of ffmpeg's own lines; ffprobe has nothing to show.
    let bar = (sandbox.progress && program == "ffmpeg").then(Bar::new);
    let words = [Some(program), bar.is_some().then_some("-nostats")];
    let job = Job::new(words.into_iter().flatten())
        .stdin(Stdin::Inherit)
        .stdout(Stdout::Inherit)
        .stderr(Stdout::Inherit);
    let mut job = limits(job, &sandbox);
    for arg in &args {
        job = job.arg(arg);
    }
    for name in PRINTING_VARIABLES {
        if let Some(value) = env::var_os(name) {
            job = job.env(name, value);
        }
    }
    if let Some(bar) = &bar {
        job = bar.show(job);
    }
    let result = runtime.run(folders.give_to(job)?);
    if let Some(bar) = bar {
        bar.clear();
    }
    let output = match result {
        Err(error @ Error::Limit { .. }) => {
            eprintln!("afmpeg: {error}");
            match error {
                Error::Limit { output, .. } if !output.success() => *output,
                error => return Err(error.into()),
            }
        }
        result => result?,
    };
    if !output.success() {
        for hint in folders.hints(&args) {
            eprintln!("afmpeg: {hint}");
        }
    }
    Ok(ExitCode::from(exit_code(output.exit_code)))
}

/// The limits and variables that the command line gives to every job.
pub fn limits(job: Job, sandbox: &Sandbox) -> Job {
    let mut job = job
        .memory_max_bytes(sandbox.memory_max)
        .host_memory_max_bytes(sandbox.host_memory_max)
        .open_files_max(sandbox.open_files_max)
        // A user may extract any number of pictures to a folder of theirs.
        .names_max(sandbox.names_max.unwrap_or(u64::MAX));
    if let Some(bytes) = sandbox.written_max {
        job = job.written_max_bytes(bytes);
    }
    if let Some(timeout) = sandbox.timeout {
        job = job.timeout(timeout);
    }
    if let Some(seed) = sandbox.fixed {
        job = job.fixed_clock(UNIX_EPOCH).random_seed(seed);
    }
    for variable in &sandbox.env {
        match variable.split_once('=') {
            Some((name, value)) => job = job.env(name, value),
            None => {
                job = env::var_os(variable)
                    .into_iter()
                    .fold(job, |job, value| job.env(variable, value))
            }
        }
    }
    job
}

/// Returns the exit code for the shell: the program's low byte, but never 0 for a failure.
fn exit_code(code: i32) -> u8 {
    match (code, code as u8) {
        (0, _) => 0,
        (_, 0) => u8::MAX,
        (_, low_byte) => low_byte,
    }
}

/// All arguments after the program's word; the parser takes away a `--` that comes first among them.
fn guest_args(parsed: Vec<OsString>) -> Vec<OsString> {
    let all: Vec<OsString> = env::args_os().collect();
    match all.len().checked_sub(parsed.len() + 1).map(|before| &all[before..]) {
        Some(rest) if rest[0] == "--" => rest.to_vec(),
        _ => parsed,
    }
}
