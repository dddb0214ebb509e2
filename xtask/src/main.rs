//! The build tool. This file parses, finds the root and dispatches; each verb has its own file.

#![warn(clippy::unwrap_used)]

mod bench;
mod bump;
mod cache;
mod compress;
mod conform;
mod describe;
mod difference;
mod digest;
mod error;
mod execute;
mod fate;
mod fetch;
mod filter;
mod flags;
mod guest_tests;
mod inspect;
mod kernel_tests;
mod media;
mod module;
mod openpgp;
mod pack;
mod patch;
mod pins;
mod plan;
mod process;
mod profile;
mod progress;
mod record;
mod release;
mod sdk;
mod suspend;
mod unpack;
mod verb;
mod widen;
mod workshop;

use std::process::ExitCode;

use clap::Parser;

use flags::{Flags, Verb};
use workshop::Workshop;

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
    let root = flags.root.clone().map_or_else(workshop::root, Ok)?;
    let workshop = Workshop::open(std::path::absolute(root)?)?;
    match &flags.verb {
        Verb::Build(flags) => verb::build::run(&workshop, flags),
        Verb::Bump(flags) => verb::bump::run(&workshop, flags),
        Verb::CheckTargets(flags) => verb::check_targets::run(&workshop, &flags.origins),
        Verb::Fetch(flags) => verb::fetch::run(&workshop, flags),
        Verb::Test(flags) => verb::test::run(&workshop, flags),
        Verb::Fate(flags) => verb::fate::run(&workshop, flags),
        Verb::Conform(flags) => verb::conform::run(&workshop, flags),
        Verb::Fuzz(flags) => verb::fuzz::run(&workshop, flags),
        Verb::Bench(flags) => verb::bench::run(&workshop, flags),
        Verb::Sample(flags) => verb::sample::run(flags),
        Verb::Native(flags) => verb::native::run(&workshop, flags),
        Verb::Dist(flags) => verb::dist::run(&workshop, flags),
        Verb::Package(flags) => verb::package::run(&workshop, flags),
        Verb::Push(flags) => verb::push::run(flags),
        Verb::Repro(flags) => verb::repro::run(&workshop, flags),
        Verb::Program(_) => unreachable!("main runs it"),
    }
}
