//! FFmpeg's own programs on this process's streams and files: `afmpeg ffmpeg`, and `ffmpeg` as a shim.

use super::failure::{Failure, printable};
use super::folders::Folders;
use super::inherited::inherited;
use super::local_time;
use super::module;
use super::parallel;
use super::progress::Bar;
use super::signals::Passing;
use crate::arguments::{self, Named, Program, Role};
use crate::cli::{GuestArgs, Sandbox};
use crate::grants::{Level, grants};
use crate::policy;
use afmpeg::{Error, Job, Signals, Stdin, Stdout};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
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

/// The most that is read of a list or a graph that an argument names.
const TEXT_MAX_BYTES: u64 = 1 << 20;

/// Where Unix has its fonts.
const FONTS: &str = "/usr/share/fonts";

pub fn run(program: Program, guest: GuestArgs, sandbox: &Sandbox) -> Result<ExitCode, Failure> {
    let args = guest_args(guest.args);
    let folders = Folders::new(sandbox)?;
    let named = arguments::named(program, &words(&args), &|_| None);
    start(program, &args, sandbox, &folders, &named)
}

fn words(args: &[OsString]) -> Vec<String> {
    // An argument that is no text can name nothing in the guest, either.
    args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()
}

/// Runs what a program calls as ffmpeg or ffprobe.
pub fn shim(program: Program, called: &OsStr) -> Result<ExitCode, Failure> {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let policy = policy::read(called).map_err(Failure::usage)?;
    let mut named = arguments::named(program, &words(&args), &read_text);
    let report = env::var("FFREPORT").ok().as_deref().and_then(arguments::report);
    named.files.extend(report.map(|path| (path, Role::Output)));
    let current = env::current_dir().unwrap_or_default();
    let grants = grants(&named, &current.to_string_lossy(), policy.level);
    let mut folders = Folders::of_shim(&policy.sandbox, &grants)?;
    if named.draws_text && policy.level != Level::Dirs {
        folders = folders.with_fonts_of(FONTS);
    }
    start(program, &args, &policy.sandbox, &folders, &named)
}

fn read_text(path: &str) -> Option<String> {
    // What can be read only once is the program's to read.
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(TEXT_MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// An address that may be read is the name of a file to the program, which has no protocols of the network.
fn web_name(arg: &OsString, named: &Named, allows: impl Fn(&str) -> bool) -> OsString {
    match arg.to_str() {
        Some(text) if named.remote.contains(text) && allows(text) => format!("file:{text}").into(),
        _ => arg.clone(),
    }
}

fn start(
    program: Program,
    args: &[OsString],
    sandbox: &Sandbox,
    folders: &Folders,
    named: &Named,
) -> Result<ExitCode, Failure> {
    let runtime = module::runtime(sandbox)?;
    // The bar takes the place of ffmpeg's own lines; ffprobe has nothing to show.
    let bar = (sandbox.progress && program == Program::Ffmpeg).then(Bar::new);
    let args: Vec<OsString> = args
        .iter()
        .map(|arg| web_name(arg, named, |address| folders.allows(sandbox, address)))
        .collect();
    if program == Program::Ffmpeg
        && let Some(wish) = sandbox.parallel
    {
        let set_up = |job: Job| folders.give_to(with_variables(limits(job, sandbox), sandbox), &args, &named.files);
        if let Some(done) = parallel::run(&runtime, wish, &words(&args), sandbox, bar.as_ref(), &set_up)? {
            return Ok(done);
        }
    }
    let names = [Some(program.name()), bar.is_some().then_some("-nostats")];
    let job = Job::new(names.into_iter().flatten())
        .stdin(Stdin::Inherit)
        .stdout(Stdout::Inherit)
        .stderr(Stdout::Inherit);
    let mut job = args.iter().fold(limits(job, sandbox), Job::arg);
    for &number in &named.descriptors {
        if let Some(file) = inherited(number) {
            job = job.descriptor(number, file);
        }
    }
    job = with_variables(job, sandbox);
    if let Some(bar) = &bar {
        job = bar.show(job);
    }
    let signals = Signals::new();
    let is_ffmpeg = program == Program::Ffmpeg;
    let reads_keys = !args.iter().any(|arg| arg == "-nostdin");
    let passing = is_ffmpeg.then(|| Passing::start(&signals, reads_keys));
    job = if is_ffmpeg { job.signals(&signals) } else { job };
    let result = runtime.run(folders.give_to(job, &args, &named.files));
    drop(passing);
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
        let remote = named.remote.iter().filter(|address| !folders.allows(sandbox, address));
        let hints = folders.hints().into_iter();
        for hint in hints.chain(remote.map(|address| folders.remote_hint(address))) {
            eprintln!("afmpeg: {}", printable(&hint));
        }
    }
    Ok(ExitCode::from(exit_code(output.exit_code)))
}

/// The variables of this process that the programs look at.
fn with_variables(mut job: Job, sandbox: &Sandbox) -> Job {
    for name in PRINTING_VARIABLES {
        if let Some(value) = env::var_os(name) {
            job = job.env(name, value);
        }
    }
    // The first value of a variable counts, so that one of the command line does.
    if let Some(rule) = local_time::rule().filter(|_| sandbox.fixed.is_none()) {
        job = job.env("TZ", rule);
    }
    job
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
