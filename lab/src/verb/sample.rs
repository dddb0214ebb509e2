//! `cargo xtask sample`: one measurement in a process of its own, for `cargo xtask bench`.

use anyhow::{Context, Result};

use crate::bench::measure;
use xtask::flags::Sample;

pub fn run(flags: &Sample) -> Result<()> {
    let request = serde_json::from_str(&flags.request).context("the request")?;
    println!("{}", serde_json::to_string(&measure::measure(&request)?)?);
    Ok(())
}
