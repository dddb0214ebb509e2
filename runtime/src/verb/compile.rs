//! `afmpeg compile`: fills the cache of compiled code.

use super::{Failure, module};
use crate::cli::Sandbox;
use std::process::ExitCode;
use std::time::Instant;

pub fn run(sandbox: &Sandbox) -> Result<ExitCode, Failure> {
    if sandbox.no_cache {
        return Err(Failure::setup(
            "there is nothing to compile for without a cache".to_owned(),
        ));
    }
    let started = Instant::now();
    let runtime = module::runtime(sandbox)?;
    runtime.warm_up()?;
    eprintln!("ready in {:.1} s", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}
