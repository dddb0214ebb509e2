//! The command `afmpeg`.

mod cli;
mod verb;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let sandbox = cli.sandbox;
    let result = match cli.command {
        Command::Ffmpeg(guest) => verb::run::run("ffmpeg", guest, sandbox),
        Command::Ffprobe(guest) => verb::run::run("ffprobe", guest, sandbox),
        Command::Probe(args) => verb::probe::run(args, &sandbox),
        Command::Frames(args) => verb::frames::run(args, &sandbox),
        Command::Batch(args) => verb::batch::run(args, &sandbox),
        Command::Compile => verb::compile::run(&sandbox),
        Command::Pull(args) => verb::pull::run(args),
        Command::Info(args) => verb::info::run(args, &sandbox),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "afmpeg", &mut script);
            verb::info::print_bytes(&script).map(|()| ExitCode::SUCCESS)
        }
        Command::Man => verb::info::manual(),
    };
    result.unwrap_or_else(|failure| failure.report())
}
