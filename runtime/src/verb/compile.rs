//! `afmpeg compile`: fills the cache of compiled code.

use super::failure::Failure;
use super::module;
use crate::cli::Sandbox;
use afmpeg::{CacheStatus, Runtime};
use std::process::ExitCode;
use std::time::Instant;

pub fn run(sandbox: &Sandbox) -> Result<ExitCode, Failure> {
    if sandbox.no_cache {
        return Err(Failure::setup(
            "there is nothing to compile for without a cache".to_owned(),
        ));
    }
    let started = Instant::now();
    let runtime = module::make(sandbox, Runtime::builder())?;
    // Here that was all that was asked for.
    if let CacheStatus::Off | CacheStatus::Unusable { .. } = runtime.cache_status() {
        return Err(Failure::setup("the code was compiled and could not be kept".to_owned()));
    }
    runtime.warm_up()?;
    eprintln!("ready in {:.1} s", started.elapsed().as_secs_f64());
    Ok(ExitCode::SUCCESS)
}
