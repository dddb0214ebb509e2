//! Hostile host calls and damaged media in large numbers, started by `cargo xtask fuzz`.
//!
//! The driver makes samples, starts one worker a core, and judges their findings. A worker runs cases one after the
//! other in a process of its own, so that a crash of the host is a finding and does not end the run. A case depends
//! only on the seed and its number, so that any of them can be repeated.

#[path = "../../tests/support/hostile_calls.rs"]
mod hostile_calls;
#[path = "../../tests/support/mod.rs"]
mod support;

mod cases;
mod craft;
mod driver;
mod findings;
mod magic;
mod program;
mod random;
mod request;
mod samples;
mod worker;

use anyhow::{Context, Result, bail};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// Returns whether the run had no unknown crash and no fault of the host.
fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, path] = &arguments[..] else {
        bail!("`cargo xtask fuzz` starts this");
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    match role.as_str() {
        "drive" => driver::run(&serde_json::from_str(&text)?),
        "work" => worker::run(&serde_json::from_str(&text)?).map(|()| true),
        _ => bail!("no role {role}"),
    }
}
