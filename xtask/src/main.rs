//! The build tool. This file parses and dispatches; each verb has its own file.

use std::process::ExitCode;

use clap::Parser;

use xtask::flags::{Flags, Verb};
use xtask::project::{self, Project};
use xtask::{error, lab, verb};

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags) {
        Ok(code) => code,
        Err(error) => {
            error::print(&error);
            ExitCode::from(error::exit_code(&error))
        }
    }
}

fn run(flags: &Flags) -> anyhow::Result<ExitCode> {
    let root = flags.root.clone().map_or_else(project::root, Ok)?;
    let open = || Project::open(std::path::absolute(&root)?);
    match &flags.verb {
        Verb::Build(flags) => verb::build::run(&open()?, flags)?,
        Verb::Bump(flags) => verb::bump::run(&open()?, flags)?,
        Verb::Fetch(flags) => verb::fetch::run(&open()?, flags)?,
        Verb::Native(flags) => verb::native::run(&open()?, flags)?,
        Verb::Dist(flags) => verb::dist::run(&open()?, flags)?,
        Verb::Package(flags) => verb::package::run(&open()?, flags)?,
        Verb::Push(flags) => verb::push::run(flags)?,
        // These run modules, and are in a program of their own, so that building compiles no engine.
        _ => return lab::pass_on(),
    }
    Ok(ExitCode::SUCCESS)
}
