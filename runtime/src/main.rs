//! The command `afmpeg`.

mod arguments;
mod cli;
#[cfg(feature = "cluster")]
mod cli_cluster;
mod cli_values;
mod grants;
mod policy;
mod remote;
mod verb;

use arguments::Program;
use clap::CommandFactory;
use cli::{Cli, Command};
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let called = called();
    let shim = program(&called);
    let result = match shim {
        Some(program) => verb::run::shim(program, &called),
        None => command(),
    };
    result.unwrap_or_else(|failure| failure.report())
}

/// A link to this command that has the name of one of FFmpeg's programs is that program.
fn program(called: &OsStr) -> Option<Program> {
    match Path::new(called).file_stem()?.to_str()? {
        "ffmpeg" => Some(Program::Ffmpeg),
        "ffprobe" => Some(Program::Ffprobe),
        _ => None,
    }
}

/// What this process was called by: on Linux the very path, since a program may call another by a name without a folder, or by any
/// other one, and the policy lies beside the shim.
fn called() -> OsString {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = OsStr::from_bytes(rustix::param::linux_execfn().to_bytes());
        if program(path).is_some() {
            return path.to_owned();
        }
    }
    env::args_os().next().unwrap_or_default()
}

fn command() -> Result<ExitCode, verb::Failure> {
    let cli = Cli::read();
    let sandbox = cli.sandbox;
    match cli.command {
        Command::Ffmpeg(guest) => verb::run::run(Program::Ffmpeg, guest, &sandbox),
        Command::Ffprobe(guest) => verb::run::run(Program::Ffprobe, guest, &sandbox),
        Command::Probe(args) => verb::probe::run(args, &sandbox),
        Command::Frames(args) => verb::frames::run(args, &sandbox),
        Command::Batch(args) => verb::batch::run(args, &sandbox),
        #[cfg(feature = "cluster")]
        Command::Worker(args) => verb::worker::run(args, &sandbox),
        #[cfg(feature = "cluster")]
        Command::Submit(args) => verb::submit::run(args),
        #[cfg(feature = "cluster")]
        Command::Status(args) => verb::status::run(args),
        #[cfg(feature = "cluster")]
        Command::Cancel(args) => verb::cancel::run(args),
        #[cfg(feature = "cluster")]
        Command::Watch(args) => verb::watch::run(args),
        Command::Compile => verb::compile::run(&sandbox),
        Command::Pull(args) => verb::pull::run(args, sandbox.engine),
        Command::Info(args) => verb::info::run(args, &sandbox),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "afmpeg", &mut script);
            verb::info::print_bytes(&script).map(|()| ExitCode::SUCCESS)
        }
        Command::Man => verb::info::manual(),
        Command::Shims(args) => verb::shims::run(&args, &sandbox),
    }
}
