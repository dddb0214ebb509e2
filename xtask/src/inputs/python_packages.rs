//! Packages that Python imports, installed by pip itself.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::digest::Key;
use crate::error::environment;
use crate::process::Invocation;

/// A folder for PYTHONPATH with the packages that a file of requirements names, each with its version and the digests of its
/// files.
pub fn install_pinned(cache: &Cache, host: &str, requirements: &Path, offline: bool) -> Result<PathBuf> {
    let name = requirements.display().to_string();
    let text = fs::read_to_string(requirements).with_context(|| format!("cannot read {name}"))?;
    let arguments = ["--require-hashes", "--only-binary=:all:", "--requirement", &name];
    install_with(cache, &[host, &text], &arguments, offline)
}

/// A folder for PYTHONPATH with these packages: each is named with its version.
pub fn install(cache: &Cache, host: &str, packages: &[String], offline: bool) -> Result<PathBuf> {
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    install_with(cache, &[&[host], &packages[..]].concat(), &packages, offline)
}

/// What packages ask for is not installed with them. That works where Python has no `venv`.
fn install_with(cache: &Cache, named: &[&str], arguments: &[&str], offline: bool) -> Result<PathBuf> {
    let version = Invocation::new("python3", cache.root())
        .arguments(["-c", "import sys; print(sys.version)"])
        .inherit_environment()
        .output()?;
    let key = Key::new("Python packages").field(version);
    let key = named.iter().fold(key, |key, name| key.field(name));
    let (folder, _) = cache.folder("trees", &key.finish(), |made| {
        if offline {
            let words = arguments.join(" ");
            return Err(environment(format!("--offline forbids pip to fetch {words}")).into());
        }
        pip(made)
            .arguments("install --quiet --disable-pip-version-check --no-deps --target .".split(' '))
            .arguments(arguments.iter().copied())
            .output()
            .map_err(without_pip)
            .map(drop)
    })?;
    Ok(folder)
}

/// pip, as the user has it set up.
pub fn pip(directory: &Path) -> Invocation {
    Invocation::new("python3", directory)
        .arguments(["-m", "pip"])
        .inherit_environment()
}

/// Says which package has pip, where Python came without it.
pub fn without_pip(error: anyhow::Error) -> anyhow::Error {
    match format!("{error:#}").contains("No module named pip") {
        true => error.context(environment("Python has no pip").hint("apt-get install python3-pip")),
        false => error,
    }
}
