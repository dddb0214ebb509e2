//! The build tool. This file parses and dispatches; each verb has its own file.

use std::process::ExitCode;

use clap::Parser;

use xtask::flags::{Flags, Verb};
use xtask::project::{self, Project};
use xtask::{error, pass_on, verb};

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
        #[cfg(feature = "release")]
        Verb::Bump(flags) => verb::bump::run(&open()?, flags)?,
        Verb::Fetch(flags) => verb::fetch::run(&open()?, flags)?,
        Verb::Native(flags) => verb::native::run(&open()?, flags)?,
        Verb::Pack(flags) => verb::pack::run(&open()?, flags)?,
        Verb::Clients(flags) => verb::clients::run(&open()?, flags)?,
        Verb::Sizes(flags) => verb::sizes::run(&open()?, flags)?,
        #[cfg(feature = "release")]
        Verb::Dist(flags) => verb::dist::run(&open()?, flags)?,
        #[cfg(feature = "release")]
        Verb::Package(flags) => verb::package::run(&open()?, flags)?,
        #[cfg(feature = "release")]
        Verb::Push(flags) => verb::push::run(flags)?,
        // What a build does without is not compiled for one: what releases and changes pins is a feature of this program, what
        // runs modules another program, with an engine.
        #[cfg(not(feature = "release"))]
        Verb::Bump(_) | Verb::Dist(_) | Verb::Package(_) | Verb::Push(_) => return pass_on::to_release(),
        _ => return pass_on::to_lab(),
    }
    Ok(ExitCode::SUCCESS)
}
