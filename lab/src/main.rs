//! Measures and tests modules: the verbs of `cargo xtask` that run one. This file parses and dispatches.

#![warn(clippy::unwrap_used)]

mod bench;
mod conform;
mod fate;
mod filter;
mod guest;
mod kernels;
mod media;
mod module;
mod verb;

use std::process::ExitCode;

use clap::Parser;

use xtask::error;
use xtask::flags::{Flags, Verb};
use xtask::project::{self, Project};

fn main() -> ExitCode {
    let flags = Flags::parse();
    if let Verb::Program(flags) = &flags.verb {
        return verb::program::run(flags);
    }
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error::print(&error);
            ExitCode::from(error::exit_code(&error))
        }
    }
}

fn run(flags: &Flags) -> anyhow::Result<()> {
    let root = flags.root.clone().map_or_else(project::root, Ok)?;
    let project = Project::open(std::path::absolute(root)?)?;
    match &flags.verb {
        // Repeated builds are processes of this program.
        Verb::Build(flags) => xtask::verb::build::run(&project, flags),
        Verb::CheckTargets(flags) => verb::check_targets::run(&project, &flags.origins),
        Verb::Test(flags) => verb::test::run(&project, flags),
        Verb::Fate(flags) => verb::fate::run(&project, flags),
        Verb::Conform(flags) => verb::conform::run(&project, flags),
        Verb::Fuzz(flags) => verb::fuzz::run(&project, flags),
        Verb::Bench(flags) => verb::bench::run(&project, flags),
        Verb::BenchJs(flags) => verb::bench_js::run(&project, flags),
        Verb::Kernels(flags) => verb::kernels::run(&project, flags),
        Verb::Sample(flags) => verb::sample::run(flags),
        Verb::Repro(flags) => verb::repro::run(&project, flags),
        _ => Err(error::usage("`cargo xtask` does this, and not the program for tests").into()),
    }
}
