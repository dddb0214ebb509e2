//! The crates that Cargo.lock names, by cargo itself.

use std::path::Path;

use anyhow::Result;

use crate::process::Invocation;

/// Downloads all of them, so that `cargo --offline` has what tests compile.
pub fn fetch(root: &Path) -> Result<()> {
    Invocation::new("cargo", root)
        .arguments(["fetch", "--locked"])
        .inherit_environment()
        .output()?;
    Ok(())
}
