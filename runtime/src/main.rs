//! The command `afmpeg`.

mod cli;
mod command;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Ffmpeg(guest) => command::run::run("ffmpeg", guest, cli.sandbox),
        Command::Ffprobe(guest) => command::run::run("ffprobe", guest, cli.sandbox),
    };
    result.unwrap_or_else(|failure| failure.report())
}
